// What the patched XMLHttpRequest adds: tokens, the wait for them, one repetition, and what it leaves alone.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { stage } from "./harness/stage.mjs";
import { startXhrServer } from "./harness/xhr-server.mjs";

/** A page with a patched XMLHttpRequest, `kit.xhr` from page/xhr.js, and `kit.url`. `hold`: renewals wait for `kit.release()`. */
async function prepare(t, state, { hold = false, ...options } = {}) {
  const server = await startXhrServer();
  t.after(server.close);
  const staged = await stage(t, { connect: ["http://127.0.0.1:*"] });
  await staged.page.run(
    async (kit, origin, state, options, hold) => {
      kit.xhr = await import("/xhr.js");
      kit.url = `${origin}/v1/data`;
      const ward = await kit.xhr.makeWard(kit, origin, options);
      kit.hold = () => (kit.refreshing = new Promise((resolve) => (kit.release = resolve)));
      if (hold) kit.hold();
      kit.xhr.states[state](ward);
      ward.install({ xhr: true });
    },
    server.origin,
    state,
    options,
    hold,
  );
  const tokens = () => server.requests.map(({ headers }) => headers.authorization ?? null);
  return { server, tokens, ...staged };
}

for (const [state, sent] of Object.entries({
  fresh: ["Bearer fresh0"],
  expired: ["Bearer fresh1"],
  refused: ["Bearer stale", "Bearer fresh1"],
})) {
  test(`a request with a token that is ${state}: sent with ${sent.join(", then ")}`, async (t) => {
    const { page, tokens, server } = await prepare(t, state);
    const outcome = await page.run((kit) => kit.xhr.request(kit.url, { headers: { "X-Order": "7", "x-order": "8" } }));
    assert.deepEqual(outcome, { status: 200, error: null });
    assert.deepEqual(tokens(), sent);
    for (const { headers } of server.requests) assert.equal(headers["x-order"], "7, 8");
  });

  test(`50 at once with a token that is ${state}: at most one renewal`, async (t) => {
    const { page, tokens } = await prepare(t, state);
    const { statuses, refreshes } = await page.run(async (kit) => {
      const outcomes = await Promise.all(Array.from({ length: 50 }, () => kit.xhr.request(kit.url)));
      return { statuses: outcomes.map(({ status }) => status), refreshes: kit.refreshes };
    });
    assert.deepEqual(new Set(statuses), new Set([200]));
    assert.equal(refreshes, state === "fresh" ? 0 : 1);
    assert.deepEqual(new Set(tokens()), new Set(sent));
  });
}

const TEXT = "Grüße ☕ 茶";
const bodies = {
  "a string": () => "Grüße ☕ 茶",
  "an empty string": () => "",
  "a number": () => 7,
  "a Blob": () => new Blob(["Grüße"], { type: "application/x-tea" }),
  "an ArrayBuffer": () => new Uint8Array([1, 2, 3]).buffer,
  "a part of a typed array": () => new Uint8Array([1, 2, 3, 4]).subarray(1, 3),
  URLSearchParams: () => new URLSearchParams({ tea: "Grüße" }),
  "a form": () => {
    const form = new FormData();
    form.set("tea", "Grüße");
    form.set("file", new File(["leaves"], "tea.txt", { type: "application/x-tea" }));
    return form;
  },
  "an HTML document": () => document.implementation.createHTMLDocument("Grüße"),
  "an XML document": () => {
    const tea = document.implementation.createDocument("urn:tea", "tea");
    tea.documentElement.textContent = "Grüße";
    return tea;
  },
  nothing: () => null,
};

/** What the app does to its body right after send(). */
const spoil = (body) => {
  if (body instanceof URLSearchParams || body instanceof FormData) body.set("tea", "spoilt");
  if (body instanceof ArrayBuffer) new Uint8Array(body).fill(0);
  if (ArrayBuffer.isView(body)) body.fill(0);
  if (body instanceof Document) body.documentElement.textContent = "spoilt";
};

/** A form has another boundary each time, also natively. */
const whole = ({ headers, body }) => {
  const type = headers["content-type"] ?? null;
  const boundary = /boundary=(.+)$/.exec(type)?.[1];
  const same = (text) => (boundary ? text.replaceAll(boundary, "boundary") : text);
  return { type: type && same(type), body: same(body.toString("latin1")), order: headers["x-order"] };
};

describe("a body arrives each time as it was at send():", () => {
  for (const [what, make] of Object.entries(bodies)) {
    test(what, async (t) => {
      const { page, server } = await prepare(t, "fresh");
      await page.run(`async (kit) => {
        const { request, states } = kit.xhr;
        const send = (url) => {
          const body = (${make})();
          const answer = request(url, { method: "POST", headers: { "x-order": "7" }, body });
          (${spoil})(body);
          return answer;
        };
        await send(kit.url.replace("/v1", "/native"));
        await send(kit.url);
        states.expired(kit.ward);
        await send(kit.url);
        states.refused(kit.ward);
        await send(kit.url);
      }`);
      const tokens = server.requests.map(({ headers }) => headers.authorization);
      assert.deepEqual(tokens, [undefined, "Bearer fresh0", "Bearer fresh1", "Bearer stale", "Bearer fresh2"]);
      const [native, ...others] = server.requests.map(whole);
      for (const other of others) assert.deepEqual(other, native);
      assert.equal(native.order, "7");
    });
  }
});

for (const how of ["early", "late"]) {
  test(`nothing shows that an answer was refused, to whoever listens ${how} or looks from a timer`, async (t) => {
    const { page, server } = await prepare(t, "refused", { hold: true });
    const result = await page.run(async (kit, how) => {
      const { Log, listenings, over, task, view } = kit.xhr;
        const log = new Log();
      const watch = (xhr) => Object.values(listenings).forEach((listen, i) => log.watch(xhr, { listen, upload: true, name: i }));
      const xhr = new XMLHttpRequest();
      if (how === "early") watch(xhr);
      xhr.responseType = "json";
      xhr.open("POST", `${kit.url}?kind=json`);
      if (how === "late") watch(xhr);
      const ended = over(xhr);
      xhr.send("tea");
      const first = view(xhr);
      while (kit.refreshes === 0) await task();
      // The whole answer is there.
      await new Promise((resolve) => setTimeout(resolve, 100));
      const later = view(xhr);
      const heard = [...log.entries];
      kit.release();
      await ended;
      return { first, later, heard, all: log.entries, own: Object.keys(xhr), response: xhr.response };
    }, how);
    assert.deepEqual(result.later, result.first);
    assert.equal(result.heard.filter((entry) => / (401|Unauthorized)/.test(entry)).length, 0, `${result.heard}`);
    assert.equal(result.all.filter((entry) => / (401|Unauthorized)/.test(entry)).length, 0);
    assert.equal(result.all.filter((entry) => /^xhr\d readystatechange 2/.test(entry)).length, 3);
    assert.equal(result.all.filter((entry) => /^upload\d loadend/.test(entry)).length, 3);
    assert.deepEqual(result.response, { tea: "Grüße ☕" });
    assert.equal(server.requests.length, 2);
  });
}

test("a refusal is answered once only", async (t) => {
  const { page, tokens } = await prepare(t, "refused");
  const outcome = await page.run(async (kit) => {
    const log = new kit.xhr.Log();
    kit.ward.addEventListener("refreshed", () => kit.xhr.states.refused(kit.ward), { once: true });
    const outcome = await kit.xhr.request(kit.url, { log });
    return { ...outcome, loads: log.entries.filter((entry) => /^xhr load /.test(entry)).length };
  });
  assert.deepEqual(outcome, { status: 401, error: null, loads: 1 });
  assert.deepEqual(tokens(), ["Bearer stale", "Bearer stale"]);
});

for (const end of ["signOut", "close", "uninstall"]) {
  test(`${end}() while a refused request waits: the app gets the refused answer as it would natively`, async (t) => {
    const { page, server } = await prepare(t, "refused", { hold: true });
    const { native, patched, text } = await page.run(async (kit, end) => {
      const { Log, content, over, task } = kit.xhr;
        const log = new Log();
      const xhr = new XMLHttpRequest();
      log.watch(xhr);
      xhr.open("GET", kit.url);
      const ended = over(xhr);
      xhr.send();
      while (kit.refreshes === 0) await task();
      void kit.ward[end]();
      await ended;
      const text = await content(xhr.response);
      kit.ward.uninstall();
      const other = new Log();
      const again = new XMLHttpRequest();
      other.watch(again);
      again.open("GET", kit.url);
      again.setRequestHeader("authorization", "Bearer stale");
      const over2 = over(again);
      again.send();
      await over2;
      kit.release();
      const plain = (entries) => entries.filter((entry) => !/^microtask/.test(entry)).map((entry) => entry.replace(/(un)?trusted$/, ""));
      return { native: plain(other.entries), patched: plain(log.entries), text };
    }, end);
    assert.deepEqual(patched, native);
    assert.equal(text, "refused");
    assert.equal(server.requests.length, 2);
  });

  test(`${end}() while a request waits to be sent: a network error with a reason`, async (t) => {
    const { page, server } = await prepare(t, "expired", { hold: true });
    const { log, error, view, reused } = await page.run(async (kit, end) => {
      const { Log, over, task, view } = kit.xhr;
        const log = new Log();
      const xhr = new XMLHttpRequest();
      log.watch(xhr, { upload: true });
      let error;
      xhr.onerror = (event) => (error = event.error.code);
      xhr.open("POST", kit.url);
      let ended = over(xhr);
      xhr.send("tea");
      while (kit.refreshes === 0) await task();
      void kit.ward[end]();
      await ended;
      const seen = view(xhr);
      const entries = [...log.entries];
      xhr.open("GET", kit.url);
      ended = over(xhr);
      xhr.send();
      const states = [xhr.readyState];
      await ended;
      states.push(xhr.readyState, xhr.status, Object.keys(xhr).length);
      kit.release();
      return { log: entries.filter((entry) => !/^microtask/.test(entry)), error, view: seen, reused: states };
    }, end);
    assert.equal(error, end === "signOut" ? "signed_out" : "closed");
    assert.deepEqual(log.map((entry) => entry.split(" ", 3).join(" ")), [
      "xhr readystatechange 1",
      "xhr loadstart 1",
      "upload loadstart 1",
      "xhr readystatechange 4",
      "upload error 4",
      "upload loadend 4",
      "xhr error 4",
      "xhr loadend 4",
    ]);
    assert.equal(view.status, 0);
    assert.deepEqual(reused, [1, 4, 200, 0]);
    assert.equal(server.requests.length, 1);
    assert.equal(server.requests[0].headers.authorization, undefined);
  });
}

test("another user signs in while a request waits: it does not get their token", async (t) => {
  const { page, server } = await prepare(t, "expired", { hold: true });
  const outcome = await page.run(async (kit) => {
    const waiting = kit.xhr.request(kit.url);
    while (kit.refreshes === 0) await kit.xhr.task();
    void kit.ward.signOut();
    kit.ward.setTokens({ access_token: "others", expires_in: 300 });
    kit.release();
    return waiting;
  });
  assert.deepEqual(outcome, { status: 0, error: "signed_out" });
  assert.equal(server.requests.length, 0);
});

test("no token within waitSeconds: token_unavailable", async (t) => {
  const { page, server } = await prepare(t, "expired", { hold: true, waitSeconds: 1 });
  const outcome = await page.run((kit) => kit.xhr.request(kit.url));
  assert.deepEqual(outcome, { status: 0, error: "token_unavailable" });
  assert.equal(server.requests.length, 0);
});

for (const state of ["expired", "refused"]) {
  for (const [what, act] of Object.entries({
    "an abort": (xhr) => xhr.abort(),
    "a timeout": (xhr) => (xhr.timeout = 50),
    "open() again": (xhr, kit) => {
      xhr.open("GET", `${kit.url.replace("/v1", "/native")}?kind=json`);
      xhr.send();
    },
  })) {
    test(`${what} while a request waits whose token is ${state}: as natively, and nothing is sent later`, async (t) => {
      const { page, server } = await prepare(t, state, { hold: true });
      const { native, patched } = await page.run(`async (kit, state) => {
        const { Log, over, task, view } = kit.xhr;
        const play = async (url, until) => {
          const log = new Log();
          const xhr = new XMLHttpRequest();
          log.watch(xhr, { upload: true });
          // In Firefox an upload has not ended before there is an answer.
          xhr.open(state === "refused" ? "GET" : "POST", url);
          const ended = over(xhr);
          // WebKit does not hear of a timeout later if there was none at first.
          if (${what === "a timeout"}) xhr.timeout = 50_000;
          // More than what lies between two ends that nobody reads at: an upload that has not ended.
          xhr.send("tea".repeat(2 ** 23));
          await until();
          (${act})(xhr, kit);
          await ended;
          log.add(JSON.stringify(view(xhr)));
          return log.entries.filter((entry) => !/^microtask|progress/.test(entry)).map((entry) => entry.replace(/(un)?trusted$/, ""));
        };
        kit.ward.uninstall();
        const native = await play(kit.url.replace("/data", "/hang?unread"), () => {});
        kit.ward.install({ xhr: true });
        const patched = await play(kit.url, async () => {
          while (kit.refreshes === 0) await task();
        });
        kit.release();
        await kit.first("refreshed");
        await kit.xhr.request(kit.url);
        return { native, patched };
      }`, state);
      assert.deepEqual(patched, native);
      assert.ok(native.length > 5);
      const urls = server.requests.map(({ url, method }) => `${method} ${url}`);
      const replaced = what === "open() again" ? ["GET /native/data?kind=json"] : [];
      const tried = state === "refused" ? ["GET /v1/data"] : [];
      // The native one may have been ended before it arrived.
      assert.deepEqual(urls.filter((url) => !/hang/.test(url)), [...replaced, ...tried, ...replaced, "GET /v1/data"]);
    });
  }
}

test("a refusal when there is a newer token already: repeated at once, and all is told", async (t) => {
  const { page, tokens } = await prepare(t, "refused");
  const { native, patched } = await page.run(async (kit) => {
    const play = async (url, meanwhile) => {
      const xhr = new XMLHttpRequest();
      xhr.open("GET", url);
      const log = [];
      xhr.onreadystatechange = () => log.push([xhr.readyState, xhr.status]);
      const ended = kit.xhr.over(xhr);
      xhr.send();
      meanwhile();
      await ended;
      return log;
    };
    const native = await play(kit.url.replace("/v1", "/native"), () => {});
    return { native, patched: await play(kit.url, () => kit.ward.setTokens({ access_token: "fresh1", expires_in: 300 })) };
  });
  assert.deepEqual(patched, native);
  assert.deepEqual(native, [[2, 200], [3, 200], [4, 200]]);
  assert.deepEqual(tokens().slice(1), ["Bearer stale", "Bearer fresh1"]);
});

test("a timeout counts from send(), and stays what the app set", async (t) => {
  const { page } = await prepare(t, "expired", { hold: true });
  const { timeouts, elapsed } = await page.run(async (kit) => {
    const { over, task } = kit.xhr;
    const xhr = new XMLHttpRequest();
    xhr.open("GET", kit.url.replace("/data", "/hang"));
    xhr.timeout = 400;
    const ended = new Promise((resolve) => (xhr.ontimeout = ({ isTrusted }) => resolve(isTrusted)));
    const began = performance.now();
    xhr.send();
    while (kit.refreshes === 0) await task();
    const timeouts = [xhr.timeout];
    while (performance.now() - began < 300) await task();
    kit.release();
    timeouts.push(await ended, xhr.timeout);
    const elapsed = performance.now() - began;
    await task();
    xhr.open("GET", kit.url);
    const answered = over(xhr);
    xhr.send();
    timeouts.push(xhr.timeout);
    await answered;
    return { timeouts, elapsed };
  });
  assert.deepEqual(timeouts, [400, true, 400, 400]);
  assert.ok(elapsed >= 390 && elapsed < 650, `${elapsed}`);
});

test("a synchronous request gets the token there is and never waits", async (t) => {
  const { page, tokens } = await prepare(t, "fresh");
  const statuses = await page.run(async (kit) => {
    const call = () => {
      const xhr = new XMLHttpRequest();
      xhr.open("POST", kit.url, undefined);
      xhr.send("tea");
      return xhr.status;
    };
    const statuses = [call()];
    kit.xhr.states.refused(kit.ward);
    const renewed = new Promise((resolve) => kit.ward.addEventListener("refreshed", resolve, { once: true }));
    statuses.push(call());
    await renewed;
    statuses.push(call());
    kit.hold();
    kit.xhr.states.expired(kit.ward);
    statuses.push(call());
    kit.release();
    return statuses;
  });
  assert.deepEqual(statuses, [200, 401, 200, 200]);
  assert.deepEqual(tokens(), ["Bearer fresh0", "Bearer stale", "Bearer fresh1", null]);
});

test("the app's own Authorization is left alone, and so is its 401", async (t) => {
  const { page, tokens, server } = await prepare(t, "fresh");
  const outcomes = await page.run(async (kit) => {
    const outcomes = [];
    for (const name of ["Authorization", "aUTHORIZATION"]) {
      for (const value of ["Bearer stale", "Basic b"]) {
        outcomes.push((await kit.xhr.request(kit.url, { headers: { [name]: value } })).status);
      }
    }
    return { outcomes, refreshes: kit.refreshes };
  });
  assert.deepEqual(outcomes, { outcomes: [401, 200, 401, 200], refreshes: 0 });
  assert.deepEqual(tokens(), ["Bearer stale", "Basic b", "Bearer stale", "Basic b"]);
  assert.equal(server.requests.length, 4);
});

for (const [type, refusal, expected] of [
  ["insufficientscope", { status: 403, challenge: 'Bearer error="insufficient_scope", scope="admin"', body: "no" }, { scope: "admin" }],
  [
    "stepup",
    { status: 401, challenge: 'Bearer error="insufficient_user_authentication", acr_values="mfa", max_age="60"', body: "no" },
    { acrValues: "mfa", maxAge: 60 },
  ],
]) {
  test(`${type}: an event before the answer, which reaches the app as it is`, async (t) => {
    const { page, server } = await prepare(t, "refused");
    server.refusal = refusal;
    const { entries, event } = await page.run(async (kit, type) => {
      const log = new kit.xhr.Log();
      kit.ward.addEventListener(type, () => log.add(type));
      await kit.xhr.request(kit.url, { log });
      return { entries: log.entries.filter((entry) => !/^microtask|^upload/.test(entry)), event: await kit.first(type) };
    }, type);
    const expectedEntries = ["xhr readystatechange 1", "xhr loadstart 1", type, "xhr readystatechange 2", "xhr readystatechange 3"];
    assert.deepEqual(entries.slice(0, 5).map((entry) => entry.split(" ", 3).join(" ")), expectedEntries);
    assert.ok(entries.every((entry) => entry === type || / trusted$/.test(entry)));
    assert.deepEqual(event, { type, resource: `${server.origin}/v1`, ...expected });
    assert.equal(server.requests.length, 1);
  });
}
