// A tab that nobody looks at: its timers come late, one a minute in Chromium, one a second elsewhere.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as pass } from "node:timers/promises";
import { browser } from "./harness/browsers.mjs";
import { HOURS_MS, move, setClocks } from "./harness/clocks.mjs";
import { eventually } from "./harness/sign-in.mjs";
import { browserDriver, browserOptions, stage } from "./harness/stage.mjs";

browserOptions.throttles = true;

const CHAIN_MS = 100;
const WATCHED_MS = 2500;
const UNTHROTTLED = WATCHED_MS / CHAIN_MS;
/** How many of a chain's timers fire at most in the time it is watched. */
const THROTTLED = browser === "chromium" ? 1 : UNTHROTTLED / 2;

const ticks = () => browserDriver().executeScript("return window.ticks;");
const hidden = () => browserDriver().executeScript("return document.hidden;");

async function show() {
  await browserDriver().manage().window().setRect({ width: 1000, height: 700 });
  await eventually(async () => !(await hidden()), "still hidden");
}

/** Hides the page for so long that its timers are throttled, which is seen by a chain of them. */
async function hide(t, { page }) {
  t.after(show);
  await page.run((_kit, ms) => {
    window.ticks = 0;
    const tick = () => {
      window.ticks += 1;
      setTimeout(tick, ms);
    };
    tick();
  }, CHAIN_MS);
  await browserDriver().manage().window().minimize();
  await eventually(hidden, "not hidden");
  for (let before = -Infinity, now; ; before = now) {
    now = await ticks();
    if (now - before <= THROTTLED) return t.diagnostic(`${now - before} of ${UNTHROTTLED} timers fired`);
    await pass(WATCHED_MS);
  }
}

// Scripts that a driver runs do not wait for the page's timers.
const call = ({ page }) => page.run((kit) => kit.call());

describe("a hidden tab whose timers are throttled", () => {
  test("is served at once, when its token has run out, by one refresh", async (t) => {
    const staged = await stage(t);
    await staged.page.run((kit) => kit.library());
    await hide(t, staged);
    await staged.page.signIn({ age: 60 });
    const began = Date.now();
    const outcomes = await staged.page.run((kit) => Promise.all(Array.from({ length: 10 }, () => kit.call())));
    assert.deepEqual(new Set(outcomes.map(({ status }) => status)), new Set([200]));
    assert.ok(Date.now() - began < 3000, `after ${Date.now() - began} ms`);
    assert.equal(staged.auth.tokenRequests.length, 1);
    assert.ok(staged.api.requests.every(({ tokenExpired }) => !tokenExpired));
  });

  test("sends no expired token, though its renewal comes late", async (t) => {
    const staged = await stage(t, { accessTokenTtl: 10 });
    const { api, auth, page } = staged;
    await page.run((kit) => kit.library());
    await hide(t, staged);
    await page.signIn();
    for (let i = 0; i < 3; i += 1) {
      if (i > 0) await pass(6000);
      assert.equal((await call(staged)).status, 200);
    }
    assert.ok(api.requests.every(({ tokenExpired, status }) => !tokenExpired && status === 200));
    assert.ok(auth.tokenRequests.length >= 1 && auth.tokenRequests.length <= 3, `${auth.tokenRequests.length} renewals`);
  });

  test("renews when it is looked at, before it asks for anything", async (t) => {
    const staged = await stage(t);
    const { auth, page } = staged;
    await setClocks(staged);
    await page.run((kit) => kit.library());
    await hide(t, staged);
    await page.signIn();
    await move(staged, { wall: HOURS_MS });
    assert.equal(auth.tokenRequests.length, 0);
    await show();
    await page.run((kit) => kit.first("refreshed"));
    assert.equal((await call(staged)).status, 200);
    assert.equal(auth.tokenRequests.length, 1);
  });

  test("tries again after a failure, and serves who waits", async (t) => {
    const staged = await stage(t);
    const { auth, page } = staged;
    await page.run((kit) => kit.library());
    await hide(t, staged);
    auth.faults.token = [{ status: 500 }];
    await page.signIn({ age: 60 });
    await page.run((kit) => void (kit.waiting = kit.call()));
    // Where a timer may take a minute, so may the next try; who looks at the tab does not wait for it.
    if (browser === "chromium") {
      await auth.tokenRequests.until((requests) => requests.length === 1);
      await page.run((kit) => kit.first("refreshfailed"));
      await pass(1500);
      await show();
    }
    assert.equal((await page.run((kit) => kit.waiting)).status, 200);
    assert.equal(auth.tokenRequests.length, 2);
  });
});
