// Signing in by redirect, and what the server sees of it.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import { AUDIENCE, MFA } from "../../www/servers/auth.mjs";
import { assertSignedIn, press, signInStage } from "./harness/sign-in.mjs";

const B64URL_256 = /^[\w-]{43}$/;

test("by redirect: discovery, the login page, the code, the ID token; then the API, and a renewal", async (t) => {
  const { auth, api, page, depart, finish, app } = await signInStage(t, { auth: { autoLogin: false } });
  await depart({ returnTo: "/orders?page=2#top" });
  await press("allow");
  await page.back();
  const result = await finish();
  assertSignedIn(result);
  assert.deepEqual(result.value, { returnTo: `${app.origin}/orders?page=2#top` });
  assert.equal(result.user.name, "Ada Zo\u00eb \u2713");
  assert.equal(result.user.iss, auth.issuer);
  assert.equal(result.url, `${app.origin}/`);
  assert.deepEqual(result.types, ["signedin"]);

  const after = await page.run(async (kit) => {
    kit.ward.install();
    const { status } = await kit.call();
    await kit.ward.refresh();
    return { status, again: (await kit.call()).status, types: kit.eventTypes(), scope: kit.ward.snapshot().scope, sub: kit.ward.user.sub };
  });
  assert.deepEqual(after, { status: 200, again: 200, types: ["signedin", "refreshed"], scope: "orders", sub: "ada" });
  assert.notEqual(api.requests[0].tokenId, api.requests[1].tokenId);
  assert.deepEqual(auth.tokenRequests.map(({ grantType }) => grantType), ["authorization_code", "refresh_token"]);
  // Before and after the page was left: no metadata are kept.
  assert.equal(auth.discoveryRequests.length, 2);
  assert.equal(auth.jwksRequests.filter(({ headers }) => headers.origin === app.origin).length, 1);
});

test("state, nonce and PKCE verifier are new each time, and go where they belong", async (t) => {
  const { auth, byRedirect, app } = await signInStage(t);
  const nonces = [(await byRedirect()).user.nonce, (await byRedirect()).user.nonce];
  for (const [at, { params, headers }] of auth.authorizationRequests.entries()) {
    const { code_challenge: challenge, state, nonce, ...rest } = params;
    assert.deepEqual(rest, {
      client_id: "spa",
      response_type: "code",
      redirect_uri: `${app.origin}/`,
      code_challenge_method: "S256",
      scope: "openid profile orders",
    });
    assert.match(state, /^r[\w-]{43}$/);
    assert.match(nonce, B64URL_256);
    assert.equal(nonce, nonces[at]);
    const { params: form, headers: sent } = auth.tokenRequests[at];
    const { code, code_verifier: verifier, ...others } = form;
    assert.match(verifier, B64URL_256);
    assert.equal(createHash("sha256").update(verifier).digest("base64url"), challenge);
    assert.equal(code, auth.issuedCodes[at]);
    assert.deepEqual(others, { grant_type: "authorization_code", client_id: "spa", redirect_uri: `${app.origin}/` });
    assert.deepEqual([sent.cookie, sent.authorization, headers.referer], [undefined, undefined, undefined]);
  }
  const [first, second] = auth.authorizationRequests.map(({ params }) => params);
  for (const name of ["state", "nonce", "code_challenge"]) assert.notEqual(first[name], second[name], name);
  const { redirect } = auth.authorizationRequests[0];
  assert.equal(new URL(redirect).searchParams.get("iss"), auth.issuer);
});

describe("what is asked becomes a parameter:", () => {
  const asks = {
    prompt: [{ prompt: "login consent" }, { prompt: "login consent" }],
    loginHint: [{ loginHint: "a&b=c +\u00e9" }, { login_hint: "a&b=c +\u00e9" }],
    maxAge: [{ maxAge: 0 }, { max_age: "0" }],
    "a longer maxAge": [{ maxAge: 1e6 }, { max_age: "1000000" }],
    acrValues: [{ acrValues: `other ${MFA}` }, { acr_values: `other ${MFA}` }],
    uiLocales: [{ uiLocales: "de-CH en" }, { ui_locales: "de-CH en" }],
    resource: [{ resource: AUDIENCE }, { resource: AUDIENCE }],
    "a list of resources": [{ resource: [AUDIENCE] }, { resource: AUDIENCE }],
    scope: [{ scope: "openid orders" }, { scope: "openid orders" }],
    extraParams: [{ extraParams: { "audience": "x y", "ü": "=&" } }, { audience: "x y", "ü": "=&" }],
  };
  for (const [what, [ask, expected]] of Object.entries(asks)) {
    test(what, async (t) => {
      const { auth, byRedirect } = await signInStage(t);
      assertSignedIn(await byRedirect(ask));
      const { params } = auth.authorizationRequests[0];
      for (const [name, value] of Object.entries(expected)) assert.equal(params[name], value, name);
      // RFC 8707 section 2.2: the token request names it, too.
      assert.equal(auth.tokenRequests[0].params.resource, expected.resource);
    });
  }
});

for (const signingAlg of ["RS256", "PS256", "ES256", "EdDSA"]) {
  test(`an ID token signed with ${signingAlg}`, async (t) => {
    const { byRedirect } = await signInStage(t, { auth: { signingAlg } });
    assertSignedIn(await byRedirect());
  });
}

describe("where the endpoints come from:", () => {
  const statuses = (server) => server.discoveryRequests.map(({ status }) => status);

  // Where there is nothing, servers answer in many ways.
  for (const [what, nothing] of [
    ["404", { status: 404, body: "<p>No.</p>" }],
    ["404 without CORS", { status: 404, cors: false }],
    ["a page", { status: 200, body: "<p>Welcome</p>" }],
  ]) {
    test(`RFC 8414's metadata where there are no OpenID ones, but ${what}`, async (t) => {
      const { auth, byRedirect } = await signInStage(t);
      let asked = 0;
      // Each second one: once before the page is left, once after.
      auth.faults.discovery = () => ((asked += 1) % 2 === 1 ? nothing : undefined);
      assertSignedIn(await byRedirect());
      assert.deepEqual(statuses(auth), [nothing.status, 200, nothing.status, 200]);
    });
  }

  test("the options, all of them: no metadata are asked for", async (t) => {
    const { auth, byRedirect } = await signInStage(t);
    const { authorization, token, jwks } = auth.endpoints;
    assertSignedIn(await byRedirect({}, { endpoints: { authorization, token, jwks } }));
    assert.equal(auth.discoveryRequests.length, 0);
  });

  test("the options, without an issuer: no ID token, nobody known", async (t) => {
    const { auth, page } = await signInStage(t);
    await page.leave(async (kit) => {
      const { authorization, token } = kit.auth.endpoints;
      const options = kit.discovered({ issuer: undefined, scope: "orders", endpoints: { authorization, token } });
      return (await kit.create(options)).signIn();
    });
    const result = await page.run(async (kit) => {
      const { authorization, token } = kit.auth.endpoints;
      const options = kit.discovered({ issuer: undefined, scope: "orders", endpoints: { authorization, token } });
      const ward = await kit.create(options);
      const { returnTo } = await ward.handleCallback();
      ward.install();
      return { returnTo, status: (await kit.call()).status, ...kit.look() };
    });
    assert.equal(result.status, 200);
    assert.deepEqual([result.signedIn, result.user, result.stored], [true, null, []]);
    assert.equal(auth.discoveryRequests.length + auth.jwksRequests.filter(({ headers }) => headers.origin).length, 0);
  });

  test("an endpoint among the options goes before the metadata's", async (t) => {
    const { auth, byRedirect } = await signInStage(t);
    auth.faults.discovery = () => ({ transform: (body) => ({ ...body, authorization_endpoint: "https://id.invalid/authorize" }) });
    assertSignedIn(await byRedirect({}, { endpoints: { authorization: auth.endpoints.authorization } }));
    assert.equal(auth.authorizationRequests.length, 1);
  });

  test("a query of the authorization endpoint's own stays", async (t) => {
    const { auth, byRedirect } = await signInStage(t);
    const { authorization, token, jwks } = auth.endpoints;
    assertSignedIn(await byRedirect({}, { endpoints: { authorization: `${authorization}?tenant=a%20b`, token, jwks } }));
    assert.deepEqual([auth.authorizationRequests[0].params.tenant, auth.authorizationRequests[0].params.client_id], ["a b", "spa"]);
  });
});

describe("pushed requests:", () => {
  for (const [what, requirePar, ask] of [
    ["where the server requires them", true, {}],
    ["on request", false, { pushed: true }],
  ]) {
    test(what, async (t) => {
      const { auth, byRedirect, app } = await signInStage(t, { auth: { requirePar } });
      assertSignedIn(await byRedirect({ ...ask, prompt: "login" }));
      assert.deepEqual(Object.keys(auth.authorizationRequests[0].params), ["client_id", "request_uri"]);
      const [{ params, status, headers }] = auth.parRequests;
      assert.equal(status, 201);
      assert.deepEqual([params.redirect_uri, params.prompt, params.response_type], [`${app.origin}/`, "login", "code"]);
      assert.deepEqual([headers.cookie, headers.authorization], [undefined, undefined]);
    });
  }

  test("not otherwise", async (t) => {
    const { auth, byRedirect } = await signInStage(t);
    assertSignedIn(await byRedirect());
    assert.equal(auth.parRequests.length, 0);
  });
});

describe("returnTo", () => {
  const targets = {
    "is the page's URL by default": [undefined, (origin) => `${origin}/index.html?a=1#b`],
    "may be relative to it": ["c?d#e", (origin) => `${origin}/c?d#e`],
    "may be absolute": [(origin) => `${origin}/f`, (origin) => `${origin}/f`],
  };
  for (const [what, [given, expected]] of Object.entries(targets)) {
    test(what, async (t) => {
      const { app, page, leave, finish } = await signInStage(t);
      await page.visit("/index.html?a=1#b");
      const returnTo = typeof given === "function" ? given(app.origin) : given;
      await leave(returnTo === undefined ? {} : { returnTo });
      assert.deepEqual((await finish()).value, { returnTo: expected(app.origin) });
    });
  }

  const refused = {
    "of another origin": () => "https://evil.example/",
    "of another port": (origin) => `${origin}0/`,
    "of another scheme": (origin) => origin.replace("http:", "https:"),
    "of another host": (origin) => origin.replace("127.0.0.1", "localhost"),
    "without a scheme": () => "//evil.example/a",
    "with backslashes": () => "\\\\evil.example/a",
    "that looks like this one, as userinfo": (origin) => `${origin}@evil.example/`,
    "that looks like this one, as a part of a name": (origin) => `${origin}.evil.example/`,
    "that is a script": () => "javascript:alert(1)",
    "that is data": () => "data:text/html,hello",
    "that is a blob": (origin) => `blob:${origin}/5d5d5d5d`,
    "that is no URL": () => "http://",
    "that is empty": () => "",
  };
  for (const [what, given] of Object.entries(refused)) {
    test(`${what} is refused`, async (t) => {
      const { auth, app, page } = await signInStage(t);
      const result = await page.run(async (kit, returnTo) => {
        await kit.create(kit.discovered());
        const { failed, message } = await kit.ended(kit.ward.signIn({ returnTo }));
        return { ...failed, message, ...kit.look() };
      }, given(app.origin));
      assert.deepEqual([result.name, result.code, result.stored], ["TypeError", "invalid_option", []]);
      assert.match(result.message, /returnTo/);
      assert.equal(auth.authorizationRequests.length, 0);
    });
  }
});
