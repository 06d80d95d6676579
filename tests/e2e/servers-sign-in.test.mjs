// What the authorization server of the demo and the browser tests does for a sign-in, without a browser.
import assert from "node:assert/strict";
import { createHash, generateKeyPairSync, randomBytes } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { createLocalJWKSet, createRemoteJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from "jose";
import { startApiServer } from "../../www/servers/api.mjs";
import { AUDIENCE, CLIENT_ID, MFA, startAuthServer } from "../../www/servers/auth.mjs";
import { CookieJar } from "./harness/jar.mjs";

const APP = "http://127.0.0.1:4999";
const REDIRECT_URI = `${APP}/callback.html`;
const VERIFIER = randomBytes(32).toString("base64url");
const CHALLENGE = createHash("sha256").update(VERIFIER).digest("base64url");

let auth;
let api;

const options = {
  appOrigins: [APP],
  redirectUris: [`${APP}/`, REDIRECT_URI],
  postLogoutRedirectUris: [`${APP}/`],
  frontchannelLogoutUri: `${APP}/frontchannel.html`,
};

before(async () => {
  auth = await startAuthServer({ ...options, autoLogin: true });
  api = await startApiServer({ issuer: auth.issuer, audience: AUDIENCE, jwks: auth.jwks, appOrigins: [APP] });
});

after(() => Promise.all([auth, api].map((server) => server?.close())));

const newJar = () => new CookieJar((url) => url.origin === APP);

const post = (url, parameters, init) =>
  fetch(url, { method: "POST", headers: { origin: APP }, body: new URLSearchParams(parameters), ...init });

const request = (parameters) => ({
  response_type: "code",
  client_id: CLIENT_ID,
  redirect_uri: REDIRECT_URI,
  scope: "openid profile offline_access orders",
  state: "some-state",
  nonce: "some-nonce",
  code_challenge: CHALLENGE,
  code_challenge_method: "S256",
  ...parameters,
});

/** @returns {Promise<URL | Response>} the URL back at the app, or the page that the user would see */
const authorize = (parameters, jar = newJar(), server = auth) =>
  jar.follow(`${server.endpoints.authorization}?${new URLSearchParams(request(parameters))}`);

const exchange = (code, server = auth) =>
  post(server.endpoints.token, {
    grant_type: "authorization_code",
    client_id: CLIENT_ID,
    redirect_uri: REDIRECT_URI,
    code,
    code_verifier: VERIFIER,
  });

async function signIn(parameters, jar, server) {
  const url = await authorize(parameters, jar, server);
  return (await exchange(url.searchParams.get("code"), server)).json();
}

const idTokenClaims = async (...args) => decodeJwt((await signIn(...args)).id_token);
const callStepUp = ({ access_token: token }) =>
  fetch(`${api.origin}/v1/stepup`, { headers: { authorization: `Bearer ${token}` } });

describe("sign-in", () => {
  test("the code flow ends with an ID token, and journals hold what was sent", async () => {
    const url = await authorize();
    assert.equal(url.searchParams.get("iss"), auth.issuer);
    assert.equal(url.searchParams.get("state"), "some-state");
    const tokens = await (await exchange(url.searchParams.get("code"))).json();
    const { payload, protectedHeader } = await jwtVerify(
      tokens.id_token,
      createRemoteJWKSet(new URL(auth.endpoints.jwks)),
      { issuer: auth.issuer, audience: CLIENT_ID },
    );
    assert.deepEqual(protectedHeader, { alg: "ES256", kid: auth.jwks.keys[0].kid });
    assert.equal(payload.sub, "ada");
    assert.equal(payload.name, "Ada Zoë ✓");
    assert.equal(payload.nonce, "some-nonce");
    assert.match(payload.sid, /./);
    assert.ok(Math.abs(payload.auth_time - Date.now() / 1000) < 10);
    assert.equal(payload.acr, undefined);

    assert.ok(tokens.refresh_token);
    for (const name of ["access_token", "refresh_token", "id_token"]) assert.ok(auth.issuedTokens.includes(tokens[name]), name);
    assert.ok(auth.issuedCodes.includes(url.searchParams.get("code")));
    const asked = auth.authorizationRequests.at(-1);
    assert.deepEqual(asked.params, request());
    assert.equal(asked.redirect, url.href);
    const { params, clientId } = auth.tokenRequests.at(-1);
    assert.equal(params.code_verifier, VERIFIER);
    assert.equal(params.redirect_uri, REDIRECT_URI);
    assert.equal(clientId, CLIENT_ID);
  });

  for (const signingAlg of ["RS256", "PS256", "EdDSA"]) {
    test(`tokens are signed with ${signingAlg}`, async (t) => {
      const server = await startAuthServer({ ...options, signingAlg, autoLogin: true });
      t.after(server.close);
      const { id_token: idToken, access_token: accessToken } = await signIn({}, newJar(), server);
      for (const token of [idToken, accessToken]) {
        assert.equal(decodeProtectedHeader(token).alg, signingAlg);
        await jwtVerify(token, createLocalJWKSet(server.jwks), { issuer: server.issuer });
      }
    });
  }

  test("a pushed request is good once, and can be required", async (t) => {
    const push = (server) => post(server.endpoints.par, request());
    const response = await push(auth);
    assert.equal(response.status, 201);
    assert.equal(response.headers.get("access-control-allow-origin"), APP);
    const { request_uri } = await response.json();
    const record = auth.parRequests.at(-1);
    assert.deepEqual([record.params, record.status, record.clientId], [request(), 201, CLIENT_ID]);

    const short = (server, uri) =>
      `${server.endpoints.authorization}?${new URLSearchParams({ client_id: CLIENT_ID, request_uri: uri })}`;
    const url = await newJar().follow(short(auth, request_uri));
    assert.equal((await exchange(url.searchParams.get("code"))).status, 200);
    assert.deepEqual(auth.authorizationRequests.at(-1).params, { client_id: CLIENT_ID, request_uri });
    const again = await newJar().follow(short(auth, request_uri));
    assert.ok(again instanceof Response || again.searchParams.has("error"));

    const strict = await startAuthServer({ ...options, requirePar: true, autoLogin: true });
    t.after(strict.close);
    assert.equal((await authorize({}, newJar(), strict)).searchParams.get("error"), "invalid_request");
    const pushed = await (await push(strict)).json();
    assert.ok((await newJar().follow(short(strict, pushed.request_uri))).searchParams.get("code"));
  });

  test("prompt=none needs a session, and shows no page with one", async () => {
    const jar = newJar();
    const first = await authorize({ prompt: "none" }, jar);
    assert.equal(first.searchParams.get("error"), "login_required");
    assert.equal(first.searchParams.get("iss"), auth.issuer);
    assert.equal(first.searchParams.get("state"), "some-state");
    const { sid } = await idTokenClaims({ prompt: "consent" }, jar);
    const silent = await signIn({ prompt: "none" }, jar);
    assert.equal(decodeJwt(silent.id_token).sid, sid);
    assert.ok(silent.refresh_token);
  });

  test("what was granted once needs no page again, whatever was asked for in between", async () => {
    const jar = newJar();
    await signIn({ prompt: "consent" }, jar);
    await signIn({ prompt: "login", scope: "openid" }, jar);
    const silent = await signIn({ prompt: "none" }, jar);
    assert.equal(silent.scope, "orders");
    assert.equal(decodeJwt(silent.id_token).name, "Ada Zoë ✓");
    const strange = await authorize({ prompt: "none", scope: "openid admin" }, jar);
    assert.equal(strange.searchParams.get("error"), "consent_required");
  });

  test("the account signed in by itself is changed at run time, also in a session", async (t) => {
    t.after(() => (auth.settings.autoLogin = true));
    const jar = newJar();
    assert.equal((await idTokenClaims({}, jar)).sub, "ada");
    auth.settings.autoLogin = "grace";
    assert.equal((await idTokenClaims({ prompt: "none" }, jar)).sub, "ada");

    // One session ends before the other begins, with a page that sends itself.
    const page = await authorize({ prompt: "login" }, jar);
    const url = await jar.submit(await page.text(), page.url);
    const { sub, name } = decodeJwt((await (await exchange(url.searchParams.get("code"))).json()).id_token);
    assert.deepEqual([sub, name], ["grace", "Grace Zoë ✓"]);
  });

  test("a hint at another account needs a page, where anybody may sign in", async (t) => {
    t.after(() => (auth.settings.autoLogin = true));
    const { id_token: hint } = await signIn();
    auth.settings.autoLogin = "grace";
    const jar = newJar();
    assert.equal((await idTokenClaims({}, jar)).sub, "grace");
    assert.equal((await authorize({ id_token_hint: hint, prompt: "none" }, jar)).searchParams.get("error"), "login_required");
    assert.equal((await idTokenClaims({ id_token_hint: hint }, jar)).sub, "grace");
  });

  test("the page takes a name, and proposes the one in login_hint", async (t) => {
    t.after(() => (auth.settings.autoLogin = true));
    auth.settings.autoLogin = false;
    const jar = newJar();
    const page = await authorize({ login_hint: 'mary"' }, jar);
    const html = await page.text();
    assert.match(html, /value="mary&#34;"/);
    const url = await jar.submit(html, page.url, { login: "joan", answer: "allow" });
    assert.equal(auth.authorizationRequests.at(-1).redirect, url.href);
    const tokens = await (await exchange(url.searchParams.get("code"))).json();
    assert.equal(decodeJwt(tokens.id_token).sub, "joan");
    assert.equal((await jar.fetch(page.url)).status, 400);
  });

  test("prompt=login, max_age and nothing else make the sign-in a new one", async (t) => {
    const jar = newJar();
    const first = await idTokenClaims({}, jar);
    t.mock.timers.enable({ apis: ["Date"], now: Date.now() + 100_000 });
    const authTime = async (parameters) => (await idTokenClaims(parameters, jar)).auth_time - first.auth_time;
    assert.equal(await authTime({ max_age: 200 }), 0);
    assert.equal(await authTime({ prompt: "consent" }), 0);
    assert.equal((await authorize({ max_age: 60, prompt: "none" }, jar)).searchParams.get("error"), "login_required");
    assert.ok((await authTime({ max_age: 60 })) >= 100);
    t.mock.timers.tick(100_000);
    assert.ok((await authTime({ prompt: "login" })) >= 200);
  });
});

describe("step-up", () => {
  test("acr_values lead to a second factor, which the API believes for a minute", async (t) => {
    const jar = newJar();
    assert.equal((await callStepUp(await signIn({}, jar))).status, 401);
    assert.equal((await authorize({ acr_values: MFA, prompt: "none" }, jar)).searchParams.get("error"), "login_required");
    const tokens = await signIn({ acr_values: MFA, max_age: 60 }, jar);
    assert.equal(decodeJwt(tokens.id_token).acr, MFA);
    assert.equal((await callStepUp(tokens)).status, 200);
    assert.equal(decodeJwt((await signIn({ acr_values: MFA, prompt: "none" }, jar)).id_token).acr, MFA);

    t.mock.timers.enable({ apis: ["Date"], now: Date.now() + 61_000 });
    const refreshed = await post(auth.endpoints.token, {
      grant_type: "refresh_token",
      client_id: CLIENT_ID,
      refresh_token: tokens.refresh_token,
    });
    const stale = await refreshed.json();
    assert.equal(decodeJwt(stale.access_token).acr, MFA);
    const refusal = await callStepUp(stale);
    assert.equal(refusal.status, 401);
    assert.match(refusal.headers.get("www-authenticate"), /insufficient_user_authentication/);
  });

  test("a server can ignore what was asked for", async (t) => {
    t.after(() => (auth.settings.ignoreAcr = false));
    auth.settings.ignoreAcr = true;
    const tokens = await signIn({ acr_values: MFA });
    assert.equal(decodeJwt(tokens.id_token).acr, undefined);
    assert.equal((await callStepUp(tokens)).status, 401);
  });
});

describe("sign-out", () => {
  const endSession = (jar, parameters) => jar.follow(`${auth.endpoints.endSession}?${new URLSearchParams(parameters)}`);

  test("needs a click unless sign-in needs none, and leads back", async (t) => {
    t.after(() => (auth.settings.autoLogin = true));
    for (const autoLogin of [true, false]) {
      auth.settings.autoLogin = true;
      const jar = newJar();
      const { id_token: hint } = await signIn({}, jar);
      auth.settings.autoLogin = autoLogin;
      const parameters = { id_token_hint: hint, client_id: CLIENT_ID, post_logout_redirect_uri: `${APP}/`, state: "bye" };
      const page = await endSession(jar, parameters);
      const html = await page.text();
      assert.match(html, /<button id="confirm-logout"/);
      const [, script] = /<script>(.*)<\/script>/.exec(html) ?? [];
      assert.equal(script !== undefined, autoLogin);
      const policy = page.headers.get("content-security-policy");
      assert.equal(policy.includes("script-src"), autoLogin);
      if (script) assert.ok(policy.includes(`'sha256-${createHash("sha256").update(script).digest("base64")}'`));
      assert.equal((await authorize({ prompt: "none" }, jar)).searchParams.has("code"), true);

      const url = await jar.submit(html, page.url, { logout: "yes" });
      assert.equal(url.href, `${APP}/?state=bye`);
      assert.equal((await authorize({ prompt: "none" }, jar)).searchParams.get("error"), "login_required");
      assert.deepEqual(auth.endSessionRequests.at(-1).params, parameters);
    }
  });

  test("does not lead to an address that was not registered", async () => {
    const jar = newJar();
    const { id_token: hint } = await signIn({}, jar);
    const page = await endSession(jar, { id_token_hint: hint, post_logout_redirect_uri: `${APP}/elsewhere` });
    assert.equal(page.status, 400);
    assert.match(await page.text(), /not registered/);
  });

  test("front channel: a page that frames the app's, with issuer and session", async () => {
    const jar = newJar();
    const { sid } = await idTokenClaims({}, jar);
    const framed = async (query) => {
      const html = await (await jar.fetch(`${auth.origin}/frontchannel-test${query}`)).text();
      return new URL(/<iframe src="([^"]+)"/.exec(html)[1].replaceAll("&#38;", "&"));
    };
    const url = await framed("");
    assert.equal(url.origin + url.pathname, options.frontchannelLogoutUri);
    assert.deepEqual(Object.fromEntries(url.searchParams), { iss: auth.issuer, sid });
    const other = await framed(`?${new URLSearchParams({ uri: `${APP}/other.html?a=b`, iss: "https://id.example", sid: "x" })}`);
    assert.equal(other.href, `${APP}/other.html?a=b&iss=https%3A%2F%2Fid.example&sid=x`);
  });
});

describe("faults", () => {
  const discovery = () => fetch(`${auth.issuer}/.well-known/openid-configuration`, { headers: { origin: APP } });
  const jwks = () => fetch(auth.endpoints.jwks, { headers: { origin: APP } });
  const par = () => post(auth.endpoints.par, request());

  test("of discovery, keys and pushed requests, which are journalled", async () => {
    for (const [name, ask] of Object.entries({ discovery, jwks, par })) {
      const journal = auth[`${name}Requests`];
      const before = journal.length;
      auth.faults[name] = [
        { status: 500, headers: { "x-fault": "1" }, body: { error: "server_error" } },
        { reset: true },
        { transform: async (body) => ({ ...body, keys: [], changed: name }) },
      ];
      const refused = await ask();
      assert.deepEqual([refused.status, refused.headers.get("x-fault")], [500, "1"]);
      assert.deepEqual(await refused.json(), { error: "server_error" });
      assert.equal(refused.headers.get("access-control-allow-origin"), APP);
      await assert.rejects(ask());
      assert.equal((await (await ask()).json()).changed, name);
      const whole = await ask();
      assert.ok(["*", APP].includes(whole.headers.get("access-control-allow-origin")));
      assert.equal((await whole.json()).changed, undefined);
      const records = journal.slice(before).map(({ status, faulted }) => [status, faulted]);
      const good = name === "par" ? 201 : 200;
      assert.deepEqual(records, [[500, true], [0, true], [good, true], [good, false]], name);
    }
  });

  test("a transformed answer changes nothing at the server", async () => {
    auth.faults.jwks = [
      {
        transform(body) {
          body.keys.pop();
          return body;
        },
      },
    ];
    assert.deepEqual((await (await jwks()).json()).keys, []);
    assert.equal((await (await jwks()).json()).keys[0].kid, auth.jwks.keys[0].kid);
  });

  test("a request may hang", async () => {
    auth.faults.discovery = [{ hang: true }];
    await assert.rejects(fetch(`${auth.issuer}/.well-known/openid-configuration`, { signal: AbortSignal.timeout(100) }));
    assert.equal(auth.discoveryRequests.at(-1).status, 0);
  });

  test("of the authorization endpoint: another answer, or another way back", async (t) => {
    t.after(() => (auth.settings.autoLogin = true));
    auth.faults.authorization = [
      { status: 503, body: "<p>Later.</p>" },
      { redirect: (url) => void url.searchParams.set("state", "wrong") },
      { redirect: (url) => void url.searchParams.delete("iss") },
      { redirect: () => new URL(`${REDIRECT_URI}?error=server_error`) },
    ];
    assert.equal((await authorize()).status, 503);
    const wrong = await authorize();
    assert.deepEqual([wrong.searchParams.get("state"), wrong.searchParams.get("iss")], ["wrong", auth.issuer]);
    assert.equal((await authorize({ prompt: "none" })).searchParams.has("iss"), false);
    // After the page as well.
    auth.settings.autoLogin = false;
    const jar = newJar();
    const page = await authorize({}, jar);
    assert.equal((await jar.submit("", page.url, { answer: "allow" })).search, "?error=server_error");
    auth.settings.autoLogin = true;
    assert.equal((await authorize()).searchParams.get("state"), "some-state");
  });

  test("tokens and codes that a fault kept back or changed are known as issued", async () => {
    const url = await authorize();
    let real;
    auth.faults.token = [
      {
        transform: async (body) => {
          real = body.id_token;
          return { ...body, id_token: await auth.signIdToken({ ...decodeJwt(real), nonce: "forged" }) };
        },
      },
    ];
    const { id_token: forged } = await (await exchange(url.searchParams.get("code"))).json();
    assert.equal(decodeJwt(forged).nonce, "forged");
    assert.deepEqual(decodeProtectedHeader(forged), decodeProtectedHeader(real));
    await jwtVerify(forged, createLocalJWKSet(auth.jwks), { issuer: auth.issuer });
    for (const token of [real, forged]) assert.ok(auth.issuedTokens.includes(token));
  });
});

test("forged tokens: another key, another header, none at all", async () => {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const keys = createLocalJWKSet(auth.jwks);
  const foreign = await auth.signIdToken({ a: 1 }, { key: privateKey });
  await assert.rejects(jwtVerify(foreign, keys), { code: "ERR_JWS_SIGNATURE_VERIFICATION_FAILED" });
  const bare = await auth.signIdToken({ a: 1 }, { header: { kid: undefined, typ: "JWT" } });
  assert.deepEqual(decodeProtectedHeader(bare), { alg: "ES256", typ: "JWT" });
  assert.ok(auth.issuedTokens.includes(bare));
  assert.equal((await jwtVerify(bare, keys)).payload.a, 1);
  const shared = await auth.signIdToken({ a: 1 }, { header: { alg: "HS256" }, key: Buffer.alloc(32) });
  assert.equal(decodeProtectedHeader(shared).alg, "HS256");
  assert.match(await auth.signIdToken({ a: 1 }, { header: { alg: "none" } }), /^[\w-]+\.[\w-]+\.$/);
  assert.equal(Buffer.from((await auth.signIdToken("no JSON")).split(".")[1], "base64url").toString(), "no JSON");
});

test("headers that keep a sign-in out of frames and from its opener", async (t) => {
  t.after(() => Object.assign(auth.settings, { autoLogin: true, refuseFraming: false, coop: false }));
  auth.settings.autoLogin = false;
  const jar = newJar();
  const seen = async () => {
    const page = await authorize({}, jar);
    const redirect = await jar.fetch(`${auth.endpoints.authorization}?${new URLSearchParams(request({ prompt: "none" }))}`);
    return [page, redirect].map(({ headers }) => [headers.get("x-frame-options"), headers.get("cross-origin-opener-policy")]);
  };
  assert.deepEqual(await seen(), [[null, null], [null, null]]);
  Object.assign(auth.settings, { refuseFraming: true, coop: true });
  assert.deepEqual(await seen(), [["DENY", "same-origin"], ["DENY", "same-origin"]]);
});

test("a server by the name of localhost is reached at every loopback address", async (t) => {
  const server = await startAuthServer({ ...options, host: "localhost", autoLogin: true });
  let closed;
  const close = () => (closed ??= server.close());
  t.after(close);
  assert.equal(server.issuer, `http://localhost:${server.port}`);
  const { id_token: idToken } = await signIn({}, newJar(), server);
  assert.equal(decodeJwt(idToken).iss, server.issuer);
  const reached = (host) => fetch(`http://${host}:${server.port}/jwks`).then(({ status }) => status);
  assert.deepEqual(await Promise.all(["localhost", "127.0.0.1"].map(reached)), [200, 200]);
  const six = await reached("[::1]").catch(({ cause }) => cause.code);
  assert.ok([200, "EADDRNOTAVAIL", "EAFNOSUPPORT", "ENETUNREACH"].includes(six), six);
  await close();
  await assert.rejects(reached("127.0.0.1"));
});
