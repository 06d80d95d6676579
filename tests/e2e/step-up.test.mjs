// Step-up (RFC 9470): a resource wants a stronger or newer sign-in, and the request it refused is repeated after one.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import { MFA } from "../../www/servers/auth.mjs";
import { refusing } from "./harness/sessions.mjs";
import { signInStage } from "./harness/sign-in.mjs";
import { latch } from "./harness/stage.mjs";

const MAX_AGE = 60;
const PATH = "/v1/stepup";

/** Somebody is signed in, and a request was refused. `kit.refused`: its answer; `kit.stepUp`: the event. */
async function refused(t, request = (kit) => fetch(`${kit.api.origin}/v1/stepup`), options) {
  const staged = await signInStage(t, options);
  await staged.byRedirect();
  await staged.page.run((kit) => {
    kit.ward.install();
    kit.ward.addEventListener("stepup", (event) => {
      kit.stepUp = event;
    });
  });
  await staged.page.run(request);
  return staged;
}

/** The user clicks, and the ward signs in for the event. */
const stepUp = ({ page }, more) =>
  page.click(
    async (kit, more) => {
      const { value, ...ended } = await kit.ended(kit.ward.signIn({ stepUp: kit.stepUp, mode: "popup", ...more }));
      const response = value?.response;
      return {
        ...ended,
        response: response && { status: response.status, body: await response.json() },
        nothing: value?.response === null,
        ...kit.look(),
      };
    },
    more,
  );

const steps = ({ api }) => api.requests.filter(({ path }) => path === PATH);
const last = (journal) => journal.at(-1).params;

describe("by popup", () => {
  test("the event's wishes are asked for, and the request is repeated", async (t) => {
    const staged = await refused(t);
    const { api, auth, page } = staged;
    const event = await page.run(({ stepUp }) => ({ ...stepUp.detail, acr: stepUp.acrValues, age: stepUp.maxAge }));
    assert.deepEqual(event, { resource: `${api.origin}/v1`, acrValues: MFA, maxAge: MAX_AGE, acr: MFA, age: MAX_AGE });
    const { response, types, user, signedIn } = await stepUp(staged);
    assert.equal(response.status, 200);
    assert.deepEqual([signedIn, user.sub, user.acr, types], [true, "ada", MFA, ["signedin", "stepup", "refreshed"]]);
    const { acr_values: acr, max_age: age, prompt } = last(auth.authorizationRequests);
    assert.deepEqual([acr, age, prompt], [MFA, String(MAX_AGE), undefined]);
    assert.deepEqual(steps(staged).map(({ status }) => status), [401, 200]);
    assert.notEqual(...steps(staged).map(({ tokenId }) => tokenId));
    // From now on such requests go through, after a renewal as well.
    await page.run((kit) => kit.ward.refresh());
    assert.equal((await page.run((kit) => kit.call("/v1/stepup"))).status, 200);
  });

  test("what is asked for besides goes along, and instead of the event's", async (t) => {
    const staged = await refused(t);
    const { response } = await stepUp(staged, { loginHint: "ada", maxAge: 5, acrValues: `urn:other ${MFA}`, scope: "openid orders admin" });
    assert.equal(response.status, 200);
    const { acr_values: acr, max_age: age, login_hint: hint, scope } = last(staged.auth.authorizationRequests);
    assert.deepEqual([acr, age, hint, scope], [`urn:other ${MFA}`, "5", "ada", "openid orders admin"]);
    assert.equal((await staged.page.run((kit) => kit.call("/v1/admin"))).status, 200);
  });

  test("the same event twice: it is repeated twice", async (t) => {
    const staged = await refused(t);
    assert.equal((await stepUp(staged)).response.status, 200);
    assert.equal((await stepUp(staged)).response.status, 200);
    assert.deepEqual(steps(staged).map(({ status }) => status), [401, 200, 200]);
  });

  test("of two requests that were refused, the event's is repeated", async (t) => {
    const staged = await refused(t, async (kit) => {
      const url = `${kit.api.origin}/v1/stepup`;
      await fetch(url, { method: "POST", body: "first" });
      const first = kit.stepUp;
      await fetch(url, { method: "POST", body: "second" });
      kit.stepUp = first;
    });
    assert.equal((await stepUp(staged)).response.status, 200);
    assert.deepEqual(steps(staged).map(({ body }) => String(body)), ["first", "second", "first"]);
  });
});

/** What is not ASCII, and nothing that text encoding would keep. */
const BYTES = Array.from({ length: 1000 }, (_, at) => (at * 7) % 256);
const sha256 = (bytes) => createHash("sha256").update(Buffer.from(bytes)).digest("hex");

// Each makes a request that is refused. They are run in the page.
const requests = {
  "a string": (kit) => fetch(`${kit.api.origin}/v1/stepup`, { method: "POST", body: "tea ✓", headers: { "X-Own": "1" } }),
  "bytes that are changed since": async (kit) => {
    const body = Uint8Array.from({ length: 1000 }, (_, at) => (at * 7) % 256);
    await fetch(`${kit.api.origin}/v1/stepup`, { method: "PUT", body });
    body.fill(0);
  },
  "a Blob": (kit) => fetch(`${kit.api.origin}/v1/stepup`, { method: "POST", body: new Blob(["tea"], { type: "text/x-tea" }) }),
  "a form": (kit) => {
    const body = new FormData();
    body.append("tea", new File(["leaves"], "tea.txt"));
    return fetch(`${kit.api.origin}/v1/stepup`, { method: "POST", body });
  },
  "a Request": (kit) => fetch(new Request(`${kit.api.origin}/v1/stepup`, { method: "PATCH", body: "tea", headers: { "X-Own": "1" } })),
};

describe("the request is repeated as it was:", () => {
  for (const [what, request] of Object.entries(requests)) {
    test(what, async (t) => {
      const staged = await refused(t, request);
      assert.equal((await stepUp(staged)).response.status, 200);
      const [first, second] = steps(staged).map(({ method, bodySha256, headers }) => ({
        method,
        bodySha256,
        type: headers["content-type"],
        own: headers["x-own"],
      }));
      assert.deepEqual(second, first);
      if (what.startsWith("bytes")) assert.equal(first.bodySha256, sha256(BYTES));
      assert.equal(steps(staged).length, 2);
    });
  }

  test("a stream was sent once: there is no answer, and the session is the new one", async (t) => {
    const staged = await signInStage(t);
    if (!(await staged.page.run(() => "duplex" in Request.prototype))) {
      t.skip("this browser sends no stream");
      return;
    }
    await staged.byRedirect();
    // Over HTTP/1.1 Chromium sends none, so that a function in the place of the native fetch takes this one.
    await staged.page.run(async (kit, acr) => {
      const challenge = `Bearer error="insufficient_user_authentication", acr_values="${acr}"`;
      kit.taken = 0;
      window.fetch = async () => {
        kit.taken += 1;
        return new Response("{}", { status: 401, headers: { "www-authenticate": challenge } });
      };
      kit.ward.install().addEventListener("stepup", (event) => {
        kit.stepUp = event;
      });
      const body = new ReadableStream({ start: (controller) => controller.close() });
      await fetch(`${kit.api.origin}/v1/stepup`, { method: "POST", body, duplex: "half" });
    }, MFA);
    const { nothing, user } = await stepUp(staged);
    assert.deepEqual([nothing, user.acr], [true, MFA]);
    assert.equal(await staged.page.run(({ taken }) => taken), 1);
  });
});

const claims = ({ id_token: token }) => JSON.parse(Buffer.from(token.split(".")[1], "base64url"));

// What the server does, and how the step-up fails. The session stays what it was.
const failures = [
  { what: "a server that asks for no second factor", setUp: ({ settings }) => (settings.ignoreAcr = true), code: "id_token_invalid", claim: "acr" },
  { what: "another user", setUp: ({ settings }) => (settings.autoLogin = "bob"), code: "id_token_invalid", claim: "sub" },
  {
    what: "a sign-in of long ago",
    setUp: (auth) => {
      const old = { auth_time: Math.floor(Date.now() / 1000) - 600 };
      const transform = async (body) => ({ ...body, id_token: await auth.signIdToken({ ...claims(body), ...old }) });
      auth.faults.token = [{ transform }];
    },
    code: "id_token_invalid",
    claim: "auth_time",
  },
  { what: "a user who refuses", setUp: ({ faults }) => (faults.authorization = [refusing("access_denied")]), code: "authorization_failed" },
  { what: "a code that is refused", setUp: ({ faults }) => (faults.token = [{ status: 400, body: { error: "invalid_grant" } }]), code: "token_request_failed" },
  { what: "a server in trouble", setUp: ({ faults }) => (faults.token = [{ status: 500 }]), code: "server_unavailable" },
];

describe("a step-up that fails leaves the session and the request as they were:", () => {
  for (const { what, setUp, code, claim = null } of failures) {
    test(what, async (t) => {
      const staged = await refused(t);
      setUp(staged.auth);
      const { failed, signedIn, user, types } = await stepUp(staged);
      assert.deepEqual([failed?.code, failed?.claim], [code, claim]);
      assert.deepEqual([signedIn, user.sub, user.acr, types], [true, "ada", undefined, ["signedin", "stepup"]]);
      assert.equal(steps(staged).length, 1);
      const after = await staged.page.run(async (kit) => {
        const { status } = await kit.call();
        await kit.ward.refresh();
        return [status, kit.ward.user.sub, kit.eventTypes().at(-1)];
      });
      assert.deepEqual(after, [200, "ada", "refreshed"]);
    });
  }

  for (const works of [true, false]) {
    test(`a request that waits for a renewal goes on after a step-up that ${works ? "works" : "fails"}`, async (t) => {
      const staged = await refused(t);
      const { api, auth, page } = staged;
      const { held, release } = latch();
      auth.faults.token = [{ hold: held }];
      api.refuseNext();
      await page.run((kit) => {
        kit.waiting = kit.call();
      });
      await auth.tokenRequests.until((requests) => requests.length === 2);
      auth.settings.ignoreAcr = !works;
      const { failed, response } = await stepUp(staged);
      assert.deepEqual([failed?.claim, response?.status], works ? [undefined, 200] : ["acr", undefined]);
      if (!works) release();
      const { status } = await page.run((kit) => kit.waiting);
      assert.equal(status, 200);
      release();
      const { signedIn, user } = await page.run((kit) => kit.look());
      assert.deepEqual([signedIn, user.sub, user.acr], [true, "ada", works ? MFA : undefined]);
    });
  }
});

describe("by redirect", () => {
  /** Steps up, and looks at the page that comes back. */
  async function away(staged) {
    await staged.page.leave((kit) => kit.ward.signIn({ stepUp: kit.stepUp }));
    return staged.finish();
  }

  test("the event's wishes are asked for; the request is lost with the page", async (t) => {
    const staged = await refused(t);
    const { user, types } = await away(staged);
    assert.deepEqual([user.sub, user.acr, types], ["ada", MFA, ["signedin"]]);
    const { acr_values: acr, max_age: age } = last(staged.auth.authorizationRequests);
    assert.deepEqual([acr, age], [MFA, String(MAX_AGE)]);
    assert.equal(steps(staged).length, 1);
    assert.equal((await staged.page.run((kit) => (kit.ward.install(), kit.call("/v1/stepup")))).status, 200);
  });

  for (const { what, setUp, code, claim } of failures.slice(0, 3)) {
    test(`it fails with ${what}`, async (t) => {
      const staged = await refused(t);
      setUp(staged.auth);
      const { failed, signedIn } = await away(staged);
      assert.deepEqual([failed?.code, failed?.claim, signedIn], [code, claim, false]);
    });
  }
});

describe("an event that is not the ward's own is refused:", () => {
  const events = {
    "made up": (kit) => new CustomEvent("stepup", { detail: kit.stepUp.detail }),
    "its detail": (kit) => kit.stepUp.detail,
    "another event of the ward": async (kit) => {
      const event = new Promise((resolve) => kit.ward.addEventListener("insufficientscope", resolve));
      await kit.call("/v1/admin");
      return event;
    },
    "a text": () => "stepup",
    "another ward's": async (kit) => {
      const { stepUp } = kit;
      await kit.create(kit.discovered());
      return stepUp;
    },
  };
  for (const [what, event] of Object.entries(events)) {
    test(what, async (t) => {
      const staged = await refused(t);
      const before = staged.auth.authorizationRequests.length;
      const error = await staged.page.run(`async (kit) => {
        const stepUp = await (${event})(kit);
        for (const mode of ["popup", "redirect"]) {
          const { failed } = await kit.ended(kit.ward.signIn({ stepUp, mode }));
          if (failed?.name !== "TypeError" || failed.code !== "invalid_option") return { mode, failed };
        }
      }`);
      assert.equal(error, undefined);
      assert.equal(staged.auth.authorizationRequests.length, before);
      assert.equal(steps(staged).length, 1);
    });
  }
});

test("of a session that has ended, the request is not sent in the next one", async (t) => {
  const staged = await refused(t, (kit) => fetch(`${kit.api.origin}/v1/stepup`, { method: "POST", body: "of ada" }));
  await staged.page.run((kit) => kit.ward.signOut());
  staged.auth.settings.autoLogin = "bob";
  await stepUp(staged, { prompt: "login" });
  assert.deepEqual(steps(staged).map(({ status }) => status), [401]);
});
