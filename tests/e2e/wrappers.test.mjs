// Two wards and another library's wrapper of fetch, patched and taken back in every order there is; and what other libraries
// put in the place of XMLHttpRequest or Promise before.
import assert from "node:assert/strict";
import { test } from "node:test";
import { stage } from "./harness/stage.mjs";
import { startXhrServer } from "./harness/xhr-server.mjs";

/** All orders in which these lists can be gone through, each in its own order. */
function interleavings(lists) {
  const left = lists.filter((list) => list.length > 0);
  if (left.length === 0) return [[]];
  return left.flatMap((list) => {
    const others = left.map((other) => (other === list ? list.slice(1) : other));
    return interleavings(others).map((rest) => [list[0], ...rest]);
  });
}

const FIRST = ["first.install", "first.uninstall", "first.install", "first.close"];
const SECOND = ["second.install", "second.close"];
const plans = {
  "nobody else wraps": interleavings([FIRST, SECOND]),
  "another library wraps and stays": interleavings([FIRST, SECOND, ["other.wrap"]]),
  "another library wraps and puts back what it found": interleavings([FIRST, SECOND, ["other.wrap", "other.unwrap"]]),
  "another library does so twice": interleavings([
    ["first.install", "first.close"],
    SECOND,
    ["other.wrap", "other.unwrap", "other.wrap", "other.unwrap"],
  ]),
};

/** In the page: goes through the orders, and tells what was not as it should have been after which step. */
async function play(kit, plans) {
  const { TokenWard } = await kit.library();
  // Its wasm needs the network.
  (await kit.create()).close();
  // From here on in the place of the native one.
  const sent = [];
  const bottom = (...args) => {
    const answer = new Response();
    sent.push({ args, answer });
    return Promise.resolve(answer);
  };
  const urls = Object.fromEntries(["first", "second", "nobody"].map((name) => [name, `https://${name}.example/v1`]));
  const faults = [];

  async function create(name) {
    const ward = await TokenWard.create(kit.options({ resources: [{ url: urls[name] }] }));
    ward.setTokens({ access_token: name, expires_in: 300 });
    return ward;
  }

  /** What an ordinary wrapper does, and does not do. */
  const other = {
    calls: 0,
    wrap() {
      const found = window.fetch;
      other.found = found;
      window.fetch = function (...args) {
        other.calls += 1;
        return found.apply(this, args);
      };
    },
    unwrap() {
      window.fetch = other.found;
    },
  };

  async function check(where, { patched, wraps }) {
    for (const [whose, url] of Object.entries(urls)) {
      const calls = other.calls;
      sent.length = 0;
      const init = { headers: { accept: "text/plain" } };
      const args = [url, init];
      const answer = await fetch(...args);
      const fault = (what) => faults.push(`${where}: ${whose}'s URL: ${what}`);
      if (sent.length !== 1) fault(`sent ${sent.length} times`);
      const [{ args: passed, answer: given }] = sent;
      if (answer !== given) fault("another answer");
      if (other.calls - calls !== Number(wraps)) fault(`the other library saw ${other.calls - calls} calls`);
      const token = new Request(...passed).headers.get("authorization");
      const wanted = patched.has(whose) ? `Bearer ${whose}` : null;
      if (token !== wanted) fault(`${token} and not ${wanted}`);
      if (!wanted && (passed.length !== 2 || passed[0] !== url || passed[1] !== init)) fault("not the very same arguments");
    }
  }

  async function playOne(steps, wards) {
    window.fetch = bottom;
    const state = { patched: new Set(), wraps: false };
    // Who patched on top of the other library goes with it when it puts back what it found.
    let above = new Set();
    for (const [i, step] of steps.entries()) {
      const [who, act] = step.split(".");
      (wards[who] ?? other)[act]();
      if (act === "install") above.add(who);
      if (act === "install") state.patched.add(who);
      if (act === "uninstall" || act === "close") state.patched.delete(who);
      if (act === "wrap") above = new Set();
      if (act === "unwrap") for (const gone of above) state.patched.delete(gone);
      if (who === "other") state.wraps = act === "wrap";
      await check(steps.slice(0, i + 1).join(" "), state);
    }
    return window.fetch === bottom;
  }

  const restored = {};
  for (const [name, orders] of Object.entries(plans)) {
    restored[name] = 0;
    for (const steps of orders) {
      const wards = { first: await create("first"), second: await create("second") };
      if (await playOne(steps, wards)) restored[name] += 1;
      for (const ward of Object.values(wards)) ward.close();
    }
  }
  window.fetch = kit.nativeFetch;
  return { faults, restored };
}

test("two wards and another library's wrapper, in every order: it survives, and who is gone adds nothing", async (t) => {
  const { page } = await stage(t);
  const { faults, restored } = await page.run(play, plans);
  for (const [name, { length }] of Object.entries(plans)) {
    t.diagnostic(`${name}: ${length} orders, the native fetch is back after ${restored[name]}`);
  }
  assert.deepEqual(faults, []);
  // Alone, wards leave nothing behind, whoever goes first.
  assert.equal(restored["nobody else wraps"], plans["nobody else wraps"].length);
  assert.equal(restored["another library wraps and stays"], 0);
});

// Each is in the place of XMLHttpRequest when the ward is installed.
const replacements = {
  "a subclass": (Native) =>
    class extends Native {
      open(...args) {
        super.open(...args);
      }
    },
  "a subclass of a subclass without methods": (Native) => class extends class extends Native {} {},
  "a function that makes native ones": (Native) => {
    const made = function () {
      return new Native();
    };
    made.prototype = Native.prototype;
    return made;
  },
  "a proxy": (Native) => new Proxy(Native, {}),
  "a proxy that makes proxies": (Native) => {
    const handler = {
      get(xhr, name) {
        const value = xhr[name];
        return typeof value === "function" ? value.bind(xhr) : value;
      },
      set: (xhr, name, value) => Reflect.set(xhr, name, value),
    };
    return new Proxy(Native, { construct: (_, args) => new Proxy(new Native(...args), handler) });
  },
};

// Has nothing to do with a native one but that it uses one.
const stranger = (Native) =>
  class {
    #native = new Native();
    open(...args) {
      this.#native.open(...args);
    }
    send(...args) {
      this.#native.send(...args);
    }
    setRequestHeader() {}
    abort() {}
    addEventListener(...args) {
      this.#native.addEventListener(...args);
    }
    get status() {
      return this.#native.status;
    }
  };

for (const [what, replace] of Object.entries({ ...replacements, "something else altogether": stranger })) {
  for (const when of ["before install()", "after it"]) {
    test(`in the place of XMLHttpRequest is ${what}, ${when}`, async (t) => {
      const server = await startXhrServer();
      t.after(server.close);
      const { page } = await stage(t, { connect: [server.origin] });
      const statuses = await page.run(
        `async (kit, origin, before) => {
          const { makeWard, request, states } = await import("/xhr.js");
          const ward = await makeWard(kit, origin);
          const Native = XMLHttpRequest;
          const put = () => (window.XMLHttpRequest = (${replace})(Native));
          if (before) put();
          ward.install({ xhr: true });
          if (!before) put();
          const statuses = [];
          for (const state of Object.values(states)) {
            state(ward);
            statuses.push((await request(origin + "/v1/data")).status);
          }
          ward.close();
          window.XMLHttpRequest = Native;
          return statuses;
        }`,
        server.origin,
        when === "before install()",
      );
      assert.deepEqual(statuses, [200, 200, 200]);
      // The native one cannot be found behind it.
      const hidden = replace === stranger && when === "before install()";
      const tokens = server.requests.map(({ headers }) => headers.authorization ?? null);
      assert.deepEqual(tokens, hidden ? [null, null, null] : ["Bearer fresh0", "Bearer fresh1", "Bearer stale", "Bearer fresh2"]);
    });
  }
}

test("another Promise is put in the place of the native one before install(): fetch goes on", async (t) => {
  const server = await startXhrServer();
  t.after(server.close);
  const { page } = await stage(t, { connect: [server.origin] });
  const statuses = await page.run(async (kit, origin) => {
    const { makeWard, states } = await import("/xhr.js");
    const ward = await makeWard(kit, origin);
    const Native = Promise;
    window.Promise = class Other {
      #native;
      constructor(run) {
        this.#native = new Native(run);
      }
      then(...args) {
        return Other.resolve(this.#native.then(...args));
      }
      static resolve(value) {
        return value instanceof Other ? value : new Other((resolve) => resolve(value));
      }
    };
    ward.install();
    window.Promise = Native;
    const statuses = [];
    for (const state of Object.values(states)) {
      state(ward);
      statuses.push((await fetch(`${origin}/v1/data`)).status);
    }
    return statuses;
  }, server.origin);
  assert.deepEqual(statuses, [200, 200, 200]);
});

test("a library that counts what is under way comes to zero, also after a repetition", async (t) => {
  const server = await startXhrServer();
  t.after(server.close);
  const { page } = await stage(t, { connect: [server.origin] });
  const counts = await page.run(async (kit, origin) => {
    const { makeWard, request, states } = await import("/xhr.js");
    const ward = await makeWard(kit, origin);
    // As zone.js does it: a task begins with send(), and ends with readyState 4 or abort().
    const proto = XMLHttpRequest.prototype;
    const { send, abort } = proto;
    const tasks = new Set();
    const newest = new WeakMap();
    proto.send = function (...args) {
      const { task, end } = newest.get(this) ?? {};
      if (task) this.removeEventListener("readystatechange", end);
      const made = { task: {}, end: () => this.readyState === 4 && tasks.delete(made.task) };
      tasks.add(made.task);
      newest.set(this, made);
      EventTarget.prototype.addEventListener.call(this, "readystatechange", made.end);
      return send.apply(this, args);
    };
    proto.abort = function () {
      tasks.delete(newest.get(this)?.task);
      return abort.call(this);
    };
    ward.install({ xhr: true });
    const counts = [];
    for (const state of Object.values(states)) {
      state(ward);
      const { status } = await request(`${origin}/v1/data`, { method: "POST", body: "tea" });
      counts.push([status, tasks.size]);
    }
    ward.close();
    Object.assign(proto, { send, abort });
    return counts;
  }, server.origin);
  assert.deepEqual(counts, [[200, 0], [200, 0], [200, 0]]);
  assert.equal(server.requests.length, 4);
});
