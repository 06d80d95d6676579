// Bodies and headers of every kind, and what the app does to them right after the call.
import { followed, lockedLate, pulled } from "./harness/differences.mjs";
import { transparent } from "./harness/transparency.mjs";

const post = (body) => `(fetch, url, t) => fetch(url, { method: "POST", body: ${body} })`;
const rows = (bodies, row = post) => Object.fromEntries(bodies.map((body) => [body, row(body)]));

const BODIES = [
  "''",
  "'leaves'",
  "'Grüße ☕ 茶'",
  "'\\ud800'",
  "'a'.repeat(70_000)",
  "7",
  "0n",
  "true",
  "null",
  "undefined",
  "{}",
  "[1, 2]",
  "() => 1",
  "Symbol()",
  "new String('leaves')",
  "new Date(0)",
  "t.text('leaves')",
  "{ [Symbol.toPrimitive]: (hint) => (t.log(hint), 'leaves') }",
  "Object.create(null)",
  "t.bytes()",
  "t.bytes().buffer",
  "new ArrayBuffer(0)",
  "new ArrayBuffer(4, { maxByteLength: 8 })",
  "t.bytes().subarray(7, 70)",
  "new Uint8Array(0)",
  "new Uint8ClampedArray(t.bytes())",
  "new Uint16Array(t.bytes().buffer, 10, 20)",
  "new Float64Array([1.5, NaN])",
  "new BigInt64Array([1n])",
  "new DataView(t.bytes().buffer, 3, 30)",
  "new (class extends Uint8Array {})(5)",
  "new (class extends ArrayBuffer { static get [Symbol.species]() { t.log('species'); return ArrayBuffer; } })(5)",
  "new Blob(['leaves'])",
  "new Blob(['leaves'], { type: 'Text/Tea' })",
  "new Blob([])",
  "new Blob(['leaves']).slice(1, 3, 'x/y')",
  "new File([t.bytes()], 'tea.bin', { type: 'application/x-tea' })",
  "new (class extends Blob { get type() { t.log('type'); return 'a/b'; } })(['leaves'])",
  "new URLSearchParams('a=1&b=%20+ü')",
  "new URLSearchParams()",
  "Object.assign(new URLSearchParams('a=1'), { toString: () => 'b=2' })",
  "new (class extends URLSearchParams { *[Symbol.iterator]() { t.log('iterated'); } })('a=1')",
  "Object.create(Blob.prototype)",
  "new Response('leaves').body",
  "new Response('leaves')",
  "new Headers()",
  "new Request('/', { method: 'POST', body: 'leaves' }).body ?? 'none'",
  "document",
  "structuredClone(t.bytes().buffer, {})",
];

transparent("a POST of", {
  ...rows(BODIES),
  "an ArrayBuffer that was given away": (fetch, url, t) => {
    const { buffer } = t.bytes();
    structuredClone(buffer, { transfer: [buffer] });
    return fetch(url, { method: "POST", body: buffer });
  },
  "an array whose buffer was given away": (fetch, url, t) => {
    const array = t.bytes();
    structuredClone(array.buffer, { transfer: [array.buffer] });
    return fetch(url, { method: "POST", body: array });
  },
});

transparent("a Request with a POST of", rows(BODIES, (body) => `(fetch, url, t) => fetch(new Request(url, { method: "POST", body: ${body} }))`));

// The boundary differs each time.
transparent("a form", {
  "arrives with what it was made of": async (fetch, url, t) => {
    const form = new FormData();
    form.append("leaves", "green");
    form.append("file", new File([t.bytes()], "tea.bin"));
    form.append("leaves", "Grüße\n");
    const answer = await fetch(url, { method: "POST", body: form, headers: { "content-type": "text/plain" } });
    return [answer.status, answer.type];
  },
  "from the page": (fetch, url) => {
    const element = document.createElement("form");
    const input = document.createElement("input");
    input.name = "a";
    input.value = "1";
    element.append(input);
    return fetch(url, { method: "POST", body: new URLSearchParams(new FormData(element)) });
  },
}, ["own, listed", "not listed"]);

transparent("a stream", {
  "in an init": { run: (fetch, url, t) => fetch(url, { method: "POST", body: t.stream("leaves"), duplex: "half" }), differs: pulled },
  "in a Request": { run: (fetch, url, t) => fetch(new Request(url, { method: "POST", body: t.stream("leaves"), duplex: "half" })), differs: pulled },
  "without duplex": { run: (fetch, url, t) => fetch(url, { method: "POST", body: t.stream("leaves") }), differs: pulled },
  "with a GET": (fetch, url, t) => fetch(url, { body: t.stream("leaves"), duplex: "half" }),
  "with keepalive": (fetch, url, t) => fetch(url, { method: "POST", body: t.stream("leaves"), duplex: "half", keepalive: true }),
  "that is locked": (fetch, url, t) => {
    const body = t.stream("leaves");
    body.getReader();
    return fetch(url, { method: "POST", body, duplex: "half" });
  },
  "that was read": async (fetch, url, t) => {
    const body = t.stream("leaves");
    const reader = body.getReader();
    await reader.read();
    reader.releaseLock();
    return fetch(url, { method: "POST", body, duplex: "half" });
  },
  "that fails": {
    run: (fetch, url, t) => fetch(url, { method: "POST", body: new ReadableStream({ start: (controller) => controller.error(t.mine) }), duplex: "half" }),
  },
  "that is locked by the call": {
    run: (fetch, url, t) => {
      const body = t.stream("leaves");
      const answer = fetch(url, { method: "POST", body, duplex: "half" });
      t.log(`locked ${body.locked}`);
      return answer;
    },
    differs: [lockedLate, pulled],
  },
});

transparent("bodies and methods:", {
  ...rows(["'GET'", "'get'", "'HEAD'", "'head'", "''", "undefined", "'DELETE'", "'PATCH'", "'PUT'", "'OPTIONS'", "'PURGE'"], (method) =>
    `(fetch, url) => fetch(url, { method: ${method}, body: "leaves" })`),
  "an empty body with a GET": (fetch, url) => fetch(url, { body: "" }),
  "null with a GET": (fetch, url) => fetch(url, { body: null }),
  "a POST without a body": (fetch, url) => fetch(url, { method: "POST" }),
  "keepalive": (fetch, url) => fetch(url, { method: "POST", body: "leaves", keepalive: true }),
});

const headers = (value) => `(fetch, url, t) => fetch(url, { headers: ${value} })`;
transparent("headers as", {
  ...rows([
    "{ 'X-A': '1', 'x-b': '2' }",
    "{ 'X-A': '1', 'x-a': '2' }",
    "[['X-A', '1'], ['x-a', '2']]",
    "new Headers({ 'X-A': '1' })",
    "new Headers(new Headers({ 'X-A': '1' }))",
    "new Response('', { headers: { 'X-A': '1' } }).headers",
    "new Request('/', { headers: { 'X-A': '1' } }).headers",
    "new Map([['X-A', '1']])",
    "new URLSearchParams('X-A=1')",
    "new Set([['X-A', '1']])",
    "(function* () { t.log('first'); yield ['X-A', '1']; t.log('second'); yield ['X-B', '2']; })()",
    "[new Set(['X-A', '1'])]",
    "[['X-A']]",
    "[['X-A', '1', '2']]",
    "['X-A', '1']",
    "['ab']",
    "[{}]",
    "[[]]",
    "{ 'X-A': 7 }",
    "{ 'X-A': null }",
    "{ 'X-A': undefined }",
    "{ 'X-A': ['1', '2'] }",
    "{ 'X-A': '' }",
    "{ 'X-A': ' 1\\t' }",
    "{ 'X-A': '1\\n2' }",
    "{ 'X-A': '1\\0' }",
    "{ 'X-A': '\\xe9' }",
    "{ 'X-A': '☕' }",
    "{ 'X A': '1' }",
    "{ 'X-é': '1' }",
    "{ '☕': '1' }",
    "{ '': '1' }",
    "{ 'x:y': '1' }",
    "{ [Symbol('x')]: '1' }",
    "Object.defineProperty({}, 'X-A', { value: '1' })",
    "Object.create({ 'X-A': '1' })",
    "Object.assign(() => {}, { 'X-A': '1' })",
    "new Date(0)",
    "{ 'X-A': t.text('1') }",
    "t.spy({ 'X-A': '1', 'X-B': '2' }, 'headers')",
    "t.spy([['X-A', '1']], 'headers')",
    "t.spy(new Headers({ 'X-A': '1' }), 'headers')",
    "t.getters({ 'X-A': t.text('1', 'a'), 'X-B': t.text('2', 'b') }, 'headers')",
    "{ get 'X-A'() { throw t.mine; } }",
    "{ [Symbol.iterator]: undefined, 'X-A': '1' }",
    "{ [Symbol.iterator]: 7 }",
    "{ *[Symbol.iterator]() { throw t.mine; } }",
    "Object.assign(new Headers({ 'X-A': '1' }), { *[Symbol.iterator]() { yield ['X-B', '2']; } })",
    "new (class extends Headers { get() { t.log('get'); } has() { t.log('has'); } set() { t.log('set'); } })({ 'X-A': '1' })",
    "Object.freeze({ 'X-A': '1' })",
    "Object.freeze(new Headers({ 'X-A': '1' }))",
  ], headers),
  ...rows([
    "Accept", "Accept-Language", "Content-Type", "Range", "Accept-Charset", "Accept-Encoding", "Access-Control-Request-Headers", "Connection", "Content-Length",
    "Cookie", "Cookie2", "Date", "DNT", "Expect", "Host", "Keep-Alive", "Origin", "Referer", "Set-Cookie", "TE", "Trailer", "Transfer-Encoding", "Upgrade",
    "User-Agent", "Via", "Proxy-Authorization", "Proxy-A", "Sec-Fetch-Mode", "Sec-A", "X-HTTP-Method-Override", "Cache-Control", "If-None-Match", "Priority",
  ], (name) => headers(`{ '${name}': '1' }`)),
  "content-type in another case, with a body": (fetch, url) => fetch(url, { method: "POST", body: "leaves", headers: { "CONTENT-TYPE": "a/b" } }),
  "an empty content-type, with a body": (fetch, url) => fetch(url, { method: "POST", body: "leaves", headers: { "content-type": "" } }),
  "an Authorization of the app's": { run: (fetch, url) => fetch(url, { headers: { Authorization: "Basic dGVh" } }), token: false },
  "an empty Authorization of the app's": { run: (fetch, url) => fetch(url, { headers: { Authorization: "" } }), token: false },
  "an Authorization of the app's, in a Request": { run: (fetch, url) => fetch(new Request(url, { headers: { AUTHORIZATION: "Basic dGVh" } })), token: false },
  "an Authorization of the app's, over a Request": { run: (fetch, url) => fetch(new Request(url), { headers: { Authorization: "Basic dGVh" } }), token: false },
});

transparent("the app changes right after the call", {
  "a URL": (fetch, url, t) => {
    const input = new URL(url);
    const answer = fetch(input);
    input.href = t.sibling("other");
    return answer;
  },
  "an init": (fetch, url) => {
    const init = { method: "PUT", body: "leaves" };
    const answer = fetch(url, init);
    init.method = "DELETE";
    init.body = "none";
    return answer;
  },
  "an array of headers": (fetch, url) => {
    const pairs = [["X-A", "1"]];
    const answer = fetch(url, { headers: pairs });
    pairs[0][1] = "2";
    pairs.push(["X-B", "2"]);
    return answer;
  },
  "Headers": (fetch, url, t) => {
    const headers = new Headers({ "X-A": "1" });
    const answer = fetch(url, { headers });
    headers.set("X-A", "2");
    headers.set("X-B", "2");
    t.later("headers", () => [...headers]);
    return answer;
  },
  "bytes": (fetch, url, t) => {
    const body = t.bytes();
    const answer = fetch(url, { method: "POST", body });
    body.fill(1);
    return answer;
  },
  "a buffer": (fetch, url, t) => {
    const { buffer } = t.bytes();
    const answer = fetch(url, { method: "POST", body: buffer });
    structuredClone(buffer, { transfer: [buffer] });
    return answer;
  },
  "URLSearchParams": (fetch, url) => {
    const body = new URLSearchParams("a=1");
    const answer = fetch(url, { method: "POST", body });
    body.set("a", "2");
    return answer;
  },
  "a Request's headers": (fetch, url, t) => {
    const request = new Request(url, { headers: { "X-A": "1" } });
    const answer = fetch(request);
    request.headers.set("X-A", "2");
    t.later("headers", () => [...request.headers]);
    return answer;
  },
  "a Request's body": {
    run: (fetch, url, t) => {
      const body = t.bytes();
      const request = new Request(url, { method: "POST", body });
      const answer = fetch(request);
      body.fill(1);
      return answer;
    },
    differs: followed(new Uint8Array(300).fill(1)),
  },
  "a Request's URLSearchParams": {
    run: (fetch, url) => {
      const body = new URLSearchParams("a=1");
      const answer = fetch(new Request(url, { method: "POST", body }));
      body.set("a", "2");
      return answer;
    },
    differs: followed("a=2"),
  },
});
