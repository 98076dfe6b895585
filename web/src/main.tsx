// The playground: GraphiQL with the hub's own tabs and plugins. Loads nothing from other hosts.
import { explorerPlugin } from "@graphiql/plugin-explorer";
import { GraphiQL, HISTORY_PLUGIN } from "graphiql";
import "graphiql/setup-workers/vite";
import { createRoot } from "react-dom/client";
import { CONNECTION_PLUGIN } from "./connection-plugin";
import { fetcher } from "./fetcher";
import { ResponseBar } from "./response-bar";
import { SCHEMA_MAP_PLUGIN } from "./schema-map-plugin";
import { SharedTab } from "./shared-tab";
import { SystemTheme } from "./system-theme";
import { TabOperationName } from "./tab-operation-name";
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
      <ResponseBar />
    </GraphiQL.Footer>
    <SystemTheme />
    <TabOperationName />
    <SharedTab />
  </GraphiQL>,
);
