// Who gives up waiting, and who waited long enough: nobody else is to notice.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as pass } from "node:timers/promises";
import { signInAtBackend, signInAtServer } from "./harness/sessions.mjs";
import { latch, stage } from "./harness/stage.mjs";

/** The token has run out, and its renewal is held. */
async function renewing(t, options) {
  const staged = await stage(t);
  const { held, release } = latch();
  staged.auth.faults.token = [{ hold: held }];
  await staged.page.signIn({ age: 60, ...options });
  return { ...staged, release };
}

describe("a signal ends the wait of its request, with its own reason:", () => {
  // In the page; each gives a signal, how to abort it, and what else there is to fetch with.
  const signals = {
    "of a controller": () => {
      const controller = new AbortController();
      return { signal: controller.signal, abort: () => controller.abort(new Error("mine")) };
    },
    "without a reason": () => {
      const controller = new AbortController();
      return { signal: controller.signal, abort: () => controller.abort() };
    },
    "whose reason is no object": () => {
      const controller = new AbortController();
      return { signal: controller.signal, abort: () => controller.abort(null) };
    },
    "AbortSignal.timeout()": () => ({ signal: AbortSignal.timeout(50), abort: () => {} }),
    "AbortSignal.any()": () => {
      const controller = new AbortController();
      const signal = AbortSignal.any([new AbortController().signal, controller.signal]);
      return { signal, abort: () => controller.abort("any") };
    },
    "of a Request": () => {
      const controller = new AbortController();
      return { signal: controller.signal, abort: () => controller.abort("request"), inRequest: true };
    },
    "of an init, over the Request's": () => {
      const controller = new AbortController();
      const { signal } = new AbortController();
      return { signal: controller.signal, abort: () => controller.abort("init"), requestSignal: signal };
    },
  };

  for (const [what, make] of Object.entries(signals)) {
    test(what, async (t) => {
      const { api, auth, page, release } = await renewing(t);
      const { same, waiting, kinds } = await page.run(`async (kit) => {
        const { signal, abort, inRequest, requestSignal } = (${make})();
        const url = kit.api.origin + "/v1/orders";
        const request = new Request(url, inRequest ? { signal } : { signal: requestSignal });
        const target = inRequest || requestSignal ? request : url;
        const call = fetch(target, inRequest ? undefined : { signal });
        kit.others = [kit.call(), kit.call("/v1/echo", { method: "POST", body: "tea" })];
        const settled = call.then(() => "answered", (error) => ({ error }));
        abort();
        const { error } = await settled;
        // A Request has a signal of its own, which follows the one it was given.
        const reason = inRequest ? request.signal.reason : signal.reason;
        const kinds = [String(error), String(signal.reason)];
        return { same: error === reason, waiting: kit.ward.snapshot().waiting, kinds };
      }`);
      assert.deepEqual({ same, waiting }, { same: true, waiting: 2 }, kinds.join(" and not "));
      assert.equal(kinds[0], kinds[1]);
      release();
      const others = await page.run((kit) => Promise.all(kit.others));
      assert.deepEqual(others.map(({ status }) => status), [200, 200]);
      assert.deepEqual([api.requests.length, auth.tokenRequests.length], [2, 1]);
    });
  }

  test("an init without a signal over the Request's: nothing ends it", async (t) => {
    const { page, release } = await renewing(t);
    await page.run((kit) => {
      const controller = new AbortController();
      const request = new Request(`${kit.api.origin}/v1/orders`, { signal: controller.signal });
      kit.waiting = kit.outcome(fetch(request, { signal: null }));
      controller.abort();
    });
    release();
    assert.equal((await page.run((kit) => kit.waiting)).status, 200);
  });
});

test("everybody gave up: the refresh they began goes on, and its token is there for the next one", async (t) => {
  const { api, auth, page, release } = await renewing(t);
  const errors = await page.run(async (kit) => {
    const controllers = Array.from({ length: 20 }, () => new AbortController());
    const calls = controllers.map(({ signal }) => kit.call("/v1/orders", { signal }));
    for (const controller of controllers) controller.abort();
    return (await Promise.all(calls)).map(({ name }) => name);
  });
  assert.deepEqual(errors, Array(20).fill("AbortError"));
  release();
  await page.run((kit) => kit.first("refreshed"));
  assert.equal((await page.run((kit) => kit.call())).status, 200);
  assert.deepEqual([api.requests.length, auth.tokenRequests.length], [1, 1]);
});

// Between the token's arrival and the request's leaving there is a moment for this.
for (const when of ["in a listener of refreshed", "in the microtask after that"]) {
  test(`an abort ${when} still ends the request`, async (t) => {
    const { api, page, release } = await renewing(t);
    await page.run((kit, later) => {
      const controller = new AbortController();
      const abort = () => controller.abort("at last");
      kit.ward.addEventListener("refreshed", () => (later ? queueMicrotask(abort) : abort()));
      kit.waiting = fetch(`${kit.api.origin}/v1/orders`, { signal: controller.signal }).catch((reason) => reason);
    }, when !== "in a listener of refreshed");
    release();
    assert.equal(await page.run((kit) => kit.waiting), "at last");
    assert.ok(api.requests.length <= 1);
    assert.equal((await page.run((kit) => kit.call())).status, 200);
  });
}

const WAIT_SECONDS = 1;
const inTime = (ms) => assert.ok(ms > 950 && ms < 2500, `after ${ms} ms`);

describe(`nobody waits for longer than waitSeconds:`, () => {
  /** The renewal does not come. */
  async function hanging(t) {
    const staged = await stage(t);
    staged.auth.faults.token = () => ({ hang: true });
    await staged.page.signIn({ age: 60, waitSeconds: WAIT_SECONDS });
    return staged;
  }

  const waits = {
    "fetch()": (kit) => fetch(`${kit.api.origin}/v1/orders`),
    "ward.fetch()": (kit) => kit.ward.fetch(`${kit.api.origin}/v1/orders`),
    "fetch() with a body": (kit) => fetch(`${kit.api.origin}/v1/echo`, { method: "POST", body: new Blob(["tea"]) }),
    "refresh()": (kit) => kit.ward.refresh(),
  };
  for (const [what, wait] of Object.entries(waits)) {
    test(what, async (t) => {
      const { api, page } = await hanging(t);
      const { failed, ms, signedIn } = await page.run(`async (kit) => {
        const began = performance.now();
        const { failed } = await kit.ended((${wait})(kit));
        return { failed, ms: performance.now() - began, signedIn: kit.ward.signedIn };
      }`);
      assert.deepEqual([failed.name, failed.code, failed.retryable], ["TokenWardError", "token_unavailable", true]);
      assert.equal(signedIn, true);
      inTime(ms);
      assert.equal(api.requests.length, 0);
    });
  }

  test("each has a time of its own, and an answer that comes later is good for the next", async (t) => {
    const { auth, page, release } = await renewing(t, { waitSeconds: WAIT_SECONDS });
    const times = await page.run(async (kit) => {
      const timed = async () => {
        const began = performance.now();
        const { code } = await kit.call();
        return [code, performance.now() - began];
      };
      const calls = [];
      for (let i = 0; i < 3; i += 1) {
        calls.push(timed());
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
      return Promise.all(calls);
    });
    for (const [code, ms] of times) {
      assert.equal(code, "token_unavailable");
      inTime(ms);
    }
    release();
    await page.run((kit) => kit.first("refreshed"));
    assert.equal((await page.run((kit) => kit.call())).status, 200);
    assert.equal(auth.tokenRequests.length, 1);
  });

  test("a refused request gets its 401 then", async (t) => {
    const { api, auth, page } = await stage(t);
    auth.faults.token = () => ({ hang: true });
    api.refuseNext();
    await page.signIn({ waitSeconds: WAIT_SECONDS });
    const { status, ms } = await page.run(async (kit) => {
      const began = performance.now();
      const { status } = await kit.call();
      return { status, ms: performance.now() - began };
    });
    assert.equal(status, 401);
    inTime(ms);
  });

  test("tokens that are of no use when they come do not make it longer", async (t) => {
    const { api, auth, page } = await stage(t);
    // Expired on arrival, again and again.
    auth.faults.token = () => ({ transform: (body) => pass(300, { ...body, expires_in: 0.1 }) });
    await page.signIn({ age: 60, waitSeconds: WAIT_SECONDS });
    const { code, ms } = await page.run(async (kit) => {
      const began = performance.now();
      const { code } = await kit.call();
      return { code, ms: performance.now() - began };
    });
    assert.equal(code, "token_unavailable");
    inTime(ms);
    assert.equal(api.requests.length, 0);
  });

  const ways = {
    session: (staged) => (staged.backend.faults.token = () => ({ hang: true })),
    silent: (staged) => (staged.auth.faults.authorization = () => ({ hang: true })),
  };
  for (const [way, hang] of Object.entries(ways)) {
    test(`restore() by ${way}`, async (t) => {
      const staged = await stage(t, { backend: true });
      await signInAtBackend(staged);
      await signInAtServer(staged);
      hang(staged);
      const { result, ms } = await staged.page.run(
        async (kit, way, waitSeconds) => {
          const { session } = kit.mediated();
          await kit.create(kit.discovered({ session, restore: [way], waitSeconds }));
          const began = performance.now();
          return { result: await kit.ward.restore(), ms: performance.now() - began };
        },
        way,
        WAIT_SECONDS,
      );
      assert.deepEqual(result, { signedIn: false, retryable: true });
      inTime(ms);
    });
  }
});
