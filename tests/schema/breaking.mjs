// node breaking.mjs [RELEASED] [SCHEMA]: does schema.graphql break clients of the last release?
//
// The last release's schema is released.graphql, which the first release adds and each release replaces. Until then there is
// nothing to compare with: the check is skipped. graphql-inspector finds the breaking changes. One is allowed if the released
// schema deprecates what it removes, and the day until which it stays is over. Exits with 1 if one is not allowed.
import { existsSync, readFileSync } from "node:fs";
import { CriticalityLevel, diff } from "@graphql-inspector/core";
import { buildSchema, getNamedType, isInputObjectType, isInterfaceType, isObjectType, isUnionType } from "graphql";
import deprecation from "./deprecation.js";

const [, , released = "released.graphql", current = "../../schema.graphql"] = process.argv;
if (!existsSync(released)) {
  console.log(`skipped: nothing is released yet, ${released} does not exist`);
  process.exit(0);
}
const before = buildSchema(readFileSync(released, "utf8"));
const after = buildSchema(readFileSync(current, "utf8"));
const changes = await diff(before, after);
const used = typesInUse(before);
const breaking = changes.filter((change) => change.criticality.level === CriticalityLevel.Breaking);
const unannounced = breaking.filter((change) => !announced(change));
for (const change of unannounced) console.error(`breaking: ${change.message}`);
for (const change of changes) {
  if (change.criticality.level === CriticalityLevel.Dangerous) console.log(`dangerous: ${change.message}`);
}
const counts = `${changes.length} changes since the release, ${breaking.length} of them breaking`;
if (unannounced.length > 0) {
  console.error(`${counts}. Deprecate first, with the day until which it stays; remove it after that day.`);
  process.exit(1);
}
console.log(`${counts}, all of those announced.`);

// Whether the released schema deprecates this, or what it is a part of.
function announced({ path }) {
  const [type, ...parts] = path.split(".");
  if (parts.length === 0) return !used.has(type);
  return parts.some((_, index) => over(find(type, parts.slice(0, index + 1))));
}

// The definition of a field, an argument, an input field or an enum value.
function find(type, [name, argument]) {
  const known = before.getType(type);
  const member = known?.getFields?.()[name] ?? known?.getValue?.(name);
  return argument ? member?.args?.find((one) => one.name === argument) : member;
}

function over(member) {
  if (member?.deprecationReason == null) return false;
  const day = deprecation.dayOf(member.deprecationReason);
  return day !== undefined && day.getTime() < Date.now();
}

// The types that a client can use without anything deprecated whose day is over.
function typesInUse(schema) {
  const used = new Set();
  const use = (type) => {
    const known = getNamedType(type);
    if (used.has(known.name)) return;
    used.add(known.name);
    if (isUnionType(known)) known.getTypes().forEach(use);
    if (isInterfaceType(known)) schema.getPossibleTypes(known).forEach(use);
    if (isObjectType(known)) known.getInterfaces().forEach(use);
    if (!isObjectType(known) && !isInterfaceType(known) && !isInputObjectType(known)) return;
    for (const member of Object.values(known.getFields()).filter((field) => !over(field))) {
      use(member.type);
      for (const argument of (member.args ?? []).filter((argument) => !over(argument))) use(argument.type);
    }
  };
  [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()].filter(Boolean).forEach(use);
  return used;
}
