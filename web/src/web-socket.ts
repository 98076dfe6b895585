// Subscriptions over graphql-transport-ws. Each has a connection of its own, because the token and the headers of its
// tab are told when a connection is opened.
import { createClient } from "graphql-ws";
import type { ExecutionResult } from "graphql";
import { API } from "./address";
import { exact } from "./exact";
import type { Transport } from "./fetcher";
import { failure } from "./http";

export const webSocket: Transport = (request, headers, listener) => {
  const client = createClient({
    url: `${location.origin.replace(/^http/, "ws")}${API}`,
    connectionParams: Object.keys(headers).length ? headers : undefined,
    // By default only a connection that once stood is tried again, and a hub that restarts refuses some.
    shouldRetry: () => true,
    jsonMessageReviver: exact,
  });
  let over = false;
  client.on("closed", (event) => {
    if (!over) listener.lost(failure(`${closing(event)}. Changes show again as soon as it is back.`));
  });
  const end = (last?: ExecutionResult) => {
    if (!over) listener.end(last);
    over = true;
  };
  const unsubscribe = client.subscribe(request, {
    next: (result) => listener.next(result as ExecutionResult),
    error: (reason) => end(Array.isArray(reason) ? { errors: reason } : failure(`${closing(reason)}.`)),
    complete: () => end(),
  });
  return () => {
    over = true;
    unsubscribe();
  };
};

function closing(event: unknown): string {
  if (event instanceof Error) return `The connection failed: ${event.message}`;
  if (!(event instanceof CloseEvent)) return "The connection failed";
  return `The connection was closed (${[event.code, event.reason].filter(Boolean).join(" ")})`;
}
