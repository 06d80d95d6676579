// Sign-ins beside one another, over a running session, and through a sign-out.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setClocks } from "./harness/clocks.mjs";
import { assertFailed, assertNobody, assertSignedIn, failure, press, signInStage } from "./harness/sign-in.mjs";
import { inTab, newTab } from "./harness/sessions.mjs";
import { browserDriver, latch } from "./harness/stage.mjs";

describe("two sign-ins at once", () => {
  test("in two tabs do not disturb each other, in whichever order they end", async (t) => {
    const { app, auth, page, depart, finish } = await signInStage(t, { auth: { autoLogin: false } });
    await depart({ returnTo: "/first" });
    const tab = await newTab();
    await inTab(tab, async () => {
      await browserDriver().get(`${app.origin}/`);
      await depart({ returnTo: "/second", loginHint: "eve" });
      await press("allow");
      await page.back();
      const result = await finish();
      assertSignedIn(result, "eve");
      assert.equal(new URL(result.value.returnTo).pathname, "/second");
    });
    await press("allow");
    await page.back();
    const result = await finish();
    assertSignedIn(result);
    assert.equal(new URL(result.value.returnTo).pathname, "/first");
    assert.equal(auth.tokenRequests.length, 2);
    // Each is who they were.
    await inTab(tab, async () => assert.equal((await page.run((kit) => kit.ward.user)).sub, "eve"));
  });

  test("in two tabs: the answer to one in the other is refused, and the one is as good as before", async (t) => {
    const { app, auth, page, leave, finish } = await signInStage(t);
    await leave();
    const tab = await newTab();
    await inTab(tab, async () => {
      await page.visit(auth.authorizationRequests[0].redirect);
      assertFailed(await finish(), "state_mismatch");
    });
    assertSignedIn(await finish());
    assert.equal(app.origin, new URL(auth.authorizationRequests[0].redirect).origin);
  });

  test("in one tab, one after the other: the answer to the second counts, and the first is no more", async (t) => {
    const { auth, page, leave, finish } = await signInStage(t);
    await leave({ returnTo: "/first" });
    await page.visit("/");
    await leave({ returnTo: "/second" });
    const { value, ...result } = await finish();
    assertSignedIn(result);
    assert.equal(new URL(value.returnTo).pathname, "/second");
    await page.visit(auth.authorizationRequests[0].redirect);
    assertFailed(await finish(), "state_mismatch");
    assert.equal(auth.tokenRequests.length, 1);
  });

  test("in one tab, one after the other: the answer to the first is as good, until one counted", async (t) => {
    const { auth, page, leave, finish } = await signInStage(t);
    await leave({ returnTo: "/first" });
    await page.visit("/");
    await leave({ returnTo: "/second" });
    await page.visit(auth.authorizationRequests[0].redirect);
    const { value, ...result } = await finish();
    assertSignedIn(result);
    assert.equal(new URL(value.returnTo).pathname, "/first");
  });
});

describe("over a running session, by popup:", () => {
  /** Somebody is signed in, and their request waits: the token has run out, and the renewal does not come. */
  async function requestWaits(t) {
    const staged = await signInStage(t);
    const { auth, page, byPopup } = staged;
    await setClocks(staged);
    assertSignedIn(await byPopup());
    const { held, release } = latch();
    auth.faults.token = [{ hold: held }];
    await page.run((kit) => {
      kit.later(31);
      kit.ward.install();
      kit.waiting = kit.call();
    });
    await auth.tokenRequests.until((requests) => requests.length === 2);
    return { ...staged, release };
  }

  test("another user: the first one's session and request end before the second's begins", async (t) => {
    const { api, auth, page, byPopup, release } = await requestWaits(t);
    auth.settings.autoLogin = "eve";
    const result = await byPopup({ prompt: "login" });
    release();
    assertSignedIn(result, "eve");
    const { waiting, events, status } = await page.run(async (kit) => ({
      waiting: await kit.waiting,
      events: kit.events,
      status: (await kit.call()).status,
    }));
    assert.deepEqual(waiting, { name: "TokenWardError", code: "signed_out", retryable: false });
    assert.deepEqual(
      events.map(({ type, reason, generation }) => ({ type, reason, generation })),
      [
        { type: "signedin", reason: undefined, generation: 1 },
        { type: "signedout", reason: "user_changed", generation: undefined },
        { type: "signedin", reason: undefined, generation: 1 },
      ],
    );
    assert.equal(status, 200);
    // What the first user asked was never sent.
    assert.equal(api.requests.length, 1);
  });

  test("the same user: the session goes on with newer tokens, and so does a request that waited", async (t) => {
    const { page, byPopup, release } = await requestWaits(t);
    const { types, ...result } = await byPopup();
    assertSignedIn(result);
    assert.deepEqual(types, ["signedin", "refreshed"]);
    assert.equal((await page.run((kit) => kit.waiting)).status, 200);
    release();
    assert.deepEqual(await page.run((kit) => [kit.ward.snapshot().generation, kit.ward.user.sub]), [2, "ada"]);
  });

  test("tokens of the app's own, of whom nobody knows: their session ends", async (t) => {
    const { auth, page, byPopup } = await signInStage(t);
    await page.run(async (kit, tokens) => {
      await kit.create(kit.discovered());
      kit.ward.setTokens(tokens);
    }, await auth.issueTokens());
    const result = await byPopup();
    assertSignedIn(result);
    assert.deepEqual(result.types, ["signedin", "signedout", "signedin"]);
  });

  test("a sign-in that fails leaves it alone", async (t) => {
    const { auth, page, byPopup } = await signInStage(t);
    assertSignedIn(await byPopup());
    auth.settings.autoLogin = "eve";
    auth.faults.token = [{ transform: (body) => ({ ...body, id_token: "forged" }) }];
    const { failed, ...result } = await byPopup({ prompt: "login" });
    assert.deepEqual(failed, failure("id_token_invalid", { claim: "alg" }));
    assertSignedIn(result);
    assert.deepEqual(result.types, ["signedin"]);
    assert.equal((await page.run(async (kit) => (kit.ward.install(), kit.call()))).status, 200);
  });
});

describe("signOut() while a code is exchanged: nobody is signed in", () => {
  for (const way of ["redirect", "popup"]) {
    test(`by ${way}`, async (t) => {
      const { auth, page, leave, pop, popped, byPopup } = await signInStage(t);
      const { held, release } = latch();
      auth.faults.token = [{ hold: held }];
      if (way === "popup") {
        await pop();
      } else {
        await leave();
        await page.run(async (kit) => {
          await kit.create(kit.discovered());
          kit.popped = kit.ended(kit.ward.handleCallback());
        });
      }
      await auth.tokenRequests.until((requests) => requests.length === 1);
      await page.run((kit) => kit.ward.signOut());
      release();
      assertFailed(await popped(), "signed_out");
      // And can be, afterwards.
      assertSignedIn(await byPopup());
    });
  }

  test("over a running session, which ends as well", async (t) => {
    const { auth, page, pop, popped, byPopup } = await signInStage(t);
    assertSignedIn(await byPopup());
    const { held, release } = latch();
    // Held once the server has seen to it: the revocation at sign-out takes the code along.
    auth.faults.token = [{ transform: async (body) => (await held, body) }];
    await pop();
    await auth.tokenRequests.until((requests) => requests.length === 2);
    await page.run((kit) => kit.ward.signOut());
    release();
    const { failed, types, ...result } = await popped();
    assert.deepEqual(failed, failure("signed_out"));
    assertNobody({ ...result, types: [] });
    assert.deepEqual(types, ["signedin", "signedout"]);
  });
});

test("somebody signs in again after signing out, as whoever they like", async (t) => {
  const { auth, page, byPopup, byRedirect } = await signInStage(t);
  for (const user of ["ada", "eve", "ada"]) {
    auth.settings.autoLogin = user;
    const { types, ...result } = await byPopup({ prompt: "login" });
    assertSignedIn(result, user);
    assert.deepEqual(types, ["signedin"]);
    await page.run(async (kit) => {
      await kit.ward.signOut();
      kit.events.length = 0;
    });
  }
  assertSignedIn(await byRedirect());
});

test("close() while a code is exchanged: `closed`, and nobody is signed in", async (t) => {
  const { auth, page, leave, popped } = await signInStage(t);
  auth.faults.token = [{ hang: true }];
  await leave();
  await page.run(async (kit) => {
    await kit.create(kit.discovered());
    kit.popped = kit.ended(kit.ward.handleCallback());
  });
  await auth.tokenRequests.until((requests) => requests.length === 1);
  await page.run((kit) => kit.ward.close());
  assertFailed(await popped(), "closed");
});

test("a lifetime counts from the request for the tokens, not from their arrival", async (t) => {
  const { auth, page, byRedirect } = await signInStage(t);
  auth.faults.token = [{ transform: async (body) => (await new Promise((resolve) => setTimeout(resolve, 150)), body) }];
  const before = Date.now();
  assertSignedIn(await byRedirect());
  const { expiresAt } = await page.run((kit) => kit.ward.snapshot());
  const [{ at }] = auth.tokenRequests;
  assert.ok(expiresAt > before + 30_000 && expiresAt <= at + 30_000 + 20, `${expiresAt - at}`);
});
