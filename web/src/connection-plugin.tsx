// The pane "Connection": the person that has logged in, the token that is sent with every request, and the transport of subscriptions.
import { Button, useGraphiQLActions, type GraphiQLPlugin } from "@graphiql/react";
import { useState, type FormEvent } from "react";
import { setToken, setTransport, parseToken, TRANSPORTS, useConnection, type Transport } from "./connection";
import { Person } from "./person";

export const CONNECTION_PLUGIN: GraphiQLPlugin = { title: "Connection", icon: Icon, content: Pane };

const NAMES: Record<Transport, [name: string, hint: string]> = {
  websocket: ["WebSocket", "graphql-transport-ws; the token is sent in connection_init"],
  sse: ["Server-sent events", "graphql-sse, distinct connections mode; the token is sent as a header"],
};

function Pane() {
  return (
    <section className="connection" aria-label="Connection">
      <div className="graphiql-doc-explorer-title">Connection</div>
      <Person />
      <TokenBox />
      <TransportSwitch />
    </section>
  );
}

function TokenBox() {
  const token = useConnection((connection) => connection.token);
  const [text, setText] = useState(token);
  const [shown, setShown] = useState(false);
  const [status, setStatus] = useState("");
  const { introspect, stop } = useGraphiQLActions();

  const apply = (token: string, status: string) => {
    stop(); // A running subscription uses the previous token.
    setToken(token);
    setText(token);
    setStatus(status);
    introspect();
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const token = parseToken(text);
    if (token === null) setStatus("This is not a bearer token: only letters, digits and - . _ ~ + / = are allowed.");
    else apply(token, token ? "The token is now sent with every request." : "No token is sent.");
  };
  return (
    <form onSubmit={submit} autoComplete="off">
      <h3>
        <label htmlFor="connection-token">Bearer token</label>
      </h3>
      <input
        id="connection-token"
        type={shown ? "text" : "password"}
        value={text}
        onChange={(event) => setText(event.target.value)}
        autoComplete="off"
        spellCheck={false}
        aria-describedby="connection-token-hint"
      />
      <p id="connection-token-hint">
        Sent as <code>Authorization: Bearer …</code>, unless the headers of the tab contain one. Kept until this browser
        tab is closed; never part of a share link.
      </p>
      <div className="connection-buttons">
        <Button type="submit">Use token</Button>
        <Button type="button" onClick={() => apply("", "The token was removed.")} disabled={!token && !text}>
          Remove token
        </Button>
        <label>
          <input type="checkbox" checked={shown} onChange={(event) => setShown(event.target.checked)} /> Show
        </label>
      </div>
      <p role="status">{status}</p>
    </form>
  );
}

function TransportSwitch() {
  const chosen = useConnection((connection) => connection.transport);
  const { stop } = useGraphiQLActions();
  const choose = (transport: Transport) => {
    stop();
    setTransport(transport);
  };
  return (
    <fieldset>
      <legend>Subscriptions over</legend>
      {TRANSPORTS.map((transport) => {
        const [name, hint] = NAMES[transport];
        return (
          <label key={transport}>
            <input
              type="radio"
              name="transport"
              checked={chosen === transport}
              onChange={() => choose(transport)}
              aria-describedby={`transport-${transport}`}
            />
            <span>
              {name} <small id={`transport-${transport}`}>{hint}</small>
            </span>
          </label>
        );
      })}
    </fieldset>
  );
}

function Icon() {
  return (
    <svg height="1em" viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth="1.5" strokeLinecap="round">
      <title>connection icon</title>
      <path d="M9 3v5M15 3v5M6 8h12v3a6 6 0 0 1-12 0zM12 17v4" strokeLinejoin="round" />
    </svg>
  );
}
