// Other people's libraries, used as they are: nothing tells them of tokens, and they notice none of what happens to them.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { stageLibraries } from "./harness/libraries.mjs";
import { latch } from "./harness/stage.mjs";

const ITEMS = ["Teapot", "Cups"];
const LOADS = ["hlsManifestLoaded", "hlsLevelLoaded", "hlsKeyLoaded", "hlsFragLoaded"];

/**
 * `script`: in harness/libraries. `options`: the library's own. `install`: of `ward.install()`. `reads`: what `read()`
 * gives, by how many `requests`. `writes`: whether it can send JSON. `stopped`: how a call ends that was stopped, of a
 * `stoppable`. `signedOut`: the error without a session. `early`: whether a client works that was made before
 * `install()`. `only`: the scenarios, if not all.
 */
const libraries = [
  {
    name: "axios with its fetch adapter",
    script: "axios",
    options: { adapter: "fetch" },
    stopped: { error: { name: "CanceledError", code: "ERR_CANCELED" } },
    signedOut: { name: "AxiosError", code: "ERR_BAD_REQUEST", status: 401 },
  },
  {
    name: "axios with its fetch adapter and its CancelToken",
    script: "axios",
    options: { adapter: "fetch" },
    only: ["abort"],
    stoppable: "stoppableByCancelToken",
    stopped: { error: { name: "CanceledError", code: "ERR_CANCELED" } },
  },
  {
    name: "axios",
    script: "axios",
    install: { xhr: true },
    stopped: { error: { name: "CanceledError", code: "ERR_CANCELED" } },
    signedOut: { name: "AxiosError", code: "ERR_BAD_REQUEST", status: 401 },
  },
  {
    name: "axios with its CancelToken",
    script: "axios",
    install: { xhr: true },
    only: ["abort"],
    stoppable: "stoppableByCancelToken",
    stopped: { error: { name: "CanceledError", code: "ERR_CANCELED" } },
  },
  { name: "ky", script: "ky", stopped: { error: { name: "AbortError" } }, signedOut: { name: "HTTPError", status: 401 } },
  {
    name: "openapi-fetch",
    script: "openapi-fetch",
    early: false,
    stopped: { error: { name: "AbortError" } },
    signedOut: { status: 401 },
  },
  { name: "urql", script: "urql", reads: ["Teapot"], stopped: [], signedOut: { name: "CombinedError", status: 401 } },
  {
    name: "urql, queries by POST",
    script: "urql",
    options: { preferGetMethod: false },
    reads: ["Teapot"],
    stopped: [],
    signedOut: { name: "CombinedError", status: 401 },
  },
  {
    name: "TanStack Query",
    script: "query-core",
    stopped: { error: { name: "CancelledError" } },
    signedOut: { name: "Error", status: 401 },
  },
  {
    name: "fetch-event-source",
    script: "event-source",
    stopped: { data: [] },
    signedOut: { name: "FatalError", status: 401 },
  },
  {
    name: "hls.js with its fetch loader",
    script: "hls",
    options: { progressive: true },
    requests: 4,
    reads: LOADS,
    writes: false,
    stopped: [],
    signedOut: { name: "manifestLoadError", status: 401 },
  },
  {
    name: "hls.js",
    script: "hls",
    install: { xhr: true },
    requests: 4,
    reads: LOADS,
    writes: false,
    stopped: [],
    signedOut: { name: "manifestLoadError", status: 401 },
  },
];

const connect = async (kit, script, options) => {
  const { connect } = await import(`/libraries/${script}.js`);
  kit.client = connect(kit.api.origin, options);
};

/** A session, and then a client of the library. */
async function start(t, { script, options, install }, { age, held } = {}) {
  const staged = await stageLibraries(t);
  if (held) staged.auth.faults.token = [{ hold: held }];
  await staged.page.signIn({ age, install });
  await staged.page.run(connect, script, options);
  return staged;
}

const read = (kit) => kit.client.read();

/** That many requests wait for a token. */
const waiting = (page, number = 1) =>
  page.run(async (kit, number) => {
    while (kit.ward.snapshot().waiting !== number) await new Promise((resolve) => setTimeout(resolve));
  }, number);

const statuses = ({ requests }) => requests.map(({ status }) => status);

for (const library of libraries) {
  const { name, reads = ITEMS, requests = 1, writes = true, early = true, only, stoppable = "stoppable" } = library;
  const scenario = (what, run) => (only && !only.includes(what.split(":")[0]) ? undefined : test(what, run));

  describe(name, () => {
    scenario("signed in: its calls are authorised", async (t) => {
      const { auth, api, page } = await start(t, library);
      assert.deepEqual((await page.run(read)).data, reads);
      assert.deepEqual(statuses(api), Array(requests).fill(200));
      assert.equal(auth.tokenRequests.length, 0);
    });

    scenario("an expired token: its call waits for the renewal", async (t) => {
      const { held, release } = latch();
      const { auth, api, page } = await start(t, library, { age: 60, held });
      await page.run((kit) => void (kit.reading = kit.client.read()));
      await waiting(page);
      assert.equal(api.requests.length, 0);
      release();
      assert.deepEqual((await page.run((kit) => kit.reading)).data, reads);
      assert.deepEqual(statuses(api), Array(requests).fill(200));
      assert.equal(auth.tokenRequests.length, 1);
    });

    scenario("a 401: its call is repeated with a newer token, and it hears nothing of that", async (t) => {
      const { auth, api, page } = await start(t, library);
      api.refuseNext(1);
      assert.deepEqual(await page.run(read), { data: reads });
      assert.deepEqual(statuses(api), [401, ...Array(requests).fill(200)]);
      assert.notEqual(api.requests[0].tokenId, api.requests[1].tokenId);
      assert.equal(auth.tokenRequests.length, 1);
    });

    if (writes) {
      scenario("a 401 for what it sends: the same is sent again", async (t) => {
        const { auth, api, page } = await start(t, library);
        api.refuseNext(1);
        const { data } = await page.run((kit) => kit.client.write({ item: "Teapot" }));
        assert.ok(data);
        assert.deepEqual(statuses(api), [401, 200]);
        const [first, second] = api.requests;
        assert.deepEqual([first.method, second.method], ["POST", "POST"]);
        assert.match(String(first.body), /"item":"Teapot"/);
        assert.deepEqual(second.body, first.body);
        assert.equal(second.headers["content-type"], first.headers["content-type"]);
        assert.equal(auth.tokenRequests.length, 1);
      });
    }

    scenario("a 401 for every token: it gets the second one, and does not begin again", async (t) => {
      const { auth, api, page } = await start(t, library);
      api.refuseNext(5);
      const { error } = await page.run(read);
      assert.deepEqual(error, library.signedOut);
      assert.deepEqual(statuses(api), [401, 401]);
      assert.equal(auth.tokenRequests.length, 1);
    });

    scenario("abort: it ends its call while that waits for a token", async (t) => {
      const { held, release } = latch();
      const { auth, api, page } = await start(t, library, { age: 60, held });
      await page.run((kit, stoppable) => void (kit.stoppable = kit.client[stoppable]()), stoppable);
      await waiting(page);
      const ended = await page.run(async ({ stoppable: { ended, stop }, ward }) => {
        stop();
        // What nobody can await is looked at once the ward knows that nobody waits.
        if (typeof ended !== "function") return ended;
        while (ward.snapshot().waiting > 0) await new Promise((resolve) => setTimeout(resolve));
        return ended();
      });
      assert.deepEqual(ended, library.stopped);
      await waiting(page, 0);
      release();
      await page.run((kit) => kit.first("refreshed"));
      // Nothing came before this one.
      await page.run((kit) => kit.call("/v1/echo"));
      assert.deepEqual(api.requests.map(({ path }) => path), ["/v1/echo"]);
      assert.equal(auth.tokenRequests.length, 1);
    });

    scenario("signed out: it gets the API's 401, once", async (t) => {
      const { auth, api, page } = await start(t, library);
      await page.run((kit) => kit.ward.signOut());
      const { error } = await page.run(read);
      assert.deepEqual(error, library.signedOut);
      assert.deepEqual(api.requests.map(({ status, tokenReceived }) => [status, tokenReceived]), [[401, false]]);
      assert.equal(auth.tokenRequests.length, 0);
    });

    scenario(`a client that was made before install(): ${early ? "authorised" : "not authorised"}`, async (t) => {
      const { api, page } = await stageLibraries(t);
      await page.run(connect, library.script, library.options);
      await page.signIn({ install: library.install });
      const { data, error } = await page.run(read);
      if (early) assert.deepEqual(data, reads);
      else assert.deepEqual([error, api.requests[0].tokenReceived], [library.signedOut, false]);
    });
  });
}
