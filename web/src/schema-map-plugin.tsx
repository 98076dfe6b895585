// The pane "Schema map". Its code is loaded when the pane is first opened.
import { Spinner, type GraphiQLPlugin } from "@graphiql/react";
import { lazy, Suspense } from "react";

const SchemaMap = lazy(() => import("./schema-map"));

export const SCHEMA_MAP_PLUGIN: GraphiQLPlugin = { title: "Schema map", icon: Icon, content: Pane };

function Pane() {
  return (
    <Suspense fallback={<Spinner />}>
      <SchemaMap />
    </Suspense>
  );
}

function Icon() {
  return (
    <svg height="1em" viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth="1.5">
      <title>schema map icon</title>
      <path d="M9 12h3m0-6v12m0-12h3m-3 12h3" />
      <rect x="2" y="9" width="7" height="6" rx="1.5" />
      <rect x="15" y="3" width="7" height="6" rx="1.5" />
      <rect x="15" y="15" width="7" height="6" rx="1.5" />
    </svg>
  );
}
