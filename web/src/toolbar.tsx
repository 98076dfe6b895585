// The buttons that GraphiQL lacks: copy a share link, download the schema.
import { pick, ToolbarButton, useGraphiQL } from "@graphiql/react";
import { useEffect, useState } from "react";
import { SCHEMA } from "./urls";
import { withToken } from "./connection";
import { operationOf } from "./operation";
import { shareLink } from "./share";

const SHARE = "Copy share link";
const DOWNLOAD = "Download schema (SDL)";

const CHAIN =
  "M10 14a4 4 0 0 0 6 .4l3-3a4 4 0 0 0-5.7-5.7l-1.5 1.5" +
  "M14 10a4 4 0 0 0-6-.4l-3 3a4 4 0 0 0 5.7 5.7l1.5-1.5";
const CHECK = "M5 13l4.5 4.5L19 7";
const ARROW = "M12 4v11M7.5 11l4.5 4.5 4.5-4.5M5 20h14";

export function ShareButton() {
  const editors = useGraphiQL(pick("queryEditor", "variableEditor", "operationName"));
  const [note, setNote] = useTransientNote();
  const share = async () => {
    const query = editors.queryEditor?.getValue() ?? "";
    const variables = editors.variableEditor?.getValue();
    const operationName = operationOf(query, editors.operationName)?.name?.value;
    const link = await shareLink({ query, variables, operationName });
    try {
      await navigator.clipboard.writeText(link);
      setNote("Share link copied");
    } catch {
      // Browsers allow clipboard access only on localhost or over HTTPS.
      history.replaceState(history.state, "", link);
      setNote("The share link is in the address bar");
    }
  };
  return (
    <>
      <ToolbarButton label={note || SHARE} onClick={share}>
        <Icon path={note ? CHECK : CHAIN} />
      </ToolbarButton>
      <Note>{note}</Note>
    </>
  );
}

export function SchemaButton() {
  const [note, setNote] = useTransientNote();
  const download = async () => {
    try {
      const response = await fetch(SCHEMA, { headers: withToken() });
      if (!response.ok) throw new Error(`HTTP ${response.status}`);
      save(await response.blob(), "schema.graphql");
      setNote("Schema downloaded");
    } catch (reason) {
      setNote(`The schema could not be downloaded: ${reason instanceof Error ? reason.message : reason}`);
    }
  };
  return (
    <>
      <ToolbarButton label={note || DOWNLOAD} onClick={download}>
        <Icon path={ARROW} />
      </ToolbarButton>
      <Note>{note}</Note>
    </>
  );
}

function save(content: Blob, name: string) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

/** A text that disappears after three seconds. */
function useTransientNote(): [string, (text: string) => void] {
  const [note, setNote] = useState({ text: "" });
  useEffect(() => {
    if (!note.text) return;
    const timer = setTimeout(() => setNote({ text: "" }), 3000);
    return () => clearTimeout(timer);
  }, [note]);
  return [note.text, (text) => setNote({ text })];
}

function Note({ children }: { children: string }) {
  return (
    <span className="toolbar-note" role="status">
      {children}
    </span>
  );
}

function Icon({ path }: { path: string }) {
  return (
    <svg className="graphiql-toolbar-icon" viewBox="0 0 24 24" fill="none" stroke="currentColor" aria-hidden="true">
      <path d={path} strokeWidth="1.7" strokeLinecap="round" strokeLinejoin="round" />
    </svg>
  );
}
