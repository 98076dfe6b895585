// The headers of a tab, the token, and the transport of subscriptions.
import { check, expect } from "./report.mjs";
import { operationIn } from "./visitor.mjs";

const TOKEN = "playground-test.token_1";

export async function checkConnection(visitor) {
  const { page, origin, result, responseBar, button, shows, picture } = visitor;
  const pane = page.getByRole("region", { name: "Connection" });
  const box = pane.getByLabel("Bearer token");

  await check("the headers of a tab are sent with its requests", async () => {
    await visitor.openTab("Board");
    await button("Headers").click();
    await page.getByLabel("Headers").locator(".graphiql-editor:not(.hidden)").click();
    await page.keyboard.type('{"x-playground": "yes"');
    const request = await visitor.execute("Board");
    expect(request.headers()["x-playground"] === "yes", JSON.stringify(request.headers()));
    await page.getByLabel("Headers").locator(".graphiql-editor:not(.hidden)").click();
    await page.keyboard.press("Control+A");
    await page.keyboard.press("Delete");
    await button("Variables").click();
  });

  await check("the token is sent with queries", async () => {
    await button("Show Connection").click();
    await box.fill(`Authorization: Bearer ${TOKEN}`);
    const [introspection] = await Promise.all([
      page.waitForRequest((request) => operationIn(request) === "IntrospectionQuery"),
      button("Use token").click(),
    ]);
    await shows(pane.getByRole("status"), "sent with every request");
    const sent = (await introspection.allHeaders()).authorization;
    expect(sent === `Bearer ${TOKEN}`, `introspection sent ${sent}`);
    expect((await box.getAttribute("type")) === "password", "the token is readable on the screen");
    await visitor.openTab("Board");
    const { authorization } = await (await visitor.execute("Board")).allHeaders();
    expect(authorization === `Bearer ${TOKEN}`, `the header is ${authorization}`);
  });
  await picture("connection");

  await check("the token is sent in connection_init", async () => {
    const [init] = await Promise.all([firstFrame(page), visitor.follow("Live")]);
    const { type, payload } = JSON.parse(init);
    const isAuthorized = type === "connection_init" && payload?.Authorization === `Bearer ${TOKEN}`;
    expect(isAuthorized, `it sent ${init}`);
    await visitor.stop();
  });

  await check("the token survives a reload, in this browser tab only", async () => {
    await visitor.leave();
    await page.reload();
    await visitor.ready();
    await shows(pane, "Bearer token"); // GraphiQL reopens the pane.
    expect((await box.inputValue()) === TOKEN, "it is gone");
    const stored = await page.evaluate(() => JSON.stringify({ ...localStorage }));
    expect(!stored.includes(TOKEN), `localStorage has it: ${stored}`);
    const other = await page.context().newPage();
    await other.goto(`${origin}/graphiql`);
    await other.getByLabel("Operation Editor").waitFor();
    expect((await other.evaluate(() => sessionStorage.length)) === 0, "another tab has it");
    await other.close();
  });

  await check("a token that no header can carry is rejected", async () => {
    await box.fill("two words");
    await button("Use token").click();
    await shows(pane.getByRole("status"), "not a bearer token");
    await button("Remove token").click();
    await shows(pane.getByRole("status"), "removed");
    await visitor.openTab("Board");
    const { authorization } = await (await visitor.execute("Board")).allHeaders();
    expect(authorization === undefined, `the header is ${authorization}`);
    const [init] = await Promise.all([firstFrame(page), visitor.follow("Live")]);
    expect(JSON.parse(init).payload === undefined, `it sent ${init}`);
    await visitor.stop();
  });

  await check("subscriptions use an event stream if it is chosen, with the token", async () => {
    await box.fill(TOKEN);
    await button("Use token").click();
    await pane.getByLabel("Server-sent events").check();
    const [request] = await Promise.all([
      page.waitForRequest((request) => operationIn(request) === "Live"),
      visitor.follow("Live"),
    ]);
    const { accept, authorization } = await request.allHeaders();
    expect(accept === "text/event-stream", `it accepts ${accept}`);
    expect(authorization === `Bearer ${TOKEN}`, `the token is ${authorization}`);
    await shows(responseBar(), /Protocol\s*SSE/);
    await shows(responseBar(), /Events\s*[1-9]/);
  });
  await picture("event-stream");

  await check("an event stream can be stopped, and shows a change from history", async () => {
    await visitor.stop();
    await visitor.openTab("Resume");
    await button("Execute query").click();
    await shows(result(), "position");
    await visitor.stop();
  });

  await check("the chosen transport is kept and can be changed back", async () => {
    await visitor.leave();
    await page.reload();
    await visitor.ready();
    expect(await pane.getByLabel("Server-sent events").isChecked(), "the choice was lost");
    await pane.getByLabel("WebSocket").check();
    await visitor.follow("Live");
    await shows(responseBar(), /Protocol\s*WebSocket/);
    await visitor.stop();
  });
  // The token stays: a later check asserts that share links omit it.
  await button("Hide Connection").click();
}

/** The first frame that the page's next WebSocket sends. */
async function firstFrame(page) {
  const socket = await page.waitForEvent("websocket");
  const { payload } = await socket.waitForEvent("framesent");
  return payload;
}
