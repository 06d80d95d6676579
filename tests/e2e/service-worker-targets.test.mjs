// What the service worker leaves alone.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { eventually } from "./harness/sign-in.mjs";
import { browserDriver } from "./harness/stage.mjs";
import { workerStage } from "./harness/workers.mjs";

/** A page that is connected, whose own server notes what it is asked for under `/own/`. */
async function connected(t, options) {
  const own = [];
  const handlers = [
    (request, response) => {
      if (!request.url.startsWith("/own/")) return false;
      own.push({ path: request.url, method: request.method, authorization: request.headers.authorization });
      response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><title>own</title>");
      return true;
    },
  ];
  const staged = await workerStage(t, { handlers, ...options });
  await staged.page.signIn();
  await staged.page.run((kit) => kit.connect());
  return { ...staged, own };
}

const lookAlikes = {
  "another origin": ({ other }) => `${other.origin}/v1/picture.svg`,
  "a sibling path": ({ api }) => `${api.origin}/v10/picture.svg`,
  "dot segments": ({ api }) => `${api.origin}/v1/../public`,
  "dots and an encoded slash": ({ api }) => `${api.origin}/v1/..%2fpublic`,
};

for (const [what, url] of Object.entries(lookAlikes)) {
  test(`no token for ${what}`, async (t) => {
    const staged = await connected(t);
    const { api, other, page } = staged;
    for (const way of ["img", "fetch", "XMLHttpRequest"]) await page.run((kit, way, url) => kit.ways[way](url), way, url(staged));
    const arrived = [...api.requests, ...other.requests];
    // The page's policy lets no picture come from elsewhere.
    assert.ok(arrived.length >= 2);
    assert.ok(arrived.every(({ tokenReceived }) => !tokenReceived));
  });
}

test("an Authorization of the page's own is left alone, and so is its 401", async (t) => {
  const { api, auth, page } = await connected(t);
  const statuses = await page.run(async ({ nativeFetch }, url) => {
    const headers = { authorization: "Bearer mine" };
    const request = new XMLHttpRequest();
    request.open("GET", url);
    request.setRequestHeader("Authorization", "Bearer mine");
    const loaded = new Promise((resolve) => (request.onloadend = resolve));
    request.send();
    await loaded;
    return [(await nativeFetch(url, { headers })).status, request.status];
  }, `${api.origin}/v1/echo`);
  assert.deepEqual(statuses, [401, 401]);
  assert.deepEqual(api.requests.map(({ headers }) => headers.authorization), ["Bearer mine", "Bearer mine"]);
  assert.equal(auth.tokenRequests.length, 0);
});

test("with the patch as well, one of the two authorises and repeats", async (t) => {
  const { api, auth, page } = await connected(t);
  api.refuseNext(1);
  assert.equal((await page.run((kit) => kit.call())).status, 200);
  assert.deepEqual(api.requests.map(({ status }) => status), [401, 200]);
  assert.equal(auth.tokenRequests.length, 1);
});

test("what a script asks for without CORS goes without a token", async (t) => {
  const { api, page } = await connected(t);
  await page.run(async ({ nativeFetch }, url) => {
    await nativeFetch(url, { mode: "no-cors" });
    navigator.sendBeacon(`${url}?beacon`, "tea");
  }, `${api.origin}/v1/echo`);
  await api.requests.until(({ length }) => length === 2);
  assert.deepEqual(api.requests.map(({ tokenReceived }) => tokenReceived), [false, false]);
});

test("navigations go without a token: others may link to them", async (t) => {
  const { own, page } = await connected(t);
  await page.run(async () => {
    const frame = document.createElement("iframe");
    frame.src = "/own/v1/frame";
    const loaded = new Promise((resolve) => (frame.onload = resolve));
    document.documentElement.append(frame);
    await loaded;
    frame.remove();
  });
  await page.run((kit) => kit.ways.img("/own/v1/picture"));
  await browserDriver().get(new URL("/own/v1/page", await browserDriver().getCurrentUrl()).href);
  await eventually(async () => (await browserDriver().getTitle()) === "own", "not there");
  await browserDriver().executeScript("window.problems = []");
  const byPath = Object.fromEntries(own.map(({ path, authorization }) => [path, authorization !== undefined]));
  assert.deepEqual(byPath, { "/own/v1/frame": false, "/own/v1/picture": true, "/own/v1/page": false });
});

describe("a redirect to another origin does not take the token along:", () => {
  for (const way of ["img", "fetch", "XMLHttpRequest"]) {
    test(way, async (t) => {
      const { api, other, page } = await connected(t);
      const to = encodeURIComponent(`${other.origin}/landed`);
      await page.run((kit, way, url) => kit.ways[way](url), way, `${api.origin}/v1/redirect?to=${to}`);
      assert.deepEqual(api.requests.map(({ tokenReceived }) => tokenReceived), [true]);
      assert.deepEqual(other.requests.map(({ tokenReceived }) => tokenReceived), [false]);
    });
  }
});

test("bodies arrive byte for byte, also a second time", async (t) => {
  const { api, page } = await connected(t);
  const bodies = await page.run(async ({ nativeFetch, api }) => {
    const form = new FormData();
    form.set("text", "Grüße ☕");
    const made = { text: "Grüße ☕", blob: new Blob(["tea"]), parameters: new URLSearchParams({ a: "☕" }), bytes: new Uint8Array([0, 255, 7]), form };
    for (const [name, body] of Object.entries(made)) {
      await nativeFetch(`${api.origin}/v1/echo?${name}`, { method: "POST", body });
      const request = new XMLHttpRequest();
      request.open("POST", `${api.origin}/v1/echo?${name}`);
      const loaded = new Promise((resolve) => (request.onloadend = resolve));
      request.send(body);
      await loaded;
    }
    return Object.keys(made);
  });
  const expected = { text: "Grüße ☕", blob: "tea", parameters: "a=%E2%98%95", bytes: Buffer.from([0, 255, 7]).toString() };
  assert.equal(api.requests.length, bodies.length * 2);
  for (const { path, body, status, tokenReceived } of api.requests) {
    const [, name] = path.split("?");
    assert.ok(status === 200 && tokenReceived, path);
    if (name === "form") assert.match(body.toString(), /name="text"\r\n\r\nGrüße ☕\r\n/);
    else assert.equal(body.toString(), expected[name], path);
  }
  api.refuseNext(1);
  const first = api.requests.length;
  const url = `${api.origin}/v1/echo`;
  const status = await page.run(async ({ nativeFetch }, url) => (await nativeFetch(url, { method: "POST", body: new Uint8Array(70_000).fill(7) })).status, url);
  const [refused, repeated] = api.requests.slice(first);
  assert.equal(status, 200);
  assert.equal(refused.body.length, 70_000);
  assert.ok(refused.body.equals(repeated.body));
});

test("a page's messages do not make the worker tell anybody a token", async (t) => {
  const { auth, page } = await connected(t);
  const heard = await page.run(async (kit) => {
    const heard = [];
    const { controller } = navigator.serviceWorker;
    navigator.serviceWorker.addEventListener("message", ({ data }) => heard.push(data));
    for (const tokenward of ["need", "lend", "wait", "failed", "event", "claim", "token", "heard"]) {
      for (const name of ["", "second", undefined]) controller.postMessage({ tokenward, for: name, after: -1 });
    }
    for (const odd of [null, 7, "need", [], {}]) controller.postMessage(odd);
    await kit.born();
    return JSON.stringify(heard);
  });
  for (const token of auth.issuedTokens) assert.ok(!heard.includes(token.slice(10, 40)), heard);
});
