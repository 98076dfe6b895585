// The linter's rules bite: each of these schemas breaks the one that it is named after.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";

const lint = (schema) => {
  const run = spawnSync(process.execPath, ["node_modules/graphql-schema-linter/lib/cli.js", "--stdin", "--format", "json"], {
    cwd: import.meta.dirname,
    encoding: "utf8",
    input: schema,
  });
  assert.equal(run.stderr, "");
  return JSON.parse(run.stdout).errors.map(({ rule }) => rule);
};
const PAGES = `"A page." type PageInfo { "More?" hasNextPage: Boolean! "Less?" hasPreviousPage: Boolean!
  "First." startCursor: String "Last." endCursor: String }`;
const query = (fields) => `${PAGES} "All." type Query { "The page." page: PageInfo ${fields} }`;

test("a good schema passes", () => {
  const good = `"Old." old: Int @deprecated(reason: "Use \`new\`. Stays until 2027-06-30.") "New." new("E.g. \`x\`." id: ID): Int`;
  assert.deepEqual(lint(query(good)), []);
});

for (const [rule, schema] of [
  ["fields-have-descriptions", query("bare: Int")],
  ["types-have-descriptions", query('"One." one: Card') + ' type Card { "One." one: Int }'],
  ["arguments-have-descriptions", query('"One." one(first: Int): Int')],
  ["descriptions-are-capitalized", query('"one." one: Int')],
  ["deprecations-have-a-reason", query('"One." one: Int @deprecated')],
  ["deprecations-have-a-date", query('"One." one: Int @deprecated(reason: "Use two.")')],
  ["deprecations-have-a-date", query('"One." one: Int @deprecated(reason: "Stays until 2027-99-99.")')],
  ["inputs-have-examples", query('"One." one("The moment." at: String): Int')],
  ["scalars-are-specified", `${query('"One." one: Moment')} "A moment, e.g. \`noon\`." scalar Moment`],
  ["names-are-regular", query('"One." id: Int')],
  ["names-are-regular", `${query('"One." one("E.g. \`{}\`." of: Options): Int')} "Of." input Options { "One." one: Int }`],
  ["defined-types-are-used", `${query('"One." one: Int')} "Lost." type Lost { "One." one: Int }`],
  ["relay-page-info-spec", query('"One." one: Int').replace("hasNextPage: Boolean!", "hasNextPage: Int")],
  ["relay-connection-types-spec", `${query('"One." one: OneConnection')} "C." type OneConnection { "P." pageInfo: PageInfo }`],
  ["relay-connection-arguments-spec", query('"One." one: OneConnection') + ` "C." type OneConnection {
    "E." edges: [Int] "P." pageInfo: PageInfo! }`],
]) {
  test(`${rule} is kept`, () => {
    const broken = lint(schema);
    assert.ok(broken.includes(rule), `${broken}`);
  });
}
