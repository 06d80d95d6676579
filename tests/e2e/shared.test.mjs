// Several tabs with one session at a backend: one of them renews, whoever goes, and nobody is signed out.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { browser } from "./harness/browsers.mjs";
import { inTab, newTab, signInAtBackend } from "./harness/sessions.mjs";
import { eventually } from "./harness/sign-in.mjs";
import { browserDriver, latch, stage } from "./harness/stage.mjs";

const TABS = 8;
const CYCLES = 200;
/** Where a backend does not name its tokens: renewals for each that was needed, at most. */
const MOST_UNNAMED = 1.15;
/** A tab goes, and another one comes, after so many. */
const CYCLES_A_TAB = 10;

// The same numbers for the same seed.
const SEED = Number(process.env.TOKENWARD_SEED ?? 4);
function random(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const refreshes = ({ auth }) => auth.tokenRequests.filter(({ grantType }) => grantType === "refresh_token");
const asked = ({ backend }) => backend.requests.filter(({ route }) => route === "token");

async function backed(t, options) {
  const staged = await stage(t, { backend: true, accessTokenTtl: 300, ...options });
  await signInAtBackend(staged);
  return staged;
}

/** Makes a ward with the backend's session. */
const join = ({ page }, more) =>
  page.run(async (kit, more) => {
    await kit.create(kit.mediated(more));
    kit.ward.install();
    return (await kit.ward.restore()).signedIn;
  }, more);

/** Another tab with the session. */
async function another(staged, more) {
  const tab = await newTab();
  await inTab(tab, async () => {
    await staged.page.visit();
    assert.equal(await join(staged, more), true);
  });
  return tab;
}

/** In this tab: whenever the test says so on its channel, do this and say how it went. */
const obey = (staged, name) =>
  staged.page.run(
    (kit, name) => {
      kit.channel = new BroadcastChannel("of the test");
      kit.channel.onmessage = async ({ data: { cycle } }) => {
        if (cycle === undefined) return;
        const { failed } = await kit.ended(kit.ward.refresh());
        const { status } = await kit.call();
        kit.channel.postMessage({ done: cycle, name, failure: failed?.code ?? null, status, signedIn: kit.ward.signedIn });
      };
    },
    name,
  );

/** In the first tab, which takes no part: begins a cycle in all the others. */
const begin = ({ page }, cycle) =>
  page.run((kit, cycle) => {
    kit.channel ??= new BroadcastChannel("of the test");
    kit.reports = [];
    kit.channel.onmessage = ({ data }) => {
      if (data.done !== cycle) return;
      kit.reports.push(data);
      kit.reported?.();
    };
    kit.channel.postMessage({ cycle });
  }, cycle);

/** What they said, once all of them did. */
const reports = ({ page }, names) =>
  page.run(async (kit, names) => {
    while (!names.every((name) => kit.reports.some((report) => report.name === name))) {
      await new Promise((resolve) => (kit.reported = resolve));
    }
    return kit.reports;
  }, names);

/** Lets the tabs renew in so many cycles; `act` does something in the middle of some. Gives the renewals of each. */
async function run(staged, tabs, cycles, act) {
  const counts = [];
  for (let cycle = 1; cycle <= cycles; cycle += 1) {
    const before = refreshes(staged).length;
    await begin(staged, cycle);
    const then = await act(cycle);
    for (const { name, ...report } of await reports(staged, [...tabs.keys()])) {
      assert.deepEqual(report, { done: cycle, failure: null, status: 200, signedIn: true }, `${name} in ${cycle}`);
    }
    await then?.();
    counts.push(refreshes(staged).length - before);
  }
  return counts;
}

describe(`${TABS} tabs with one session at a server that takes a refresh token once`, () => {
  const backends = {
    "a backend that names its tokens": { fault: {}, most: 1 },
    // It goes by what the tabs know of one another, and of one that was closed they know nothing. In WebKit what a tab
    // told may come later than the lock it let go.
    "a backend that does not": { fault: { transform: ({ version, ...body }) => body }, most: 2 },
  };
  for (const [what, { fault, most }] of Object.entries(backends)) {
    test(`${what}: ${CYCLES} renewals, each of them once, while tabs come and go`, async (t) => {
      t.diagnostic(`TOKENWARD_SEED=${SEED}`);
      const below = random(SEED);
      const staged = await backed(t);
      staged.backend.faults.token = () => fault;
      const tabs = new Map();
      const open = async (name) => {
        const tab = await another(staged);
        await inTab(tab, () => obey(staged, name));
        tabs.set(name, tab);
      };
      for (let at = 1; at <= TABS; at += 1) await open(`tab ${at}`);

      const counts = await run(staged, tabs, CYCLES, async (cycle) => {
        if (cycle % CYCLES_A_TAB > 0) return undefined;
        // It may hold the lock.
        const name = [...tabs.keys()][below(tabs.size)];
        await inTab(tabs.get(name), () => browserDriver().close());
        tabs.delete(name);
        return () => open(`tab of cycle ${cycle}`);
      });
      counts.forEach((count, at) => {
        const limit = (at + 1) % CYCLES_A_TAB > 0 && browser !== "webkit" ? 1 : most;
        assert.ok(count >= 1 && count <= limit, `${count} renewals in cycle ${at + 1}`);
      });
      const all = counts.reduce((sum, count) => sum + count);
      assert.ok(all <= CYCLES * (most === 1 ? 1 : MOST_UNNAMED), `${all} renewals`);
      const answers = refreshes(staged).map(({ status }) => status);
      assert.deepEqual(new Set(answers), new Set([200]), "the server saw a refresh token again");
    });
  }
});

test("without Web Locks: each asks the backend, which renews once, and nobody is signed out", async (t) => {
  const staged = await backed(t);
  const { backend, page } = staged;
  const enter = async () => {
    await page.run(() => void Object.defineProperty(navigator, "locks", { value: undefined }));
    assert.equal(await join(staged), true);
  };
  await enter();
  const tab = await newTab();
  await inTab(tab, async () => {
    await page.visit();
    await enter();
  });
  const { held, release } = latch();
  backend.faults.token = [{ hold: held }, { hold: held }];
  const renew = () => page.run((kit) => void (kit.renewed = kit.ended(kit.ward.refresh())));
  const renewed = () => page.run(async (kit) => [(await kit.renewed).failed?.code ?? null, kit.ward.signedIn]);
  await renew();
  await inTab(tab, renew);
  await backend.requests.until(() => asked(staged).length === 4);
  release();
  assert.deepEqual([await renewed(), await inTab(tab, renewed)], [[null, true], [null, true]]);
  assert.equal(refreshes(staged).length, 1);
});
