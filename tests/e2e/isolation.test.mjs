// `isolation: "worker"`: the tokens are where no script of the page is.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { contentSecurityPolicy } from "../../www/servers/static.mjs";
import { inTab, newTab } from "./harness/sessions.mjs";
import { assertFailed, assertSignedIn, signInStage } from "./harness/sign-in.mjs";
import { latch } from "./harness/stage.mjs";

const ISOLATED = { isolation: "worker" };

/** Looks for what the servers gave out, as a script of the page that was there before the library could. */
async function watched(t, options) {
  const staged = await signInStage(t, options);
  const watch = () =>
    staged.page.run(async (kit) => {
      kit.canary = await import("/canary.js");
      kit.canary.watch();
      kit.errors = [];
    });
  const places = () => staged.page.run((kit, tokens) => kit.canary.placesOutside(kit, tokens), staged.auth.issuedTokens);
  return { ...staged, watch, places };
}

test("by redirect: the API, a renewal, a 401, a sign-out; and no token in any place of the page", async (t) => {
  const { auth, api, page, leave, watch, places } = await watched(t);
  await leave({}, ISOLATED);
  await watch();
  api.refuseNext(1);
  const outcome = await page.run(async (kit) => {
    await kit.create(kit.discovered({ isolation: "worker" }));
    const back = await kit.ward.handleCallback();
    kit.ward.install();
    const statuses = [(await kit.call()).status, (await kit.call("/v1/echo", { method: "POST", body: "tea" })).body.length];
    await kit.ward.refresh();
    statuses.push((await kit.call()).status);
    return { back, statuses, sub: kit.ward.user.sub, stored: kit.stored() };
  });
  assert.deepEqual(outcome.statuses, [200, 3, 200]);
  assert.equal(outcome.sub, "ada");
  assert.deepEqual(outcome.stored, []);
  assert.deepEqual(await places(), []);
  assert.deepEqual(auth.tokenRequests.map(({ grantType }) => grantType), ["authorization_code", "refresh_token", "refresh_token"]);
  const { types, ...after } = await page.run(async (kit) => {
    const signingOut = kit.ward.signOut();
    const { signedIn } = kit.ward;
    await signingOut;
    return { signedIn, status: (await kit.call()).status, user: kit.ward.user, types: kit.eventTypes() };
  });
  assert.deepEqual(after, { signedIn: false, status: 401, user: null });
  assert.deepEqual(types, ["signedin", "refreshed", "refreshed", "signedout"]);
  assert.deepEqual(api.requests.map(({ tokenReceived }) => tokenReceived), [true, true, true, true, false]);
  assert.deepEqual(await places(), []);
});

test("by popup, with tokens that are bound to a key", async (t) => {
  const { api, page, byPopup } = await signInStage(t, { auth: { dpop: "required" } });
  assertSignedIn(await byPopup({}, { ...ISOLATED, dpop: true }));
  const { status } = await page.run((kit) => (kit.ward.install(), kit.call()));
  assert.equal(status, 200);
  assert.match(api.requests[0].headers.authorization, /^DPoP /);
});

test("a popup that is refused, and one that is closed", async (t) => {
  const { auth, byPopup } = await signInStage(t);
  auth.faults.authorization = [{ redirect: (url) => (url.searchParams.delete("code"), url.searchParams.set("error", "access_denied")) }];
  assertFailed(await byPopup({}, ISOLATED), "authorization_failed", { error: "access_denied" });
});

test("in a hidden frame of the page", async (t) => {
  const { page, byRedirect } = await signInStage(t, { auth: { host: "127.0.0.1" } });
  assertSignedIn(await byRedirect({}, ISOLATED));
  await page.run((kit) => kit.ward.close());
  await page.visit();
  const outcome = await page.run(async (kit) => {
    await kit.create(kit.discovered({ isolation: "worker", restore: ["silent"] }));
    kit.ward.install();
    return { ...(await kit.ward.restore()), status: (await kit.call()).status };
  });
  assert.deepEqual(outcome, { signedIn: true, retryable: false, status: 200 });
});

test("an answer is as natively", async (t) => {
  const { page } = await signInStage(t);
  await page.signIn(ISOLATED);
  const { native, patched } = await page.run(async (kit) => {
    const look = async (fetch) => {
      const response = await fetch(`${kit.api.origin}/v1/echo?a`, { method: "POST", body: new URLSearchParams({ tea: "1" }) });
      const copy = response.clone();
      const { ok, status, statusText, type, url, redirected } = copy;
      const { tokenReceived, tokenId, ...body } = await response.json();
      return { ok, statusText, type, url, redirected, headers: [...copy.headers].map(([name]) => name), body: status === 401 ? {} : body };
    };
    const { nativeFetch } = kit;
    return { native: await look((url, init) => nativeFetch(url, init)), patched: await look(fetch) };
  });
  const { body, ok, statusText, headers, ...same } = patched;
  assert.equal(ok, true);
  assert.equal(statusText, "OK");
  assert.equal(body.contentType, "application/x-www-form-urlencoded;charset=UTF-8");
  assert.equal(body.length, 5);
  assert.ok(headers.includes("content-type"));
  const { url, type, redirected } = native;
  assert.deepEqual(same, { url, type, redirected });
});

test("what ends a request: the app's signal while it waits and while it is answered, the network, a session that is over", async (t) => {
  const { auth, page } = await signInStage(t);
  const { held, release } = latch();
  auth.faults.token = [{ hold: held }];
  await page.signIn({ ...ISOLATED, age: 60 });
  const outcome = await page.run(async (kit) => {
    const ended = (promise) => promise.then(() => "answered", ({ name, message, code }) => [name, code ?? message]);
    const controller = new AbortController();
    const waiting = ended(fetch(`${kit.api.origin}/v1/orders`, { signal: controller.signal }));
    controller.abort(new Error("enough"));
    const aborted = ended(fetch(`${kit.api.origin}/v1/orders`, { signal: AbortSignal.abort() }));
    return { waiting: await waiting, aborted: await aborted };
  });
  assert.deepEqual(outcome.waiting, ["Error", "enough"]);
  assert.equal(outcome.aborted[0], "AbortError");
  const over = page.run(async (kit) => {
    const asked = fetch(`${kit.api.origin}/v1/orders`).catch(({ name, code, constructor }) => [name, code, constructor.name]);
    const { TokenWardError } = await kit.library();
    const isOurs = fetch(`${kit.api.origin}/v1/orders`).catch((error) => error instanceof TokenWardError);
    await kit.ward.signOut();
    return [...(await asked).slice(0, 2), await isOurs];
  });
  assert.deepEqual(await over, ["TokenWardError", "signed_out", true]);
  release();
});

test("a long answer streams, and its end is the app's to choose", async (t) => {
  const chunk = Buffer.alloc(2 ** 16, "a");
  let sent = 0;
  async function* endless() {
    for (; sent < 4_000; sent += 1) {
      yield chunk;
      // WebKit takes what it gets, read or not: it must not get it all at once.
      await setTimeout(1);
    }
  }
  const routes = { "GET /v1/endless": () => ({ status: 200, headers: { "content-type": "text/plain" }, content: endless() }) };
  const { page } = await signInStage(t, { api: { routes } });
  await page.signIn(ISOLATED);
  const read = await page.run(async (kit) => {
    const controller = new AbortController();
    const response = await fetch(`${kit.api.origin}/v1/endless`, { signal: controller.signal });
    const reader = response.body.getReader();
    let read = 0;
    while (read < 500_000) read += (await reader.read()).value.length;
    controller.abort();
    const error = await (async () => {
      for (;;) if ((await reader.read()).done) return undefined;
    })().catch(({ name }) => name);
    return { read, error };
  });
  assert.equal(read.error, "AbortError");
  assert.ok(sent < 4_000, "it was stopped");
});

test("a page that may not compile WebAssembly, with a worker that may", async (t) => {
  const page = contentSecurityPolicy(["http://127.0.0.1:*"]).replace(" 'wasm-unsafe-eval'", "");
  const { page: run, auth, api } = await signInStage(t, {
    policy: (pathname) => (/worker\.js$/.test(pathname) ? contentSecurityPolicy(["http://127.0.0.1:*"]) : page),
  });
  await run.signIn({ ...ISOLATED, tokens: await auth.issueTokens() });
  const outcome = await run.run(async (kit) => {
    const inPage = await WebAssembly.instantiate(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])).then(() => "compiled", ({ name }) => name);
    return { inPage, status: (await kit.call()).status };
  });
  assert.deepEqual(outcome, { inPage: "CompileError", status: 200 });
  assert.equal(api.requests[0].tokenReceived, true);
});

test("tabs share the worker: a session in one is one in the other, and so is its end", async (t) => {
  const { page } = await signInStage(t);
  const has = await page.run(() => typeof SharedWorker === "function");
  await page.signIn(ISOLATED);
  const second = await newTab();
  const join = async () => {
    await page.visit();
    return page.run(async (kit) => {
      await kit.create({ isolation: "worker" });
      kit.ward.install();
      return { signedIn: kit.ward.signedIn, status: (await kit.call()).status };
    });
  };
  assert.deepEqual(await inTab(second, join), has ? { signedIn: true, status: 200 } : { signedIn: false, status: 401 });
  const refused = await inTab(second, () => page.run((kit) => kit.ended(kit.create({ isolation: "worker", waitSeconds: 5 }))));
  if (has) assert.equal(refused.failed.code, "invalid_option");
  await inTab(second, () => page.run((kit) => kit.ward.signOut()));
  if (has) await page.run((kit) => kit.first("signedout"));
});

test("what a worker cannot do is an error that says so", async (t) => {
  const { page } = await signInStage(t);
  const failures = await page.run(async (kit) => {
    const codes = [];
    const note = ({ code }) => codes.push(code);
    await kit.create({ isolation: "elsewhere" }).catch(note);
    await kit.create({ isolation: "worker", clientId: undefined, endpoints: undefined, refresh: () => {} }).catch(note);
    await kit.create({ isolation: "worker", waitSeconds: 0 }).catch(note);
    await kit.create({ isolation: "worker" });
    try {
      kit.ward.install({ xhr: true });
    } catch (error) {
      note(error);
    }
    await kit.ward.ticket(`${kit.api.origin}/v1`).catch(note);
    await kit.ward.connectServiceWorker().catch(note);
    await kit.ward.setTokens({}).catch(note);
    kit.ward.close();
    await kit.ward.refresh().catch(note);
    return codes;
  });
  assert.deepEqual(failures, [...Array(6).fill("invalid_option"), "invalid_token_response", "closed"]);
});

test("what is not listed never reaches the worker", async (t) => {
  const { api, other, page } = await signInStage(t);
  await page.signIn(ISOLATED);
  const posted = await page.run(async (kit) => {
    const urls = [`${kit.api.origin}/public`, `${kit.api.origin}/v10`, `${kit.other.origin}/v1`, "/client.json"];
    const ports = SharedWorker ? MessagePort : Worker;
    const native = ports.prototype.postMessage;
    let posted = 0;
    ports.prototype.postMessage = function (...args) {
      posted += 1;
      return native.apply(this, args);
    };
    for (const url of urls) await fetch(url);
    ports.prototype.postMessage = native;
    return posted;
  });
  assert.equal(posted, 0);
  for (const { tokenReceived } of [...api.requests, ...other.requests]) assert.equal(tokenReceived, false);
});
