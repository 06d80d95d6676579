// A patched XMLHttpRequest beside the browser's own: all that an app sees, event by event. With a fresh token, with one that
// ran out, and with one that the resource refuses.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { stage } from "./harness/stage.mjs";
import { startXhrServer } from "./harness/xhr-server.mjs";

/** Each gets `origin`, `log`, `over`, `view`, `content`, `task` and `options` for `log.watch()`. */
const plain = {
  "a GET": async ({ origin, log, over, view, options }) => {
    const xhr = new XMLHttpRequest();
    if (options.early) log.watch(xhr, options);
    xhr.open("GET", `${origin}/v1/data`);
    if (!options.early) log.watch(xhr, options);
    const ended = over(xhr);
    xhr.send();
    log.add(`sent ${JSON.stringify(view(xhr))}`);
    await ended;
    log.add(JSON.stringify(view(xhr)));
  },
  "a POST with upload events": async ({ origin, log, over, view, options }) => {
    const xhr = new XMLHttpRequest();
    if (options.early) log.watch(xhr, { ...options, upload: true });
    xhr.open("POST", `${origin}/v1/data?kind=json`);
    xhr.setRequestHeader("content-type", "application/json");
    if (!options.early) log.watch(xhr, { ...options, upload: true });
    const ended = over(xhr);
    xhr.send('{"tea":"Grüße"}');
    log.add(`sent ${JSON.stringify(view(xhr))}`);
    await ended;
    log.add(JSON.stringify(view(xhr)));
  },
};

const kinds = ["", "text", "json", "blob", "arraybuffer", "document"];
const cases = Object.fromEntries(
  kinds.flatMap((responseType) =>
    ["json", "xml", "bytes", "empty"].map((kind) => [
      `${kind} as ${responseType || "what it is"}`,
      `async ({ origin, log, over, view, content, options }) => {
        const xhr = new XMLHttpRequest();
        xhr.responseType = ${JSON.stringify(responseType)};
        xhr.open("GET", origin + "/v1/data?kind=${kind}");
        log.watch(xhr, options);
        const ended = over(xhr);
        xhr.send();
        await ended;
        log.add(JSON.stringify(view(xhr)) + JSON.stringify(await content(xhr.response)));
      }`,
    ]),
  ),
);

Object.assign(cases, {
  "a 404": ({ origin, log, over, options }) => {
    const xhr = new XMLHttpRequest();
    xhr.open("GET", `${origin}/v1/data?status=404`);
    log.watch(xhr, options);
    xhr.send();
    return over(xhr);
  },
  "a HEAD": ({ origin, log, over, options }) => {
    const xhr = new XMLHttpRequest();
    xhr.open("HEAD", `${origin}/v1/data`);
    log.watch(xhr, options);
    xhr.send("ignored");
    return over(xhr);
  },
  "a redirect": ({ origin, log, over, options }) => {
    const xhr = new XMLHttpRequest();
    xhr.open("GET", `${origin}/v1/redirect?to=/v1/data`);
    log.watch(xhr, options);
    xhr.send();
    return over(xhr);
  },
  "an answer that is cut off": ({ origin, log, over, options }) => {
    const xhr = new XMLHttpRequest();
    xhr.open("GET", `${origin}/v1/cut`);
    log.watch(xhr, options);
    xhr.send();
    return over(xhr);
  },
  "no CORS": ({ origin, log, over, options }) => {
    const xhr = new XMLHttpRequest();
    xhr.open("POST", `${origin}/v1/no-cors`);
    log.watch(xhr, { ...options, upload: true });
    xhr.setRequestHeader("x-preflight", "yes");
    xhr.send("tea");
    return over(xhr);
  },
  credentials: ({ origin, log, over, view, options }) => {
    const xhr = new XMLHttpRequest();
    xhr.withCredentials = true;
    xhr.open("GET", `${origin}/v1/data`);
    log.watch(xhr, options);
    const ended = over(xhr);
    xhr.send();
    for (const change of [() => (xhr.withCredentials = false), () => xhr.setRequestHeader("a", "b"), () => xhr.send(), () => xhr.setRequestHeader("a")]) {
      try {
        change();
        log.add("done");
      } catch ({ name }) {
        log.add(name);
      }
    }
    return ended.then(() => log.add(JSON.stringify(view(xhr))));
  },
  "another type of answer, set while it is under way": async ({ origin, log, over, content, options }) => {
    const xhr = new XMLHttpRequest();
    xhr.open("GET", `${origin}/v1/data`);
    log.watch(xhr, options);
    const ended = over(xhr);
    xhr.send();
    xhr.responseType = "blob";
    xhr.overrideMimeType("text/x-tea");
    await ended;
    log.add(await content(xhr.response));
  },
  "an abort after send()": async ({ origin, log, over, view, task, options }) => {
    const xhr = new XMLHttpRequest();
    xhr.open("POST", `${origin}/v1/hang`);
    log.watch(xhr, { ...options, upload: true });
    const ended = over(xhr);
    xhr.send("tea");
    xhr.abort();
    log.add(JSON.stringify(view(xhr)));
    await ended;
    xhr.abort();
    await task();
  },
  "an abort in loadstart": async ({ origin, log, over, view, options }) => {
    const xhr = new XMLHttpRequest();
    xhr.open("POST", `${origin}/v1/hang`);
    log.watch(xhr, { ...options, upload: true });
    xhr.addEventListener("loadstart", () => xhr.abort());
    const ended = over(xhr);
    xhr.send("tea");
    await ended;
    log.add(JSON.stringify(view(xhr)));
  },
  ...Object.fromEntries(
    [2, 3, 4].map((state) => [
      `an abort in readyState ${state}`,
      `async ({ origin, log, over, view, options }) => {
        const xhr = new XMLHttpRequest();
        xhr.open("GET", origin + "/v1/data");
        log.watch(xhr, options);
        // In readyState 4 no more events need to come.
        const ended = new Promise((resolve) => {
          xhr.addEventListener("readystatechange", () => {
            if (xhr.readyState !== ${state}) return;
            xhr.abort();
            resolve();
          });
        });
        xhr.send();
        await ended;
        log.add(JSON.stringify(view(xhr)));
      }`,
    ]),
  ),
  "a timeout": async ({ origin, log, over, view, options }) => {
    const xhr = new XMLHttpRequest();
    xhr.open("POST", `${origin}/v1/half`);
    log.watch(xhr, { ...options, upload: true });
    xhr.timeout = 250;
    const ended = over(xhr);
    xhr.send("tea");
    await ended;
    log.add(JSON.stringify(view(xhr)));
  },
  "a timeout that is set and taken back": async ({ origin, log, over, view, options }) => {
    const xhr = new XMLHttpRequest();
    xhr.open("GET", `${origin}/v1/data`);
    log.watch(xhr, options);
    const ended = over(xhr);
    xhr.send();
    xhr.timeout = 1;
    xhr.timeout = 0;
    await ended;
    log.add(JSON.stringify(view(xhr)));
  },
  "the object used again": async ({ origin, log, over, view, options }) => {
    const xhr = new XMLHttpRequest();
    log.watch(xhr, options);
    for (const path of ["/v1/data", "/v1/data?kind=json", "/elsewhere", "/v1/data?kind=bytes"]) {
      xhr.open("GET", origin + path);
      const ended = over(xhr);
      xhr.send();
      await ended;
      log.add(JSON.stringify(view(xhr)));
    }
  },
  "open() again while it is under way": async ({ origin, log, over, view, options }) => {
    const xhr = new XMLHttpRequest();
    log.watch(xhr, options);
    xhr.open("GET", `${origin}/v1/hang`);
    xhr.send();
    xhr.open("GET", `${origin}/v1/data`);
    log.add(JSON.stringify(view(xhr)));
    const ended = over(xhr);
    xhr.send();
    await ended;
    log.add(JSON.stringify(view(xhr)));
  },
  "open() again in load": async ({ origin, log, over, options }) => {
    const xhr = new XMLHttpRequest();
    log.watch(xhr, options);
    xhr.open("GET", `${origin}/v1/data`);
    await new Promise((resolve) => {
      xhr.addEventListener("load", () => {
        xhr.open("GET", `${origin}/v1/data?kind=json`);
        xhr.addEventListener("load", resolve);
        xhr.send();
      }, { once: true });
      xhr.send();
    });
    await over(xhr);
  },
  "send() in readystatechange": async ({ origin, log, over, options }) => {
    const xhr = new XMLHttpRequest();
    log.watch(xhr, options);
    const ended = over(xhr);
    xhr.addEventListener("readystatechange", () => {
      if (xhr.readyState !== 1) return;
      xhr.setRequestHeader("x-order", "7");
      xhr.send();
    });
    xhr.open("GET", `${origin}/v1/data`);
    await ended;
  },
  "a subclass": async ({ origin, log, over, view, options }) => {
    class Mine extends XMLHttpRequest {
      constructor() {
        super();
        log.watch(this, options);
      }
      open(...args) {
        log.add("open");
        super.open(...args);
      }
      get status() {
        return super.status + 1;
      }
    }
    const xhr = new Mine();
    const ended = over(xhr);
    xhr.open("GET", `${origin}/v1/data`);
    xhr.send();
    await ended;
    log.add(JSON.stringify(view(xhr)));
  },
  "handlers and listeners in the order of their registration": async ({ origin, log, over }) => {
    const xhr = new XMLHttpRequest();
    const hear = (name) => (event) => log.add(`${name} ${event.type}`);
    xhr.onload = hear("first");
    xhr.addEventListener("load", hear("second"));
    xhr.onloadend = hear("first");
    xhr.open("GET", `${origin}/v1/data`);
    xhr.addEventListener("load", hear("third"), true);
    xhr.onload = hear("first again");
    xhr.addEventListener("loadend", hear("second"));
    const ended = over(xhr);
    xhr.send();
    await ended;
  },
});

/** Our own events are not trusted, nor can they be, and so are those of a request that never went out. */
const untrusted = /(loadstart|abort|loadend|timeout|readystatechange) .*trusted$/;
const comparable = (entries, state) => {
  if (state === "fresh") return entries;
  // WebKit tells of some progress after the end, unless it has told of that of the refused answer just before.
  const end = entries.findIndex((entry) => /^xhr loadend/.test(entry));
  const late = (entry, at) => at > end && /(xhr|after xhr) progress/.test(entry) && !entries.slice(at).some((other) => /^xhr load/.test(other));
  const kept = entries.filter((entry, at) => end < 0 || !late(entry, at));
  return kept.map((entry) => (untrusted.test(entry) ? entry.replace(/(un)?trusted$/, "") : entry));
};

for (const state of ["fresh", "expired", "refused"]) {
  describe(`as natively, with a token that is ${state}:`, () => {
    test("all cases", async (t) => {
      const server = await startXhrServer();
      t.after(server.close);
      const { page } = await stage(t, { connect: [server.origin] });
      const check = (what, play, options) =>
        t.test(what, async () => {
          const { native, patched } = await page.run(
            `async (kit, ...args) => {
              const { compare, listenings } = await import("/xhr.js");
              const [origin, state, { how, ...options }] = args;
              return compare(kit, origin, ${play}, state, { options: { ...options, listen: listenings[how] } });
            }`,
            server.origin,
            state,
            { how: "listener", ...options },
          );
          assert.deepEqual(comparable(patched, state), comparable(native, state));
          assert.ok(native.length > 3, `${native}`);
        });
      for (const how of ["handler", "listener", "capture"]) {
        for (const early of [true, false]) {
          for (const [what, play] of Object.entries(plain)) await check(`${what}, ${how} ${early ? "before" : "after"} open()`, play, { how, early });
        }
      }
      for (const [what, play] of Object.entries(cases)) await check(what, play);
    });
  });
}
