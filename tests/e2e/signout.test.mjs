// Signing out, and the requests that the library makes of its own accord.
import assert from "node:assert/strict";
import { test } from "node:test";
import { latch, stage } from "./harness/stage.mjs";

const BOTH = ["refresh_token", "access_token"];

/** The page keeps what the library sends of its own accord: it takes whatever `fetch` is when it is loaded. */
async function recorded(t) {
  const staged = await stage(t);
  await staged.page.run((kit) => {
    kit.sent = [];
    const { nativeFetch } = kit;
    window.fetch = (url, init) => {
      if (init?.body) {
        const { body, ...rest } = init;
        kit.sent.push({ url, form: Object.fromEntries(new URLSearchParams(new TextDecoder().decode(body))), ...rest });
      }
      return nativeFetch(url, init);
    };
  });
  return staged;
}

test("a renewal is a form from a public client, without credentials, cache or redirects", async (t) => {
  const { auth, page } = await recorded(t);
  const tokens = await auth.issueTokens();
  await page.signIn({ tokens });
  const sent = await page.run(async ({ ward, sent }) => {
    await ward.refresh();
    return sent.map(({ signal, ...request }) => request);
  });
  assert.deepEqual(sent, [
    {
      url: auth.endpoints.token,
      form: { grant_type: "refresh_token", refresh_token: tokens.refresh_token, client_id: "spa" },
      headers: { accept: "application/json", "content-type": "application/x-www-form-urlencoded" },
      method: "POST",
      credentials: "omit",
      cache: "no-store",
      redirect: "error",
      keepalive: false,
    },
  ]);
  const [{ headers }] = auth.tokenRequests;
  assert.deepEqual([headers.authorization, headers.cookie], [undefined, undefined]);
});

test("sign-out wipes at once, then revokes the refresh token first", async (t) => {
  const { auth, api, page } = await recorded(t);
  const tokens = await auth.issueTokens();
  await page.signIn({ tokens });
  const { signedIn, status, result, sent, events } = await page.run(async (kit) => {
    const { ward } = kit;
    const signingOut = ward.signOut();
    const { signedIn } = ward;
    const { status } = ward.snapshot();
    return { signedIn, status, result: await signingOut, sent: kit.sent, events: kit.events };
  });
  assert.deepEqual({ signedIn, status }, { signedIn: false, status: "signed_out" });
  // oidc-provider does not revoke a JWT.
  assert.deepEqual(result, { revoked: false, notRevoked: ["access_token"] });
  assert.deepEqual(events.slice(1), [{ type: "signedout", reason: "sign_out", error: null }]);
  assert.deepEqual(
    sent.map(({ url, form, keepalive }) => ({ url, form, keepalive })),
    [
      { token: tokens.refresh_token, token_type_hint: "refresh_token", client_id: "spa" },
      { token: tokens.access_token, token_type_hint: "access_token", client_id: "spa" },
    ].map((form) => ({ url: auth.endpoints.revocation, form, keepalive: true })),
  );
  assert.deepEqual(new Set(auth.revocationRequests.map(({ tokenTypeHint }) => tokenTypeHint)), new Set(BOTH));

  const refused = await fetch(auth.endpoints.token, {
    method: "POST",
    body: new URLSearchParams({ grant_type: "refresh_token", refresh_token: tokens.refresh_token, client_id: "spa" }),
  });
  assert.equal((await refused.json()).error, "invalid_grant");
  await page.run((kit) => kit.call());
  assert.equal(api.requests[0].tokenReceived, false);
});

// What the server does with the two revocations, and what sign-out says then.
const outcomes = [
  { what: "a server that takes both tokens", fault: { status: 200 }, notRevoked: [] },
  { what: "a server in trouble", fault: { status: 503 }, notRevoked: BOTH },
  { what: "a server that answers nothing", fault: { hang: true }, notRevoked: BOTH },
  { what: "a connection that is reset", fault: { reset: true }, notRevoked: BOTH },
  { what: "a redirect", fault: { status: 307, headers: { Location: "/elsewhere" } }, notRevoked: BOTH },
];

for (const { what, fault, notRevoked } of outcomes) {
  test(`sign-out with ${what}: says what was not revoked`, async (t) => {
    const { auth, page } = await stage(t);
    auth.faults.revocation = () => fault;
    await page.signIn({ requestTimeoutSeconds: 1 });
    const result = await page.run((kit) => kit.ward.signOut());
    assert.equal(result.revoked, notRevoked.length === 0);
    // In the order in which they failed.
    assert.deepEqual(new Set(result.notRevoked), new Set(notRevoked));
    assert.equal(result.notRevoked.length, notRevoked.length);
    assert.equal(auth.revocationRequests.length, 2);
  });
}

test("sign-out without a revocation endpoint clears locally only", async (t) => {
  const { auth, page } = await stage(t);
  await page.signIn({ endpoints: { token: auth.endpoints.token } });
  const result = await page.run((kit) => kit.ward.signOut());
  assert.deepEqual(result, { revoked: false, notRevoked: BOTH });
  assert.equal(auth.revocationRequests.length, 0);
});

test("sign-out when nobody is signed in, or twice, asks nothing and says nothing", async (t) => {
  const { auth, page } = await stage(t);
  const { results, types } = await page.run(async (kit, tokens) => {
    await kit.create();
    const results = [await kit.ward.signOut()];
    kit.ward.setTokens(tokens);
    await kit.ward.signOut();
    results.push(await kit.ward.signOut());
    return { results, types: kit.eventTypes() };
  }, await auth.issueTokens());
  assert.deepEqual(results, Array(2).fill({ revoked: true, notRevoked: [] }));
  assert.deepEqual(types, ["signedin", "signedout"]);
  assert.equal(auth.revocationRequests.length, 2);
});

test("sign-out while a renewal is under way: its answer does not bring the session back", async (t) => {
  const { auth, api, page } = await recorded(t);
  const { held, release } = latch();
  auth.faults.token = [{ hold: held }];
  await page.signIn({ age: 60 });
  await auth.tokenRequests.until((requests) => requests.length === 1);
  const { codes, aborted } = await page.run(async (kit) => {
    const waiting = [fetch(`${kit.api.origin}/v1/orders`), kit.ward.refresh()].map((one) => one.catch(({ code }) => code));
    await kit.ward.signOut();
    return { codes: await Promise.all(waiting), aborted: kit.sent[0].signal.aborted };
  });
  assert.deepEqual(codes, ["signed_out", "signed_out"]);
  assert.equal(aborted, true);
  release();
  await auth.tokenRequests.until(([{ status }]) => status !== null);
  const { signedIn, types } = await page.run(async (kit) => {
    await kit.call();
    return { signedIn: kit.ward.signedIn, types: kit.eventTypes() };
  });
  assert.equal(signedIn, false);
  assert.deepEqual(types, ["signedin", "signedout"]);
  assert.deepEqual(api.requests.map(({ tokenReceived }) => tokenReceived), [false]);
});

test("somebody else signs in while the last one's tokens are being revoked", async (t) => {
  const { auth, api, page } = await stage(t);
  const { held, release } = latch();
  auth.faults.revocation = [{ hold: held }, { hold: held }];
  await page.signIn();
  const next = await auth.issueTokens();
  const { status, generation } = await page.run(async (kit, tokens) => {
    kit.signingOut = kit.ward.signOut();
    kit.ward.setTokens(tokens);
    const { status } = await kit.call();
    return { status, generation: kit.ward.snapshot().generation };
  }, next);
  assert.deepEqual({ status, generation }, { status: 200, generation: 1 });
  release();
  await page.run((kit) => kit.signingOut);
  assert.equal((await page.run((kit) => kit.call())).status, 200);
  assert.equal(api.requests.length, 2);
  assert.equal(auth.tokenRequests.length, 0);
});

test("close() gives up a renewal, but not a revocation", async (t) => {
  const { auth, page } = await recorded(t);
  auth.faults.token = [{ hang: true }];
  await page.signIn({ age: 60 });
  const renewal = await page.run((kit) => {
    const [{ signal }] = kit.sent;
    const before = signal.aborted;
    kit.ward.close();
    return [before, signal.aborted];
  });
  assert.deepEqual(renewal, [false, true]);

  await page.signIn();
  const { result, aborted } = await page.run(async (kit) => {
    const signingOut = kit.ward.signOut();
    kit.ward.close();
    const aborted = kit.sent.slice(1).map(({ signal }) => signal.aborted);
    return { result: await signingOut, aborted };
  });
  assert.deepEqual(result, { revoked: false, notRevoked: BOTH });
  assert.deepEqual(aborted, [false, false]);
  await auth.revocationRequests.until((requests) => requests.length === 2);
});
