// Prints what a page downloads, for the main entry and for the service worker's, and fails above the budgets in package.json.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { cli, dist, root } from "./tools.mjs";

export function size() {
  const { budget } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  print(["", "raw", "gzip -9", "brotli -11"]);
  weigh("page", ["core.wasm", "index.js"], budget.page);
  // Has the WebAssembly in it: a worker that the browser starts anew must not need the network for that.
  weigh("worker", ["service-worker.js"], budget.serviceWorker);
}

function weigh(name, files, budget) {
  const rows = files.map((file) => [file, ...measure(readFileSync(join(dist, file)))]);
  const total = [1, 2, 3].map((column) => rows.reduce((sum, row) => sum + row[column], 0));
  for (const row of [...rows, [name, ...total]]) print(row);
  const [, , brotli] = total;
  console.log(`  budget: ${budget} bytes brotli, ${Math.round((100 * brotli) / budget)} % used`);
  if (brotli > budget) throw new Error(`${name}: ${brotli - budget} bytes above the budget`);
}

function measure(bytes) {
  const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length };
  return [bytes.length, gzipSync(bytes, { level: 9 }).length, brotliCompressSync(bytes, { params }).length];
}

function print([name, ...cells]) {
  console.log(name.padEnd(18) + cells.map((cell) => String(cell).padStart(12)).join(""));
}

await cli(import.meta, size);
