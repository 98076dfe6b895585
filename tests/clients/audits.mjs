// Audits a running hub against GraphQL over HTTP: node audits.mjs <url of /graphql>. Fails if one audit is not passed.
import { auditServer } from "graphql-http";

const [url] = process.argv.slice(2);
if (!url) {
  console.error("usage: node audits.mjs <url of /graphql>");
  process.exit(2);
}
const results = await auditServer({ url });
const missed = results.filter(({ status }) => status !== "ok");
for (const { status, id, name, reason } of missed) console.error(`${status} ${id} ${name}: ${reason}`);
console.log(`${results.length - missed.length} of ${results.length} audits passed`);
process.exit(results.length > 0 && missed.length === 0 ? 0 : 1);
