// Layout of the graph: all types in layers, or one type between the types that refer to it and those it refers to.
import * as dagre from "@dagrejs/dagre";
import type { Graph } from "./graph";

export const WIDTH = 190;
export const HEIGHT = 46;

/** One line for all references between two types, in both directions. */
export type Line = { left: string; right: string; forth: string[]; back?: string[] };

export type View = { places: Map<string, { x: number; y: number }>; lines: Line[] };

export function layoutGraph(graph: Graph, chosen: string | null): View {
  const lines = linesOf(graph).filter(({ left, right }) => chosen === null || left === chosen || right === chosen);
  const near = [chosen ?? "", ...lines.flatMap(({ left, right }) => [left, right])];
  const drawn = chosen === null ? [...graph.types.keys()] : [...new Set(near)];
  const plan = new dagre.graphlib.Graph();
  plan.setGraph({ rankdir: "LR", nodesep: 14, ranksep: chosen === null ? 110 : 190 });
  plan.setDefaultEdgeLabel(() => ({}));
  for (const name of drawn) plan.setNode(name, { width: WIDTH, height: HEIGHT });
  for (const { left, right } of lines) if (left !== right) plan.setEdge(left, right);
  dagre.layout(plan);
  const places = drawn.map((name) => {
    const { x, y } = plan.node(name);
    return [name, { x: x - WIDTH / 2, y: y - HEIGHT / 2 }] as const;
  });
  return { places: new Map(places), lines };
}

/** References in both directions are drawn from the type that the schema lists first. */
function linesOf({ edges }: Graph): Line[] {
  const lines = new Map<string, Line>();
  for (const { source, target, fields } of edges) {
    const known = source === target ? undefined : lines.get(`${target} ${source}`);
    if (known) known.back = fields;
    else lines.set(`${source} ${target}`, { left: source, right: target, forth: fields });
  }
  return [...lines.values()];
}
