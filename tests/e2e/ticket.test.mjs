// The access token for what has no headers, where the app asks for it in so many words.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { latch, stage } from "./harness/stage.mjs";

const EXPOSED = { dangerouslyExposeAccessToken: true };

/** What `ticket()` gives, or the error. */
const ticket = (page, url, options) => page.run((kit, url, options) => kit.ended(kit.ward.ticket(url, options ?? undefined)), url, options);

async function signedIn(t, { fault, ...options } = {}) {
  const staged = await stage(t);
  if (fault) staged.auth.faults.token = [fault];
  const tokens = await staged.auth.issueTokens();
  await staged.page.signIn({ tokens, ...EXPOSED, ...options });
  return { ...staged, token: tokens.access_token };
}

test("it is the access token", async (t) => {
  const { page, api, token } = await signedIn(t);
  for (const url of [`${api.origin}/v1/orders`, api.origin.replace("http", "ws") + "/v1/socket"]) {
    assert.deepEqual(await ticket(page, url), { value: token });
  }
});

test("not without the option, whoever is signed in", async (t) => {
  const { page, api } = await signedIn(t, { dangerouslyExposeAccessToken: false });
  const { failed, message } = await ticket(page, `${api.origin}/v1/orders`);
  assert.deepEqual([failed.name, failed.code], ["TypeError", "invalid_option"]);
  assert.match(message, /^dangerouslyExposeAccessToken /);
});

describe("not for", () => {
  const targets = {
    "another origin": ({ other }) => [`${other.origin}/v1/orders`],
    "a socket of another origin": ({ other }) => [other.origin.replace("http", "ws") + "/v1"],
    "another path": ({ api }) => [`${api.origin}/public`],
    "dot segments": ({ api }) => [`${api.origin}/v1/../public`],
    "userinfo": ({ api }) => [api.origin.replace("http://", "http://a@") + "/v1/orders"],
    "another scheme": ({ api }) => [`wss://127.0.0.1:${api.port}/v1`],
    "another method": ({ api }) => [`${api.origin}/v1/orders`, { method: "POST" }],
    "what is no URL": () => ["http://["],
    "an option that is none": ({ api }) => [`${api.origin}/v1/orders`, { mode: "cors" }],
    "a URL that changes its mind": ({ api }) => [{ url: api.origin }],
  };
  for (const [what, target] of Object.entries(targets)) {
    test(what, async (t) => {
      const staged = await stage(t);
      await staged.page.signIn({ ...EXPOSED, resources: [{ url: `${staged.api.origin}/v1`, methods: ["GET"] }] });
      const { failed, value } = await ticket(staged.page, ...target(staged));
      assert.equal(value, undefined);
      assert.equal(failed.code, "invalid_option");
    });
  }
});

test("it waits for one that is good", async (t) => {
  const { held, release } = latch();
  const { page, api, auth } = await signedIn(t, { age: 60, fault: { hold: held } });
  const url = `${api.origin}/v1/orders`;
  await page.run((kit, url) => void (kit.ticket = kit.ward.ticket(url)), url);
  await auth.tokenRequests.until(({ length }) => length === 1);
  release();
  const got = await page.run((kit) => kit.ticket);
  assert.ok(auth.issuedTokens.includes(got));
  assert.equal((await fetch(url, { headers: { authorization: `Bearer ${got}` } })).status, 200);
});

test("signed out, closed, given up: an error", async (t) => {
  const { held, release } = latch();
  t.after(release);
  const { page, api } = await signedIn(t, { age: 60, fault: { hold: held } });
  const codes = await page.run(async (kit, url) => {
    const controller = new AbortController();
    const given = kit.ended(kit.ward.ticket(url, { signal: controller.signal }));
    controller.abort();
    const waited = kit.ended(kit.ward.ticket(url));
    await kit.ward.signOut();
    const after = await kit.ended(kit.ward.ticket(url));
    kit.ward.close();
    const closed = await kit.ended(kit.ward.ticket(url));
    return [(await given).failed.name, (await waited).failed.code, after.failed.code, closed.failed.code];
  }, `${api.origin}/v1/orders`);
  assert.deepEqual(codes, ["AbortError", "signed_out", "signed_out", "closed"]);
});

describe("one that is asked for in one session is never the next one's:", () => {
  /** What `kit.next()` begins is the next session. */
  const prepare = (page, next) => page.run((kit, next) => void (kit.next = () => void (kit.ward.signOut(), kit.ward.setTokens(next))), next);

  test("which begins as the token comes", async (t) => {
    const { held, release } = latch();
    const { page, api, auth } = await signedIn(t, { age: 60, fault: { hold: held } });
    await prepare(page, await auth.issueTokens());
    await page.run((kit, url) => {
      kit.ward.addEventListener("refreshed", () => kit.next(), { once: true });
      kit.ticket = kit.ended(kit.ward.ticket(url));
    }, `${api.origin}/v1/orders`);
    release();
    const { failed, value } = await page.run((kit) => kit.ticket);
    assert.deepEqual([failed?.code, value], ["signed_out", undefined]);
  });

  test("while the app looks for a session", async (t) => {
    const { page, api, backend, auth } = await stage(t, { backend: true });
    const { held, release } = latch();
    t.after(release);
    backend.faults.token = [{ hold: held }];
    const first = await auth.issueTokens();
    await page.run((kit, more) => kit.create(kit.mediated(more)), EXPOSED);
    await prepare(page, await auth.issueTokens());
    const got = await page.run(async (kit, first, url) => {
      void kit.ward.restore();
      kit.ward.setTokens(first);
      const ticket = kit.ended(kit.ward.ticket(url));
      kit.next();
      return ticket;
    }, first, `${api.origin}/v1/orders`);
    assert.deepEqual(got, { value: first.access_token });
  });
});
