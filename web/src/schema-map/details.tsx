// The chosen type: its fields, and the fields that refer to it.
import { MarkdownContent } from "@graphiql/react";
import type { Field, Graph, TypeNode } from "./graph";

type Props = { graph: Graph; type: TypeNode; choose: (name: string) => void };

export function Details({ graph, type, choose }: Props) {
  const users = graph.edges.filter(({ target }) => target === type.name);
  return (
    <section className="type-details" aria-label={`Type ${type.name}`}>
      <h3>
        {type.name} <small>{type.kind}</small>
      </h3>
      {type.description && <MarkdownContent type="description">{type.description}</MarkdownContent>}
      {type.fields.length > 0 && (
        <>
          <h4>{type.kind === "enum" ? "Values" : "Fields"}</h4>
          <ul>
            {type.fields.map((field) => (
              <li key={field.name} title={field.description}>
                <FieldLine field={field} choose={choose} />
              </li>
            ))}
          </ul>
        </>
      )}
      {users.length > 0 && (
        <>
          <h4>Used by</h4>
          <ul>
            {users.map(({ source, fields }) => (
              <li key={source}>
                <button type="button" onClick={() => choose(source)}>
                  {source}
                </button>
                {fields.length > 0 ? `: ${fields.join(", ")}` : " (one of its types)"}
              </li>
            ))}
          </ul>
        </>
      )}
    </section>
  );
}

function FieldLine({ field, choose }: { field: Field; choose: (name: string) => void }) {
  const { name, type, args, target, deprecated } = field;
  return (
    <>
      <span className={deprecated === undefined ? "field" : "field deprecated"}>{name}</span>
      {args.length > 0 && <span className="arguments">({args.map((argument) => argument.name).join(", ")})</span>}
      {type && ": "}
      {target ? (
        <button type="button" onClick={() => choose(target)}>
          {type}
        </button>
      ) : (
        <span className="leaf">{type}</span>
      )}
      {deprecated !== undefined && <em> deprecated: {deprecated}</em>}
    </>
  );
}
