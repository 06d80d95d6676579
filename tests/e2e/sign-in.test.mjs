// Signing in with the library itself.
import assert from "node:assert/strict";
import { test } from "node:test";
import { browserDriver, stage } from "./harness/stage.mjs";

const options = { issuer: undefined };

test("by redirect, with discovery", async (t) => {
  const { auth, app, page } = await stage(t, { auth: { autoLogin: "ada" } });
  await page.run((kit) => {
    kit.create({ issuer: kit.auth.issuer, endpoints: undefined, redirectUri: `${location.origin}/`, scope: "openid profile orders" }).then((ward) =>
      ward.signIn({ returnTo: "/?back=1" }).catch((error) => (document.title = String(error))),
    );
  });
  await auth.tokenRequests;
  await browserDriver().wait(async () => (await browserDriver().getCurrentUrl()).includes("code="), 10_000);
  const result = await page.run(async (kit) => {
    const ward = await kit.create({ issuer: kit.auth.issuer, endpoints: undefined, redirectUri: `${location.origin}/` });
    const url = location.href;
    const back = await ward.handleCallback();
    ward.install();
    return { url, back, user: ward.user, call: await kit.call(), events: kit.events, stored: Object.keys(sessionStorage) };
  });
  assert.equal(result.user.sub, "ada");
  console.log(result);
});

test("by popup", async (t) => {
  const { auth, app, page } = await stage(t, { auth: { autoLogin: "ada" } });
  const result = await page.run(async (kit) => {
    const ward = await kit.create({ issuer: kit.auth.issuer, endpoints: undefined, redirectUri: `${location.origin}/callback.html`, scope: "openid profile orders" });
    const result = await ward.signIn({ mode: "popup" });
    return { result, user: ward.user, events: kit.events };
  });
  console.log(result);
  const again = await page.run(async (kit) => {
    kit.ward.close();
    const ward = await kit.create({ issuer: kit.auth.issuer, endpoints: undefined, redirectUri: `${location.origin}/callback.html`, scope: "openid profile orders", restore: ["silent"] });
    return { result: await ward.restore(), user: ward.user, snapshot: ward.snapshot() };
  });
  console.log(again, again.snapshot.outcomes);
});
