// The playground: GraphiQL with the hub's own tabs, from the hub's own files, nothing from anywhere else.
import { explorerPlugin } from "@graphiql/plugin-explorer";
import { GraphiQL, HISTORY_PLUGIN } from "graphiql";
import "graphiql/setup-workers/vite";
import { createRoot } from "react-dom/client";
import { AnswerBar } from "./answer-bar";
import { CONNECTION_PLUGIN } from "./connection-plugin";
import { fetcher } from "./fetcher";
import { SCHEMA_MAP_PLUGIN } from "./schema-map-plugin";
import { SharedTab } from "./shared-tab";
import { SystemTheme } from "./system-theme";
import { initialTabs } from "./tabs";
import { SchemaButton, ShareButton } from "./toolbar";
import "./style.css";

const plugins = [HISTORY_PLUGIN, explorerPlugin(), SCHEMA_MAP_PLUGIN, CONNECTION_PLUGIN];
const defaultTabs = await initialTabs();

createRoot(document.getElementById("root")!).render(
  <GraphiQL fetcher={fetcher} plugins={plugins} defaultTabs={defaultTabs} defaultEditorToolsVisibility="variables">
    <GraphiQL.Logo>Inspection Hub</GraphiQL.Logo>
    <GraphiQL.Toolbar>
      {({ prettify, merge, copy }) => (
        <>
          {prettify}
          {merge}
          {copy}
          <ShareButton />
          <SchemaButton />
        </>
      )}
    </GraphiQL.Toolbar>
    <GraphiQL.Footer>
      <AnswerBar />
    </GraphiQL.Footer>
    <SystemTheme />
    <SharedTab />
  </GraphiQL>,
);
