// Share links: their content, that opening one does not run it, and broken links. Also the download of the schema.
import { readFile } from "node:fs/promises";
import { check, expect } from "./report.mjs";
import { operationIn } from "./visitor.mjs";

const SHARED = `query First { statusCounts { status } }

query Second($first: Int) { inspections(first: $first) { totalCount } }
`;
const VARIABLES = '{ "first": 3, "note": "Größe ✓" }';

export async function checkSharing(visitor) {
  const { page, origin, editor, result, button, shows, picture } = visitor;
  const bars = () => page.getByRole("tab");

  await check("the share button copies a link without headers and token", async () => {
    await page.context().grantPermissions(["clipboard-read", "clipboard-write"], { origin });
    await visitor.openTab("Stalled");
    await button("Copy share link").click();
    await page.getByRole("status").getByText("Share link copied").waitFor();
    const link = new URL(await page.evaluate(() => navigator.clipboard.readText()));
    expect(link.pathname === "/graphiql" && !link.search, `the link is ${link}`);
    const shared = await unpack(link.hash);
    const keys = Object.keys(shared).join();
    expect(keys === "query,variables,operationName", `it has ${keys}`);
    expect(shared.operationName === "Stalled" && shared.query.includes("query Stalled"), shared.query);
    expect(JSON.parse(shared.variables).for === "PT1M", shared.variables);
    return `${link.href.length} characters`;
  });

  await check("a share link opens in a new tab and is not run", async () => {
    const before = await bars().count();
    const requests = [];
    const listen = (request) => requests.push(operationIn(request) ?? request.url());
    const link = `${origin}/graphiql#${await pack({ query: SHARED, variables: VARIABLES, operationName: "Second" })}`;
    await visitor.leave();
    await page.goto("about:blank");
    page.on("request", listen);
    await page.goto(link);
    await shows(editor(), "First");
    await shows(page.getByLabel("Variables"), "Größe ✓");
    await visitor.ready();
    page.off("request", listen);
    expect(!requests.some((name) => ["First", "Second"].includes(name)), `it requested ${requests}`);
    expect(requests.includes("IntrospectionQuery"), `no introspection in ${requests}`);
    expect((await bars().count()) === before + 1, `${before} tabs became ${await bars().count()}`);
    expect(!(await result().innerText()).includes("data"), "there is an answer");
    expect(!page.url().includes("#"), `the URL is still ${page.url()}`);
  });
  await picture("shared");

  await check("Ctrl-Enter runs the operation that the link names", async () => {
    // Not a click, which would move the cursor.
    await editor().locator("textarea, .native-edit-context").first().focus();
    const [request] = await Promise.all([
      page.waitForRequest((request) => operationIn(request) !== undefined),
      page.keyboard.press("Control+Enter"),
    ]);
    expect(operationIn(request) === "Second", `it ran ${operationIn(request)}`);
    await shows(result(), "totalCount");
  });

  await check("a link pasted into the open page opens, and a second time in the same tab", async () => {
    const fragment = await pack({ query: "query Pasted { __typename }" });
    const before = await bars().count();
    for (let time = 1; time <= 2; time++) {
      await visitor.openTab("Board");
      await page.evaluate((fragment) => { location.hash = fragment; }, fragment);
      await shows(editor(), "Pasted");
    }
    expect((await bars().count()) === before + 1, `${before} tabs became ${await bars().count()}`);
  });

  await check("a broken link shows an error", async () => {
    await page.evaluate(() => { location.hash = "share=broken"; });
    await shows(editor(), "This share link cannot be read");
  });

  await check("a link that unpacks to a huge text is refused", async () => {
    const fragment = await pack({ query: " ".repeat(5_000_000) });
    await page.evaluate((fragment) => { location.hash = fragment; }, fragment);
    await shows(editor(), "it is too long");
    return `${fragment.length} characters for 5,000,000`;
  });

  await check("the schema can be downloaded as SDL", async () => {
    const [file] = await Promise.all([page.waitForEvent("download"), button("Download schema (SDL)").click()]);
    expect(file.suggestedFilename() === "schema.graphql", file.suggestedFilename());
    const text = await readFile(await file.path(), "utf8");
    const served = await (await fetch(`${origin}/schema.graphql`)).text();
    expect(text === served && text.includes("type Inspection implements"), `${text.slice(0, 200)} …`);
    return `${text.length} characters`;
  });
}

export async function pack(shared) {
  const packed = new Blob([JSON.stringify(shared)]).stream().pipeThrough(new CompressionStream("deflate-raw"));
  return `share=${Buffer.from(await new Response(packed).arrayBuffer()).toString("base64url")}`;
}

async function unpack(hash) {
  const packed = Buffer.from(hash.replace("#share=", ""), "base64url");
  const text = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return JSON.parse(await new Response(text).text());
}
