// Finds types by their name or by the name of a field.
import { useId, useState } from "react";
import type { Graph } from "./graph";

const SHOWN = 12;

export function Search({ graph, choose }: { graph: Graph; choose: (name: string) => void }) {
  const [text, setText] = useState("");
  const id = useId();
  const found = text.trim() ? find(graph, text.trim().toLowerCase()) : [];
  const take = (name: string) => {
    setText("");
    choose(name);
  };
  return (
    <form
      role="search"
      onSubmit={(event) => {
        event.preventDefault();
        if (found[0]) take(found[0].type);
      }}
    >
      <input
        type="search"
        aria-label="Find a type or field"
        aria-controls={id}
        placeholder="Find a type or field …"
        value={text}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => event.key === "Escape" && setText("")}
      />
      <ul id={id} aria-label="Found" hidden={!text.trim()}>
        {found.slice(0, SHOWN).map(({ type, field }) => (
          <li key={`${type}.${field}`}>
            <button type="button" onClick={() => take(type)}>
              {type}
              {field && <small>.{field}</small>}
            </button>
          </li>
        ))}
        {found.length > SHOWN && <li>and {found.length - SHOWN} more</li>}
        {!found.length && <li role="status">Nothing has this name.</li>}
      </ul>
    </form>
  );
}

type Found = { type: string; field?: string };

/** Types before fields, and names that start with the text before those that have it inside. */
function find({ types }: Graph, text: string): Found[] {
  const found: [rank: number, Found][] = [];
  for (const type of types.values()) {
    const at = type.name.toLowerCase().indexOf(text);
    if (at >= 0) found.push([at ? 1 : 0, { type: type.name }]);
    for (const field of type.fields) {
      const at = field.name.toLowerCase().indexOf(text);
      if (at >= 0) found.push([at ? 3 : 2, { type: type.name, field: field.name }]);
    }
  }
  return found.sort(([a], [b]) => a - b).map(([, one]) => one);
}
