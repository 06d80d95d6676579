// Which requests of a patched XMLHttpRequest get a token, and what the patch leaves as it was.
import assert from "node:assert/strict";
import { test } from "node:test";
import { stage } from "./harness/stage.mjs";
import { startXhrServer } from "./harness/xhr-server.mjs";

async function prepare(t, { refused = false } = {}) {
  const [server, other] = await Promise.all([startXhrServer(), startXhrServer()]);
  t.after(() => Promise.all([server.close(), other.close()]));
  const staged = await stage(t, { connect: ["http://127.0.0.1:*", "http://localhost:*"] });
  await staged.page.run(
    async (kit, origin, refused) => {
      kit.xhr = await import("/xhr.js");
      kit.url = `${origin}/v1/data`;
      const ward = await kit.xhr.makeWard(kit, origin);
      kit.xhr.states[refused ? "refused" : "fresh"](ward);
      ward.install({ xhr: true });
    },
    server.origin,
    refused,
  );
  return { ...staged, server, other };
}

const tokens = ({ requests }) => requests.map(({ url, headers }) => [url, headers.authorization ?? null]);

test("URLs that are only like a listed one get no token", async (t) => {
  const { page, server, other } = await prepare(t);
  const { host } = new URL(server.origin);
  const urls = [
    `${server.origin}/v1x/data`,
    `${server.origin}/v2/data`,
    `${server.origin}/v1/../v2/data`,
    `${server.origin}/v1/%2e%2e/v2/data`,
    `${other.origin}/v1/data`,
    `${other.origin}/${server.origin}/v1/data`,
    `${other.origin}/?${server.origin}/v1/data`,
    `${server.origin.replace("127.0.0.1", "localhost")}/v1/data`,
  ];
  await page.run(async (kit, urls) => {
    for (const url of urls) await kit.xhr.request(url);
  }, urls);
  const all = [...tokens(server), ...tokens(other)];
  assert.equal(all.length, urls.length);
  assert.deepEqual(all.filter(([, token]) => token), []);
  // Userinfo: natively such a request may go, may fail, but it has no token of ours.
  await page.run(
    async (kit, host) => {
      await kit.xhr.request(`http://ada:tea@${host}/v1/data`).catch(() => {});
      const xhr = new XMLHttpRequest();
      xhr.open("GET", kit.url, true, "ada", "tea");
      const ended = kit.xhr.over(xhr);
      xhr.send();
      await ended;
    },
    host,
  );
  assert.deepEqual(tokens(server).filter(([, token]) => /fresh/.test(token)), []);
});

test("listed ones do, however they are written", async (t) => {
  const { page, server } = await prepare(t);
  await page.run(async (kit, origin) => {
    for (const url of ["//" + origin.slice(7) + "/v1/data?1", ` ${origin}/v1/data?2 `, `${origin}/x/../v1/data?3#tea`, new URL("?4", kit.url)]) {
      await kit.xhr.request(url);
    }
  }, server.origin);
  assert.deepEqual(
    tokens(server),
    [1, 2, 3, 4].map((n) => [`/v1/data?${n}`, "Bearer fresh0"]),
  );
});

test("what changes between two looks moves no token", async (t) => {
  const { page, server, other } = await prepare(t, { refused: true });
  const reads = await page.run(
    async (kit, elsewhere) => {
      const reads = [];
      const changing = (name, ...values) => ({
        toString() {
          reads.push(name);
          return values[Math.min(reads.filter((read) => read === name).length, values.length) - 1];
        },
      });
      const { over } = kit.xhr;
      const send = async (url, method) => {
        const xhr = new XMLHttpRequest();
        xhr.open(method, url);
        const ended = over(xhr);
        xhr.send();
        await ended;
      };
      // Both are read once, the method first.
      await send(changing("url", kit.url, elsewhere), changing("method", "GET", "TRACE"));
      return reads;
    },
    `${other.origin}/v1/`,
  );
  assert.deepEqual(reads, ["method", "url"]);
  assert.deepEqual(tokens(other), []);
  assert.deepEqual(tokens(server), [
    ["/v1/data", "Bearer stale"],
    ["/v1/data", "Bearer fresh1"],
  ]);
});

// Each opens another URL in the middle of a call. `good` is listed, `bad` is not.
const turncoats = {
  "in the reading of a URL": (xhr, good, bad) => {
    const toString = () => (xhr.open("GET", good), bad);
    xhr.open("GET", { toString });
    xhr.send();
  },
  "in the reading of a method": (xhr, good, bad) => {
    const toString = () => (xhr.open("GET", good), "GET");
    xhr.open({ toString }, bad);
    xhr.send();
  },
  "in the reading of a user name": (xhr, good, bad) => {
    const toString = () => (xhr.open("GET", good), "");
    xhr.open("GET", bad, true, { toString });
    xhr.send();
  },
  "in the reading of a password": (xhr, good, bad) => {
    const toString = () => (xhr.open("GET", good), "");
    xhr.open("GET", bad, true, null, { toString });
    xhr.send();
  },
  "in the copying of a form": (xhr, good, bad) => {
    const form = new FormData();
    form.forEach = () => xhr.open("POST", bad);
    xhr.open("POST", good);
    xhr.send(form);
  },
  "in the reading of a body": (xhr, good, bad) => {
    xhr.open("POST", good);
    xhr.send(Object.assign(() => {}, { toString: () => (xhr.open("POST", bad), "tea") }));
  },
  "in the looking at a body": (xhr, good, bad) => {
    xhr.open("POST", good);
    xhr.send({ get nodeType() { xhr.open("POST", bad); } });
  },
  "in the looking for handlers": (xhr, good, bad) => {
    xhr.open("POST", good);
    Object.defineProperty(xhr.upload, "onload", { get: () => xhr.open("POST", bad), set() {} });
    xhr.send("tea");
  },
  "before the repetition": (xhr, good, bad) => {
    // Heard before the library, in Chromium.
    const hear = () => {
      if (xhr.readyState === 1 && xhr.seen) xhr.open("GET", bad);
      if (xhr.readyState > 1) xhr.seen = true;
    };
    EventTarget.prototype.addEventListener.call(xhr, "readystatechange", hear, true);
    xhr.open("GET", good);
    xhr.send();
  },
};

for (const state of ["fresh", "expired", "refused"]) {
  for (const [when, play] of Object.entries(turncoats)) {
    test(`another URL is opened ${when}, with a token that is ${state}: it gets none`, async (t) => {
      const { page, server, other } = await prepare(t);
      await page.run(
        `async (kit, bad, state) => {
          kit.xhr.states[state](kit.ward);
          const xhr = new XMLHttpRequest();
          (${play})(xhr, kit.url, bad);
          await kit.ward.refresh();
          await kit.xhr.request(kit.url);
          // What was opened and not sent goes on without a token as well.
          try {
            xhr.send();
          } catch {}
          await kit.xhr.request(bad);
        }`,
        `${other.origin}/v1/data`,
        state,
      );
      assert.ok(server.requests.length > 0);
      assert.ok(other.requests.length > 0);
      assert.deepEqual(tokens(other).filter(([, token]) => token), []);
    });
  }
}

test("an object of a frame is the frame's: no token of this window, unless it is installed there", async (t) => {
  const { page, server } = await prepare(t);
  const statuses = await page.run(async (kit) => {
    const frame = document.createElement("iframe");
    document.body.append(frame);
    const { XMLHttpRequest: Framed } = frame.contentWindow;
    const send = async (open) => {
      const xhr = new Framed();
      open.call(xhr, "GET", kit.url);
      const ended = kit.xhr.over(xhr);
      xhr.send();
      await ended;
    };
    await send(Framed.prototype.open);
    await send(XMLHttpRequest.prototype.open);
    kit.ward.install({ window: frame.contentWindow, xhr: true });
    await send(Framed.prototype.open);
    kit.ward.uninstall();
    await send(Framed.prototype.open);
    frame.remove();
  });
  assert.equal(statuses, undefined);
  assert.deepEqual(tokens(server).map(([, token]) => token), [null, null, "Bearer fresh0", null]);
});

test("a redirect takes the token to no other origin, and a refusal from there is not about it", async (t) => {
  const { page, server, other } = await prepare(t);
  const outcome = await page.run((kit, to) => kit.xhr.request(`${kit.url.replace("/data", "/redirect")}?to=${encodeURIComponent(to)}`), `${other.origin}/v1/data?status=401`);
  assert.equal(outcome.status, 401);
  assert.deepEqual(tokens(other), [["/v1/data?status=401", null]]);
  assert.equal(server.requests.length, 1);
  assert.equal(await page.run((kit) => kit.refreshes), 0);
});

const shape = (kit) => {
  const shapes = {};
  for (const [where, object] of Object.entries({ XMLHttpRequest, prototype: XMLHttpRequest.prototype, target: XMLHttpRequestEventTarget.prototype, upload: XMLHttpRequestUpload.prototype })) {
    for (const [name, { value, get, set, ...flags }] of Object.entries(Object.getOwnPropertyDescriptors(object))) {
      shapes[`${where}.${name}`] = {
        ...flags,
        functions: [value, get, set].map((one) => typeof one === "function" && [one.name, one.length, "prototype" in one]),
      };
    }
  }
  kit.objects ??= { open, constructor: XMLHttpRequest };
  const identities = Reflect.ownKeys(XMLHttpRequest.prototype).map((name) => Object.getOwnPropertyDescriptor(XMLHttpRequest.prototype, name));
  const same = kit.identities?.every(({ value, get, set }, at) => value === identities[at].value && get === identities[at].get && set === identities[at].set);
  kit.identities ??= identities;
  return { shapes, same: same ?? null };
};

test("it looks like the native one, and is the native one again afterwards", async (t) => {
  const { page } = await prepare(t);
  await page.run((kit) => void kit.ward.uninstall());
  const before = await page.run(shape);
  await page.run((kit) => void kit.ward.install().install({ xhr: true }).install({ xhr: true }));
  const patched = await page.run(shape);
  await page.run((kit) => void kit.ward.uninstall());
  const after = await page.run(shape);
  // The one thing that is there and natively is inherited.
  const { "target.addEventListener": added, ...rest } = patched.shapes;
  assert.deepEqual(rest, before.shapes);
  assert.deepEqual(added.functions[0], ["addEventListener", 2, false]);
  assert.equal(patched.same, false);
  assert.deepEqual(after, { shapes: before.shapes, same: true });
});

test("without xhr: true nothing of XMLHttpRequest changes", async (t) => {
  const { page, server } = await prepare(t);
  await page.run((kit) => void kit.ward.uninstall());
  await page.run(shape);
  await page.run((kit) => void kit.ward.install());
  assert.equal((await page.run(shape)).same, true);
  await page.run((kit) => kit.xhr.request(kit.url));
  assert.deepEqual(tokens(server).map(([, token]) => token), [null]);
  const codes = await page.run((kit) =>
    [1, "yes", null].map((xhr) => {
      try {
        return String(kit.ward.install({ xhr }));
      } catch ({ name, code, message }) {
        return `${name} ${code} ${message}`;
      }
    }),
  );
  assert.deepEqual(new Set(codes), new Set(["TypeError invalid_option xhr must be true or false"]));
});

// Each throws, or not, as natively.
const invalid = {
  "open() without arguments": (xhr) => xhr.open(),
  "open() with one": (xhr) => xhr.open("GET"),
  "a method that is none": (xhr, url) => xhr.open("G T", url),
  "a method of other characters": (xhr, url) => xhr.open("G\u0100T", url),
  "a forbidden method": (xhr, url) => xhr.open("TRACE", url),
  "no URL": (xhr) => xhr.open("GET", "http://["),
  "a symbol for a URL": (xhr) => xhr.open("GET", Symbol("a")),
  "a symbol for a method": (xhr, url) => xhr.open(Symbol("a"), url),
  "a method that throws": (xhr, url) => {
    const method = {
      toString() {
        throw new RangeError("mine");
      },
    };
    xhr.open(method, url);
  },
  "another receiver": (xhr, url) => xhr.open.call({}, "GET", url),
  "an object that is none": (xhr, url) => xhr.open.call(Object.create(XMLHttpRequest.prototype), "GET", url),
  "no receiver": (xhr, url) => xhr.send.call(undefined, url),
  "abort() of nothing": (xhr) => xhr.abort.call(null),
  "send() before open()": (xhr) => xhr.send(),
  "setRequestHeader() before open()": (xhr) => xhr.setRequestHeader("a", "b"),
  "a header without a value": (xhr, url) => (xhr.open("GET", url), xhr.setRequestHeader("a")),
  "a header that is none": (xhr, url) => (xhr.open("GET", url), xhr.setRequestHeader("a b", "c")),
  "a value that is none": (xhr, url) => (xhr.open("GET", url), xhr.setRequestHeader("a", "b\nc")),
  "a forbidden header": (xhr, url) => (xhr.open("GET", url), xhr.setRequestHeader("host", "b")),
  "a header after send()": (xhr, url) => (xhr.open("GET", url), xhr.send(), xhr.setRequestHeader("a", "b")),
  "send() twice": (xhr, url) => (xhr.open("GET", url), xhr.send(), xhr.send()),
  "a symbol for a body": (xhr, url) => (xhr.open("POST", url), xhr.send(Symbol("a"))),
  "a type of answer for a synchronous one": (xhr, url) => (xhr.open("GET", url, false), (xhr.responseType = "json")),
  "a synchronous one with a type of answer": (xhr, url) => ((xhr.responseType = "json"), xhr.open("GET", url, false)),
  "a synchronous one with a timeout": (xhr, url) => ((xhr.timeout = 5), xhr.open("GET", url, false)),
  "credentials after send()": (xhr, url) => (xhr.open("GET", url), xhr.send(), (xhr.withCredentials = true)),
  "an invalid open() while it is under way": (xhr, url) => (xhr.open("GET", url), xhr.send(), xhr.open("G T", url)),
};

for (const state of ["fresh", "expired"]) {
  test(`calls that are invalid, with a token that is ${state}: as natively`, async (t) => {
    const { page } = await prepare(t);
    for (const [what, call] of Object.entries(invalid)) {
      await t.test(what, async () => {
        const [patched, native] = await page.run(
          `async (kit, state) => {
            const attempt = () => {
              const xhr = new XMLHttpRequest();
              const seen = [];
              try {
                seen.push(String((${call})(xhr, kit.url)));
              } catch (error) {
                seen.push(error.name, error.constructor === window[error.constructor.name], error.message === "mine");
              }
              seen.push(xhr.readyState, xhr.status);
              xhr.abort();
              seen.push(xhr.readyState);
              return seen;
            };
            kit.xhr.states[state](kit.ward);
            kit.ward.install({ xhr: true });
            const patched = attempt();
            kit.ward.uninstall();
            return [patched, attempt()];
          }`,
          state,
        );
        assert.deepEqual(patched, native);
      });
    }
  });
}

test("two wards and another library's wrappers: each adds its own, and who is gone adds nothing", async (t) => {
  const { page, server, other } = await prepare(t);
  const seen = await page.run(async (kit, origins) => {
    const { makeWard, request } = kit.xhr;
    kit.ward.uninstall();
    const proto = XMLHttpRequest.prototype;
    const native = { ...Object.getOwnPropertyDescriptors(proto) };
    const calls = [];
    const wrap = () => {
      const found = {};
      for (const name of ["open", "send"]) {
        found[name] = proto[name];
        proto[name] = function (...args) {
          calls.push(name);
          return found[name].apply(this, args);
        };
      }
      return () => Object.assign(proto, found);
    };
    const first = await makeWard(kit, origins[0]);
    const second = await makeWard(kit, origins[1]);
    first.setTokens({ access_token: "first", expires_in: 300 });
    second.setTokens({ access_token: "second", expires_in: 300 });
    const both = async () => {
      for (const origin of origins) await request(`${origin}/v1/data`);
      return calls.splice(0).length;
    };
    const seen = [];
    const unwrap = wrap();
    first.install({ xhr: true });
    second.install({ xhr: true });
    seen.push(await both());
    first.uninstall();
    seen.push(await both());
    first.install({ xhr: true });
    second.close();
    seen.push(await both());
    first.close();
    seen.push(await both());
    unwrap();
    seen.push(await both());
    const same = Object.entries(native).every(([name, { value }]) => !value || proto[name] === value);
    return { seen, same, own: Object.hasOwn(XMLHttpRequestEventTarget.prototype, "addEventListener") };
  }, [server.origin, other.origin]);
  assert.deepEqual(seen, { seen: [4, 4, 4, 4, 0], same: true, own: false });
  assert.deepEqual(tokens(server).map(([, token]) => token), ["Bearer first", null, "Bearer first", null, null]);
  assert.deepEqual(tokens(other).map(([, token]) => token), ["Bearer second", "Bearer second", null, null, null]);
});

test("an object that made an authorised upload makes a simple one to another origin without a preflight", async (t) => {
  const { page, server, other } = await prepare(t);
  const send = async (kit, url) => {
    kit.used ??= new XMLHttpRequest();
    kit.used.open("POST", url);
    const ended = kit.xhr.over(kit.used);
    kit.used.send("tea");
    await ended;
    return kit.used.status;
  };
  assert.equal(await page.run(send, `${server.origin}/v1/data`), 200);
  assert.equal(await page.run(send, `${other.origin}/v1/data`), 200);
  assert.deepEqual([server.preflights, other.preflights], [1, 0]);
  assert.equal(await page.run(send, `${server.origin}/v1/data`), 200);
  assert.deepEqual(tokens(server).map(([, token]) => token), ["Bearer fresh0", "Bearer fresh0"]);
});
