// How the page talks to the hub: queries over HTTP, subscriptions over one WebSocket, which connects
// when the first one starts. What goes wrong on the way is shown like any other GraphQL error.
import type { GraphiQLProps } from "graphiql";
import { getOperationAST, GraphQLError, parse, type ExecutionResult } from "graphql";
import { createClient } from "graphql-ws";

type Fetcher = GraphiQLProps["fetcher"];
type Request = Parameters<Fetcher>[0];
type Observable = Extract<Awaited<ReturnType<Fetcher>>, { subscribe: unknown }>;
type Sink = { next(result: ExecutionResult): void; complete(): void };

const socket = createClient({
  url: `${location.origin.replace(/^http/, "ws")}/graphql`,
  // By default only a connection that once stood is tried again, and a hub that restarts refuses some.
  shouldRetry: () => true,
});

export const fetcher: Fetcher = (request, options) => {
  const operation = operationOf(request);
  const named = { ...request, operationName: operation?.name?.value };
  return operation?.operation === "subscription" ? follow(named) : post(named, options?.headers);
};

/** GraphiQL notices a switch of tabs a moment late: the name it gives can be that of the tab before. */
function operationOf({ query, operationName }: Request) {
  try {
    const document = parse(query);
    return getOperationAST(document, operationName) ?? getOperationAST(document);
  } catch {
    return null; // The hub will say what is wrong with the text.
  }
}

async function post(request: Request, headers?: Record<string, string>): Promise<ExecutionResult> {
  try {
    const response = await fetch("/graphql", {
      method: "POST",
      headers: {
        accept: "application/graphql-response+json, application/json;q=0.9",
        "content-type": "application/json",
        ...headers,
      },
      body: JSON.stringify(request),
    });
    return await read(response);
  } catch (reason) {
    return failure(`The hub did not answer: ${reason instanceof Error ? reason.message : reason}`);
  }
}

/** Outside GraphQL the hub answers with problem details (RFC 9457), a proxy in between with anything. */
async function read(response: Response): Promise<ExecutionResult> {
  const type = response.headers.get("content-type") ?? "";
  if (/^application\/(graphql-response\+)?json/.test(type)) return response.json();
  if (!type.startsWith("application/problem+json")) return failure(`HTTP ${response.status}: ${await response.text()}`);
  const { title, detail } = await response.json();
  return failure(`HTTP ${response.status}: ${[title, detail].filter(Boolean).join(". ")}`);
}

function follow(request: Request): Observable {
  return {
    subscribe(sink: Sink) {
      // GraphiQL shows one message at a time, so a fast replay is drawn once a frame.
      let newest: ExecutionResult | undefined;
      const draw = () => {
        if (newest) sink.next(newest);
        newest = undefined;
      };
      const show = (result: ExecutionResult) => {
        if (!newest) requestAnimationFrame(draw);
        newest = result;
      };
      const end = () => {
        ignoreLosses();
        draw();
        sink.complete();
      };
      const ignoreLosses = socket.on("closed", (event) => {
        show(failure(`${closing(event)}. Changes show again as soon as it is back.`));
      });
      const unsubscribe = socket.subscribe(request, {
        next: (result) => show(result as ExecutionResult),
        error: (reason) => {
          show(Array.isArray(reason) ? { errors: reason } : failure(`${closing(reason)}.`));
          end();
        },
        complete: end,
      });
      return {
        unsubscribe() {
          ignoreLosses();
          newest = undefined;
          unsubscribe();
        },
      };
    },
  } as Observable;
}

function closing(event: unknown): string {
  if (event instanceof Error) return `The connection failed: ${event.message}`;
  if (!(event instanceof CloseEvent)) return "The connection failed";
  return `The connection was closed (${[event.code, event.reason].filter(Boolean).join(" ")})`;
}

function failure(message: string): ExecutionResult {
  return { errors: [new GraphQLError(message)] };
}
