// Tests graphql-transport-ws of a running hub with the reference client: node --experimental-websocket protocol.mjs <url>
import { createClient } from "../../web/node_modules/graphql-ws/dist/client.js";

const origin = new URL(process.argv[2]).origin;
const url = `${origin.replace(/^http/, "ws")}/graphql`;
const client = createClient({ url, keepAlive: 50, lazy: false, retryAttempts: 0, onNonLazyError: fail });
setTimeout(() => fail("timed out after 15 s"), 15_000).unref();

let pongs = 0;
client.on("pong", (received) => received && pongs++);

// A query over the socket.
const [head] = await all({ query: "{ head { position cursor } }" });
expect(head.data.head.position === 0, head);

// A request error is sent as `error` and ends the operation.
for (const query of ["{", "{ nothing }", 'subscription { changes(after: "x") { position } }']) {
  const errors = await all({ query }).catch((errors) => errors);
  expect(Array.isArray(errors) && errors[0].message, errors);
}

// Two subscriptions on one socket; one of them resumes.
const query = "subscription Follow($after: String) { changes(after: $after) { position cursor } }";
const variables = { after: head.data.head.cursor };
const one = client.iterate({ query, operationName: "Follow", variables });
const first = one.next();
for (let i = 0; i < 5; i++) await postWebhook(`K${i}`);
const { position, cursor } = (await first).value.data.changes;
expect(position === 1, position);
const two = client.iterate({ query, variables: { after: cursor } });
for (let expected = 2; expected <= 5; expected++) {
  for (const changes of [one, two]) {
    const { value } = await changes.next();
    expect(value.data.changes.position === expected, value);
  }
}
await one.return();
await postWebhook("K5");
const { value } = await two.next();
expect(value.data.changes.position === 6, value);
await new Promise((resolve) => setTimeout(resolve, 150));
expect(pongs > 0, "no pong was received");

// Each protocol violation has its close code.
for (const [expected, ...messages] of [
  [4400, "{}"],
  [4401, JSON.stringify({ id: "1", type: "subscribe", payload: { query: "{ head { position } }" } })],
  [4429, '{"type":"connection_init"}', '{"type":"connection_init"}'],
]) {
  const code = await new Promise((resolve) => {
    const socket = new WebSocket(url, "graphql-transport-ws");
    socket.onopen = () => messages.forEach((message) => socket.send(message));
    socket.onclose = ({ code }) => resolve(code);
  });
  expect(code === expected, `${messages}: ${code}`);
}

await client.dispose();
process.exit(0);

async function all(payload) {
  const results = [];
  for await (const result of client.iterate(payload)) results.push(result);
  return results;
}

async function postWebhook(session_key) {
  const body = JSON.stringify({ event: "SESSION:STATUS_CHANGE", session_key, status: "STARTED" });
  const headers = { "content-type": "application/json" };
  const response = await fetch(`${origin}/webhooks/pave`, { method: "POST", headers, body });
  expect(response.status === 200, response.status);
}

function expect(condition, otherwise) {
  if (!condition) fail(otherwise);
}

function fail(reason) {
  console.error(reason instanceof Error ? reason : JSON.stringify(reason));
  process.exit(1);
}
