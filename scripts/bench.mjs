// `npm run bench`: what tokenward adds to a call of `fetch`, measured in a browser with the network stubbed. Times are
// reported, not judged; it fails if a request was not sent as it should be. `--json` for machines.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { browser, close, open } from "../tests/e2e/harness/browsers.mjs";
import { startStaticServer } from "../www/servers/static.mjs";
import { cli, dist, root } from "./tools.mjs";

const LONGER_LIST = 1.3;

/** What is printed: a case of tests/bench/bench.js, what it is compared with, and the target in microseconds. */
const ROWS = [
  { name: "native", title: "native, header written by hand" },
  { name: "matching", title: "tokenward, matching", over: "native", target: 6 },
  { name: "matchingLong", title: "tokenward, matching, 10,000 entries", over: "native", than: "matching" },
  { name: "bare", title: "native, no header" },
  { name: "otherOrigin", title: "tokenward, other origin", over: "bare", target: 1.5 },
  { name: "otherOriginLong", title: "tokenward, other origin, 10,000 entries", over: "bare", than: "otherOrigin" },
  { name: "otherPath", title: "tokenward, other path", over: "bare", target: 1.5 },
  { name: "otherPathLong", title: "tokenward, other path, 10,000 entries", over: "bare", than: "otherPath" },
];

async function measure() {
  if (!existsSync(join(dist, "index.js"))) throw new Error("there is no build to measure: run `npm run build` first");
  const server = await startStaticServer({
    mounts: { "/": join(root, "tests/bench"), "/tokenward/": dist },
    // An isolated page gets a clock of 5 µs; others get one of 100 µs.
    headers: () => ({
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-embedder-policy": "require-corp",
    }),
  });
  try {
    const driver = await open();
    await driver.get(`${server.origin}/`);
    const json = await driver.executeAsyncScript("window.bench().then(arguments[0])");
    const { error, ...times } = JSON.parse(json);
    if (error) throw new Error(`in the page: ${error}`);
    return times;
  } finally {
    await close();
    await server.close();
  }
}

function derive(times) {
  return ROWS.map(({ name, title, over, than, target }) => {
    const { median, bestTenth } = times[name];
    const added = over && median - times[over].median;
    const ratio = than && median / times[than].median;
    const limit = than ? LONGER_LIST : target;
    return { name, title, median, bestTenth, added, ratio, limit };
  });
}

function print(rows) {
  const line = (title, ...cells) => console.log(title.padEnd(42) + cells.map((cell) => cell.padStart(14)).join(""));
  const us = (number) => (number === undefined ? "" : number.toFixed(2));
  const times = (number) => (number === undefined ? "" : `x ${number.toFixed(2)}`);
  console.log(`${browser}: microseconds a call of fetch, network stubbed, median of batches\n`);
  line("", "median", "best tenth", "added", "to one entry", "target");
  for (const { title, median, bestTenth, added, ratio, limit } of rows) {
    const target = limit === undefined ? "" : `<= ${ratio ? times(limit) : us(limit)}`;
    line(title, us(median), us(bestTenth), us(added), times(ratio), target);
  }
  console.log("\nThe targets are for medians in Chromium on a quiet machine.");
}

await cli(import.meta, async () => {
  const rows = derive(await measure());
  if (process.argv.includes("--json")) console.log(JSON.stringify({ browser, unit: "us", rows }, null, 2));
  else print(rows);
});
