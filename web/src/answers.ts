// What the page knows of each tab's last answer besides its content: way, time, size, number of events, cost.
import type { ExecutionResult } from "graphql";
import { create } from "zustand";

export type ProtocolName = "HTTP" | "WebSocket" | "SSE";

/** `extensions.cost`, in the hub's unit. */
export type Cost = { requested?: number; actual?: number; available?: number };

export type Answer = {
  way: ProtocolName;
  /** Until the answer was there, or the first event. */
  milliseconds?: number;
  /** Of the answer, or of the newest event. */
  bytes?: number;
  /** Zero for anything but a subscription. */
  events: number;
  cost?: Cost;
};

type Answers = { activeTab: string; ofTab: Record<string, Answer> };

export const useResponses = create<Answers>(() => ({ activeTab: "", ofTab: {} }));

/** Measures one request, for the tab that is active as it starts. */
export type RequestTimer = {
  answered(result: ExecutionResult, bytes: number): void;
  /** An event came. Cheap, for a replay brings thousands a second; `draw` shows the newest. */
  followed(result: ExecutionResult): void;
  draw(): void;
};

export function startRequestTimer(way: ProtocolName): RequestTimer {
  const tab = useResponses.getState().activeTab;
  const started = performance.now();
  const elapsed = () => performance.now() - started;
  let answer: Answer = { way, events: 0 };
  let newest: ExecutionResult | undefined;
  const show = () => useResponses.setState(({ ofTab }) => ({ ofTab: { ...ofTab, [tab]: answer } }));
  show();
  return {
    answered(result, bytes) {
      answer = { ...answer, milliseconds: elapsed(), bytes, cost: costOf(result) };
      show();
    },
    followed(result) {
      answer = { ...answer, events: answer.events + 1, milliseconds: answer.milliseconds ?? elapsed() };
      newest = result;
    },
    draw() {
      if (!newest) return;
      const bytes = new TextEncoder().encode(JSON.stringify(newest)).length;
      answer = { ...answer, bytes, cost: costOf(newest) ?? answer.cost };
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
