// Networks that are not there, are somebody else's, or break in the middle; and what a session makes of them.
import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { describe, test } from "node:test";
import { setTimeout as pass } from "node:timers/promises";
import { browser } from "./harness/browsers.mjs";
import { HOURS_MS, move, setClocks } from "./harness/clocks.mjs";
import { signInAtBackend, signInAtServer } from "./harness/sessions.mjs";
import { browserDriver, latch, stage } from "./harness/stage.mjs";

const EXPIRED_MS = 60_000;
const NO_TOKEN = { name: "TokenWardError", code: "token_unavailable", retryable: true };
const JSON_TYPE = { "Content-Type": "application/json" };
const PORTAL = { headers: { "Content-Type": "text/html" }, body: "<!doctype html><title>Welcome to our Wi-Fi</title>" };

/** More is announced than comes. */
const HALF = { status: 200, headers: { ...JSON_TYPE, "Content-Length": "1000" }, body: '{"access_token":"half-of-a-tok' };

const HUGE = JSON.stringify({ padding: "a".repeat(10 * 2 ** 20) });

// `cause` is what a refresh says of it that asks there.
const troubles = {
  "a captive portal": { fault: () => ({ status: 200, ...PORTAL }), cause: "malformed" },
  "a captive portal that says so": { fault: () => ({ status: 511, ...PORTAL }), cause: "server_error" },
  "half an answer, and the connection ends": {
    fault: () => ({ ...HALF, headers: { ...HALF.headers, Connection: "close" } }),
    // WebKit takes it for the whole.
    cause: browser === "webkit" ? "malformed" : "network",
  },
  "half an answer, and then silence": { fault: () => HALF, cause: "timeout" },
  "10 MB": { fault: () => ({ status: 200, headers: JSON_TYPE, body: HUGE }), cause: "too_large" },
  "silence": { fault: () => ({ hang: true }), cause: "timeout" },
  "a reset": { fault: () => ({ reset: true }), cause: "network" },
};

/** Somebody is signed in, and the token has run out; the next refresh asks this place. */
const places = {
  "the token endpoint": {
    async prepare(staged) {
      await staged.page.signIn({ requestTimeoutSeconds: 1 });
    },
    faults: ({ auth }) => [auth.faults, "token"],
  },
  "the metadata": {
    async prepare({ auth, page }) {
      await page.run(async (kit, tokens) => {
        (await kit.create(kit.discovered({ requestTimeoutSeconds: 1 }))).install().setTokens(tokens);
      }, await auth.issueTokens());
    },
    faults: ({ auth }) => [auth.faults, "discovery"],
    // Which of two limits of the same length comes first is a matter of luck.
    told: (cause) => (cause === "timeout" ? ["network", "timeout"] : ["network"]),
  },
  "the backend": {
    options: { backend: true },
    before: signInAtBackend,
    async prepare({ page }) {
      await page.run(async (kit) => {
        await (await kit.create(kit.mediated({ requestTimeoutSeconds: 1 }))).install().restore();
      });
    },
    faults: ({ backend }) => [backend.faults, "token"],
  },
};

for (const [place, { options, before, prepare, faults, told = (cause) => [cause] }] of Object.entries(places)) {
  describe(`${place}, in the middle of a session, answers with`, () => {
    for (const [what, { fault, cause }] of Object.entries(troubles)) {
      test(`${what}: tried again, and the request that waits is served`, async (t) => {
        const staged = await stage(t, options);
        const { api, page } = staged;
        await before?.(staged);
        await setClocks(staged);
        await prepare(staged);
        const [all, name] = faults(staged);
        all[name] = () => fault();
        await move(staged, { wall: EXPIRED_MS, mono: EXPIRED_MS });
        const failed = await page.run((kit) => {
          kit.waiting = kit.call();
          return kit.first("refreshfailed");
        });
        assert.ok(told(cause).includes(failed.cause), failed.cause);
        assert.equal(failed.retryable, true);
        assert.equal(api.requests.length, 0);
        all[name] = [];
        await page.run((kit) => kit.hurry());
        assert.equal((await page.run((kit) => kit.waiting)).status, 200);
        assert.equal(await page.run((kit) => kit.ward.signedIn), true);
        assert.ok(api.requests.every(({ tokenExpired, tokenReceived }) => tokenReceived && !tokenExpired));
      });
    }
  });
}

test("metadata that come late: the token request has its whole time, and its answer is not lost", async (t) => {
  const { auth, page } = await stage(t);
  auth.faults.discovery = [{ hold: pass(1500) }];
  // The server has rotated its refresh token by then.
  auth.faults.token = [{ transform: (body) => pass(1000, body) }];
  await page.run(async (kit, tokens, ms) => {
    const ward = await kit.create(kit.discovered({ requestTimeoutSeconds: 2 }));
    ward.install().setTokens(tokens, { requestedAt: Date.now() - ms });
  }, await auth.issueTokens(), EXPIRED_MS);
  assert.equal((await page.run((kit) => kit.call())).status, 200);
  assert.deepEqual(auth.tokenRequests.map(({ error }) => error), [null]);
});

test("an answer without an end is read to the time limit, and no further", async (t) => {
  const { auth, page } = await stage(t);
  let sent = 0;
  let given;
  const dropped = new Promise((resolve) => (given = resolve));
  async function* endless() {
    try {
      for (;; sent += 2 ** 16) yield Buffer.alloc(2 ** 16, " ");
    } finally {
      given();
    }
  }
  auth.faults.token = [{ status: 200, headers: JSON_TYPE, body: Readable.from(endless()) }];
  await page.signIn({ age: EXPIRED_MS / 1000, requestTimeoutSeconds: 1 });
  const { cause } = await page.run((kit) => {
    kit.waiting = kit.call();
    return kit.first("refreshfailed");
  });
  assert.equal(cause, "timeout");
  await dropped;
  t.diagnostic(`${sent} bytes were sent`);
  await page.run((kit) => kit.hurry());
  assert.equal((await page.run((kit) => kit.waiting)).status, 200);
});

describe("a host whose name nobody knows", () => {
  const UNKNOWN = "https://id.tokenward.invalid";

  test("as token endpoint: requests reject in time, and the session goes on", async (t) => {
    const { page, api } = await stage(t, { connect: [UNKNOWN] });
    await page.signIn({ age: EXPIRED_MS / 1000, endpoints: { token: `${UNKNOWN}/token` }, waitSeconds: 1 });
    const { call, signedIn, failed } = await page.run(async (kit) => {
      const call = await kit.call();
      return { call, signedIn: kit.ward.signedIn, failed: await kit.first("refreshfailed") };
    });
    assert.deepEqual(call, NO_TOKEN);
    assert.deepEqual([signedIn, failed.cause, failed.retryable], [true, "network", true]);
    assert.equal(api.requests.length, 0);
  });

  test("as issuer: a sign-in fails and may be tried again, a restore as well", async (t) => {
    const { page } = await stage(t, { connect: [UNKNOWN] });
    const { signIn, restore } = await page.run(async (kit, issuer) => {
      await kit.create(kit.discovered({ issuer, restore: ["silent"] }));
      return { signIn: await kit.ended(kit.ward.signIn()), restore: await kit.ward.restore() };
    }, UNKNOWN);
    assert.deepEqual([signIn.failed.code, signIn.failed.retryable], ["server_unavailable", true]);
    assert.deepEqual(restore, { signedIn: false, retryable: true });
  });
});

/** Only one driver can cut the network. Elsewhere the page is told so. */
const setOnline =
  browser === "chromium"
    ? (_page, online) => browserDriver().setNetworkConditions({ offline: !online, latency: 0, throughput: 10 ** 9 })
    : (page, online) => page.run((kit, online) => kit.setOnline(online), online);

/** What the page does when it hears that it is offline, and then online: no script is loaded without a network. */
const arm = (page, offline, online, ...args) =>
  page.run(
    `(kit, ...args) => {
      const once = (type) => new Promise((resolve) => addEventListener(type, resolve, { once: true }));
      window.ran = {
        offline: once("offline").then(() => (${offline})(kit, ...args)),
        online: once("online").then(() => (${online})(kit)),
      };
    }`,
    ...args,
  );

/** Cuts the network and gives what the page did then; `comeBack` is the opposite. */
async function cut(t, page) {
  if (browser === "chromium") t.after(() => setOnline(page, true));
  await setOnline(page, false);
  return browserDriver().executeAsyncScript("window.ran.offline.then(arguments[0]);");
}

async function comeBack(page) {
  await setOnline(page, true);
  return browserDriver().executeAsyncScript("window.ran.online.then(arguments[0]);");
}

describe("offline", () => {
  for (const way of ["session", "silent"]) {
    test(`from the start, restored by ${way}: nothing is asked before there is a network`, async (t) => {
      const staged = await stage(t, { backend: true });
      const { auth, backend, page } = staged;
      await signInAtBackend(staged);
      await signInAtServer(staged);
      const asked = () => auth.authorizationRequests.length + auth.tokenRequests.length + backend.requests.length;
      const before = asked();
      // The library is there already.
      await page.run(async (kit) => (await kit.create()).close());
      const create = async (kit, way) => {
        const { session } = kit.mediated();
        await kit.create(kit.discovered({ session, restore: [way] }));
        return [await kit.ward.restore(), kit.ward.snapshot().online];
      };
      // The app may have heard of it before the ward.
      const later = async (kit) => {
        await new Promise((resolve) => setTimeout(resolve));
        return kit.ward.restore();
      };
      await arm(page, create, later, way);
      assert.deepEqual(await cut(t, page), [{ signedIn: false, retryable: true }, false]);
      assert.equal(asked(), before);
      assert.deepEqual(await comeBack(page), { signedIn: true, retryable: false });
    });
  }

  test("an app that hears of the network's return before the ward does can restore at once", async (t) => {
    const staged = await stage(t, { backend: true });
    await signInAtBackend(staged);
    const found = await staged.page.run(async (kit) => {
      kit.setOnline(false);
      const found = new Promise((resolve) => addEventListener("online", () => resolve(kit.ward.restore())));
      await kit.create(kit.mediated());
      kit.setOnline(true);
      return found;
    });
    assert.deepEqual(found, { signedIn: true, retryable: false });
  });

  test("at the moment of a refresh: what fails is not repeated until there is a network, and then at once", async (t) => {
    const { auth, page } = await stage(t);
    const { held, release } = latch();
    auth.faults.token = [{ hold: held, reset: true }];
    await page.signIn({ age: EXPIRED_MS / 1000, waitSeconds: 2 });
    await page.run((kit) => void (kit.waiting = kit.call()));
    await auth.tokenRequests.until((requests) => requests.length === 1);
    const wait = async (kit) => {
      const outcomes = [await kit.waiting];
      // Longer than any back-off would be.
      for (let i = 0; i < 2; i += 1) outcomes.push(await kit.call());
      kit.waiting = kit.call();
      return [outcomes, kit.ward.signedIn, kit.ward.snapshot().waiting];
    };
    await arm(page, wait, (kit) => kit.waiting);
    assert.deepEqual(await cut(t, page), [[NO_TOKEN, NO_TOKEN, NO_TOKEN], true, 1]);
    release();
    await auth.tokenRequests.until(([request]) => request.status === 0);
    assert.equal(auth.tokenRequests.length, 1);
    const { status } = await comeBack(page);
    assert.equal(status, 200);
    assert.equal(auth.tokenRequests.length, 2);
  });

  test("through the expiry: the token is renewed with the network's return, before any request", async (t) => {
    const staged = await stage(t);
    const { api, auth, page } = staged;
    await setClocks(staged);
    await page.signIn();
    const asleep = (kit, ms) => {
      kit.clocks.wall += ms;
      document.dispatchEvent(new Event("visibilitychange"));
      return kit.ward.snapshot().status;
    };
    await arm(page, asleep, (kit) => kit.first("refreshed"), EXPIRED_MS);
    assert.equal(await cut(t, page), "expired");
    assert.equal(auth.tokenRequests.length, 0);
    await comeBack(page);
    assert.equal((await page.run((kit) => kit.call())).status, 200);
    assert.deepEqual([auth.tokenRequests.length, api.requests.length], [1, 1]);
  });
});

test("a token endpoint that comes back after ten minutes: the session was kept, and few asked for it", async (t) => {
  const staged = await stage(t);
  const { api, auth, page } = staged;
  await setClocks(staged);
  auth.faults.token = () => ({ status: 503 });
  await page.signIn({ age: EXPIRED_MS / 1000, waitSeconds: 1 });
  for (let minute = 0; minute < 10; minute += 2) {
    assert.deepEqual(await page.run((kit) => kit.call()), NO_TOKEN);
    await move(staged, { wall: 120_000, mono: 120_000 });
  }
  t.diagnostic(`${auth.tokenRequests.length} token requests`);
  assert.ok(auth.tokenRequests.length <= 20, `${auth.tokenRequests.length} token requests`);
  assert.equal(await page.run((kit) => kit.ward.signedIn), true);
  auth.faults.token = [];
  // No longer than this is any pause of a page that nobody uses.
  await move(staged, { wall: 300_000, mono: 300_000 });
  await page.run((kit) => {
    dispatchEvent(new Event("focus"));
    return kit.first("refreshed");
  });
  assert.equal((await page.run((kit) => kit.call())).status, 200);
  assert.equal(api.requests.length, 1);
});

// An HTTP date has no fractions of a second.
const inSeconds = (s) => new Date(Math.ceil(Date.now() / 1000 + s) * 1000).toUTCString();

describe("a backend that asks for a pause", () => {
  const forms = { seconds: () => "2", "a date": () => inSeconds(2) };
  for (const status of [429, 503]) {
    for (const [form, value] of Object.entries(forms)) {
      test(`by ${status} and ${form} gets it, and then another request`, async (t) => {
        const staged = await stage(t, { backend: true });
        const { backend, page } = staged;
        await signInAtBackend(staged);
        await places["the backend"].prepare(staged);
        const { length } = backend.requests;
        let notBefore;
        backend.faults.token = () => {
          if (notBefore) return undefined;
          const retryAfter = value();
          notBefore = form === "seconds" ? Date.now() + 2000 : Date.parse(retryAfter);
          return { status, headers: { "Retry-After": retryAfter } };
        };
        await page.run((kit) => {
          kit.waiting = kit.outcome(kit.ward.refresh().then(() => new Response("{}")));
          return kit.first("refreshdelayed");
        });
        assert.equal((await page.run((kit) => kit.waiting)).status, 200);
        const [refused, next, ...more] = backend.requests.slice(length);
        assert.deepEqual([refused.status, next.status, more.length], [status, 200, 0]);
        assert.ok(next.at >= notBefore && next.at < notBefore + 2500, `${next.at - notBefore} ms later`);
      });
    }
  }
});

test("Retry-After as a date, by a clock that is hours off: neither hammered nor given up for hours", async (t) => {
  for (const wall of [HOURS_MS, -HOURS_MS]) {
    const staged = await stage(t);
    const { auth, page } = staged;
    await setClocks(staged, { wall });
    auth.faults.token = () => ({ status: 503, headers: { "Retry-After": inSeconds(30) } });
    await page.signIn({ age: EXPIRED_MS / 1000, waitSeconds: 2 });
    const { code, inMs } = await page.run(async (kit) => {
      const { code } = await kit.call();
      return { code, inMs: kit.ward.snapshot().nextRefresh.at - Date.now() };
    });
    assert.equal(code, "token_unavailable");
    assert.ok(auth.tokenRequests.length <= 6, `${auth.tokenRequests.length} token requests`);
    assert.ok(inMs <= 601_000, `again in ${inMs} ms`);
  }
});
