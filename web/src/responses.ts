// Statistics of each tab's last response: protocol, time, size, number of events, cost.
import type { ExecutionResult } from "graphql";
import { create } from "zustand";

export type ProtocolName = "HTTP" | "WebSocket" | "SSE";

/** `extensions.cost`, in the hub's unit. */
export type Cost = { requested?: number; actual?: number; available?: number };

export type ResponseStats = {
  protocol: ProtocolName;
  /** Until the response, or the first event, arrived. */
  milliseconds?: number;
  /** Of the response, or of the newest event. */
  bytes?: number;
  /** Zero for anything but a subscription. */
  events: number;
  cost?: Cost;
};

type ResponseState = { activeTab: string; byTab: Record<string, ResponseStats> };

export const useResponses = create<ResponseState>(() => ({ activeTab: "", byTab: {} }));

/** Measures one request, for the tab that is active when it starts. */
export type RequestTimer = {
  responded(result: ExecutionResult, bytes: number): void;
  /** Counts an event. Cheap, because a backfill delivers thousands a second; `draw` shows the newest. */
  received(result: ExecutionResult): void;
  draw(): void;
};

export function startRequestTimer(protocol: ProtocolName): RequestTimer {
  const tab = useResponses.getState().activeTab;
  const started = performance.now();
  const elapsed = () => performance.now() - started;
  let stats: ResponseStats = { protocol, events: 0 };
  let newest: ExecutionResult | undefined;
  const show = () => useResponses.setState(({ byTab }) => ({ byTab: { ...byTab, [tab]: stats } }));
  show();
  return {
    responded(result, bytes) {
      stats = { ...stats, milliseconds: elapsed(), bytes, cost: costOf(result) };
      show();
    },
    received(result) {
      stats = { ...stats, events: stats.events + 1, milliseconds: stats.milliseconds ?? elapsed() };
      newest = result;
    },
    draw() {
      if (!newest) return;
      const bytes = new TextEncoder().encode(JSON.stringify(newest)).length;
      stats = { ...stats, bytes, cost: costOf(newest) ?? stats.cost };
      newest = undefined;
      show();
    },
  };
}

function costOf({ extensions }: ExecutionResult): Cost | undefined {
  const cost = extensions?.cost;
  if (typeof cost !== "object" || cost === null) return undefined;
  const number = (name: keyof Cost) => {
    const value = (cost as Record<string, unknown>)[name];
    return typeof value === "number" ? value : undefined;
  };
  return { requested: number("requested"), actual: number("actual"), available: number("available") };
}
