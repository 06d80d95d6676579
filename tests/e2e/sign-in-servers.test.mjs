// Signing in at a server in trouble: every failure has its code, ends in time, and nobody is signed in.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { assertFailed, assertSignedIn, signInStage } from "./harness/sign-in.mjs";

const HUGE = " ".repeat(2 ** 21);
const json = { "content-type": "application/json" };

// What the server does, and what of it is told.
const unavailable = [
  ["500", { status: 500 }, { status: 500 }],
  ["503 that asks to wait", { status: 503, headers: { "Retry-After": "7" } }, { status: 503 }],
  ["429", { status: 429, body: { error: "slow_down" } }, { status: 429, error: "slow_down" }],
  ["500 with HTML", { status: 500, body: "<h1>Oops</h1>" }, { status: 500 }],
  ["200 with HTML", { status: 200, body: "<h1>Welcome</h1>" }, { status: 200 }],
  ["200 with JSON that is cut off", { status: 200, headers: json, body: '{"access_token":"a' }, { status: 200 }],
  ["200 with null", { status: 200, headers: json, body: "null" }, { status: 200 }],
  ["200 with a list", { status: 200, headers: json, body: "[]" }, { status: 200 }],
  ["200 with nothing", { status: 200 }, { status: 200 }],
  ["400 with HTML", { status: 400, body: "<h1>Blocked</h1>" }, { status: 400 }],
  ["400 with an error that is no code", { status: 400, body: { error: "Bad Request" } }, { status: 400 }],
  ["400 that says it will pass", { status: 400, body: { error: "temporarily_unavailable" } }, { status: 400, error: "temporarily_unavailable" }],
  ["404", { status: 404 }, { status: 404 }],
  ["a huge answer", { transform: (body) => ({ ...body, padding: HUGE }) }, {}],
  ["a connection that is reset", { reset: true }, {}],
  ["an answer that is lost", { lose: true }, {}],
  ["no answer at all", { hang: true }, {}],
  ["an answer without CORS", { status: 200, cors: false }, {}],
  ["a redirect", { status: 307, headers: { Location: "/elsewhere" } }, {}],
];

describe("the token endpoint gives", () => {
  for (const [what, fault, more] of unavailable) {
    test(what, async (t) => {
      const { auth, byRedirect } = await signInStage(t);
      auth.faults.token = () => fault;
      assertFailed(await byRedirect({}, { requestTimeoutSeconds: 1 }), "server_unavailable", more);
      // A browser may send again what it sent over a connection that it had used before.
      if (!fault.reset && !fault.lose) assert.equal(auth.tokenRequests.length, 1);
    });
  }

  const refused = [
    ["invalid_grant", { status: 400, body: { error: "invalid_grant", error_description: "SECRET" } }, { error: "invalid_grant", status: 400 }],
    ["invalid_client", { status: 401, body: { error: "invalid_client" } }, { error: "invalid_client", status: 401 }],
    ["an error with 200", { status: 200, body: { error: "invalid_grant" } }, { error: "invalid_grant", status: 200 }],
    ["an error of its own", { status: 400, body: { error: "blocked_by_policy" } }, { error: "blocked_by_policy", status: 400 }],
  ];
  for (const [what, fault, more] of refused) {
    test(what, async (t) => {
      const { auth, byRedirect } = await signInStage(t);
      auth.faults.token = [fault];
      const result = await byRedirect();
      assertFailed(result, "token_request_failed", more);
      assert.doesNotMatch(result.message, /SECRET/);
    });
  }

  for (const [what, spoil] of [
    ["no access token", { access_token: undefined }],
    ["an access token that is no string", { access_token: 7 }],
    ["an access token that cannot be sent", { access_token: "a b" }],
    ["another type of token", { token_type: "mac" }],
    ["a refresh token that cannot be sent", { refresh_token: "a\nb" }],
  ]) {
    test(what, async (t) => {
      const { auth, byRedirect } = await signInStage(t);
      // Without a hash of the access token, whose rule would be broken first.
      auth.faults.token = [{ transform: (body) => ({ ...body, ...spoil }) }];
      const { failed, ...result } = await byRedirect({ scope: "orders" });
      assertFailed({ failed, ...result }, "server_unavailable", { status: 200 });
    });
  }
});

describe("the keys:", () => {
  const cases = [
    ["500", { status: 500 }],
    ["HTML", { status: 200, body: "<h1>Welcome</h1>" }],
    ["nothing", { status: 200 }],
    ["null", { status: 200, headers: json, body: "null" }],
    ["keys that are no list", { status: 200, headers: json, body: '{"keys":{}}' }],
    ["no keys", { status: 200, headers: json, body: "{}" }],
    ["a huge set", { status: 200, headers: json, body: `{"keys":[]}${HUGE}` }],
    ["a connection that is reset", { reset: true }],
    ["no answer at all", { hang: true }],
  ];
  for (const [what, fault] of cases) {
    test(what, async (t) => {
      const { auth, byRedirect } = await signInStage(t);
      auth.faults.jwks = () => fault;
      assertFailed(await byRedirect({}, { requestTimeoutSeconds: 1 }), "server_unavailable");
    });
  }

  test("nowhere to be found", async (t) => {
    const { auth, byRedirect } = await signInStage(t);
    const { authorization, token } = auth.endpoints;
    const result = await byRedirect({}, { endpoints: { authorization, token } });
    assertFailed(result, "endpoint_unknown");
    assert.match(result.message, /jwks_uri/);
  });
});

describe("the metadata:", () => {
  const cases = [
    ["500", { status: 500 }],
    ["404", { status: 404 }],
    ["HTML", { status: 200, body: "<h1>Welcome</h1>" }],
    ["null", { status: 200, headers: json, body: "null" }],
    ["a huge answer", { transform: (body) => ({ ...body, padding: HUGE }) }],
    ["a connection that is reset", { reset: true }],
    ["no answer at all", { hang: true }],
    ["an answer without CORS", { status: 200, cors: false }],
  ];
  for (const [what, fault] of cases) {
    test(`${what}, by popup; the next try succeeds`, async (t) => {
      const { auth, byPopup } = await signInStage(t);
      auth.faults.discovery = () => fault;
      assertFailed(await byPopup({}, { requestTimeoutSeconds: 1 }), "server_unavailable");
      auth.faults.discovery = [];
      assertSignedIn(await byPopup());
    });
  }

  test("500, by redirect: the page stays", async (t) => {
    const { auth, page } = await signInStage(t);
    auth.faults.discovery = () => ({ status: 500 });
    const result = await page.run(async (kit) => {
      await kit.create(kit.discovered());
      return { ...(await kit.ended(kit.ward.signIn())), ...kit.look() };
    });
    assertFailed(result, "server_unavailable");
    assert.equal(auth.authorizationRequests.length, 0);
  });

  test("an object that says nothing is of another issuer", async (t) => {
    const { auth, byPopup } = await signInStage(t);
    for (const body of ["{}", "[]", '{"issuer":7}']) {
      auth.faults.discovery = [{ status: 200, headers: json, body }];
      assertFailed(await byPopup(), "issuer_mismatch");
    }
  });
});

describe("a pushed request:", () => {
  const cases = [
    ["refused", { status: 400, body: { error: "invalid_request" } }, "token_request_failed", { error: "invalid_request", status: 400 }],
    ["500", { status: 500 }, "server_unavailable", { status: 500 }],
    ["HTML", { status: 201, body: "<h1>Welcome</h1>" }, "server_unavailable", { status: 201 }],
    ["no request_uri", { status: 201, body: { expires_in: 60 } }, "server_unavailable", { status: 201 }],
    ["no answer at all", { hang: true }, "server_unavailable", {}],
    ["a connection that is reset", { reset: true }, "server_unavailable", {}],
  ];
  for (const [what, fault, code, more] of cases) {
    test(what, async (t) => {
      const { auth, byPopup } = await signInStage(t);
      auth.faults.par = () => fault;
      assertFailed(await byPopup({ pushed: true }, { requestTimeoutSeconds: 1 }), code, more);
      assert.equal(auth.authorizationRequests.length, 0);
    });
  }

  test("where the server has no place for it", async (t) => {
    const { auth, byPopup } = await signInStage(t);
    auth.faults.discovery = () => ({ transform: ({ pushed_authorization_request_endpoint: _, ...rest }) => rest });
    const result = await byPopup({ pushed: true });
    assertFailed(result, "endpoint_unknown");
    assert.match(result.message, /pushed_authorization_request_endpoint/);
  });
});
