// A service worker that the browser stopped.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { browser } from "./harness/browsers.mjs";
import { browserDriver, browserOptions, latch } from "./harness/stage.mjs";
import { ask, askExpired, asked, connected, picture, tokens } from "./harness/workers.mjs";

// Firefox's worker stops soon after it has had nothing to do.
const IDLE_MS = 100;
browserOptions.prefs = { "dom.serviceWorkers.idle_timeout": IDLE_MS, "dom.serviceWorkers.idle_extended_timeout": IDLE_MS };

describe("a worker that was stopped", { skip: browser === "webkit" && "WebKit keeps it as long as a page is open" }, () => {
  const bornIn = (page) => page.run((kit) => kit.born());

  /** Resolves when another one has taken its place. */
  async function stop(page) {
    const born = await bornIn(page);
    if (browser === "chromium") {
      await browserDriver().sendDevToolsCommand("ServiceWorker.enable", {});
      await browserDriver().sendDevToolsCommand("ServiceWorker.stopAllWorkers", {});
    }
    // Whoever asks keeps it alive.
    while ((await bornIn(page)) === born) await pause(3 * IDLE_MS);
  }

  test("gets the token again from the page", async (t) => {
    const staged = await connected(t);
    const { page, api } = staged;
    await stop(page);
    assert.equal(await picture(staged), "load");
    assert.deepEqual(tokens(staged), [true]);
    assert.equal(api.requests[0].status, 200);
  });

  test("gets one that is good", async (t) => {
    const staged = await connected(t);
    const { page, auth } = staged;
    const { held, release } = latch();
    auth.faults.token = [{ hold: held }];
    const expired = (kit, tokens) => kit.ward.setTokens(tokens, { requestedAt: Date.now() - 60_000 });
    await page.run(expired, await auth.issueTokens());
    await stop(page);
    await ask(staged);
    await auth.tokenRequests.until(({ length }) => length > 0);
    assert.deepEqual(tokens(staged), []);
    release();
    assert.equal(await asked(staged), "load");
    assert.deepEqual(tokens(staged), [true]);
  });

  const only = browser !== "chromium" && "only DevTools stop one that is at work";
  test("while a request waits is asked again, and the request succeeds", { skip: only }, async (t) => {
    const staged = await connected(t);
    const release = await askExpired(staged);
    await stop(staged.page);
    // The page's own clock is right: what it has is good.
    assert.equal(await asked(staged), "load");
    release();
    assert.deepEqual(tokens(staged), [true]);
  });
});
