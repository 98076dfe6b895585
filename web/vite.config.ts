import { defineConfig } from "vite";

// The server embeds dist/, serves the page at /graphiql and the other files below /graphiql/. All URLs are relative, because
// a proxy may prefix the hub's paths.
export default defineConfig({
  base: "./",
  build: {
    target: "es2022",
    // The licence notices of the bundled packages.
    license: { fileName: "licenses.md" },
    // Monaco is one large chunk; browsers fetch it once and cache it.
    chunkSizeWarningLimit: 2000,
    // "use client" has no effect without server-side rendering, and a hundred packages contain it.
    rolldownOptions: { checks: { moduleLevelDirective: false } },
  },
});
