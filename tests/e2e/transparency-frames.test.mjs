// A frame of the page's origin, where the ward is installed as well.
import assert from "node:assert/strict";
import { test } from "node:test";
import { mirrored } from "./harness/transparency.mjs";

/** A page with a frame whose base is `base` of the API; `kit.frame` is its window. */
async function framed(t, { base = "/v1/deep/" } = {}) {
  const staged = await mirrored(t);
  await staged.page.run(
    async (kit, url) => {
      kit.element = document.createElement("iframe");
      kit.load = async (url) => {
        const loaded = new Promise((resolve) => (kit.element.onload = resolve));
        kit.element.src = url;
        if (!kit.element.isConnected) document.documentElement.append(kit.element);
        await loaded;
        kit.frame = kit.element.contentWindow;
      };
      await kit.load(url);
    },
    `/framed.html?base=${encodeURIComponent(staged.mirror.origins.api + base)}`,
  );
  return staged;
}

/** The tokens that arrived, by the path's last word. */
const arrived = ({ mirror }) =>
  mirror.take("none").filter(({ method }) => method !== "OPTIONS").map(({ path, headers }) => [path.split("/").at(-1), headers.authorization ?? null]);

test("nothing is patched there that was not asked for", async (t) => {
  const staged = await framed(t);
  await staged.page.run((kit) => kit.frame.fetch("plain").then(() => {}));
  assert.deepEqual(arrived(staged), [["plain", null]]);
});

test("relative URLs are those of the frame's base, by fetch and by XMLHttpRequest, whatever becomes of the base", async (t) => {
  const staged = await framed(t);
  await staged.page.run(async (kit) => {
    kit.world.ward.install({ window: kit.frame, xhr: true });
    const { frame } = kit;
    await frame.fetch("relative");
    await frame.fetch("../../open/other");
    await frame.fetch(new frame.Request("request"));
    const request = new frame.XMLHttpRequest();
    request.open("GET", "xhr");
    frame.document.querySelector("base").href = `${kit.world.origins.other}/v1/`;
    const ended = new Promise((resolve) => (request.onloadend = resolve));
    request.send();
    await ended;
    await frame.fetch("elsewhere");
  });
  assert.deepEqual(arrived(staged), [
    ["relative", "Bearer fresh"],
    ["other", null],
    ["request", "Bearer fresh"],
    ["xhr", "Bearer fresh"],
    ["elsewhere", null],
  ]);
});

test("what it gives is of the frame's realm: promises, responses, errors", async (t) => {
  const staged = await framed(t);
  const [patched, native] = await staged.page.run(async (kit) => {
    const { frame } = kit;
    const native = frame.fetch;
    kit.world.ward.install({ window: frame });
    const look = async (fetch) => {
      const promise = fetch.call(frame, "a");
      const error = await fetch.call(frame, "a", { method: "G T" }).catch((reason) => reason);
      const aborted = await fetch.call(frame, "a", { signal: frame.AbortSignal.abort() }).catch((reason) => reason);
      const other = await fetch.call(window, "/v1/a").then(() => "answered", ({ name }) => name);
      return {
        promise: promise instanceof frame.Promise,
        response: (await promise) instanceof frame.Response,
        error: error instanceof frame.TypeError,
        aborted: [aborted instanceof frame.DOMException, aborted.name],
        other,
      };
    };
    return [await look(frame.fetch), await look(native)];
  });
  assert.deepEqual(patched, native);
  assert.equal(native.promise, true);
});

for (const [what, go] of Object.entries({
  "was removed": (kit) => void kit.element.remove(),
  "has loaded something else": (kit) => kit.load("/framed.html"),
  "is at another origin": (kit) => kit.load(`${kit.auth.origin}/nowhere`),
})) {
  test(`uninstall() and close() do not mind that it ${what}`, async (t) => {
    const staged = await framed(t);
    await staged.page.run(`async (kit) => {
      kit.world.ward.install({ window: kit.frame, xhr: true });
      await (${go})(kit);
      kit.world.ward.uninstall().install({ xhr: true }).close();
      if (fetch !== kit.nativeFetch) throw new Error("still patched");
    }`);
  });
}

test("one that has loaded anew can be installed again", async (t) => {
  const staged = await framed(t);
  const { origins } = staged.mirror;
  await staged.page.run(async (kit, url) => {
    kit.world.ward.install({ window: kit.frame });
    await kit.load("/framed.html");
    await kit.frame.fetch(`${url}/v1/before`);
    kit.world.ward.install({ window: kit.frame });
    await kit.frame.fetch(`${url}/v1/after`);
    kit.world.ward.uninstall();
    await kit.frame.fetch(`${url}/v1/taken-back`);
  }, origins.api);
  assert.deepEqual(arrived(staged), [
    ["before", null],
    ["after", "Bearer fresh"],
    ["taken-back", null],
  ]);
});

test("what is no window of this origin is an error that says so", async (t) => {
  const staged = await framed(t);
  const errors = await staged.page.run(async (kit) => {
    await kit.load(`${kit.auth.origin}/nowhere`);
    const wrong = [kit.frame, {}, null, "window", document];
    return wrong.map((window) => {
      try {
        kit.world.ward.install({ window });
        return null;
      } catch ({ name, code, message }) {
        return [name, code, message];
      }
    });
  });
  for (const error of errors) assert.deepEqual(error, ["TypeError", "invalid_option", "window must be a window of this origin"]);
});
