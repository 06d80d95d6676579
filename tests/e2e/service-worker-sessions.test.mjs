// Whose token a service worker uses, and how long it waits for one: what the pages tell it of their sessions.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { inTab, newTab, signInAtBackend } from "./harness/sessions.mjs";
import { latch } from "./harness/stage.mjs";
import { ask, askExpired, asked, connected, inFrame, inWorker, picture, setUp, tokens, workerStage } from "./harness/workers.mjs";

const WAIT = { waitSeconds: 2 };
const PAGES = fileURLToPath(new URL("harness/page/", import.meta.url));

/** A page that is signed in and connected to a worker whose requests wait two seconds at most. */
async function hasty(t, options) {
  const staged = await workerStage(t, options);
  await staged.page.signIn();
  await staged.page.run(async (kit, wait) => {
    await kit.register(wait);
    await kit.connect();
  }, WAIT);
  return staged;
}

/** Does something in another tab of the same app, which stays open. */
async function elsewhere({ page }, act, path = "/") {
  await inTab(await newTab(), async () => {
    await page.visit(path);
    await page.run(setUp);
    await act();
  });
}

/** A restoration that does not end until what this gives is called. */
function holdBackend(t, { backend }) {
  const { held, release } = latch();
  t.after(release);
  backend.faults.token = [{ hold: held }];
  return release;
}

const restores = (page, wait = {}) =>
  page.run(async (kit, wait) => {
    await kit.create(kit.mediated(wait));
    kit.restored = kit.ward.restore();
  }, wait);

test("what waits for a token of one session ends with it, though the next one begins at once", async (t) => {
  const staged = await connected(t);
  const { page, auth } = staged;
  const { held, release } = latch();
  auth.faults.token = [{ hold: held, status: 503 }];
  await page.run((kit) => kit.expire());
  await ask(staged);
  await auth.tokenRequests.until(({ length }) => length > 0);
  await page.run((kit, next) => {
    // The events of both are told when it has begun.
    const begin = () => void (kit.ward.signOut(), kit.ward.setTokens(next));
    for (const type of ["refreshdelayed", "refreshfailed"]) kit.ward.addEventListener(type, begin, { once: true });
  }, await auth.issueTokens());
  release();
  assert.equal(await asked(staged), "error");
  assert.deepEqual(tokens(staged), []);
  assert.equal(await picture(staged), "load");
  assert.deepEqual(tokens(staged), [true]);
});

test("a ward that was closed does not speak for the next one, which lends at once", async (t) => {
  const staged = await connected(t);
  const { page, auth } = staged;
  // There is something that the first one has yet to tell the worker.
  t.after(await askExpired(staged));
  await page.run(async (kit, next) => {
    const { TokenWard } = await kit.library();
    const second = await TokenWard.create(kit.options());
    second.setTokens(next);
    kit.ward.close();
    await second.connectServiceWorker();
  }, await auth.issueTokens());
  assert.equal(await asked(staged), "error");
  assert.equal(await picture(staged), "load");
  assert.deepEqual(tokens(staged), [true]);
});

describe("what may be another user's page gets no token:", () => {
  test("whose own one could not be renewed", async (t) => {
    const staged = await hasty(t);
    const { page, auth } = staged;
    auth.faults.token = Array(20).fill({ status: 503 });
    await elsewhere(staged, async () => {
      await page.signIn({ age: 60, waitSeconds: 1 });
      await page.run((kit) => kit.connect());
      assert.equal(await picture(staged), "error");
    });
    assert.equal(await inWorker(staged), 401);
    assert.deepEqual(tokens(staged), [false]);
  });

  test("whose own one is waited for", async (t) => {
    const staged = await hasty(t);
    const { page, auth } = staged;
    const { held, release } = latch();
    t.after(release);
    auth.faults.token = [{ hold: held }];
    await elsewhere(staged, async () => {
      await page.signIn({ age: 60 });
      await page.run((kit) => kit.connect());
    });
    assert.equal(await inWorker(staged), 401);
    assert.deepEqual(tokens(staged), [false]);
  });

  test("which has yet to find its session, and takes too long", async (t) => {
    const staged = await hasty(t, { backend: true });
    const { page } = staged;
    holdBackend(t, staged);
    await elsewhere(staged, async () => {
      await restores(page);
      await page.run((kit) => kit.connect());
    });
    assert.equal(await inWorker(staged), 401);
    assert.deepEqual(tokens(staged), [false]);
  });

  test("which is out of the worker's reach", async (t) => {
    const staged = await workerStage(t, { mounts: { "/app/": PAGES } });
    const { page } = staged;
    await page.signIn({ requestTimeoutSeconds: 1 });
    const { failed } = await page.run((kit) => kit.ended(kit.ward.connectServiceWorker()));
    assert.equal(failed.code, "service_worker_unavailable");
    await elsewhere(staged, async () => {
      await page.signIn();
      await page.run(async (kit, wait) => {
        await kit.register({ scope: "/app/", ...wait });
        await kit.ward.connectServiceWorker();
      }, WAIT);
      assert.equal(await picture(staged), "load");
      assert.equal(await inFrame(staged, { src: "/app/callback.html" }), 401);
      assert.deepEqual(tokens(staged), [true, false]);
      // Nor is it lent anything by that page.
      assert.equal(await page.run((kit, tokens) => kit.find(tokens), staged.auth.issuedTokens), 1);
    }, "/app/");
  });
});

describe("while the page looks for its session, what it asks for waits", () => {
  async function begun(t, prepare) {
    const staged = await workerStage(t, { backend: true });
    const { page } = staged;
    await signInAtBackend(staged);
    await page.run(setUp);
    await page.run((kit) => kit.register());
    const release = holdBackend(t, staged);
    await prepare(page);
    await ask(staged);
    await staged.backend.requests.until((all) => all.some(({ route }) => route === "token"));
    // What the worker could do without waiting is done by then.
    await page.run((kit) => kit.born());
    assert.deepEqual(tokens(staged), []);
    return { ...staged, release };
  }

  test("in a page that is taken over meanwhile", async (t) => {
    const staged = await begun(t, async (page) => {
      await restores(page);
      await page.run((kit) => kit.connect());
    });
    staged.release();
    assert.equal(await asked(staged), "load");
    assert.deepEqual(tokens(staged), [true]);
  });

  test("in a page that was connected before", async (t) => {
    const staged = await begun(t, async (page) => {
      await page.run(async (kit) => {
        await kit.create(kit.mediated());
        await kit.connect();
        kit.restored = kit.ward.restore();
      });
    });
    staged.release();
    assert.equal(await asked(staged), "load");
    assert.deepEqual(tokens(staged), [true]);
  });

  test("and goes as it is if there is none", async (t) => {
    const staged = await begun(t, async (page) => {
      await restores(page);
      await page.run((kit) => kit.connect());
    });
    staged.backend.faults.token = [{ status: 401 }];
    await staged.page.run((kit) => void kit.ward.signOut());
    staged.release();
    assert.equal(await asked(staged), "error");
    assert.deepEqual(tokens(staged), [false]);
  });
});

describe("connectServiceWorker()", () => {
  test("resolves while the token server is in trouble, and what is asked for waits", async (t) => {
    const staged = await workerStage(t);
    const { page, auth } = staged;
    auth.faults.token = Array(20).fill({ status: 503 });
    await page.signIn({ age: 60, requestTimeoutSeconds: 1 });
    await page.run((kit) => kit.connect());
    await ask(staged);
    auth.faults.token = [];
    await page.run((kit) => kit.hurry());
    assert.equal(await asked(staged), "load");
    assert.deepEqual(tokens(staged), [true]);
  });

  test("takes no other name for the same window", async (t) => {
    const { page } = await connected(t);
    const { failed, message } = await page.run((kit) => kit.ended(kit.ward.connectServiceWorker({ name: "second" })));
    assert.equal(failed?.code, "invalid_option");
    assert.match(message, /^name /);
  });
});

test("a frame without a ward waits once", async (t) => {
  const staged = await connected(t);
  const slow = await staged.page.run(async (kit, url) => {
    const frame = document.createElement("iframe");
    frame.src = "/callback.html";
    const loaded = new Promise((resolve) => (frame.onload = resolve));
    document.documentElement.append(frame);
    await loaded;
    await frame.contentWindow.fetch(url);
    const since = performance.now();
    for (let many = 0; many < 3; many += 1) await frame.contentWindow.fetch(url);
    frame.remove();
    return performance.now() - since;
  }, `${staged.api.origin}/v1/echo`);
  assert.ok(slow < 3_000, `${slow} ms`);
  assert.deepEqual(tokens(staged), [true, true, true, true]);
});
