// What all requests to the hub share: the visitor's token, and the transport of subscriptions.
import { create } from "zustand";

export const TRANSPORTS = ["websocket", "sse"] as const;
export type Transport = (typeof TRANSPORTS)[number];

type Connection = {
  /** What follows "Bearer"; empty if there is no token. Kept until the browser tab is closed, and sent only to the hub. */
  token: string;
  transport: Transport;
};

const TOKEN = "inspection-hub:token";
const TRANSPORT = "inspection-hub:transport";

export const useConnection = create<Connection>(() => ({
  token: sessionStorage.getItem(TOKEN) ?? "",
  transport: TRANSPORTS.find((known) => known === localStorage.getItem(TRANSPORT)) ?? "websocket",
}));

/** The token in the text that was typed or pasted, which may be a whole header. Null if no header can carry it (RFC 6750, 2.1). */
export function parseToken(text: string): string | null {
  const token = text.trim().replace(/^(authorization:\s*)?bearer\s+/i, "");
  return /^[A-Za-z0-9._~+/-]*=*$/.test(token) ? token : null;
}

export function setToken(token: string) {
  if (token) sessionStorage.setItem(TOKEN, token);
  else sessionStorage.removeItem(TOKEN);
  useConnection.setState({ token });
}

export function setTransport(transport: Transport) {
  localStorage.setItem(TRANSPORT, transport);
  useConnection.setState({ transport });
}

/** Adds the token to a tab's headers, unless they have an `Authorization` of their own. */
export function withToken(headers: Record<string, string> = {}): Record<string, string> {
  const { token } = useConnection.getState();
  const own = Object.keys(headers).some((name) => name.toLowerCase() === "authorization");
  return token && !own ? { ...headers, Authorization: `Bearer ${token}` } : headers;
}
