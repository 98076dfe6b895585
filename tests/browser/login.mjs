// Uses the playground of a hub at which people log in: node login.mjs <address of the hub> <address of the provider>
import { openBrowser } from "./browser.mjs";
import { check, expect, finish } from "./report.mjs";
import { visitorOf } from "./visitor.mjs";

const [url, provider] = process.argv.slice(2);
if (!provider) {
  console.error("usage: node login.mjs <address of the hub> <address of the provider>");
  process.exit(2);
}
const origin = new URL(url).origin;
const { page, foreignRequests, errors, close } = await openBrowser(origin, provider);
const visitor = visitorOf(page, origin);
const { button, shows } = visitor;
const pane = page.getByRole("region", { name: "Connection" });
const session = async () => (await page.context().cookies()).find(({ name }) => name === "__Host-hub_session");

async function logIn() {
  await page.locator("input[name=login]").fill("ada");
  await page.locator("input[name=password]").fill("any");
  await page.locator("button[type=submit]").click();
  await page.locator("button[type=submit]", { hasText: "Continue" }).click();
}

await check("the playground leads to the provider, and back", async () => {
  await page.goto(`${origin}/graphiql`);
  await logIn();
  await page.waitForURL(`${origin}/graphiql`);
  await visitor.ready();
  const { httpOnly, secure, sameSite, path, domain } = await session();
  const found = [httpOnly, secure, sameSite, path, domain].join();
  expect(found === "true,true,Lax,/,localhost", found);
  expect((await page.evaluate(() => document.cookie)) === "", "scripts can read a cookie");
});

await check("a person that has logged in queries and subscribes, over both transports", async () => {
  const { inspections } = await visitor.query("Board");
  expect(inspections.nodes.length > 0, "there are no inspections");
  await button("Show Connection").click();
  for (const transport of ["WebSocket", "Server-sent events"]) {
    await pane.getByLabel(transport).check();
    await visitor.follow("Live");
    await visitor.stop();
  }
});

await check("the person is shown, and logs out", async () => {
  await shows(pane.getByRole("form", { name: "Session" }), `${provider}#ada`);
  await visitor.leave();
  await button("Log out").click();
  await page.waitForURL(`${provider}/session/end?**`);
  await page.locator("button[value=yes]").click();
  await page.waitForURL(`${origin}/logout`);
  await shows(page.locator("body"), "You are logged out");
  expect(!(await session()), "there is a session");
});

await check("after that, the provider asks for the password again", async () => {
  await page.getByRole("link", { name: "Log in" }).click();
  await logIn();
  await page.waitForURL(`${origin}/graphiql`);
  expect(await session(), "there is no session");
});

// The provider's own pages name a font of another host.
const isFont = (text) => text.includes("fonts.googleapis.com");
const foreign = foreignRequests.filter((address) => !isFont(address));
await check("no request to another host", () => expect(!foreign.length, foreign.join("\n")));
const others = errors.filter((error) => !isFont(error) && !error.includes("ERR_FAILED"));
await check("no errors on the console", () => expect(!others.length, others.join("\n")));
await close();
finish();
