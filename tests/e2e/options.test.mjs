// What create() and setTokens() take and refuse, and where the wasm comes from.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { stage } from "./harness/stage.mjs";

const TOKEN = "https://id.test/token";
const listed = (...resources) => ({ resources });
const bare = (more) => ({ resources: [], ...more });

// Options as they are written in the page, and the key that the error names.
const broken = [
  ["undefined", "options"],
  ["null", "options"],
  ["'resources'", "options"],
  ["() => {}", "options"],
  ["{}", "resources"],
  ["{ resources: 'https://api.test/' }", "resources"],
  ["{ resources: [], clientID: 'spa' }", "clientID"],
  [bare({ clientId: 7 }), "clientId"],
  [bare({ clientId: "" }), "clientId"],
  [bare({ endpoints: TOKEN }), "endpoints"],
  [bare({ endpoints: null }), "endpoints"],
  [bare({ session: null }), "session"],
  [bare({ restore: ["session"] }), "session.url"],
  [bare({ restore: ["cookie"] }), "restore"],
  [bare({ restore: ["silent"] }), "restore"],
  [bare({ clientId: "spa", endpoints: { tokens: TOKEN } }), "endpoints.tokens"],
  [bare({ clientId: "spa", endpoints: { token: "/token" } }), "endpoints.token"],
  [bare({ clientId: "spa", endpoints: { token: "http://id.test/token" } }), "endpoints.token"],
  [bare({ clientId: "spa", endpoints: { token: `${TOKEN}#a` } }), "endpoints.token"],
  [bare({ clientId: "spa", endpoints: { revocation: "https://ada:secret@id.test/" } }), "endpoints.revocation"],
  [bare({ endpoints: { token: TOKEN } }), "clientId"],
  [bare({ refresh: "callback" }), "refresh"],
  [`{ resources: [], clientId: 'spa', endpoints: { token: '${TOKEN}' }, refresh() {} }`, "refresh"],
  ["{ resources: [], waitSeconds: NaN }", "waitSeconds"],
  ["{ resources: [], waitSeconds: Infinity }", "waitSeconds"],
  [bare({ waitSeconds: 0 }), "waitSeconds"],
  [bare({ waitSeconds: 601 }), "waitSeconds"],
  [bare({ waitSeconds: "30" }), "waitSeconds"],
  [bare({ requestTimeoutSeconds: 0.5 }), "requestTimeoutSeconds"],
  [bare({ maxOutageSeconds: -1 }), "maxOutageSeconds"],
  [bare({ dangerouslyAllowHttp: "yes" }), "dangerouslyAllowHttp"],
  [listed("https://api.test/"), "resources[0]"],
  [listed({}), "resources[0].url"],
  [listed({ url: "/v1" }), "resources[0].url"],
  [listed({ url: "ftp://api.test/" }), "resources[0].url"],
  [listed({ url: "http://api.test/" }), "resources[0].url"],
  [listed({ url: "http://localhost.test/" }), "resources[0].url"],
  [listed({ url: "https://ada:secret@api.test/" }), "resources[0].url"],
  [listed({ url: "https://api.test/?v=1" }), "resources[0].url"],
  [listed({ url: "https://api.test/#v1" }), "resources[0].url"],
  [listed({ url: "https://api.test/v1%2forders" }), "resources[0].url"],
  [listed({ url: "https://api.test/" }, { url: "HTTPS://API.test:443" }), "resources[1].url"],
  [listed({ url: "https://api.test/", scopes: "orders" }), "resources[0].scopes"],
  [listed({ url: "https://api.test/", methods: "GET" }), "resources[0].methods"],
  [listed({ url: "https://api.test/", methods: [] }), "resources[0].methods"],
  [listed({ url: "https://api.test/", methods: ["GET", "P OST"] }), "resources[0].methods"],
  [listed({ url: "https://api.test/", methods: [7] }), "resources[0].methods"],
  ["{ resources: [], wasm: 7 }", "wasm"],
];

test("create() names the key that breaks a rule", async (t) => {
  const { page } = await stage(t);
  for (const [options, key] of broken) {
    const source = typeof options === "string" ? options : JSON.stringify(options);
    await t.test(source, async () => {
      const error = await page.run(`async (kit) => {
        const { TokenWard } = await kit.library();
        const error = await TokenWard.create(${source}).then(() => undefined, (reason) => reason);
        return error && { isTypeError: error instanceof TypeError, code: error.code, message: error.message };
      }`);
      assert.ok(error, "it was taken");
      assert.deepEqual([error.isTypeError, error.code], [true, "invalid_option"], error.message);
      assert.equal(error.message.split(" ")[0], key);
    });
  }
});

const taken = {
  "keys that are undefined": "{ resources: [], clientId: undefined, endpoints: undefined, refresh: undefined, waitSeconds: undefined, wasm: undefined }",
  "an origin, and a path below it": "{ resources: [{ url: 'https://api.test' }, { url: 'https://api.test/v1/' }] }",
  "one URL twice for different methods": "{ resources: [{ url: 'https://api.test', methods: ['GET'] }, { url: 'https://api.test', methods: ['POST'] }] }",
  "http: for loopback hosts": "{ resources: [{ url: 'http://localhost' }, { url: 'http://api.localhost:81' }, { url: 'http://127.0.0.2' }, { url: 'http://[::1]:81' }] }",
  "http: for others if told so": "{ resources: [{ url: 'http://api.test' }], dangerouslyAllowHttp: true }",
  "the limits of its numbers": "{ resources: [], waitSeconds: 600, requestTimeoutSeconds: 1, maxOutageSeconds: 1.5 }",
  "frozen options": "Object.freeze({ resources: Object.freeze([]) })",
};

test("create() takes", async (t) => {
  const { page } = await stage(t);
  for (const [what, source] of Object.entries(taken)) {
    await t.test(what, async () => {
      const signedIn = await page.run(`async (kit) => {
        const { TokenWard } = await kit.library();
        return (await TokenWard.create(${source})).signedIn;
      }`);
      assert.equal(signedIn, false);
    });
  }
});

test("options are read once: what the app changes later does not count", async (t) => {
  const { auth, api, other, page } = await stage(t);
  await page.run(async (kit, tokens) => {
    const resources = [{ url: `${kit.api.origin}/v1`, methods: ["GET"] }];
    const ward = await kit.create({ resources });
    resources[0].methods.push("POST");
    resources[0].url = kit.other.origin;
    resources.push({ url: kit.other.origin });
    ward.install().setTokens(tokens);
    await kit.call();
    await kit.call("/v1/orders", { method: "POST" });
    await kit.outcome(fetch(kit.other.origin));
  }, await auth.issueTokens());
  assert.deepEqual(api.requests.map(({ tokenReceived }) => tokenReceived), [true, false]);
  assert.deepEqual(other.requests.map(({ tokenReceived }) => tokenReceived), [false]);
});

test("a ward is made by create() only", async (t) => {
  const { page } = await stage(t);
  const names = await page.run(async (kit) => {
    const { TokenWard } = await kit.library();
    const make = [() => new TokenWard(), () => new TokenWard({}, kit.options()), () => TokenWard()];
    return Promise.all(make.map((one) => Promise.resolve().then(one).catch(({ name }) => name)));
  });
  assert.deepEqual(names, ["TypeError", "TypeError", "TypeError"]);
});

// What setTokens() refuses, as it is written in the page, and the member that the error names.
const responses = [
  ["undefined", "access_token"],
  ["'eyJ'", "access_token"],
  ["{}", "access_token"],
  ["{ access_token: 7 }", "access_token"],
  ["{ access_token: '' }", "access_token"],
  ["{ access_token: 'a b' }", "access_token"],
  ["{ access_token: 'a\\r\\nx-evil: 1' }", "access_token"],
  ["{ access_token: 'ä' }", "access_token"],
  ["{ access_token: 'a', token_type: 'mac' }", "token_type"],
  ["{ access_token: 'a', token_type: 7 }", "token_type"],
  ["{ access_token: 'a', refresh_token: 7 }", "refresh_token"],
  ["{ access_token: 'a', refresh_token: 'a\\nb' }", "refresh_token"],
];

test("setTokens() names the member that breaks a rule, and leaves the session as it was", async (t) => {
  const { page } = await stage(t);
  await page.signIn();
  for (const [source, member] of responses) {
    const { isTypeError, code, message, generation } = await page.run(`(kit) => {
      try {
        kit.ward.setTokens(${source});
      } catch (error) {
        const { generation } = kit.ward.snapshot();
        return { isTypeError: error instanceof TypeError, code: error.code, message: error.message, generation };
      }
      throw new Error("it was taken");
    }`);
    assert.deepEqual([isTypeError, code, generation], [true, "invalid_token_response", 1], source);
    assert.equal(message.split(" ")[0], member, source);
  }
  const codes = await page.run(({ ward }) =>
    [NaN, Infinity, "1", null].map((requestedAt) => {
      try {
        return ward.setTokens({ access_token: "a" }, { requestedAt });
      } catch (error) {
        return error instanceof TypeError && error.code;
      }
    }),
  );
  assert.deepEqual(codes, Array(4).fill("invalid_option"));
  assert.equal((await page.run((kit) => kit.call())).status, 200);
});

describe("wasm", () => {
  test("that is not there: core_unavailable, and the next create() tries again", async (t) => {
    const { page } = await stage(t);
    const { failed, signedIn } = await page.run(async (kit) => {
      const { TokenWard, TokenWardError } = await kit.library();
      const error = await TokenWard.create(kit.options({ wasm: "/missing.wasm" })).catch((reason) => reason);
      const failed = [error instanceof TokenWardError, error.code, error.retryable, error.cause instanceof Error];
      return { failed, signedIn: (await TokenWard.create(kit.options())).signedIn };
    });
    assert.deepEqual(failed, [true, "core_unavailable", true, true]);
    assert.equal(signedIn, false);
  });

  test("that is not wasm: core_unavailable", async (t) => {
    const { page } = await stage(t);
    const codes = await page.run(async (kit) => {
      const codes = [];
      for (const wasm of ["/index.html", new Uint8Array(8), new ArrayBuffer(0), "http://["]) {
        codes.push(await kit.create({ wasm }).then(() => "taken", ({ code }) => code));
      }
      return codes;
    });
    assert.deepEqual(codes, Array(4).fill("core_unavailable"));
  });

  const sources = {
    "as the text of a URL": (url) => url,
    "as a URL": (url) => new URL(url),
    "as bytes": (url) => fetch(url).then((response) => response.arrayBuffer()),
    "as a part of bytes": async (url) => {
      const bytes = new Uint8Array(await (await fetch(url)).arrayBuffer());
      const larger = new Uint8Array(bytes.length + 3);
      larger.set(bytes, 3);
      return larger.subarray(3);
    },
    "as a module": (url) => WebAssembly.compileStreaming(fetch(url)),
  };
  for (const [how, source] of Object.entries(sources)) {
    test(`given ${how}`, async (t) => {
      const { auth, page } = await stage(t);
      const status = await page.run(`async (kit, tokens) => {
        const wasm = await (${source})(location.origin + "/tokenward/core.wasm");
        const ward = await kit.create({ wasm });
        ward.install().setTokens(tokens);
        return (await kit.call()).status;
      }`, await auth.issueTokens());
      assert.equal(status, 200);
    });
  }

  test("embedded in the inline build: nothing else is loaded", async (t) => {
    const { auth, page } = await stage(t);
    const { status, loaded } = await page.run(async (kit, tokens) => {
      kit.library = () => import("/tokenward/inline.js");
      const ward = await kit.create();
      ward.install().setTokens(tokens);
      const { status } = await kit.call();
      const loaded = performance.getEntriesByType("resource").map(({ name }) => new URL(name).pathname);
      return { status, loaded: loaded.filter((path) => path.startsWith("/tokenward/")) };
    }, await auth.issueTokens());
    assert.equal(status, 200);
    assert.deepEqual(loaded, ["/tokenward/inline.js"]);
  });
});

test("neither importing nor a ward changes a global", async (t) => {
  const { auth, page } = await stage(t);
  const changed = await page.run(async (kit, tokens) => {
    const look = () => new Map(Reflect.ownKeys(window).map((key) => [key, Object.getOwnPropertyDescriptor(window, key).value]));
    const before = look();
    const imported = await Promise.all(["/tokenward/index.js", "/tokenward/inline.js"].map((path) => import(path)));
    for (const { TokenWard } of imported) {
      const ward = await TokenWard.create(kit.options());
      ward.setTokens(tokens);
      await ward.fetch(`${kit.api.origin}/v1/orders`);
    }
    return [...look()].filter(([key, value]) => !Object.is(before.get(key), value)).map(([key]) => String(key));
  }, await auth.issueTokens());
  assert.deepEqual(changed, []);
});
