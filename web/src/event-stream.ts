// Subscriptions over server-sent events: one POST each, with a stream as its response (graphql-sse, distinct connections mode).
import { createClient } from "graphql-sse";
import type { ExecutionResult } from "graphql";
import { API } from "./urls";
import { marked, unmarked } from "./exact-numbers";
import type { Transport } from "./fetcher";
import { failure, read } from "./http";

/** A final response of the hub that is not a stream: a retry would not help. */
class Rejected extends Error {
  constructor(readonly result: ExecutionResult) {
    super("rejected");
  }
}

const RETRIES = 5;

export const eventStream: Transport = (request, headers, listener) => {
  let rejected: Rejected | undefined;
  let ended = false;
  const client = createClient({
    url: API,
    headers,
    retryAttempts: RETRIES,
    fetchFn: async (url: string, init: RequestInit) => {
      const response = await fetch(url, init);
      if (/^text\/event-stream/i.test(response.headers.get("content-type") ?? "")) return withMarkedNumbers(response);
      const result = read(response, await response.text());
      // A hub that restarts or is at a limit may accept the same request later.
      const canRetry = response.status >= 500 || response.status === 429;
      if (!canRetry) rejected = new Rejected(result);
      throw new Error(`The hub answered with HTTP ${response.status}`);
    },
    retry: async (retries: number) => {
      if (rejected) throw rejected;
      listener.lost(failure("The connection was lost. Reconnecting: changes appear again when it is back."));
      await new Promise((resume) => setTimeout(resume, 1000 * 2 ** retries + 1000 * Math.random()));
    },
  });
  const unsubscribe = client.subscribe(request, {
    next: (result) => listener.next(unmarked(result as ExecutionResult)),
    error: (reason) => {
      if (ended) return;
      if (reason instanceof Rejected) listener.end(reason.result);
      else listener.end(failure(`The connection failed: ${reason instanceof Error ? reason.message : reason}.`));
    },
    complete: () => {
      if (!ended) listener.end();
    },
  });
  return () => {
    ended = true;
    unsubscribe();
  };
};

/** graphql-sse parses the events itself, so large numbers are marked first. The hub sends the data of an event in one line. */
function withMarkedNumbers(response: Response): Response {
  let rest = "";
  const mark = new TransformStream<string, string>({
    transform(chunk, out) {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      out.enqueue(lines.map((line) => `${markedLine(line)}\n`).join(""));
    },
    flush(out) {
      if (rest) out.enqueue(rest);
    },
  });
  const body = response.body?.pipeThrough(new TextDecoderStream()).pipeThrough(mark).pipeThrough(new TextEncoderStream());
  return new Response(body, { status: response.status, headers: response.headers });
}

function markedLine(line: string): string {
  const json = line.startsWith("data: ") ? line.slice("data: ".length) : "";
  return json ? `data: ${marked(json)}` : line;
}
