// What `fetch` is given first, in every form.
import { ALL, OURS, USUAL, transparent } from "./harness/transparency.mjs";

transparent("a URL as", {
  "a string": { run: (fetch, url) => fetch(url), targets: ALL },
  "a URL": { run: (fetch, url) => fetch(new URL(url)), targets: ALL },
  "a Request": { run: (fetch, url) => fetch(new Request(url)), targets: ALL },
  "a String": (fetch, url) => fetch(new String(url)),
  "an array of one": (fetch, url) => fetch([url]),
  "an object with toString": (fetch, url, t) => fetch(t.text(url)),
  "an object with valueOf only": (fetch, url) => fetch({ toString: undefined, valueOf: () => url }),
  "an object with toPrimitive": (fetch, url, t) => fetch({ [Symbol.toPrimitive]: (hint) => (t.log(hint), url) }),
  "a function": (fetch, url) => fetch(Object.assign(() => {}, { toString: () => url })),
  "a link": (fetch, url) => fetch(Object.assign(document.createElement("a"), { href: url })),
  "a URL with its own toString": (fetch, url) => fetch(Object.assign(new URL(url), { toString: () => `${url}&own` })),
  "a subclass of URL": (fetch, url) => fetch(new (class extends URL {})(url)),
  "a URL that has toPrimitive": (fetch, url, t) =>
    fetch(Object.assign(new URL(url), { [Symbol.toPrimitive]: (hint) => (t.log(hint), url) })),
  "what only looks like a URL": (fetch, url) => fetch(Object.create(URL.prototype, { toString: { value: () => url } })),
  "what only looks like a Request": (fetch, url) => fetch(Object.create(Request.prototype, { toString: { value: () => url } })),
  "a proxy of an object": (fetch, url, t) => fetch(t.spy({ toString: () => url }, "input")),
  "a proxy of a URL": (fetch, url, t) => fetch(t.spy(new URL(url), "input")),
  "a proxy of a Request": (fetch, url, t) => fetch(t.spy(new Request(url), "input")),
  "a Response": (fetch) => fetch(new Response("tea")),
  "white space around it": (fetch, url) => fetch(` \t${url}\n `),
  "a fragment": (fetch, url) => fetch(`${url}#spout`),
  "a query": (fetch, url) => fetch(`${url}?a=1&b=%20+ü`),
  "dot segments": (fetch, url) => fetch(`${url}/../tea/./`),
  "an upper-case scheme": (fetch, url) => fetch(url.replace("http", "HTTP")),
  "backslashes": (fetch, url) => fetch(url.replaceAll("/", "\\")),
  "a lone surrogate": (fetch, url) => fetch(`${url}?\ud800`),
  "characters to be encoded": (fetch, url) => fetch(`${url}/grün tea{}|"<>`),
  "no scheme": (fetch, url) => fetch(url.replace("http:", "")),
  "the scheme without slashes": (fetch, url) => fetch(url.replace("http://", "http:/")),
});

const OWN = ["own, listed", "refused", "waiting", "direct", "own"];

transparent("a relative URL as", {
  "a path": (fetch, url, t) => fetch(t.relative(url)),
  "a path without a slash": (fetch, url, t) => fetch(t.relative(url).slice(1)),
  "a path from here": (fetch, url, t) => fetch(`.${t.relative(url)}`),
  "a path with the scheme": (fetch, url, t) => fetch(`http:${t.relative(url)}`),
  "a path in an object": (fetch, url, t) => fetch(t.text(t.relative(url))),
  "a path in a Request": (fetch, url, t) => fetch(new Request(t.relative(url))),
  "a path that leaves the list": { run: (fetch, url, t) => fetch(t.relative(url).replace(/^\/\w+/, "$&/../open")), token: false },
  "a query and a fragment": (fetch, url, t) => fetch(`${t.relative(url)}?a#b`),
}, OWN);

transparent("a Request that", {
  "has a method": (fetch, url) => fetch(new Request(url, { method: "DELETE" })),
  "has headers": (fetch, url) => fetch(new Request(url, { headers: { "X-A": "1", "x-b": "2" } })),
  "has a body": (fetch, url) => fetch(new Request(url, { method: "POST", body: "leaves" })),
  "has a body, and is looked at afterwards": (fetch, url, t) => {
    const request = new Request(url, { method: "POST", body: "leaves" });
    const answer = fetch(request);
    t.log(`used ${request.bodyUsed}`);
    t.later("used", () => request.bodyUsed);
    t.later("text", () => request.text());
    t.later("headers", () => [...request.headers]);
    return answer;
  },
  "has no body, and is sent twice": async (fetch, url) => {
    const request = new Request(url);
    return [await fetch(request), await fetch(request)];
  },
  "has a body, and is sent twice": {
    run: async (fetch, url) => {
      const request = new Request(url, { method: "POST", body: "leaves" });
      return [await fetch(request), await fetch(request).catch((error) => error)];
    },
    targets: ["listed", "own, listed", "not listed"],
  },
  "was cloned": {
    run: async (fetch, url) => {
      const request = new Request(url, { method: "POST", body: "leaves" });
      const clone = request.clone();
      return [await fetch(request), await fetch(clone)];
    },
    targets: ["listed", "own, listed", "not listed"],
  },
  "was made from another": (fetch, url) => fetch(new Request(new Request(url, { method: "PUT", body: "leaves" }))),
  "is of a subclass": (fetch, url) => fetch(new (class extends Request {})(url, { method: "POST", body: "leaves" })),
  "is of a subclass with getters of its own": (fetch, url, t) => {
    class Mine extends Request {
      get url() {
        t.log("url");
        return t.origins.other;
      }
      get method() {
        t.log("method");
        return "DELETE";
      }
      get headers() {
        t.log("headers");
        return new Headers({ "x-wrong": "1" });
      }
      get signal() {
        t.log("signal");
        return AbortSignal.abort();
      }
      clone() {
        t.log("clone");
        return this;
      }
    }
    return fetch(new Mine(url));
  },
  "has properties of its own": (fetch, url, t) =>
    fetch(Object.defineProperty(new Request(url), "url", { value: t.origins.other })),
  "has another prototype": (fetch, url, t) => fetch(Object.setPrototypeOf(new Request(url), t.getters({ toString: 1 }))),
  "is frozen": (fetch, url) => fetch(Object.freeze(new Request(url))),
  "gets headers from an init": (fetch, url) => fetch(new Request(url, { headers: { "X-A": "1" } }), { headers: { "X-B": "2" } }),
  "gets a method from an init": (fetch, url) => fetch(new Request(url), { method: "PUT" }),
  "gets a body from an init": (fetch, url, t) => {
    const request = new Request(url, { method: "POST", body: "leaves" });
    t.later("used", () => request.bodyUsed);
    return fetch(request, { body: "other leaves" });
  },
  "gets an empty init": (fetch, url) => fetch(new Request(url, { method: "POST", body: "leaves" }), {}),
  "gets an init it must not have": (fetch, url) => fetch(new Request(url), { body: "leaves" }),
  "gets an init that is read": (fetch, url, t) => fetch(new Request(url), t.spy({ method: "POST", body: "leaves", priority: "low" })),
  "is an init itself": (fetch, url) => fetch(url, new Request("/", { method: "PUT", headers: { "X-A": "1" } })),
  "is an init itself, with a body": {
    run: (fetch, url) => fetch(url, new Request("/", { method: "PUT", body: "leaves" })),
    targets: ["listed", "own, listed", "waiting", "not listed"],
  },
  "was aborted": (fetch, url, t) => fetch(new Request(url, { signal: AbortSignal.abort(t.mine) })),
  "was aborted, with a body": (fetch, url, t) => {
    const request = new Request(url, { method: "POST", body: "leaves", signal: AbortSignal.abort(t.mine) });
    t.later("used", () => request.bodyUsed);
    return fetch(request);
  },
  "was read": async (fetch, url) => {
    const request = new Request(url, { method: "POST", body: "leaves" });
    await request.text();
    return fetch(request);
  },
  "is being read": (fetch, url) => {
    const request = new Request(url, { method: "POST", body: "leaves" });
    request.text();
    return fetch(request);
  },
  "is locked": (fetch, url) => {
    const request = new Request(url, { method: "POST", body: "leaves" });
    request.body?.getReader();
    return fetch(request);
  },
  "was locked, and is not any more": (fetch, url) => {
    const request = new Request(url, { method: "POST", body: "leaves" });
    request.body?.getReader().releaseLock();
    return fetch(request);
  },
  "was cancelled": async (fetch, url) => {
    const request = new Request(url, { method: "POST", body: "leaves" });
    await request.body?.cancel();
    return fetch(request);
  },
}, USUAL);

transparent("the call itself:", {
  "window as the receiver": { run: (fetch, url) => fetch.call(window, url), targets: ALL },
  "no receiver": (fetch, url) => fetch.call(undefined, url),
  "null as the receiver": (fetch, url) => fetch.call(null, url),
  "globalThis as the receiver": (fetch, url) => fetch.apply(globalThis, [url]),
  "an object as the receiver": { run: (fetch, url) => fetch.call({}, url), targets: [...OURS.filter((name) => name !== "direct"), "own"], token: false },
  "a number as the receiver": { run: (fetch, url) => fetch.call(7, url), token: false },
  "a string as the receiver": { run: (fetch, url) => fetch.call("", url), token: false },
  "a document as the receiver": { run: (fetch, url) => fetch.call(document, url), token: false },
  "a method of an object": { run: (fetch, url) => ({ fetch }).fetch(url), token: false },
  "a wrong receiver, and an input that is not read": { run: (fetch, url, t) => fetch.call({}, t.text(url)), token: false },
  "a wrong receiver, and an init that is not read": { run: (fetch, url, t) => fetch.call({}, url, t.spy({})), token: false },
  "as a constructor": (fetch, url) => new fetch(url),
  "as a tag": (fetch, url) => fetch`${url}`,
  "through Reflect": (fetch, url) => Reflect.apply(fetch, undefined, [url]),
  "bound": (fetch, url) => fetch.bind(window)(url),
  "extra arguments": (fetch, url, t) => fetch(url, {}, t.spy({}, "extra"), 7),
  "undefined as the init": (fetch, url) => fetch(url, undefined),
  "null as the init": (fetch, url) => fetch(url, null),
  "a function as the init": (fetch, url) => fetch(url, Object.assign(() => {}, { method: "PUT" })),
  "an array as the init": (fetch, url) => fetch(url, ["method"]),
  "a regular expression as the init": (fetch, url) => fetch(url, /tea/),
});
