// What becomes of a session, and of the requests that wait, when a refresh fails.
import assert from "node:assert/strict";
import { test } from "node:test";
import { browser } from "./harness/browsers.mjs";
import { browserDriver, latch, stage } from "./harness/stage.mjs";

// Seconds after which the tokens of the test servers have run out.
const EXPIRED = 60;

const JSON_TYPE = { "Content-Type": "application/json" };

const calls = (kit, count) => Promise.all(Array.from({ length: count }, () => kit.call()));

test("500 three times, then 200: still signed in, and the requests begun meanwhile succeed", async (t) => {
  const { auth, page } = await stage(t);
  auth.faults.token = [{ status: 500 }, { status: 500 }, { status: 500 }];
  await page.signIn({ age: EXPIRED });
  const outcomes = await page.run(calls, 10);
  assert.deepEqual(new Set(outcomes.map(({ status }) => status)), new Set([200]));
  assert.deepEqual(auth.tokenRequests.map(({ status }) => status), [500, 500, 500, 200]);
  const { signedIn, attempts, types } = await page.run((kit) => ({
    signedIn: kit.ward.signedIn,
    attempts: kit.events.map(({ attempt }) => attempt).filter(Boolean),
    types: kit.eventTypes(),
  }));
  assert.equal(signedIn, true);
  assert.deepEqual(attempts, [1, 2, 3]);
  assert.deepEqual(types, ["signedin", "refreshfailed", "refreshfailed", "refreshfailed", "refreshed"]);
});

test("a token that is still good is used while its renewal fails", async (t) => {
  const { auth, page } = await stage(t);
  const { held, release } = latch();
  auth.faults.token = [{ hold: held, status: 500 }];
  // Renewal is due after three quarters of 120 s; the token is sent for 115 s.
  await page.signIn({ tokens: { ...(await auth.issueTokens({ accessTokenTtl: 120 })), expires_in: 120 }, age: 100 });
  await auth.tokenRequests.until((requests) => requests.length === 1);
  assert.equal((await page.run((kit) => kit.call())).status, 200);
  assert.equal(await page.run((kit) => kit.ward.snapshot().status), "due");
  release();
  assert.equal((await page.run((kit) => kit.first("refreshfailed").then(() => kit.call()))).status, 200);
});

// An HTTP date has no fractions of a second.
const wholeSeconds = (ms) => Math.ceil(ms / 1000) * 1000;

const delays = [
  { answer: "429 with seconds", status: 429, cause: "rate_limited", ask: (now) => ({ value: "3", notBefore: now + 3000 }) },
  {
    answer: "503 with a date",
    status: 503,
    cause: "server_error",
    ask: (now) => ({ value: new Date(wholeSeconds(now + 2000)).toUTCString(), notBefore: wholeSeconds(now + 2000) }),
  },
];

for (const { answer, status, cause, ask } of delays) {
  test(`${answer} in Retry-After: not asked again before`, async (t) => {
    const { auth, page } = await stage(t);
    let notBefore;
    auth.faults.token = () => {
      if (notBefore) return undefined;
      const asked = ask(Date.now());
      notBefore = asked.notBefore;
      return { status, headers: { "Retry-After": asked.value } };
    };
    await page.signIn({ age: EXPIRED });
    const outcomes = await page.run(calls, 5);
    assert.deepEqual(new Set(outcomes.map((outcome) => outcome.status)), new Set([200]));
    assert.equal(auth.tokenRequests.length, 2);
    assert.ok(auth.tokenRequests[1].at >= notBefore, `${notBefore - auth.tokenRequests[1].at} ms too early`);
    const [, delayed, renewed] = await page.run((kit) => kit.events);
    // Where it failed before anybody waited: the first back-off of an idle page is up to eight seconds.
    assert.ok(delayed.retryAt >= notBefore && delayed.retryAt < notBefore + 8000, `${delayed.retryAt - notBefore} ms later`);
    assert.deepEqual(
      { ...delayed, retryAt: null },
      { type: "refreshdelayed", cause, status, error: null, attempt: 1, retryable: true, retryAt: null },
    );
    assert.equal(renewed.type, "refreshed");
  });
}

test("revoked at the server: signed out once, and whoever waits is told", async (t) => {
  const { auth, api, page } = await stage(t);
  const tokens = await auth.issueTokens();
  auth.revokeGrants();
  const { held, release } = latch();
  auth.faults.token = [{ hold: held }];
  await page.signIn({ tokens, age: EXPIRED });
  await page.run((kit) => {
    kit.calls = Promise.allSettled(Array.from({ length: 20 }, () => fetch(`${kit.api.origin}/v1/orders`)));
  });
  release();
  const errors = await page.run(async (kit) => {
    const { TokenWardError } = await kit.library();
    return (await kit.calls).map(({ reason }) => [reason instanceof TokenWardError, reason.code, reason.retryable]);
  });
  assert.equal(errors.length, 20);
  for (const error of errors) assert.deepEqual(error, [true, "signed_out", false]);

  const { signedIn, snapshot, events } = await page.run(({ ward, events }) => ({
    signedIn: ward.signedIn,
    snapshot: ward.snapshot(),
    events,
  }));
  assert.equal(signedIn, false);
  const { status, canRefresh, nextRefresh, expiresAt, waiting } = snapshot;
  assert.deepEqual(
    { status, canRefresh, nextRefresh, expiresAt, waiting },
    { status: "signed_out", canRefresh: false, nextRefresh: null, expiresAt: null, waiting: 0 },
  );
  const rejected = { cause: "oauth_error", status: 400, error: "invalid_grant", attempt: 1, retryable: false, retryAt: null };
  assert.deepEqual(events.slice(1), [
    { type: "refreshfailed", ...rejected },
    { type: "signedout", reason: "refresh_rejected", error: "invalid_grant" },
  ]);

  assert.equal(api.requests.length, 0);
  assert.equal((await page.run((kit) => kit.call())).status, 401);
  assert.equal(api.requests[0].tokenReceived, false);
  assert.equal(auth.tokenRequests.length, 1);
});

// What ends a session, and why it says it ended.
const ends = [
  { error: "invalid_grant", status: 200, reason: "refresh_rejected" },
  { error: "invalid_client", status: 401, reason: "misconfigured" },
  { error: "unauthorized_client", status: 400, reason: "misconfigured" },
  { error: "invalid_scope", status: 400, reason: "misconfigured" },
  { error: "login_required", status: 400, reason: "login_required" },
  { error: "interaction_required", status: 400, reason: "login_required" },
  { error: "consent_required", status: 400, reason: "login_required" },
];

for (const { error, status, reason } of ends) {
  test(`${status} with ${error} ends the session: ${reason}`, async (t) => {
    const { auth, page } = await stage(t);
    auth.faults.token = [{ status, body: { error, error_description: "no" } }];
    await page.signIn();
    const { code, events } = await page.run(async (kit) => {
      const { code } = await kit.ward.refresh().catch((reason) => reason);
      return { code, events: kit.events };
    });
    assert.equal(code, "signed_out");
    assert.deepEqual(events.at(-1), { type: "signedout", reason, error });
    assert.equal(events.filter(({ type }) => type === "signedout").length, 1);
    assert.equal(auth.tokenRequests.length, 1);
  });
}

// What passes: the session goes on, and the next try brings the token.
const failures = [
  { what: "408", fault: { status: 408 }, cause: "server_error" },
  { what: "503 without Retry-After", fault: { status: 503 }, cause: "server_error" },
  { what: "429 without Retry-After", fault: { status: 429 }, cause: "rate_limited" },
  { what: "a page in HTML", fault: { status: 200, headers: { "Content-Type": "text/html" }, body: "<!doctype html>" }, cause: "malformed" },
  { what: "400 in HTML", fault: { status: 400, headers: { "Content-Type": "text/html" }, body: "<!doctype html>" }, cause: "malformed" },
  { what: "JSON cut short", fault: { status: 200, headers: JSON_TYPE, body: '{"access_token":"abc' }, cause: "malformed" },
  { what: "no access token", fault: { status: 200, body: { token_type: "Bearer", expires_in: 30 } }, cause: "malformed" },
  { what: "an empty answer", fault: { status: 200 }, cause: "malformed" },
  { what: "2 MB", fault: { status: 200, headers: JSON_TYPE, body: JSON.stringify({ access_token: "a".repeat(2 ** 21) }) }, cause: "too_large", silent: true },
  { what: "temporarily_unavailable", fault: { status: 400, body: { error: "temporarily_unavailable" } }, cause: "server_error", error: "temporarily_unavailable" },
  { what: "a connection that is reset", fault: { reset: true }, cause: "network", silent: true },
  { what: "an answer without CORS headers", fault: { status: 500, cors: false }, cause: "network", silent: true },
  { what: "an answer that never comes", fault: { hang: true }, cause: "timeout", silent: true },
];

const callAfterFailure = async (kit) => {
  const call = kit.call();
  await kit.first("refreshfailed");
  kit.hurry();
  return call;
};

for (const { what, fault, cause, error = null, silent = false } of failures) {
  test(`${what}: tried again (${cause})`, async (t) => {
    const { auth, page } = await stage(t);
    auth.faults.token = [fault];
    await page.signIn({ age: EXPIRED, requestTimeoutSeconds: 1 });
    assert.equal((await page.run(callAfterFailure)).status, 200);
    const [, failed, ...rest] = await page.run((kit) => kit.events);
    assert.equal(typeof failed.retryAt, "number");
    const status = silent ? null : fault.status;
    assert.deepEqual(
      { ...failed, retryAt: null },
      { type: "refreshfailed", cause, status, error, attempt: 1, retryable: true, retryAt: null },
    );
    assert.deepEqual(rest.map(({ type }) => type), ["refreshed"]);
    assert.equal(auth.tokenRequests.length, 2);
  });
}

for (const status of [302, 307]) {
  test(`a redirect (${status}) of the token endpoint is not followed`, async (t) => {
    const { auth, other, page } = await stage(t);
    auth.faults.token = [{ status, headers: { Location: `${other.origin}/token` } }];
    await page.signIn({ age: EXPIRED });
    assert.equal((await page.run(callAfterFailure)).status, 200);
    assert.deepEqual(await page.run((kit) => kit.events[1].cause), "network");
    assert.equal(other.requests.length, 0);
  });
}

test("an answer without a refresh token leaves the old one in use", async (t) => {
  const { auth, page } = await stage(t);
  auth.faults.token = [{ status: 200, body: { access_token: "not-of-this-server", token_type: "bearer" } }];
  await page.signIn({ age: EXPIRED });
  assert.equal((await page.run((kit) => kit.call())).status, 200);
  assert.deepEqual(auth.tokenRequests.map(({ error }) => error), [null, null]);
});

test("no token within waitSeconds: the request rejects, the session stays, and a later request succeeds", async (t) => {
  const { auth, api, page } = await stage(t);
  auth.faults.token = () => ({ status: 500 });
  await page.signIn({ age: EXPIRED, waitSeconds: 1 });
  const { outcome, ms, signedIn } = await page.run(async (kit) => {
    const { TokenWardError } = await kit.library();
    const began = performance.now();
    const error = await fetch(`${kit.api.origin}/v1/orders`).catch((reason) => reason);
    const { code, retryable } = error;
    const ms = performance.now() - began;
    return { outcome: [error instanceof TokenWardError, code, retryable], ms, signedIn: kit.ward.signedIn };
  });
  assert.deepEqual(outcome, [true, "token_unavailable", true]);
  assert.ok(ms > 950 && ms < 3000, `after ${ms} ms`);
  assert.equal(signedIn, true);
  assert.equal(api.requests.length, 0);

  auth.faults.token = [];
  const recovered = await page.run(async (kit) => {
    // A request waits for one second only, which can be less than is left of the back-off.
    while (!(await kit.call()).status);
    return kit.call();
  });
  assert.equal(recovered.status, 200);
});

test("maxOutageSeconds: refreshing has failed for that long, and the session ends", async (t) => {
  const { auth, page } = await stage(t);
  const { held, release } = latch();
  auth.faults.token = () => ({ hold: held, status: 500 });
  await page.signIn({ age: EXPIRED, maxOutageSeconds: 1 });
  await page.run((kit) => {
    kit.pending = kit.call();
  });
  release();
  assert.equal((await page.run((kit) => kit.pending)).code, "signed_out");
  const { type, reason } = await page.run((kit) => kit.events.at(-1));
  assert.deepEqual({ type, reason }, { type: "signedout", reason: "outage" });
});

test("nothing to renew with: the session ends with its token", async (t) => {
  const { auth, page } = await stage(t);
  const { access_token } = await auth.issueTokens();
  await page.signIn({ tokens: { access_token, expires_in: 2 } });
  assert.equal((await page.run((kit) => kit.call())).status, 200);
  assert.equal(await page.run((kit) => kit.ward.refresh().catch(({ code }) => code)), "not_renewable");
  const { reason } = await page.run((kit) => kit.first("signedout"));
  assert.equal(reason, "expired");
  assert.equal(auth.tokenRequests.length, 0);
});

/** Only one driver can cut the network. Elsewhere the page is told so. */
const setOnline =
  browser === "chromium"
    ? (_page, online) => browserDriver().setNetworkConditions({ offline: !online, latency: 0, throughput: 10 ** 9 })
    : (page, online) => page.run((kit, online) => kit.setOnline(online), online);

const untilOnline = (kit, wanted) => kit.until(({ online }) => online === wanted);

test("offline: the token endpoint is left alone, and asked at once when back online", async (t) => {
  const { auth, page } = await stage(t);
  if (browser === "chromium") t.after(() => setOnline(page, true));
  // It comes back after 3 s at the latest.
  auth.faults.token = [{ status: 429, headers: { "Retry-After": "2" } }];
  await page.signIn({ age: EXPIRED, waitSeconds: 1 });
  await page.run((kit) => kit.first("refreshdelayed"));
  // Run once, they need no network.
  await page.run(calls, 0);
  await page.run(untilOnline, true);

  await setOnline(page, false);
  await page.run(untilOnline, false);
  for (let i = 0; i < 3; i += 1) {
    assert.deepEqual((await page.run(calls, 1)).map(({ code }) => code), ["token_unavailable"]);
  }
  assert.equal(auth.tokenRequests.length, 1);

  await setOnline(page, true);
  await page.run((kit) => kit.first("refreshed"));
  assert.deepEqual((await page.run(calls, 1)).map(({ status }) => status), [200]);
  assert.equal(auth.tokenRequests.length, 2);
});

test("a server that nobody can reach, and then can: requests wait and succeed", async (t) => {
  const { auth, page } = await stage(t);
  auth.faults.unreachable = true;
  await page.signIn({ age: EXPIRED });
  const { cause } = await page.run((kit) => {
    kit.pending = kit.call();
    return kit.first("refreshfailed");
  });
  assert.equal(cause, "network");
  auth.faults.unreachable = false;
  assert.equal((await page.run((kit) => kit.pending)).status, 200);
});
