// Uses the playground of a hub with API keys, as a visitor with a key: node guarded.mjs <url> <key>
import { openBrowser } from "./browser.mjs";
import { check, expect, finish } from "./report.mjs";
import { visitorOf } from "./visitor.mjs";

const [url, token] = process.argv.slice(2);
if (!token) {
  console.error("usage: node guarded.mjs <url of the hub> <token>");
  process.exit(2);
}
const origin = new URL(url).origin;
const { page, foreignRequests, errors, close } = await openBrowser(origin);
const visitor = visitorOf(page, origin);
const { editor, result, button, shows } = visitor;
const pane = page.getByRole("region", { name: "Connection" });

await check("without a token the page opens and queries are UNAUTHENTICATED", async () => {
  await page.goto(`${origin}/graphiql`);
  await shows(editor(), "Board");
  await visitor.execute("Board");
  await shows(result(), "UNAUTHENTICATED");
});

await check("with the token it loads the schema and runs queries", async () => {
  await button("Show Connection").click();
  await pane.getByLabel("Bearer token").fill(token);
  await button("Use token").click();
  await shows(pane.getByRole("status"), "sent with every request");
  await visitor.ready();
  const { inspections } = await visitor.query("Board");
  expect(inspections.nodes.length > 0, "there are no inspections");
});

await check("with the token it subscribes, over a WebSocket and over an event stream", async () => {
  for (const transport of ["WebSocket", "Server-sent events"]) {
    await pane.getByLabel(transport).check();
    await visitor.follow("Live");
    await visitor.stop();
  }
});

await check("after the token is removed, queries are UNAUTHENTICATED", async () => {
  await button("Remove token").click();
  await visitor.openTab("Board");
  await visitor.execute("Board");
  await shows(result(), "UNAUTHENTICATED");
});

await check("no request to another host", () => expect(!foreignRequests.length, foreignRequests.join("\n")));
// Chromium logs each 401 to the console.
const others = errors.filter((error) => !error.includes("401"));
await check("no other errors on the console", () => expect(!others.length, others.join("\n")));
await close();
finish();
