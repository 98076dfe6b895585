// Uses the playground of a running hub like a visitor: node playground.mjs <url> [--screenshots <folder>]
import { parseArgs } from "node:util";
import { openBrowser } from "./browser.mjs";
import { checkConnection } from "./connection.mjs";
import { checkNumbers } from "./numbers.mjs";
import { anyFailed, check, expect, finish } from "./report.mjs";
import { checkSchemaMap } from "./schema-map.mjs";
import { checkSharing } from "./sharing.mjs";
import { visitorOf } from "./visitor.mjs";

const TABS = ["Board", "OneInspection", "Stalled", "OneHourAgo", "Live", "Resume"];

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { screenshots: { type: "string" } },
});
if (positionals.length !== 1) {
  console.error("usage: node playground.mjs <url of the hub> [--screenshots <folder>]");
  process.exit(2);
}
const origin = new URL(positionals[0]).origin;
const { page, foreignRequests, errors, close } = await openBrowser(origin);
const visitor = visitorOf(page, origin, values.screenshots);
const { editor, result, responseBar, button, shows, query, picture } = visitor;

await check("the page opens under a content security policy", async () => {
  const started = performance.now();
  const response = await page.goto(`${origin}/graphiql`);
  const policy = response.headers()["content-security-policy"] ?? "none";
  expect(policy.includes("default-src 'self'"), `the policy is: ${policy}`);
  expect(!/unsafe-eval|script-src/.test(policy), `the policy is: ${policy}`);
  await shows(editor(), "Board");
  await visitor.ready();
  return `ready in ${Math.round(performance.now() - started)} ms`;
});
if (anyFailed()) await end();

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

await check("the line below a response shows its protocol, time, size and cost", async () => {
  await shows(responseBar(), /Protocol\s*HTTP/);
  await shows(responseBar(), /Time\s*\d+ ms/);
  await shows(responseBar(), /Size\s*[\d.]+ k?B/);
  await shows(responseBar(), /Cost\s*[\d,]+, [\d,]+ used/);
  return (await responseBar().innerText()).replaceAll("\n", " ");
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

await check("Live shows a change caused by a webhook", () => visitor.follow("Live"));
await check("the line below a subscription shows its number of events", async () => {
  await shows(responseBar(), /Protocol\s*WebSocket/);
  await shows(responseBar(), /Events\s*[1-9]/);
});
await picture("live");

await check("Resume shows a change from history", async () => {
  await visitor.openTab("Resume");
  await button("Execute query").click();
  await shows(result(), "position");
  await visitor.stop();
});
await picture("resume");

await check("each tab keeps the statistics of its own response", async () => {
  await visitor.openTab("Board");
  await shows(responseBar(), /Protocol\s*HTTP/);
  await visitor.openTab("Live");
  await shows(responseBar(), /Protocol\s*WebSocket/);
});

await check("the documentation has descriptions", async () => {
  await button("Show Documentation Explorer").click();
  const docs = page.locator(".graphiql-doc-explorer");
  await docs.getByText("Query", { exact: true }).click();
  await docs.getByText("inspections", { exact: true }).waitFor();
  const descriptions = await docs.locator(".graphiql-markdown-description").allInnerTexts();
  expect(descriptions.some((text) => text.trim()), "there are none");
  return `${descriptions.length} on Query`;
});
await picture("documentation");

await check("the explorer offers fields", async () => {
  await button("Show GraphiQL Explorer").click();
  await page.locator(".graphiql-explorer-root").getByText("changes", { exact: true }).first().waitFor();
});
await picture("explorer");
await button("Hide GraphiQL Explorer").click();

await visitor.openTab("Board");
await check("the history has what was run", () =>
  visitor.inPane("History", async () => {
    for (const name of ["OneInspection", "Board"]) {
      await page.locator(".graphiql-history").getByText(name).first().click();
      await shows(editor(), `query ${name}`);
    }
  }),
);

await checkSchemaMap(visitor);
await checkConnection(visitor);
await checkSharing(visitor);

await checkNumbers(visitor);

await check("a new tab right after a switch keeps the name of the tab before", async () => {
  await visitor.openTab("Resume");
  await page.waitForFunction(() => localStorage.getItem("graphiql:query")?.includes("subscription Resume"));
  // Both clicks within the 100 ms that GraphiQL waits before it parses the editor's content.
  await page.evaluate(async () => {
    document.querySelector('[role="tab"] [title]').click();
    await new Promise(requestAnimationFrame);
    document.querySelector('[aria-label="New tab"]').click();
  });
  const names = await page.getByRole("tab").allInnerTexts();
  expect(names[0] === TABS[0], `the tabs are ${names}`);
});

await check("the editor completes field names", async () => {
  await visitor.openTab("Board");
  await button("New tab").click();
  await editor().click();
  await page.keyboard.type("{ status");
  await page.keyboard.press("Control+Space");
  await shows(page.locator(".suggest-widget"), "statusCounts");
});
await picture("completion");

await check("the tabs are kept over a reload", async () => {
  await visitor.leave();
  await page.reload();
  await page.getByRole("tab").nth(TABS.length - 1).waitFor();
  const names = await page.getByRole("tab").allInnerTexts();
  expect(names.slice(0, TABS.length).join() === TABS.join(), `the tabs are ${names}`);
});

await check("it follows the system's theme into dark and back", async () => {
  for (const scheme of ["dark", "light"]) await visitor.turn(scheme);
});

await check("no request to another host", () => expect(!foreignRequests.length, foreignRequests.join("\n")));
await check("no errors on the console, none uncaught", () => expect(!errors.length, errors.join("\n")));
await end();

async function end() {
  await close();
  finish();
}
