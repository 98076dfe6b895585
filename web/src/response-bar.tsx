// The line below a response: its protocol, time, size and cost.
import { useGraphiQL } from "@graphiql/react";
import { useEffect, type ReactNode } from "react";
import { useResponses, type Cost, type ResponseStats } from "./responses";

export function ResponseBar() {
  const tab = useGraphiQL(({ tabs, activeTabIndex }) => tabs[activeTabIndex]?.id ?? "");
  useEffect(() => useResponses.setState({ activeTab: tab }), [tab]);
  const stats = useResponses(({ byTab }) => byTab[tab]);
  return (
    <dl className="response-bar" aria-label="About the response">
      {stats ? <Facts {...stats} /> : <Fact name="Response">none yet</Fact>}
    </dl>
  );
}

function Facts({ protocol, milliseconds, bytes, events, cost }: ResponseStats) {
  const isSubscription = protocol !== "HTTP";
  return (
    <>
      <Fact name="Protocol">{protocol}</Fact>
      {isSubscription && <Fact name="Events">{count(events)}</Fact>}
      {milliseconds !== undefined && <Fact name={isSubscription ? "First event after" : "Time"}>{time(milliseconds)}</Fact>}
      {bytes !== undefined && <Fact name={isSubscription ? "Newest event" : "Size"}>{size(bytes)}</Fact>}
      {cost && <Fact name="Cost">{costText(cost)}</Fact>}
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

function costText({ requested, actual, available }: Cost): string {
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
