// A whole sign-in, each way: no token is anywhere but in wasm memory at any time, and none is left there after the session.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { decodeJwt } from "jose";
import { assertSignedIn, press, signInStage, toPopup } from "./harness/sign-in.mjs";
import { latch } from "./harness/stage.mjs";

/** The page looks on from now on: the library is not loaded yet. What it hears and frames counts as its events. */
const watch = ({ page }) =>
  page.run(async (kit) => {
    kit.canary = await import("/canary.js");
    kit.canary.watch();
    kit.errors = [];
    addEventListener("message", ({ data }) => kit.events.push({ type: "message", data }));
    addEventListener("storage", ({ key, newValue }) => kit.events.push({ type: "storage", key, newValue }));
    new BroadcastChannel("tokenward").onmessage = ({ data }) => kit.events.push({ type: "channel", data });
    new MutationObserver((records) => {
      for (const { addedNodes } of records) for (const { src } of addedNodes) kit.events.push({ type: "node", src });
    }).observe(document, { childList: true, subtree: true });
  });

const partsInMemory = ({ page, auth }) => page.run((kit, tokens) => kit.canary.partsInMemory(tokens), auth.issuedTokens);

async function assertNowhereElse({ page, auth }, expected = {}) {
  assert.deepEqual(await page.run((kit, tokens) => kit.canary.placesOutside(kit, tokens), auth.issuedTokens), []);
  const counted = await page.run((kit) => kit.stored().length);
  assert.equal(counted, expected.stored ?? 0);
}

/** Answers of the token endpoint are held; `release()` lets the last one go. */
function held({ auth }) {
  const { held, release } = latch();
  auth.faults.token = [{ transform: async (body) => (await held, body) }];
  return { release, arrived: (count) => auth.tokenRequests.until((requests) => requests.length === count) };
}

/** From somebody signed in to the end: a call, a renewal, an error, a sign-out. */
async function live(staged) {
  const { auth, page } = staged;
  assert.ok((await partsInMemory(staged)) > 0);
  await assertNowhereElse(staged);
  await page.run(async (kit) => {
    kit.ward.install();
    await kit.call();
    await kit.ward.refresh();
  });
  await assertNowhereElse(staged);
  await page.run((kit) => kit.ward.signOut());
  await assertNowhereElse(staged);
  assert.equal(await partsInMemory(staged), 0);
  // Access, refresh and ID token, and those of the renewal.
  assert.ok(auth.issuedTokens.length >= 5, `${auth.issuedTokens.length}`);
}

test("by redirect", async (t) => {
  const staged = await signInStage(t, { auth: { autoLogin: false } });
  const { page, depart } = staged;
  await depart();
  await press("allow");
  await page.back();
  await watch(staged);
  const { release, arrived } = held(staged);
  await page.run(async (kit) => {
    await kit.create(kit.discovered());
    kit.popped = kit.ended(kit.ward.handleCallback());
  });
  await arrived(1);
  await assertNowhereElse(staged);
  release();
  assertSignedIn(await staged.popped());
  await live(staged);
});

test("by redirect: what is stored while the user is away is no token, and of one use", async (t) => {
  const staged = await signInStage(t);
  const { auth, page, byRedirect, leave } = staged;
  assertSignedIn(await byRedirect());
  // Tokens were issued by now.
  await watch(staged);
  await leave({ prompt: "login" });
  await watch(staged);
  await page.run((kit) => kit.create(kit.discovered()).then(() => {}));
  await assertNowhereElse(staged, { stored: 1 });
  await page.run((kit) => kit.ward.handleCallback());
  await assertNowhereElse(staged);
  assert.ok(auth.issuedTokens.length >= 6);
});

test("by popup", async (t) => {
  const staged = await signInStage(t, { auth: { autoLogin: false } });
  const { page, pop, popped } = staged;
  await watch(staged);
  await pop();
  const { release, arrived } = held(staged);
  const back = await toPopup();
  await press("allow");
  await back();
  await arrived(1);
  await assertNowhereElse(staged);
  release();
  assertSignedIn(await popped());
  // It was listened in on.
  assert.ok(await page.run((kit) => kit.events.some(({ type, data }) => type === "message" && data.tokenward.code)));
  await live(staged);
});

test("in a hidden frame", async (t) => {
  const staged = await signInStage(t);
  const { page, byRedirect } = staged;
  assertSignedIn(await byRedirect());
  await page.visit();
  await watch(staged);
  const { release, arrived } = held(staged);
  await page.run(async (kit) => {
    await kit.create(kit.discovered({ restore: ["silent"] }));
    kit.popped = kit.ended(kit.ward.restore());
  });
  await arrived(2);
  await assertNowhereElse(staged);
  release();
  assertSignedIn(await staged.popped());
  assert.ok(await page.run((kit) => kit.events.some(({ type, src }) => type === "node" && /prompt=none/.test(src))));
  await live(staged);
});

describe("a sign-in that fails with the tokens at hand:", () => {
  const secrets = (body) => Object.values(body).filter((value) => typeof value === "string").join(" ");
  const cases = {
    "a forged nonce": async (auth, body) => ({
      ...body,
      id_token: await auth.signIdToken({ ...decodeJwt(body.id_token), nonce: "forged" }),
    }),
    "a broken signature": (_auth, body) => ({ ...body, id_token: `${body.id_token.slice(0, -8)}AAAAAAAA` }),
    "an ID token in the wrong place": (_auth, body) => ({ ...body, id_token: body.access_token }),
    "no ID token": (_auth, { id_token: _, ...body }) => body,
    "an error that repeats them": (_auth, body) => ({ error: secrets(body), error_description: secrets(body) }),
    "an error beside them": (_auth, body) => ({ ...body, error: "invalid_grant", error_description: secrets(body) }),
    "a type that repeats them": (_auth, body) => ({ ...body, token_type: body.access_token }),
    "an access token in a list": (_auth, body) => ({ ...body, access_token: [body.access_token] }),
  };
  for (const [what, change] of Object.entries(cases)) {
    for (const way of ["redirect", "popup"]) {
      test(`${what}, by ${way}`, async (t) => {
        const staged = await signInStage(t);
        const { auth, page, leave } = staged;
        auth.faults.token = [{ transform: (body) => change(auth, body) }];
        if (way === "redirect") await leave();
        await watch(staged);
        if (way === "popup") {
          await page.run((kit) => kit.create(kit.discovered()).then(() => {}));
          await page.click((kit) => {
            kit.failing = kit.ward.signIn({ mode: "popup" }).catch((error) => void kit.errors.push(error));
          });
        } else {
          await page.run(async (kit) => {
            await kit.create(kit.discovered());
            kit.failing = kit.ward.handleCallback().catch((error) => void kit.errors.push(error));
          });
        }
        const [errors, signedIn] = await page.run(async (kit) => {
          await kit.failing;
          return [kit.errors.map(({ name }) => name), kit.ward.signedIn];
        });
        assert.deepEqual([errors, signedIn], [["TokenWardError"], false]);
        await assertNowhereElse(staged);
        assert.equal(await partsInMemory(staged), 0);
      });
    }
  }
});

test("the search finds an ID token where one is", async (t) => {
  const staged = await signInStage(t);
  const { auth, page, byPopup } = staged;
  await watch(staged);
  assertSignedIn(await byPopup());
  const token = auth.issuedTokens.findLast((one) => one.split(".").length === 3 && decodeJwt(one).nonce);
  for (const place of ["localStorage", "sessionStorage"]) {
    await page.run((kit, place, token) => window[place].setItem("a", token.slice(-20)), place, token);
  }
  await page.run((kit, token) => postMessage({ token }, "*"), token);
  await page.run(async (kit, token) => {
    kit.errors.push(new Error("a", { cause: token }));
    while (!kit.events.some(({ data }) => data?.token)) await new Promise((resolve) => addEventListener("message", resolve, { once: true }));
  }, token);
  const found = await page.run((kit, tokens) => kit.canary.placesOutside(kit, tokens), [token]);
  assert.deepEqual(found, ["localStorage", "sessionStorage", "calls", "events", "errors"]);
  await page.run(() => (localStorage.clear(), sessionStorage.clear()));
});
