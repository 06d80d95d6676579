// What single libraries do in a way of their own: progress, timeouts, retries, reconnections.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { stageLibraries } from "./harness/libraries.mjs";
import { latch } from "./harness/stage.mjs";

const ITEMS = ["Teapot", "Cups"];
const MIB = 2 ** 20;

const connect = async (kit, script, options, maker = "connect") => {
  const library = await import(`/libraries/${script}.js`);
  kit.client = library[maker](kit.api.origin, options);
};

const seen = ({ requests }) => requests.map(({ status, tokenReceived }) => [status, tokenReceived]);

const adapters = [{ adapter: "fetch" }, { adapter: "xhr", install: { xhr: true } }];

for (const { adapter, install } of adapters) {
  describe(`axios with its ${adapter} adapter:`, () => {
    async function start(t, { age, held } = {}) {
      const staged = await stageLibraries(t);
      if (held) staged.auth.faults.token = [{ hold: held }];
      await staged.page.signIn({ age, install });
      await staged.page.run(connect, "axios", { adapter });
      return staged;
    }

    test("a timeout counts while the call waits for a token", async (t) => {
      const { held, release } = latch();
      const { api, page } = await start(t, { age: 60, held });
      const { error, generation, waiting } = await page.run(async ({ client, ward }) => {
        const { error } = await client.settle(client.client.get("/orders", { timeout: 100 }));
        return { error, ...ward.snapshot() };
      });
      assert.match(error.code, /^(ECONNABORTED|ETIMEDOUT)$/);
      // There is no newer token yet.
      assert.deepEqual({ generation, waiting }, { generation: 1, waiting: 0 });
      release();
      await page.run((kit) => kit.first("refreshed"));
      await page.run((kit) => kit.call("/v1/echo"));
      assert.deepEqual(api.requests.map(({ path }) => path), ["/v1/echo"]);
    });

    test("a timeout that is long enough does not end it", async (t) => {
      const { api, page } = await start(t, { age: 60 });
      const { data } = await page.run(({ client }) => client.settle(client.client.get("/orders", { timeout: 20_000 })));
      assert.equal(data.orders.length, 2);
      assert.deepEqual(seen(api), [[200, true]]);
    });

    test("progress of a download, through a 401", async (t) => {
      const { api, page } = await start(t);
      api.refuseNext(1);
      const { length, progress } = await page.run(async ({ client: { client } }) => {
        const progress = [];
        const onDownloadProgress = ({ loaded }) => progress.push(loaded);
        const { data } = await client.get("/download", { responseType: "arraybuffer", onDownloadProgress });
        return { length: data.byteLength, progress };
      });
      assert.equal(length, MIB);
      assert.deepEqual(seen(api), [[401, true], [200, true]]);
      // Of the answer that counts only.
      assert.equal(progress.at(-1), MIB);
      assert.deepEqual(progress, progress.toSorted((a, b) => a - b));
    });

    const upload = async ({ client: { client, settle } }, length, token) => {
      const progress = [];
      const onUploadProgress = ({ loaded, total }) => progress.push([loaded, total]);
      const headers = token ? { authorization: `Bearer ${token}` } : {};
      const { data, error } = await settle(client.post("/echo", "t".repeat(length), { headers, onUploadProgress }));
      return { length: data?.length, error, progress };
    };

    // The fetch adapter makes a stream of what it watches, which Chromium does not send over HTTP/1.1.
    for (const what of ["at once", "through a 401"]) {
      test(`progress of an upload, ${what}, ends as without a ward`, async (t) => {
        const { api, auth, page } = await start(t);
        if (what !== "at once") api.refuseNext(1);
        const authorised = await page.run(upload, MIB);
        const calls = seen(api);
        await page.run((kit) => kit.ward.uninstall());
        const bare = await page.run(upload, MIB, (await auth.issueTokens()).access_token);
        t.diagnostic(`${bare.error?.code ?? "sent"}, progress to ${bare.progress.at(-1)}`);
        const end = ({ error, length, progress }) => ({ error, length, end: error ? undefined : progress.at(-1) });
        assert.deepEqual(end(authorised), end(bare));
        const loaded = authorised.progress.map(([loaded]) => loaded);
        assert.deepEqual(loaded, loaded.toSorted((a, b) => a - b));
        const refused = what === "at once" ? [] : [[401, true]];
        assert.deepEqual(calls, bare.error ? [] : [...refused, [200, true]]);
      });
    }
  });
}

describe("ky", () => {
  async function start(t) {
    const staged = await stageLibraries(t);
    await staged.page.signIn();
    await staged.page.run(connect, "ky");
    return staged;
  }

  test("its own retry after a 503 is one more call", async (t) => {
    const { api, page, busy } = await start(t);
    busy.push(503);
    assert.ok((await page.run(({ client }) => client.get("busy"))).data);
    assert.deepEqual(seen(api), [[503, true], [200, true]]);
  });

  test("a 401 between its own retries: the one is repeated, the other retried", async (t) => {
    const { api, auth, page, busy } = await start(t);
    busy.push(503);
    api.refuseNext(1);
    assert.ok((await page.run(({ client }) => client.get("busy"))).data);
    assert.deepEqual(seen(api), [[401, true], [503, true], [200, true]]);
    assert.equal(auth.tokenRequests.length, 1);
  });
});

describe("TanStack Query", () => {
  for (const when of ["an expired token", "a 401"]) {
    test(`an observer, with its three retries, sees no failure through ${when}`, async (t) => {
      const { api, auth, page } = await stageLibraries(t);
      await page.signIn({ age: when === "a 401" ? 0 : 60 });
      if (when === "a 401") api.refuseNext(1);
      await page.run(connect, "query-core");
      const result = await page.run(({ client }) => client.observe());
      assert.deepEqual(result, { status: "success", data: ITEMS, failures: 0 });
      assert.equal(auth.tokenRequests.length, 1);
      assert.equal(api.requests.at(-1).status, 200);
      assert.equal(api.requests.length, when === "a 401" ? 2 : 1);
    });
  }
});

describe("fetch-event-source", () => {
  const listen = ({ client, ...kit }) => {
    const heard = [];
    const live = client.live(({ id, data }) => {
      heard.push([id, data]);
      for (const wake of waiters.splice(0)) wake();
    });
    const waiters = [];
    const until = async (length) => {
      while (heard.length < length) await new Promise((wake) => waiters.push(wake));
      return heard;
    };
    return { ...live, until };
  };

  async function start(t) {
    const staged = await stageLibraries(t);
    await staged.page.signIn();
    await staged.page.run(connect, "event-source");
    await staged.page.run(`(kit) => void (kit.live = (${listen})(kit))`);
    assert.deepEqual(await staged.page.run((kit) => kit.live.until(1)), [["1", "Teapot"]]);
    return staged;
  }

  const reconnected = async ({ api, page }) => {
    assert.deepEqual(await page.run((kit) => kit.live.until(2)), [["1", "Teapot"], ["2", "Teapot"]]);
    await page.run((kit) => kit.live.stop());
    assert.equal(api.requests.at(-1).headers["last-event-id"], "1");
  };

  test("a renewal does not disturb an open stream; the reconnection has the newer token", async (t) => {
    const { api, page, streams, ...rest } = await start(t);
    await page.run((kit) => kit.ward.refresh());
    assert.equal(api.requests.length, 1);
    streams[0].end();
    await reconnected({ api, page, ...rest });
    assert.deepEqual(seen(api), [[200, true], [200, true]]);
    assert.notEqual(api.requests[0].tokenId, api.requests[1].tokenId);
  });

  test("a reconnection that is refused is repeated with a newer token", async (t) => {
    const { api, auth, page, streams } = await start(t);
    api.refuseNext(1);
    streams[0].end();
    await reconnected({ api, page });
    assert.deepEqual(seen(api), [[200, true], [401, true], [200, true]]);
    assert.equal(auth.tokenRequests.length, 1);
  });

  test("after a sign-out it connects without a token", async (t) => {
    const { api, page, streams } = await start(t);
    await page.run((kit) => kit.ward.signOut());
    streams[0].end();
    const { error } = await page.run((kit) => kit.live.ended);
    assert.deepEqual(error, { name: "FatalError", status: 401 });
    assert.deepEqual(seen(api), [[200, true], [401, false]]);
  });
});

const loaders = [
  { loader: "fetch", options: { progressive: true } },
  { loader: "own", options: {}, install: { xhr: true } },
];

for (const { loader, options, install } of loaders) {
  describe(`hls.js with its ${loader} loader:`, () => {
    test("a token that runs out while a page loads what it plays", async (t) => {
      const { api, auth, page } = await stageLibraries(t);
      await page.signIn({ install });
      const obstacle = await page.run(async () => (await import("/libraries/hls.js")).obstacle());
      if (obstacle) return t.skip(obstacle);
      const tokens = await auth.issueTokens();
      const { seconds, error } = await page.run(
        async (kit, options, tokens) => {
          const { play } = await import("/libraries/hls.js");
          const expire = () => kit.ward.setTokens(tokens, { requestedAt: Date.now() - 60_000 });
          return play(kit.api.origin, options, expire);
        },
        options,
        tokens,
      );
      // Firefox finds out when it tries.
      if (error === "bufferAddCodecError") return t.skip("Media Source Extensions without AAC");
      assert.equal(error, undefined);
      assert.ok(seconds > 7, `${seconds} s`);
      const paths = api.requests.map(({ path }) => path.slice("/v1/hls/".length));
      assert.deepEqual(paths.toSorted(), ["1.aac", "2.aac", "key", "level.m3u8", "main.m3u8"]);
      assert.deepEqual(new Set(seen(api).map(String)), new Set(["200,true"]));
      assert.equal(new Set(api.requests.map(({ tokenId }) => tokenId)).size, 2);
      assert.equal(paths.at(-1), "2.aac");
      assert.notEqual(api.requests.at(-1).tokenId, api.requests[0].tokenId);
      assert.equal(auth.tokenRequests.length, 1);
    });
  });
}

describe("openapi-fetch takes the fetch that there is when a client is made:", () => {
  test("after install(), and it does not matter when the library was loaded", async (t) => {
    const { page } = await stageLibraries(t);
    await page.run(async (kit) => void (kit.early = await import("/libraries/openapi-fetch.js")));
    await page.signIn();
    assert.deepEqual(await page.run((kit) => kit.early.connect(kit.api.origin).read()), { data: ITEMS });
  });

  test("before, it can be given one that looks again", async (t) => {
    const { page } = await stageLibraries(t);
    await page.run(connect, "openapi-fetch", undefined, "connectLate");
    await page.signIn();
    assert.deepEqual(await page.run(({ client }) => client.read()), { data: ITEMS });
  });

  test("while another ward was installed, it stays with that one", async (t) => {
    const { page } = await stageLibraries(t);
    await page.signIn();
    await page.run(connect, "openapi-fetch");
    await page.run((kit) => kit.ward.close());
    await page.signIn();
    assert.deepEqual(await page.run(({ client }) => client.read()), { error: { status: 401 } });
  });
});
