// Clocks that are wrong, from the start or from one moment on, and servers that tell another time.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { HOURS_MS, move, setClocks } from "./harness/clocks.mjs";
import { signInAtBackend, signInAtServer } from "./harness/sessions.mjs";
import { assertSignedIn, signInStage } from "./harness/sign-in.mjs";
import { stage } from "./harness/stage.mjs";

const TTL_MS = 30_000;

const offsets = { "hours ahead": HOURS_MS, "hours behind": -HOURS_MS };

const look = ({ page }) =>
  page.run(async (kit) => {
    const outcomes = await Promise.all(Array.from({ length: 5 }, () => kit.call()));
    const { status, expiresAt } = kit.ward.snapshot();
    const statuses = [...new Set(outcomes.map((outcome) => outcome.status))];
    return { statuses, status, left: expiresAt - Date.now(), types: kit.eventTypes() };
  });

/** Requests are served by a good token, after so many refreshes. */
async function assertServed(staged, refreshes) {
  const { statuses, status, left, types } = await look(staged);
  assert.deepEqual([statuses, status], [[200], "fresh"]);
  assert.ok(left > TTL_MS / 2 && left <= TTL_MS + 1000, `${left} ms left`);
  assert.deepEqual(types, ["signedin", ...Array(refreshes).fill("refreshed")]);
  assert.equal(staged.auth.tokenRequests.length, refreshes);
}

const lapse = (staged) => move(staged, { wall: 2 * TTL_MS, mono: 2 * TTL_MS });

/** The last 5 requests carried a token that no request before them did. */
function assertNewToken({ api }) {
  const ids = api.requests.map(({ tokenId }) => tokenId);
  const last = new Set(ids.splice(-5));
  assert.equal(last.size, 1);
  assert.ok(ids.every((id) => !last.has(id)));
}

/** How a server says when its tokens expire; `says` changes a token response. */
const servers = {
  "expires_in": (response) => response,
  "a JWT's iat and exp alone": ({ expires_in: _, ...rest }) => rest,
};

describe("a clock that was wrong from the start:", () => {
  for (const [when, wall] of Object.entries(offsets)) {
    for (const [what, says] of Object.entries(servers)) {
      test(`${when}, with ${what}: one refresh a lifetime`, async (t) => {
        const staged = await stage(t);
        staged.auth.faults.token = () => ({ transform: says });
        await setClocks(staged, { wall });
        await staged.page.signIn({ tokens: says(await staged.auth.issueTokens()) });
        await assertServed(staged, 0);
        for (const refreshes of [1, 2]) {
          await lapse(staged);
          await assertServed(staged, refreshes);
          assertNewToken(staged);
        }
      });
    }

    test(`${when}, restored by the backend and renewed`, async (t) => {
      const staged = await stage(t, { backend: true });
      await signInAtBackend(staged);
      await setClocks(staged, { wall });
      const result = await staged.page.run(async (kit) => (await kit.create(kit.mediated())).install().restore());
      assert.deepEqual(result, { signedIn: true, retryable: false });
      const { statuses } = await look(staged);
      await lapse(staged);
      const { types, ...later } = await look(staged);
      assert.deepEqual([statuses, later.statuses, later.status, types], [[200], [200], "fresh", ["signedin", "refreshed"]]);
      // It may have the same token still: its clock is right.
      assert.equal(staged.backend.requests.filter(({ route }) => route === "token").length, 2);
    });

    test(`${when}: the user can sign in`, async (t) => {
      const staged = await signInStage(t);
      await setClocks(staged, { wall });
      await staged.leave();
      await setClocks(staged, { wall });
      assertSignedIn(await staged.finish());
    });

    test(`${when}: the session is restored in a hidden frame`, async (t) => {
      const staged = await stage(t);
      await signInAtServer(staged);
      await setClocks(staged, { wall });
      const found = await staged.page.run(async (kit) => {
        await kit.create(kit.discovered({ restore: ["silent"] }));
        return kit.ward.restore();
      });
      assert.deepEqual(found, { signedIn: true, retryable: false });
    });
  }
});

/** Somebody is signed in, and the page's clocks can be moved. */
async function signedIn(t) {
  const staged = await stage(t);
  await setClocks(staged);
  await staged.page.signIn();
  return staged;
}

describe("a clock that is set while a session goes on:", () => {
  test("forward: one refresh, since the token may have expired, and no more", async (t) => {
    const staged = await signedIn(t);
    await move(staged, { wall: HOURS_MS });
    await assertServed(staged, 1);
    await lapse(staged);
    await assertServed(staged, 2);
    assertNewToken(staged);
  });

  test("back: the token is used to its end, and not longer", async (t) => {
    const staged = await signedIn(t);
    await move(staged, { wall: -HOURS_MS });
    const { statuses, types } = await look(staged);
    assert.deepEqual([statuses, types], [[200], ["signedin"]]);
    await lapse(staged);
    await assertServed(staged, 1);
    assertNewToken(staged);
  });

  test("back, and then asleep: what no clock can tell, the API does", async (t) => {
    const staged = await signedIn(t);
    await move(staged, { wall: -HOURS_MS });
    await move(staged, { wall: 2 * TTL_MS });
    staged.api.refuseNext(5);
    await assertServed(staged, 1);
    assertNewToken(staged);
  });

  test("forward and back and forward: a refresh for each time it looks expired, and everybody is served", async (t) => {
    const staged = await signedIn(t);
    for (const refreshes of [1, 2, 3]) {
      await move(staged, { wall: 2 * HOURS_MS });
      await assertServed(staged, refreshes);
      await move(staged, { wall: -HOURS_MS });
      assert.deepEqual((await look(staged)).statuses, [200]);
    }
    assert.equal(staged.auth.tokenRequests.length, 3);
  });

  for (const [when, wall] of Object.entries(offsets)) {
    test(`${when}, with a refresh under way: its answer counts from when it was asked for`, async (t) => {
      const staged = await stage(t);
      await setClocks(staged);
      let answered;
      staged.auth.faults.token = [{ hold: new Promise((resolve) => (answered = resolve)) }];
      await staged.page.signIn({ age: 60 });
      await staged.page.run((kit) => void (kit.waiting = kit.call()));
      await staged.auth.tokenRequests.until((requests) => requests.length === 1);
      await move(staged, { wall });
      answered();
      assert.equal((await staged.page.run((kit) => kit.waiting)).status, 200);
      assert.deepEqual((await look(staged)).statuses, [200]);
      // A clock that was set forward makes the answer look hours old.
      assert.equal(staged.auth.tokenRequests.length, wall > 0 ? 2 : 1);
    });

    test(`${when}, with a refresh to be tried again: neither forgotten nor over and over`, async (t) => {
      const staged = await stage(t);
      await setClocks(staged);
      staged.auth.faults.token = [{ status: 503, headers: { "Retry-After": "1" } }];
      await staged.page.signIn({ age: 60 });
      await staged.page.run((kit) => {
        kit.waiting = kit.call();
        return kit.first("refreshdelayed");
      });
      await move(staged, { wall });
      assert.equal((await staged.page.run((kit) => kit.waiting)).status, 200);
      assert.equal(staged.auth.tokenRequests.length, 2);
      const { signedIn } = await staged.page.run((kit) => kit.ward);
      assert.notEqual(signedIn, false);
    });

    test(`${when}, while requests wait: no wait ends before its time`, async (t) => {
      const staged = await stage(t);
      await setClocks(staged);
      staged.auth.faults.token = () => ({ hang: true });
      await staged.page.signIn({ age: 60, waitSeconds: 2, requestTimeoutSeconds: 10 });
      await staged.page.run((kit) => {
        const began = performance.now();
        kit.waiting = kit.call().then(({ code }) => ({ code, ms: performance.now() - began }));
      });
      await move(staged, { wall });
      await staged.page.run(() => dispatchEvent(new Event("focus")));
      const { code, ms } = await staged.page.run((kit) => kit.waiting);
      assert.equal(code, "token_unavailable");
      assert.ok(ms > 1900 && ms < 4000, `after ${ms} ms`);
      assert.equal(staged.auth.tokenRequests.length, 1);
    });
  }
});
