// Sets the operation name as soon as another tab is active. GraphiQL parses the editor's content 100 ms after a change and
// keeps the previous tab's operation name until then. "New tab" within that time would store it with the wrong tab.
import { pick, useGraphiQL, useGraphiQLActions } from "@graphiql/react";
import { useLayoutEffect } from "react";
import { operationOf } from "./operation";

export function TabOperationName() {
  const { queryEditor, tabs, activeTabIndex, operationName } = useGraphiQL(
    pick("queryEditor", "tabs", "activeTabIndex", "operationName"),
  );
  const { setOperationName } = useGraphiQLActions();
  const tab = tabs[activeTabIndex];
  useLayoutEffect(() => {
    if (!queryEditor) return;
    const name = operationOf(queryEditor.getValue(), tab?.operationName)?.name?.value ?? "";
    if (name !== (operationName ?? "")) setOperationName(name);
  }, [queryEditor, tab?.id]);
  return null;
}
