// A session after a reload, from the app's own backend, and the order in which restore() looks.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { refusing, signInAtBackend, signInAtServer } from "./harness/sessions.mjs";
import { latch, stage } from "./harness/stage.mjs";

const NOBODY = { signedIn: false, retryable: false };
const NOBODY_YET = { signedIn: false, retryable: true };
const SOMEBODY = { signedIn: true, retryable: false };

const asked = ({ backend }) => backend.requests.filter(({ route }) => route === "token");

/** A page whose backend knows the user. */
async function backed(t, options) {
  const staged = await stage(t, { backend: true, ...options });
  await signInAtBackend(staged);
  return staged;
}

/** Makes a ward, looks for a session, and calls the API. */
const restore = ({ page }, more) =>
  page.run(async (kit, more) => {
    const ward = (await kit.create(kit.mediated(more))).install();
    const result = await ward.restore();
    return { result, user: ward.user, call: await kit.call(), types: kit.eventTypes(), snapshot: ward.snapshot() };
  }, more);

const restoreAgain = ({ page }) => page.run((kit) => kit.ward.restore());

describe("from the backend", () => {
  test("each load of the page gets tokens for its cookie, and nothing is stored", async (t) => {
    const staged = await backed(t);
    for (const load of [1, 2, 3]) {
      const { result, user, call, types } = await restore(staged);
      assert.deepEqual([result, user.sub, user.name, call.status, types], [SOMEBODY, "ada", "Ada Zoë ✓", 200, ["signedin"]]);
      const stored = await staged.page.run(async () => [
        { ...localStorage, ...sessionStorage },
        document.cookie,
        (await indexedDB.databases()).length,
      ]);
      assert.deepEqual(stored, [{}, "", 0]);
      assert.equal(asked(staged).length, load);
      await staged.page.visit();
    }
    for (const { headers, status } of asked(staged)) {
      assert.deepEqual([headers["x-csrf"], headers.origin, status], ["1", staged.app.origin, 200]);
      assert.match(headers.cookie, /\bsession=/);
      assert.equal(headers.authorization, undefined);
    }
    assert.deepEqual(new Set(staged.auth.tokenRequests.map(({ clientId }) => clientId)), new Set(["backend"]));
  });

  test("renewals go to the backend, whoever wants them", async (t) => {
    const staged = await backed(t);
    await restore(staged);
    await staged.page.run((kit) => kit.ward.refresh());
    assert.equal(asked(staged).length, 2);
    staged.api.refuseNext();
    assert.equal((await staged.page.run((kit) => kit.call())).status, 200);
    assert.equal(asked(staged).length, 3);
    assert.deepEqual(await staged.page.run((kit) => kit.eventTypes()), ["signedin", "refreshed", "refreshed"]);
    assert.deepEqual(asked(staged).map(({ headers }) => headers["x-csrf"]), ["1", "1", "1"]);
  });

  test("no session: nobody, and nothing to try again", async (t) => {
    const staged = await stage(t, { backend: true });
    const { result, user, call, types } = await restore(staged);
    assert.deepEqual([result, user, call.status, types], [NOBODY, null, 401, []]);
    assert.equal(asked(staged)[0].status, 401);
    assert.equal(staged.api.requests[0].tokenReceived, false);
  });
});

const token = { access_token: "a", token_type: "Bearer", expires_in: 30 };

// What the backend answers, and how restore() sees it. Nobody is signed in in any case.
const troubles = [
  { what: "500", fault: { status: 500 }, cause: "server_error" },
  { what: "503 with Retry-After", fault: { status: 503, headers: { "Retry-After": "60" } }, cause: "server_error" },
  { what: "429", fault: { status: 429 }, cause: "rate_limited" },
  { what: "403, as for a missing header", fault: { status: 403, body: { error: "Not for you." } }, cause: "malformed" },
  { what: "404", fault: { status: 404, body: "<h1>Not found</h1>" }, cause: "malformed" },
  { what: "nothing", fault: { hang: true }, cause: "timeout", more: { requestTimeoutSeconds: 1 } },
  { what: "a page", fault: { status: 200, headers: { "Content-Type": "text/html" }, body: "<p>Sign in</p>" }, cause: "malformed" },
  { what: "a reset", fault: { reset: true }, cause: "network" },
  { what: "an answer that is lost", fault: { lose: true }, cause: "network" },
  { what: "a redirect", fault: { status: 302, headers: { Location: "/" } }, cause: "network" },
  { what: "too much", fault: { status: 200, body: { ...token, more: "a".repeat(2 ** 21) } }, cause: "too_large" },
  { what: "no token", fault: { status: 200, body: { ...token, access_token: "" } }, cause: "malformed" },
  { what: "a token of another type", fault: { status: 200, body: { ...token, token_type: "DPoP" } }, cause: "malformed" },
  { what: "that the user has to sign in", fault: { status: 400, body: { error: "login_required" } }, cause: "oauth_error", final: true },
  { what: "401 with a page", fault: { status: 401, body: "<h1>Who are you?</h1>" }, cause: "malformed", final: true },
];

describe("a backend in trouble", () => {
  for (const { what, fault, cause, more, final } of troubles) {
    test(`it answers ${what}: nobody${final ? "" : ", but later there may be somebody"}`, async (t) => {
      const staged = await backed(t);
      // Each time: engines repeat a request whose connection was closed.
      staged.backend.faults.token = () => fault;
      const { result, user, types, snapshot } = await restore(staged, more);
      assert.deepEqual([result, user, types, snapshot.status], [final ? NOBODY : NOBODY_YET, null, [], "signed_out"]);
      assert.equal(snapshot.outcomes.length, 1);
      if (!final) assert.equal(snapshot.outcomes[0].outcome, cause);
      assert.equal(snapshot.nextRefresh, null);
      staged.backend.faults.token = [];
      assert.deepEqual(await restoreAgain(staged), SOMEBODY);
    });
  }
});

// The same while somebody is signed in.
const later = [
  { what: "401", fault: { status: 401, body: {} }, types: ["signedin", "refreshfailed", "signedout"], reason: "login_required" },
  { what: "403", fault: { status: 403, body: { error: "Not for you." } }, types: ["signedin", "refreshfailed"] },
  { what: "500", fault: { status: 500 }, types: ["signedin", "refreshfailed"] },
  { what: "503 with Retry-After", fault: { status: 503, headers: { "Retry-After": "60" } }, types: ["signedin", "refreshdelayed"] },
  { what: "a page", fault: { status: 200, body: "<p>Sign in</p>" }, types: ["signedin", "refreshfailed"] },
];

describe("a renewal at the backend", () => {
  for (const { what, fault, types, reason } of later) {
    test(`it answers ${what}: the session ${reason ? "is over" : "goes on"}`, async (t) => {
      const staged = await backed(t);
      await restore(staged);
      staged.backend.faults.token = [fault];
      const seen = await staged.page.run(async (kit) => {
        kit.ward.refresh().catch(() => {});
        await kit.until(({ refreshing }) => !refreshing);
        return { signedIn: kit.ward.signedIn, types: kit.eventTypes(), last: kit.events.at(-1), user: kit.ward.user?.sub };
      });
      assert.deepEqual([seen.signedIn, seen.types, seen.user], [!reason, types, reason ? undefined : "ada"]);
      if (reason) assert.equal(seen.last.reason, reason);
      assert.equal((await staged.page.run((kit) => kit.call())).status, reason ? 401 : 200);
    });
  }

  test("it answers with another user's tokens: the session is over", async (t) => {
    const staged = await backed(t);
    await restore(staged);
    await signInAtBackend(staged, "bob");
    await restore(staged);
    assert.equal(await staged.page.run((kit) => kit.ward.user.sub), "bob");
    const other = await staged.auth.signIdToken({ iss: staged.auth.issuer, sub: "eve" });
    staged.backend.faults.token = [{ transform: (body) => ({ ...body, id_token: other }) }];
    const last = await staged.page.run(async (kit) => {
      await kit.ward.refresh().catch(() => {});
      return [kit.ward.signedIn, kit.events.at(-1).type, kit.events.at(-1).reason];
    });
    assert.deepEqual(last, [false, "signedout", "user_changed"]);
  });
});

test("a backend of another origin is refused", async (t) => {
  const { page, other, app } = await stage(t);
  const elsewhere = [`${other.origin}/session/token`, "//evil.example/session/token", app.origin.replace("127.0.0.1", "localhost")];
  for (const key of ["url", "signOutUrl"]) {
    for (const url of elsewhere) {
      const error = await page.run(
        (kit, session) =>
          kit.create(kit.mediated({ session })).then(
            () => null,
            ({ name, code, message }) => ({ name, code, message }),
          ),
        { url: "/session/token", signOutUrl: "/session/sign-out", [key]: url },
      );
      assert.deepEqual([error?.name, error?.code], ["TypeError", "invalid_option"], url);
      assert.match(error.message, new RegExp(`session\\.${key}\\b`));
    }
  }
});

// Who knows the user, what the servers do, in which order restore() asks, and whom it asks.
const orders = [
  { restore: [], known: ["session", "silent"], asks: [], result: NOBODY },
  { restore: ["session", "silent"], known: ["session", "silent"], asks: ["session"], result: SOMEBODY },
  { restore: ["silent", "session"], known: ["session", "silent"], asks: ["silent"], result: SOMEBODY },
  { restore: ["session", "silent"], known: ["silent"], asks: ["session", "silent"], result: SOMEBODY },
  { restore: ["silent", "session"], known: ["session"], asks: ["silent", "session"], result: SOMEBODY },
  { restore: ["session", "silent"], known: [], asks: ["session", "silent"], result: NOBODY },
  { restore: ["session", "silent"], known: ["session", "silent"], broken: "session", asks: ["session", "silent"], result: SOMEBODY },
  { restore: ["session", "silent"], known: ["session"], broken: "session", asks: ["session", "silent"], result: NOBODY_YET },
  { restore: ["silent", "session"], known: ["silent"], broken: "silent", asks: ["silent", "session"], result: NOBODY_YET },
];

describe("the order is the app's:", () => {
  for (const { restore: ways, known, broken, asks, result } of orders) {
    const who = known.length > 0 ? `known by ${known.join(" and ")}` : "known by none";
    test(`[${ways}], ${who}${broken ? `, ${broken} in trouble` : ""}`, async (t) => {
      const staged = await stage(t, { backend: true });
      const { auth, backend, page } = staged;
      if (known.includes("session")) await signInAtBackend(staged);
      if (known.includes("silent")) await signInAtServer(staged);
      if (broken === "session") backend.faults.token = () => ({ status: 503 });
      if (broken === "silent") auth.faults.authorization = () => (refusing("temporarily_unavailable"));
      const before = auth.authorizationRequests.length;
      const found = await page.run(async (kit, ways) => {
        const { session } = kit.mediated();
        await kit.create(kit.discovered({ session, restore: ways }));
        return kit.ward.restore();
      }, ways);
      assert.deepEqual(found, result);
      const frames = auth.authorizationRequests.slice(before);
      const arrivals = [
        ...asked(staged).map(({ at }) => ({ at, way: "session" })),
        ...frames.map(({ at }) => ({ at, way: "silent" })),
      ];
      assert.deepEqual(arrivals.sort((a, b) => a.at - b.at).map(({ way }) => way), asks);
      assert.ok(frames.every(({ params }) => params.prompt === "none"));
    });
  }
});

/** A restore() that waits for the backend, which knows the user, as the authorization server does. */
async function begun(t) {
  const staged = await backed(t);
  await signInAtServer(staged);
  const { held, release } = latch();
  staged.backend.faults.token = [{ hold: held }];
  await staged.page.run(async (kit) => {
    const { session } = kit.mediated();
    await kit.create(kit.discovered({ session, restore: ["session", "silent"] }));
    kit.restoring = kit.ended(kit.ward.restore());
  });
  await staged.backend.requests.until(() => asked(staged).length === 1);
  const frames = staged.auth.authorizationRequests.length;
  return {
    ...staged,
    frames: () => staged.auth.authorizationRequests.length - frames,
    /** Lets the held answer come, and looks once the page must have had it. */
    async goOn() {
      release();
      await staged.backend.requests.until(() => asked(staged)[0].status !== null);
      return staged.page.run(async (kit) => {
        const result = await kit.restoring;
        await fetch("/client.json");
        return { ...result, ...kit.look() };
      });
    },
  };
}

describe("while restore() waits,", () => {
  test("a second one waits for the same answer", async (t) => {
    const staged = await begun(t);
    await staged.page.run((kit) => {
      kit.restoring = Promise.all([kit.restoring, kit.ended(kit.ward.restore())]);
    });
    const { 0: first, 1: second, user, types } = await staged.goOn();
    assert.deepEqual([first, second, user.sub, types], [{ value: SOMEBODY }, { value: SOMEBODY }, "ada", ["signedin"]]);
    assert.equal(asked(staged).length, 1);
    // And one that comes later finds somebody, and asks nothing.
    assert.deepEqual(await restoreAgain(staged), SOMEBODY);
    assert.deepEqual([asked(staged).length, staged.frames()], [1, 0]);
  });

  test("signOut() ends it, and nobody is signed in", async (t) => {
    const staged = await begun(t);
    const result = await staged.page.run((kit) => kit.ward.signOut());
    assert.deepEqual(result, { revoked: true, notRevoked: [] });
    const { value, signedIn, user, types } = await staged.goOn();
    assert.deepEqual({ value, signedIn, user, types }, { value: NOBODY, signedIn: false, user: null, types: [] });
    assert.equal(staged.backend.requests.filter(({ route }) => route === "signOut").length, 1);
    assert.equal(staged.frames(), 0);
  });

  test("close() ends it", async (t) => {
    const staged = await begun(t);
    await staged.page.run((kit) => kit.ward.close());
    const { failed, signedIn, user, types } = await staged.goOn();
    assert.deepEqual([failed.code, signedIn, user, types, staged.frames()], ["closed", false, null, [], 0]);
  });

  test("setTokens() begins the session, and the answer is of no interest", async (t) => {
    const staged = await begun(t);
    await staged.page.run((kit, tokens) => kit.ward.setTokens(tokens), await staged.auth.issueTokens());
    const { value, signedIn, user, types } = await staged.goOn();
    assert.deepEqual({ value, signedIn, user, types }, { value: SOMEBODY, signedIn: true, user: null, types: ["signedin"] });
    assert.equal(staged.frames(), 0);
  });
});

test("offline, nothing is asked; once there is a network, restore() finds the session", async (t) => {
  const staged = await backed(t);
  const found = await staged.page.run(async (kit) => {
    kit.setOnline(false);
    await kit.create(kit.mediated());
    const results = [await kit.ward.restore()];
    kit.setOnline(true);
    return [...results, await kit.ward.restore()];
  });
  assert.deepEqual(found, [NOBODY_YET, SOMEBODY]);
  assert.equal(asked(staged).length, 1);
});

for (const way of ["session", "silent"]) {
  test(`restored by ${way}, renewed, reloaded: no token is anywhere but in wasm memory`, async (t) => {
    const staged = await backed(t);
    const { auth, page } = staged;
    await signInAtServer(staged);
    const places = () => page.run((kit, tokens) => kit.canary.placesOutside(kit, tokens), [...auth.issuedTokens, ...auth.issuedCodes]);
    for (const load of [1, 2]) {
      await page.run(async (kit, way) => {
        kit.canary = await import("/canary.js");
        kit.canary.watch();
        const { session } = kit.mediated();
        await kit.create(kit.discovered({ session, restore: [way] }));
        kit.restoring = kit.ward.restore();
      }, way);
      // Also on the way.
      assert.deepEqual(await places(), []);
      assert.deepEqual(await page.run((kit) => kit.restoring), SOMEBODY);
      assert.deepEqual(await places(), []);
      await page.run(async (kit) => {
        kit.ward.install();
        await kit.call();
        await kit.ward.refresh();
      });
      assert.deepEqual(await places(), []);
      assert.ok((await page.run((kit, tokens) => kit.canary.partsInMemory(tokens), auth.issuedTokens)) > 0);
      if (load === 1) await page.visit();
    }
    await page.run((kit) => kit.ward.signOut());
    assert.equal(await page.run((kit, tokens) => kit.canary.partsInMemory(tokens), auth.issuedTokens), 0);
    assert.deepEqual(await places(), []);
  });
}
