// The servers that the demo and the browser tests stand on, without a browser.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { startApiServer } from "../../www/servers/api.mjs";
import { AUDIENCE, CLIENT_ID, startAuthServer } from "../../www/servers/auth.mjs";
import { startOtherServer } from "../../www/servers/other.mjs";
import { startStaticServer } from "../../www/servers/static.mjs";
import { CookieJar } from "./harness/jar.mjs";

const APP = "http://127.0.0.1:4999";
const REDIRECT_URI = `${APP}/`;

let auth;
let api;
let other;

before(async () => {
  auth = await startAuthServer({ appOrigins: [APP], redirectUris: [REDIRECT_URI], autoLogin: true });
  api = await startApiServer({
    issuer: auth.issuer,
    audience: AUDIENCE,
    jwksUri: auth.endpoints.jwks,
    appOrigins: [APP],
  });
  other = await startOtherServer();
});

after(() => Promise.all([auth, api, other].map((server) => server?.close())));

const newJar = () => new CookieJar((url) => url.origin === APP);

const post = (url, parameters) =>
  fetch(url, { method: "POST", headers: { origin: APP }, body: new URLSearchParams(parameters) });

const refresh = (refreshToken) =>
  post(auth.endpoints.token, { grant_type: "refresh_token", client_id: CLIENT_ID, refresh_token: refreshToken });

const call = (path, token, init = {}) =>
  fetch(api.origin + path, {
    ...init,
    headers: { origin: APP, ...(token && { authorization: `Bearer ${token}` }), ...init.headers },
  });

describe("authorization server", () => {
  test("a refresh rotates the refresh token, and the access token is for the API", async () => {
    const first = await auth.issueTokens();
    const response = await refresh(first.refresh_token);
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("access-control-allow-origin"), APP);
    const second = await response.json();
    assert.notEqual(second.refresh_token, first.refresh_token);
    assert.equal(second.expires_in, 30);
    assert.equal(second.scope, "orders");
    assert.equal((await call("/v1/orders", second.access_token)).status, 200);

    const record = auth.tokenRequests.at(-1);
    assert.equal(record.grantType, "refresh_token");
    assert.equal(record.status, 200);
    assert.equal(record.faulted, false);
    for (const token of [first, second].flatMap((set) => [set.access_token, set.refresh_token])) {
      assert.ok(auth.issuedTokens.includes(token));
    }
  });

  test("a used refresh token that comes back revokes the newer one too", async () => {
    const first = await auth.issueTokens();
    const second = await (await refresh(first.refresh_token)).json();
    for (const token of [first.refresh_token, second.refresh_token]) {
      const response = await refresh(token);
      assert.equal(response.status, 400);
      assert.equal((await response.json()).error, "invalid_grant");
    }
    assert.equal(auth.tokenRequests.at(-1).error, "invalid_grant");
  });

  test("a revoked refresh token answers invalid_grant", async () => {
    const tokens = await auth.issueTokens();
    const revocation = await post(auth.endpoints.revocation, {
      client_id: CLIENT_ID,
      token: tokens.refresh_token,
      token_type_hint: "refresh_token",
    });
    assert.equal(revocation.status, 200);
    assert.equal(revocation.headers.get("access-control-allow-origin"), APP);
    assert.equal(auth.revocationRequests.at(-1).tokenTypeHint, "refresh_token");
    assert.equal((await (await refresh(tokens.refresh_token)).json()).error, "invalid_grant");
  });

  test("revoking every grant ends every session", async () => {
    const tokens = await auth.issueTokens();
    auth.revokeGrants();
    assert.equal((await (await refresh(tokens.refresh_token)).json()).error, "invalid_grant");
  });

  test("the lifetime of access tokens can be changed, and a negative one has run out", async () => {
    auth.settings.accessTokenTtl = 5;
    const tokens = await auth.issueTokens();
    assert.equal(tokens.expires_in, 5);
    assert.equal((await (await refresh(tokens.refresh_token)).json()).expires_in, 5);
    auth.settings.accessTokenTtl = 30;

    const expired = await auth.issueTokens({ accessTokenTtl: -10 });
    const response = await call("/v1/orders", expired.access_token);
    assert.equal(response.status, 401);
    assert.match(response.headers.get("www-authenticate"), /error="invalid_token".*expired/);
    assert.equal(api.requests.at(-1).tokenExpired, true);
  });

  test("code flow: state comes back, PKCE is required and checked", async () => {
    const verifier = randomBytes(32).toString("base64url");
    const answer = await authorize({
      code_challenge: createHash("sha256").update(verifier).digest("base64url"),
      code_challenge_method: "S256",
    });
    assert.equal(answer.get("state"), "some-state");
    assert.equal(answer.get("iss"), auth.issuer);
    const exchange = (codeVerifier) =>
      post(auth.endpoints.token, {
        grant_type: "authorization_code",
        client_id: CLIENT_ID,
        redirect_uri: REDIRECT_URI,
        code: answer.get("code"),
        code_verifier: codeVerifier,
      });
    assert.equal((await exchange(randomBytes(32).toString("base64url"))).status, 400);
    const tokens = await (await exchange(verifier)).json();
    assert.equal((await refresh(tokens.refresh_token)).status, 200);

    assert.equal((await authorize({})).get("error"), "invalid_request");
  });

  test("the sign-in page is shown unless told otherwise, and can be refused", async () => {
    auth.settings.autoLogin = false;
    const jar = newJar();
    const pkce = { code_challenge: "a".repeat(43), code_challenge_method: "S256" };
    const page = await jar.follow(authorizationUrl(pkce));
    assert.match(await page.text(), /name="login"/);
    const answer = await jar.follow(page.url, { method: "POST", body: new URLSearchParams({ answer: "deny" }) });
    auth.settings.autoLogin = true;
    assert.equal(answer.searchParams.get("error"), "access_denied");
  });
});

describe("faults", () => {
  test("a queue of answers is used up one by one, with CORS headers", async () => {
    const { refresh_token: token } = await auth.issueTokens();
    auth.faults.token = [{ status: 500 }, { status: 429, headers: { "Retry-After": "3" }, body: { error: "slow_down" } }];
    const first = await refresh(token);
    assert.equal(first.status, 500);
    assert.equal(first.headers.get("access-control-allow-origin"), APP);
    const second = await refresh(token);
    assert.equal(second.status, 429);
    assert.match(second.headers.get("access-control-expose-headers"), /Retry-After/);
    assert.equal((await second.json()).error, "slow_down");
    assert.equal((await refresh(token)).status, 200);
    assert.deepEqual(
      auth.tokenRequests.slice(-3).map(({ grantType, status, faulted }) => [grantType, status, faulted]),
      [
        ["refresh_token", 500, true],
        ["refresh_token", 429, true],
        ["refresh_token", 200, false],
      ],
    );
  });

  test("CORS headers can be left out", async () => {
    auth.faults.token = [{ status: 500, cors: false }];
    assert.equal((await refresh("any")).headers.get("access-control-allow-origin"), null);
  });

  test("an answer can be held, changed or lost, and a connection can be closed", async () => {
    const { refresh_token: token } = await auth.issueTokens();
    let release;
    const hold = new Promise((resolve) => {
      release = resolve;
    });
    auth.faults.token = [
      { hold, transform: ({ expires_in: _, ...rest }) => ({ ...rest, refresh_in: 7 }) },
      { reset: true },
      { lose: true },
    ];
    const arrived = auth.tokenRequests.length + 1;
    const pending = refresh(token);
    await auth.tokenRequests.until((requests) => requests.length === arrived);
    assert.equal(auth.tokenRequests.at(-1).status, null);
    release();
    const changed = await (await pending).json();
    assert.equal(changed.refresh_in, 7);
    assert.equal(changed.expires_in, undefined);

    await assert.rejects(refresh(changed.refresh_token));
    await assert.rejects(refresh(changed.refresh_token));
    assert.equal((await (await refresh(changed.refresh_token)).json()).error, "invalid_grant");
  });

  test("a function decides at each request; an unreachable server closes every connection", async () => {
    const { refresh_token: token } = await auth.issueTokens();
    auth.faults.token = () => ({ status: 503 });
    assert.equal((await refresh(token)).status, 503);
    auth.faults.token = [];
    auth.faults.unreachable = true;
    await assert.rejects(fetch(auth.endpoints.jwks));
    auth.faults.unreachable = false;
    assert.equal((await refresh(token)).status, 200);
  });
});

describe("API", () => {
  test("answers challenges as RFC 6750 and RFC 9470 say", async () => {
    const { access_token: token } = await auth.issueTokens();
    const answers = [
      ["/v1/orders", undefined, 401, /^Bearer realm="demo"$/],
      ["/v1/orders", "abc.def.ghi", 401, /error="invalid_token"/],
      ["/v1/admin", token, 403, /error="insufficient_scope", scope="admin"/],
      ["/v1/stepup", token, 401, /error="insufficient_user_authentication".*acr_values=".+", max_age="60"/],
    ];
    for (const [path, credential, status, challenge] of answers) {
      const response = await call(path, credential);
      assert.equal(response.status, status, path);
      assert.match(response.headers.get("www-authenticate"), challenge);
      assert.equal(response.headers.get("access-control-expose-headers"), "WWW-Authenticate, DPoP-Nonce");
    }
    const { access_token: admin } = await auth.issueTokens({ scope: "openid offline_access orders admin" });
    assert.equal((await call("/v1/admin", admin)).status, 200);
  });

  test("a token for another audience is refused", async () => {
    const { access_token: token } = await auth.issueTokens();
    const stranger = await startApiServer({
      issuer: auth.issuer,
      audience: "urn:another:api",
      jwksUri: auth.endpoints.jwks,
      appOrigins: [APP],
    });
    const response = await fetch(`${stranger.origin}/v1/orders`, { headers: { authorization: `Bearer ${token}` } });
    assert.equal(response.status, 401);
    await stranger.close();
  });

  test("echo tells what arrived, and the record holds the bytes", async () => {
    const { access_token: token } = await auth.issueTokens();
    const body = randomBytes(100_000);
    const sha256 = createHash("sha256").update(body).digest("hex");
    const answer = await (await call("/v1/echo", token, { method: "POST", body })).json();
    assert.equal(answer.tokenReceived, true);
    assert.equal(answer.length, body.length);
    assert.equal(answer.sha256, sha256);
    const record = api.requests.at(-1);
    assert.deepEqual(record.body, body);
    assert.equal(record.bodySha256, sha256);
    assert.equal(record.tokenId, answer.tokenId);
    assert.equal(record.status, 200);
  });

  test("a good token can be refused a number of times", async () => {
    const { access_token: token } = await auth.issueTokens();
    api.refuseNext(2);
    const statuses = [];
    for (let i = 0; i < 3; i += 1) statuses.push((await call("/v1/orders", token)).status);
    assert.deepEqual(statuses, [401, 401, 200]);
  });

  test("preflight and redirect", async () => {
    const preflight = await call("/v1/orders", undefined, {
      method: "OPTIONS",
      headers: { "access-control-request-method": "GET", "access-control-request-headers": "authorization" },
    });
    assert.equal(preflight.status, 204);
    assert.equal(preflight.headers.get("access-control-allow-headers"), "authorization");
    const { access_token: token } = await auth.issueTokens();
    const target = `${other.origin}/landed`;
    const response = await call(`/v1/redirect?to=${encodeURIComponent(target)}`, token, { redirect: "manual" });
    assert.equal(response.status, 302);
    assert.equal(response.headers.get("location"), target);
  });
});

test("the other origin records whether a token came, and lets anything in", async () => {
  const preflight = await fetch(other.origin, {
    method: "OPTIONS",
    headers: { origin: APP, "access-control-request-method": "GET", "access-control-request-headers": "authorization" },
  });
  assert.equal(preflight.headers.get("access-control-allow-headers"), "authorization");
  assert.deepEqual(await (await fetch(other.origin)).json(), { tokenReceived: false });
  await fetch(other.origin, { headers: { authorization: "Bearer leaked" } });
  assert.deepEqual(other.requests.map((request) => request.tokenReceived), [false, true]);
});

test("the static server serves only what it should, and switches only for its own pages", async (t) => {
  let turned = 0;
  const app = await startStaticServer({
    mounts: { "/": fileURLToPath(new URL("../../www/", import.meta.url)) },
    headers: () => ({ "content-security-policy": "default-src 'none'" }),
    routes: { "POST /control/turn": () => ({ turned: (turned += 1) }) },
  });
  t.after(app.close);
  const page = await fetch(`${app.origin}/`);
  assert.equal(page.headers.get("content-type"), "text/html; charset=utf-8");
  assert.equal(page.headers.get("content-security-policy"), "default-src 'none'");
  for (const path of ["/main.mjs", "/servers/auth.mjs", "/%2e%2e/package.json", "/..%2fpackage.json", "/%E0%A4%A"]) {
    assert.equal((await fetch(app.origin + path)).status, 404, path);
  }
  const turn = (headers) => fetch(`${app.origin}/control/turn`, { method: "POST", headers });
  assert.equal((await turn({ "x-tokenward-demo": "1", origin: other.origin })).status, 403);
  assert.equal((await turn({ origin: app.origin })).status, 403);
  assert.equal((await turn({ "x-tokenward-demo": "1", origin: app.origin })).status, 200);
  assert.equal(turned, 1);
});

function authorizationUrl(parameters) {
  return `${auth.endpoints.authorization}?${new URLSearchParams({
    response_type: "code",
    client_id: CLIENT_ID,
    redirect_uri: REDIRECT_URI,
    scope: "openid offline_access orders",
    prompt: "consent",
    state: "some-state",
    ...parameters,
  })}`;
}

async function authorize(parameters) {
  return (await newJar().follow(authorizationUrl(parameters))).searchParams;
}
