// Sends requests to the hub: queries over HTTP, subscriptions over the chosen transport.
import type { GraphiQLProps } from "graphiql";
import type { ExecutionResult } from "graphql";
import { startRequestTimer, type RequestTimer } from "./responses";
import { useConnection, withToken } from "./connection";
import { eventStream } from "./event-stream";
import { post } from "./http";
import { operationOf } from "./operation";
import { webSocket } from "./web-socket";

type Fetcher = GraphiQLProps["fetcher"];
type Observable = Extract<Awaited<ReturnType<Fetcher>>, { subscribe: unknown }>;
type Sink = { next(result: ExecutionResult): void; complete(): void };

export type Request = {
  query: string;
  variables?: Record<string, unknown>;
  operationName?: string;
  extensions?: Record<string, unknown>;
};

/** The events of a subscription. Nothing follows `end`. */
export type Listener = {
  next(result: ExecutionResult): void;
  /** The connection was lost; the transport reconnects. */
  lost(result: ExecutionResult): void;
  end(last?: ExecutionResult): void;
};

/** Starts a subscription and returns a function that stops it. */
export type Transport = (request: Request, headers: Record<string, string>, listener: Listener) => () => void;

export const fetcher: Fetcher = (request, options) => {
  const operation = operationOf(request.query, request.operationName);
  const isIntrospection = request.operationName === "IntrospectionQuery";
  const named: Request = {
    query: request.query,
    variables: request.variables,
    operationName: operation?.name?.value,
    // Asks the hub to report the cost.
    extensions: isIntrospection ? undefined : { cost: true },
  };
  const headers = withToken(options?.headers);
  if (operation?.operation === "subscription") {
    const overSse = useConnection.getState().transport === "sse";
    return subscribe(overSse ? eventStream : webSocket, named, headers, startRequestTimer(overSse ? "SSE" : "WebSocket"));
  }
  return post(named, headers, isIntrospection ? undefined : startRequestTimer("HTTP"));
};

function subscribe(transport: Transport, request: Request, headers: Record<string, string>, timer: RequestTimer): Observable {
  return {
    subscribe(sink: Sink) {
      // GraphiQL shows one message at a time, so a fast backfill is drawn once per frame.
      let newest: ExecutionResult | undefined;
      const draw = () => {
        if (newest) sink.next(newest);
        newest = undefined;
        timer.draw();
      };
      const show = (result: ExecutionResult) => {
        if (!newest) requestAnimationFrame(draw);
        newest = result;
      };
      const stop = transport(request, headers, {
        next(result) {
          timer.received(result);
          show(result);
        },
        lost: show,
        end(last) {
          if (last) newest = last;
          draw();
          sink.complete();
        },
      });
      return {
        unsubscribe() {
          newest = undefined;
          stop();
        },
      };
    },
  } as Observable;
}
