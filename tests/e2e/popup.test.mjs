// Signing in by popup: who passes the answer on, who may not, and how it ends otherwise.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { assertFailed, assertNobody, assertSignedIn, eventually, press, signInStage, toPopup } from "./harness/sign-in.mjs";
import { browserDriver, latch } from "./harness/stage.mjs";

const COOP = { "cross-origin-opener-policy": "same-origin" };

const alone = () =>
  eventually(async () => (await browserDriver().getAllWindowHandles()).length === 1, "the popup is still there");

/** Whether the user looks at the page: what engines say without a screen differs. */
const look = (page, looks) => page.run((kit, looks) => void (document.hasFocus = () => looks), looks);

/** A popup that shows the login page. `back()` turns from it to the page. */
async function popupOpen(t, { ask, ...options } = {}) {
  const staged = await signInStage(t, { ...options, auth: { autoLogin: false, ...options.auth } });
  await staged.pop(ask);
  const back = await toPopup();
  return { ...staged, back };
}

describe("the answer is passed on", () => {
  test("by a page of its own: the popup closes, the API gets the token, and a renewal follows", async (t) => {
    const { api, auth, app, page, popped, back } = await popupOpen(t);
    await press("allow");
    await back();
    const { value, ...result } = await popped();
    assertSignedIn(result);
    assert.deepEqual(value, { response: null });
    assert.equal(result.url, `${app.origin}/`);
    await alone();
    const [{ params }] = auth.authorizationRequests;
    assert.match(params.state, /^p[\w-]{43}$/);
    assert.equal(params.redirect_uri, `${app.origin}/callback.html`);
    assert.equal(auth.tokenRequests[0].params.redirect_uri, `${app.origin}/callback.html`);
    const statuses = await page.run(async (kit) => {
      kit.ward.install();
      const { status } = await kit.call();
      await kit.ward.refresh();
      return [status, (await kit.call()).status];
    });
    assert.deepEqual([statuses, api.requests.length], [[200, 200], 2]);
  });

  test("by the app's own page, whose create() does not return", async (t) => {
    const { auth, app, page, pop, popped } = await signInStage(t);
    await page.run((kit) => kit.create(kit.discovered({ relayUri: undefined })).then(() => {}));
    await pop();
    const back = await toPopup();
    await page.back();
    // It may be gone before the driver has its answer.
    await page
      .run((kit) => {
        const create = async () => {
          await kit.create(kit.discovered({ relayUri: undefined }));
          localStorage.setItem("returned", "1");
        };
        setTimeout(create);
      })
      .catch(() => {});
    await back();
    assertSignedIn(await popped());
    await alone();
    assert.equal(auth.tokenRequests[0].params.redirect_uri, `${app.origin}/`);
  });

  test("by a popup in which the server asks nothing", async (t) => {
    const { byPopup } = await signInStage(t);
    assertSignedIn(await byPopup());
    await alone();
  });

  test("by one whose answer is an error", async (t) => {
    const { auth, popped, back } = await popupOpen(t);
    await press("deny");
    await back();
    assertFailed(await popped(), "authorization_failed", { error: "access_denied" });
    await alone();
    assert.equal(auth.tokenRequests.length, 0);
  });

  test("by one whose answer names another issuer", async (t) => {
    const { auth, byPopup } = await signInStage(t);
    auth.faults.authorization = [{ redirect: (url) => void url.searchParams.set("iss", "https://evil.example") }];
    assertFailed(await byPopup(), "issuer_mismatch");
    await alone();
    assert.equal(auth.tokenRequests.length, 0);
  });
});

describe("the popup is cut off from its opener, where", () => {
  const cases = [
    ["the app keeps to itself", COOP, false],
    ["the server keeps to itself", {}, true],
    ["both do", COOP, true],
  ];
  for (const [what, headers, coop] of cases) {
    test(`${what}: the answer comes all the same, and the popup closes`, async (t) => {
      const { page, pop, popped } = await signInStage(t, { headers, auth: { autoLogin: false, coop } });
      // Asked for once the popup looks closed, which it does at once.
      await page.run((kit) => {
        kit.looksClosed = new Promise((resolve) => {
          document.hasFocus = () => (resolve(), false);
        });
      });
      await pop();
      await page.run((kit) => kit.looksClosed);
      const back = await toPopup();
      await press("allow");
      await back();
      assertSignedIn(await popped());
      await alone();
    });
  }

  test("the server keeps to itself: once the user looks at the page again, the popup counts as closed", async (t) => {
    const { auth, page, pop, popped } = await signInStage(t, { auth: { autoLogin: false, coop: true } });
    await look(page, true);
    await pop();
    assertFailed(await popped(), "popup_closed");
    // What it brings later on counts for nothing.
    const back = await toPopup();
    await press("allow");
    await back();
    await alone();
    assert.equal(auth.tokenRequests.length, 0);
  });
});

describe("without an answer", () => {
  test("blocked by the browser: no request was made", async (t) => {
    const { auth, page, byPopup } = await signInStage(t);
    await page.run(() => void (window.open = () => null));
    assertFailed(await byPopup(), "popup_blocked");
    assert.equal(auth.discoveryRequests.length + auth.authorizationRequests.length, 0);
  });

  test("closed by the user", async (t) => {
    const { auth, page, popped, back, byPopup } = await popupOpen(t);
    await browserDriver().close();
    await back();
    await look(page, true);
    assertFailed(await popped(), "popup_closed");
    assert.equal(auth.tokenRequests.length, 0);
    // The next one is as good as ever.
    auth.settings.autoLogin = "ada";
    assertSignedIn(await byPopup());
  });

  test("given up by a signal: the popup closes, and the reason is the error", async (t) => {
    const { auth, page } = await signInStage(t, { auth: { autoLogin: false } });
    await page.run((kit) => kit.create(kit.discovered()).then(() => {}));
    await page.click((kit) => {
      kit.giveUp = new AbortController();
      kit.popped = kit.ended(kit.ward.signIn({ mode: "popup", signal: kit.giveUp.signal }));
    });
    await (await toPopup())();
    const result = await page.run(async (kit) => {
      kit.giveUp.abort(new RangeError("enough"));
      return { ...(await kit.popped), ...kit.look() };
    });
    assert.deepEqual([result.failed.name, result.message], ["RangeError", "enough"]);
    assertNobody(result);
    await alone();
    assert.equal(auth.tokenRequests.length, 0);
  });

  test("given up by a signal while the code is exchanged", async (t) => {
    const { auth, page } = await signInStage(t);
    auth.faults.token = [{ hang: true }];
    await page.run((kit) => kit.create(kit.discovered()).then(() => {}));
    await page.click((kit) => {
      kit.giveUp = new AbortController();
      kit.popped = kit.ended(kit.ward.signIn({ mode: "popup", signal: kit.giveUp.signal }));
    });
    await auth.tokenRequests.until((requests) => requests.length === 1);
    const result = await page.run(async (kit) => {
      kit.giveUp.abort();
      return { ...(await kit.popped), ...kit.look() };
    });
    assert.equal(result.failed.name, "AbortError");
    assertNobody(result);
    await alone();
  });

  test("given up before it began: no popup", async (t) => {
    const { auth, page } = await signInStage(t);
    const result = await page.run(async (kit) => {
      let opened = 0;
      window.open = () => ((opened += 1), null);
      await kit.create(kit.discovered());
      return { ...(await kit.ended(kit.ward.signIn({ mode: "popup", signal: AbortSignal.abort() }))), ...kit.look(), opened };
    });
    assert.deepEqual([result.failed.name, result.opened], ["AbortError", 0]);
    assertNobody(result);
    assert.equal(auth.discoveryRequests.length, 0);
  });

  for (const [what, held] of [
    ["while the user signs in", false],
    ["before the metadata came", true],
  ]) {
    test(`close() ${what}: the popup closes, and nothing is left`, async (t) => {
      const { auth, page, pop, popped } = await signInStage(t, { auth: { autoLogin: false } });
      if (held) auth.faults.discovery = [{ hang: true }];
      await page.run(async (kit) => {
        kit.tally = await import("/tally.js");
        kit.tally.begin();
      });
      // In a run of its own: WebKit's driver has a timer in each.
      const before = await page.run(async (kit) => {
        const { TokenWard } = await kit.library();
        const before = kit.tally.tally();
        kit.ward = await TokenWard.create(kit.options(kit.discovered()));
        return before;
      });
      await pop();
      if (held) await auth.discoveryRequests.until((requests) => requests.length === 1);
      else await (await toPopup())();
      await page.run((kit) => kit.ward.close());
      assertFailed(await popped(), "closed");
      await alone();
      const after = await page.run((kit) => kit.tally.tally());
      // The button that was clicked has one.
      assert.deepEqual(after, { ...before, listeners: before.listeners + 1 });
    });
  }

  test("a sign-in that ended leaves nothing behind, whichever way", async (t) => {
    const { auth, page, byPopup } = await signInStage(t);
    await page.run(async (kit) => {
      kit.tally = await import("/tally.js");
      kit.tally.begin();
      await kit.create(kit.discovered());
    });
    const before = await page.run((kit) => kit.tally.tally());
    auth.faults.authorization = [{ redirect: (url) => void url.searchParams.set("error", "access_denied") }];
    assertFailed(await byPopup(), "authorization_failed", { error: "access_denied" });
    const after = await page.run((kit) => kit.tally.tally());
    assert.deepEqual(after, { ...before, listeners: before.listeners + 1 });
  });
});

describe("an answer that is none is not heard:", () => {
  const onPage = (script) => (...args) => browserDriver().executeScript(script, ...args);

  /** In the popup, which shows the server's page. */
  const inPopup = (script) => async (...args) => {
    const back = await toPopup();
    await browserDriver().executeScript(script, ...args);
    await back();
  };

  /** In a frame of the origin. */
  const inFrame = (script) => async (...args) => {
    const driver = browserDriver();
    await driver.executeScript("document.body.append(Object.assign(document.createElement('iframe'), { src: '/index.html' }));");
    await driver.switchTo().frame(0);
    await driver.executeScript(script, ...args);
    await driver.switchTo().defaultContent();
  };

  const answer = "{ tokenward: { code: 'c', state: arguments[0], iss: arguments[1] } }";
  const other = "arguments[0] = 'p' + [...arguments[0].slice(1)].reverse().join('');";
  const channel = "new BroadcastChannel('tokenward')";
  const cases = {
    "from the server's page": inPopup(`opener.postMessage(${answer}, "*");`),
    "from the page itself": onPage(`postMessage(${answer}, "*");`),
    "from a frame of the origin": inFrame(`parent.postMessage(${answer}, "*");`),
    "a word, from the server's page": inPopup('opener.postMessage("tokenward", "*");'),
    "of another state, by the channel": onPage(`${other} ${channel}.postMessage(${answer});`),
    "of another state, by a page that passes it on": onPage(
      `${other} const frame = document.createElement("iframe");
       frame.src = "/callback.html?code=c&state=" + arguments[0]; document.body.append(frame);`,
    ),
    "without a state, by the channel": onPage(`${channel}.postMessage({ tokenward: { code: "c" } });`),
    "null, by the channel": onPage(`${channel}.postMessage(null);`),
    "null for an answer, by the channel": onPage(`${channel}.postMessage({ tokenward: null });`),
  };
  for (const [what, say] of Object.entries(cases)) {
    test(what, async (t) => {
      const { auth, page, pop, popped } = await signInStage(t, { auth: { autoLogin: false } });
      await page.run(async (kit) => {
        kit.heard = new Promise((resolve) => {
          addEventListener("message", resolve);
          new BroadcastChannel("tokenward").onmessage = resolve;
        });
        await kit.create(kit.discovered());
      });
      await pop();
      const [{ params }] = await auth.authorizationRequests.until((requests) => requests.length === 1);
      await say(params.state, auth.issuer);
      await page.run((kit) => kit.heard.then(() => {}));
      // The real one is.
      const back = await toPopup();
      await press("allow");
      await back();
      assertSignedIn(await popped());
      assert.equal(auth.tokenRequests.length, 1);
    });
  }

  test("of another state, by the popup, which is closed then", async (t) => {
    const { auth, page, pop, popped } = await signInStage(t);
    await look(page, true);
    auth.faults.authorization = [{ redirect: (url) => void url.searchParams.set("state", "p".padEnd(44, "x")) }];
    await pop();
    // The page that only passes it on closes itself.
    await auth.authorizationRequests.until(([{ redirect } = {}]) => redirect);
    await alone();
    assertFailed(await popped(), "popup_closed");
    assert.equal(auth.tokenRequests.length, 0);
  });
});

test("two popups at once: each gets its own answer", async (t) => {
  const { auth, page, pop, popped } = await signInStage(t);
  const { held, release } = latch();
  auth.faults.authorization = [{ hold: held }];
  await pop();
  await page.run((kit) => void (kit.first = kit.popped));
  await auth.authorizationRequests.until((requests) => requests.length === 1);
  await pop();
  assertSignedIn(await popped());
  release();
  assert.deepEqual((await page.run((kit) => kit.first)).value, { response: null });
  await alone();
  assert.equal(auth.tokenRequests.length, 2);
});
