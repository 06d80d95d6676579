// Two wards and another library's wrapper of fetch, patched and taken back in every order there is.
import assert from "node:assert/strict";
import { test } from "node:test";
import { stage } from "./harness/stage.mjs";

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
