// node breaking.mjs REPOSITORY: does schema.graphql break what worked with the last release?
//
// The last release is the newest tag v* that the checkout descends from. What breaks is found by graphql-inspector. It is
// allowed if the release's schema had deprecated it, and the day until which it was to stay is over. Exits with 1 if not.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { CriticalityLevel, diff } from "@graphql-inspector/core";
import { buildSchema, getNamedType, isInputObjectType, isInterfaceType, isObjectType, isUnionType } from "graphql";
import deprecation from "./deprecation.js";

const FILE = "schema.graphql";
const [, , repository = "."] = process.argv;
const git = (...args) =>
  execFileSync("git", ["-C", repository, ...args], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }).trim();

const tag = lastRelease();
if (!tag) {
  console.log("There is no release tag (v*) yet: nothing that the schema could break.");
  process.exit(0);
}
const before = buildSchema(git("show", `${tag}:${FILE}`));
const after = buildSchema(readFileSync(join(repository, FILE), "utf8"));
const changes = await diff(before, after);
const used = typesInUse(before);
const breaking = changes.filter((change) => change.criticality.level === CriticalityLevel.Breaking);
const unannounced = breaking.filter((change) => !announced(change));
for (const change of unannounced) console.error(`breaking: ${change.message}`);
for (const change of changes) {
  if (change.criticality.level === CriticalityLevel.Dangerous) console.log(`mind: ${change.message}`);
}
const counts = `${changes.length} changes since ${tag}, ${breaking.length} of them removals or the like`;
if (unannounced.length > 0) {
  console.error(`${counts}. Deprecate first, with the day until which it stays; remove it in a release after that day.`);
  process.exit(1);
}
console.log(`${counts}, each announced before.`);

function lastRelease() {
  // `describe` fails without tags as it does outside of a repository; `tag` only outside.
  if (git("tag", "--merged", "HEAD", "--list", "v*") === "") return undefined;
  const tag = git("describe", "--tags", "--abbrev=0", "--match", "v*");
  return git("ls-tree", tag, "--", FILE) === "" ? undefined : tag;
}

// Whether the release's schema said that this would come: of the thing itself, or of what it is a part of.
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

// The types that a client could have used without touching anything whose time is over.
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
