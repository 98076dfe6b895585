// Opens the content of a share link in a tab, without running it, and removes the fragment from the URL.
import { pick, useGraphiQL, useGraphiQLActions } from "@graphiql/react";
import { useEffect, useState } from "react";
import { operationOf } from "./operation";
import { parseShareLink, type Shared } from "./share";

export function SharedTab() {
  const [shared, setShared] = useState<Shared | null>(null);
  const { queryEditor, variableEditor, tabs } = useGraphiQL(pick("queryEditor", "variableEditor", "tabs"));
  const { addTab, changeTab, setOperationName, updateActiveTabValues } = useGraphiQLActions();

  useEffect(() => {
    const open = () => {
      parseShareLink(location.hash).catch(unreadable).then((found) => {
        if (!found) return;
        history.replaceState(history.state, "", location.pathname + location.search);
        setShared(found);
      });
    };
    open();
    addEventListener("hashchange", open);
    return () => removeEventListener("hashchange", open);
  }, []);

  useEffect(() => {
    if (!shared || !queryEditor || !variableEditor) return;
    setShared(null);
    const { query, variables = "", operationName } = shared;
    const existing = tabs.findIndex((tab) => tab.query === query && (tab.variables ?? "") === variables);
    if (existing >= 0) return changeTab(existing);
    addTab();
    const operation = operationOf(query, operationName);
    queryEditor.setValue(query);
    variableEditor.setValue(variables);
    updateActiveTabValues({ query, variables });
    setOperationName(operation?.name?.value ?? "");
    // Ctrl-Enter runs the operation at the cursor.
    const position = queryEditor.getModel()?.getPositionAt(operation?.loc?.start ?? 0);
    if (position) queryEditor.setPosition(position);
  });

  return null;
}

function unreadable(reason: unknown): Shared {
  return { query: `# This share link cannot be read: ${reason instanceof Error ? reason.message : reason}\n` };
}
