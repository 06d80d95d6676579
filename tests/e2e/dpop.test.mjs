// Tokens that are bound to a key (RFC 9449), from the sign-in to the API; both servers want their nonces.
import assert from "node:assert/strict";
import { test } from "node:test";
import { calculateJwkThumbprint, decodeJwt, decodeProtectedHeader } from "jose";
import { inTab, newTab, signInAtBackend, signInAtServer } from "./harness/sessions.mjs";
import { assertFailed, assertSignedIn, signInStage } from "./harness/sign-in.mjs";
import { stage } from "./harness/stage.mjs";
import { picture, setUp, workerStage } from "./harness/workers.mjs";

const DPOP = { dpop: true };

async function boundStage(t, options) {
  const staged = await signInStage(t, { ...options, auth: { dpop: "required", ...options?.auth } });
  staged.api.nonce = "n-1";
  return staged;
}

const proofs = (requests) => requests.map(({ headers }) => decodeJwt(headers.dpop));

test("by redirect: nonces, the key bound from the start, a renewal, a 401", async (t) => {
  const { auth, api, page, byRedirect } = await boundStage(t);
  assertSignedIn(await byRedirect({}, DPOP));
  const after = await page.run(async (kit) => {
    kit.ward.install();
    const statuses = [(await kit.call()).status, (await kit.call("/v1/echo?x=1", { method: "post", body: "tea" })).status];
    await kit.ward.refresh();
    statuses.push((await kit.call()).status);
    return { statuses, types: kit.eventTypes() };
  });
  assert.deepEqual(after, { statuses: [200, 200, 200], types: ["signedin", "refreshed"] });
  // The nonce was new for the first request only.
  assert.deepEqual(api.requests.map(({ status }) => status), [401, 200, 200, 200]);

  const { jwk, ...header } = decodeProtectedHeader(api.requests[0].headers.dpop);
  assert.deepEqual(header, { typ: "dpop+jwt", alg: "ES256" });
  assert.deepEqual(Object.keys(jwk).sort(), ["crv", "kty", "x", "y"]);
  assert.equal(auth.authorizationRequests[0].params.dpop_jkt, await calculateJwkThumbprint(jwk));
  const claims = proofs(api.requests);
  assert.deepEqual(claims.map(({ htm, htu, nonce }) => [htm, htu, nonce]), [
    ["GET", `${api.origin}/v1/orders`, undefined],
    ["GET", `${api.origin}/v1/orders`, "n-1"],
    ["POST", `${api.origin}/v1/echo`, "n-1"],
    ["GET", `${api.origin}/v1/orders`, "n-1"],
  ]);
  assert.deepEqual(claims.map(({ ath }) => ath === claims[0].ath), [true, true, true, false]);
  assert.equal(new Set(claims.map(({ jti }) => jti)).size, 4);
  assert.deepEqual(
    auth.tokenRequests.map(({ grantType, status, error }) => [grantType, status, error]),
    [
      ["authorization_code", 400, "use_dpop_nonce"],
      ["authorization_code", 200, null],
      ["refresh_token", 200, null],
    ],
  );
  for (const { htm, htu } of proofs(auth.tokenRequests)) assert.deepEqual([htm, htu], ["POST", auth.endpoints.token]);

  // A refused token and a new nonce, one after the other.
  api.nonce = "n-2";
  api.refuseNext(1, 'DPoP error="invalid_token"');
  assert.equal((await page.run((kit) => kit.call())).status, 200);
  assert.deepEqual(api.requests.slice(4).map(({ status, headers }) => [status, decodeJwt(headers.dpop).nonce]), [
    [401, "n-1"],
    [401, "n-2"],
    [200, "n-2"],
  ]);
  assert.equal(auth.tokenRequests.length, 4);
});

test("by popup, the request pushed; XMLHttpRequest too", async (t) => {
  const { auth, api, page, byPopup } = await boundStage(t, { auth: { requirePar: true } });
  assertSignedIn(await byPopup({}, DPOP));
  assert.ok(auth.parRequests[0].params.dpop_jkt);
  const outcome = await page.run(async (kit) => {
    kit.ward.install({ xhr: true });
    const ask = (url) =>
      new Promise((resolve) => {
        const xhr = new XMLHttpRequest();
        xhr.open("GET", url);
        const events = [];
        for (const type of ["readystatechange", "loadstart", "load", "error", "loadend"]) {
          xhr.addEventListener(type, () => events.push(type + xhr.readyState));
        }
        xhr.addEventListener("loadend", () => resolve({ status: xhr.status, events }));
        xhr.send();
      });
    const first = await ask(`${kit.api.origin}/v1/orders`);
    return { first, second: await ask(`${kit.api.origin}/v1/orders`) };
  });
  const events = ["loadstart1", "readystatechange2", "readystatechange3", "readystatechange4", "load4", "loadend4"];
  for (const { status, events: seen } of Object.values(outcome)) assert.deepEqual([status, seen], [200, events]);
  assert.deepEqual(api.requests.map(({ status }) => status), [401, 200, 200]);
});

test("a token that was stolen without its key is refused, whatever comes along", async (t) => {
  const { auth, api, byRedirect, page } = await boundStage(t);
  api.nonce = undefined;
  assertSignedIn(await byRedirect({}, DPOP));
  await page.run(async (kit) => (kit.ward.install(), kit.call()));
  const { authorization, dpop } = api.requests[0].headers;
  const token = authorization.split(" ")[1];
  assert.equal(decodeJwt(token).cnf.jkt, auth.authorizationRequests[0].params.dpop_jkt);
  const steal = async (headers) => (await fetch(`${api.origin}/v1/orders`, { headers })).status;
  assert.equal(await steal({ authorization: `Bearer ${token}` }), 401);
  assert.equal(await steal({ authorization }), 401);
  assert.equal(await steal({ authorization, dpop }), 401);
});

test("a server that issues a bearer token all the same: nobody is signed in", async (t) => {
  const { auth, byRedirect } = await boundStage(t);
  auth.faults.token = [{}, { transform: (body) => ({ ...body, token_type: "Bearer" }) }];
  const result = await byRedirect({}, DPOP);
  assertFailed(result, "token_type_mismatch");
});

test("a renewal that brings one: the session stays, and the next one is good", async (t) => {
  const { auth, byRedirect, page } = await boundStage(t);
  assertSignedIn(await byRedirect({}, DPOP));
  auth.faults.token = [{ transform: (body) => ({ ...body, token_type: "Bearer" }) }];
  const outcome = await page.run(async (kit) => {
    kit.ward.install();
    await kit.ward.refresh();
    return { status: (await kit.call()).status, types: kit.eventTypes() };
  });
  assert.deepEqual(outcome, { status: 200, types: ["signedin", "refreshfailed", "refreshed"] });
});

test("setTokens() takes the app's own key, and no token without one", async (t) => {
  const { auth, api, byRedirect, page } = await boundStage(t);
  assertSignedIn(await byRedirect({}, DPOP));
  const outcome = await page.run(async (kit) => {
    const refused = [];
    const attempt = (ward, ...args) => {
      try {
        ward.setTokens(...args);
      } catch ({ name, code, message }) {
        refused.push([name, code, message]);
      }
    };
    const tokens = { access_token: "app", token_type: "DPoP" };
    const pair = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, false, ["sign"]);
    const { TokenWard } = await kit.library();
    const bearer = await TokenWard.create(kit.options());
    attempt(bearer, tokens);
    attempt(bearer, tokens, { dpopKey: pair });
    const bound = await TokenWard.create(kit.options({ dpop: true }));
    attempt(bound, tokens);
    attempt(bound, { access_token: "app" }, { dpopKey: pair });
    attempt(bound, tokens, { dpopKey: {} });
    bound.setTokens(tokens, { dpopKey: pair });
    const answer = await bound.fetch(`${kit.api.origin}/v1/orders`);
    return { refused, status: answer.status, signedIn: bound.signedIn };
  });
  const key = ["TypeError", "invalid_option"];
  const type = "token_type must be Bearer, or DPoP where the option dpop is set";
  assert.deepEqual(outcome.refused, [
    ["TypeError", "invalid_token_response", type],
    [...key, "dpopKey must not be set without dpop"],
    [...key, "dpopKey must be set"],
    ["TypeError", "invalid_token_response", type],
    [...key, "dpopKey must be a CryptoKeyPair for ES256"],
  ]);
  assert.equal(outcome.signedIn, true);
  assert.equal(outcome.status, 401);
  assert.equal(api.requests.at(-1).headers.authorization, "DPoP app");
  assert.equal(decodeJwt(api.requests.at(-1).headers.dpop).htm, "GET");
  assert.equal(auth.tokenRequests.length, 2);
});

test("in a hidden frame: restored with a key, renewed with the same", async (t) => {
  const { api, byRedirect, page } = await boundStage(t, { auth: { host: "127.0.0.1" } });
  assertSignedIn(await byRedirect({}, DPOP));
  await page.visit();
  const outcome = await page.run(async (kit) => {
    await kit.create(kit.discovered({ dpop: true, restore: ["silent"] }));
    kit.ward.install();
    const { signedIn } = await kit.ward.restore();
    const statuses = [(await kit.call()).status];
    await kit.ward.refresh();
    statuses.push((await kit.call()).status);
    return { signedIn, statuses };
  });
  assert.deepEqual(outcome, { signedIn: true, statuses: [200, 200] });
  const keys = await Promise.all(api.requests.map(({ headers }) => calculateJwkThumbprint(decodeProtectedHeader(headers.dpop).jwk)));
  assert.equal(new Set(keys).size, 1);
});

test("a backend's session keeps its key over a reload and among tabs, until the user signs out", async (t) => {
  const staged = await stage(t, { backend: true, accessTokenTtl: 300, auth: { dpop: "required", autoLogin: "ada" } });
  const { api, auth, page } = staged;
  api.nonce = "n-1";
  await signInAtBackend(staged);
  const join = () =>
    page.run(async (kit) => {
      const session = { ...kit.mediated().session, tokenEndpoint: kit.auth.endpoints.token };
      await kit.create(kit.mediated({ dpop: true, session }));
      kit.ward.install();
      const { signedIn } = await kit.ward.restore();
      return { signedIn, status: (await kit.call()).status };
    });
  const good = { signedIn: true, status: 200 };
  assert.deepEqual(await join(), good);
  await page.visit();
  assert.deepEqual(await join(), good);
  const visit = async () => (await page.visit(), join());
  assert.deepEqual(await inTab(await newTab(), visit), good);
  const key = ({ headers }) => calculateJwkThumbprint(decodeProtectedHeader(headers.dpop).jwk);
  const [first, ...others] = await Promise.all(api.requests.map(key));
  assert.ok(others.length >= 3 && others.every((other) => other === first));
  for (const { headers, status } of auth.tokenRequests.filter(({ grantType }) => grantType === "refresh_token")) {
    assert.equal(decodeJwt(headers.dpop).htu, auth.endpoints.token);
    assert.ok([200, 400].includes(status));
  }
  await page.run((kit) => kit.ward.signOut());
  await signInAtBackend(staged);
  assert.deepEqual(await join(), good);
  assert.notEqual(await key(api.requests.at(-1)), first);
});

test("a service worker proves with the page's key", async (t) => {
  const staged = await workerStage(t, { auth: { dpop: "required", autoLogin: "ada" } });
  const { api, page } = staged;
  api.nonce = "n-1";
  await signInAtServer(staged);
  await page.run(setUp);
  const signedIn = await page.run(async (kit) => {
    await kit.create(kit.discovered({ dpop: true, restore: ["silent"] }));
    const restored = await kit.ward.restore();
    await kit.connect();
    return restored.signedIn;
  });
  assert.equal(signedIn, true);
  assert.equal(await picture(staged), "load");
  assert.deepEqual(api.requests.map(({ status }) => status), [401, 200]);
  assert.equal(decodeJwt(api.requests[1].headers.dpop).nonce, "n-1");
});
