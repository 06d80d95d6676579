// `npm run bench`: what tokenward adds to a request, measured in a browser beside native and beside other libraries, with
// the network stubbed; and what a service worker adds to a round trip. Times are reported, not judged; it fails if a
// request was not sent as it should be. `--json` for machines.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { browser, close, open } from "../tests/e2e/harness/browsers.mjs";
import { startStaticServer } from "../www/servers/static.mjs";
import { cli, dist, root, target } from "./tools.mjs";

const LONGER_LIST = 1.3;
const MATCHING_US = 4;
const OTHER_US = 1.5;
const OF_THE_CHEAPEST = 0.25;

const OTHERS = {
  badgateway: "@badgateway/oauth2-client",
  axa: "@axa-fr/oidc-client",
  auth0: "@auth0/auth0-spa-js",
};

const beside = (form) => [
  { name: `${form}.native`, title: "native, header written by hand" },
  { name: `${form}.tokenward`, title: "tokenward" },
  ...Object.entries(OTHERS).map(([name, title]) => ({ name: `${form}.${name}`, title })),
];

/**
 * What is printed: cases of tests/bench, each compared with the first of its group and, `than`, with another one. `target`
 * is for the median in microseconds, or for the ratio to `than`.
 */
const GROUPS = [
  {
    title: "fetch, a URL",
    rows: beside("plain").toSpliced(
      1,
      1,
      { name: "plain.tokenward", title: "tokenward", target: MATCHING_US },
      { name: "plain.tokenwardPaths", title: "the same, a new path each time" },
      { name: "plain.tokenwardLong", title: "the same, 10,000 entries", than: "plain.tokenward", target: LONGER_LIST },
    ),
  },
  { title: "fetch, a Request", rows: beside("request") },
  { title: "fetch, POST with a body", rows: beside("post") },
  {
    title: "fetch, not to be authorised",
    rows: [
      { name: "other.native", title: "native, no header" },
      { name: "other.origin", title: "tokenward, other origin", target: OTHER_US },
      { name: "other.originLong", title: "the same, 10,000 entries", than: "other.origin", target: LONGER_LIST },
      { name: "other.path", title: "tokenward, other path", target: OTHER_US },
      { name: "other.pathLong", title: "the same, 10,000 entries", than: "other.path", target: LONGER_LIST },
    ],
  },
  {
    title: "XMLHttpRequest, open and send",
    rows: [
      { name: "xhr.native", title: "native, header written by hand" },
      { name: "xhr.tokenward", title: "tokenward" },
    ],
  },
  {
    title: "fetch, 100 at once with proofs of possession",
    rows: [
      { name: "proof.sign", title: "the signatures alone" },
      { name: "proof.tokenward", title: "tokenward" },
    ],
  },
  {
    title: "fetch, round trip to a loopback server",
    rows: [
      { name: "worker.native", title: "no service worker" },
      { name: "worker.passThrough", title: "service worker that passes through" },
      { name: "worker.tokenward", title: "service worker of tokenward" },
    ],
  },
];

/** The page's scripts, the other libraries among them. The package is loaded as it is, when its network is stubbed. */
async function bundle() {
  const { build } = await import("esbuild");
  const outdir = join(target, "bench");
  await build({
    absWorkingDir: root,
    entryPoints: ["tests/bench/bench.js"],
    outdir,
    bundle: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
    external: ["/tokenward/*"],
    logLevel: "warning",
  });
  return outdir;
}

/** Answers the round trips, and counts them. */
function countingServer(counts) {
  return (request, response) => {
    const [, name] = /^\/orders\/([\w.]+)/.exec(request.url) ?? [];
    if (!name) return false;
    const count = (counts[name] ??= { requests: 0, authorised: 0 });
    count.requests += 1;
    if (/^Bearer t+$/.test(request.headers.authorization)) count.authorised += 1;
    response.writeHead(200, { "content-type": "application/json", "cache-control": "no-store" });
    response.end("{}");
    return true;
  };
}

async function measure() {
  if (!existsSync(join(dist, "index.js"))) throw new Error("there is no build to measure: run `npm run build` first");
  const frame = join(root, "tests/bench/frame");
  const counts = {};
  const server = await startStaticServer({
    mounts: {
      "/": join(root, "tests/bench"),
      "/bundle/": await bundle(),
      "/tokenward/": dist,
      "/frames/worker.native/": frame,
      "/frames/worker.passThrough/": frame,
      "/frames/worker.tokenward/": frame,
    },
    handlers: [countingServer(counts)],
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
    const { error, times, notes } = JSON.parse(json);
    if (error) throw new Error(`in the page: ${error}`);
    for (const [name, { requests, authorised }] of Object.entries(counts)) {
      const { calls } = times[name];
      if (requests !== calls) throw new Error(`${name}: ${requests} of ${calls} requests were sent`);
      if (authorised !== calls) throw new Error(`${name}: ${authorised} of ${calls} requests had the token`);
    }
    return { times, notes };
  } finally {
    await close();
    await server.close();
  }
}

/** The groups with their numbers, without what was left out. */
function derive(times) {
  const derived = GROUPS.map(({ title, rows }) => ({
    title,
    rows: rows
      .filter(({ name }) => times[name])
      .map(({ name, title, than, target }, at) => {
        const { median, bestTenth } = times[name];
        const toNative = at > 0 ? median / times[rows[0].name].median : undefined;
        const toOne = than && median / times[than].median;
        const met = target === undefined ? undefined : (toOne ?? median) <= target;
        return { name, title, median, bestTenth, toNative, toOne, target, met };
      }),
  }));
  return derived.filter(({ rows }) => rows.length > 0);
}

/** The target that is about several rows. */
function toTheCheapest(times) {
  const medians = Object.keys(OTHERS).map((name) => ({ name, median: times[`plain.${name}`].median }));
  const cheapest = medians.reduce((best, next) => (next.median < best.median ? next : best));
  const ratio = times["plain.tokenward"].median / cheapest.median;
  return { cheapest: OTHERS[cheapest.name], median: cheapest.median, ratio, target: OF_THE_CHEAPEST, met: ratio <= OF_THE_CHEAPEST };
}

const verdict = (met) => `target ${met ? "met" : "not met"}`;

function print({ groups, cheapest, notes }) {
  const line = (title, ...cells) => console.log((title.padEnd(38) + cells.map((cell) => cell.padStart(13)).join("")).trimEnd());
  const us = (number) => number.toFixed(2);
  const times = (number) => (number === undefined ? "" : `x ${number.toFixed(2)}`);
  console.log(`${browser}: microseconds a request, medians over interleaved rounds; stubbed network, except round trips`);
  for (const { title, rows } of groups) {
    console.log("");
    line(title, "median", "best tenth", "to native", "to one entry");
    for (const { title, median, bestTenth, toNative, toOne, target, met } of rows) {
      const judged = target === undefined ? "" : `  <= ${toOne ? times(target) : us(target)}: ${verdict(met)}`;
      line(`  ${title}`, us(median), us(bestTenth), times(toNative), times(toOne), judged);
    }
  }
  const { ratio, target, met } = cheapest;
  console.log(`\ntokenward, a URL, to the cheapest other library (${cheapest.cheapest}, ${us(cheapest.median)}): ${times(ratio)}`);
  console.log(`  <= ${times(target)}: ${verdict(met)}`);
  for (const note of notes) console.log(`\nNote: ${note}.`);
  console.log("\nThe targets are for medians in Chromium on a quiet machine.");
}

await cli(import.meta, async () => {
  const { times, notes } = await measure();
  const result = { browser, unit: "us", groups: derive(times), cheapest: toTheCheapest(times), notes };
  if (process.argv.includes("--json")) console.log(JSON.stringify(result, null, 2));
  else print(result);
});
