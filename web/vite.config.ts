import { defineConfig } from "vite";

// The server embeds dist/ and serves the page at /graphiql, everything else below /graphiql/. All of it is found by relative
// addresses, because the hub may be below a path of a proxy's.
export default defineConfig({
  base: "./",
  build: {
    target: "es2022",
    // The notices of the packages in the bundle travel with it.
    license: { fileName: "licenses.md" },
    // Monaco is one big piece; it is fetched once and cached for good.
    chunkSizeWarningLimit: 2000,
    // "use client" means nothing without a server that renders; a hundred packages say it.
    rolldownOptions: { checks: { moduleLevelDirective: false } },
  },
});
