// The schema as a diagram, with a search above and the chosen type below.
import { Spinner, useGraphiQL } from "@graphiql/react";
import { ReactFlowProvider } from "@xyflow/react";
import "@xyflow/react/dist/base.css";
import { useEffect, useMemo, useState } from "react";
import { Canvas } from "./canvas";
import { Details } from "./details";
import { buildGraph } from "./graph";
import { Search } from "./search";
import "./schema-map.css";

export default function SchemaMap() {
  const schema = useGraphiQL((state) => state.schema);
  const [withInputs, setWithInputs] = useState(false);
  const [large, setLarge] = useState(false);
  // Null for all types.
  const [chosen, choose] = useState<string | null>(schema?.getQueryType()?.name ?? "Query");
  const graph = useMemo(() => (schema ? buildGraph(schema, withInputs) : null), [schema, withInputs]);

  useEffect(() => {
    if (!large) return;
    const leave = (event: KeyboardEvent) => event.key === "Escape" && setLarge(false);
    addEventListener("keydown", leave);
    return () => removeEventListener("keydown", leave);
  }, [large]);

  if (!graph) return <Spinner />;
  const type = chosen ? graph.types.get(chosen) : undefined;
  return (
    <section className={large ? "schema-map large" : "schema-map"} aria-label="Schema map">
      <header>
        <h2>Schema map</h2>
        <label>
          <input type="checkbox" checked={withInputs} onChange={() => setWithInputs(!withInputs)} /> Inputs and enums
        </label>
        <button type="button" onClick={() => choose(null)} disabled={!type}>
          All types
        </button>
        <button type="button" aria-pressed={large} onClick={() => setLarge(!large)}>
          {large ? "Smaller" : "Larger"}
        </button>
      </header>
      <Search graph={graph} choose={choose} />
      <div className="schema-map-body">
        <div className="schema-map-canvas">
          <ReactFlowProvider>
            <Canvas graph={graph} chosen={type?.name ?? null} large={large} choose={choose} />
          </ReactFlowProvider>
        </div>
        {type ? (
          <Details graph={graph} type={type} choose={choose} />
        ) : (
          <p className="schema-map-hint">
            {graph.types.size} types. Choose one to see its fields and the types it is connected with. A connection is
            drawn as the type that it pages through.
          </p>
        )}
      </div>
    </section>
  );
}
