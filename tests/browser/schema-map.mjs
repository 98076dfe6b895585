// The schema map: search, click, keyboard navigation, zoom.
import { check, expect } from "./report.mjs";

export async function checkSchemaMap({ page, button, shows, picture }) {
  const map = page.getByRole("region", { name: "Schema map" });
  const box = (type) => map.locator(`.react-flow__node[data-id="${type}"]`);
  const details = (type) => map.getByRole("region", { name: `Type ${type}`, exact: true });

  await check("the code of the schema map is loaded when its pane is opened", async () => {
    const names = () => performance.getEntriesByType("resource").map(({ name }) => name);
    const loaded = async () => (await page.evaluate(names)).some((name) => /schema-map.*\.js/.test(name));
    expect(!(await loaded()), "it was loaded before");
    await button("Show Schema map").click();
    await shows(details("Query"), "statusCounts");
    expect(await loaded(), "it was not loaded");
  });
  await picture("schema-map");

  await check("the schema map shows all types", async () => {
    await map.getByRole("button", { name: "Larger" }).click();
    await map.getByRole("button", { name: "All types" }).click();
    for (const type of ["Query", "Inspection", "Session", "Job", "Node", "Vehicle"]) await box(type).waitFor();
    expect(!(await box("InspectionConnection").count()), "it shows connection types");
    return `${await map.locator(".react-flow__node").count()} types`;
  });
  await picture("schema-map-all");

  await check("a click on a type shows its fields and its neighbours", async () => {
    await box("Inspection").click();
    await shows(details("Inspection"), "externalId");
    await shows(details("Inspection"), /Used by[\s\S]*Query: /);
    await box("Session").waitFor();
    await shows(map.locator(".react-flow__edge-text"), "sessions");
    expect(!(await box("Vehicle").count()), "it shows types that are not neighbours");
  });
  await picture("schema-map-inspection");

  await check("a field leads to its type, also through a connection", async () => {
    await details("Inspection").getByRole("button", { name: /^SessionConnection/ }).click();
    await shows(details("Session"), "inspection");
    await map.locator('.react-flow__node[data-id="Session"].selected').waitFor();
  });

  await check("types can be chosen by keyboard", async () => {
    await map.getByRole("button", { name: "All types" }).click();
    await box("Job").focus();
    await page.keyboard.press("Enter");
    await shows(details("Job"), "kind");
    await page.keyboard.press("Tab");
    const next = await map.locator(".react-flow__node:focus").getAttribute("data-id");
    await page.keyboard.press("Enter");
    await details(next).waitFor();
    return `from Job to ${next}`;
  });

  await check("the search finds types and fields", async () => {
    const search = map.getByRole("searchbox", { name: "Find a type or field" });
    await search.fill("vin");
    await map.getByRole("button", { name: "Vehicle.vin", exact: true }).click();
    await shows(details("Vehicle"), "vin");
    await search.fill("no such thing");
    await map.getByText("Nothing has this name.").waitFor();
    await search.press("Escape");
  });

  await check("inputs and enums are drawn only if the checkbox is set", async () => {
    await map.getByRole("button", { name: "All types" }).click();
    await box("Inspection").click();
    expect(!(await box("InspectionStatus").count()), "they were drawn before");
    await map.getByLabel("Inputs and enums").check();
    await box("InspectionStatus").waitFor();
    await map.getByLabel("Inputs and enums").uncheck();
  });

  await check("the diagram zooms", async () => {
    const viewport = map.locator(".react-flow__viewport");
    const scale = () => viewport.evaluate((element) => new DOMMatrix(element.style.transform).a);
    await map.getByRole("button", { name: "Fit View" }).click();
    await settled(scale);
    const before = await scale();
    await map.getByRole("button", { name: "Zoom In" }).click();
    await settled(scale);
    const after = await scale();
    expect(after > before, `from ${before} to ${after}`);
  });

  await check("Escape makes the schema map small again", async () => {
    await page.keyboard.press("Escape");
    await map.getByRole("button", { name: "Larger" }).waitFor();
    await button("Hide Schema map").click();
  });
}

/** Waits until ten consecutive reads return the same number. */
async function settled(read) {
  let equal = 0;
  for (let last = NaN; equal < 10; ) {
    const now = await read();
    equal = now === last ? equal + 1 : 0;
    last = now;
  }
}
