// No token is left in wasm memory after the session, and none is anywhere else at any time.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { stage } from "./harness/stage.mjs";

/** The library is loaded by a page that looks on, as a script that was there first could. */
async function watched(t, options) {
  const staged = await stage(t, options);
  await staged.page.run(async (kit) => {
    const canary = await import("/canary.js");
    canary.watch();
    kit.canary = canary;
    kit.errors = [];
    // Collects what is thrown, whole; it could not leave the page as it is.
    kit.expectError = async (promise) => {
      const error = await promise.then(() => undefined, (reason) => reason);
      if (!error) throw new Error("no error where one was expected");
      kit.errors.push(error);
    };
  });
  return staged;
}

const partsInMemory = ({ page, auth }, tokens = auth.issuedTokens) =>
  page.run((kit, tokens) => kit.canary.partsInMemory(tokens), tokens);

const placesOutside = ({ page, auth }) => page.run((kit, tokens) => kit.canary.placesOutside(kit, tokens), auth.issuedTokens);

async function assertGone(staged) {
  assert.equal(await partsInMemory(staged), 0);
  assert.deepEqual(await placesOutside(staged), []);
}

test("the search finds a token in wasm memory while somebody is signed in, and nowhere else", async (t) => {
  const staged = await watched(t);
  const tokens = await staged.auth.issueTokens();
  await staged.page.signIn({ tokens });
  await staged.page.run((kit) => kit.call());
  for (const token of [tokens.access_token, tokens.refresh_token]) {
    // All of its parts, in a row.
    assert.equal(await partsInMemory(staged, [token]), token.length - 15);
  }
  assert.deepEqual(await placesOutside(staged), []);
});

test("the search finds a token in each place", async (t) => {
  const staged = await watched(t);
  await staged.page.signIn();
  await staged.page.run(async (kit, token) => {
    const part = token.slice(-20);
    localStorage.setItem("a", part);
    sessionStorage.setItem(part, "a");
    document.cookie = `a=${part}`;
    const opened = indexedDB.open(part);
    await new Promise((resolve) => (opened.onsuccess = resolve));
    opened.result.close();
    await new Promise((release) => navigator.locks.request(part, () => release()));
    navigator.locks.request(part, () => new Promise(() => {}));
    performance.mark(part);
    location.hash = part;
    document.body.dataset.a = part;
    window[part] = 1;
    console.debug({ a: [part] });
    kit.events.push({ type: "a", scope: part });
    kit.errors.push(new Error("a", { cause: new Error(part) }));
    // A ward is frozen.
    kit.ward = { leaked: { a: part }, signedIn: true, snapshot: () => ({ scope: part }) };
  }, staged.auth.issuedTokens[0]);
  const expected = ["localStorage", "sessionStorage", "cookies", "databases", "locks", "performance", "address", "document"];
  expected.push("globals", "calls", "events", "errors", "ward", "snapshot");
  assert.deepEqual(await placesOutside(staged), expected);
});

test("a whole session: renewals, refusals, errors, sign-out", async (t) => {
  const staged = await watched(t);
  const { auth, api, page } = staged;
  await page.signIn({ waitSeconds: 1 });
  // In the page, after something was set up at the servers.
  const steps = [
    { script: (kit) => kit.ward.refresh() },
    { before: () => api.refuseNext(1), script: (kit) => kit.call() },
    { script: (kit) => Promise.all([kit.call("/v1/stepup"), kit.call("/v1/admin")]) },
    { script: (kit) => kit.expectError(fetch("http://127.0.0.1:1/")) },
    {
      before: () => (auth.faults.token = () => ({ status: 500 })),
      script: (kit) => kit.expectError(kit.ward.refresh()),
    },
  ];
  for (const { before, script } of steps) {
    before?.();
    await page.run(script);
    assert.deepEqual(await placesOutside(staged), []);
  }
  assert.ok((await partsInMemory(staged)) > 0);

  await page.run((kit) => kit.ward.signOut());
  await assertGone(staged);
  assert.ok(auth.issuedTokens.length >= 6);
});

test("a token that was renewed is not kept", async (t) => {
  const staged = await watched(t);
  const first = await staged.auth.issueTokens();
  await staged.page.signIn({ tokens: first });
  await staged.page.run(async (kit) => {
    await kit.call();
    await kit.ward.refresh();
  });
  assert.ok((await partsInMemory(staged)) > 0);
  // The first parts of JWTs of one server are alike.
  const unlike = first.access_token.slice(-60);
  assert.equal(await partsInMemory(staged, [unlike, first.refresh_token]), 0);
});

/** Tokens come, but not in a form that can be read; then the user signs out. */
const spoilt = (change) => ({
  before: ({ auth }) => (auth.faults.token = [{ transform: (body) => change(JSON.stringify(body)) }]),
  script: async (kit) => {
    const failing = kit.expectError(kit.ward.refresh());
    await kit.first("refreshfailed");
    await kit.ward.signOut();
    await failing;
  },
});

describe("nothing is left after", () => {
  const endings = {
    "invalid_grant": {
      before: ({ auth }) => auth.revokeGrants(),
      script: (kit) => kit.expectError(kit.ward.refresh()),
    },
    "close()": { script: (kit) => kit.ward.close() },
    "sign-out with requests waiting": {
      before: ({ auth }) => (auth.faults.token = [{ hang: true }]),
      script: async (kit) => {
        const failing = kit.expectError(kit.ward.refresh());
        await kit.ward.signOut();
        await failing;
      },
    },
    "sign-out with the server gone": {
      before: ({ auth }) => (auth.faults.unreachable = true),
      script: (kit) => kit.ward.signOut(),
    },
    "an outage that lasted too long": {
      before: ({ auth }) => (auth.faults.token = () => ({ status: 500 })),
      options: { maxOutageSeconds: 1 },
      script: async (kit) => {
        while (kit.ward.signedIn) await kit.ward.refresh().catch((error) => kit.errors.push(error));
      },
    },
    "an answer that is too long": spoilt((json) => json + " ".repeat(2 ** 21)),
    "an answer that is cut off": spoilt((json) => json.slice(0, -9)),
    "an answer in HTML": spoilt((json) => `<p>${json}</p>`),
  };
  for (const [what, { before, script, options }] of Object.entries(endings)) {
    test(what, async (t) => {
      const staged = await watched(t);
      await staged.page.signIn(options);
      assert.ok((await partsInMemory(staged)) > 0);
      before?.(staged);
      await staged.page.run(script);
      await assertGone(staged);
    });
  }

  test("many sessions one after the other", async (t) => {
    const staged = await watched(t);
    await staged.page.signIn();
    for (let i = 0; i < 5; i += 1) {
      await staged.page.run(
        async (kit, tokens) => {
          kit.ward.setTokens(tokens);
          await Promise.all(Array.from({ length: 10 }, () => kit.call()));
          await kit.ward.refresh();
          await kit.ward.signOut();
        },
        await staged.auth.issueTokens(),
      );
    }
    await assertGone(staged);
  });
});

describe("a server that repeats what it was sent does not get it into an event or an error:", () => {
  const answers = {
    "as the description of an error": (token) => ({ error: "invalid_grant", error_description: token, error_uri: `https://id.example/${token}` }),
    "as the error": (token) => ({ error: token }),
    "as a part of the error": (token) => ({ error: `invalid_grant:${token}` }),
    "as the type of a token": (token) => ({ access_token: token, token_type: token }),
    "as the lifetime": (token) => ({ access_token: 7, expires_in: token }),
  };
  for (const [how, answer] of Object.entries(answers)) {
    test(how, async (t) => {
      const staged = await watched(t);
      const tokens = await staged.auth.issueTokens();
      for (const token of [tokens.refresh_token, tokens.access_token]) {
        staged.auth.faults.token = [{ status: 400, body: answer(token) }];
        await staged.page.signIn({ tokens });
        await staged.page.run(async (kit) => {
          const failing = kit.expectError(kit.ward.refresh());
          await kit.first("refreshfailed");
          kit.ward.close();
          await failing;
        });
        assert.deepEqual(await placesOutside(staged), []);
      }
    });
  }
});

test("what setTokens() refuses is not repeated in its error", async (t) => {
  const staged = await watched(t);
  await staged.page.run(async (kit, token) => {
    await kit.create();
    const refused = [
      { access_token: `${token} ${token}` },
      { access_token: [token] },
      { access_token: "a", token_type: token },
      { access_token: "a", refresh_token: `${token}\n` },
      token,
      [token],
    ];
    for (const response of refused) {
      try {
        kit.ward.setTokens(response);
      } catch (error) {
        kit.errors.push(error);
      }
    }
    if (kit.errors.length !== refused.length) throw new Error("setTokens() took what it should have refused");
  }, (await staged.auth.issueTokens()).access_token);
  await assertGone(staged);
});
