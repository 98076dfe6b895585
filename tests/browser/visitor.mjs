// The actions of a visitor of the playground, and what the page shows.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { expect } from "./report.mjs";

const LIMIT = 15_000;

export function visitorOf(page, origin, screenshots) {
  const visitor = {
    page,
    origin,

    editor: () => page.getByLabel("Operation Editor"),
    result: () => page.getByLabel("Result Window"),
    responseBar: () => page.getByLabel("About the response"),
    button: (name) => page.getByRole("button", { name }),

    async shows(place, text, timeout = LIMIT) {
      await place.filter({ hasText: text }).waitFor({ timeout });
    },

    /** Waits until the page has loaded the schema, its last own request. */
    async ready() {
      await page.getByRole("button", { name: "Re-fetch GraphQL schema", disabled: false }).waitFor();
    },

    async openTab(name) {
      await page.getByRole("tab").getByTitle(name, { exact: true }).click();
      await visitor.shows(visitor.editor(), name);
    },

    /** Waits until GraphiQL has stored the current tabs and the active one: leaving the page earlier would lose changes. */
    async leave() {
      await page.waitForFunction(() => {
        const { tabs, activeTabIndex } = JSON.parse(localStorage.getItem("graphiql:tabState") ?? '{"tabs":[]}');
        const shown = [...document.querySelectorAll('[role="tab"]')];
        const front = shown.findIndex((tab) => tab.getAttribute("aria-selected") === "true");
        const isCurrent = activeTabIndex === front && shown.map((tab) => tab.innerText).join() === tabs.map((tab) => tab.title).join();
        const [inFront, stored] = [tabs[activeTabIndex], (name) => localStorage.getItem(`graphiql:${name}`) ?? ""];
        return isCurrent && ["query", "variables"].every((name) => (inFront?.[name] ?? "") === stored(name));
      });
    },

    /** Opens a pane of GraphiQL's sidebar, and closes it afterwards. */
    async inPane(title, run) {
      await visitor.button(`Show ${title}`).click();
      await run();
      await visitor.button(`Hide ${title}`).click();
    },

    /** Runs the active tab's operation and returns its request. */
    async execute(name) {
      const [request] = await Promise.all([
        page.waitForRequest((request) => operationIn(request) === name),
        visitor.button("Execute query").click(),
      ]);
      return request;
    },

    /** Runs the query of a tab and returns its data; errors in the response fail the check. */
    async query(name) {
      await visitor.openTab(name);
      const request = await visitor.execute(name);
      const text = await (await request.response()).text();
      const { data, errors } = JSON.parse(text);
      expect(data && !errors, text);
      await visitor.shows(visitor.result(), "data");
      return data;
    },

    /** Runs the subscription of a tab until it shows a change caused by a webhook. */
    async follow(name) {
      await visitor.openTab(name);
      await visitor.button("Execute query").click();
      await visitor.button("Stop query").waitFor();
      const run = Date.now().toString(36).toUpperCase();
      // The server does not report that a subscription has started, so a webhook can be too early.
      for (let attempt = 1; ; attempt++) {
        const session = `SWP-BROWSER-${run}-${attempt}`;
        await postWebhook(origin, session);
        const seen = await visitor.shows(visitor.result(), session, 3_000).then(() => true, () => false);
        if (seen) return;
        expect(attempt < 5, "none of five webhooks appeared");
      }
    },

    async stop() {
      await visitor.button("Stop query").click();
      await visitor.button("Execute query").waitFor();
    },

    async turn(scheme) {
      await page.emulateMedia({ colorScheme: scheme });
      const theme = scheme === "dark" ? ".vs-dark" : ".vs";
      await visitor.editor().locator(`.monaco-editor${theme}`).first().waitFor();
    },

    async picture(name) {
      if (!screenshots) return;
      mkdirSync(screenshots, { recursive: true });
      for (const scheme of ["dark", "light"]) {
        await visitor.turn(scheme);
        await page.screenshot({ path: join(screenshots, `${name}-${scheme}.png`) });
      }
    },
  };
  return visitor;
}

/** The operation name of a GraphQL request; undefined for any other request. */
export function operationIn(request) {
  const isGraphql = request.method() === "POST" && new URL(request.url()).pathname === "/graphql";
  return isGraphql ? request.postDataJSON()?.operationName : undefined;
}

async function postWebhook(origin, session) {
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
  expect(response.status === 200, `the response to the webhook was ${response.status}`);
}
