// The line below an answer: how it came, how long it took, how big it is, what it cost.
import { useGraphiQL } from "@graphiql/react";
import { useEffect, type ReactNode } from "react";
import { useResponses, type Answer, type Cost } from "./responses";

export function AnswerBar() {
  const tab = useGraphiQL(({ tabs, activeTabIndex }) => tabs[activeTabIndex]?.id ?? "");
  useEffect(() => useResponses.setState({ activeTab: tab }), [tab]);
  const answer = useResponses(({ ofTab }) => ofTab[tab]);
  return (
    <dl className="answer-bar" aria-label="About the answer">
      {answer ? <Facts {...answer} /> : <Fact name="Answer">none yet</Fact>}
    </dl>
  );
}

function Facts({ way, milliseconds, bytes, events, cost }: Answer) {
  const follows = way !== "HTTP";
  return (
    <>
      <Fact name="Over">{way}</Fact>
      {follows && <Fact name="Events">{count(events)}</Fact>}
      {milliseconds !== undefined && <Fact name={follows ? "First after" : "Time"}>{time(milliseconds)}</Fact>}
      {bytes !== undefined && <Fact name={follows ? "Newest" : "Size"}>{size(bytes)}</Fact>}
      {cost && <Fact name="Cost">{price(cost)}</Fact>}
    </>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function price({ requested, actual, available }: Cost): string {
  const parts = [];
  if (requested !== undefined) parts.push(count(requested));
  if (actual !== undefined) parts.push(`${count(actual)} used`);
  if (available !== undefined) parts.push(`${count(available)} available`);
  return parts.join(", ");
}

function time(milliseconds: number): string {
  return milliseconds < 10_000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}

function size(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  return bytes < 1_000_000 ? `${(bytes / 1000).toFixed(1)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}

function count(number: number): string {
  return number.toLocaleString("en");
}
