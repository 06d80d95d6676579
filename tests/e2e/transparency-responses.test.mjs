// What comes back: answers, redirects, opaque and failed ones, and other schemes.
import { pulled } from "./harness/differences.mjs";
import { ALL, OURS, transparent } from "./harness/transparency.mjs";

const get = (fetch, url) => fetch(url);
const answers = (list, run = get) => Object.fromEntries(Object.entries(list).map(([name, answer]) => [name, { run, answer }]));

transparent("an answer", {
  ...answers(Object.fromEntries([200, 201, 203, 204, 205, 206, 300, 304, 400, 403, 404, 405, 409, 410, 429, 500, 502, 503].map((status) => [`${status}`, { status }]))),
  ...answers({
    "without a body": { body: "" },
    "of 200 kB": { body: "tea ".repeat(200) },
    "as JSON": { headers: { "content-type": "application/json" }, body: '{"tea":1}' },
    "with a cookie": { headers: { "set-cookie": "a=1; path=/nowhere" } },
    "with a header that is exposed, and one that is not": { headers: { "x-tea": "black", "x-milk": "no" } },
    "with a header twice": { headers: { "x-tea": ["black", "green"] } },
    "with an encoding it has not": { headers: { "content-encoding": "gzip" } },
  }),
  "401 about something else": {
    run: get,
    answer: { status: 401, headers: { "www-authenticate": 'Tea realm="pot"' } },
    // Across origins nobody can tell what it is about.
    targets: ["own, listed", "refused", "waiting", "not listed"],
  },
  "of a HEAD": (fetch, url) => fetch(url, { method: "HEAD" }),
  "read as JSON": { run: (fetch, url) => fetch(url).then((answer) => answer.json()), answer: { body: "[1]" } },
  "read as JSON that is none": { run: (fetch, url) => fetch(url).then((answer) => answer.json()), answer: { body: "tea" } },
  "read as bytes": (fetch, url) => fetch(url).then(async (answer) => [...new Uint8Array(await answer.arrayBuffer())]),
  "read as a Blob": (fetch, url) => fetch(url).then(async (answer) => (await answer.blob()).type),
  "read twice": async (fetch, url) => {
    const answer = await fetch(url);
    return [await answer.text(), answer.bodyUsed, await answer.text().catch((error) => error)];
  },
  "read in parts": async (fetch, url) => {
    const reader = (await fetch(url)).body.getReader();
    let length = 0;
    for (let part; !(part = await reader.read()).done; ) length += part.value.length;
    return length;
  },
  "cancelled": async (fetch, url) => {
    const answer = await fetch(url);
    await answer.body.cancel();
    return answer.bodyUsed;
  },
  "awaited": async (fetch, url) => await fetch(url),
  "in Promise.all": (fetch, url) => Promise.all([fetch(url), fetch(url)]),
  "in Promise.race": (fetch, url) => Promise.race([fetch(url), new Promise(() => {})]),
  "and finally": (fetch, url, t) => fetch(url).finally(() => t.log("finally")),
  "nobody waits for": (fetch, url, t) => {
    const answer = fetch(url);
    // What arrives is compared once it has.
    t.later("status", () => answer.then(({ status }) => status));
  },
});

const MODES = ["follow", "error", "manual"];
const redirected = (answer, inits = MODES.map((redirect) => ({ redirect }))) =>
  Object.fromEntries(inits.map((init) => [JSON.stringify(init), { run: `(fetch, url) => fetch(url, ${JSON.stringify(init)})`, answer }]));

for (const status of [301, 302, 303, 307, 308]) {
  transparent(`a redirect (${status}) within the origin:`, redirected({ status, to: "/open/ID/landed" }, [
    ...MODES.map((redirect) => ({ redirect })),
    { method: "POST", body: "leaves" },
    { method: "PUT", body: "leaves" },
    { method: "HEAD" },
  ]));
  transparent(`a redirect (${status}) to another origin:`, redirected({ status, to: "other:/v1/ID/landed" }, [
    ...MODES.map((redirect) => ({ redirect })),
    { method: "POST", body: "leaves" },
    { credentials: "include" },
  ]));
}
transparent("a redirect in a Request:", Object.fromEntries(MODES.map((redirect) => [
  redirect,
  { run: `(fetch, url) => fetch(new Request(url, { redirect: "${redirect}" }))`, answer: { to: "/open/ID/landed" } },
])));
transparent("a redirect that", {
  "goes nowhere": { run: get, answer: { status: 302 } },
  "goes to what is no URL": { run: get, answer: { to: "http://[" } },
  "goes to data:": { run: get, answer: { to: "data:,tea" } },
  "goes round in circles": { run: get, answer: { to: "?again" }, targets: ["own, listed", "own"] },
  "goes on from another origin": { run: get, answer: { to: "api:/v1/ID/landed" }, targets: ["other"] },
  "has a fragment": { run: (fetch, url) => fetch(`${url}#mine`), answer: { to: "/open/ID/landed#other" } },
  "has a body of a stream": {
    run: (fetch, url, t) => fetch(url, { method: "POST", body: t.stream("leaves"), duplex: "half" }),
    answer: { status: 307, to: "/open/ID/landed" },
    differs: pulled,
  },
});

const opaque = (run) => ({ run, targets: ALL, token: false });
transparent("no-cors:", {
  "an init": opaque((fetch, url) => fetch(url, { mode: "no-cors" })),
  "a Request": opaque((fetch, url) => fetch(new Request(url, { mode: "no-cors" }))),
  "over a Request": opaque((fetch, url) => fetch(new Request(url), { mode: "no-cors" })),
  "a POST": opaque((fetch, url) => fetch(url, { mode: "no-cors", method: "POST", body: "leaves" })),
  "a PUT": opaque((fetch, url) => fetch(url, { mode: "no-cors", method: "PUT" })),
  "headers": opaque((fetch, url) => fetch(url, { mode: "no-cors", headers: { accept: "a/b", "x-a": "1" } })),
  "credentials": opaque((fetch, url) => fetch(url, { mode: "no-cors", credentials: "include" })),
  "integrity": opaque((fetch, url) => fetch(url, { mode: "no-cors", integrity: "sha256-AAAA" })),
  "redirect error": opaque((fetch, url) => fetch(url, { mode: "no-cors", redirect: "error" })),
  "redirect manual": opaque((fetch, url) => fetch(url, { mode: "no-cors", redirect: "manual" })),
  "keepalive": opaque((fetch, url) => fetch(url, { mode: "no-cors", keepalive: true })),
  "an object that becomes it": opaque((fetch, url, t) => fetch(url, { mode: t.text("no-cors") })),
  "an object that becomes it once": opaque((fetch, url, t) => fetch(url, { mode: t.turning("no-cors", "cors") })),
});

transparent("a refusal by CORS", {
  "of a GET": { run: get, answer: { cors: false }, unseen: true },
  "of a PUT": { run: (fetch, url) => fetch(url, { method: "PUT" }), answer: { cors: false }, unseen: true },
  "of a header": { run: (fetch, url) => fetch(url, { headers: { "x-a": "1" } }), answer: { cors: false }, unseen: true },
}, ["listed", "not listed", "other"]);

transparent("no network:", {
  "a port that nobody listens at": (fetch) => fetch("http://127.0.0.1:1/"),
  "a port that is forbidden": (fetch) => fetch("http://127.0.0.1:6000/"),
  "a policy that refuses": (fetch) => fetch("https://refused.example/"),
  "user and password": (fetch, url) => fetch(url.replace("//", "//ada:secret@")),
  "user alone": (fetch, url) => fetch(url.replace("//", "//ada@")),
}, ["listed", "own, listed"]);

transparent("another scheme:", {
  "data:": (fetch) => fetch("data:text/tea,leaves"),
  "data: in base64": (fetch) => fetch("data:;base64,dGVh"),
  "data: that is broken": (fetch) => fetch("data:;base64,%"),
  "data: without anything": (fetch) => fetch("data:"),
  "data: with an init": (fetch, url, t) => fetch("data:,tea", t.spy({ method: "POST", body: "leaves" })),
  "data: in an object": (fetch, url, t) => fetch(t.text("data:,tea")),
  "blob:": (fetch, url, t) => {
    const blob = URL.createObjectURL(new Blob(["tea"], { type: "text/tea" }));
    t.later("revoked", () => URL.revokeObjectURL(blob));
    return fetch(blob).then((answer) => answer.text());
  },
  "blob: that was revoked": (fetch) => {
    const blob = URL.createObjectURL(new Blob(["tea"]));
    URL.revokeObjectURL(blob);
    return fetch(blob);
  },
  "blob: revoked right after the call": (fetch) => {
    const blob = URL.createObjectURL(new Blob(["tea"]));
    const answer = fetch(blob).then((answer) => answer.text());
    URL.revokeObjectURL(blob);
    return answer;
  },
  "about:blank": (fetch) => fetch("about:blank"),
  "javascript:": (fetch) => fetch("javascript:0"),
  "file:": (fetch) => fetch("file:///nowhere"),
  "ftp:": (fetch) => fetch("ftp://other.example/"),
  "mailto:": (fetch) => fetch("mailto:ada@other.example"),
  "ws:": (fetch) => fetch("ws://127.0.0.1:1/"),
  "no such scheme": (fetch) => fetch("tea:pot"),
  "httpx:": (fetch) => fetch("httpx://other.example/"),
}, ["listed"]);

transparent("no argument, and wrong ones:", {
  "none": (fetch) => fetch(),
  "undefined": (fetch) => fetch(undefined),
  "null": (fetch) => fetch(null),
  "a number": (fetch) => fetch(7),
  "a symbol": (fetch) => fetch(Symbol("tea")),
  "an empty string": (fetch) => fetch(""),
  "no URL": (fetch) => fetch("http://["),
  "a port that is none": (fetch) => fetch("http://127.0.0.1:99999/"),
  "an object without a string": (fetch) => fetch(Object.create(null)),
  "an object whose string is none": (fetch) => fetch({ toString: () => ({}), valueOf: () => 7 }),
  "an object that throws": (fetch, url, t) =>
    fetch({
      toString() {
        throw t.mine;
      },
    }),
  "a toPrimitive that throws": (fetch, url, t) =>
    fetch({
      get [Symbol.toPrimitive]() {
        throw t.mine;
      },
    }),
}, ["own, listed", "own"]);

const OWN = OURS.filter((name) => name !== "listed");
transparent("headers that say where it came from:", {
  "a referrer of the page": (fetch, url) => fetch(url, { referrer: "/some/page?x#y", referrerPolicy: "unsafe-url" }),
  "no referrer": (fetch, url) => fetch(url, { referrer: "" }),
  "a referrer in a Request": (fetch, url) => fetch(new Request(url, { referrer: "/some/page", referrerPolicy: "unsafe-url" })),
  "a referrer with a body": (fetch, url) => fetch(new Request(url, { method: "POST", body: "leaves", referrer: "/some/page", referrerPolicy: "unsafe-url" })),
  "a referrer over a Request": (fetch, url) => fetch(new Request(url), { referrer: "/some/page", referrerPolicy: "unsafe-url" }),
  "a policy alone": (fetch, url) => fetch(url, { referrerPolicy: "unsafe-url" }),
  "a policy in a Request with a body": (fetch, url) => fetch(new Request(url, { method: "POST", body: "leaves", referrerPolicy: "origin" })),
  "priority in a Request": (fetch, url) => fetch(new Request(url, { priority: "low" })),
  "priority in a Request with a body": (fetch, url) => fetch(new Request(url, { method: "POST", body: "leaves", priority: "low" })),
  "cache in a Request": (fetch, url) => fetch(new Request(url, { cache: "no-cache" })),
  "cache in a Request with a body": (fetch, url) => fetch(new Request(url, { method: "POST", body: "leaves", cache: "no-cache" })),
  "keepalive in a Request with a body": (fetch, url) => fetch(new Request(url, { method: "POST", body: "leaves", keepalive: true })),
}, [...OWN, "not listed"]);
