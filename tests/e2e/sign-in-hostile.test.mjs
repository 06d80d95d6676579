// Callbacks that are forged, replayed or of somebody else, and servers that are not who they say.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { describe, test } from "node:test";
import { CookieJar } from "./harness/jar.mjs";
import { assertFailed, assertSignedIn, press, signInStage } from "./harness/sign-in.mjs";

const change = (parameters) => ({
  redirect: (url) => {
    for (const [name, value] of Object.entries(parameters)) {
      if (value === undefined) url.searchParams.delete(name);
      else url.searchParams.set(name, value);
    }
  },
});

/** The callback that a sign-in of this user leads to, in a browser of their own. */
async function stolen(auth, app, state = "r-of-another-browser") {
  const jar = new CookieJar((url) => url.origin === app.origin);
  const verifier = randomBytes(32).toString("base64url");
  const request = new URLSearchParams({
    client_id: "spa",
    response_type: "code",
    redirect_uri: `${app.origin}/`,
    scope: "openid",
    state,
    nonce: "theirs",
    code_challenge: createHash("sha256").update(verifier).digest("base64url"),
    code_challenge_method: "S256",
  });
  return jar.follow(`${auth.endpoints.authorization}?${request}`);
}

describe("a callback", () => {
  const cases = [
    ["with another state", "state_mismatch", { state: "r".padEnd(44, "x") }],
    ["with a state that is a property of every object", "state_mismatch", { state: "r__proto__" }],
    ["with a state in other letters", "state_mismatch", (state) => ({ state: state.toUpperCase().replace("R", "r") })],
    ["without a state", "state_mismatch", { state: undefined }],
    ["with an empty state", "state_mismatch", { state: "" }],
    ["of another issuer", "issuer_mismatch", { iss: "https://evil.example" }],
    ["of the issuer with a slash", "issuer_mismatch", (_state, issuer) => ({ iss: `${issuer}/` })],
    ["with an empty issuer", "issuer_mismatch", { iss: "" }],
    ["without the issuer that the server says it names", "issuer_mismatch", { iss: undefined }],
    ["without the issuer, with an error", "issuer_mismatch", { iss: undefined, code: undefined, error: "access_denied" }],
  ];
  for (const [what, code, parameters] of cases) {
    test(what, async (t) => {
      const { auth, byRedirect } = await signInStage(t);
      auth.faults.authorization = [
        {
          redirect: (url) => {
            const more = typeof parameters === "function" ? parameters(url.searchParams.get("state"), auth.issuer) : parameters;
            change(more).redirect(url);
          },
        },
      ];
      assertFailed(await byRedirect(), code);
      // No code goes to any server.
      assert.equal(auth.tokenRequests.length, 0);
    });
  }

  test("without the issuer, of a server that does not name itself: taken", async (t) => {
    const { auth, byRedirect } = await signInStage(t);
    auth.faults.discovery = () => ({
      transform: ({ authorization_response_iss_parameter_supported: _, ...metadata }) => metadata,
    });
    auth.faults.authorization = [change({ iss: undefined })];
    assertSignedIn(await byRedirect());
  });

  test("of another issuer, of a server that does not name itself: refused", async (t) => {
    const { auth, byRedirect } = await signInStage(t);
    auth.faults.discovery = () => ({
      transform: ({ authorization_response_iss_parameter_supported: _, ...metadata }) => metadata,
    });
    auth.faults.authorization = [change({ iss: "https://evil.example" })];
    assertFailed(await byRedirect(), "issuer_mismatch");
  });

  test("without state and issuer is none: a code may be the app's, and the sign-in that was begun is as good as before", async (t) => {
    const { auth, app, page, leave, finish } = await signInStage(t);
    await leave();
    await page.visit("/?code=of-the-app");
    const { value, signedIn, stored, url } = await finish();
    assert.deepEqual({ value, signedIn, url }, { value: null, signedIn: false, url: `${app.origin}/?code=of-the-app` });
    assert.equal(stored.length, 1);
    assert.equal(auth.tokenRequests.length, 0);
    await page.visit(auth.authorizationRequests[0].redirect);
    assertSignedIn(await finish());
  });

  test("that was used is refused", async (t) => {
    const { auth, page, byRedirect, finish } = await signInStage(t);
    assertSignedIn(await byRedirect());
    await page.visit(auth.authorizationRequests[0].redirect);
    assertFailed(await finish(), "state_mismatch");
    assert.equal(auth.tokenRequests.length, 1);
  });

  test("that failed is used as well", async (t) => {
    const { auth, page, byRedirect, finish } = await signInStage(t);
    auth.faults.token = [{ status: 500 }];
    assertFailed(await byRedirect(), "server_unavailable", { status: 500 });
    await page.visit(auth.authorizationRequests[0].redirect);
    assertFailed(await finish(), "state_mismatch");
    assert.equal(auth.tokenRequests.length, 1);
  });

  test("is answered once, however often it is asked for", async (t) => {
    const { auth, page, leave } = await signInStage(t);
    await leave();
    const values = await page.run(async (kit) => {
      await kit.create(kit.discovered());
      const [first, second] = await Promise.all([kit.ward.handleCallback(), kit.ward.handleCallback()]);
      // Whoever asks while it is being answered shares the answer.
      return [first !== null, second === first, await kit.ward.handleCallback(), kit.ward.signedIn];
    });
    assert.deepEqual(values, [true, true, null, true]);
    assert.equal(auth.tokenRequests.length, 1);
  });

  test("on a page that no sign-in led to", async (t) => {
    const { auth, app, page, finish } = await signInStage(t);
    for (const query of ["?code=c&state=rs", `?code=c&state=rs&iss=${encodeURIComponent(auth.issuer)}`, "?error=access_denied&state=rs", "?code=c&state=fs"]) {
      await page.visit(`/${query}`);
      assertFailed(await finish(), "state_mismatch");
    }
    await page.visit("/?page=2&code=c&state=rs&iss=x&error_description=d&session_state=s#top");
    const { url } = await finish();
    assert.equal(url, `${app.origin}/?page=2#top`);
    assert.equal(auth.tokenRequests.length, 0);
  });

  test("is out of the address as soon as create() was called", async (t) => {
    const { app, page, leave } = await signInStage(t);
    await leave();
    const [before, after, grown] = await page.run(async (kit) => {
      const { TokenWard } = await kit.library();
      const { search } = location;
      const { length } = history;
      void TokenWard.create(kit.options(kit.discovered()));
      return [search, location.href, history.length - length];
    });
    assert.match(before, /code=/);
    assert.deepEqual([after, grown], [`${app.origin}/`, 0]);
  });
});

describe("a transaction", () => {
  for (const [what, shift, code] of [
    ["of 10 minutes ago has expired", -600_000, "transaction_expired"],
    ["of the future is good: the clock was set back", 10_800_000, undefined],
    ["of 9 minutes ago is good", -540_000, undefined],
  ]) {
    test(what, async (t) => {
      const { auth, page, leave, finish } = await signInStage(t);
      await leave();
      await page.run((kit, shift) => {
        const [key] = Object.keys(sessionStorage);
        const transaction = JSON.parse(sessionStorage.getItem(key));
        sessionStorage.setItem(key, JSON.stringify({ ...transaction, at: transaction.at + shift }));
      }, shift);
      const result = await finish();
      if (code) assertFailed(result, code);
      else assertSignedIn(result);
      assert.equal(auth.tokenRequests.length, code ? 0 : 1);
    });
  }

  test("of another issuer is refused: the app was told another one meanwhile", async (t) => {
    const { auth, page, leave, finish } = await signInStage(t);
    await leave();
    await page.run(() => {
      const [key] = Object.keys(sessionStorage);
      sessionStorage.setItem(key, JSON.stringify({ ...JSON.parse(sessionStorage.getItem(key)), issuer: "https://evil.example" }));
    });
    assertFailed(await finish(), "issuer_mismatch");
    assert.equal(auth.tokenRequests.length, 0);
  });

  for (const [what, text] of [["null", "null"], ["an empty object", "{}"], ["a number", "7"]]) {
    test(`that is ${what} is none`, async (t) => {
      const { page, leave, finish } = await signInStage(t);
      await leave();
      await page.run((kit, text) => sessionStorage.setItem(Object.keys(sessionStorage)[0], text), text);
      assertFailed(await finish(), "state_mismatch");
    });
  }

  test("is one of state, nonce and verifier, and of no token", async (t) => {
    const { auth, page, leave } = await signInStage(t);
    await leave();
    const stored = await page.run(() => Object.entries(sessionStorage).map(([key, text]) => [key, JSON.parse(text)]));
    const [[key, { state, nonce, verifier }]] = stored;
    const [{ params }] = auth.authorizationRequests;
    assert.equal(stored.length, 1);
    assert.deepEqual([key, state, nonce], [`tokenward.${params.state}`, params.state, params.nonce]);
    assert.equal(createHash("sha256").update(verifier).digest("base64url"), params.code_challenge);
  });
});

describe("another user's code", () => {
  test("in a callback of their own is refused", async (t) => {
    const { auth, app, page, finish, leave } = await signInStage(t);
    await leave();
    auth.settings.autoLogin = "eve";
    await page.visit((await stolen(auth, app)).href);
    assertFailed(await finish(), "state_mismatch");
  });

  test("in the callback of the user's own sign-in: PKCE refuses it at the server", async (t) => {
    const { auth, app, leave, finish } = await signInStage(t);
    auth.settings.autoLogin = "eve";
    const { searchParams } = await stolen(auth, app);
    auth.settings.autoLogin = "ada";
    auth.faults.authorization = [change({ code: searchParams.get("code") })];
    await leave();
    assertFailed(await finish(), "token_request_failed", { error: "invalid_grant", status: 400 });
    assert.equal(auth.tokenRequests[0].params.code, searchParams.get("code"));
  });
});

describe("metadata", () => {
  const cases = [
    ["of another issuer", "issuer_mismatch", { issuer: "https://evil.example" }],
    ["of the issuer with a slash", "issuer_mismatch", ({ issuer }) => ({ issuer: `${issuer}/` })],
    ["of no issuer", "issuer_mismatch", { issuer: undefined }],
    ["with a token endpoint in the clear", "metadata_invalid", { token_endpoint: "http://id.example/token" }],
    ["with an authorization endpoint in the clear", "metadata_invalid", { authorization_endpoint: "http://id.example/authorize" }],
    ["with keys in the clear", "metadata_invalid", { jwks_uri: "http://id.example/keys" }],
    ["with a host that looks like loopback", "metadata_invalid", { token_endpoint: "http://localhost.example/token" }],
    ["with an authorization endpoint that is a script", "metadata_invalid", { authorization_endpoint: "javascript:alert(1)" }],
    ["with a token endpoint that is no URL", "metadata_invalid", { token_endpoint: "/token" }],
    ["without a token endpoint", "metadata_invalid", { token_endpoint: undefined }],
    ["without an authorization endpoint", "endpoint_unknown", { authorization_endpoint: undefined }],
  ];
  for (const [what, code, more] of cases) {
    for (const way of ["redirect", "popup"]) {
      test(`${what}, by ${way}`, async (t) => {
        const { auth, page, byPopup } = await signInStage(t);
        auth.faults.discovery = () => ({ transform: (body) => ({ ...body, ...(typeof more === "function" ? more(body) : more) }) });
        const begin = async (kit) => {
          await kit.create(kit.discovered());
          return { ...(await kit.ended(kit.ward.signIn())), ...kit.look() };
        };
        const result = await (way === "popup" ? byPopup() : page.run(begin));
        assertFailed(result, code);
        // The message names what is wrong.
        if (code !== "issuer_mismatch") assert.match(result.message, new RegExp(Object.keys(more)[0]));
        assert.equal(auth.authorizationRequests.length, 0);
      });
    }
  }

  test("of another issuer on the page that comes back", async (t) => {
    const { auth, leave, finish } = await signInStage(t);
    await leave();
    auth.faults.discovery = () => ({ transform: (body) => ({ ...body, issuer: "https://evil.example" }) });
    assertFailed(await finish(), "issuer_mismatch");
    assert.equal(auth.tokenRequests.length, 0);
  });
});

describe("an answer that is an error:", () => {
  test("the user pressed cancel", async (t) => {
    const { auth, page, depart, finish } = await signInStage(t, { auth: { autoLogin: false } });
    await depart();
    await press("deny");
    await page.back();
    const result = await finish();
    assertFailed(result, "authorization_failed", { error: "access_denied" });
    assert.doesNotMatch(result.message, /the user refused/);
    assert.equal(auth.tokenRequests.length, 0);
  });

  test("nobody is signed in at the server, and it may not ask", async (t) => {
    const { byRedirect } = await signInStage(t, { auth: { autoLogin: false } });
    assertFailed(await byRedirect({ prompt: "none" }), "authorization_failed", { error: "login_required" });
  });

  const junk = {
    "server_error": "server_error",
    "<img src=x onerror=alert(1)>": null,
    "Not Found": null,
    "ACCESS_DENIED": null,
    [`${"a".repeat(49)}`]: null,
    "access_denied\n": null,
    "": null,
  };
  for (const [error, expected] of Object.entries(junk)) {
    test(`${JSON.stringify(error)} is ${expected ? "told" : "not repeated"}`, async (t) => {
      const { auth, byRedirect } = await signInStage(t);
      auth.faults.authorization = [change({ error, code: undefined, error_description: "SECRET", error_uri: "https://evil.example" })];
      const result = await byRedirect();
      if (error === "") {
        // Neither a code nor an error: no answer.
        assert.equal(result.value, null);
        assert.equal(result.signedIn, false);
        return;
      }
      assertFailed(result, "authorization_failed", { error: expected });
      assert.doesNotMatch(result.message, /SECRET|evil|img|Not Found|DENIED|aaaa/);
    });
  }

  test("a code beside an error counts for nothing", async (t) => {
    const { auth, byRedirect } = await signInStage(t);
    auth.faults.authorization = [change({ error: "access_denied" })];
    assertFailed(await byRedirect(), "authorization_failed", { error: "access_denied" });
    assert.equal(auth.tokenRequests.length, 0);
  });
});
