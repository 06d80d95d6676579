// Patching fetch and taking the patch back; closing, and what is left then.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { latch, stage } from "./harness/stage.mjs";

const NOTHING = { timers: 0, listeners: 0, closures: 0 };

// What a ward may be doing when it is closed. In the page; what `during` returns may reject.
const moments = {
  "nobody is signed in": { during: () => {} },
  "somebody is signed in": { during: (kit, tokens) => kit.ward.setTokens(tokens) },
  "requests were answered": {
    during: async (kit, tokens) => {
      kit.ward.setTokens(tokens);
      await Promise.all([kit.call(), kit.call("/v1/echo", { method: "POST", body: "tea" }), kit.call("/public")]);
      await kit.ward.refresh();
    },
  },
  "requests wait for a renewal": {
    prepare: ({ auth }) => (auth.faults.token = [{ hang: true }]),
    during: (kit, tokens) => {
      kit.ward.setTokens(tokens, { requestedAt: Date.now() - 60_000 });
      const { signal } = new AbortController();
      kit.pending = [kit.call(), kit.call("/v1/echo", { method: "POST", body: "tea", signal }), kit.outcome(kit.ward.refresh())];
    },
  },
  "a renewal failed": {
    prepare: ({ auth }) => (auth.faults.token = [{ status: 500 }]),
    during: async (kit, tokens) => {
      let fail;
      const failed = new Promise((resolve) => (fail = resolve));
      kit.ward.addEventListener("refreshfailed", fail);
      kit.ward.setTokens(tokens);
      kit.pending = [kit.outcome(kit.ward.refresh())];
      await failed;
      kit.ward.removeEventListener("refreshfailed", fail);
    },
  },
  "tokens are being revoked": {
    prepare: ({ auth }) => (auth.faults.revocation = [{ hang: true }, { hang: true }]),
    during: (kit, tokens) => {
      kit.ward.setTokens(tokens);
      kit.pending = [kit.ward.signOut()];
    },
  },
  "a request was given up": {
    prepare: ({ auth }) => (auth.faults.token = [{ hang: true }]),
    during: async (kit, tokens) => {
      kit.ward.setTokens(tokens, { requestedAt: Date.now() - 60_000 });
      const controller = new AbortController();
      const call = kit.call("/v1/orders", { signal: controller.signal });
      controller.abort();
      await call;
    },
  },
};

describe("close() leaves no patch, timer, listener or closure when", () => {
  for (const [when, { prepare, during }] of Object.entries(moments)) {
    test(when, async (t) => {
      const staged = await stage(t);
      prepare?.(staged);
      await staged.page.run(`(kit) => { kit.during = ${during}; }`);
      const { alive, left, pending, same } = await staged.page.run(async (kit, tokens) => {
        const { begin, tally } = await import("/tally.js");
        begin();
        const { TokenWard } = await kit.library();
        kit.ward = await TokenWard.create(kit.options());
        kit.ward.install();
        await kit.during(kit, tokens);
        const alive = tally();
        kit.ward.close();
        const same = fetch === kit.nativeFetch;
        const pending = await Promise.all(kit.pending ?? []);
        return { alive, left: tally(), pending, same };
      }, await staged.auth.issueTokens());
      assert.ok(alive.listeners > 0 && alive.closures > 0, JSON.stringify(alive));
      assert.equal(alive.timers > 0, when !== "nobody is signed in");
      assert.deepEqual(left, NOTHING);
      assert.equal(same, true);
      for (const { code, revoked } of pending) assert.ok(code === "closed" || revoked === false);
    });
  }
});

test("what a closed ward is asked for", async (t) => {
  const { api, page } = await stage(t);
  await page.signIn();
  const codes = await page.run(async ({ library, ward }) => {
    const { TokenWardError } = await library();
    ward.close();
    ward.close();
    ward.uninstall();
    const asked = {
      install: () => ward.install(),
      setTokens: () => ward.setTokens({ access_token: "a" }),
      snapshot: () => ward.snapshot(),
      refresh: () => ward.refresh(),
      signOut: () => ward.signOut(),
    };
    const codes = {};
    for (const [name, ask] of Object.entries(asked)) {
      const error = await Promise.resolve().then(ask).catch((reason) => reason);
      codes[name] = error instanceof TokenWardError && [error.name, error.code, error.retryable];
    }
    return codes;
  });
  const closed = ["TokenWardError", "closed", false];
  assert.deepEqual(codes, { install: closed, setTokens: closed, snapshot: closed, refresh: closed, signOut: closed });
  const { signedIn, status } = await page.run(async ({ ward, api }) => {
    const { status } = await ward.fetch(`${api.origin}/v1/orders`);
    return { signedIn: ward.signedIn, status };
  });
  assert.deepEqual({ signedIn, status }, { signedIn: false, status: 401 });
  assert.equal(api.requests[0].tokenReceived, false);
});

test("Symbol.dispose closes", async (t) => {
  const { page } = await stage(t);
  await page.signIn();
  const { signedIn, same } = await page.run((kit) => {
    kit.ward[Symbol.dispose ?? Symbol.for("Symbol.dispose")]();
    return { signedIn: kit.ward.signedIn, same: fetch === kit.nativeFetch };
  });
  assert.deepEqual({ signedIn, same }, { signedIn: false, same: true });
});

test("install() and uninstall(), once or twice, leave the property as it was", async (t) => {
  const { page } = await stage(t);
  const seen = await page.run(async (kit) => {
    const look = () => {
      const { value, ...flags } = Object.getOwnPropertyDescriptor(window, "fetch");
      return JSON.stringify({ native: value === kit.nativeFetch, ...flags });
    };
    const ward = await kit.create();
    const seen = [look()];
    for (const act of [ward.install, ward.install, ward.uninstall, ward.uninstall, ward.install, ward.close]) {
      if (act.call(ward) !== (act === ward.close ? undefined : ward)) throw new Error(`${act.name}() is not for chaining`);
      seen.push(look());
    }
    return seen;
  });
  const [native, patched] = seen;
  assert.notEqual(native, patched);
  assert.deepEqual(seen, [native, patched, patched, native, native, patched, native]);
  assert.equal(patched, native.replace('"native":true', '"native":false'));
});

test("a wrapper on top stays when ours goes, and ours passes everything through", async (t) => {
  const { api, page } = await stage(t);
  await page.signIn();
  const { survives, wrapped } = await page.run(async (kit) => {
    const ours = fetch;
    let wrapped = 0;
    const theirs = (...args) => {
      wrapped += 1;
      return ours(...args);
    };
    window.fetch = theirs;
    await kit.call();
    kit.ward.uninstall();
    const survives = fetch === theirs;
    await kit.call();
    kit.ward.install();
    await kit.call();
    kit.ward.close();
    await kit.call();
    return { survives: survives && fetch === theirs, wrapped };
  });
  assert.deepEqual({ survives, wrapped }, { survives: true, wrapped: 4 });
  assert.deepEqual(api.requests.map(({ tokenReceived }) => tokenReceived), [true, false, true, false]);
});

for (const order of ["last in, first out", "first in, first out"]) {
  test(`two wards for two resources, closed ${order}`, async (t) => {
    const { api, other, page } = await stage(t);
    await page.signIn();
    const same = await page.run(async (kit, firstOut) => {
      const first = kit.ward;
      const second = await kit.create({ resources: [{ url: kit.other.origin }] });
      second.install().setTokens({ access_token: "for-the-other" });
      const both = () => Promise.all([kit.call(), kit.outcome(fetch(kit.other.origin))]);
      await both();
      const [earlier, later] = firstOut ? [first, second] : [second, first];
      earlier.close();
      await both();
      later.close();
      await both();
      return fetch === kit.nativeFetch;
    }, order.startsWith("first"));
    const [apiLeft, otherLeft] = order.startsWith("first") ? [1, 2] : [2, 1];
    assert.equal(api.requests.filter(({ tokenReceived }) => tokenReceived).length, apiLeft);
    assert.deepEqual(
      other.requests.map(({ headers }) => headers.authorization).filter(Boolean),
      Array(otherLeft).fill("Bearer for-the-other"),
    );
    assert.equal(same, true);
  });
}

test("two wards do not know each other's tokens, and the wasm is loaded once", async (t) => {
  const { page } = await stage(t);
  await page.signIn();
  const { signedIn, loads } = await page.run(async (kit) => {
    const first = kit.ward;
    const second = await kit.create();
    const loads = performance.getEntriesByType("resource").filter(({ name }) => name.endsWith(".wasm")).length;
    return { signedIn: [first.signedIn, second.signedIn], loads };
  });
  assert.deepEqual(signedIn, [true, false]);
  assert.equal(loads, 1);
});

test("a signal that is aborted while a request waits: its own reason at once, the renewal and the others go on", async (t) => {
  const { auth, api, page } = await stage(t);
  const { held, release } = latch();
  auth.faults.token = [{ hold: held }];
  await page.signIn({ age: 60 });
  const { same, waiting, early } = await page.run(async (kit) => {
    const reason = { because: "the user left" };
    const controller = new AbortController();
    const { signal } = controller;
    const url = `${kit.api.origin}/v1/orders`;
    const calls = [fetch(url, { signal }), fetch(new Request(url, { signal }))].map((call) => call.catch((error) => error));
    kit.others = [kit.call(), kit.call()];
    controller.abort(reason);
    const [first, second] = await Promise.all(calls);
    const early = await fetch(url, { signal }).catch((error) => error);
    return { same: first === reason && second === reason, waiting: kit.ward.snapshot().waiting, early };
  });
  assert.deepEqual({ same, waiting }, { same: true, waiting: 2 });
  assert.deepEqual(early, { because: "the user left" });
  release();
  const others = await page.run((kit) => Promise.all(kit.others));
  assert.deepEqual(others.map(({ status }) => status), [200, 200]);
  assert.equal(api.requests.length, 2);
  assert.equal(auth.tokenRequests.length, 1);
});

test("listeners may throw, and may call the ward", async (t) => {
  const { auth, page } = await stage(t);
  await page.signIn();
  const { types, same, problem } = await page.run(async (kit, tokens) => {
    const { ward } = kit;
    const on = (type, listener) => ward.addEventListener(type, listener, { once: true });
    on("refreshed", () => {
      ward.snapshot();
      ward.signOut();
    });
    on("refreshed", () => {
      throw new Error("a mistake of the app");
    });
    on("signedout", () => {
      ward.setTokens(tokens);
      on("signedout", () => ward.close());
    });
    await ward.refresh().catch(() => {});
    await kit.call();
    ward.signOut();
    return { types: kit.eventTypes(), same: fetch === kit.nativeFetch, problem: window.problems.pop() };
  }, await auth.issueTokens());
  assert.deepEqual(types, ["signedin", "refreshed", "signedout", "signedin", "signedout"]);
  assert.equal(same, true);
  assert.match(problem, /a mistake of the app/);
});

test("events have their details as properties too, and nobody can change these", async (t) => {
  const { page } = await stage(t);
  const seen = await page.run(async (kit) => {
    await kit.create();
    const event = new Promise((resolve) => kit.ward.addEventListener("signedin", resolve));
    kit.ward.setTokens({ access_token: "a", expires_in: 30, scope: "orders" });
    const { type, detail, generation, scope, cancelable, bubbles, target } = await event;
    const ours = target === kit.ward && Object.isFrozen(detail);
    return { type, detail: Object.keys(detail), generation, scope, cancelable, bubbles, ours };
  });
  const detail = ["generation", "expiresAt", "scope"];
  assert.deepEqual(seen, { type: "signedin", detail, generation: 1, scope: "orders", cancelable: false, bubbles: false, ours: true });
});
