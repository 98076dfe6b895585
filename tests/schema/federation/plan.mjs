// node plan.mjs < QUESTION: composes the hub with the subgraph "claims", and tells what a router then asks the hub.
//
// The question is JSON: `sdl`, the hub's `_service { sdl }`, and `query`, to the supergraph. The answer is JSON: the
// queries that go to the hub, each with the representation it needs. Exits with 1, and says why, if the two do not compose.
// The libraries are Apollo's own (Elastic-2.0, which allows this: they run in tests and are not part of the hub).
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { composeServices } from "@apollo/composition";
import { operationFromDocument, Supergraph } from "@apollo/federation-internals";
import { QueryPlanner } from "@apollo/query-planner";
import { parse } from "graphql";

const { sdl, query } = JSON.parse(readFileSync(0, "utf8"));
const claims = readFileSync(join(import.meta.dirname, "claims.graphql"), "utf8");
const composed = composeServices([
  { name: "hub", url: "http://hub.example/graphql", typeDefs: parse(sdl) },
  { name: "claims", url: "http://claims.example/graphql", typeDefs: parse(claims) },
]);
if (composed.errors) {
  for (const error of composed.errors) console.error(error.message);
  process.exit(1);
}
const supergraph = Supergraph.build(composed.supergraphSdl);
const plan = new QueryPlanner(supergraph).buildQueryPlan(operationFromDocument(supergraph.apiSchema(), parse(query)));
const toHub = fetches(plan.node).filter((fetch) => fetch.serviceName === "hub");
console.log(JSON.stringify(toHub.map(({ operation, requires }) => ({ operation, requires: requires ?? null }))));

function fetches(node) {
  if (!node) return [];
  if (node.kind === "Fetch") return [node];
  return [node.node, ...(node.nodes ?? [])].flatMap(fetches);
}
