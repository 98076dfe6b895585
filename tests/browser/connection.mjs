// The headers of a tab, the token, and the transport of subscriptions.
import { check, expect } from "./report.mjs";
import { operationIn } from "./visitor.mjs";

const TOKEN = "playground-test.token_1";

export async function checkConnection(visitor) {
  const { page, origin, result, answerBar, button, shows, picture } = visitor;
  const pane = page.getByRole("region", { name: "Connection" });
  const box = pane.getByLabel("Bearer token");

  await check("the headers of a tab go with its requests", async () => {
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

  await check("the token goes with queries", async () => {
    await button("Show Connection").click();
    await box.fill(`Authorization: Bearer ${TOKEN}`);
    const [introspection] = await Promise.all([
      page.waitForRequest((request) => operationIn(request) === "IntrospectionQuery"),
      button("Use token").click(),
    ]);
    await shows(pane.getByRole("status"), "goes with every request");
    const asked = (await introspection.allHeaders()).authorization;
    expect(asked === `Bearer ${TOKEN}`, `the schema is asked for with ${asked}`);
    expect((await box.getAttribute("type")) === "password", "the token can be read over the shoulder");
    await visitor.openTab("Board");
    const { authorization } = await (await visitor.execute("Board")).allHeaders();
    expect(authorization === `Bearer ${TOKEN}`, `the header is ${authorization}`);
  });
  await picture("connection");

  await check("the token goes with connection_init", async () => {
    const [init] = await Promise.all([firstFrame(page), visitor.follow("Live")]);
    const { type, payload } = JSON.parse(init);
    const isRight = type === "connection_init" && payload?.Authorization === `Bearer ${TOKEN}`;
    expect(isRight, `it sent ${init}`);
    await visitor.stop();
  });

  await check("the token survives a reload, in this browser tab only", async () => {
    await visitor.leave();
    await page.reload();
    await visitor.ready();
    await shows(pane, "Bearer token"); // GraphiQL opens the pane that was open.
    expect((await box.inputValue()) === TOKEN, "it is gone");
    const stored = await page.evaluate(() => JSON.stringify({ ...localStorage }));
    expect(!stored.includes(TOKEN), `localStorage has it: ${stored}`);
    const other = await page.context().newPage();
    await other.goto(`${origin}/graphiql`);
    await other.getByLabel("Operation Editor").waitFor();
    expect((await other.evaluate(() => sessionStorage.length)) === 0, "another tab has it");
    await other.close();
  });

  await check("what no header can carry is no token", async () => {
    await box.fill("two words");
    await button("Use token").click();
    await shows(pane.getByRole("status"), "no bearer token");
    await button("Forget token").click();
    await shows(pane.getByRole("status"), "forgotten");
    await visitor.openTab("Board");
    const { authorization } = await (await visitor.execute("Board")).allHeaders();
    expect(authorization === undefined, `the header is ${authorization}`);
    const [init] = await Promise.all([firstFrame(page), visitor.follow("Live")]);
    expect(JSON.parse(init).payload === undefined, `it sent ${init}`);
    await visitor.stop();
  });

  await check("subscriptions go over an event stream when that is chosen, with the token", async () => {
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
    await shows(answerBar(), /Over\s*SSE/);
    await shows(answerBar(), /Events\s*[1-9]/);
  });
  await picture("event-stream");

  await check("an event stream can be stopped, and shows a change from history", async () => {
    await visitor.stop();
    await visitor.openTab("Resume");
    await button("Execute query").click();
    await shows(result(), "position");
    await visitor.stop();
  });

  await check("the choice of the transport is kept, and can be undone", async () => {
    await visitor.leave();
    await page.reload();
    await visitor.ready();
    expect(await pane.getByLabel("Server-sent events").isChecked(), "it is not kept");
    await pane.getByLabel("WebSocket").check();
    await visitor.follow("Live");
    await shows(answerBar(), /Over\s*WebSocket/);
    await visitor.stop();
  });
  // The token stays for the check that share links leave it out.
  await button("Hide Connection").click();
}

/** What the next WebSocket of the page says first. */
async function firstFrame(page) {
  const socket = await page.waitForEvent("websocket");
  const { payload } = await socket.waitForEvent("framesent");
  return payload;
}
