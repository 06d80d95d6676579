// The page's side of `npm run bench`: what a call of `fetch` costs when the network costs nothing.
const CALLS = 2_000;
const WARM_UP_ROUNDS = 10;
const ROUNDS = 60;
const LONG_LIST = 10_000;

// As long as a small JWT.
const TOKEN = "t".repeat(800);
const BEARER = `Bearer ${TOKEN}`;

const LISTED = "https://api.example.test/v1";
// Each call appends a number: a browser remembers what it made of a string that it has seen before.
const MATCHING = `${LISTED}/orders?page=`;
const OTHER_ORIGIN = "https://cdn.example.test/v1/orders?page=";
const OTHER_PATH = "https://api.example.test/v2/orders?page=";

// Remembers just enough to tell what it was given.
const seen = { calls: 0, init: undefined };
const answer = Promise.resolve(new Response("ok"));
function stub(input, init) {
  seen.calls += 1;
  seen.init = init;
  return answer;
}

/** One and the same function is behind both sides, so it has to be there when the package captures the built-ins. */
async function load() {
  const wasm = await WebAssembly.compileStreaming(fetch("/tokenward/core.wasm"));
  globalThis.fetch = stub;
  const { TokenWard } = await import("/tokenward/index.js");
  return { TokenWard, wasm };
}

/** Half of the list are other origins, half are other paths of the origin that is called. */
function longList() {
  const others = Array.from({ length: LONG_LIST - 1 }, (_, at) =>
    at % 2 === 0 ? `https://api${at}.example.test/v1` : `https://api.example.test/service-${at}`,
  );
  return [LISTED, ...others];
}

/** The `fetch` that a ward with this allow-list puts in place of the stub. */
async function patched({ TokenWard, wasm }, urls) {
  const ward = await TokenWard.create({ wasm, resources: urls.map((url) => ({ url })) });
  ward.setTokens({ access_token: TOKEN, expires_in: 86_400 });
  ward.install();
  const { fetch } = globalThis;
  globalThis.fetch = stub;
  return fetch;
}

/** `bearer` is what the stub has to find in the Authorization header. */
async function createCases() {
  const library = await load();
  const short = await patched(library, [LISTED]);
  const long = await patched(library, longList());
  return [
    { name: "native", bearer: BEARER, call: (at) => stub(MATCHING + at, { headers: { authorization: BEARER } }) },
    { name: "matching", bearer: BEARER, call: (at) => short(MATCHING + at) },
    { name: "matchingLong", bearer: BEARER, call: (at) => long(MATCHING + at) },
    { name: "bare", bearer: null, call: (at) => stub(OTHER_ORIGIN + at) },
    { name: "otherOrigin", bearer: null, call: (at) => short(OTHER_ORIGIN + at) },
    { name: "otherOriginLong", bearer: null, call: (at) => long(OTHER_ORIGIN + at) },
    { name: "otherPath", bearer: null, call: (at) => short(OTHER_PATH + at) },
    { name: "otherPathLong", bearer: null, call: (at) => long(OTHER_PATH + at) },
  ];
}

/** Microseconds a call. */
async function batch({ name, bearer, call }) {
  const before = seen.calls;
  const answers = new Array(CALLS);
  const began = performance.now();
  for (let at = 0; at < CALLS; at += 1) answers[at] = call(at);
  await Promise.all(answers);
  const ended = performance.now();
  const sent = new Headers(seen.init?.headers).get("authorization");
  if (sent !== bearer) throw new Error(`${name}: ${sent === null ? "no token was sent" : "a token was sent"}`);
  if (seen.calls - before !== CALLS) throw new Error(`${name}: ${seen.calls - before} of ${CALLS} requests were sent`);
  return ((ended - began) * 1000) / CALLS;
}

function summary(samples) {
  const sorted = samples.toSorted((a, b) => a - b);
  const quantile = (share) => sorted[Math.floor(share * (sorted.length - 1))];
  return { median: quantile(0.5), bestTenth: quantile(0.1) };
}

/** @returns {Promise<string>} JSON: microseconds of each case, or `error` */
window.bench = async () => {
  try {
    const cases = await createCases();
    const samples = new Map(cases.map(({ name }) => [name, []]));
    for (let round = -WARM_UP_ROUNDS; round < ROUNDS; round += 1) {
      // All cases in each round, each time from another one on, so that noise hits all alike.
      for (let step = 0; step < cases.length; step += 1) {
        const next = cases[(round + WARM_UP_ROUNDS + step) % cases.length];
        const us = await batch(next);
        if (round >= 0) samples.get(next.name).push(us);
      }
    }
    return JSON.stringify(Object.fromEntries([...samples].map(([name, list]) => [name, summary(list)])));
  } catch (error) {
    return JSON.stringify({ error: `${error}\n${error?.stack}` });
  }
};
