// breaking.mjs finds what breaks clients, shown with a made-up release; and schema.graphql breaks nothing.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";

const RELEASED = `
type Query {
  board(status: Status, limit: Int @deprecated(reason: "Use paging. Stays until 2024-06-30.")): [Card!]!
  oldBoard: OldBoard @deprecated(reason: "Use \`board\`. Stays until 2024-06-30.")
}
type Card {
  id: ID!
  title: String
  colour: String @deprecated(reason: "Nobody looks at it. Stays until 2024-06-30.")
  weight: Int @deprecated(reason: "Stays until 9999-12-31.")
  undated: Int @deprecated(reason: "Some day.")
}
type OldBoard { cards: [Card!]! }
enum Status { OPEN DONE LOST @deprecated(reason: "Never given. Stays until 2024-06-30.") }
`;

const folder = mkdtempSync(join(tmpdir(), "breaking-"));
after(() => rmSync(folder, { recursive: true }));

// Runs the check: its exit code and its output.
function run(...args) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["breaking.mjs", ...args], {
    cwd: import.meta.dirname,
    encoding: "utf8",
  });
  return { code: status, output: stdout + stderr };
}

function check(schema) {
  const [released, current] = ["released.graphql", "schema.graphql"].map((name) => join(folder, name));
  writeFileSync(released, RELEASED);
  writeFileSync(current, schema);
  return run(released, current);
}

const unreleased =
  !existsSync(join(import.meta.dirname, "released.graphql")) && "nothing is released yet: released.graphql does not exist";
test("schema.graphql breaks nothing of the last release", { skip: unreleased }, () => {
  const { code, output } = run();
  assert.equal(code, 0, output);
});

test("without a release the check is skipped, with the reason", () => {
  const { code, output } = run(join(folder, "missing.graphql"));
  assert.equal(code, 0, output);
  assert.match(output, /skipped: nothing is released yet/);
});

test("since a release", async (since) => {
  for (const [what, from, to] of [
    ["a field goes", "title: String\n", ""],
    ["a field becomes nullable", "id: ID!", "id: ID"],
    ["an argument goes", "status: Status, ", ""],
    ["an argument is required", "status: Status,", "status: Status!,"],
    ["an enum value goes", "DONE ", ""],
    ["a deprecated field goes before its day", /weight: .*\n/, ""],
    ["a deprecated field without a day goes", /undated: .*\n/, ""],
  ]) {
    await since.test(`${what}: refused`, () => {
      const { code, output } = check(RELEASED.replace(from, to));
      assert.equal(code, 1, output);
      assert.match(output, /breaking: /);
    });
  }
  for (const [what, ...edits] of [
    ["nothing changes"],
    ["a field comes", ["title: String\n", "title: String\n size: Int\n"]],
    ["an enum value comes", ["DONE ", "DONE SOLD "]],
    ["a deprecated field goes", [/colour: .*\n/, ""]],
    ["a deprecated argument goes", [/, limit: Int @deprecated\(.*?"\)/, ""]],
    ["a deprecated enum value goes", [/LOST @deprecated\(.*?"\) /, ""]],
    ["a deprecated field goes with its type", [/oldBoard: .*\n/, ""], [/type OldBoard .*\n/, ""]],
  ]) {
    await since.test(`${what}: passes`, () => {
      const { code, output } = check(edits.reduce((schema, [from, to]) => schema.replace(from, to), RELEASED));
      assert.equal(code, 0, output);
      assert.match(output, /since the release/);
    });
  }
});
