// The service worker's own life: stopped, replaced, not there yet, and the pages that come and go.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { browser } from "./harness/browsers.mjs";
import { inTab, newTab } from "./harness/sessions.mjs";
import { eventually } from "./harness/sign-in.mjs";
import { browserDriver } from "./harness/stage.mjs";
import { ask, askExpired, asked, connected, inFrame, inWorker, picture, setUp, tokens, workerStage } from "./harness/workers.mjs";

/** The same in a page that was loaded anew. */
async function again({ page }, { visits = true } = {}) {
  if (visits) await page.visit();
  await page.run(setUp);
  await page.signIn();
}

/** Another tab of the same app, signed in and connected. */
async function connectedTab(staged) {
  const tab = await newTab();
  await inTab(tab, async () => {
    await again(staged);
    await staged.page.run((kit) => kit.connect());
  });
  return tab;
}

test("the first load is taken over", async (t) => {
  const staged = await workerStage(t);
  await staged.page.signIn();
  const controlled = await staged.page.run(async (kit) => {
    await kit.register();
    const before = Boolean(navigator.serviceWorker.controller);
    await kit.connect();
    return [before, Boolean(navigator.serviceWorker.controller)];
  });
  assert.deepEqual(controlled, [false, true]);
  assert.equal(await picture(staged), "load");
});

test("a page that was loaded anew has its own tokens", async (t) => {
  const staged = await connected(t);
  assert.equal(await picture(staged), "load");
  await again(staged);
  await staged.page.run((kit) => kit.connect());
  assert.equal(await picture(staged), "load");
  const [first, second] = staged.api.requests;
  assert.notEqual(first.tokenId, second.tokenId);
});

const reloads = {
  chromium: () => browserDriver().sendDevToolsCommand("Page.reload", { ignoreCache: true }),
  // It takes an argument there, which others ignore.
  firefox: () => browserDriver().executeScript("location.reload(true)"),
};

test("a forced reload, which goes around the worker, is taken over", { skip: !reloads[browser] && "this driver forces no reload" }, async (t) => {
  const staged = await connected(t);
  await browserDriver().executeScript("window.old = true");
  await reloads[browser]();
  await eventually(() => browserDriver().executeScript("return !window.old && !!window.run"), "not reloaded");
  await staged.page.back();
  assert.equal(await browserDriver().executeScript("return navigator.serviceWorker.controller"), null);
  await again(staged, { visits: false });
  await staged.page.run((kit) => kit.connect());
  assert.equal(await picture(staged), "load");
});

test("a new version takes over two open tabs, each with its own tokens", async (t) => {
  const staged = await connected(t);
  const { page, api } = staged;
  const tab = await connectedTab(staged);
  const born = await page.run((kit) => kit.born());
  await page.run(async (kit) => {
    const taken = new Promise((resolve) => navigator.serviceWorker.addEventListener("controllerchange", resolve));
    await kit.register({ version: 2, hurries: true });
    await taken;
  });
  assert.notEqual(await page.run((kit) => kit.born()), born);
  assert.equal(await picture(staged), "load");
  await inTab(tab, async () => assert.equal(await picture(staged), "load"));
  assert.deepEqual(tokens(staged), [true, true]);
  assert.notEqual(api.requests[0].tokenId, api.requests[1].tokenId);
});

test("two tabs are authorised each with its own token, and a worker of one of them with neither", async (t) => {
  const staged = await connected(t);
  const { api } = staged;
  const tab = await connectedTab(staged);
  await inTab(tab, async () => assert.equal(await picture(staged), "load"));
  assert.equal(await picture(staged), "load");
  assert.equal(new Set(api.requests.map(({ tokenId }) => tokenId)).size, 2);
  // Whose it is cannot be known.
  assert.equal(await inWorker(staged), 401);
  assert.equal(api.requests.at(-1).tokenReceived, false);
  // Of one that is gone, nothing is left.
  await inTab(tab, () => browserDriver().close());
  await eventually(async () => (await browserDriver().getAllWindowHandles()).length === 1, "the tab is there");
  assert.equal(await inWorker(staged), 200);
});

test("a frame without a ward waits a moment, and then is authorised as its page", async (t) => {
  const staged = await connected(t);
  assert.equal(await inFrame(staged), 200);
});

test("a frame that the page's ward lends to does not wait, whoever is signed in elsewhere", async (t) => {
  const staged = await connected(t);
  await connectedTab(staged);
  assert.equal(await inFrame(staged, { connects: true }), 200);
  assert.equal(await picture(staged), "load");
  const [frame, own] = staged.api.requests;
  assert.equal(frame.tokenId, own.tokenId);
  // Gone, it is in nobody's way.
  await staged.page.run((kit) => kit.ward.refresh());
  assert.equal(await picture(staged), "load");
});

test("two wards of a page lend under different names, each for its own list", async (t) => {
  const staged = await connected(t);
  const { page, api, auth } = staged;
  const taken = await page.run(async (kit, tokens) => {
    const { TokenWard } = await kit.library();
    const second = await TokenWard.create({ resources: [{ url: `${kit.api.origin}/second/` }] });
    second.setTokens(tokens);
    const taken = await kit.ended(second.connectServiceWorker());
    await second.connectServiceWorker({ name: "second" });
    await kit.ways.img(`${kit.api.origin}/second/picture.svg`);
    return taken.failed;
  }, await auth.issueTokens());
  assert.equal(taken.code, "invalid_option");
  assert.equal(await picture(staged), "load");
  const [second, first] = api.requests;
  assert.notEqual(second.headers.authorization, first.headers.authorization);
  assert.deepEqual(tokens(staged), [true, true]);
});

test("a page without a ward waits a moment, and then its requests go as they are", async (t) => {
  const staged = await connected(t);
  const { page } = staged;
  await page.visit();
  await page.run(setUp);
  assert.equal(await picture(staged), "error");
  assert.deepEqual(tokens(staged), [false]);
  // The next one does not wait again; and who comes late is heard.
  await page.signIn();
  await page.run((kit) => kit.connect());
  assert.equal(await picture(staged), "load");
});

test("what a page asks for before its ward speaks up waits for it", async (t) => {
  const staged = await connected(t);
  const { page, api } = staged;
  await page.visit();
  await page.run(setUp);
  await ask(staged);
  await page.signIn();
  await page.run((kit) => kit.connect());
  assert.equal(await asked(staged), "load");
  assert.deepEqual(tokens(staged), [true]);
});

describe("no token after", () => {
  const ends = {
    "a sign-out": async (kit) => void (await kit.ward.signOut()),
    "close()": (kit) => kit.ward.close(),
    "uninstall()": (kit) => void kit.ward.uninstall(),
  };
  for (const [what, end] of Object.entries(ends)) {
    test(what, async (t) => {
      const staged = await connected(t);
      await staged.page.run(end);
      assert.equal(await picture(staged), "error");
      assert.deepEqual(tokens(staged), [false]);
    });
  }

  test("a sign-out while the request waits", async (t) => {
    const staged = await connected(t);
    const release = await askExpired(staged);
    await staged.page.run((kit) => void kit.ward.signOut());
    assert.equal(await asked(staged), "error");
    release();
    assert.ok(!tokens(staged).includes(true));
  });
});

test("another user is served with the new token only", async (t) => {
  const staged = await connected(t);
  const { page, auth, api } = staged;
  assert.equal(await picture(staged), "load");
  await page.run(async (kit, next) => {
    await kit.ward.signOut();
    kit.ward.setTokens(next);
  }, await auth.issueTokens());
  assert.equal(await picture(staged), "load");
  assert.equal(new Set(api.requests.map(({ tokenId }) => tokenId)).size, 2);
});

test("a server in trouble: the request fails in time, and the next one succeeds", async (t) => {
  const staged = await workerStage(t);
  const { page, auth } = staged;
  await page.signIn({ waitSeconds: 1 });
  await page.run(async (kit) => {
    await kit.register({ waitSeconds: 2 });
    await kit.connect();
  });
  auth.faults.token = Array(20).fill({ status: 503 });
  await page.run((kit) => kit.expire());
  assert.equal(await picture(staged), "error");
  assert.deepEqual(tokens(staged), []);
  auth.faults.token = [];
  await page.run((kit) => kit.hurry());
  await page.run((kit) => kit.until(({ status }) => status === "fresh"));
  assert.equal(await picture(staged), "load");
});

describe("connectServiceWorker() rejects", () => {
  const connect = (page) => page.run((kit) => kit.ended(kit.ward.connectServiceWorker()));

  test("where there is none", async (t) => {
    const { page } = await workerStage(t);
    await page.signIn({ requestTimeoutSeconds: 1 });
    const { failed } = await connect(page);
    assert.equal(failed.code, "service_worker_unavailable");
    assert.equal(failed.retryable, true);
  });

  test("where it is not tokenward's", async (t) => {
    const { page } = await workerStage(t);
    await page.signIn({ requestTimeoutSeconds: 1 });
    await page.run((kit) => kit.register({ foreign: true }));
    assert.equal((await connect(page)).failed.code, "service_worker_unavailable");
  });

  test("when the ward is closed, before and meanwhile", async (t) => {
    const { page } = await workerStage(t);
    await page.signIn();
    const codes = await page.run(async (kit) => {
      const meanwhile = kit.ended(kit.ward.connectServiceWorker());
      kit.ward.close();
      return [await meanwhile, await kit.ended(kit.ward.connectServiceWorker())].map(({ failed }) => failed.code);
    });
    assert.deepEqual(codes, ["closed", "closed"]);
  });

  test("but not the second time", async (t) => {
    const staged = await connected(t);
    await staged.page.run(async (kit) => void (await Promise.all([kit.ward.connectServiceWorker(), kit.ward.connectServiceWorker()])));
    assert.equal(await picture(staged), "load");
  });
});

test("a challenge that the worker meets is an event of the ward", async (t) => {
  const { page, api } = await connected(t);
  const detail = await page.run(async (kit, url) => {
    await kit.ways.fetch(url);
    return kit.first("stepup");
  }, `${api.origin}/v1/stepup`);
  assert.equal(detail.acrValues, "urn:tokenward:demo:mfa");
});

describe("what the worker was lent is gone from its memory after", () => {
  const lent = ({ page, auth }) => page.run((kit, tokens) => kit.find(tokens), auth.issuedTokens);

  test("a sign-out", async (t) => {
    const staged = await connected(t);
    assert.equal(await picture(staged), "load");
    // The access token, and not the refresh token.
    assert.equal(await lent(staged), 1);
    await staged.page.run((kit) => kit.ward.signOut());
    assert.equal(await lent(staged), 0);
  });

  test("the end of the page", async (t) => {
    const staged = await connected(t);
    assert.equal(await picture(staged), "load");
    const first = [...staged.auth.issuedTokens];
    await again(staged);
    await staged.page.run((kit) => kit.connect());
    assert.equal(await picture(staged), "load");
    assert.equal(await staged.page.run((kit, tokens) => kit.find(tokens), first), 0);
    assert.equal(await lent(staged), 1);
    assert.deepEqual(await staged.page.run(() => caches.keys()), []);
  });
});
