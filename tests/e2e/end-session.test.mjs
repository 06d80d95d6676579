// Signing out of more than the page: the tokens, the session at the authorization server, the backend's.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { decodeJwt } from "jose";
import { signInAtBackend } from "./harness/sessions.mjs";
import { eventually, signInStage } from "./harness/sign-in.mjs";
import { browserDriver, latch, stage } from "./harness/stage.mjs";

const TOKENS = ["access_token", "refresh_token"];

/** A page whose user signed in. */
async function signedIn(t, { options, ...more } = {}) {
  const staged = await signInStage(t, more);
  const { user } = await staged.byRedirect({}, options);
  assert.equal(user.sub, "ada");
  return staged;
}

const hints = ({ revocationRequests }) => revocationRequests.map(({ tokenTypeHint }) => tokenTypeHint).sort();

const signOut = ({ page }, options = {}) =>
  page.run(async (kit, options) => {
    const { revoked, notRevoked } = await kit.ward.signOut(options);
    return { revoked, notRevoked: [...notRevoked].sort(), signedIn: kit.ward.signedIn, user: kit.ward.user };
  }, options);

const left = (...notRevoked) => ({ revoked: notRevoked.length === 0, notRevoked: notRevoked.sort(), signedIn: false, user: null });

/** oidc-provider does not revoke a JWT, and says so. */
const REVOKES = () => ({ status: 200 });

describe("at the authorization server", () => {
  test("both tokens are revoked, then the page leaves, comes back, and the session is over", async (t) => {
    const staged = await signedIn(t);
    const { app, auth, page } = staged;
    await page.leave((kit) => kit.ward.signOut({ endSession: true }));
    assert.equal(await browserDriver().getCurrentUrl(), `${app.origin}/`);
    assert.deepEqual(hints(auth), TOKENS);
    assert.equal(auth.endSessionRequests.length, 1);
    const [{ params, at, headers }] = auth.endSessionRequests;
    const { id_token_hint: hint, ...rest } = params;
    assert.deepEqual(rest, { client_id: "spa", post_logout_redirect_uri: `${app.origin}/` });
    assert.ok(auth.issuedTokens.includes(hint));
    assert.deepEqual([decodeJwt(hint).sub, decodeJwt(hint).aud], ["ada", "spa"]);
    assert.ok(auth.revocationRequests.every((request) => request.at <= at && request.status !== null));
    assert.equal(headers.referer, undefined);

    const found = await page.run(async (kit) => {
      await kit.create(kit.discovered({ restore: ["silent"] }));
      return { ...(await kit.ward.restore()), error: kit.ward.snapshot().outcomes[0].error, ...kit.look() };
    });
    const { signedIn: somebody, retryable, error, stored } = found;
    assert.deepEqual({ somebody, retryable, error, stored }, { somebody: false, retryable: false, error: "login_required", stored: [] });
  });

  test("the ID token of a renewal is the hint", async (t) => {
    const staged = await signedIn(t);
    const { auth, page } = staged;
    await page.run((kit) => kit.ward.refresh());
    const renewed = auth.issuedTokens.filter((token) => token.startsWith("ey") && decodeJwt(token).aud === "spa").at(-1);
    await page.leave((kit) => kit.ward.signOut({ endSession: true }));
    assert.equal(auth.endSessionRequests[0].params.id_token_hint, renewed);
  });

  test("without an ID token and a way back, the page leaves, and stays away", async (t) => {
    const { auth, page } = await stage(t);
    await page.signIn({ endpoints: { ...auth.endpoints, par: undefined, endSession: auth.endpoints.endSession } });
    await page.run((kit) => void kit.ward.signOut({ endSession: true }));
    await auth.endSessionRequests.until(([request]) => request?.status === 200);
    assert.deepEqual(auth.endSessionRequests[0].params, { client_id: "spa" });
    await eventually(async () => (await browserDriver().getCurrentUrl()).startsWith(auth.origin), "the page stayed");
    await page.visit();
  });

  test("nobody is signed in here: the session there is ended all the same", async (t) => {
    const staged = await signedIn(t);
    const { auth, page } = staged;
    await page.visit();
    await page.leave(async (kit) => (await kit.create(kit.discovered())).signOut({ endSession: true }));
    assert.deepEqual(hints(auth), []);
    assert.equal(auth.endSessionRequests[0].params.id_token_hint, undefined);
  });
});

// What the servers do, and what a sign-out could not tell them. The page stays.
const troubles = [
  { what: "a server that is not there", setUp: ({ auth }) => (auth.faults.unreachable = true), left: [...TOKENS, "end_session"] },
  {
    what: "a revocation endpoint that is reset",
    setUp: ({ auth }) => (auth.faults.revocation = () => ({ reset: true })),
    left: [...TOKENS, "end_session"],
  },
  {
    what: "a revocation endpoint that never answers",
    setUp: ({ auth }) => (auth.faults.revocation = () => ({ hang: true })),
    options: { requestTimeoutSeconds: 1 },
    left: [...TOKENS, "end_session"],
  },
  {
    what: "a server without such an endpoint",
    metadata: (metadata) => ({ ...metadata, end_session_endpoint: undefined }),
    left: ["end_session"],
  },
  {
    what: "a server with neither endpoint",
    metadata: (metadata) => ({ ...metadata, end_session_endpoint: undefined, revocation_endpoint: undefined }),
    left: [...TOKENS, "end_session"],
  },
];

describe("the page stays, signed out, and says so:", () => {
  for (const { what, setUp, metadata, options, left: expected } of troubles) {
    test(what, async (t) => {
      const staged = await signInStage(t);
      const { auth, page } = staged;
      auth.faults.revocation = REVOKES;
      if (metadata) auth.faults.discovery = () => ({ transform: metadata });
      await staged.byRedirect({}, options);
      setUp?.(staged);
      assert.deepEqual(await signOut(staged, { endSession: true }), left(...expected));
      assert.equal(auth.endSessionRequests.length, 0);
      assert.deepEqual(await page.run((kit) => kit.eventTypes()), ["signedin", "signedout"]);
      auth.faults.unreachable = false;
    });
  }

  test("a server that was never reached, when nobody is signed in", async (t) => {
    const staged = await stage(t);
    staged.auth.faults.unreachable = true;
    await staged.page.run(async (kit) => void (await kit.create(kit.discovered())));
    assert.deepEqual(await signOut(staged, { endSession: true }), left("end_session"));
    staged.auth.faults.unreachable = false;
    await staged.page.leave((kit) => kit.ward.signOut({ endSession: true }));
    assert.equal(staged.auth.endSessionRequests.length, 1);
  });

  test("a refusal is an answer: the page leaves", async (t) => {
    const staged = await signedIn(t);
    staged.auth.faults.revocation = () => ({ status: 503 });
    await staged.page.leave((kit) => kit.ward.signOut({ endSession: true }));
    assert.equal(staged.auth.endSessionRequests.length, 1);
  });
});

describe("at the backend", () => {
  const signOuts = ({ backend }) => backend.requests.filter(({ route }) => route === "signOut");

  async function backed(t, options) {
    const staged = await stage(t, { backend: true });
    await signInAtBackend(staged);
    await create(staged, options);
    assert.equal((await staged.page.run((kit) => kit.ward.restore())).signedIn, true);
    return staged;
  }

  const create = ({ page }, options) => page.run(async (kit, options) => void (await kit.create(kit.mediated(options))), options);

  test("the session is ended, once, and a reload finds nobody", async (t) => {
    const staged = await backed(t);
    const { app, auth, page } = staged;
    const result = await signOut(staged);
    assert.equal(signOuts(staged).length, 1);
    const [{ headers, status }] = signOuts(staged);
    assert.deepEqual([headers["x-csrf"], headers.origin, status], ["1", app.origin, 204]);
    assert.match(headers.cookie, /\bsession=/);
    assert.deepEqual(hints(auth), ["refresh_token"]);
    assert.ok(!result.notRevoked.includes("session"));
    assert.equal(result.signedIn, false);
    await page.visit();
    await create(staged);
    assert.deepEqual(await page.run((kit) => kit.ward.restore()), { signedIn: false, retryable: false });
  });

  // The page may be left in the next moment.
  for (const [what, queued] of [["under way", false], ["waiting for the lock", true]]) {
    test(`signOut() and close() at once, with a renewal ${what}: the backend is told`, async (t) => {
      const staged = await backed(t);
      const { backend, page } = staged;
      backend.faults.token = [{ hang: true }];
      await page.run(async (kit, queued) => {
        const hold = (held) => navigator.locks.request(`tokenward ${location.origin}/session/token `, () => (held(), new Promise(() => {})));
        if (queued) await new Promise(hold);
        kit.ward.refresh().catch(() => {});
      }, queued);
      if (!queued) await backend.requests.until((requests) => requests.filter(({ route }) => route === "token").length === 2);
      await page.run((kit) => {
        kit.ward.signOut().catch(() => {});
        kit.ward.close();
      });
      await backend.requests.until(() => signOuts(staged).some(({ status }) => status === 204));
    });
  }

  test("without signOutUrl it is reported, and goes on", async (t) => {
    const session = { url: "/session/token" };
    const staged = await backed(t, { session });
    const result = await signOut(staged);
    assert.ok(result.notRevoked.includes("session"));
    assert.equal(result.revoked, false);
    assert.equal(signOuts(staged).length, 0);
    await create(staged, { session });
    assert.equal((await staged.page.run((kit) => kit.ward.restore())).signedIn, true);
  });

  for (const [what, fault] of [
    ["is in trouble", { status: 500 }],
    ["is reset", { reset: true }],
    ["never answers", { hang: true }],
    ["redirects", { status: 302, headers: { Location: "/" } }],
    ["sends a page", { status: 404, body: "<p>Not found</p>" }],
  ]) {
    test(`a backend that ${what} is reported, and nobody is signed in`, async (t) => {
      const staged = await backed(t, { requestTimeoutSeconds: 1 });
      staged.backend.faults.signOut = () => fault;
      const result = await signOut(staged);
      assert.ok(result.notRevoked.includes("session"));
      assert.deepEqual([result.revoked, result.signedIn, result.user], [false, false, null]);
    });
  }
});

describe("a sign-out while an answer is held:", () => {
  test("of a renewal", async (t) => {
    const staged = await signedIn(t);
    const { auth, page } = staged;
    const { held, release } = latch();
    auth.faults.token = [{ hold: held }];
    await page.run((kit) => {
      kit.waiting = kit.ended(kit.ward.refresh());
    });
    await auth.tokenRequests.until((requests) => requests.length === 2);
    await signOut(staged);
    release();
    await auth.tokenRequests.until(([, { status }]) => status !== null);
    const { failed, signedIn: somebody, user, types } = await page.run(async (kit) => {
      await fetch("/client.json");
      return { ...(await kit.waiting), ...kit.look() };
    });
    assert.deepEqual([failed.code, somebody, user, types], ["signed_out", false, null, ["signedin", "signedout"]]);
  });

  // The code's token request, and the keys, which come after it.
  for (const endpoint of ["token", "jwks"]) {
    test(`of a code's exchange (${endpoint})`, async (t) => {
      const staged = await signInStage(t);
      const { auth, page } = staged;
      await staged.leave();
      const { held, release } = latch();
      auth.faults[endpoint] = () => ({ hold: held });
      await page.run(async (kit) => {
        await kit.create(kit.discovered());
        kit.waiting = kit.ended(kit.ward.handleCallback());
      });
      const journal = auth[`${endpoint}Requests`];
      await journal.until((requests) => requests.some(({ status }) => status === null));
      assert.deepEqual(await signOut(staged), left());
      release();
      await journal.until((requests) => requests.every(({ status }) => status !== null));
      const { failed, signedIn: somebody, user, types } = await page.run(async (kit) => ({ ...(await kit.waiting), ...kit.look() }));
      assert.deepEqual([failed.code, somebody, user, types], ["signed_out", false, null, []]);
    });
  }

  test("of a popup's sign-in", async (t) => {
    const staged = await signInStage(t);
    const { auth, page } = staged;
    await page.run(async (kit) => void (await kit.create(kit.discovered())));
    const { held, release } = latch();
    auth.faults.token = [{ hold: held }];
    await staged.pop();
    await auth.tokenRequests.until((requests) => requests.length === 1);
    await signOut(staged);
    release();
    const { failed, signedIn: somebody, types } = await staged.popped();
    assert.deepEqual([failed.code, somebody, types], ["signed_out", false, []]);
  });
});

test("after a sign-out the same ward can sign in again", async (t) => {
  const staged = await signedIn(t);
  await signOut(staged);
  const { failed, user, types } = await staged.byPopup();
  assert.equal(failed, undefined);
  assert.deepEqual([user.sub, types], ["ada", ["signedin", "signedout", "signedin"]]);
});
