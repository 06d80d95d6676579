// A request that is refused is repeated once with a newer token, the same down to the last byte.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { startApiServer } from "../../www/servers/api.mjs";
import { AUDIENCE } from "../../www/servers/auth.mjs";
import { browser } from "./harness/browsers.mjs";
import { latch, stage } from "./harness/stage.mjs";

const TEXT = '{"item":"Grüße ☕ 茶","quantity":6}';
const BYTES = Buffer.from(Array.from({ length: 70_000 }, (_, i) => (i * 7) % 256));

const isText = (body) => assert.equal(String(body), TEXT);
const isBytes = (body) => assert.ok(body.equals(BYTES));
const isForm = (body) => assert.equal(String(body), String(new URLSearchParams({ text: TEXT })));

/** Part by part, as far as it takes to see that the content is whole. */
function isMultipart(body, type) {
  const [, boundary] = /^multipart\/form-data; ?boundary=(.+)$/.exec(type);
  const parts = body.toString("latin1").split(`--${boundary}`);
  assert.equal(parts.length, 4);
  assert.match(parts[1], /name="text"/);
  assert.ok(parts[1].includes(Buffer.from(TEXT).toString("latin1")));
  assert.match(parts[2], /name="file"; filename="tea.bin"\r\nContent-Type: application\/x-tea\r\n/i);
  assert.ok(parts[2].includes(BYTES.toString("latin1")));
}

// `make` runs in the page, with the text and the bytes. `spoil` is what the app does to the body right after the call.
const bodies = [
  { what: "JSON", make: (text) => text, headers: { "content-type": "application/json" }, type: "application/json", check: isText },
  { what: "text", make: (text) => text, type: /^text\/plain;charset=utf-8$/i, check: isText },
  { what: "a Blob", make: (_text, bytes) => new Blob([bytes], { type: "application/x-tea" }), type: "application/x-tea", check: isBytes },
  { what: "a Blob without a type", make: (_text, bytes) => new Blob(["-", bytes, "-"]).slice(1, -1), type: undefined, check: isBytes },
  {
    what: "a form with a file",
    make: (text, bytes) => {
      const form = new FormData();
      form.set("text", text);
      form.set("file", new File([bytes], "tea.bin", { type: "application/x-tea" }));
      return form;
    },
    spoil: (form) => form.delete("text"),
    type: /^multipart\/form-data; ?boundary=/,
    check: isMultipart,
  },
  {
    what: "URLSearchParams",
    make: (text) => new URLSearchParams({ text }),
    spoil: (parameters) => parameters.set("text", "spoilt"),
    type: /^application\/x-www-form-urlencoded;charset=utf-8$/i,
    check: isForm,
  },
  { what: "an ArrayBuffer", make: (_text, bytes) => bytes.buffer, spoil: (buffer) => new Uint8Array(buffer).fill(0), type: undefined, check: isBytes },
  {
    what: "an ArrayBuffer that is given away",
    make: (_text, bytes) => bytes.buffer,
    spoil: (buffer) => structuredClone(buffer, { transfer: [buffer] }),
    type: undefined,
    check: isBytes,
  },
  {
    what: "a part of a typed array",
    make: (_text, bytes) => {
      const larger = new Uint8Array(bytes.length + 20);
      larger.set(bytes, 10);
      return new Uint16Array(larger.buffer, 10, bytes.length / 2);
    },
    spoil: (array) => array.fill(0),
    type: undefined,
    check: isBytes,
  },
  {
    what: "a DataView",
    make: (_text, bytes) => new DataView(bytes.buffer),
    spoil: (view) => view.setUint32(0, 0),
    type: undefined,
    check: isBytes,
  },
  { what: "no body", make: () => null, type: undefined, check: (body) => assert.equal(body.length, 0) },
];

const forms = {
  "in an init": (url, init) => fetch(url, init),
  "in a Request": (url, init) => fetch(new Request(url, init)),
  "over a Request": (url, init) => fetch(new Request(url), init),
};

// A Request in WebKit follows what the app does to its body afterwards, until it is sent.
const follows = browser === "webkit";

test(`a Request ${follows ? "follows" : "does not follow"} changes of the body it was made from, tokenward or not`, async (t) => {
  const { page } = await stage(t);
  const texts = await page.run(async () => {
    const read = async (body, spoil) => {
      const request = new Request("/", { method: "POST", body });
      spoil(body);
      return request.text();
    };
    return Promise.all([
      read(new TextEncoder().encode("tea"), (array) => array.fill(45)),
      read(new URLSearchParams("a=tea"), (parameters) => parameters.set("a", "---")),
    ]);
  });
  assert.deepEqual(texts, follows ? ["---", "a=---"] : ["tea", "a=tea"]);
});

const post = ({ make, spoil: spoilBody, headers = {} }, form) => {
  const spoil = follows && form !== forms["in an init"] ? undefined : spoilBody;
  return `(kit, text, base64) => {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const body = (${make})(text, bytes);
  const init = { method: "POST", body, headers: { "x-order": "7", ...${JSON.stringify(headers)} } };
  const answer = (${form})(kit.api.origin + "/v1/echo", init);
  (${spoil ?? "() => {}"})(body);
  init.method = "DELETE";
  init.headers["x-order"] = "8";
  kit.answer = kit.outcome(answer);
}`;
};

function checkArrival({ method, headers, body }, { type, check }) {
  assert.equal(method, "POST");
  assert.equal(headers["x-order"], "7");
  if (type instanceof RegExp) assert.match(headers["content-type"], type);
  else assert.equal(headers["content-type"], type);
  check(body, headers["content-type"]);
}

for (const [how, form] of Object.entries(forms)) {
  describe(`a POST ${how} that is refused arrives a second time byte for byte:`, () => {
    for (const body of bodies) {
      test(body.what, async (t) => {
        const { auth, api, page } = await stage(t);
        await page.signIn();
        api.refuseNext(1);
        await page.run(post(body, form), TEXT, BYTES.toString("base64"));
        assert.equal((await page.run((kit) => kit.answer)).status, 200);
        assert.deepEqual(api.requests.map(({ status }) => status), [401, 200]);
        const [first, second] = api.requests;
        checkArrival(first, body);
        assert.ok(first.body.equals(second.body));
        assert.notEqual(first.headers.authorization, second.headers.authorization);
        const others = ({ headers: { authorization: _, ...rest } }) => rest;
        assert.deepEqual(others(first), others(second));
        assert.equal(auth.tokenRequests.length, 1);
      });
    }
  });

  describe(`a POST ${how} that has to wait for a token arrives as it was when it was made:`, () => {
    for (const body of bodies) {
      test(body.what, async (t) => {
        const { auth, api, page } = await stage(t);
        const { held, release } = latch();
        auth.faults.token = [{ hold: held }];
        await page.signIn({ age: 60 });
        await page.run(post(body, form), TEXT, BYTES.toString("base64"));
        release();
        assert.equal((await page.run((kit) => kit.answer)).status, 200);
        assert.equal(api.requests.length, 1);
        checkArrival(api.requests[0], body);
      });
    }
  });
}

// Over HTTP/1.1 Chromium sends no streams: a function in the place of the native fetch takes them instead, which is also
// how another wrapper would meet them.
const streams = {
  "in an init": (url, init) => fetch(url, init),
  "in a Request": (url, init) => fetch(new Request(url, init)),
};

/** Signed in; `kit.taken` is what the function in the place of fetch gets, and `kit.answerWith` answers it. */
async function withStandIn(t, signIn) {
  const staged = await stage(t);
  await staged.page.run(async (kit) => {
    await kit.library();
    kit.taken = [];
    window.fetch = async (...args) => {
      kit.taken.push(args);
      return kit.answerWith(...args);
    };
    const stream = (text) =>
      new ReadableStream({
        start(controller) {
          controller.enqueue(new TextEncoder().encode(text));
          controller.close();
        },
      });
    kit.streamed = () => ({ method: "POST", body: stream("tea, poured"), duplex: "half" });
    kit.refusal = () =>
      new Response("refused", { status: 401, headers: { "www-authenticate": 'Bearer error="invalid_token"' } });
  });
  await staged.page.signIn(signIn);
  return staged;
}

/** Firefox makes text of a stream, WebKit a Request that it does not send. */
const takesStreams = () => "duplex" in Request.prototype;

for (const [how, form] of Object.entries(streams)) {
  test(`a stream ${how} is not replayed: its 401 reaches the app, and the token is renewed for others`, async (t) => {
    const { auth, page } = await withStandIn(t);
    if (!(await page.run(takesStreams))) {
      t.skip("this browser sends no stream");
      return;
    }
    const { status, text, intact, calls } = await page.run(`async (kit) => {
      kit.answerWith = kit.refusal;
      const init = kit.streamed();
      const response = await (${form})(kit.api.origin + "/v1/echo", init);
      const [[input, sent]] = kit.taken;
      const intact = sent?.body === init.body || (await input.text()) === "tea, poured";
      return { status: response.status, text: await response.text(), intact, calls: kit.taken.length };
    }`);
    assert.deepEqual({ status, text, intact, calls }, { status: 401, text: "refused", intact: true, calls: 1 });
    await page.run((kit) => kit.first("refreshed"));
    assert.equal(auth.tokenRequests.length, 1);
  });
}

test("a stream waits for a renewal that is under way, other requests do not", async (t) => {
  const { auth, page } = await withStandIn(t);
  if (!(await page.run(takesStreams))) {
    t.skip("this browser sends no stream");
    return;
  }
  const { held, release } = latch();
  auth.faults.token = [{ hold: held }];
  const before = await page.run(async (kit) => {
    kit.answerWith = () => new Response();
    // Due after three quarters of 120 s, sent for 115 s.
    kit.ward.setTokens({ access_token: "due", expires_in: 120 }, { requestedAt: Date.now() - 100_000 });
    kit.streaming = fetch(`${kit.api.origin}/v1/echo`, kit.streamed());
    await fetch(`${kit.api.origin}/v1/orders`);
    return kit.taken.map(([, { method, headers }]) => [method, new Headers(headers).get("authorization")]);
  });
  assert.deepEqual(before, [[null, "Bearer due"]]);
  release();
  const after = await page.run(async (kit) => {
    await kit.streaming;
    return kit.taken.map(([input, init]) => new Headers(init?.headers ?? input.headers).get("authorization"));
  });
  assert.equal(after.length, 2);
  assert.match(after[1], /^Bearer eyJ/);
});

test("a refusal of the token before last: repeated with the newer one, no renewal", async (t) => {
  const { auth, page } = await withStandIn(t);
  const { status, calls } = await page.run(async (kit) => {
    let answer;
    kit.answerWith = () => new Promise((resolve) => (answer = resolve));
    const response = fetch(`${kit.api.origin}/v1/orders`);
    await kit.ward.refresh();
    kit.answerWith = () => new Response();
    answer(kit.refusal());
    return { status: (await response).status, calls: kit.taken.length };
  });
  assert.deepEqual({ status, calls }, { status: 200, calls: 2 });
  assert.equal(auth.tokenRequests.length, 1);
});

test("a refusal is answered once only", async (t) => {
  const { auth, api, page } = await stage(t);
  await page.signIn();
  api.refuseNext(2);
  const outcome = await page.run((kit) => kit.call());
  assert.equal(outcome.status, 401);
  assert.equal(outcome.body.tokenReceived, true);
  assert.equal(api.requests.length, 2);
  assert.equal(auth.tokenRequests.length, 1);
});

test("a resource that always refuses does not loop", async (t) => {
  const { auth, api, page } = await stage(t);
  await page.signIn();
  api.refuseNext(1000);
  const statuses = await page.run(async (kit) => {
    const statuses = (await Promise.all(Array.from({ length: 10 }, () => kit.call()))).map(({ status }) => status);
    for (let i = 0; i < 10; i += 1) statuses.push((await kit.call()).status);
    return statuses;
  });
  assert.deepEqual(new Set(statuses), new Set([401]));
  // Those begun before it was known are each repeated once.
  assert.ok(api.requests.length > 20 && api.requests.length <= 30, `${api.requests.length} requests`);
  assert.equal(auth.tokenRequests.length, 1);
  assert.equal(await page.run((kit) => kit.ward.signedIn), true);
});

test("50 refusals of one token: one renewal, 50 answers", async (t) => {
  const { auth, api, page } = await stage(t);
  const good = await auth.issueTokens();
  const { access_token } = await auth.issueTokens({ accessTokenTtl: -10 });
  // The page's clock and the server's do not agree.
  await page.signIn({ tokens: { ...good, access_token } });
  const outcomes = await page.run((kit) => Promise.all(Array.from({ length: 50 }, () => kit.call())));
  assert.deepEqual(new Set(outcomes.map(({ status }) => status)), new Set([200]));
  assert.equal(auth.tokenRequests.length, 1);
  assert.equal(api.requests.filter(({ status }) => status === 200).length, 50);
  assert.equal(new Set(api.requests.filter(({ tokenId }) => tokenId).map(({ tokenId }) => tokenId)).size, 1);
});

// Refusals that a new token would not cure.
const otherRefusals = [
  {
    what: "insufficient_scope",
    path: "/v1/admin",
    status: 403,
    event: (resource) => ({ type: "insufficientscope", resource, scope: "admin" }),
  },
  {
    what: "a step-up",
    path: "/v1/stepup",
    status: 401,
    event: (resource) => ({ type: "stepup", resource, acrValues: "urn:tokenward:demo:mfa", maxAge: 60 }),
  },
  { what: "a 401 for Basic", challenge: 'Basic realm="demo"', status: 401 },
  { what: "a 401 for a scheme nobody knows", challenge: 'Tea realm="Bearer", error="invalid_token"', status: 401 },
  { what: "invalid_request", challenge: 'Bearer error="invalid_request"', status: 401 },
];

for (const { what, path = "/v1/orders", challenge, status, event } of otherRefusals) {
  test(`${what} reaches the app unchanged, at once`, async (t) => {
    const { auth, api, page } = await stage(t);
    await page.signIn();
    if (challenge) api.refuseNext(1, challenge);
    const { events, ...outcome } = await page.run(async (kit, path) => {
      const response = await fetch(kit.api.origin + path);
      return {
        status: response.status,
        challenged: response.headers.has("www-authenticate"),
        tokenReceived: (await response.json()).tokenReceived,
        events: kit.events.slice(1),
      };
    }, path);
    assert.deepEqual(outcome, { status, challenged: true, tokenReceived: true });
    assert.deepEqual(events, event ? [event(`${api.origin}/v1`)] : []);
    assert.equal(api.requests.length, 1);
    assert.equal(auth.tokenRequests.length, 0);
  });
}

// What else a resource may say of a token that it does not want.
const challenges = [
  "Bearer",
  'Basic realm="demo", Bearer realm="demo"',
  'Negotiate abc==, bearer error = "invalid_token", realm="a, \\"b\\""',
];

for (const challenge of challenges) {
  test(`a 401 with ${challenge} is about the token`, async (t) => {
    const { auth, api, page } = await stage(t);
    await page.signIn();
    api.refuseNext(1, challenge);
    assert.equal((await page.run((kit) => kit.call())).status, 200);
    assert.equal(auth.tokenRequests.length, 1);
  });
}

test("a 401 from where a redirect led is not about the token", async (t) => {
  const connect = ["http://127.0.0.1:*"];
  const { app, auth, page } = await stage(t, { connect });
  const { issuer, endpoints } = auth;
  // After such a redirect the origin is `null`, but Firefox keeps it.
  const appOrigins = ["null", app.origin];
  const stranger = await startApiServer({ issuer, audience: AUDIENCE, jwksUri: endpoints.jwks, appOrigins });
  t.after(stranger.close);
  await page.signIn();
  const to = encodeURIComponent(`${stranger.origin}/v1/orders`);
  const outcome = await page.run((kit, path) => kit.call(path), `/v1/redirect?to=${to}`);
  assert.deepEqual(outcome, { status: 401, body: { tokenReceived: false, tokenId: null } });
  assert.equal(stranger.requests.length, 1);
  assert.equal(auth.tokenRequests.length, 0);
});

test("the renewal after a 401 is refused: the app gets the 401", async (t) => {
  const { auth, api, page } = await stage(t);
  await page.signIn();
  auth.revokeGrants();
  api.refuseNext(1);
  const { outcome, types } = await page.run(async (kit) => ({ outcome: await kit.call(), types: kit.eventTypes() }));
  assert.equal(outcome.status, 401);
  assert.equal(outcome.body.tokenReceived, true);
  assert.deepEqual(types, ["signedin", "refreshfailed", "signedout"]);
  assert.equal(api.requests.length, 1);
});

test("the answer to the repeated request is like any other", async (t) => {
  const { api, page } = await stage(t);
  await page.signIn();
  const look = async (kit) => {
    const response = await fetch(`${kit.api.origin}/v1/orders`);
    const { url, redirected, type, ok, status, bodyUsed } = response;
    const { orders } = await response.json();
    return { url, redirected, type, ok, status, bodyUsed, orders };
  };
  const plain = await page.run(look);
  api.refuseNext(1);
  assert.deepEqual(await page.run(look), plain);
  assert.equal(plain.url, `${api.origin}/v1/orders`);
  assert.equal(api.requests.length, 3);
});

test("a signal ends the wait for the renewal after a 401", async (t) => {
  const { auth, api, page } = await stage(t);
  const { held, release } = latch();
  auth.faults.token = [{ hold: held }];
  await page.signIn();
  api.refuseNext(1);
  await page.run((kit) => {
    kit.controller = new AbortController();
    const { signal } = kit.controller;
    kit.aborted = fetch(`${kit.api.origin}/v1/orders`, { signal }).catch((reason) => reason);
  });
  await auth.tokenRequests.until((requests) => requests.length === 1);
  const reason = await page.run((kit) => {
    kit.controller.abort("changed my mind");
    return kit.aborted;
  });
  assert.equal(reason, "changed my mind");
  release();
  await page.run((kit) => kit.first("refreshed"));
  assert.equal(api.requests.length, 1);
});
