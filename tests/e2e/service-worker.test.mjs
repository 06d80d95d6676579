// The service worker authorises what is not the page's own `fetch`.
import assert from "node:assert/strict";
import { test } from "node:test";
import { browser } from "./harness/browsers.mjs";
import { latch } from "./harness/stage.mjs";
import { workerStage } from "./harness/workers.mjs";

const PICTURE = "/v1/picture.svg";
const SOUND = "/v1/sound.wav";
const loads = (path) => ({ path, good: "load", bad: "error" });
const plays = { path: SOUND, good: "loadeddata", bad: "error" };
const answers = { path: "/v1/echo", good: 200, bad: 401 };

/** `kit.ways`, what to ask for by them, and how it looks when that goes well and when it does not. */
const ways = {
  img: loads(PICTURE),
  "img with crossorigin": loads(PICTURE),
  "input image": loads(PICTURE),
  script: loads("/v1/script.js"),
  "module script": loads("/v1/script.js"),
  stylesheet: loads("/v1/style.css"),
  // Firefox reports no error of what it cannot look into.
  preload: { ...loads(PICTURE), ...(browser === "firefox" && { bad: "load" }) },
  audio: plays,
  "audio with crossorigin": plays,
  video: plays,
  EventSource: { path: "/v1/events", good: "message", bad: "error" },
  fetch: answers,
  "fetch of a POST": answers,
  XMLHttpRequest: answers,
  worker: answers,
};

/** What an engine does not bring to the service worker. README has the same list. */
const around = browser === "firefox" ? ["audio", "video"] : [];

const seen = (requests) => requests.map(({ status, tokenReceived }) => ({ status, tokenReceived }));

/** Each way as a test of its own, on a page that is connected. `prepare` comes before each; gives what it is judged by. */
async function each(t, { age, prepare = () => {}, judge }) {
  const staged = await workerStage(t);
  const { api, page } = staged;
  await page.signIn({ age });
  await page.run((kit) => kit.connect());
  for (const [name, { path, good, bad }] of Object.entries(ways)) {
    if (around.includes(name)) continue;
    await t.test(name, async () => {
      const first = api.requests.length;
      const after = await prepare(staged);
      const asked = page.run((kit, name, url) => kit.ways[name](url), name, `${api.origin}${path}?${encodeURIComponent(name)}`);
      await after?.();
      judge({ ...staged, outcome: await asked, good, bad, arrived: seen(api.requests.slice(first)) });
    });
  }
}

test("with the token that there is:", (t) =>
  each(t, {
    judge({ outcome, good, arrived, auth }) {
      assert.equal(outcome, good);
      assert.equal(arrived.length, 1);
      assert.ok(arrived[0].tokenReceived);
      assert.equal(auth.tokenRequests.length, 0);
    },
  }));

test("a token that was refused is renewed, and the request repeated:", (t) =>
  each(t, {
    prepare: ({ api }) => void api.refuseNext(1),
    judge({ outcome, good, arrived }) {
      assert.equal(outcome, good);
      assert.equal(arrived.length, 2);
      assert.equal(arrived[0].status, 401);
      assert.ok([200, 206].includes(arrived[1].status));
    },
  }));

test("a token that has expired is renewed before anything is sent:", (t) =>
  each(t, {
    async prepare({ auth, page }) {
      const { held, release } = latch();
      const before = auth.tokenRequests.length;
      auth.faults.token = [{ hold: held }];
      await page.run((kit) => kit.expire());
      return async () => {
        await auth.tokenRequests.until(({ length }) => length > before);
        release();
      };
    },
    judge({ outcome, good, arrived }) {
      assert.equal(outcome, good);
      assert.equal(arrived.length, 1);
      assert.ok(arrived[0].tokenReceived);
    },
  }));

for (const name of around) {
  test(`${name}: goes around the worker here, without a token, and fails at once`, async (t) => {
    const { api, page } = await workerStage(t);
    await page.signIn();
    await page.run((kit) => kit.connect());
    const { path, bad } = ways[name];
    assert.equal(await page.run((kit, name, url) => kit.ways[name](url), name, api.origin + path), bad);
    assert.deepEqual(seen(api.requests), [{ status: 401, tokenReceived: false }]);
  });
}

test("nobody signed in: everything goes as it is:", async (t) => {
  const { api, page } = await workerStage(t);
  await page.run(async (kit) => {
    await kit.create();
    await kit.connect();
  });
  for (const [name, { path, bad }] of Object.entries(ways)) {
    await t.test(name, async () => {
      const first = api.requests.length;
      assert.equal(await page.run((kit, name, url) => kit.ways[name](url), name, `${api.origin}${path}?${encodeURIComponent(name)}`), bad);
      assert.ok(api.requests.length > first);
      assert.deepEqual(new Set(api.requests.slice(first).map(({ tokenReceived }) => tokenReceived)), new Set([false]));
    });
  }
});
