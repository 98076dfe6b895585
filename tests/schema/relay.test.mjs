// relay-compiler takes the schema: nodes, global ids, connections, refetchable pages, subscriptions.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import compiler from "relay-compiler";

const SCHEMA = readFileSync(join(import.meta.dirname, "../../schema.graphql"), "utf8");
const folder = mkdtempSync(join(tmpdir(), "relay-"));
after(() => rmSync(folder, { recursive: true }));

// Compiles the application against a schema, and gives what was written.
function compile(name, schema) {
  const home = join(folder, name);
  mkdirSync(join(home, "made"), { recursive: true });
  cpSync(join(import.meta.dirname, "relay"), join(home, "src"), { recursive: true });
  writeFileSync(join(home, "schema.graphql"), schema);
  const config = {
    src: "./src",
    schema: "./schema.graphql",
    artifactDirectory: "./made",
    language: "typescript",
    eagerEsModules: true,
    customScalarTypes: { DateTime: "string", JSON: "unknown", Long: "number" },
  };
  writeFileSync(join(home, "relay.config.json"), JSON.stringify(config));
  const run = spawnSync(compiler, ["relay.config.json"], { cwd: home, encoding: "utf8" });
  const made = (artifact) => readFileSync(join(home, "made", `${artifact}.graphql.ts`), "utf8");
  return { code: run.status, told: run.stdout + run.stderr, made };
}

test("an application compiles", () => {
  const { code, told, made } = compile("good", SCHEMA);
  assert.equal(code, 0, told);
  assert.match(made("boardQuery"), /filter\?: InspectionFilter/);
  assert.match(made("boardListPageQuery"), /inspections\(first: \$first, after: \$after, filter: \$filter\)/);
  // A page of a fragment on an object is fetched by the object's global id.
  assert.match(made("boardHistoryPageQuery"), /node\(id: \$id\)/);
  assert.match(made("boardHistory"), /"identifierField": "id"/);
  assert.match(made("boardNewsSubscription"), /"operationKind": "subscription"/);
});

for (const [what, from, to] of [
  ["node", /  node\(\n[^)]*\n  \): Node\n/, ""],
  ["edges", /type InspectionConnection \{[^}]*\}/, 'type InspectionConnection { nodes: [Inspection!]! pageInfo: PageInfo! }'],
  ["cursors", /type ChangeEdge \{[^}]*\}/, "type ChangeEdge { node: Change! }"],
]) {
  test(`without ${what} it would not`, () => {
    const schema = SCHEMA.replace(from, to);
    assert.notEqual(schema, SCHEMA);
    const { code, told } = compile(what, schema);
    assert.notEqual(code, 0, told);
  });
}
