// Opens what a share link has in a tab, in front and not run, and takes it out of the address.
import { pick, useGraphiQL, useGraphiQLActions } from "@graphiql/react";
import { useEffect, useState } from "react";
import { operationOf } from "./operation";
import { sharedIn, type Shared } from "./share";

export function SharedTab() {
  const [shared, setShared] = useState<Shared | null>(null);
  const { queryEditor, variableEditor, tabs } = useGraphiQL(pick("queryEditor", "variableEditor", "tabs"));
  const { addTab, changeTab, setOperationName, updateActiveTabValues } = useGraphiQLActions();

  useEffect(() => {
    const take = () => {
      sharedIn(location.hash).catch(unreadable).then((found) => {
        if (!found) return;
        history.replaceState(history.state, "", location.pathname + location.search);
        setShared(found);
      });
    };
    take();
    addEventListener("hashchange", take);
    return () => removeEventListener("hashchange", take);
  }, []);

  useEffect(() => {
    if (!shared || !queryEditor || !variableEditor) return;
    setShared(null);
    const { query, variables = "", operationName } = shared;
    const open = tabs.findIndex((tab) => tab.query === query && (tab.variables ?? "") === variables);
    if (open >= 0) return changeTab(open);
    const operation = operationOf(query, operationName);
    addTab();
    queryEditor.setValue(query);
    variableEditor.setValue(variables);
    // The editors tell of their content a moment later, too late for who goes on to another tab at once.
    updateActiveTabValues({ query, variables });
    setOperationName(operation?.name?.value ?? "");
    // Ctrl-Enter runs the operation that the cursor is in.
    const position = queryEditor.getModel()?.getPositionAt(operation?.loc?.start ?? 0);
    if (position) queryEditor.setPosition(position);
  }, [shared, queryEditor, variableEditor, tabs, addTab, changeTab, setOperationName, updateActiveTabValues]);

  return null;
}

function unreadable(reason: unknown): Shared {
  return { query: `# This share link cannot be read: ${reason instanceof Error ? reason.message : reason}\n` };
}
