// The app's own backend, which keeps the refresh token, and what the static server does for it.
import assert from "node:assert/strict";
import { after, beforeEach, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { decodeJwt } from "jose";
import { startApiServer } from "../../www/servers/api.mjs";
import { AUDIENCE, startAuthServer } from "../../www/servers/auth.mjs";
import { createBackend } from "../../www/servers/backend.mjs";
import { contentSecurityPolicy, startStaticServer } from "../../www/servers/static.mjs";
import { CookieJar } from "./harness/jar.mjs";

const TTL = 300;

let app;
let auth;
let api;
let backend;
let jar;

const close = () => Promise.all([app, auth, api].map((server) => server?.close()));
after(close);

beforeEach(async () => {
  await close();
  app = await startStaticServer({
    mounts: { "/": fileURLToPath(new URL("../../www/", import.meta.url)) },
    handlers: [(...request) => backend.handle(...request)],
  });
  const { origin } = app;
  auth = await startAuthServer({
    appOrigins: [origin],
    redirectUris: [`${origin}/`],
    backendRedirectUris: [`${origin}/session/callback`],
    accessTokenTtl: TTL,
    autoLogin: true,
  });
  api = await startApiServer({ issuer: auth.issuer, audience: AUDIENCE, jwks: auth.jwks, appOrigins: [origin] });
  backend = createBackend({ issuer: auth.issuer, ...auth.backendClient, timeoutSeconds: 1 });
  jar = new CookieJar((url) => url.origin === origin && !url.pathname.startsWith("/session/"));
});

const own = () => ({ origin: app.origin, "x-csrf": "1" });
const ask = (path, headers = own(), asker = jar, body = undefined) =>
  asker.fetch(`${app.origin}/session/${path}`, { method: "POST", headers, body });
const signIn = (returnTo = "/?a=b") => jar.follow(`${app.origin}/session/sign-in?${new URLSearchParams({ returnTo })}`);
const refreshes = () => auth.tokenRequests.filter(({ grantType }) => grantType === "refresh_token").length;
const callApi = (token) => fetch(`${api.origin}/v1/orders`, { headers: { authorization: `Bearer ${token}` } });

/** Two thirds of the lifetime and a bit more. */
const makeDue = (t) => t.mock.timers.enable({ apis: ["Date"], now: Date.now() + TTL * 700 });

describe("backend", () => {
  test("a sign-in ends where it was asked to, with a cookie that gives tokens", async () => {
    assert.equal((await signIn()).href, `${app.origin}/?a=b`);
    assert.match(jar.get("session").text, /; HttpOnly; SameSite=Strict; Path=\/session$/);
    const asked = auth.authorizationRequests.at(-1).params;
    assert.deepEqual([asked.client_id, asked.code_challenge_method], ["backend", "S256"]);
    const exchanged = auth.tokenRequests.at(-1);
    assert.deepEqual([exchanged.clientId, exchanged.params.client_secret], ["backend", undefined]);
    assert.match(exchanged.headers.authorization, /^Basic /);

    const response = await ask("token");
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("cache-control"), "no-store");
    const tokens = await response.json();
    assert.deepEqual(Object.keys(tokens).sort(), ["access_token", "expires_in", "id_token", "scope", "token_type", "version"]);
    assert.ok(tokens.expires_in > TTL - 10 && tokens.expires_in <= TTL);
    assert.equal(decodeJwt(tokens.id_token).sub, "ada");
    assert.equal((await callApi(tokens.access_token)).status, 200);
    assert.equal((await (await ask("token")).json()).access_token, tokens.access_token);
    assert.deepEqual(
      backend.requests.map(({ route, status }) => [route, status]),
      [["signIn", 303], ["callback", 303], ["token", 200], ["token", 200]],
    );
  });

  test("tokens are renewed when a third of their life is left, once for all who ask", async (t) => {
    await signIn();
    const first = await (await ask("token")).json();
    makeDue(t);
    const answers = await Promise.all([1, 2, 3].map(() => ask("token")));
    const tokens = await Promise.all(answers.map((answer) => answer.json()));
    assert.equal(new Set(tokens.map((token) => token.access_token)).size, 1);
    assert.notEqual(tokens[0].access_token, first.access_token);
    assert.ok(tokens[0].expires_in > TTL - 10);
    assert.equal(refreshes(), 1);
    // The renewed refresh token is in use.
    t.mock.timers.tick(TTL * 700);
    assert.equal((await ask("token")).status, 200);
    assert.equal(refreshes(), 2);
  });

  test("a newer token than the one the page has is got once, whoever asks and how often", async () => {
    await signIn();
    const askAfter = async (after) => (await ask("token", own(), jar, new URLSearchParams({ after }))).json();
    const first = await (await ask("token")).json();
    const [second, same] = await Promise.all([askAfter(first.version), askAfter(first.version)]);
    assert.notEqual(second.access_token, first.access_token);
    assert.notEqual(second.version, first.version);
    assert.deepEqual([same.access_token, same.version], [second.access_token, second.version]);
    assert.equal((await askAfter(first.version)).access_token, second.access_token);
    assert.equal((await (await ask("token")).json()).access_token, second.access_token);
    assert.equal(refreshes(), 1);
    assert.notEqual((await askAfter("")).access_token, second.access_token);
    assert.equal(refreshes(), 2);
  });

  test("nobody without a session gets a token, and no other page may ask", async () => {
    assert.equal((await ask("token")).status, 401);
    await signIn();
    const stranger = new CookieJar(() => true);
    const nobody = await ask("token", own(), stranger);
    assert.deepEqual([nobody.status, await nobody.json()], [401, {}]);
    const elsewhere = { "x-csrf": "1", origin: auth.origin };
    const wrong = [{ "x-csrf": "1" }, elsewhere, { origin: app.origin }, { ...own(), "x-csrf": "2" }];
    for (const headers of wrong) {
      for (const path of ["token", "sign-out"]) {
        const refused = await ask(path, headers);
        assert.equal(refused.status, 403);
        assert.match(refused.headers.get("content-type"), /json/);
      }
    }
    assert.equal((await jar.fetch(`${app.origin}/session/token`)).status, 404);
    assert.equal((await ask("token")).status, 200);
  });

  test("the session ends when the server refuses to renew it", async (t) => {
    await signIn();
    makeDue(t);
    auth.revokeGrants();
    const refused = await ask("token");
    assert.deepEqual([refused.status, await refused.json()], [401, {}]);
    assert.equal(jar.get("session"), undefined);
    assert.equal((await ask("token")).status, 401);
    assert.equal(refreshes(), 1);
  });

  test("an outage does not end the session", async (t) => {
    await signIn();
    makeDue(t);
    const misconfigured = { status: 400, body: { error: "invalid_client" } };
    for (const fault of [{ status: 500 }, misconfigured, { reset: true }, { hang: true }]) {
      auth.faults.token = [fault];
      const delayed = await ask("token");
      assert.equal(delayed.status, 503);
      assert.equal(delayed.headers.get("retry-after"), "5");
    }
    auth.faults.unreachable = true;
    assert.equal((await ask("token")).status, 503);
    auth.faults.unreachable = false;
    assert.equal((await ask("token")).status, 200);
  });

  test("sign-out revokes, and ends the session and its cookie", async () => {
    await signIn();
    const cookie = jar.get("session").pair;
    assert.equal((await ask("sign-out")).status, 204);
    const { tokenTypeHint, status, clientId } = auth.revocationRequests.at(-1);
    assert.deepEqual([tokenTypeHint, status, clientId], ["refresh_token", 200, "backend"]);
    assert.equal(jar.get("session"), undefined);
    assert.equal((await ask("token", { ...own(), cookie })).status, 401);
    const again = await fetch(`${app.origin}/session/token`, { method: "POST", headers: { ...own(), cookie } });
    assert.equal(again.status, 401);
    assert.equal((await ask("sign-out")).status, 204);
  });

  test("sign-out during a renewal revokes the newer refresh token", async (t) => {
    await signIn();
    makeDue(t);
    let release;
    auth.faults.token = [{ hold: new Promise((resolve) => (release = resolve)) }];
    const asking = ask("token");
    await auth.tokenRequests.until((requests) => requests.at(-1).status === null);
    const leaving = ask("sign-out");
    await backend.requests.until((requests) => requests.at(-1).route === "signOut");
    release();
    assert.equal((await asking).status, 401);
    assert.equal((await leaving).status, 204);
    assert.equal(auth.revocationRequests.at(-1).params.token, auth.issuedTokens.at(-2));
  });

  test("a sign-in leads to this origin only, and belongs to one browser", async () => {
    for (const returnTo of ["//evil.test/", "/\\evil.test/", "https://evil.test/", "a", ""]) {
      assert.equal((await signIn(returnTo)).status, 400, returnTo);
    }
    const begun = await jar.fetch(`${app.origin}/session/sign-in`);
    const stranger = new CookieJar((url) => url.pathname === "/session/callback");
    const answer = await stranger.follow(begun.headers.get("location"));
    assert.equal((await stranger.fetch(answer.href)).status, 400);
    const forged = new URL(answer);
    forged.searchParams.set("state", "other");
    assert.equal((await jar.fetch(forged.href)).status, 400);
    // Once, and no more.
    assert.equal((await jar.fetch(answer.href)).status, 400);
    assert.equal(jar.get("session"), undefined);
  });

  test("a sign-in that was refused or cannot begin says so", async () => {
    auth.faults.unreachable = true;
    assert.equal((await signIn()).status, 503);
    auth.faults.unreachable = false;
    auth.settings.autoLogin = false;
    const page = await signIn();
    const url = await jar.submit("", page.url, { answer: "deny" });
    assert.equal(url.href, `${app.origin}/?a=b&sign_in_error=access_denied`);
    assert.equal((await ask("token")).status, 401);
  });

  test("faults", async () => {
    await signIn();
    backend.faults.token = [
      { status: 502, headers: { "x-fault": "1" }, body: "<p>Bad gateway" },
      { reset: true },
      { lose: true },
      { transform: ({ expires_in: _, ...rest }) => rest },
    ];
    const gateway = await ask("token");
    assert.deepEqual([gateway.status, gateway.headers.get("x-fault"), await gateway.text()], [502, "1", "<p>Bad gateway"]);
    await assert.rejects(ask("token"));
    await assert.rejects(ask("token"));
    const tokens = await (await ask("token")).json();
    assert.deepEqual([tokens.expires_in, typeof tokens.access_token], [undefined, "string"]);
    backend.faults.token = () => ({ hang: true });
    await assert.rejects(fetch(`${app.origin}/session/token`, { method: "POST", signal: AbortSignal.timeout(100) }));
    const seen = backend.requests.slice(2).map(({ status, faulted }) => [status, faulted]);
    assert.deepEqual(seen, [[502, true], [0, true], [0, true], [200, true], [0, true]]);
  });
});

test("the app's policy: whom it may frame, and who may frame it", async (t) => {
  const directives = (policy) =>
    Object.fromEntries(policy.split("; ").map((directive) => [directive.split(" ")[0], directive]));
  const plain = directives(contentSecurityPolicy(["https://api.example"]));
  assert.equal(plain["connect-src"], "connect-src 'self' https://api.example");
  assert.equal(plain["frame-src"], "frame-src 'self'");
  assert.equal(plain["frame-ancestors"], "frame-ancestors 'self'");
  const open = directives(contentSecurityPolicy([], { frame: ["https://id.example"], ancestors: ["https://id.example"] }));
  assert.equal(open["frame-src"], "frame-src 'self' https://id.example");
  assert.equal(open["frame-ancestors"], "frame-ancestors 'self' https://id.example");

  const server = await startStaticServer({
    mounts: { "/": fileURLToPath(new URL("../../www/", import.meta.url)) },
    headers: (pathname) => ({ "x-path": pathname }),
    handlers: [(request, response, { origin }) => request.url === "/own" && response.end(origin)],
  });
  t.after(server.close);
  assert.equal((await fetch(`${server.origin}/style.css`)).headers.get("x-path"), "/style.css");
  assert.equal(await (await fetch(`${server.origin}/own`)).text(), server.origin);
});
