// Opens what a share link has in a tab, in front and not run, and takes it out of the address.
import { pick, useGraphiQL, useGraphiQLActions } from "@graphiql/react";
import type { OperationDefinitionNode } from "graphql";
import { useEffect, useState } from "react";
import { operationOf } from "./operation";
import { parseShareLink, type Shared } from "./share";

export function SharedTab() {
  const [shared, setShared] = useState<Shared | null>(null);
  const { queryEditor, variableEditor, tabs, activeTabIndex } = useGraphiQL(
    pick("queryEditor", "variableEditor", "tabs", "activeTabIndex"),
  );
  const { addTab, changeTab, setOperationName, updateActiveTabValues } = useGraphiQLActions();

  useEffect(() => {
    const take = () => {
      parseShareLink(location.hash).catch(unreadable).then((found) => {
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
    // GraphiQL learns of an editor's content a moment late, too late for who goes from tab to tab at once: with a new
    // tab it would name the one before after an operation of a third.
    setOperationName(nameOf(operationOf(queryEditor.getValue(), tabs[activeTabIndex]?.operationName)));
    addTab();
    const operation = operationOf(query, operationName);
    queryEditor.setValue(query);
    variableEditor.setValue(variables);
    updateActiveTabValues({ query, variables });
    setOperationName(nameOf(operation));
    // Ctrl-Enter runs the operation that the cursor is in.
    const position = queryEditor.getModel()?.getPositionAt(operation?.loc?.start ?? 0);
    if (position) queryEditor.setPosition(position);
  });

  return null;
}

function nameOf(operation: OperationDefinitionNode | null): string {
  return operation?.name?.value ?? "";
}

function unreadable(reason: unknown): Shared {
  return { query: `# This share link cannot be read: ${reason instanceof Error ? reason.message : reason}\n` };
}
