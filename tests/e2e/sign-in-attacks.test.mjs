// What an attack on the sign-in found, each as it should be.
import assert from "node:assert/strict";
import { test } from "node:test";
import { signInAtBackend } from "./harness/sessions.mjs";
import { assertSignedIn, failure, signInStage } from "./harness/sign-in.mjs";
import { browserDriver, latch, stage } from "./harness/stage.mjs";

/** Metadata without this member. */
const without = (name) => () => ({ transform: ({ [name]: _, ...rest }) => rest });

test("a server that revokes nothing is no server that cannot be reached: the page leaves for its end-session endpoint", async (t) => {
  const { auth, page, byRedirect } = await signInStage(t);
  auth.faults.discovery = without("revocation_endpoint");
  await byRedirect();
  await page.leave((kit) => kit.ward.signOut({ endSession: true }));
  assert.equal(auth.endSessionRequests.length, 1);
});

test("a backend needs nothing of the server's metadata", async (t) => {
  const staged = await stage(t, { backend: true });
  const { auth, backend, page } = staged;
  await signInAtBackend(staged);
  auth.faults.discovery = () => ({ status: 503 });
  const { restored, out } = await page.run(async (kit) => {
    await kit.create(kit.mediated({ clientId: "spa", issuer: kit.auth.issuer }));
    return { restored: await kit.ward.restore(), out: await kit.ward.signOut() };
  });
  assert.deepEqual(restored, { signedIn: true, retryable: false });
  assert.ok(!out.notRevoked.includes("session"), JSON.stringify(out));
  assert.equal(backend.requests.filter(({ route }) => route === "signOut").length, 1);
  const byThePage = auth.discoveryRequests.filter(({ headers }) => headers.origin !== undefined);
  assert.ok(byThePage.every(({ status }) => status === 503), "it was asked for the revocation only");
});

test("what was refused to somebody unknown is not repeated as somebody else", async (t) => {
  const { auth, api, page } = await signInStage(t);
  const tokens = await auth.issueTokens();
  await page.run(async (kit, tokens) => {
    await kit.create(kit.discovered());
    kit.ward.install().setTokens(tokens);
    kit.ward.addEventListener("stepup", (event) => void (kit.stepUp = event));
    await fetch(`${kit.api.origin}/v1/stepup`, { method: "POST", body: "ada's" });
  }, tokens);
  auth.settings.autoLogin = "grace";
  const ended = await page.click((kit) => kit.ended(kit.ward.signIn({ stepUp: kit.stepUp, mode: "popup", prompt: "login" })));
  assert.deepEqual(ended.value, { response: null });
  assert.equal(api.requests.filter(({ method }) => method === "POST").length, 1);
});

test("a popup is given up while metadata are fetched", async (t) => {
  const { auth, page } = await signInStage(t);
  const { held, release } = latch();
  auth.faults.discovery = [{ hold: held }];
  await page.run(async (kit) => void (await kit.create(kit.discovered())));
  await page.click((kit) => {
    kit.abort = new AbortController();
    kit.popped = kit.ward.signIn({ mode: "popup", signal: kit.abort.signal }).catch(({ name }) => name);
  });
  await page.run((kit) => kit.abort.abort());
  release();
  assert.equal(await page.run((kit) => kit.popped), "AbortError");
  assert.equal(auth.authorizationRequests.length, 0);
});

test("another ward's answer is left to it", async (t) => {
  const { auth, page, leave } = await signInStage(t);
  await leave();
  const result = await page.run(async (kit) => {
    const { TokenWard } = await kit.library();
    const { authorization, token } = kit.auth.endpoints;
    const other = { issuer: undefined, clientId: "other", scope: "orders", endpoints: { authorization, token } };
    const stranger = await TokenWard.create(kit.options(kit.discovered(other)));
    await kit.create(kit.discovered());
    const strange = await stranger.handleCallback();
    const ended = await kit.ended(kit.ward.handleCallback());
    stranger.close();
    return { strange, ...ended, ...kit.look() };
  });
  assert.equal(result.strange, null);
  assertSignedIn(result);
  assert.deepEqual(auth.tokenRequests.map(({ params }) => params.client_id), ["spa"]);
});

test("who signs in while somebody signs out is not taken away from the page", async (t) => {
  const { auth, page, byRedirect } = await signInStage(t);
  await byRedirect();
  const { held, release } = latch();
  auth.faults.revocation = [{ hold: held }, { hold: held }];
  const tokens = await auth.issueTokens();
  const url = await browserDriver().getCurrentUrl();
  await page.run((kit, tokens) => {
    kit.out = kit.ward.signOut({ endSession: true });
    kit.ward.setTokens(tokens);
  }, tokens);
  release();
  const { notRevoked, signedIn } = await page.run(async (kit) => ({ ...(await kit.out), signedIn: kit.ward.signedIn }));
  assert.ok(notRevoked.includes("end_session"));
  assert.deepEqual([signedIn, await browserDriver().getCurrentUrl()], [true, url]);
});

test("closing the ward in a listener of signedout: the sign-out ends as it should", async (t) => {
  const { page, byRedirect } = await signInStage(t);
  await byRedirect();
  const result = await page.run(async (kit) => {
    kit.ward.addEventListener("signedout", () => kit.ward.close());
    return kit.ward.signOut();
  });
  assert.equal(typeof result.revoked, "boolean");
});

test("a server that could not be asked on the page that comes back may be asked again", async (t) => {
  const { auth, page, leave } = await signInStage(t);
  await leave();
  auth.faults.discovery = [{ status: 503 }, { status: 503 }];
  const result = await page.run(async (kit) => {
    await kit.create(kit.discovered());
    const first = await kit.ended(kit.ward.handleCallback());
    return { first: first.failed, ...(await kit.ended(kit.ward.handleCallback())), ...kit.look() };
  });
  assert.deepEqual(result.first, failure("server_unavailable"));
  assertSignedIn(result);
});

test("a hidden frame cannot take the page away", async (t) => {
  const { app, auth, page } = await signInStage(t);
  auth.faults.authorization = [
    {
      status: 200,
      headers: { "Content-Type": "text/html" },
      body: "<script>if (top !== self) top.location = self.location;</script>",
    },
  ];
  const restored = await page.run(async (kit) => {
    await kit.create(kit.discovered({ restore: ["silent"], requestTimeoutSeconds: 1 }));
    return kit.ward.restore();
  });
  assert.deepEqual(restored, { signedIn: false, retryable: true });
  assert.equal(await browserDriver().getCurrentUrl(), `${app.origin}/`);
});

test("options of a sign-in that are no numbers are refused", async (t) => {
  const { auth, page } = await signInStage(t);
  const codes = await page.run(async (kit) => {
    await kit.create(kit.discovered());
    const ask = (maxAge) => kit.ward.signIn({ maxAge }).catch(({ name, code }) => `${name} ${code}`);
    return Promise.all([NaN, Infinity, "1"].map(ask));
  });
  assert.deepEqual(new Set(codes), new Set(["TypeError invalid_option"]));
  assert.equal(auth.authorizationRequests.length, 0);
});
