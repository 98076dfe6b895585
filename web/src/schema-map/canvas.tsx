// The diagram: types can be clicked, selected by keyboard and zoomed.
import {
  Controls,
  Handle,
  MarkerType,
  Position,
  ReactFlow,
  useReactFlow,
  type Edge,
  type Node,
  type NodeProps,
} from "@xyflow/react";
import { useEffect, useMemo } from "react";
import type { Graph, TypeNode } from "./graph";
import { HEIGHT, layoutGraph, WIDTH, type Line, type View } from "./view";

type Drawn = Node<{ type: TypeNode }, "type">;

const NODE_TYPES = { type: TypeBox };
const ARROW = { type: MarkerType.ArrowClosed, width: 14, height: 14, color: "currentColor" };

type Props = { graph: Graph; chosen: string | null; large: boolean; choose: (name: string) => void };

export function Canvas({ graph, chosen, large, choose }: Props) {
  const { fitView } = useReactFlow();
  const view = useMemo(() => layoutGraph(graph, chosen), [graph, chosen]);
  const nodes = useMemo(() => nodesOf(graph, view, chosen), [graph, view, chosen]);
  const edges = useMemo(() => view.lines.map((line) => edgeOf(line, chosen !== null)), [view, chosen]);

  // Refits the view when the selection or the available space changes.
  useEffect(() => {
    const frame = requestAnimationFrame(() => void fitView({ padding: 0.06, maxZoom: 1.1, duration: 200 }));
    return () => cancelAnimationFrame(frame);
  }, [view, large, fitView]);

  return (
    <ReactFlow
      nodes={nodes}
      edges={edges}
      nodeTypes={NODE_TYPES}
      onNodesChange={(changes) => {
        for (const change of changes) if (change.type === "select" && change.selected) choose(change.id);
      }}
      nodesDraggable={false}
      nodesConnectable={false}
      edgesFocusable={false}
      deleteKeyCode={null}
      multiSelectionKeyCode={null}
      selectionKeyCode={null}
      minZoom={0.05}
      fitView
      aria-label="Types of the schema"
    >
      <Controls showInteractive={false} />
    </ReactFlow>
  );
}

function nodesOf(graph: Graph, { places }: View, chosen: string | null): Drawn[] {
  return [...places].flatMap(([id, position]) => {
    const type = graph.types.get(id);
    if (!type) return [];
    const size = { width: WIDTH, height: HEIGHT };
    const ariaLabel = `${id}, ${type.kind}`;
    return { id, type: "type", position, ...size, data: { type }, selected: id === chosen, ariaLabel };
  });
}

function edgeOf({ left, right, forth, back }: Line, withLabel: boolean): Edge {
  return {
    id: `${left} ${right}`,
    source: left,
    target: right,
    className: forth.length ? undefined : "implements",
    label: withLabel ? [forth, back].map(labelOf).filter(Boolean).join(" ⇄ ") || undefined : undefined,
    labelBgPadding: [4, 2],
    markerEnd: withLabel ? ARROW : undefined,
    markerStart: withLabel && back ? { ...ARROW, orient: "auto-start-reverse" } : undefined,
  };
}

/** Short enough to fit between two types. */
function labelOf([first = "", ...more]: string[] = []): string {
  return more.length ? `${first} +${more.length}` : first;
}

function TypeBox({ data: { type } }: NodeProps<Drawn>) {
  return (
    <div className={`type-box ${type.kind}`}>
      <Handle type="target" position={Position.Left} />
      <strong>{type.name}</strong>
      <span>
        {type.kind}
        {type.fields.length > 0 && `, ${type.fields.length} ${type.kind === "enum" ? "values" : "fields"}`}
      </span>
      <Handle type="source" position={Position.Right} />
    </div>
  );
}
