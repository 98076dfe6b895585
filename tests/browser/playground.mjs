// Uses the playground of a running hub as a visitor would: node playground.mjs <url> [--screenshots <folder>]
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs, stripVTControlCharacters } from "node:util";
import { openBrowser } from "./browser.mjs";

const TABS = ["Board", "OneInspection", "Stalled", "OneHourAgo", "Live", "Resume"];
const LIMIT = 15_000;

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { screenshots: { type: "string" } },
});
if (positionals.length !== 1) {
  console.error("usage: node playground.mjs <url of the hub> [--screenshots <folder>]");
  process.exit(2);
}
const origin = new URL(positionals[0]).origin;
const { page, strangers, errors, close } = await openBrowser(origin);
let passed = 0;
let failed = 0;

await check("the page opens under a content security policy", async () => {
  const started = performance.now();
  const response = await page.goto(`${origin}/graphiql`);
  const policy = response.headers()["content-security-policy"] ?? "none";
  expect(policy.includes("default-src 'self'"), `the policy is: ${policy}`);
  await shows(editor(), "Board");
  await page.getByRole("button", { name: "Re-fetch GraphQL schema", disabled: false }).waitFor();
  return `ready in ${Math.round(performance.now() - started)} ms`;
});
if (failed) await finish();

await check("the six tabs are there", async () => {
  await page.getByRole("tab").nth(TABS.length - 1).waitFor();
  const names = await page.getByRole("tab").allInnerTexts();
  expect(names.join() === TABS.join(), `the tabs are ${names}`);
});

await check("Board shows inspections", async () => {
  const { statusCounts, inspections } = await query("Board");
  expect(statusCounts.length > 0 && inspections.nodes.length > 0, "there are none");
  await shows(result(), "statusCounts");
  return `${inspections.nodes.length} of them`;
});
await picture("board");

await check("OneInspection shows an inspection with its history", async () => {
  const { inspections } = await query("OneInspection");
  expect(inspections.nodes[0]?.history.nodes.length > 0, "it has no history");
  await shows(result(), inspections.nodes[0].externalId);
});
await picture("one-inspection");

await check("Stalled runs", async () => {
  const { inspections } = await query("Stalled");
  return `${inspections.totalCount} stalled`;
});
await picture("stalled");

await check("OneHourAgo runs", async () => {
  await query("OneHourAgo");
  await shows(result(), "known");
});
await picture("one-hour-ago");

await check("Live shows what a webhook changes", async () => {
  await openTab("Live");
  await page.getByRole("button", { name: "Execute query" }).click();
  await page.getByRole("button", { name: "Stop query" }).waitFor();
  const run = Date.now().toString(36).toUpperCase();
  // The server does not say when a subscription stands, so one webhook can come too early.
  for (let attempt = 1; ; attempt++) {
    const session = `SWP-BROWSER-${run}-${attempt}`;
    await postWebhook(session);
    const seen = await shows(result(), session, 3_000).then(() => true, () => false);
    if (seen) break;
    expect(attempt < 5, "none of five webhooks appeared");
  }
});
await picture("live");

await check("Resume shows a change from history", async () => {
  await openTab("Resume");
  await page.getByRole("button", { name: "Execute query" }).click();
  await shows(result(), "position");
  await page.getByRole("button", { name: "Stop query" }).click();
  await page.getByRole("button", { name: "Execute query" }).waitFor();
});
await picture("resume");

await check("the documentation has descriptions", async () => {
  await page.getByRole("button", { name: "Show Documentation Explorer" }).click();
  const docs = page.locator(".graphiql-doc-explorer");
  await docs.getByText("Query", { exact: true }).click();
  await docs.getByText("inspections", { exact: true }).waitFor();
  const descriptions = await docs.locator(".graphiql-markdown-description").allInnerTexts();
  expect(descriptions.some((text) => text.trim()), "there are none");
  return `${descriptions.length} on Query`;
});
await picture("documentation");

await check("the explorer offers fields", async () => {
  await page.getByRole("button", { name: "Show GraphiQL Explorer" }).click();
  await page.locator(".graphiql-explorer-root").getByText("changes", { exact: true }).first().waitFor();
});
await picture("explorer");
await page.getByRole("button", { name: "Hide GraphiQL Explorer" }).click();

await check("the editor completes field names", async () => {
  await page.getByRole("button", { name: "New tab" }).click();
  await page.getByRole("tab").nth(TABS.length).waitFor();
  await editor().click();
  await page.keyboard.type("{ status");
  await page.keyboard.press("Control+Space");
  await shows(page.locator(".suggest-widget"), "statusCounts");
});
await picture("completion");

await check("the tabs are kept over a reload", async () => {
  await page.reload();
  await page.getByRole("tab").nth(TABS.length - 1).waitFor();
  const names = await page.getByRole("tab").allInnerTexts();
  expect(names.slice(0, TABS.length).join() === TABS.join(), `the tabs are ${names}`);
});

await check("it follows the system into dark and back", async () => {
  for (const scheme of ["dark", "light"]) await turn(scheme);
});

await check("nothing is asked of anybody else", () => expect(!strangers.length, strangers.join("\n")));
await check("no errors on the console, none uncaught", () => expect(!errors.length, errors.join("\n")));
await finish();

// What a visitor does and sees.

function editor() {
  return page.getByLabel("Operation Editor");
}

function result() {
  return page.getByLabel("Result Window");
}

async function shows(place, text, timeout = LIMIT) {
  await place.filter({ hasText: text }).waitFor({ timeout });
}

async function openTab(name) {
  await page.getByRole("tab").getByTitle(name, { exact: true }).click();
  await shows(editor(), name);
}

/** Runs the query of a tab and returns its data; errors in the answer fail the check. */
async function query(name) {
  await openTab(name);
  const answer = page.waitForResponse((response) => {
    const request = response.request();
    return request.method() === "POST" && request.postDataJSON()?.operationName === name;
  });
  await page.getByRole("button", { name: "Execute query" }).click();
  const text = await (await answer).text();
  const { data, errors } = JSON.parse(text);
  expect(data && !errors, text);
  await shows(result(), "data");
  return data;
}

async function postWebhook(session) {
  const response = await fetch(`${origin}/webhooks/pave`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      session_key: session,
      event: "SESSION:STATUS_CHANGE",
      status: "STARTED",
      timestamp: "2026-01-01T00:00:00+00:00",
    }),
  });
  expect(response.status === 200, `the webhook was answered with ${response.status}`);
}

async function turn(scheme) {
  await page.emulateMedia({ colorScheme: scheme });
  const theme = scheme === "dark" ? ".vs-dark" : ".vs";
  await editor().locator(`.monaco-editor${theme}`).first().waitFor();
}

async function picture(name) {
  if (!values.screenshots) return;
  mkdirSync(values.screenshots, { recursive: true });
  for (const scheme of ["dark", "light"]) {
    await turn(scheme);
    await page.screenshot({ path: join(values.screenshots, `${name}-${scheme}.png`) });
  }
}

// The list of checks.

async function check(name, run) {
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

function expect(condition, otherwise) {
  if (!condition) throw new Error(otherwise);
}

async function finish() {
  await close();
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed ? 1 : 0);
}
