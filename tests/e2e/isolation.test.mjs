// `isolation: "worker"`: the tokens are where no script of the page is.
import assert from "node:assert/strict";
import { test } from "node:test";
import { assertSignedIn, signInStage } from "./harness/sign-in.mjs";

const ISOLATED = { isolation: "worker" };

test("by redirect: the API, a renewal, a 401, a sign-out", async (t) => {
  const { auth, api, page, byRedirect } = await signInStage(t);
  assertSignedIn(await byRedirect({}, ISOLATED));
  api.refuseNext(1);
  const outcome = await page.run(async (kit) => {
    kit.ward.install();
    const statuses = [(await kit.call()).status, (await kit.call("/v1/echo", { method: "POST", body: "tea" })).body.length];
    await kit.ward.refresh();
    statuses.push((await kit.call()).status);
    const { revoked, notRevoked } = await kit.ward.signOut();
    return { statuses, types: kit.eventTypes(), notRevoked, after: (await kit.call()).status, signedIn: kit.ward.signedIn };
  });
  assert.deepEqual(outcome.statuses, [200, 3, 200]);
  assert.equal(outcome.after, 401);
  assert.equal(outcome.signedIn, false);
  console.log(outcome, api.requests.map(({ status, tokenReceived }) => [status, tokenReceived]), auth.tokenRequests.length);
});

test("by popup", async (t) => {
  const { page, byPopup } = await signInStage(t);
  assertSignedIn(await byPopup({}, ISOLATED));
  const { status } = await page.run((kit) => (kit.ward.install(), kit.call()));
  assert.equal(status, 200);
});

test("setTokens(), an answer as natively", async (t) => {
  const { page } = await signInStage(t);
  await page.signIn(ISOLATED);
  const outcome = await page.run(async (kit) => {
    const response = await fetch(`${kit.api.origin}/v1/orders`);
    const copy = response.clone();
    return {
      ok: response.ok,
      type: response.type,
      url: response.url,
      redirected: response.redirected,
      contentType: response.headers.get("content-type"),
      items: (await response.json()).orders.length,
      again: (await copy.json()).orders.length,
      copied: copy.url,
    };
  });
  console.log(outcome);
});
