// A certified OpenID Connect provider on a free port of this machine: node provider.mjs <address of the hub>...
// Prints its address, and serves until its input ends. Each person's name is its login; any password is right. `ada` is a reader.
import { once } from "node:events";
import { createServer } from "node:http";
import { Provider } from "oidc-provider";

const hubs = process.argv.slice(2);
if (!hubs.length) {
  console.error("usage: node provider.mjs <address of the hub>...");
  process.exit(2);
}
const server = createServer();
server.listen(0, "127.0.0.1");
await once(server, "listening");
const issuer = `http://localhost:${server.address().port}`;

const GROUPS = { ada: ["readers", "operators"], bob: ["readers"] };

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: "inspection-hub",
      client_secret: "a secret: with / and %",
      redirect_uris: hubs.map((hub) => `${hub}/login/callback`),
      post_logout_redirect_uris: hubs.map((hub) => `${hub}/logout`),
    },
  ],
  claims: { openid: ["sub"], email: ["email", "email_verified"], groups: ["groups"] },
  scopes: ["openid", "email", "groups"],
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, groups: GROUPS[id] ?? [], email: `${id}@example.org`, email_verified: id !== "mallory" }),
  }),
  pkce: { required: () => true },
  cookies: { keys: ["a key of this test"] },
  features: { devInteractions: { enabled: true } },
});
// The provider speaks plain HTTP here. It says that on its standard error.
server.on("request", provider.callback());

process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
console.log(issuer);
