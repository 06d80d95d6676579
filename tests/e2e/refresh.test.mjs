// When tokens are renewed, and how often the token endpoint hears of it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as pass } from "node:timers/promises";
import { latch, stage } from "./harness/stage.mjs";

// TOKENWARD_SOAK_SECONDS=300 is the long run, with access tokens of 30 s.
const SOAK_SECONDS = Number(process.env.TOKENWARD_SOAK_SECONDS ?? 16);
const SOAK_TTL = SOAK_SECONDS >= 300 ? 30 : 10;

const DAY = 24 * 3600;

test(`${SOAK_SECONDS} s with access tokens of ${SOAK_TTL} s: no failure, no expired token, one renewal a lifetime`, async (t) => {
  const { auth, api, page } = await stage(t, { accessTokenTtl: SOAK_TTL });
  const signedInAt = Date.now();
  await page.signIn();
  await page.run((kit, ms) => {
    const end = performance.now() + ms;
    const load = async (path, pauseMs, init) => {
      const statuses = [];
      while (performance.now() < end) {
        statuses.push((await kit.call(path, init)).status);
        await new Promise((resume) => setTimeout(resume, pauseMs));
      }
      return statuses;
    };
    kit.load = Promise.all([
      load("/v1/orders", 20),
      load("/v1/orders", 130),
      load("/v1/echo", 350, { method: "POST", body: "tea" }),
    ]);
  }, SOAK_SECONDS * 1000);
  await pass(SOAK_SECONDS * 1000);
  const { statuses, generation, events } = await page.run(async (kit) => {
    const statuses = (await kit.load).flat();
    await kit.until(({ refreshing }) => !refreshing);
    const { generation } = kit.ward.snapshot();
    kit.ward.close();
    return { statuses, generation, events: kit.events };
  });

  t.diagnostic(`${statuses.length} requests, ${generation} token sets`);
  assert.deepEqual(new Set(statuses), new Set([200]));
  assert.equal(api.requests.length, statuses.length);
  assert.equal(api.requests.filter(({ tokenExpired }) => tokenExpired).length, 0);
  // The last token may have come after the last request.
  assert.ok(new Set(api.requests.map(({ tokenId }) => tokenId)).size >= generation - 1);
  assert.deepEqual(new Set(events.map(({ type }) => type)), new Set(["signedin", "refreshed"]));

  assert.equal(auth.tokenRequests.length, generation - 1);
  const times = [signedInAt, ...auth.tokenRequests.map(({ at }) => at)];
  const lifetimes = times.slice(1).map((at, i) => (at - times[i]) / 1000);
  assert.ok(Math.min(...lifetimes) > SOAK_TTL / 2 && Math.max(...lifetimes) < SOAK_TTL, `renewed after ${lifetimes} s`);
  assert.ok(lifetimes.length >= Math.floor(SOAK_SECONDS / SOAK_TTL), `${lifetimes.length} renewals`);
});

test("1,000 requests begun while the token is expired: one token request, 1,000 answers", async (t) => {
  const { auth, api, page } = await stage(t);
  const { held, release } = latch();
  auth.faults.token = [{ hold: held }];
  await page.signIn({ age: 60 });
  await page.run((kit) => {
    kit.calls = Array.from({ length: 1000 }, () => kit.call());
  });
  const { status, waiting } = await page.run((kit) => kit.ward.snapshot());
  assert.deepEqual({ status, waiting }, { status: "expired", waiting: 1000 });
  assert.equal(api.requests.length, 0);

  release();
  const outcomes = await page.run((kit) => Promise.all(kit.calls));
  assert.deepEqual(new Set(outcomes.map((outcome) => outcome.status)), new Set([200]));
  assert.equal(auth.tokenRequests.length, 1);
  assert.equal(api.requests.length, 1000);
  assert.equal(new Set(api.requests.map(({ tokenId }) => tokenId)).size, 1);
});

test("a page that sends nothing renews ahead of the expiry", async (t) => {
  const { auth, page } = await stage(t);
  await page.signIn({ tokens: { ...(await auth.issueTokens()), expires_in: 10 }, age: 5 });
  const [{ at }] = await auth.tokenRequests.until((requests) => requests.length > 0);
  const { expiresAt } = await page.run((kit) => kit.events[0]);
  assert.ok(at < expiresAt - 2000, `${expiresAt - at} ms before the expiry`);
});

test("a token is not sent in the last moments of its life", async (t) => {
  const { auth, api, page } = await stage(t);
  const { held, release } = latch();
  auth.faults.token = [{ hold: held }];
  await page.signIn({ tokens: { ...(await auth.issueTokens()), expires_in: 100 }, age: 96 });
  await page.run((kit) => {
    kit.pending = kit.call();
  });
  assert.equal(await page.run((kit) => kit.ward.snapshot().waiting), 1);
  assert.equal(api.requests.length, 0);
  release();
  assert.equal((await page.run((kit) => kit.pending)).status, 200);
});

test("refresh() joins the refresh that is under way", async (t) => {
  const { auth, page } = await stage(t);
  await page.signIn();
  const generation = await page.run(async ({ ward }) => {
    await Promise.all([ward.refresh(), ward.refresh(), ward.refresh()]);
    return ward.snapshot().generation;
  });
  assert.equal(generation, 2);
  assert.equal(auth.tokenRequests.length, 1);
});

// What the token endpoint may say about the lifetime, and what the session makes of it. The JWT itself says 30 s.
const lifetimes = [
  { says: "30 days", expiresIn: 30 * DAY, seconds: 30 * DAY },
  { says: "a century", expiresIn: 36500 * DAY, seconds: 3650 * DAY },
  { says: "a string", expiresIn: "120", seconds: 120 },
  { says: "nothing", expiresIn: undefined, seconds: 30 },
  { says: "null", expiresIn: null, seconds: 30 },
  { says: "a string that is no number", expiresIn: "soon", seconds: 30 },
  { says: "zero", expiresIn: 0, seconds: 30 },
  { says: "a negative number", expiresIn: -30, seconds: 30 },
];

for (const { says, expiresIn, seconds } of lifetimes) {
  test(`expires_in is ${says}: good for ${seconds} s, renewed once in that time`, async (t) => {
    const { auth, api, page } = await stage(t);
    auth.faults.token = () => ({ transform: (body) => ({ ...body, expires_in: expiresIn }) });
    await page.run((kit) => {
      const { setTimeout } = window;
      kit.delays = [];
      window.setTimeout = (callback, delay) => {
        kit.delays.push(delay);
        return setTimeout(callback, delay);
      };
    });
    const before = Date.now();
    await page.signIn({ age: 60 });
    const { statuses, snapshot, delays } = await page.run(async (kit) => {
      const statuses = [];
      for (let i = 0; i < 30; i += 1) statuses.push((await kit.call()).status);
      return { statuses, snapshot: kit.ward.snapshot(), delays: kit.delays };
    });
    const after = Date.now();

    assert.deepEqual(new Set(statuses), new Set([200]));
    assert.equal(auth.tokenRequests.length, 1);
    assert.equal(api.requests.length, statuses.length);
    // A JWT counts in whole seconds.
    const within = (at, from, to) => at >= before + from * 1000 - 1000 && at <= after + to * 1000;
    assert.ok(within(snapshot.expiresAt, seconds, seconds), `expires ${snapshot.expiresAt - before} ms later`);
    assert.ok(within(snapshot.nextRefresh.at, seconds * 0.5, seconds * 0.9), JSON.stringify(snapshot.nextRefresh));
    // Longer ones would fire at once, or late after a sleep; none is needed at once, over and over.
    assert.ok(Math.min(...delays) > 1000 && Math.max(...delays) <= 60_000, `timers of ${delays} ms`);
  });
}

test("expires_in is missing and the token tells nothing: renewed when it is refused, and then once", async (t) => {
  const { auth, api, page } = await stage(t);
  const { refresh_token } = await auth.issueTokens();
  await page.signIn({ tokens: { access_token: "unknown-to-the-API", refresh_token } });
  const { expiresAt, nextRefresh } = await page.run((kit) => kit.ward.snapshot());
  assert.deepEqual({ expiresAt, nextRefresh }, { expiresAt: null, nextRefresh: null });
  const outcomes = await page.run((kit) => Promise.all(Array.from({ length: 20 }, () => kit.call())));
  assert.deepEqual(new Set(outcomes.map(({ status }) => status)), new Set([200]));
  assert.equal(auth.tokenRequests.length, 1);
  assert.equal(api.requests.filter(({ status }) => status === 200).length, 20);
});

test("expires_in is 1 s: renewed for requests only, at most once in that time", async (t) => {
  const { auth, page } = await stage(t);
  auth.faults.token = () => ({ transform: (body) => ({ ...body, expires_in: 1 }) });
  await page.signIn({ age: 60 });
  await page.run(async (kit) => {
    await kit.call();
    while (kit.ward.snapshot().status !== "expired") await kit.call();
  });
  const { nextRefresh, statuses } = await page.run(async (kit) => {
    const statuses = [];
    const { nextRefresh } = kit.ward.snapshot();
    while (kit.ward.snapshot().generation < 5) statuses.push((await kit.call()).status);
    return { nextRefresh, statuses };
  });
  assert.equal(nextRefresh, null);
  assert.deepEqual(new Set(statuses), new Set([200]));
  const times = auth.tokenRequests.map(({ at }) => at);
  assert.equal(times.length, 4);
  // It is sent for nine tenths of its life; the rest is for what takes longer on the way to the server than the last did.
  assert.ok(times[3] - times[0] >= 3 * 900 - 200, `${times[3] - times[0]} ms for three lifetimes`);
});
