// The person that has logged in with this browser, and the way out. The session is a cookie that scripts cannot read.
import { Button } from "@graphiql/react";
import { useEffect, useState } from "react";
import { useConnection } from "./connection";
import { API, LOGOUT } from "./urls";

export function Person() {
  const token = useConnection((connection) => connection.token);
  const [subject, setSubject] = useState("");
  const [problem, setProblem] = useState("");
  useEffect(() => {
    let isCurrent = true;
    // With a token, the principal is that of the token.
    const found = token ? Promise.resolve("") : viewer();
    found.then((found) => isCurrent && setSubject(found));
    return () => {
      isCurrent = false;
    };
  }, [token]);
  const logOut = async () => {
    try {
      const response = await fetch(LOGOUT, { method: "POST", headers: { accept: "application/json" } });
      if (!response.ok) throw new Error(`HTTP ${response.status}`);
      location.assign((await response.json()).location);
    } catch (reason) {
      setProblem(`You are not logged out: ${reason instanceof Error ? reason.message : reason}`);
    }
  };
  if (!subject) return null;
  return (
    <form aria-label="Session" onSubmit={(event) => event.preventDefault()}>
      <h3>Logged in</h3>
      <p>
        <code>{subject}</code>
      </p>
      <div className="connection-buttons">
        <Button type="button" onClick={logOut}>
          Log out
        </Button>
      </div>
      <p>{problem}</p>
    </form>
  );
}

/** The person, or an empty text. Of all that is sent without a token, only the subject of a person that logged in has a "#". */
async function viewer(): Promise<string> {
  const headers = { accept: "application/json", "content-type": "application/json" };
  const body = JSON.stringify({ query: "{ viewer { subject } }" });
  try {
    const response = await fetch(API, { method: "POST", headers, body });
    const subject = (await response.json()).data?.viewer?.subject;
    return typeof subject === "string" && subject.includes("#") ? subject : "";
  } catch {
    return "";
  }
}
