// A session after a reload, and renewals without a refresh token, by the authorization server in a hidden frame.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { refusing, signInAtServer, signInElsewhere, signOutElsewhere } from "./harness/sessions.mjs";
import { latch, stage } from "./harness/stage.mjs";

const NOBODY = { signedIn: false, retryable: false };
const NOBODY_YET = { signedIn: false, retryable: true };
const SOMEBODY = { signedIn: true, retryable: false };

const framed = ({ auth }) => auth.authorizationRequests.filter(({ params }) => params.prompt === "none");

/** A page whose user has a session at the server, and that counts what is left over. */
async function known(t, options) {
  const staged = await stage(t, options);
  await signInAtServer(staged);
  return staged;
}

/** Makes a ward and looks for a session. */
const restore = ({ page }, more) =>
  page.run(async (kit, more) => {
    const tally = await import("/tally.js");
    if (!kit.ward) tally.begin();
    const ward = await kit.create(kit.discovered({ restore: ["silent"], ...more }));
    const [alive, { length }, { href }] = [tally.tally(), history, location];
    const began = performance.now();
    const result = await ward.restore();
    const took = performance.now() - began;
    // It goes with the request that was given up, which takes engines a moment.
    const frames = () => document.querySelectorAll("iframe").length;
    while (frames() > 0 && performance.now() < began + took + 2_000) await new Promise((resolve) => setTimeout(resolve));
    return {
      result,
      took,
      user: ward.user,
      types: kit.eventTypes(),
      status: ward.snapshot().status,
      outcome: ward.snapshot().outcomes.at(-1),
      left: {
        frames: frames(),
        listeners: tally.tally().listeners - alive.listeners,
        channels: tally.channels() - 1,
        history: history.length - length,
        moved: location.href !== href,
        stored: kit.stored().length,
      },
    };
  }, more);

const NOTHING_LEFT = { frames: 0, listeners: 0, channels: 0, history: 0, moved: false, stored: 0 };

function assertNobody({ result, user, types, status, left }, expected) {
  assert.deepEqual({ result, user, types, status }, { result: expected, user: null, types: [], status: "signed_out" });
  assert.deepEqual(left, NOTHING_LEFT);
}

describe("in a hidden frame", () => {
  for (const mode of ["redirect", "popup"]) {
    test(`after a sign-in by ${mode} and a reload, without a question`, async (t) => {
      const staged = await stage(t, { auth: { autoLogin: "ada" } });
      const { auth, page } = staged;
      if (mode === "redirect") {
        await page.leave(async (kit) => (await kit.create(kit.discovered())).signIn());
        await page.run(async (kit) => (await kit.create(kit.discovered())).handleCallback());
      } else {
        await page.run(async (kit) => void (await kit.create(kit.discovered())));
        await page.click((kit) => kit.ward.signIn({ mode: "popup" }));
      }
      auth.settings.autoLogin = false;
      for (const load of [1, 2]) {
        await page.visit();
        const { result, user, types, left } = await restore(staged);
        assert.deepEqual([result, user.sub, types], [SOMEBODY, "ada", ["signedin"]]);
        assert.deepEqual(left, NOTHING_LEFT);
        const call = await page.run((kit) => (kit.ward.install(), kit.call()));
        assert.equal(call.status, 200);
        assert.equal(framed(staged).length, load);
      }
      for (const { params, headers } of framed(staged)) {
        assert.equal(params.redirect_uri, `${staged.app.origin}/callback.html`);
        assert.equal(params.state[0], "f");
        assert.ok(["iframe", undefined].includes(headers["sec-fetch-dest"]));
      }
    });
  }

  test("no session at the server: nobody, at once, and nothing to try again", async (t) => {
    const staged = await stage(t);
    const found = await restore(staged);
    assertNobody(found, NOBODY);
    assert.equal(found.outcome.error, "login_required");
    assert.equal(staged.auth.tokenRequests.length, 0);
  });

  test("a session, but not the user's consent: the same", async (t) => {
    const staged = await known(t);
    const found = await restore(staged, { scope: "openid profile orders admin" });
    assertNobody(found, NOBODY);
    assert.equal(found.outcome.error, "consent_required");
  });

  test("a server whose cookies are third-party ones", async (t) => {
    const staged = await known(t, { auth: { host: "localhost" } });
    const found = await restore(staged);
    // Its cookie is Lax, and browsers have more reasons.
    assertNobody(found, NOBODY);
    assert.equal(found.outcome.error, "login_required");
  });

  test("without openid there is a session, and nobody known", async (t) => {
    const staged = await known(t);
    const { result, user, left } = await restore(staged, { scope: "orders" });
    assert.deepEqual([result, user, left], [SOMEBODY, null, NOTHING_LEFT]);
  });
});

const html = (body) => ({ status: 200, headers: { "Content-Type": "text/html" }, body });
const DENY = { status: 200, headers: { "X-Frame-Options": "DENY" }, body: "<title>no</title>" };
/** A page of the server's that answers by itself: from the right window, but not from the app's origin. */
const POSTS = `<script>
  const state = new URLSearchParams(location.search).get("state");
  parent.postMessage({ tokenward: { state, error: "login_required", iss: location.origin } }, "*");
</script>`;
const set = (name, value) => ({ redirect: (url) => url.searchParams.set(name, value) });
const changed = (change) => ({ auth }) => {
  auth.faults.token = [{ transform: async (body) => ({ ...body, ...(await change(body, auth)) }) }];
};
const claims = ({ id_token: token }) => JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
const resigned = (more) => changed(async (body, auth) => ({ id_token: await auth.signIdToken({ ...claims(body), ...more }) }));
const SLOW = { requestTimeoutSeconds: 1 };

const before = (endpoint, faults) => ({ auth }) => (auth.faults[endpoint] = faults);
const asks = (...faults) => before("authorization", faults);
const metadata = (fault) => before("discovery", () => fault);

// What is wrong, and whether it may pass. Nobody is signed in, nothing is left over, and once it is right again,
// somebody is.
const troubles = [
  { what: "a frame that never ends", setUp: asks({ hang: true }), slow: true },
  { what: "a server that lets nobody frame it", setUp: asks(DENY), slow: true },
  { what: "an app whose policy forbids frames", stage: { frames: false }, slow: true, stays: true },
  { what: "an answer from another origin", setUp: asks(html(POSTS)), slow: true },
  { what: "a wrong state", setUp: asks(set("state", `f${"a".repeat(43)}`)), slow: true },
  { what: "no network in the frame", setUp: before("authorization", () => ({ reset: true })), slow: true },
  { what: "metadata that do not come in time", setUp: before("discovery", [{ hang: true }]), slow: true },
  { what: "a token endpoint that never answers", setUp: before("token", [{ hang: true }]), slow: true },
  { what: "temporarily_unavailable", setUp: asks(refusing("temporarily_unavailable")), passing: true },
  { what: "server_error", setUp: asks(refusing("server_error")), passing: true },
  { what: "no metadata", setUp: metadata({ status: 500 }), passing: true },
  { what: "a token endpoint in trouble", setUp: before("token", [{ status: 500 }]), passing: true },
  { what: "interaction_required", setUp: asks(refusing("interaction_required")), passing: false },
  { what: "access_denied", setUp: asks(refusing("access_denied")), passing: false },
  { what: "another issuer", setUp: asks(set("iss", "https://evil.invalid")) },
  { what: "no issuer", setUp: asks({ redirect: (url) => url.searchParams.delete("iss") }) },
  { what: "metadata of another issuer", setUp: metadata({ transform: (body) => ({ ...body, issuer: "https://evil.invalid" }) }) },
  { what: "a code that is refused", setUp: before("token", [{ status: 400, body: { error: "invalid_grant" } }]) },
  { what: "no ID token", setUp: changed(() => ({ id_token: undefined })) },
  { what: "a wrong nonce", setUp: resigned({ nonce: "of another sign-in" }) },
  { what: "a wrong audience", setUp: resigned({ aud: "another" }) },
  { what: "a wrong signature", setUp: changed(({ id_token: token }) => ({ id_token: `${token.slice(0, -10)}AAAAAAAAAA` })) },
];

describe("what may go wrong:", () => {
  for (const { what, stage: options, setUp, slow, passing = slow, stays } of troubles) {
    test(what, async (t) => {
      const staged = await known(t, options);
      setUp?.(staged);
      const found = await restore(staged, slow && SLOW);
      assertNobody(found, { signedIn: false, retryable: passing ?? found.result.retryable });
      if (slow) assert.ok(found.took > 900 && found.took < 3_000, `${found.took} ms`);
      if (stays) return;
      for (const name of ["authorization", "discovery", "token"]) staged.auth.faults[name] = [];
      assert.deepEqual(await staged.page.run((kit) => kit.ward.restore()), SOMEBODY);
    });
  }
});

/** A restore() or a renewal whose frame waits for the server. */
async function begun(t, { renewal = false } = {}) {
  const staged = await known(t);
  const { auth, page } = staged;
  if (renewal) await unrenewable(staged);
  const { held, release } = latch();
  auth.faults.authorization = [{ hold: held }];
  const before = framed(staged).length;
  await page.run(async (kit) => {
    kit.ward ??= await kit.create(kit.discovered({ restore: ["silent"] }));
    kit.waiting = kit.ended(kit.ward.signedIn ? kit.ward.refresh() : kit.ward.restore());
  });
  await auth.authorizationRequests.until(() => framed(staged).length === before + 1);
  return {
    ...staged,
    state: framed(staged).at(-1).params.state,
    requests: () => framed(staged).length - before,
    /** Lets the held answer come, and looks once the page must have had it. */
    async goOn() {
      release();
      await auth.authorizationRequests.until(() => framed(staged).at(-1).status !== null);
      return page.run(async (kit) => {
        const result = await kit.waiting;
        await fetch("/client.json");
        return { ...result, ...kit.look(), frames: document.querySelectorAll("iframe").length };
      });
    },
  };
}

const frames = () => document.querySelectorAll("iframe").length;

describe("while the frame waits,", () => {
  test("what others say of the same state is ignored", async (t) => {
    const staged = await begun(t);
    const { auth, page, state } = staged;
    const heard = await page.run(
      async (kit, state, iss) => {
        const answer = { state, iss, error: "login_required" };
        const heard = [];
        addEventListener("message", ({ data }) => heard.push(data.tokenward?.error));
        postMessage({ tokenward: answer }, location.origin);
        // Another frame of the app that somebody led to an answer of their own.
        const frame = document.createElement("iframe");
        frame.src = `/callback.html?${new URLSearchParams(answer)}`;
        document.documentElement.append(frame);
        while (heard.length < 2) await new Promise((resolve) => addEventListener("message", resolve, { once: true }));
        frame.remove();
        return heard;
      },
      state,
      auth.issuer,
    );
    assert.deepEqual(heard, ["login_required", "login_required"]);
    const { value, user, types } = await staged.goOn();
    assert.deepEqual([value, user?.sub, types], [SOMEBODY, "ada", ["signedin"]]);
  });

  test("a second restore() waits for the same answer", async (t) => {
    const staged = await begun(t);
    await staged.page.run((kit) => {
      kit.waiting = Promise.all([kit.waiting, kit.ended(kit.ward.restore())]);
    });
    const found = await staged.goOn();
    assert.deepEqual([found[0], found[1], found.types], [{ value: SOMEBODY }, { value: SOMEBODY }, ["signedin"]]);
    assert.deepEqual(await staged.page.run((kit) => kit.ward.restore()), SOMEBODY);
    assert.equal(staged.requests(), 1);
  });

  for (const [end, expected] of [
    ["signOut", { value: NOBODY }],
    ["close", { code: "closed" }],
  ]) {
    test(`${end}() takes it away at once, and nobody is signed in`, async (t) => {
      const staged = await begun(t);
      await staged.page.run((kit, end) => void kit.ward[end](), end);
      assert.equal(await staged.page.run(frames), 0);
      const { value, failed, signedIn, types } = await staged.goOn();
      assert.deepEqual(value ? { value } : { code: failed.code }, expected);
      assert.deepEqual([signedIn, types, staged.requests()], [false, [], 1]);
    });
  }

  test("setTokens() begins the session and takes it away", async (t) => {
    const staged = await begun(t);
    await staged.page.run((kit, tokens) => kit.ward.setTokens(tokens), await staged.auth.issueTokens());
    assert.equal(await staged.page.run(frames), 0);
    const { value, signedIn, user, types } = await staged.goOn();
    assert.deepEqual({ value, signedIn, user, types }, { value: SOMEBODY, signedIn: true, user: null, types: ["signedin"] });
  });

  test("a sign-out ends a renewal, too", async (t) => {
    const staged = await begun(t, { renewal: true });
    await staged.page.run((kit) => void kit.ward.signOut());
    assert.equal(await staged.page.run(frames), 0);
    const { failed, signedIn, types } = await staged.goOn();
    assert.deepEqual([failed.code, signedIn, types], ["signed_out", false, ["signedin", "signedout"]]);
  });
});

/** Signs in without a refresh token. */
async function unrenewable(staged, more) {
  staged.auth.faults.token = () => ({ transform: ({ refresh_token: _, ...rest }) => rest });
  const { result } = await restore(staged, more);
  assert.deepEqual(result, SOMEBODY);
  await staged.page.run((kit) => void kit.ward.install());
}

/** One renewal, and what it led to. */
async function renew({ page }) {
  const seen = await page.run(async (kit) => {
    kit.ward.refresh().catch(() => {});
    await kit.until(({ refreshing }) => !refreshing);
    const { type, reason = null } = kit.events.at(-1);
    return { type, reason, signedIn: kit.ward.signedIn, user: kit.ward.user?.sub ?? null };
  });
  assert.equal(await page.run(frames), 0);
  return seen;
}

describe("a session without a refresh token", () => {
  test("is renewed in a hidden frame, when asked or when a resource refuses its token", async (t) => {
    const staged = await known(t);
    await unrenewable(staged);
    assert.deepEqual(await renew(staged), { type: "refreshed", reason: null, signedIn: true, user: "ada" });
    staged.api.refuseNext();
    assert.equal((await staged.page.run((kit) => kit.call())).status, 200);
    assert.deepEqual(await staged.page.run((kit) => kit.eventTypes()), ["signedin", "refreshed", "refreshed"]);
    assert.equal(framed(staged).length, 3);
    assert.ok(staged.auth.tokenRequests.every(({ grantType }) => grantType === "authorization_code"));
    assert.deepEqual(await staged.page.run(frames), 0);
  });

  test("ends with the session at the server", async (t) => {
    const staged = await known(t);
    await unrenewable(staged);
    await signOutElsewhere(staged);
    assert.deepEqual(await renew(staged), { type: "signedout", reason: "login_required", signedIn: false, user: null });
    assert.equal((await staged.page.run((kit) => kit.call())).status, 401);
  });

  test("ends when somebody else has signed in at the server", async (t) => {
    const staged = await known(t);
    await unrenewable(staged);
    await signInElsewhere(staged, "bob");
    assert.deepEqual(await renew(staged), { type: "signedout", reason: "user_changed", signedIn: false, user: null });
  });

  for (const { what, fault, more } of [
    { what: "that is in trouble", fault: refusing("temporarily_unavailable") },
    { what: "that refuses frames", fault: DENY, more: SLOW },
  ]) {
    test(`outlives a server ${what}`, async (t) => {
      const staged = await known(t);
      await unrenewable(staged, more);
      staged.auth.faults.authorization = [fault];
      assert.deepEqual(await renew(staged), { type: "refreshfailed", reason: null, signedIn: true, user: "ada" });
      assert.equal((await staged.page.run((kit) => kit.call())).status, 200);
    });
  }
});
