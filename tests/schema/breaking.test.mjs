// breaking.mjs bites: a repository with a release of a made-up schema, and what is done to it.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
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

const repository = mkdtempSync(join(tmpdir(), "breaking-"));
after(() => rmSync(repository, { recursive: true }));
const git = (...args) =>
  execFileSync("git", ["-C", repository, "-c", "user.name=Test", "-c", "user.email=test@example.org", ...args], {
    stdio: "pipe",
  });
const write = (schema) => writeFileSync(join(repository, "schema.graphql"), schema);
git("init", "--quiet");
write(RELEASED);
git("add", ".");
git("commit", "--quiet", "--message", "A schema");

// What is told of this schema, and how it ends.
function check(schema) {
  write(schema);
  const run = spawnSync(process.execPath, ["breaking.mjs", repository], { cwd: import.meta.dirname, encoding: "utf8" });
  return { code: run.status, told: run.stdout + run.stderr };
}

test("without a release there is nothing to break", () => {
  const { code, told } = check("type Query { other: Int }");
  assert.equal(code, 0, told);
  assert.match(told, /no release tag/);
});

test("since a release", async (since) => {
  git("tag", "v1.0.0");
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
      const { code, told } = check(RELEASED.replace(from, to));
      assert.equal(code, 1, told);
      assert.match(told, /breaking: /);
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
      const { code, told } = check(edits.reduce((schema, [from, to]) => schema.replace(from, to), RELEASED));
      assert.equal(code, 0, told);
      assert.match(told, /since v1.0.0/);
    });
  }
});
