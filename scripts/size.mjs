// Prints what a page downloads for the main entry, and fails above the budget in package.json.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { cli, dist, root } from "./tools.mjs";

export function size() {
  const { budget } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const rows = ["core.wasm", "index.js"].map((file) => [file, ...measure(readFileSync(join(dist, file)))]);
  const total = [1, 2, 3].map((column) => rows.reduce((sum, row) => sum + row[column], 0));
  print(["", "raw", "gzip -9", "brotli -11"]);
  for (const row of [...rows, ["total", ...total]]) print(row);
  const brotli = total[2];
  console.log(`budget: ${budget.brotli} bytes brotli, ${Math.round((100 * brotli) / budget.brotli)} % used`);
  if (brotli > budget.brotli) throw new Error(`${brotli - budget.brotli} bytes above the budget`);
}

function measure(bytes) {
  const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length };
  return [bytes.length, gzipSync(bytes, { level: 9 }).length, brotliCompressSync(bytes, { params }).length];
}

function print([name, ...cells]) {
  console.log(name.padEnd(12) + cells.map((cell) => String(cell).padStart(12)).join(""));
}

await cli(import.meta, size);
