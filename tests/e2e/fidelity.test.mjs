// The patched fetch is like the native one, for what is not ours and for what is.
import assert from "node:assert/strict";
import { test } from "node:test";
import { stage } from "./harness/stage.mjs";

test("it looks like the native one", async (t) => {
  const { page } = await stage(t);
  await page.signIn();
  const [native, patched, unpatched] = await page.run((kit) =>
    [kit.nativeFetch, fetch, kit.ward.fetch].map((one) => {
      const constructs = (() => {
        try {
          return Boolean(new one("data:,"));
        } catch ({ name }) {
          return name;
        }
      })();
      return { type: typeof one, name: one.name, length: one.length, prototype: "prototype" in one, constructs };
    }),
  );
  assert.deepEqual(patched, native);
  assert.deepEqual(unpatched, native);
});

// A call, of the patched fetch and of the native one: they have to fail alike.
const failing = {
  "no argument": (fetch) => fetch(),
  "no URL": (fetch) => fetch("http://["),
  "a symbol": (fetch) => fetch(Symbol("a")),
  "an input that throws": (fetch) =>
    fetch({
      toString() {
        throw new RangeError("mine");
      },
    }),
  "an init that is a string": (fetch, url) => fetch(url, "POST"),
  "an init that throws": (fetch, url) =>
    fetch(url, {
      get method() {
        throw new RangeError("mine");
      },
    }),
  "a forbidden method": (fetch, url) => fetch(url, { method: "TRACE" }),
  "a method that is none": (fetch, url) => fetch(url, { method: "G T" }),
  "a header that is none": (fetch, url) => fetch(url, { headers: { "a b": "c" } }),
  "headers that are none": (fetch, url) => fetch(url, { headers: 7 }),
  "an unknown mode": (fetch, url) => fetch(url, { mode: "telepathy" }),
  "a mode for browsers": (fetch, url) => fetch(url, { mode: "navigate" }),
  "another origin in same-origin mode": (fetch, url) => fetch(url, { mode: "same-origin" }),
  "a body with a GET": (fetch, url) => fetch(url, { body: "tea" }),
  "a signal that is none": (fetch, url) => fetch(url, { signal: {} }),
  "a signal that was aborted": (fetch, url) => fetch(url, { signal: AbortSignal.abort() }),
  "a signal that was aborted with a reason": (fetch, url) => fetch(url, { signal: AbortSignal.abort(new RangeError("mine")) }),
  "a Request whose body was used": async (fetch, url) => {
    const request = new Request(url, { method: "POST", body: "tea" });
    await request.text();
    return fetch(request);
  },
  "a server that is not there": (fetch, url) => fetch(url.replace(/:\d+/, ":1")),
};

test("it fails as the native one does", async (t) => {
  const { page } = await stage(t, { connect: ["http://127.0.0.1:1"] });
  await page.signIn();
  for (const [what, call] of Object.entries(failing)) {
    await t.test(what, async () => {
      const [patched, native] = await page.run(`async (kit) => {
        const { fetch } = window;
        const { nativeFetch } = kit;
        const attempt = async (fetch) => {
          let thrown = true;
          try {
            const promise = (${call})(fetch, kit.api.origin + "/v1/orders");
            thrown = !(promise instanceof Promise);
            await promise;
            return { thrown };
          } catch ({ name, message }) {
            return { name, mine: message === "mine", thrown };
          }
        };
        return [await attempt(fetch), await attempt(nativeFetch)];
      }`);
      assert.deepEqual(patched, native);
      assert.equal(native.thrown, false);
    });
  }
});

test("what is not ours goes on with the very same arguments", async (t) => {
  const { page } = await stage(t);
  const results = await page.run(async (kit) => {
    await kit.library();
    const taken = [];
    const answer = new Response();
    window.fetch = function (...args) {
      taken.push({ receiver: this, args });
      return answer;
    };
    await kit.create();
    kit.ward.install().setTokens({ access_token: "a" });

    const url = `${kit.other.origin}/`;
    const init = { method: "POST", body: "tea", priority: "high", something: "else" };
    const request = new Request(url);
    const receiver = {};
    const calls = [
      [undefined, []],
      [window, [url]],
      [receiver, [url, init]],
      [undefined, [request]],
      [undefined, [request, init]],
      [undefined, [url, undefined]],
      [undefined, [url, null, "more"]],
    ];
    const results = calls.map(([receiver, args]) => {
      const returned = fetch.apply(receiver, args);
      const { receiver: got, args: passed } = taken.at(-1);
      const same = passed.length === args.length && passed.every((value, at) => Object.is(value, args[at]));
      return returned === answer && got === receiver && same;
    });
    fetch(new URL(url), init);
    const [input, given] = taken.at(-1).args;
    results.push(String(input) === url && given === init);
    return results;
  });
  assert.deepEqual(results, Array(8).fill(true));
});

test("what is ours keeps what the caller set", async (t) => {
  const { page } = await stage(t);
  const passed = await page.run(async (kit) => {
    await kit.library();
    let passed;
    window.fetch = async (input, init) => {
      passed = init === undefined ? input : new Request(input, init);
      return new Response();
    };
    await kit.create();
    kit.ward.install().setTokens({ access_token: "canary" });
    const url = `${kit.api.origin}/v1/echo`;
    const init = {
      method: "PATCH",
      body: "tea",
      headers: { "X-Order": "7" },
      credentials: "include",
      cache: "reload",
      redirect: "manual",
      referrer: `${location.origin}/some/page`,
      referrerPolicy: "origin",
      keepalive: true,
    };
    const look = async (request) => {
      const { url, method, headers, credentials, cache, redirect, referrer, referrerPolicy, keepalive, mode } = request;
      const rest = { url, method, credentials, cache, redirect, referrer, referrerPolicy, keepalive, mode };
      return { headers: [...headers].sort(), rest, body: await request.text() };
    };
    const seen = [];
    for (const args of [() => [url, init], () => [new Request(url, init)], () => [new Request(url), init]]) {
      await fetch(...args());
      // fetch makes this of its arguments. Firefox loses keepalive where one of them is a Request.
      seen.push([await look(passed), await look(new Request(...args()))]);
    }
    return seen;
  });
  for (const [sent, native] of passed) {
    assert.deepEqual(sent, { ...native, headers: [["authorization", "Bearer canary"], ...native.headers] });
  }
});

test("a Request that was sent has been used, and never holds the token", async (t) => {
  const { page } = await stage(t);
  await page.signIn();
  const { used, again, headers } = await page.run(async (kit) => {
    const request = new Request(`${kit.api.origin}/v1/echo`, { method: "POST", body: "tea" });
    await fetch(request);
    const again = await fetch(request).catch(({ name }) => name);
    return { used: request.bodyUsed, again, headers: [...request.headers.keys()] };
  });
  assert.deepEqual({ used, again }, { used: true, again: "TypeError" });
  assert.ok(!headers.includes("authorization"));
});

test("a signal aborts a request that is under way as it does the native one", async (t) => {
  const { page } = await stage(t);
  await page.signIn();
  const [patched, native] = await page.run(async (kit) => {
    const { nativeFetch } = kit;
    const attempt = async (fetch) => {
      const controller = new AbortController();
      const call = fetch(`${kit.api.origin}/v1/orders`, { signal: controller.signal });
      controller.abort("enough");
      // WebKit does not give the reason.
      return call.then(() => "answered", String);
    };
    return [await attempt(fetch), await attempt(nativeFetch)];
  });
  assert.equal(patched, native);
  assert.notEqual(native, "answered");
});
