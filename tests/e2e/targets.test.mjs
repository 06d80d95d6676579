// Which requests carry a token: judged by what arrives at the servers.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { browser } from "./harness/browsers.mjs";
import { stage } from "./harness/stage.mjs";

const EVERY_LOOPBACK = ["http://127.0.0.1:*", "http://localhost:*", "http://*.localhost:*", "http://localhost.:*"];

/** Signed in, with this allow-list: a function of the servers. */
async function prepare(t, resources = ({ api }) => [{ url: `${api.origin}/v1` }]) {
  const staged = await stage(t, { connect: EVERY_LOOPBACK });
  await staged.page.signIn({ resources: resources(staged) });
  return staged;
}

/** What arrived at both servers, as `METHOD host path token`. */
function arrivals({ api, other }) {
  return [...api.requests, ...other.requests].map(({ method, headers, path, tokenReceived }) => {
    return { method, url: `http://${headers.host}${path}`, tokenReceived };
  });
}

const named = ({ port }, host = "localhost") => `http://${host}:${port}`;
const listsLocalhost = ({ api }) => [{ url: `${named(api)}/v1` }];

// `url` is what the app asks for. `rejects`: no request is made at all.
const strangers = [
  { what: "another port", url: ({ other }) => `${other.origin}/v1/orders` },
  {
    what: "a port that begins like the listed one",
    resources: ({ other }) => [{ url: `http://127.0.0.1:${String(other.port).slice(0, -1)}/v1` }],
    url: ({ other }) => `${other.origin}/v1/orders`,
  },
  { what: "another name of the same address", url: ({ api }) => `${named(api)}/v1/orders` },
  { what: "a subdomain", resources: listsLocalhost, url: ({ api }) => `${named(api, "api.localhost")}/v1/orders` },
  { what: "a name that begins like the listed one", resources: listsLocalhost, url: ({ api }) => `${named(api, "localhost.localhost")}/v1/orders` },
  { what: "a name that ends like the listed one", resources: listsLocalhost, url: ({ api }) => `${named(api, "notlocalhost.localhost")}/v1/orders` },
  {
    what: "a name with a dot at its end",
    resources: listsLocalhost,
    url: ({ api }) => `${named(api, "localhost.")}/v1/orders`,
    // Firefox does not know this name.
    rejects: browser === "firefox",
  },
  { what: "the listed origin as user name and password", url: ({ api, other }) => `http://127.0.0.1:${api.port}@127.0.0.1:${other.port}/v1/orders`, rejects: true },
  { what: "user name and password for the listed origin", url: ({ api }) => `http://ada:secret@127.0.0.1:${api.port}/v1/orders`, rejects: true },
  { what: "the listed URL in the query", url: ({ api, other }) => `${other.origin}/?${api.origin}/v1/orders` },
  { what: "the listed URL in the path", url: ({ api, other }) => `${other.origin}/${api.origin}/v1/orders` },
  { what: "the listed URL in the fragment", url: ({ api, other }) => `${other.origin}/#${api.origin}/v1/orders` },
  { what: "another host without a scheme", url: ({ other }) => `//127.0.0.1:${other.port}/v1/orders` },
  { what: "white space before another origin", url: ({ other }) => ` \t\n${other.origin}/v1/orders` },
  { what: "backslashes before another host", url: ({ other }) => `\\\\127.0.0.1:${other.port}\\v1\\orders` },
  { what: "the root", url: ({ api }) => `${api.origin}/` },
  { what: "a sibling path", url: ({ api }) => `${api.origin}/public` },
  { what: "a path that begins like the listed one", url: ({ api }) => `${api.origin}/v10/orders` },
  { what: "a shorter path", url: ({ api }) => `${api.origin}/v` },
  { what: "another case", url: ({ api }) => `${api.origin}/V1/orders` },
  { what: "the listed path in the query", url: ({ api }) => `${api.origin}/public?/v1/orders` },
  { what: "dot segments", url: ({ api }) => `${api.origin}/v1/../public` },
  { what: "encoded dot segments", url: ({ api }) => `${api.origin}/v1/%2e%2E/public` },
  { what: "half encoded dot segments", url: ({ api }) => `${api.origin}/v1/orders/.%2e/%2E./public` },
  { what: "backslashes and dot segments", url: ({ api }) => `${api.origin}\\v1\\..\\public` },
  { what: "dots and an encoded slash", url: ({ api }) => `${api.origin}/v1/..%2fpublic` },
  { what: "dots and an encoded backslash", url: ({ api }) => `${api.origin}/v1/..%5Cpublic` },
  { what: "encoded dots and encoded slashes", url: ({ api }) => `${api.origin}/v1/x%2F%2e%2e%2F..%2Fpublic` },
  { what: "an empty list", resources: () => [], url: ({ api }) => `${api.origin}/v1/orders` },
];

const friends = [
  { what: "the listed path", url: ({ api }) => `${api.origin}/v1` },
  { what: "a slash after it", url: ({ api }) => `${api.origin}/v1/` },
  { what: "a path below", url: ({ api }) => `${api.origin}/v1/orders/7` },
  { what: "a query after it", url: ({ api }) => `${api.origin}/v1?a=/../../public` },
  { what: "a fragment after it", url: ({ api }) => `${api.origin}/v1#../public` },
  { what: "dot segments that stay below", url: ({ api }) => `${api.origin}/v0/../v1/orders/../echo` },
  { what: "an encoded slash without dots", url: ({ api }) => `${api.origin}/v1/projects/group%2Fname` },
  { what: "another case of scheme and host", resources: listsLocalhost, url: ({ api }) => `HTTP://LocalHost:${api.port}/v1/orders` },
  { what: "another spelling of the address", url: ({ api }) => `http://0x7f.1:${api.port}/v1/orders` },
  { what: "no scheme", url: ({ api }) => `//127.0.0.1:${api.port}/v1/orders` },
  { what: "white space in it", url: ({ api }) => ` http://127.0.0.1:${api.port}/v1/or\n\tders ` },
  { what: "backslashes", url: ({ api }) => `http:\\\\127.0.0.1:${api.port}\\v1\\orders` },
  { what: "a longer path listed too", resources: ({ api }) => [{ url: `${api.origin}/v1` }, { url: `${api.origin}/v1/orders/archive` }], url: ({ api }) => `${api.origin}/v1/orders` },
  { what: "a whole origin listed", resources: ({ api }) => [{ url: api.origin }], url: ({ api }) => `${api.origin}/public` },
];

/** The same request as a string, a URL, a Request, and both ways of a ward. */
const inEveryForm = async (kit, url) => {
  const forms = [
    () => fetch(url),
    () => fetch(new URL(url, document.baseURI)),
    () => fetch(new Request(url)),
    () => fetch({ toString: () => url }),
    () => kit.ward.fetch(url, { cache: "no-store" }),
  ];
  const outcomes = [];
  for (const form of forms) outcomes.push(await kit.outcome((async () => form())()));
  return outcomes;
};

for (const [name, targets, tokenReceived] of [["no token", strangers, false], ["a token", friends, true]]) {
  describe(`${name} for`, () => {
    for (const { what, resources, url, rejects = false } of targets) {
      test(what, async (t) => {
        const staged = await prepare(t, resources);
        const outcomes = await staged.page.run(inEveryForm, url(staged));
        const arrived = arrivals(staged);
        assert.deepEqual(arrived.filter((request) => request.tokenReceived !== tokenReceived), []);
        assert.equal(arrived.length, rejects ? 0 : outcomes.length);
        if (rejects) for (const { name: error } of outcomes) assert.equal(error, "TypeError");
        assert.equal(staged.auth.tokenRequests.length, 0);
      });
    }
  });
}

for (const [how, send] of Object.entries({
  "an init": (kit) => fetch(`${kit.api.origin}/v1/orders`, { mode: "no-cors" }),
  "a Request": (kit) => fetch(new Request(`${kit.api.origin}/v1/orders`, { mode: "no-cors" })),
  "a POST": (kit) => fetch(`${kit.api.origin}/v1/orders`, { mode: "no-cors", method: "POST", body: "tea" }),
  "an init over a Request": (kit) => fetch(new Request(`${kit.api.origin}/v1/orders`), { mode: "no-cors" }),
})) {
  test(`no token in no-cors mode: ${how}`, async (t) => {
    const staged = await prepare(t);
    assert.equal(await staged.page.run(`async (kit) => (await (${send})(kit)).type`), "opaque");
    assert.deepEqual(arrivals(staged).map((request) => request.tokenReceived), [false]);
  });
}

for (const status of [301, 302, 303, 307, 308]) {
  for (const method of ["GET", "POST"]) {
    test(`no token after a redirect (${status}) of a ${method} to another origin`, async (t) => {
      const { api, other, page } = await prepare(t);
      const landed = `${other.origin}/landed`;
      const outcome = await page.run(
        (kit, path, init) => kit.call(path, init),
        `/v1/redirect?status=${status}&to=${encodeURIComponent(landed)}`,
        method === "POST" ? { method, body: '{"item":"tea"}', headers: { "content-type": "application/json" } } : {},
      );
      assert.deepEqual(outcome, { status: 200, body: { tokenReceived: false } });
      assert.deepEqual(api.requests.map((request) => request.tokenReceived), [true]);
      const [arrived] = other.requests;
      assert.equal(other.requests.length, 1);
      assert.equal(arrived.tokenReceived, false);
      const kept = method === "POST" && status >= 307;
      assert.equal(arrived.method, kept ? "POST" : "GET");
      assert.equal(String(arrived.body), kept ? '{"item":"tea"}' : "");
    });
  }
}

test("a redirect from another origin does not bring a token along", async (t) => {
  const { auth, api, other, page } = await prepare(t);
  const outcome = await page.run((kit) => {
    const to = encodeURIComponent(`${kit.api.origin}/v1/orders`);
    return kit.outcome(fetch(`${kit.other.origin}/redirect?to=${to}`));
  });
  // The API does not answer to the origin `null`, which is what two such steps make of it.
  assert.equal(outcome.name, "TypeError");
  assert.deepEqual([...api.requests, ...other.requests].map((request) => request.tokenReceived), [false, false]);
  assert.equal(auth.tokenRequests.length, 0);
});

describe("methods", () => {
  const listed = ({ api }) => [
    { url: `${api.origin}/v1`, methods: ["GET", "post"] },
    { url: `${api.origin}/v1/echo`, methods: ["PUT"] },
  ];
  // Method and path as the app writes them.
  const cases = [
    { method: "GET", path: "/v1/orders", token: true },
    { method: "get", path: "/v1/orders", token: true },
    { method: "POST", path: "/v1/orders", token: true },
    { method: "HEAD", path: "/v1/orders", token: false },
    { method: "PUT", path: "/v1/orders", token: false },
    { method: "DELETE", path: "/v1/orders", token: false },
    { method: "PUT", path: "/v1/echo", token: true },
    { method: "GET", path: "/v1/echo", token: false, note: ", since the longest path wins" },
  ];
  for (const { method, path, token, note = "" } of cases) {
    test(`${method} ${path}: ${token ? "a" : "no"} token${note}`, async (t) => {
      const staged = await prepare(t, listed);
      await staged.page.run(async (kit, path, method) => {
        await kit.call(path, { method });
        await kit.outcome(fetch(new Request(kit.api.origin + path, { method })));
      }, path, method);
      assert.deepEqual(arrivals(staged).map((request) => request.tokenReceived), [token, token]);
    });
  }
});

describe("a caller's own Authorization is left alone, and so is its 401:", () => {
  const forms = {
    "an object": { authorization: "Bearer mine" },
    "another case": { AUTHORIZATION: "Bearer mine" },
    "pairs": [["Authorization", "Bearer mine"]],
  };
  for (const [what, headers] of Object.entries(forms)) {
    test(what, async (t) => {
      const { auth, api, page } = await prepare(t);
      const statuses = await page.run(async (kit, headers) => {
        const url = `${kit.api.origin}/v1/orders`;
        const answers = [
          await fetch(url, { headers }),
          await fetch(url, { headers: new Headers(headers) }),
          await fetch(new Request(url, { headers })),
          await fetch(new Request(url), { headers }),
        ];
        return answers.map(({ status }) => status);
      }, headers);
      assert.deepEqual(new Set(statuses), new Set([401]));
      assert.deepEqual(new Set(api.requests.map((request) => request.headers.authorization)), new Set(["Bearer mine"]));
      assert.equal(api.requests.length, 4);
      assert.equal(auth.tokenRequests.length, 0);
    });
  }
});

test("other headers stay, however they are given", async (t) => {
  const { api, page } = await prepare(t);
  await page.run(async (kit) => {
    const url = `${kit.api.origin}/v1/orders`;
    const headers = { "X-Order": "7", accept: "application/json" };
    const shared = new Headers(headers);
    await fetch(url, { headers });
    await fetch(url, { headers: Object.entries(headers) });
    await fetch(url, { headers: shared });
    await fetch(new Request(url, { headers }));
    if (shared.has("authorization")) throw new Error("the caller's Headers were changed");
  });
  assert.equal(api.requests.length, 4);
  for (const { headers, tokenReceived } of api.requests) {
    assert.deepEqual([headers["x-order"], headers.accept, tokenReceived], ["7", "application/json", true]);
  }
});

// Each gives one thing when it is read first and another one later. `good` is listed, for GET; `bad` is not.
const turncoats = {
  "a string first good": (good, bad) => fetch(turning(good, bad)),
  "a string first bad": (good, bad) => fetch(turning(bad, good)),
  "a primitive": (good, bad) => fetch({ [Symbol.toPrimitive]: turning(good, bad).toString }),
  "a URL's text": (good, bad) => fetch(Object.assign(new URL(good), { toString: turning(bad, good).toString })),
  "a Request's own url": (good, bad) => fetch(Object.defineProperty(new Request(bad), "url", { value: good })),
  "a subclass of Request": (good, bad) => {
    class Liar extends Request {
      get url() {
        return good;
      }
    }
    return fetch(new Liar(bad));
  },
  "a subclass of URL": (good, bad) => {
    class Liar extends URL {
      get href() {
        return good;
      }
      toString() {
        return bad;
      }
    }
    return fetch(new Liar(good));
  },
  "a method": (good) => fetch(good, { get method() { return next(this, "GET", "DELETE"); } }),
  "a mode": (good) => fetch(good, { get mode() { return next(this, "cors", "no-cors"); } }),
  "headers": (good) => fetch(good, { get headers() { return next(this, {}, { authorization: "Bearer mine" }); } }),
  "the text of a method": (good) => fetch(good, { method: turning("GET", "DELETE") }),
  "built-ins that were replaced": async (good, bad) => {
    const genuine = { URL, Request, Headers };
    window.URL = class extends URL {
      get href() {
        return good;
      }
    };
    window.Request = class {};
    window.Headers = class {};
    try {
      return await fetch(bad);
    } finally {
      Object.assign(window, genuine);
    }
  },
};

// In the page, for the functions above.
const tools = `
  const turns = new WeakMap();
  const next = (object, first, later) => {
    const turn = (turns.get(object) ?? 0) + 1;
    turns.set(object, turn);
    return turn === 1 ? first : later;
  };
  const turning = (first, later) => {
    const object = { toString: () => next(object, first, later) };
    return object;
  };
`;

describe("what is judged is what is sent:", () => {
  for (const [what, send] of Object.entries(turncoats)) {
    test(what, async (t) => {
      const staged = await prepare(t, ({ api }) => [{ url: `${api.origin}/v1`, methods: ["GET"] }]);
      const { api, other, page } = staged;
      const script = `async (kit, good, bad) => { ${tools} return (${send})(good, bad).then(() => {}, () => {}); }`;
      await page.run(script, `${api.origin}/v1/orders`, `${other.origin}/v1/orders`);
      const arrived = arrivals(staged);
      assert.equal(arrived.length, 1);
      for (const { url, method, tokenReceived } of arrived) {
        assert.equal(tokenReceived, url === `${api.origin}/v1/orders` && method === "GET", `${method} ${url}`);
      }
    });
  }
});

test("what an absolute URL falls under is decided by what comes before its query, whatever follows", async (t) => {
  const { page } = await stage(t);
  const wrong = await page.run(async () => {
    const { keyOf } = await import("/src/requests.js");
    const parts = ["https://", "http://", "HTTPS://", "//", "a.test", "@", ":", "80", "/v1", "/..", "\\", "?", "#", "%2e", " ", "\t", "\n", "[::1]", ";", "é"];
    const any = () => parts[Math.floor(Math.random() * parts.length)];
    const place = (text) => {
      try {
        const { protocol, username, password, host, pathname } = new URL(text);
        return JSON.stringify([protocol, username, password, host, pathname]);
      } catch {
        return null;
      }
    };
    const wrong = [];
    let keys = 0;
    for (let i = 0; i < 50_000; i += 1) {
      const text = Array.from({ length: 1 + (i % 9) }, (_, at) => (at === 0 && i % 3 ? "https://a.test" : any())).join("");
      const key = keyOf(text);
      if (key === undefined) continue;
      keys += 1;
      const other = /[?#]$/.test(key) ? key + any() + any() + any() : key;
      if (keyOf(other) !== key || place(other) !== place(text)) wrong.push([text, other]);
    }
    if (keys < 10_000) wrong.push(["keys", keys]);
    return wrong.slice(0, 3);
  });
  assert.deepEqual(wrong, []);
});

test("a URL that is too long for the browser does not decide about others of its path", async (t) => {
  const { api, page } = await prepare(t);
  await page.run(async (kit) => {
    const url = `${kit.api.origin}/v1/orders?`;
    // Firefox takes a megabyte.
    await fetch(url + "a".repeat(2 ** 20)).catch(() => {});
    await fetch(`${url}page=2`);
  });
  assert.equal(api.requests.at(-1).path, "/v1/orders?page=2");
  assert.equal(api.requests.at(-1).tokenReceived, true);
});

test("relative URLs are those of the page", async (t) => {
  const { page } = await stage(t);
  const sent = await page.run(async (kit) => {
    const sent = [];
    await kit.create({ resources: [{ url: `${location.origin}/own/` }] });
    window.fetch = async (...args) => {
      sent.push(new Request(...args));
      return new Response();
    };
    kit.ward.install().setTokens({ access_token: "canary" });
    for (const url of ["/own/orders", "own", "./own/../own/orders", "/owner", "/", "?own", "/other/own"]) await fetch(url);
    window.fetch = kit.nativeFetch;
    return sent.map((request) => [request.url.replace(location.origin, ""), request.headers.get("authorization")]);
  });
  assert.deepEqual(sent, [
    ["/own/orders", "Bearer canary"],
    ["/own", "Bearer canary"],
    ["/own/orders", "Bearer canary"],
    ["/owner", null],
    ["/", null],
    ["/?own", null],
    ["/other/own", null],
  ]);
});

test("signed out, requests go as they are", async (t) => {
  const { auth, api, page } = await prepare(t);
  await page.run(async (kit) => {
    await kit.ward.signOut();
    await kit.call();
    await kit.outcome(fetch(new Request(`${kit.api.origin}/v1/echo`, { method: "POST", body: "tea" })));
  });
  assert.deepEqual(api.requests.map((request) => request.tokenReceived), [false, false]);
  assert.equal(String(api.requests[1].body), "tea");
  assert.equal(auth.tokenRequests.length, 0);
});
