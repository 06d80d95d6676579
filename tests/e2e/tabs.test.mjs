// Several tabs of an app, several wards of a page: who signs out with whom, and who is left alone.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { browser } from "./harness/browsers.mjs";
import { inTab, newTab, signInAtServer } from "./harness/sessions.mjs";
import { signInStage } from "./harness/sign-in.mjs";
import { browserDriver, latch, stage } from "./harness/stage.mjs";

/** A page and another tab of the same app, each signed in on its own; `other` does something in the other one. */
async function twoTabs(t, { options, otherOptions = options, ...more } = {}) {
  const staged = await signInStage(t, more);
  const tab = await newTab();
  const other = (act) => inTab(tab, act);
  await other(async () => {
    await staged.page.visit();
    assert.equal((await staged.byRedirect({}, otherOptions)).signedIn, true);
  });
  assert.equal((await staged.byRedirect({}, options)).signedIn, true);
  return { ...staged, tab, other };
}

const look = ({ page }) =>
  page.run((kit) => ({ signedIn: kit.ward.signedIn, types: kit.eventTypes(), reason: kit.events.at(-1).reason }));
const signOut = ({ page }) => page.run(async (kit) => void (await kit.ward.signOut()));
const STAYS = { signedIn: true, types: ["signedin"] };
const GOES = { signedIn: false, types: ["signedin", "signedout"], reason: "elsewhere" };

/** Whether all that was said before has arrived: channels keep their order. */
const heard = ({ page }) =>
  page.run(async () => {
    const channel = new BroadcastChannel("tokenward");
    const other = new BroadcastChannel("tokenward");
    const echo = new Promise((resolve) => (channel.onmessage = resolve));
    other.postMessage("of the test");
    await echo;
    channel.close();
    other.close();
  });

describe("a sign-out in one tab", () => {
  test("signs out the others, each of which revokes its own tokens", async (t) => {
    const staged = await twoTabs(t);
    const { auth, page, other } = staged;
    await page.run((kit) => {
      kit.said = [];
      const channel = new BroadcastChannel("tokenward");
      channel.onmessage = ({ data }) => kit.said.push(data);
    });
    await other(() => signOut(staged));
    await page.run((kit) => kit.first("signedout"));
    assert.deepEqual(await look(staged), GOES);
    await auth.revocationRequests.until((requests) => requests.length === 4);
    const revoked = auth.revocationRequests.map(({ params }) => params.token);
    assert.equal(new Set(revoked).size, 4);
    const ours = auth.issuedTokens.filter((token) => revoked.includes(token));
    assert.equal(ours.length, 4);
    // What it said holds no token, and nobody's name.
    const said = await page.run(({ said }) => said);
    const [{ at }] = said;
    assert.ok(Math.abs(Date.now() - at) < 60_000);
    assert.deepEqual(said, [{ tokenward: "signout", scope: `${auth.issuer} spa`, at }]);
    // For a page that is not told.
    assert.deepEqual(await page.run(() => Object.entries(localStorage)), [[`tokenward.signout ${auth.issuer} spa`, String(at)]]);
    assert.equal((await page.run((kit) => (kit.ward.install(), kit.call()))).status, 401);
  });

  test("and an end of the session at the server does, too", async (t) => {
    const staged = await twoTabs(t);
    await staged.other(() => staged.page.leave((kit) => kit.ward.signOut({ endSession: true })));
    await staged.page.run((kit) => kit.first("signedout"));
    assert.deepEqual(await look(staged), GOES);
    assert.equal(staged.auth.endSessionRequests.length, 1);
  });

  test("ends the renewals and the waiting requests of the others", async (t) => {
    const staged = await twoTabs(t);
    const { auth, page } = staged;
    auth.faults.token = () => ({ hang: true });
    await page.run((kit) => {
      kit.waiting = kit.outcome(kit.ward.refresh());
    });
    await auth.tokenRequests.until((requests) => requests.length === 3);
    await staged.other(() => signOut(staged));
    const { code } = await page.run((kit) => kit.waiting);
    assert.equal(code, "signed_out");
    assert.deepEqual(await look(staged), GOES);
  });

  // Of another session, as far as anybody can know.
  const strangers = {
    "another client": { clientId: "another" },
    "another issuer": { issuer: "https://id.invalid" },
  };
  for (const [what, options] of Object.entries(strangers)) {
    test(`leaves alone a ward of ${what}`, async (t) => {
      const staged = await twoTabs(t);
      const { page } = staged;
      await page.run(
        async (kit, options, tokens) => {
          kit.mine = kit.ward;
          await kit.create(kit.discovered(options));
          kit.ward.setTokens(tokens);
        },
        options,
        await staged.auth.issueTokens(),
      );
      await staged.other(() => signOut(staged));
      await page.run(async ({ mine }) => {
        while (mine.signedIn) await new Promise((resolve) => mine.addEventListener("signedout", resolve, { once: true }));
      });
      await heard(staged);
      assert.equal((await look(staged)).signedIn, true);
    });
  }

  test("a session that ended by itself does not sign out others", async (t) => {
    const staged = await twoTabs(t);
    staged.auth.faults.token = [{ status: 400, body: { error: "invalid_grant" } }];
    await staged.other(() => staged.page.run((kit) => kit.ward.refresh().catch(() => {})));
    await heard(staged);
    assert.deepEqual(await look(staged), STAYS);
  });

  test("close() signs nobody out, and a closed ward hears nothing", async (t) => {
    const staged = await twoTabs(t);
    const { page, other } = staged;
    await page.run(({ ward }) => ward.close());
    await other(() => heard(staged));
    assert.deepEqual(await other(() => look(staged)), STAYS);
    await other(() => signOut(staged));
    await heard(staged);
    assert.deepEqual(await page.run((kit) => kit.eventTypes()), ["signedin"]);
  });
});

describe("what others say on the channel:", () => {
  const lies = {
    "a scope of another": ({ issuer }) => ({ tokenward: "signout", scope: `${issuer} other` }),
    "no scope": () => ({ tokenward: "signout" }),
    "another word": ({ issuer }) => ({ tokenward: "sign-out", scope: `${issuer} spa` }),
    "nothing": () => null,
    "a text": () => "signout",
    "another session of the server's": ({ issuer }) => ({ tokenward: "signout", scope: `${issuer} spa`, iss: issuer, sid: "of another" }),
    "another issuer's session": ({ issuer }) => ({ tokenward: "signout", scope: `${issuer} spa`, iss: "https://id.invalid" }),
  };
  for (const [what, message] of Object.entries(lies)) {
    test(`${what} ends nothing`, async (t) => {
      const staged = await signInStage(t);
      await staged.byRedirect();
      await staged.page.run((_kit, message) => {
        const channel = new BroadcastChannel("tokenward");
        channel.postMessage(message);
        channel.close();
      }, message(staged.auth));
      await heard(staged);
      assert.deepEqual(await look(staged), STAYS);
    });
  }
});

describe("front-channel logout", () => {
  /** The user is signed in, and the page notes what it hears. */
  async function listening(t, options) {
    const staged = await signInStage(t, options);
    const { user } = await staged.byRedirect();
    await staged.page.run((kit) => {
      kit.listening = new BroadcastChannel("tokenward");
      kit.heard = new Promise((resolve) => (kit.listening.onmessage = resolve));
    });
    return { ...staged, sid: user.sid };
  }

  const others = [
    ["another issuer", ({ sid }) => ({ iss: "https://id.invalid", sid })],
    ["another session", ({ auth }) => ({ iss: auth.issuer, sid: "of another" })],
    ["no session", ({ auth }) => ({ iss: auth.issuer })],
    ["nothing", () => ({})],
  ];

  for (const [what, parameters] of [["this session", ({ auth, sid }) => ({ iss: auth.issuer, sid })], ...others]) {
    const goes = what === "this session";
    test(`of ${what} signs out ${goes ? "the app's tabs" : "nobody"}`, async (t) => {
      const staged = await listening(t);
      const query = new URLSearchParams(parameters(staged));
      await inTab(await newTab(), () => browserDriver().get(`${staged.app.origin}/frontchannel.html?${query}`));
      await staged.page.run(async (kit) => void (await kit.heard));
      await heard(staged);
      assert.deepEqual(await look(staged), goes ? GOES : STAYS);
      await staged.auth.revocationRequests.until((requests) => requests.length === (goes ? 2 : 0));
    });
  }

  // A frame under another site has channels of its own, in WebKit one under another origin.
  const servers = [
    { what: "of the app's site", host: undefined, goes: browser !== "webkit" },
    { what: "of another site", host: "localhost", goes: false },
  ];
  for (const { what, host, goes } of servers) {
    test(`framed by a server ${what}: ${goes ? "signs out the app's tabs" : "does not reach the app's tabs"}`, async (t) => {
      const staged = await listening(t, { auth: { host } });
      const uri = `${staged.app.origin}/frontchannel.html`;
      await inTab(await newTab(), async () => {
        const driver = browserDriver();
        await driver.get(`${staged.auth.origin}/frontchannel-test?${new URLSearchParams({ uri })}`);
        await driver.switchTo().frame(0);
        // The same again where it can be overheard: the first time it was said before.
        const said = await driver.executeAsyncScript(`
          const [done] = arguments;
          new BroadcastChannel("tokenward").onmessage = ({ data }) => done(data);
          const frame = document.createElement("iframe");
          frame.src = location.href;
          document.documentElement.append(frame);
        `);
        const { scope, ...rest } = said;
        assert.deepEqual(rest, { tokenward: "signout", iss: staged.auth.issuer, sid: goes || !host ? staged.sid : rest.sid });
        await driver.switchTo().defaultContent();
      });
      if (goes) await staged.page.run((kit) => kit.first("signedout"));
      await heard(staged);
      assert.deepEqual(await look(staged), goes ? GOES : STAYS);
    });
  }
});

describe("tabs do not disturb each other:", () => {
  test("two sign-ins at once, the second one's answer first", async (t) => {
    const staged = await signInStage(t, { auth: { autoLogin: "ada" } });
    const { auth, page } = staged;
    const tab = await newTab();
    const { held, release } = latch();
    auth.faults.token = [{ hold: held }];
    await staged.leave({ returnTo: "/?first" });
    await page.run(async (kit) => {
      await kit.create(kit.discovered());
      kit.waiting = kit.ended(kit.ward.handleCallback());
    });
    await auth.tokenRequests.until((requests) => requests.length === 1);
    await inTab(tab, async () => {
      await page.visit();
      const { value, user } = await staged.byRedirect({ returnTo: "/?second" });
      assert.deepEqual([value.returnTo, user.sub], [`${staged.app.origin}/?second`, "ada"]);
    });
    release();
    const { value, user, stored } = await page.run(async (kit) => ({ ...(await kit.waiting), ...kit.look() }));
    assert.deepEqual([value.returnTo, user.sub, stored], [`${staged.app.origin}/?first`, "ada", []]);
  });

  test("an answer of one tab is none of another's", async (t) => {
    const staged = await signInStage(t);
    await staged.leave();
    const address = await browserDriver().getCurrentUrl();
    await inTab(await newTab(), async () => {
      await staged.page.visit(address);
      const { failed, signedIn } = await staged.finish();
      assert.deepEqual([failed.code, signedIn], ["state_mismatch", false]);
    });
    assert.equal((await staged.finish()).signedIn, true);
  });

  test("each renews its own tokens, at once", async (t) => {
    const staged = await twoTabs(t);
    const { api, auth, page, other } = staged;
    const { held, release } = latch();
    auth.faults.token = () => ({ hold: held });
    const renew = () => page.run((kit) => void (kit.waiting = kit.outcome(kit.ward.refresh().then(() => new Response("{}")))));
    await renew();
    await other(renew);
    await auth.tokenRequests.until((requests) => requests.length === 4);
    release();
    const ended = () =>
      page.run(async (kit) => {
        await kit.waiting;
        kit.ward.install();
        return [(await kit.call()).status, kit.eventTypes()];
      });
    assert.deepEqual(await ended(), [200, ["signedin", "refreshed"]]);
    assert.deepEqual(await other(ended), [200, ["signedin", "refreshed"]]);
    const used = auth.tokenRequests.slice(2).map(({ params }) => params.refresh_token);
    assert.equal(new Set(used).size, 2);
    assert.equal(new Set(api.requests.map(({ tokenId }) => tokenId)).size, 2);
  });

  test("restoring in two tabs at once, in hidden frames", async (t) => {
    const staged = await twoTabs(t);
    const { auth, page, other } = staged;
    const { held, release } = latch();
    auth.faults.authorization = () => ({ hold: held });
    const before = auth.authorizationRequests.length;
    const begin = async () => {
      await page.visit();
      await page.run(async (kit) => {
        await kit.create(kit.discovered({ restore: ["silent"] }));
        kit.waiting = kit.ward.restore();
      });
    };
    await begin();
    await other(begin);
    await auth.authorizationRequests.until((requests) => requests.length === before + 2);
    release();
    const ended = () => page.run(async (kit) => [await kit.waiting, kit.ward.user.sub, kit.ward.user.nonce]);
    const [mine, theirs] = [await ended(), await other(ended)];
    for (const [result, sub] of [mine, theirs]) assert.deepEqual([result, sub], [{ signedIn: true, retryable: false }, "ada"]);
    assert.notEqual(mine[2], theirs[2]);
  });
});

describe("two wards in one page", () => {
  test("of the same client sign out together; of two clients each alone", async (t) => {
    const { page } = await stage(t);
    const signedIn = await page.run(async (kit) => {
      const tokens = { access_token: "a", expires_in: 30 };
      const make = async (clientId) => {
        const ward = await kit.create({ clientId });
        ward.setTokens(tokens);
        return ward;
      };
      const wards = [await make("spa"), await make("spa"), await make("other")];
      const signedOut = new Promise((resolve) => wards[1].addEventListener("signedout", resolve));
      wards[0].signOut();
      const { reason } = await signedOut;
      return [...wards.map((ward) => ward.signedIn), reason];
    });
    assert.deepEqual(signedIn, [false, false, true, "elsewhere"]);
  });

  test("sign in one by one and keep their users apart", async (t) => {
    const staged = await signInStage(t);
    await staged.byPopup();
    staged.auth.settings.autoLogin = "bob";
    await staged.page.run(async (kit) => {
      kit.first = kit.ward;
      await kit.create(kit.discovered({ resources: [{ url: kit.other.origin }] }));
    });
    const { user } = await staged.byPopup({ prompt: "login" });
    const subs = await staged.page.run((kit) => [kit.first.user.sub, kit.ward.user.sub]);
    assert.deepEqual([user.sub, ...subs], ["bob", "ada", "bob"]);
  });
});

test("close() in a silent renewal leaves no channel, frame, listener, timer or closure", async (t) => {
  const staged = await stage(t);
  const { auth, page } = staged;
  await signInAtServer(staged);
  auth.faults.token = () => ({ transform: ({ refresh_token: _, ...rest }) => rest });
  auth.faults.authorization = [{}, { hang: true }];
  const { alive, left, code } = await page.run(async (kit) => {
    const { begin, channels, tally } = await import("/tally.js");
    begin();
    const count = () => ({ ...tally(), channels: channels(), frames: document.querySelectorAll("iframe").length });
    const { TokenWard } = await kit.library();
    const ward = await TokenWard.create(kit.options(kit.discovered({ restore: ["silent"] })));
    await ward.restore();
    const pending = kit.outcome(ward.refresh());
    while (count().frames === 0) await new Promise((resolve) => setTimeout(resolve));
    const alive = count();
    ward.close();
    const { code } = await pending;
    return { alive, left: count(), code };
  });
  assert.deepEqual([alive.channels, alive.frames, code], [2, 1, "closed"]);
  assert.ok(alive.listeners > 0 && alive.closures > 0 && alive.timers > 0);
  assert.deepEqual(left, { timers: 0, listeners: 0, closures: 0, channels: 0, frames: 0 });
});
