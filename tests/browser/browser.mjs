// Chromium with an empty profile that can reach only the given origins, and a record of all errors.
import { chromium } from "playwright-core";

export async function openBrowser(...origins) {
  const browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      `--host-resolver-rules=MAP * ~NOTFOUND, ${origins.map((origin) => `EXCLUDE ${new URL(origin).hostname}`).join(", ")}`,
    ],
  });
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, colorScheme: "light" });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);

  const foreignRequests = [];
  const isOurs = (url) => origins.some((origin) => new URL(url).host === new URL(origin).host);
  await context.route("**/*", (route) => {
    if (isOurs(route.request().url())) return route.continue();
    foreignRequests.push(route.request().url());
    return route.abort();
  });
  page.on("websocket", (socket) => isOurs(socket.url()) || foreignRequests.push(socket.url()));

  const errors = [];
  page.on("pageerror", (error) => errors.push(`uncaught: ${error.message}`));
  page.on("crash", () => errors.push("the page crashed"));
  page.on("console", (message) => {
    const violation = /Content Security Policy/i.test(message.text());
    if (message.type() === "error" || violation) errors.push(`console: ${message.text()}`);
  });
  page.on("response", (response) => {
    if (response.status() >= 400) errors.push(`HTTP ${response.status()}: ${response.url()}`);
  });
  page.on("requestfailed", (request) => {
    const reason = request.failure()?.errorText;
    // Leaving a page aborts its pending requests.
    if (reason !== "net::ERR_ABORTED") errors.push(`${reason}: ${request.url()}`);
  });

  return { page, foreignRequests, errors, close: () => browser.close() };
}
