// Integers beyond 53 bits are shown exactly, over every transport.
import { check } from "./report.mjs";
import { pack } from "./sharing.mjs";

const SESSION = "SWP-NUMBERS";
const NUMBERS = ["9223372036854775807", "-9223372036854775808", "9007199254740993"];

export async function checkNumbers(visitor) {
  const { page, origin, editor, result, responseBar, button, shows } = visitor;
  const pane = page.getByRole("region", { name: "Connection" });
  const body = `{ "event": "SESSION:STATUS_CHANGE", "session_key": "${SESSION}", "status": "STARTED",
    "timestamp": "2026-01-01T00:00:00+00:00", ${NUMBERS.map((number, place) => `"number${place}": ${number}`)} }`;
  await fetch(`${origin}/webhooks/pave`, { method: "POST", headers: { "content-type": "application/json" }, body });
  const { data } = await fetchGraphql(origin, "{ head { oldestCursor } }");
  const open = async (query, name) => {
    const fragment = await pack({ query });
    await page.evaluate((fragment) => { location.hash = fragment; }, fragment);
    await shows(editor(), name);
    await button("Execute query").click();
  };
  const areShown = async () => {
    for (const number of NUMBERS) await shows(result(), number);
  };

  await check("a large number is shown exactly over HTTP", async () => {
    const one = `inspectionByExternalId(source: "pave", externalId: "${SESSION}")`;
    await open(`query Numbers { ${one} { sessions { nodes { details } } } }`, "Numbers");
    await areShown();
  });

  const follow = `sessionChanged(after: "${data.head.oldestCursor}", filter: { externalId: "${SESSION}" })`;
  await check("a large number is shown exactly over a WebSocket", async () => {
    await open(`subscription Followed { ${follow} { session { details } } }`, "Followed");
    await areShown();
    await shows(responseBar(), /Protocol\s*WebSocket/);
    await visitor.stop();
  });

  await check("a large number is shown exactly over an event stream", async () => {
    await button("Show Connection").click();
    await pane.getByLabel("Server-sent events").check();
    await open(`subscription Streamed { ${follow} { session { details } } }`, "Streamed");
    await areShown();
    await shows(responseBar(), /Protocol\s*SSE/);
    await visitor.stop();
    await pane.getByLabel("WebSocket").check();
    await button("Hide Connection").click();
  });
}

async function fetchGraphql(origin, query) {
  const headers = { "content-type": "application/json" };
  const response = await fetch(`${origin}/graphql`, { method: "POST", headers, body: JSON.stringify({ query }) });
  return response.json();
}
