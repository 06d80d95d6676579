// A page that was not there for a while: its machine slept, its browser froze it or kept it for the way back.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { decodeJwt, decodeProtectedHeader } from "jose";
import { browser } from "./harness/browsers.mjs";
import { HOURS_MS, move, setClocks } from "./harness/clocks.mjs";
import { inTab, newTab, signInAtBackend } from "./harness/sessions.mjs";
import { eventually } from "./harness/sign-in.mjs";
import { browserDriver, latch, stage } from "./harness/stage.mjs";

const idOf = (token) => decodeJwt(token).jti;
const isAccessToken = (token) => token.split(".").length === 3 && decodeProtectedHeader(token).typ === "at+jwt";

/** A page with movable clocks and a session whose token was used once. */
async function awake(t, { options, ...more } = {}) {
  const staged = await stage(t, more);
  await setClocks(staged);
  const tokens = await staged.auth.issueTokens();
  await staged.page.signIn({ tokens, ...options });
  assert.equal((await staged.page.run((kit) => kit.call())).status, 200);
  return { ...staged, firstId: idOf(tokens.access_token) };
}

const calls = ({ page }, count = 10) =>
  page.run(async (kit, count) => {
    const outcomes = await Promise.all(Array.from({ length: count }, () => kit.call()));
    const statuses = [...new Set(outcomes.map(({ status }) => status))];
    return { statuses, signedIn: kit.ward.signedIn, types: kit.eventTypes() };
  }, count);

const RENEWED = { statuses: [200], signedIn: true, types: ["signedin", "refreshed"] };

/** After waking, requests were served by one refresh, and none of them took the old token along. */
async function assertRenewed(staged) {
  assert.deepEqual(await calls(staged), RENEWED);
  assert.equal(staged.auth.tokenRequests.length, 1);
  const [, ...ids] = staged.api.requests.map(({ tokenId }) => tokenId);
  assert.equal(ids.length, 10);
  assert.equal(new Set(ids).size, 1);
  assert.notEqual(ids[0], staged.firstId);
}

// What the clocks of a machine make of its sleep.
const sleeps = {
  "the monotonic clock stood still": { wall: HOURS_MS },
  "both clocks went on": { wall: HOURS_MS, mono: HOURS_MS },
  "the wall clock was set back meanwhile": { wall: -HOURS_MS, mono: HOURS_MS },
};

describe("a machine that slept past the expiry:", () => {
  for (const [what, clocks] of Object.entries(sleeps)) {
    test(`${what}: the first requests wait for one refresh`, async (t) => {
      const staged = await awake(t);
      await move(staged, clocks);
      await assertRenewed(staged);
    });
  }

  const wakes = [
    ["document", "visibilitychange"],
    ["document", "resume"],
    ["window", "focus"],
    ["window", "pageshow"],
    ["window", "online"],
  ];
  for (const [target, type] of wakes) {
    test(`${type} is enough to renew, before any request`, async (t) => {
      const staged = await awake(t);
      await move(staged, { wall: HOURS_MS });
      await staged.page.run((kit, target, type) => {
        globalThis[target].dispatchEvent(new Event(type));
        return kit.first("refreshed");
      }, target, type);
      await assertRenewed(staged);
    });
  }

  test("a refresh whose connection died in its sleep is tried again", async (t) => {
    const staged = await awake(t);
    const { held, release } = latch();
    staged.auth.faults.token = [{ hold: held, reset: true }];
    await move(staged, { wall: HOURS_MS });
    await staged.page.run((kit) => void (kit.waiting = kit.call()));
    await staged.auth.tokenRequests.until((requests) => requests.length === 1);
    await move(staged, { wall: HOURS_MS });
    release();
    assert.equal((await staged.page.run((kit) => kit.waiting)).status, 200);
    assert.deepEqual(await staged.page.run((kit) => kit.eventTypes()), ["signedin", "refreshfailed", "refreshed"]);
  });

  test("a token that expired on its way through the sleep is not sent", async (t) => {
    const staged = await awake(t);
    const { held, release } = latch();
    staged.auth.faults.token = [{ hold: held }];
    await staged.page.run((kit) => {
      kit.refreshing = kit.outcome(kit.ward.refresh().then(() => new Response("{}")));
    });
    await staged.auth.tokenRequests.until((requests) => requests.length === 1);
    await move(staged, { wall: HOURS_MS });
    release();
    assert.equal((await staged.page.run((kit) => kit.refreshing)).status, 200);
    assert.deepEqual((await calls(staged, 3)).statuses, [200]);
    const used = new Set(staged.api.requests.slice(1).map(({ tokenId }) => tokenId));
    assert.equal(used.size, 1);
    const accessTokens = staged.auth.issuedTokens.filter(isAccessToken);
    assert.equal(accessTokens.length, 3);
    assert.deepEqual([...used], [idOf(accessTokens[2])]);
  });

  test("a refresh that failed hours ago is tried at once, not at the end of its back-off", async (t) => {
    const staged = await awake(t);
    staged.auth.faults.token = [{ status: 429, headers: { "Retry-After": "500" } }];
    await staged.page.run(async (kit) => {
      kit.ward.refresh().catch(() => {});
      await kit.first("refreshdelayed");
    });
    await move(staged, { wall: HOURS_MS });
    assert.deepEqual((await calls(staged)).statuses, [200]);
    assert.equal(staged.auth.tokenRequests.length, 2);
  });
});

// Firefox keeps no page that must not be stored.
const KEPT = { headers: { "cache-control": "no-cache" } };

/** Leaves the page for another one of the app, does something there, and goes back. Tells whether the page was kept. */
async function thereAndBack(t, { page }, meanwhile = () => {}) {
  const driver = browserDriver();
  await driver.executeScript("window.before = true;");
  await page.visit("/?another");
  await meanwhile();
  await driver.navigate().back();
  const state = "return !location.search && !!window.run && document.readyState === 'complete';";
  await eventually(() => driver.executeScript(state).catch(() => false), "not back");
  const kept = await driver.executeScript("return window.before === true;");
  t.diagnostic(kept ? "the page was kept" : "the page was loaded anew");
  return kept;
}

describe("the way back to a page", () => {
  test("that a ward does not keep out of the cache: it wakes after the expiry, and renews once", async (t) => {
    const staged = await awake(t, KEPT);
    await staged.page.run((kit, ms) => {
      kit.shown = new Promise((resolve) => addEventListener("pageshow", ({ persisted }) => resolve(persisted)));
      // The first event of a page that comes back.
      document.addEventListener("visibilitychange", () => (kit.clocks.wall += document.hidden ? 0 : ms));
    }, HOURS_MS);
    assert.equal(await thereAndBack(t, staged), true);
    assert.equal(await staged.page.run((kit) => kit.shown), true);
    await staged.page.run((kit) => kit.first("refreshed"));
    await assertRenewed(staged);
  });

  test("and again, and again: it still hears, renews and signs out", async (t) => {
    const staged = await awake(t, KEPT);
    for (let trip = 0; trip < 3; trip += 1) {
      assert.equal(await thereAndBack(t, staged), true);
      await move(staged, { wall: HOURS_MS });
      assert.deepEqual((await calls(staged)).statuses, [200]);
      assert.equal(staged.auth.tokenRequests.length, trip + 1);
    }
    await inTab(await newTab(), async () => {
      await staged.page.visit();
      await staged.page.run(async (kit) => void (await (await kit.create()).signOut()));
    });
    assert.equal((await staged.page.run((kit) => kit.first("signedout"))).reason, "elsewhere");
  });

  test("does not lead back to a session that was signed out meanwhile", async (t) => {
    const staged = await awake(t, KEPT);
    const tokens = await staged.auth.issueTokens();
    const signOut = async (kit, tokens) => {
      (await kit.create()).setTokens(tokens);
      await kit.ward.signOut();
    };
    const kept = await thereAndBack(t, staged, () => staged.page.run(signOut, tokens));
    if (!kept) return;
    const { signedIn, status } = await staged.page.run(async (kit) => {
      const { status } = await kit.call();
      return { signedIn: kit.ward.signedIn, status };
    });
    assert.deepEqual({ signedIn, status }, { signedIn: false, status: 401 });
    assert.equal(staged.api.requests.at(-1).tokenReceived, false);
    assert.equal(staged.auth.tokenRequests.length, 0);
  });

  // Its answer may come while the page is away, the engine may end it, or keep the page no more.
  const away = {
    "that is answered meanwhile": (release) => ({ fault: (hold) => ({ hold }), meanwhile: release }),
    "that is never answered": () => ({ fault: () => ({ hang: true }), meanwhile: () => {} }),
  };
  for (const [what, plan] of Object.entries(away)) {
    test(`with a refresh under way ${what}: its requests are served`, async (t) => {
      const staged = await awake(t, { ...KEPT, options: { requestTimeoutSeconds: 3 } });
      const { held, release } = latch();
      const { fault, meanwhile } = plan(release);
      staged.auth.faults.token = [fault(held)];
      await move(staged, { wall: HOURS_MS });
      await staged.page.run((kit) => void (kit.waiting = kit.call()));
      await staged.auth.tokenRequests.until((requests) => requests.length === 1);
      if (!(await thereAndBack(t, staged, meanwhile))) return;
      const { status, code } = await staged.page.run((kit) => kit.waiting);
      // Where the engine lost the answer, it lost the new refresh token.
      const used = staged.auth.tokenRequests.some(({ error }) => error === "invalid_grant");
      if (used) assert.equal(code, "signed_out");
      else assert.equal(status, 200);
      assert.ok(!used || browser === "webkit");
    });
  }

  test("with a session of the backend: renewed by its cookie, also when the page left in the middle of that", async (t) => {
    const staged = await stage(t, { ...KEPT, backend: true });
    const { backend, page } = staged;
    await signInAtBackend(staged);
    await setClocks(staged);
    await page.run(async (kit) => {
      await (await kit.create(kit.mediated({ requestTimeoutSeconds: 3 }))).install().restore();
    });
    const asked = () => backend.requests.filter(({ route }) => route === "token").length;
    backend.faults.token = [{ hang: true }];
    await move(staged, { wall: HOURS_MS });
    await page.run((kit) => void (kit.waiting = kit.call()));
    await backend.requests.until(() => asked() === 2);
    if (!(await thereAndBack(t, staged))) return;
    assert.equal((await page.run((kit) => kit.waiting)).status, 200);
    assert.deepEqual((await calls(staged)).statuses, [200]);
    assert.equal(asked(), 3);
  });
});

const freezes = browser === "chromium";

describe("a frozen page", { skip: freezes ? false : `no driver command freezes a page of ${browser}` }, () => {
  const set = (state) => browserDriver().sendDevToolsCommand("Page.setWebLifecycleState", { state });

  /** The page is frozen; its scripts still run when a driver asks, its timers, network and events do not. */
  async function frozen(t, options) {
    const staged = await awake(t, options);
    // An assertion must not leave the next test a frozen page.
    t.after(() => set("active"));
    await staged.page.run((kit) => {
      kit.told = [];
      for (const type of ["freeze", "resume"]) document.addEventListener(type, () => kit.told.push(type));
    });
    return staged;
  }

  test("that is resumed after the expiry renews by itself, and its first requests wait for that", async (t) => {
    const staged = await frozen(t);
    // Before the ward hears of it.
    await staged.page.run((kit, ms) => {
      document.addEventListener("resume", () => (kit.clocks.wall += ms), { capture: true });
    }, HOURS_MS);
    await set("frozen");
    await set("active");
    await staged.page.run((kit) => kit.first("refreshed"));
    assert.deepEqual(await staged.page.run((kit) => kit.told), ["freeze", "resume"]);
    await assertRenewed(staged);
  });

  test("gets the answer to its refresh when it is resumed", async (t) => {
    const staged = await frozen(t);
    const { held, release } = latch();
    staged.auth.faults.token = [{ hold: held }];
    await move(staged, { wall: HOURS_MS });
    await staged.page.run((kit) => void (kit.waiting = kit.call()));
    await staged.auth.tokenRequests.until((requests) => requests.length === 1);
    await set("frozen");
    release();
    await staged.auth.tokenRequests.until(([request]) => request.status === 200);
    assert.equal(staged.api.requests.length, 1);
    await set("active");
    assert.equal((await staged.page.run((kit) => kit.waiting)).status, 200);
    await assert.doesNotReject(calls(staged));
    assert.equal(staged.auth.tokenRequests.length, 1);
  });

  test("hears of a sign-out that it slept through before it sends anything", async (t) => {
    const staged = await frozen(t);
    await staged.page.run((kit, ms) => {
      document.addEventListener("resume", () => {
        kit.waiting = kit.call();
      });
      kit.clocks.wall += ms;
    }, HOURS_MS);
    // The page renews when it is told that it is hidden.
    staged.auth.faults.token = () => ({ hang: true });
    const before = staged.api.requests.length;
    const tab = await newTab();
    await inTab(tab, () => staged.page.visit());
    await set("frozen");
    await inTab(tab, () => staged.page.run(async (kit) => void (await (await kit.create()).signOut())));
    await set("active");
    const { status, code } = await staged.page.run(async (kit) => {
      await kit.first("signedout");
      return kit.waiting;
    });
    assert.ok(status === 401 || code === "signed_out", `${status} ${code}`);
    assert.ok(staged.api.requests.slice(before).every(({ tokenReceived }) => !tokenReceived));
    assert.equal((await staged.page.run((kit) => kit.events.at(-1))).reason, "elsewhere");
  });

  test("in the middle of a refresh does not keep other tabs from theirs", async (t) => {
    const staged = await stage(t, { backend: true });
    const { backend, page } = staged;
    t.after(() => set("active"));
    await signInAtBackend(staged);
    const { held, release } = latch();
    const make = (more) =>
      page.run(async (kit, more) => void (await (await kit.create(kit.mediated(more))).install().restore()), more);
    const asked = () => backend.requests.filter(({ route }) => route === "token").length;
    const tab = await newTab();
    await inTab(tab, async () => {
      await page.visit();
      await make();
    });
    await page.visit();
    await make();
    const before = asked();
    backend.faults.token = [{ hold: held }];
    const renew = (kit) => {
      kit.waiting = kit.outcome(kit.ward.refresh().then(() => new Response("{}")));
    };
    await page.run(renew);
    await backend.requests.until(() => asked() === before + 1);
    await set("frozen");
    const began = Date.now();
    await inTab(tab, async () => {
      await page.run(renew);
      assert.deepEqual(await page.run((kit) => kit.waiting), { status: 200, body: {} });
      assert.equal((await page.run((kit) => kit.call())).status, 200);
    });
    t.diagnostic(`the other tab waited for ${Date.now() - began} ms`);
    release();
    await set("active");
    assert.equal((await page.run((kit) => kit.waiting)).status, 200);
    assert.equal((await page.run((kit) => kit.call())).status, 200);
  });
});
