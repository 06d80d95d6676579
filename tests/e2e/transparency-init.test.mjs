// Every member of an init: what arrives, what is read and how often, and what is wrong with it.
import { browser } from "./harness/browsers.mjs";
import { later, unanswered, unread } from "./harness/differences.mjs";
import { OURS, transparent } from "./harness/transparency.mjs";

/** `{ cache: ["reload"] }` becomes rows of one member each. */
const each = (members, row = (init) => ({ run: `(fetch, url, t) => fetch(url, ${init})` })) =>
  Object.fromEntries(Object.entries(members).flatMap(([name, values]) => values.map((value) => [`${name}: ${value}`, row(`{ ${name}: ${value} }`)])));

transparent("the init", each({
  method: ["'GET'", "'get'", "'HEAD'", "'head'", "'POST'", "'post'", "'Put'", "'DELETE'", "'delete'", "'PATCH'", "'OPTIONS'"],
  cache: ["'default'", "'no-store'", "'reload'", "'no-cache'", "'force-cache'", "'only-if-cached'", "'NO-STORE'", "''", "null", "7"],
  credentials: ["'omit'", "'same-origin'", "'include'", "'Include'", "null"],
  mode: ["'cors'", "'CORS'", "'telepathy'", "'navigate'", "'websocket'", "null"],
  redirect: ["'follow'", "'error'", "'manual'", "'Follow'", "null"],
  referrer: ["''", "'about:client'", "'/some/page'", "'http://['", "'https://other.example/'", "null", "7", "new URL(location.origin + '/a')"],
  referrerPolicy: [
    "''", "'no-referrer'", "'no-referrer-when-downgrade'", "'same-origin'", "'origin'", "'strict-origin'", "'origin-when-cross-origin'",
    "'strict-origin-when-cross-origin'", "'unsafe-url'", "'never'", "null",
  ],
  integrity: ["''", "'nonsense'", "null", "7"],
  keepalive: ["true", "false", "0", "''", "'yes'", "null", "{}"],
  priority: ["'high'", "'low'", "'auto'", "'urgent'", "null"],
  duplex: ["'half'", "'full'", "null"],
  window: ["null", "window", "''", "{}"],
  signal: ["null", "new AbortController().signal", "AbortSignal.timeout(60_000)", "AbortSignal.any([])", "{}", "7", "Object.create(AbortSignal.prototype)", "t.spy(new AbortController().signal, 'signal')"],
  headers: ["null", "undefined", "7", "''", "'a'", "true", "{}", "[]", "Symbol()", "() => {}"],
  body: ["null", "undefined", "'leaves'"],
}));

transparent("methods:", each({
  method: ["'patch'", "'TEA'", "'tea'", "'TRACE'", "'trace'", "'CONNECT'", "'TRACK'", "''", "' GET'", "'G T'", "'GÉT'", "null", "undefined", "7", "['PUT']", "t.text('PUT')", "Symbol()"],
}));

transparent("members nobody knows:", {
  "are not read": (fetch, url, t) => fetch(url, t.spy({ kettle: 1, query: 2, url: 3, body: "leaves", method: "POST" })),
  "that throw": (fetch, url, t) =>
    fetch(url, {
      get kettle() {
        throw t.mine;
      },
    }),
  "symbols": (fetch, url) => fetch(url, { [Symbol("method")]: "PUT" }),
  "other members of a Request": (fetch, url, t) => fetch(url, t.spy({ destination: "image", isHistoryNavigation: true, targetAddressSpace: undefined })),
});

transparent("an init is read as often and in the same order:", {
  "nothing in it": (fetch, url, t) => fetch(url, t.spy({})),
  "everything in it": (fetch, url, t) =>
    fetch(url, t.spy({
      window: null, signal: null, referrerPolicy: "origin", referrer: "", redirect: "follow", priority: "low", mode: "cors", method: "POST",
      keepalive: false, integrity: "", headers: { a: "1" }, duplex: "half", credentials: "omit", cache: "no-store", body: "leaves",
    })),
  "getters": (fetch, url, t) => fetch(url, t.getters({ method: "PUT", body: "leaves", headers: { a: "1" }, cache: "reload", credentials: "omit" })),
  "inherited getters": (fetch, url, t) => fetch(url, Object.create(t.getters({ method: "PUT", body: "leaves" }))),
  "without a prototype": (fetch, url) => fetch(url, Object.assign(Object.create(null), { method: "PUT", body: "leaves" })),
  "frozen": (fetch, url) => fetch(url, Object.freeze({ method: "PUT", body: "leaves" })),
  "an instance of a class": (fetch, url, t) =>
    fetch(url, new (class {
      get method() {
        t.log("method");
        return "PUT";
      }
    })()),
  "objects that become strings": (fetch, url, t) =>
    fetch(url, t.getters({
      body: t.text("leaves", "body"), cache: t.text("no-store", "cache"), credentials: t.text("omit", "credentials"), method: t.text("PUT", "method"),
      mode: t.text("cors", "mode"), redirect: t.text("follow", "redirect"), referrer: t.text("", "referrer"), integrity: t.text("", "integrity"),
      priority: t.text("high", "priority"), referrerPolicy: t.text("origin", "policy"),
    })),
  "objects that become strings, and headers": (fetch, url, t) =>
    fetch(url, t.getters({ cache: t.text("no-store", "cache"), headers: t.spy({ a: "1" }, "headers"), method: t.text("PUT", "method") })),
  "headers that are objects": (fetch, url, t) => fetch(url, t.spy({ headers: t.getters({ a: "1", b: t.text("2", "b") }, "headers"), method: "PUT" })),
  "a toPrimitive": (fetch, url, t) => fetch(url, { method: { [Symbol.toPrimitive]: (hint) => (t.log(hint), "PUT") } }),
  "a Proxy of a Request": (fetch, url, t) => fetch(url, t.spy(new Request("/"))),
  "a Request with an init": (fetch, url, t) => fetch(new Request(url), t.getters({ method: t.text("PUT", "method"), body: "leaves", cache: "reload" })),
  "a bad value stops it": (fetch, url, t) => fetch(url, t.spy({ body: "leaves", cache: "nonsense", method: "PUT" })),
  "a bad mode stops it": (fetch, url, t) => fetch(url, t.spy({ mode: "nonsense", method: "PUT", signal: null })),
  "a bad method does not": (fetch, url, t) => fetch(url, t.spy({ method: "G T", mode: "cors", signal: null })),
  "a mode for browsers does not": (fetch, url, t) => fetch(url, t.spy({ mode: "navigate", redirect: "follow" })),
  "a bad signal stops it": (fetch, url, t) => fetch(url, t.spy({ signal: {}, window: null })),
  "a bad referrer does not": (fetch, url, t) => fetch(url, t.spy({ referrer: "http://[", signal: null, window: null })),
  "a symbol stops it": (fetch, url, t) => fetch(url, t.spy({ cache: Symbol(), method: "PUT" })),
  "a getter that throws stops it": (fetch, url, t) =>
    fetch(url, {
      get cache() {
        t.log("cache");
        throw t.mine;
      },
      get method() {
        t.log("method");
        return "PUT";
      },
    }),
  "a toString that throws stops it": (fetch, url, t) =>
    fetch(url, t.getters({
      cache: {
        toString() {
          throw t.mine;
        },
      },
      method: "PUT",
    })),
  "a toString that gives no string": (fetch, url, t) => fetch(url, t.getters({ cache: { toString: () => ({}), valueOf: () => ({}) }, method: "PUT" })),
  "headers that throw stop it": (fetch, url, t) =>
    fetch(url, t.getters({
      headers: {
        get a() {
          throw t.mine;
        },
      },
      method: "PUT",
    })),
  "headers with a wrong name": {
    run: (fetch, url, t) => fetch(url, t.getters({ headers: { "a b": "1" }, method: "PUT" })),
    differs: unread,
  },
  "headers of no kind stop it": (fetch, url, t) => fetch(url, t.getters({ headers: 7, method: "PUT" })),
  "a body with a GET does not": (fetch, url, t) => fetch(url, t.spy({ body: "leaves" })),
  "an input that throws comes first": (fetch, url, t) =>
    fetch({
      toString() {
        t.log("input");
        throw t.mine;
      },
    }, t.spy({})),
  "an input that is no URL": (fetch, url, t) => fetch("http://[", t.spy({ method: "PUT" })),
  "an init that is a string": (fetch, url, t) => fetch(t.text(url), "PUT"),
  "an init that is a number": (fetch, url, t) => fetch(t.text(url), 7),
  "an init that is a symbol": (fetch, url, t) => fetch(t.text(url), Symbol()),
  "an init that is false": (fetch, url) => fetch(url, false),
  "a proxy that was revoked": (fetch, url) => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    return fetch(url, proxy);
  },
}, [...OURS, "not listed"]);

transparent("credentials and cookies:", {
  "included across origins": { run: (fetch, url) => fetch(url, { credentials: "include" }), targets: ["listed", "not listed", "other"] },
  "omitted within an origin": { run: (fetch, url) => fetch(url, { credentials: "omit" }), targets: ["own, listed", "refused", "waiting", "own"] },
  "as they are": { run: (fetch, url) => fetch(url), targets: ["listed", "own, listed", "own", "not listed"] },
  "included by a Request": { run: (fetch, url) => fetch(new Request(url, { credentials: "include" })), targets: ["listed", "not listed"] },
});

const CACHED = { headers: { "cache-control": "max-age=600" } };
transparent("the cache, asked twice:", Object.fromEntries(["default", "no-store", "reload", "no-cache", "force-cache"].map((cache) => [
  cache,
  {
    run: `async (fetch, url) => [await fetch(url).then((answer) => answer.text()), await fetch(url, { cache: "${cache}" }).then((answer) => answer.text())]`,
    answer: CACHED,
    targets: ["listed", "own, listed", "not listed"],
  },
])));

transparent("the cache alone:", {
  "has it": {
    run: async (fetch, url) => {
      await fetch(url).then((answer) => answer.text());
      return fetch(url, { cache: "only-if-cached", mode: "same-origin" });
    },
    answer: CACHED,
    targets: ["own, listed", "own"],
  },
  "has it not": {
    run: (fetch, url) => fetch(url, { cache: "only-if-cached", mode: "same-origin" }),
    targets: ["own, listed", "waiting", "own"],
    // WebKit asks the server after all.
    token: browser === "webkit",
  },
});

transparent("what is known at once to fail:", {
  "another origin in same-origin mode": { run: (fetch, url) => fetch(url, { mode: "same-origin" }), differs: { ...later, targets: ["listed"] } },
  "another origin in same-origin mode, in a Request": {
    run: (fetch, url) => fetch(new Request(url, { mode: "same-origin" })),
    differs: { ...later, targets: ["listed"] },
  },
}, ["listed", "own, listed", "refused", "not listed", "other"]);

transparent("integrity:", {
  "right": { run: (fetch, url, t) => fetch(url, { integrity: t.digest }), differs: unanswered },
  "wrong": { run: (fetch, url) => fetch(url, { integrity: "sha256-AAAA" }), differs: unanswered },
  "one of two is right": { run: (fetch, url, t) => fetch(url, { integrity: `sha256-AAAA ${t.digest}` }), differs: unanswered },
  "right, in a Request": { run: (fetch, url, t) => fetch(new Request(url, { integrity: t.digest })), differs: unanswered },
  "wrong, with a body": { run: (fetch, url) => fetch(url, { method: "POST", body: "leaves", integrity: "sha256-AAAA" }), differs: unanswered },
  "right, with a body": { run: (fetch, url, t) => fetch(url, { method: "POST", body: "leaves", integrity: t.digest }), differs: unanswered },
});
