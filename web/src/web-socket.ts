// Subscriptions over graphql-transport-ws. Each has its own connection, because the token and the headers of its tab are
// sent when the connection is opened.
import { createClient } from "graphql-ws";
import type { ExecutionResult } from "graphql";
import { API } from "./urls";
import { exact } from "./exact-numbers";
import type { Transport } from "./fetcher";
import { failure } from "./http";

export const webSocket: Transport = (request, headers, listener) => {
  const client = createClient({
    url: `${location.origin.replace(/^http/, "ws")}${API}`,
    connectionParams: Object.keys(headers).length ? headers : undefined,
    // By default a connection that was never established is not retried, and a restarting hub refuses connections.
    shouldRetry: () => true,
    jsonMessageReviver: exact,
  });
  let ended = false;
  client.on("closed", (event) => {
    if (!ended) listener.lost(failure(`${closing(event)}. Reconnecting: changes appear again when it is back.`));
  });
  const end = (last?: ExecutionResult) => {
    if (!ended) listener.end(last);
    ended = true;
  };
  const unsubscribe = client.subscribe(request, {
    next: (result) => listener.next(result as ExecutionResult),
    error: (reason) => end(Array.isArray(reason) ? { errors: reason } : failure(`${closing(reason)}.`)),
    complete: () => end(),
  });
  return () => {
    ended = true;
    unsubscribe();
  };
};

function closing(event: unknown): string {
  if (event instanceof Error) return `The connection failed: ${event.message}`;
  if (!(event instanceof CloseEvent)) return "The connection failed";
  return `The connection was closed (${[event.code, event.reason].filter(Boolean).join(" ")})`;
}
