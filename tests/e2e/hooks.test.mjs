// A script that comes after install() and hooks built-ins is handed no token by the library, and leads none astray.
import assert from "node:assert/strict";
import { test } from "node:test";
import { stage } from "./harness/stage.mjs";
import { startXhrServer } from "./harness/xhr-server.mjs";

const TOKEN = /fresh\d|stale/;

/** A page with `kit.xhr` from page/xhr.js and a ward of the server, patched; `kit.url` is listed, `kit.bad` is not. */
async function prepare(t) {
  const [server, other] = await Promise.all([startXhrServer(), startXhrServer()]);
  t.after(() => Promise.all([server.close(), other.close()]));
  const { page } = await stage(t, { connect: [server.origin, other.origin] });
  await page.run(
    async (kit, origin, elsewhere) => {
      kit.xhr = await import("/xhr.js");
      kit.url = `${origin}/v1/data`;
      kit.bad = `${elsewhere}/v1/data`;
      const ward = await kit.xhr.makeWard(kit, origin);
      kit.xhr.states.fresh(ward);
      ward.install({ xhr: true });
    },
    server.origin,
    other.origin,
  );
  return { page, server, other };
}

const tokens = ({ requests }) => requests.map(({ headers }) => headers.authorization ?? null);

test("no built-in that is hooked gets to see a token", async (t) => {
  const { page, server } = await prepare(t);
  const { seen, hooked } = await page.run(async (kit) => {
    const { apply, ownKeys, getOwnPropertyDescriptor, defineProperty } = Reflect;
    const { get } = Headers.prototype;
    const { test: matches } = RegExp.prototype;
    const { headers } = Object.getOwnPropertyDescriptors(Request.prototype);
    let quiet = false;
    let hooked = 0;
    const found = new Set();
    const undo = [];
    const token = /fresh\d|stale/;
    const holds = (value, depth = 0) => {
      if (typeof value === "string") return apply(matches, token, [value]);
      if (typeof value !== "object" || value === null || value === window || depth > 2) return false;
      if (value instanceof Headers) return holds(apply(get, value, ["authorization"]));
      if (value instanceof Request) return holds(apply(headers.get, value, []));
      const keys = ownKeys(value);
      for (let at = 0; at < keys.length && at < 40; at += 1) {
        const member = getOwnPropertyDescriptor(value, keys[at]);
        if (member && "value" in member && holds(member.value, depth + 1)) return true;
      }
      return false;
    };
    const look = (name, ...values) => {
      if (quiet) return;
      quiet = true;
      if (values.some((value) => holds(value))) found.add(name);
      quiet = false;
    };
    const spy = (name, native) =>
      function (...args) {
        const result = apply(native, this, args);
        look(name, this, args, result);
        return result;
      };
    const hook = (name, object) => {
      for (const key of ownKeys(object)) {
        const native = getOwnPropertyDescriptor(object, key);
        const label = `${name}.${String(key)}`;
        if (!native.configurable || key === "constructor" || reading.test(label)) continue;
        const made = { ...native };
        for (const kind of ["value", "get", "set"]) {
          if (typeof native[kind] === "function" && !native[kind].prototype) made[kind] = spy(label, native[kind]);
        }
        defineProperty(object, key, made);
        hooked += 1;
        undo.push(() => defineProperty(object, key, native));
      }
    };
    // Not those that the WebAssembly's memory is read and written with: whoever hooks them has all that is in it.
    const reading = /^(String\.(charCodeAt|split)|Function\.(apply|call))$/;
    const kinds = { Headers, Request, Response, URL, URLSearchParams, FormData, Blob, XMLHttpRequest, XMLHttpRequestEventTarget };
    Object.assign(kinds, { EventTarget, Event, AbortSignal, AbortController, Promise, Array, String, RegExp, Function, Object, Map, WeakMap, Set });
    const play = async () => {
      const form = new FormData();
      form.set("tea", "green");
      for (const state of ["fresh", "expired", "refused"]) {
        for (const send of [
          () => fetch(kit.url),
          () => fetch(kit.url, { headers: { "x-order": "7" }, method: "POST", body: "tea" }),
          () => fetch(kit.url, { method: "POST", body: form }),
          () => fetch(new Request(kit.url, { headers: { "x-order": "7" } })),
          () => fetch(new Request(kit.url, { method: "POST", body: "tea" })),
          () => kit.ward.fetch(kit.url),
          () => kit.xhr.request(kit.url, { method: "POST", body: "tea", headers: { "x-order": "7" } }),
        ]) {
          quiet = true;
          kit.xhr.states[state](kit.ward);
          quiet = false;
          await send();
        }
      }
    };
    // A member of an object whose prototype has a setter of that name would go there.
    for (const name of ["headers", "authorization", "Authorization", Symbol.iterator]) {
      defineProperty(Object.prototype, name, {
        configurable: true,
        get() {
          look(`get ${String(name)}`, this);
        },
        set(value) {
          look(`set ${String(name)}`, value);
          defineProperty(this, name, { configurable: true, enumerable: true, writable: true, value });
        },
      });
      undo.push(() => delete Object.prototype[name]);
    }
    for (const [name, { prototype }] of Object.entries(kinds)) hook(name, prototype);
    try {
      await play();
    } finally {
      quiet = true;
      while (undo.length) undo.pop()();
    }
    return { seen: [...found], hooked };
  });
  assert.ok(hooked > 300, `${hooked}`);
  assert.deepEqual(seen, []);
  assert.ok(tokens(server).filter((token) => TOKEN.test(token)).length >= 21 + 7);
});

test("a URL is not judged by what a script says that it is", async (t) => {
  const { page, server, other } = await prepare(t);
  await page.run(async (kit) => {
    const native = Object.getOwnPropertyDescriptor(URL.prototype, "href");
    Object.defineProperty(URL.prototype, "href", { ...native, get: () => kit.url });
    const bad = [kit.bad, `${kit.bad}?1`, `${kit.bad}?2`];
    for (const url of bad) await fetch(url);
    for (const url of bad) await kit.xhr.request(url);
    Object.defineProperty(URL.prototype, "href", native);
  });
  assert.deepEqual(tokens(server), []);
  assert.deepEqual(tokens(other), Array(6).fill(null));
});
