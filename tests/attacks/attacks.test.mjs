// Hostile scripts in the page: what they see of a session's tokens, and where they lead one.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { decodeProtectedHeader } from "jose";
import { signInStage } from "../e2e/harness/sign-in.mjs";
import { browserDriver } from "../e2e/harness/stage.mjs";
import { AFTER, BEFORE, EARLY, modes } from "./modes.mjs";

const PAGE = fileURLToPath(new URL("page/", import.meta.url));
const NAMES = [...readFileSync(`${PAGE}scripts.js`, "utf8").matchAll(/^ {2}"(.+)": /gm)].map(([, name]) => name);

/** As many characters of a token as these are one too many. */
const PART = 16;

/** Those that come before the tokens do; what they hook stays hooked. */
const COME_BEFORE = [
  "fetch is replaced",
  "JSON",
  "Request",
  "Response",
  "TextDecoder and TextEncoder",
  "typed arrays",
  "then, catch and finally",
  "the constructor of promises",
  "then of all objects",
  "then of answers",
  "iteration of arrays",
  "Array",
  "Object",
  "members of all objects",
  "Map and its iteration",
  "WeakMap, WeakSet and WeakRef",
  "String",
  "Function.prototype.call, apply and bind",
  "Reflect",
  "WebAssembly",
  "the memory, tables and instances of WebAssembly",
  "the constructors of WebAssembly are replaced",
  "crypto",
  "readers and streams",
  "events and those who hear them",
  "FinalizationRegistry",
  "timers, tasks and locks",
];

/** Scripts that must see a token of an app that takes no care, or the others prove nothing. */
const SEE_A_CARELESS_APP = [
  "JSON",
  "Headers",
  "Request",
  "Response",
  "Headers, Request and Response are replaced",
  "fetch is replaced",
  "TextDecoder and TextEncoder",
  "typed arrays",
  "then, catch and finally",
  "the constructor of promises",
  "then of all objects",
  "then of answers",
  "members of all objects",
  "Map and its iteration",
  "WeakMap, WeakSet and WeakRef",
  "iteration of arrays",
  "Function.prototype.call, apply and bind",
  "String",
  "Object",
  "Reflect",
  "crypto",
  "readers and streams",
  "the memory, tables and instances of WebAssembly",
  "storage as it is written",
  "the console",
  "a walk from the window",
];

const SCRIPT_MS = 10_000;

async function stageFor(t) {
  await browserDriver().manage().setTimeouts({ script: SCRIPT_MS });
  return signInStage(t, { mounts: { "/attacks/": PAGE }, auth: { autoLogin: "ada" } });
}

/** Which kinds of tokens these runs of text have a part of. Of a JWT the signature is what nobody else can make. */
function kindsOf(tokens, runs) {
  const kinds = new Set();
  for (const token of tokens) {
    const kind = !token.includes(".") ? "refresh" : decodeProtectedHeader(token).typ === "at+jwt" ? "access" : "id";
    const secret = token.slice(token.lastIndexOf(".") + 1);
    for (const run of runs) {
      for (let at = 0; at + PART <= secret.length; at += 1) if (run.includes(secret.slice(at, at + PART))) kinds.add(kind);
    }
  }
  return [...kinds].sort();
}

const attack = ({ page }, name) =>
  page.run(async (kit, name) => {
    kit.spy = await import("/attacks/spy.js");
    const { scripts } = await import("/attacks/scripts.js");
    kit.xhr ??= (url, method = "GET", body) =>
      new Promise((resolve) => {
        const xhr = new XMLHttpRequest();
        xhr.open(method, url);
        xhr.addEventListener("loadend", () => resolve(xhr));
        xhr.send(body);
      });
    await scripts[name]({ kit });
  }, name);

/** An app makes requests of all kinds; gives their status. */
const call = ({ page }) =>
  page.run(async (kit) => {
    const url = `${kit.api.origin}/v1/orders`;
    const form = new FormData();
    form.set("tea", "green");
    const sends = [
      () => fetch(url),
      () => fetch(url, { headers: { "x-order": "7" }, method: "POST", body: "tea" }),
      () => fetch(url, { method: "POST", body: form }),
      () => fetch(new Request(url, { headers: { "x-order": "7" } })),
      () => fetch(new Request(url, { method: "POST", body: "tea" })),
      () => kit.ward.fetch(url),
      () => kit.xhr(url),
      () => kit.xhr(url, "POST", "tea"),
    ];
    const ended = [];
    for (const send of sends) ended.push(await send().then(({ status }) => status, (error) => `${error}`));
    return ended;
  });

const OK = Array(8).fill(200);

/** The session goes on: requests, a renewal, a refused token, the end. */
async function live(staged) {
  const { api, page } = staged;
  assert.deepEqual(await call(staged), OK);
  await page.run((kit) => kit.ward.refresh());
  assert.deepEqual(await call(staged), OK);
  api.refuseNext(1);
  assert.equal((await page.run((kit) => kit.call())).status, 200);
  api.refuseNext(1);
  assert.equal(await page.run(async (kit) => (await kit.xhr(`${kit.api.origin}/v1/orders`)).status), 200);
  await page.run((kit) => kit.spy.again());
  await page.run((kit) => kit.ward.signOut());
}

/** What was found of the tokens that were issued meanwhile. */
async function found(staged, act) {
  const { auth, other, page } = staged;
  const [before, asked] = [auth.issuedTokens.length, other.requests.length];
  await act();
  const tokens = auth.issuedTokens.slice(before);
  const runs = await page.run((kit) => kit.spy.findings());
  const sent = other.requests.slice(asked).map(({ path, headers, body }) => `${path} ${JSON.stringify(headers)} ${body}`);
  return { tokens, kinds: kindsOf(tokens, runs), astray: kindsOf(tokens, sent) };
}

async function assertFound(staged, { beyond }, when, name, act) {
  const { tokens, kinds, astray } = await found(staged, act);
  // At sign-in, and with each of three renewals.
  assert.ok(kindsOf(tokens, tokens).includes("refresh") && tokens.length >= 8, `${tokens.length}`);
  assert.deepEqual(kinds, beyond[when][name]?.finds ?? []);
  assert.deepEqual(astray, []);
}

test("the tables name scripts that there are", () => {
  const named = [...COME_BEFORE, ...SEE_A_CARELESS_APP];
  for (const { beyond } of Object.values(modes)) named.push(...Object.values(beyond).flatMap(Object.keys));
  assert.deepEqual(named.filter((name) => !NAMES.includes(name)), []);
  assert.ok(NAMES.length >= 40, `${NAMES.length}`);
});

for (const [what, mode] of Object.entries(modes)) {
  describe(`isolation: ${what}`, () => {
    test(`${AFTER}:`, async (t) => {
      const staged = await stageFor(t);
      const { auth, page } = staged;
      for (const name of NAMES) {
        await t.test(name, async () => {
          await page.visit();
          await assertFound(staged, mode, AFTER, name, async () => {
            await page.signIn({ tokens: await auth.issueTokens(), install: { xhr: true }, ...mode.options });
            await attack(staged, name);
            await live(staged);
          });
        });
      }
    });

    for (const when of [BEFORE, EARLY]) {
      test(`${when}:`, async (t) => {
        const staged = await stageFor(t);
        const { page, leave } = staged;
        for (const name of when === EARLY ? Object.keys(mode.beyond[EARLY]) : COME_BEFORE) {
          await t.test(name, async () => {
            await assertFound(staged, mode, when, name, async () => {
              await page.visit();
              await leave({}, mode.options);
              if (when === BEFORE) await page.run((kit) => kit.library().then(() => {}));
              await attack(staged, name);
              await page.run(async (kit, options) => {
                await kit.create(kit.discovered(options));
                await kit.ward.handleCallback();
                kit.ward.install({ xhr: true });
              }, mode.options);
              await live(staged);
            });
          });
        }
      });
    }
  });
}

test("an app that takes no care shows its tokens to:", async (t) => {
  const staged = await stageFor(t);
  const { auth, page } = staged;
  for (const name of SEE_A_CARELESS_APP) {
    await t.test(name, async () => {
      await page.visit();
      const { kinds } = await found(staged, async () => {
        const tokens = await auth.issueTokens();
        // The scripts want a ward to be there.
        await page.run((kit, tokens) => kit.create().then(() => void (window.tokens = tokens)), tokens);
        await attack(staged, name);
        await page.run(careless, tokens);
      });
      assert.ok(kinds.includes("refresh") || kinds.includes("access"), `${kinds}`);
    });
  }
});

/** Runs in the page. */
async function careless(kit, { refresh_token }) {
  const body = new URLSearchParams({ grant_type: "refresh_token", client_id: "spa", refresh_token });
  const answer = await fetch(new Request(kit.auth.endpoints.token, { method: "POST", body }));
  const reader = answer.body.getReader();
  let text = "";
  for (let part; !(part = await reader.read()).done; ) text += new TextDecoder().decode(part.value.subarray(0));
  await Promise.resolve({ text }).then((value) => value);
  await new Response(text).arrayBuffer();
  const tokens = JSON.parse(text);
  const { access_token } = Object.assign({}, tokens);
  new Map().set("token", access_token);
  new WeakMap().set({}, tokens);
  const [header, , signature] = access_token.split(".");
  Reflect.get(tokens, "refresh_in");
  Reflect.get({ access_token }, "access_token");
  console.debug(header, signature, access_token);
  sessionStorage.setItem("token", access_token);
  sessionStorage.clear();
  await crypto.subtle.digest("SHA-256", new TextEncoder().encode(access_token));
  const memory = new WebAssembly.Memory({ initial: 1 });
  new Uint8Array(memory.buffer).set(new TextEncoder().encode(access_token));
  void memory.buffer;
  Function.prototype.call.call(() => {}, undefined, access_token);
  const headers = new Headers({ authorization: `Bearer ${access_token}` });
  const request = new Request(`${kit.api.origin}/v1/orders`, { headers });
  await fetch(request.clone());
}
