// ID tokens that are not to be trusted, and keys that come and go.
import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { describe, test } from "node:test";
import { decodeJwt } from "jose";
import { setClocks } from "./harness/clocks.mjs";
import { assertFailed, assertSignedIn, failure, signInStage } from "./harness/sign-in.mjs";

const now = () => Math.floor(Date.now() / 1000);
const foreign = generateKeyPairSync("ec", { namedCurve: "P-256" });

/** The token endpoint's answers have this server's ID token with other claims, or signed in another way. */
const forge = (auth, change, how = () => ({})) => ({
  transform: async (body) => ({
    ...body,
    id_token: await auth.signIdToken(await change(decodeJwt(body.id_token), body), await how(auth)),
  }),
});

const asIs = (claims) => claims;
const without = (name) => ({ [name]: _, ...claims }) => claims;
/** By a server whose clock is so many hours ahead of the page's. */
const ahead = (hours) => ({ iat, exp, ...claims }) => ({ ...claims, iat: iat + hours * 3600, exp: exp + hours * 3600 });
const withClaims = (more) => (claims) => ({ ...claims, ...(typeof more === "function" ? more(claims) : more) });

/** The public key of the server, as a secret for HS256: what a verifier that mixes up the two would take. */
const publicPem = ({ jwks: { keys } }) =>
  Buffer.from(createPublicKey({ key: keys[0], format: "jwk" }).export({ type: "spki", format: "pem" }));

describe("claims that are refused:", () => {
  const cases = [
    ["another nonce", "nonce", withClaims({ nonce: "forged" })],
    ["no nonce", "nonce", without("nonce")],
    ["a nonce that is no string", "nonce", withClaims(({ nonce }) => ({ nonce: [nonce] }))],
    ["another issuer", "iss", withClaims({ iss: "https://evil.example" })],
    ["the issuer with a slash", "iss", withClaims(({ iss }) => ({ iss: `${iss}/` }))],
    ["no issuer", "iss", without("iss")],
    ["another audience", "aud", withClaims({ aud: "other" })],
    ["an audience that begins like ours", "aud", withClaims({ aud: "spa2" })],
    ["no audience", "aud", without("aud")],
    ["an empty list of audiences", "aud", withClaims({ aud: [] })],
    ["several audiences and no azp", "azp", withClaims({ aud: ["spa", "other"] })],
    ["several audiences and another's azp", "azp", withClaims({ aud: ["spa", "other"], azp: "other" })],
    ["another's azp", "azp", withClaims({ azp: "other" })],
    ["expired", "exp", withClaims({ exp: now() - 120 })],
    ["expired before it was issued", "exp", withClaims(({ iat }) => ({ exp: iat - 1 }))],
    ["an expiry in milliseconds as a string", "exp", withClaims({ exp: `${now() + 3600}` })],
    ["no expiry", "exp", without("exp")],
    ["no time of issue", "iat", without("iat")],
    ["no subject", "sub", without("sub")],
    ["an empty subject", "sub", withClaims({ sub: "" })],
    ["a subject that is a number", "sub", withClaims({ sub: 7 })],
    ["the hash of another access token", "at_hash", withClaims({ at_hash: "MTIzNDU2Nzg5MDEyMzQ1Ng" })],
    ["a hash that is no string", "at_hash", withClaims({ at_hash: 7 })],
  ];
  for (const [what, claim, change] of cases) {
    test(what, async (t) => {
      const { auth, byRedirect } = await signInStage(t);
      auth.faults.token = [forge(auth, change)];
      assertFailed(await byRedirect(), "id_token_invalid", { claim });
      assert.equal(auth.tokenRequests.length, 1);
    });
  }

  test("auth_time longer ago than maxAge", async (t) => {
    const { auth, byRedirect } = await signInStage(t);
    for (const change of [withClaims({ auth_time: now() - 200 }), without("auth_time"), withClaims(() => ({ auth_time: now() + 120 }))]) {
      auth.faults.token = [forge(auth, change)];
      assertFailed(await byRedirect({ maxAge: 100 }), "id_token_invalid", { claim: "auth_time" });
    }
  });

  test("an acr other than those asked for", async (t) => {
    const { auth, byRedirect } = await signInStage(t, { auth: { ignoreAcr: true } });
    assertFailed(await byRedirect({ acrValues: "urn:tokenward:demo:mfa" }), "id_token_invalid", { claim: "acr" });
  });
});

describe("claims that are taken:", () => {
  const cases = [
    ["a list of one audience", withClaims({ aud: ["spa"] })],
    ["several audiences, and us as azp", withClaims({ aud: ["other", "spa"], azp: "spa" })],
    ["issued by a clock that is three hours ahead", ahead(3)],
    ["issued by a clock that is three hours behind", ahead(-3)],
    ["no at_hash", without("at_hash")],
    ["no sid", without("sid")],
  ];
  for (const [what, change] of cases) {
    test(what, async (t) => {
      const { auth, byRedirect } = await signInStage(t);
      auth.faults.token = [forge(auth, change)];
      assertSignedIn(await byRedirect());
    });
  }
});

describe("signatures and headers that are refused:", () => {
  const cases = [
    ["alg none", "alg", () => ({ header: { alg: "none" } })],
    ["alg none, without a kid", "alg", () => ({ header: { alg: "none", kid: undefined } })],
    ["HS256 with the public key as the secret", "alg", (auth) => ({ header: { alg: "HS256" }, key: publicPem(auth) })],
    ["HS256 with the client id as the secret", "alg", () => ({ header: { alg: "HS256" }, key: Buffer.from("spa".padEnd(32)) })],
    ["another key under a known kid", "signature", () => ({ key: foreign.privateKey })],
    ["another key, and none named", "signature", () => ({ header: { kid: undefined }, key: foreign.privateKey })],
    ["a key named that the server does not have", "kid", () => ({ header: { kid: "unknown" } })],
    ["another key in the header itself", "signature", () => ({ header: { jwk: foreign.publicKey.export({ format: "jwk" }) }, key: foreign.privateKey })],
    ["something critical", "crit", () => ({ header: { crit: ["b64"], b64: true } })],
  ];
  for (const [what, claim, how] of cases) {
    test(what, async (t) => {
      const { auth, app, byRedirect } = await signInStage(t);
      auth.faults.token = [forge(auth, asIs, how)];
      assertFailed(await byRedirect(), "id_token_invalid", { claim });
      const asked = auth.jwksRequests.filter(({ headers }) => headers.origin === app.origin);
      // Nothing has to be fetched to see that it cannot be.
      assert.equal(asked.length, ["alg", "crit"].includes(claim) ? 0 : 1);
    });
  }

  const spoilt = [
    ["the signature cut off", "signature", (token) => token.split(".").slice(0, 2).join(".") + "."],
    ["the claims exchanged", "signature", (token) => {
      const [header, payload, signature] = token.split(".");
      const claims = { ...JSON.parse(Buffer.from(payload, "base64url")), sub: "eve" };
      return [header, Buffer.from(JSON.stringify(claims)).toString("base64url"), signature].join(".");
    }],
    ["garbage", "alg", () => "garbage"],
    ["garbage with dots", "alg", () => "a.b.c"],
    ["empty", "alg", () => ""],
    ["no JSON", "alg", () => `${Buffer.from("no JSON").toString("base64url")}.e30.c2ln`],
    ["a header that is null", "alg", () => `${Buffer.from("null").toString("base64url")}.e30.c2ln`],
    ["five parts, as if encrypted", "alg", (token) => `${token}.a.b`],
  ];
  for (const [what, claim, change] of spoilt) {
    test(what, async (t) => {
      const { auth, byRedirect } = await signInStage(t);
      auth.faults.token = [{ transform: (body) => ({ ...body, id_token: change(body.id_token) }) }];
      assertFailed(await byRedirect(), "id_token_invalid", { claim });
    });
  }

  for (const [what, spoil] of [
    ["no ID token at all", without("id_token")],
    ["null", withClaims({ id_token: null })],
    ["a number", withClaims({ id_token: 7 })],
    ["its claims, unsigned", withClaims(({ id_token: token }) => ({ id_token: decodeJwt(token) }))],
  ]) {
    test(`${what}, where openid was asked for`, async (t) => {
      const { auth, byRedirect } = await signInStage(t);
      auth.faults.token = [{ transform: spoil }];
      assertFailed(await byRedirect(), "id_token_invalid", { claim: "iss" });
    });
  }

  test("claims that are no object, well signed", async (t) => {
    const { auth, byRedirect } = await signInStage(t);
    for (const payload of ["null", "no JSON", "[]", '"ada"']) {
      auth.faults.token = [forge(auth, () => payload)];
      const { failed } = await byRedirect();
      assert.deepEqual([failed.code, failed.claim], ["id_token_invalid", "iss"], payload);
    }
  });
});

describe("keys", () => {
  async function clockwork(t) {
    // No renewal in between.
    const staged = await signInStage(t, { accessTokenTtl: 3600 });
    await setClocks(staged);
    const fetched = () => staged.auth.jwksRequests.filter(({ headers }) => headers.origin === staged.app.origin).length;
    return { ...staged, fetched };
  }

  test("are fetched once for many sign-ins", async (t) => {
    const { byPopup, fetched } = await clockwork(t);
    assertSignedIn(await byPopup());
    assertSignedIn(await byPopup());
    assert.equal(fetched(), 1);
  });

  test("are fetched again for one that is not known, but no sooner than 30 s after the last time", async (t) => {
    const { auth, page, byPopup, fetched } = await clockwork(t);
    const unknown = () => (auth.faults.token = [forge(auth, asIs, () => ({ header: { kid: "unknown" } }))]);
    assertSignedIn(await byPopup());
    for (const [seconds, expected] of [[0, 1], [25, 1], [6, 2], [0, 2], [31, 3]]) {
      await page.run((kit, seconds) => kit.later(seconds), seconds);
      unknown();
      const { failed } = await byPopup();
      assert.deepEqual(failed, failure("id_token_invalid", { claim: "kid" }));
      assert.equal(fetched(), expected);
    }
    // The session that was there goes on.
    assertSignedIn(await byPopup());
  });

  test("that are new sign as soon as they are known", async (t) => {
    const { auth, page, byPopup, fetched } = await clockwork(t);
    assertSignedIn(await byPopup());
    const rotated = { ...foreign.publicKey.export({ format: "jwk" }), kid: "new", use: "sig", alg: "ES256" };
    auth.faults.jwks = [{ transform: () => ({ keys: [rotated] }) }];
    await page.run((kit) => kit.later(31));
    auth.faults.token = [forge(auth, withClaims({ sub: "ada" }), () => ({ header: { kid: "new" }, key: foreign.privateKey }))];
    assertSignedIn(await byPopup());
    assert.equal(fetched(), 2);
    // The old one is gone with the old set.
    const { failed } = await byPopup();
    assert.deepEqual(failed, failure("id_token_invalid", { claim: "kid" }));
  });

  const sets = {
    "for encryption only": ([key]) => [{ ...key, use: "enc" }],
    "for another algorithm": ([key]) => [{ ...key, alg: "ES384" }],
    "of another curve": ([key]) => [{ ...key, crv: "P-384" }],
    "without names, two that fit": ([{ kid, ...key }]) => [key, { ...key, ...foreign.publicKey.export({ format: "jwk" }) }],
    "none": () => [],
    "that are none": () => [null, 7, "key", {}, []],
  };
  for (const [what, change] of Object.entries(sets)) {
    test(`${what}: none verifies`, async (t) => {
      const { auth, byRedirect } = await signInStage(t);
      auth.faults.jwks = [{ transform: ({ keys }) => ({ keys: change(keys) }) }];
      auth.faults.token = [forge(auth, asIs, () => ({ header: what.startsWith("without names") ? { kid: undefined } : {} }))];
      assertFailed(await byRedirect(), "id_token_invalid", { claim: "kid" });
    });
  }

  test("that WebCrypto does not take: the signature is not good", async (t) => {
    const { auth, byRedirect } = await signInStage(t);
    auth.faults.jwks = [{ transform: ({ keys: [key] }) => ({ keys: [{ ...key, x: "AAAA" }] }) }];
    assertFailed(await byRedirect(), "id_token_invalid", { claim: "signature" });
  });

  test("among which the right one is one of many", async (t) => {
    const { auth, byRedirect } = await signInStage(t);
    const other = { ...foreign.publicKey.export({ format: "jwk" }), kid: "other" };
    auth.faults.jwks = [{ transform: ({ keys }) => ({ keys: [null, other, { kty: "RSA", kid: keys[0].kid }, ...keys] }) }];
    assertSignedIn(await byRedirect());
  });
});
