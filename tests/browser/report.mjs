// Prints the result of each check, and counts them.
import { stripVTControlCharacters } from "node:util";

let passed = 0;
let failed = 0;

export async function check(name, run) {
  try {
    const note = await run();
    console.log(`ok      ${name}${note ? ` (${note})` : ""}`);
    passed++;
  } catch (error) {
    const reason = stripVTControlCharacters(error.message).trim().replaceAll("\n", "\n        ");
    console.log(`FAILED  ${name}\n        ${reason}`);
    failed++;
  }
}

export function expect(condition, otherwise) {
  if (!condition) throw new Error(otherwise);
}

export function anyFailed() {
  return failed > 0;
}

export function finish() {
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed ? 1 : 0);
}
