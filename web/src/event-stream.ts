// Subscriptions over server-sent events: one POST each, answered by a stream (graphql-sse, distinct connections mode).
import { createClient } from "graphql-sse";
import type { ExecutionResult } from "graphql";
import { API } from "./address";
import { marked, unmarked } from "./exact";
import type { Transport } from "./fetcher";
import { failure, read } from "./http";

/** The hub's answer where it is no stream and never will be. */
class Refused extends Error {
  constructor(readonly answer: ExecutionResult) {
    super("refused");
  }
}

const RETRIES = 5;

export const eventStream: Transport = (request, headers, listener) => {
  let refused: Refused | undefined;
  let over = false;
  const client = createClient({
    url: API,
    headers,
    retryAttempts: RETRIES,
    fetchFn: async (url: string, init: RequestInit) => {
      const response = await fetch(url, init);
      if (/^text\/event-stream/i.test(response.headers.get("content-type") ?? "")) return withMarkedNumbers(response);
      const answer = read(response, await response.text());
      // A hub that restarts or is full may take the same request a little later.
      const later = response.status >= 500 || response.status === 429;
      if (!later) refused = new Refused(answer);
      throw new Error(`The hub answered with HTTP ${response.status}`);
    },
    retry: async (retries: number) => {
      if (refused) throw refused;
      listener.lost(failure("The connection was lost. Changes show again as soon as it is back."));
      await new Promise((resume) => setTimeout(resume, 1000 * 2 ** retries + 1000 * Math.random()));
    },
  });
  const unsubscribe = client.subscribe(request, {
    next: (result) => listener.next(unmarked(result as ExecutionResult)),
    error: (reason) => {
      if (over) return;
      if (reason instanceof Refused) listener.end(reason.answer);
      else listener.end(failure(`The connection failed: ${reason instanceof Error ? reason.message : reason}.`));
    },
    complete: () => {
      if (!over) listener.end();
    },
  });
  return () => {
    over = true;
    unsubscribe();
  };
};

/** The library parses the events by itself, so what it would round is marked before. The hub sends an event's data in one line. */
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
