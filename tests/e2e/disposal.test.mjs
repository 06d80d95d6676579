// close() in the middle of things. What lifecycle.test.mjs closes is a session; here it is what leads to one, and out of it.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { browser } from "./harness/browsers.mjs";
import { signInAtBackend, signInAtServer } from "./harness/sessions.mjs";
import { eventually, signInStage } from "./harness/sign-in.mjs";
import { browserDriver, latch, stage } from "./harness/stage.mjs";

const popup = (kit) => kit.ward.signIn({ mode: "popup" });
const CLOSED = { code: "closed" };

/**
 * What is under way: `begin` starts it in the page and gives a promise, `fault` makes one of its requests wait, `waits` is
 * the journal where that shows. `ends`: how the promise ends.
 */
const moments = {
  "a popup waits for the metadata": { click: true, begin: popup, fault: ["discovery"] },
  "a popup waits for the pushed request": { click: true, begin: popup, fault: ["par"], auth: { requirePar: true } },
  "the user looks at the sign-in page": {
    click: true,
    begin: popup,
    auth: { autoLogin: false },
    fault: [],
    waits: "authorization",
  },
  "a code is exchanged": { click: true, begin: popup, fault: ["token"] },
  "the keys are fetched": { click: true, begin: popup, fault: ["jwks"] },
  "a redirect waits for the metadata": { begin: (kit) => kit.ward.signIn(), fault: ["discovery"] },
  "a callback is handled": { left: true, begin: (kit) => kit.ward.handleCallback(), fault: ["token"] },
  "restore() waits for the backend": {
    begin: (kit) => kit.ward.restore(),
    options: { restore: ["session"] },
    fault: ["token", "backend"],
  },
  "restore() waits for a hidden frame": {
    begin: (kit) => kit.ward.restore(),
    options: { restore: ["silent"] },
    fault: ["authorization"],
  },
  "a restore exchanges its code": {
    begin: (kit) => kit.ward.restore(),
    options: { restore: ["silent"] },
    fault: ["token"],
  },
  "a refresh waits for the metadata": {
    begin: (kit, tokens) => (kit.ward.setTokens(tokens), kit.ward.refresh()),
    fault: ["discovery"],
  },
  "a refused request waits for a newer token": {
    before: ({ api }) => api.refuseNext(),
    begin: (kit, tokens) => {
      kit.ward.setTokens(tokens);
      return fetch(`${kit.api.origin}/v1/orders`).then(({ status }) => status);
    },
    options: { known: true },
    fault: ["token"],
    ends: { value: 401 },
  },
  "a sign-out waits for the metadata": {
    begin: (kit, tokens) => (kit.ward.setTokens(tokens), kit.ward.signOut({ endSession: true })),
    fault: ["discovery"],
    ends: { value: { revoked: false, notRevoked: ["refresh_token", "access_token", "end_session"] } },
  },
};

const count = ({ page }) => page.run((kit) => kit.count());

/**
 * Makes a ward whose every timer, listener, closure, channel and frame is counted. Gives the count without it: some
 * drivers have a timer in the page.
 */
async function makeCounted(staged, options) {
  await staged.page.run(async (kit) => {
    kit.addEventListener = EventTarget.prototype.addEventListener;
    const { begin, channels, tally } = await import("/tally.js");
    begin();
    kit.count = () => ({ ...tally(), channels: channels(), frames: document.querySelectorAll("iframe").length });
  });
  const nothing = await count(staged);
  await staged.page.run(make, options);
  return nothing;
}

async function make(kit, { known, ...options }) {
  const { TokenWard } = await kit.library();
  const { session } = kit.mediated();
  kit.ward = await TokenWard.create(kit.options(known ? options : kit.discovered({ session, ...options })));
  // Not counted.
  for (const type of ["signedin", "refreshed", "refreshfailed", "signedout"]) {
    kit.addEventListener.call(kit.ward, type, () => kit.events.push({ type }));
  }
  kit.ward.install();
}

describe("close() ends it, leaves nothing, and what comes later changes nothing, when", () => {
  for (const [when, moment] of Object.entries(moments)) {
    const { before, begin, click, left, options = {}, auth, fault, waits = fault[0], ends = CLOSED } = moment;
    test(when, async (t) => {
      const staged = await signInStage(t, { auth, backend: true });
      const { page, leave } = staged;
      if (options?.restore) {
        await signInAtBackend(staged);
        await signInAtServer(staged);
      }
      before?.(staged);
      if (left) await leave();
      const nothing = await makeCounted(staged, options);
      // The button's.
      if (click) nothing.listeners += 1;
      const tokens = await staged.auth.issueTokens();

      const { held, release } = latch();
      const [name, server = "auth"] = fault;
      if (name) staged[server].faults[name] = [{ hold: held }];
      const journal = server === "backend" ? staged.backend.requests : staged.auth[`${waits}Requests`];
      const { length } = journal;
      const start = `(kit, tokens) => { kit.pending = kit.ended((${begin})(kit, tokens)); }`;
      await (click ? page.click(start, tokens) : page.run(start, tokens));
      await journal.until((requests) => requests.length > length);

      const { alive, same, signedIn } = await page.run((kit) => {
        const alive = kit.count();
        kit.ward.close();
        return { alive, same: fetch === kit.nativeFetch, signedIn: kit.ward.signedIn };
      });
      assert.ok(alive.closures > 0 && alive.listeners > 0 && alive.channels > 0, JSON.stringify(alive));
      assert.deepEqual([same, signedIn], [true, false]);
      const began = Date.now();
      const { value, failed } = await page.run((kit) => kit.pending);
      // And not with the time limit of what was under way.
      assert.ok(Date.now() - began < 5000, `after ${Date.now() - began} ms`);
      assert.deepEqual(failed ? { code: failed.code } : { value }, ends);

      assert.deepEqual(await count(staged), nothing);
      const windows = () => browserDriver().getAllWindowHandles();
      await eventually(async () => (await windows()).length === 1, "the popup is still open");
      await page.run((kit) => (kit.heard = kit.events.length));
      release();
      if (name) await journal.until((requests) => requests[length].status !== null);
      const later = await page.run(async (kit) => {
        await fetch("/client.json");
        const heard = kit.events.length - kit.heard;
        return { count: kit.count(), signedIn: kit.ward.signedIn, heard, stored: { ...sessionStorage } };
      });
      assert.deepEqual(later, { count: nothing, signedIn: false, heard: 0, stored: {} });
    });
  }
});

describe("close() in a listener of", () => {
  // What makes the event come; in the page.
  const causes = {
    signedin: (kit, tokens) => kit.ward.setTokens(tokens),
    refreshed: (kit, tokens) => {
      kit.ward.setTokens(tokens, { requestedAt: Date.now() - 60_000 });
      kit.pending = [kit.call(), kit.outcome(kit.ward.refresh())];
    },
    refreshfailed: (kit, tokens) => {
      kit.ward.setTokens(tokens, { requestedAt: Date.now() - 60_000 });
      kit.pending = [kit.call(), kit.outcome(kit.ward.refresh())];
    },
    signedout: (kit, tokens) => {
      kit.ward.setTokens(tokens);
      kit.pending = [kit.outcome(kit.ward.signOut())];
    },
    insufficientscope: (kit, tokens) => {
      kit.ward.setTokens(tokens);
      kit.pending = [kit.call("/v1/admin")];
    },
    stepup: (kit, tokens) => {
      kit.ward.setTokens(tokens);
      kit.pending = [kit.call("/v1/stepup")];
    },
  };
  // Of a refresh that has just succeeded, the request that waited for it does not go on.
  const ends = {
    refreshed: [/^(closed|signed_out)$/, /^undefined$/],
    refreshfailed: [/^closed$/, /^closed$/],
    insufficientscope: [/^403$/],
    stepup: [/^401$/],
  };

  for (const [type, cause] of Object.entries(causes)) {
    test(type, async (t) => {
      const staged = await stage(t);
      const { auth, page } = staged;
      if (type === "refreshfailed") auth.faults.token = [{ status: 500 }];
      const nothing = await makeCounted(staged, { known: true });
      const tokens = await auth.issueTokens();
      const { outcomes, count, same, closed } = await page.run(
        `async (kit, type, tokens) => {
          const closed = new Promise((resolve) => {
            kit.addEventListener.call(kit.ward, type, () => resolve(kit.ward.close()), { once: true });
          });
          (${cause})(kit, tokens);
          await closed;
          const outcomes = (await Promise.all(kit.pending ?? [])).map(({ code, status }) => String(code ?? status));
          const same = fetch === kit.nativeFetch;
          const { code } = await kit.outcome(kit.ward.refresh());
          return { outcomes, count: kit.count(), same, closed: code };
        }`,
        type,
        tokens,
      );
      for (const [i, end] of (ends[type] ?? []).entries()) assert.match(outcomes[i], end);
      assert.deepEqual(count, nothing);
      assert.deepEqual([same, closed], [true, "closed"]);
    });
  }
});

test("close() while the app's own refresh runs tells it by its signal, and takes nothing from it", async (t) => {
  const { page } = await stage(t);
  await page.run(async (kit) => {
    const refresh = ({ signal }) => {
      kit.signal = signal;
      return new Promise((resolve) => (kit.answer = resolve));
    };
    await kit.create({ clientId: undefined, endpoints: undefined, refresh });
    kit.ward.setTokens({ access_token: "a", expires_in: 30 });
    kit.pending = kit.ended(kit.ward.refresh());
    while (!kit.signal) await Promise.resolve();
  });
  const { before, after, failed, types } = await page.run(async (kit) => {
    const before = kit.signal.aborted;
    kit.ward.close();
    const after = kit.signal.aborted;
    kit.answer({ access_token: "b", expires_in: 30 });
    return { before, after, ...(await kit.pending), types: kit.eventTypes() };
  });
  assert.deepEqual([before, after, failed.code, types], [false, true, "closed", ["signedin"]]);
});

test("close() in the app's own refresh: the request that waits ends, and the answer counts for nothing", async (t) => {
  const { api, page } = await stage(t);
  const { code, types, same } = await page.run(async (kit) => {
    const refresh = async () => {
      kit.ward.close();
      return { access_token: "b", expires_in: 30 };
    };
    await kit.create({ clientId: undefined, endpoints: undefined, refresh });
    kit.ward.install().setTokens({ access_token: "a", expires_in: 30 }, { requestedAt: Date.now() - 60_000 });
    const { code } = await kit.call();
    return { code, types: kit.eventTypes(), same: fetch === kit.nativeFetch };
  });
  assert.deepEqual([code, types, same], ["closed", ["signedin"], true]);
  assert.equal(api.requests.length, 0);
});

test("50 wards, made and closed in the middle of a refresh: nothing is left of any", async (t) => {
  const staged = await stage(t);
  const { auth, page } = staged;
  auth.faults.token = () => ({ hang: true });
  const nothing = await makeCounted(staged, { known: true });
  const { codes, count } = await page.run(async (kit, tokens) => {
    const { TokenWard } = await kit.library();
    kit.ward.close();
    const codes = new Set();
    for (let i = 0; i < 50; i += 1) {
      const ward = await TokenWard.create(kit.options());
      ward.install().setTokens(tokens, { requestedAt: Date.now() - 60_000 });
      const call = kit.call();
      ward.close();
      codes.add((await call).code);
    }
    return { codes: [...codes], count: kit.count() };
  }, await auth.issueTokens());
  assert.deepEqual(codes, ["closed"]);
  assert.deepEqual(count, nothing);
});

const collects = browser === "chromium" ? {} : { skip: "only Chromium's driver collects garbage when asked" };

test("a frame that was patched and is removed is not kept, once another one is patched", collects, async (t) => {
  const { page } = await stage(t);
  await page.run(async (kit) => {
    await kit.create();
    const patched = () => {
      const frame = document.createElement("iframe");
      document.body.append(frame);
      kit.ward.install({ window: frame.contentWindow, xhr: true });
      return frame;
    };
    kit.realms = Array.from({ length: 5 }, () => {
      const frame = patched();
      const realm = new WeakRef(frame.contentWindow.Object);
      frame.remove();
      return realm;
    });
    kit.last = patched();
  });
  await browserDriver().sendDevToolsCommand("HeapProfiler.collectGarbage", {});
  const left = await page.run((kit) => {
    kit.last.remove();
    return kit.realms.filter((realm) => realm.deref()).length;
  });
  assert.equal(left, 0);
});
