// Renewing by the app's own callback.
import assert from "node:assert/strict";
import { test } from "node:test";
import { stage } from "./harness/stage.mjs";

/** A page with a ward whose callback is `kit.answer`, which a test sets; `kit.contexts` is what it was called with. */
async function prepare(t, options) {
  const staged = await stage(t);
  await staged.page.run(
    async (kit, tokens, more) => {
      kit.tokens = tokens;
      kit.contexts = [];
      let call;
      kit.called = new Promise((resolve) => (call = resolve));
      const refresh = (context) => {
        kit.contexts.push(context);
        call();
        return kit.answer();
      };
      kit.answerLater = () => {
        let answer;
        const answered = new Promise((resolve) => (answer = resolve));
        kit.answer = () => answered;
        return answer;
      };
      await kit.create({ endpoints: undefined, refresh, ...more });
      kit.ward.install();
    },
    await staged.auth.issueTokens(),
    options,
  );
  return staged;
}

test("called once for all requests that wait", async (t) => {
  const { auth, api, page } = await prepare(t);
  const { outcomes, asked } = await page.run(async (kit) => {
    kit.answer = async () => kit.tokens;
    kit.ward.setTokens({ access_token: "an-old-one", expires_in: 30 }, { requestedAt: Date.now() - 60_000 });
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => kit.call()));
    return { outcomes, asked: kit.contexts.length };
  });
  assert.deepEqual(new Set(outcomes.map(({ status }) => status)), new Set([200]));
  assert.equal(asked, 1);
  assert.equal(api.requests.length, 20);
  assert.equal(auth.tokenRequests.length, 0);
});

test("never called twice at once", async (t) => {
  const { page } = await prepare(t);
  const { asked, generation } = await page.run(async (kit) => {
    const answer = kit.answerLater();
    kit.ward.setTokens(kit.tokens);
    const renewals = [kit.ward.refresh(), kit.ward.refresh()];
    await kit.called;
    renewals.push(kit.ward.refresh());
    const asked = kit.contexts.length;
    answer(kit.tokens);
    await Promise.all(renewals);
    return { asked, generation: kit.ward.snapshot().generation };
  });
  assert.equal(asked, 1);
  assert.equal(generation, 2);
});

// What the callback does, and how the session ends.
const ends = [
  { how: "resolves with null", answer: async () => null, reason: "login_required", error: null },
  { how: "resolves with nothing", answer: async () => {}, reason: "login_required", error: null },
  { how: "resolves with invalid_grant", answer: async () => ({ error: "invalid_grant" }), reason: "refresh_rejected", error: "invalid_grant" },
  { how: "resolves with login_required", answer: async () => ({ error: "login_required" }), reason: "login_required", error: "login_required" },
  {
    how: "rejects with an error that has an OAuth code",
    answer: async () => {
      throw Object.assign(new Error("no"), { error: "invalid_client" });
    },
    reason: "misconfigured",
    error: "invalid_client",
  },
];

for (const { how, answer, reason, error } of ends) {
  test(`${how}: signed out, ${reason}`, async (t) => {
    const { page } = await prepare(t);
    await page.run((kit) => kit.ward.setTokens(kit.tokens));
    // A script of its own carries the function over.
    await page.run(`(kit) => { kit.answer = ${answer}; }`);
    const { code, signedIn, asked, last } = await page.run(async (kit) => {
      const { code } = await kit.ward.refresh().catch((reason) => reason);
      return { code, signedIn: kit.ward.signedIn, asked: kit.contexts.length, last: kit.events.at(-1) };
    });
    assert.deepEqual({ code, signedIn, asked }, { code: "signed_out", signedIn: false, asked: 1 });
    assert.deepEqual(last, { type: "signedout", reason, error });
  });
}

// What the callback does first; then it resolves with tokens.
const failures = [
  { how: "rejects", answer: () => Promise.reject(new Error("the network is down")), cause: "callback" },
  { how: "rejects with nothing", answer: () => Promise.reject(), cause: "callback" },
  {
    how: "throws",
    answer: () => {
      throw new Error("a mistake");
    },
    cause: "callback",
  },
  { how: "resolves with a string", answer: async () => "eyJhbGciOi", cause: "malformed" },
  { how: "resolves with an access token that is a number", answer: async () => ({ access_token: 7 }), cause: "malformed" },
  { how: "does not settle in time", answer: () => new Promise(() => {}), cause: "timeout" },
];

for (const { how, answer, cause } of failures) {
  test(`${how}: tried again (${cause})`, async (t) => {
    const { page } = await prepare(t, { requestTimeoutSeconds: 1 });
    await page.run(`(kit) => { kit.failing = ${answer}; }`);
    const { asked, events } = await page.run(async (kit) => {
      kit.answer = () => (kit.contexts.length === 1 ? kit.failing() : kit.tokens);
      kit.ward.setTokens(kit.tokens);
      const renewal = kit.ward.refresh();
      await kit.first("refreshfailed");
      kit.hurry();
      await renewal;
      return { asked: kit.contexts.length, events: kit.events };
    });
    assert.equal(asked, 2);
    const [, failed, renewed] = events;
    assert.equal(typeof failed.retryAt, "number");
    assert.deepEqual(
      { ...failed, retryAt: null },
      { type: "refreshfailed", cause, status: null, error: null, attempt: 1, retryable: true, retryAt: null },
    );
    assert.equal(renewed.type, "refreshed");
  });
}

// What aborts the callback's signal, and with which code its refresh() rejects.
const aborts = [
  { by: "the time limit", act: () => {} },
  { by: "signOut()", act: (ward) => ward.signOut(), code: "signed_out" },
  { by: "close()", act: (ward) => ward.close(), code: "closed" },
  { by: "setTokens()", act: (ward) => ward.setTokens({ access_token: "better" }) },
];

for (const { by, act, code } of aborts) {
  test(`its signal is aborted by ${by}; what it resolves with later changes nothing`, async (t) => {
    const { page } = await prepare(t, { requestTimeoutSeconds: 1 });
    await page.run(`(kit) => { kit.act = ${act}; }`);
    const { before, rejected, generations } = await page.run(async (kit) => {
      const answer = kit.answerLater();
      kit.ward.setTokens(kit.tokens);
      const renewal = kit.ward.refresh().then(() => undefined, (reason) => reason.code);
      await kit.called;
      const [{ signal }] = kit.contexts;
      const before = signal.aborted;
      const aborted = new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
      kit.act(kit.ward);
      await aborted;
      const generation = () => (kit.ward.signedIn ? kit.ward.snapshot().generation : 0);
      const generations = [generation()];
      answer({ access_token: "too-late" });
      // After whatever the answer sets off.
      await new Promise((resolve) => setTimeout(resolve));
      generations.push(generation());
      kit.ward.close();
      return { before, rejected: await renewal, generations };
    });
    assert.equal(before, false);
    assert.equal(generations[0], generations[1]);
    if (code) assert.equal(rejected, code);
  });
}
