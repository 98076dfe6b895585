// Puts a brotli copy beside every file of dist/, so that the server never compresses at run time.
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants } from "node:zlib";

const dist = join(import.meta.dirname, "dist");
const files = readdirSync(dist, { recursive: true })
  .map((name) => join(dist, name))
  .filter((path) => statSync(path).isFile());

let raw = 0;
let compressed = 0;
for (const path of files) {
  const content = readFileSync(path);
  const brotli = brotliCompressSync(content, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
      [constants.BROTLI_PARAM_SIZE_HINT]: content.length,
    },
  });
  writeFileSync(`${path}.br`, brotli);
  raw += content.length;
  compressed += brotli.length;
}
console.log(`${files.length} files, ${kilobytes(raw)}, ${kilobytes(compressed)} with brotli`);

function kilobytes(bytes) {
  return `${Math.round(bytes / 1000)} kB`;
}
