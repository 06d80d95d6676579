// Tables of calls of `fetch`, each made natively and through the patch: there must be no difference but the header.
import assert from "node:assert/strict";
import { test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { browser } from "./browsers.mjs";
import { startMirror } from "./mirror.mjs";
import { stage } from "./stage.mjs";

/**
 * Where a call may go to. `token`: whether it carries one. `refused`: its first token is refused and there is a newer one by then;
 * `waiting`: it has to wait for a token; `direct`: through `ward.fetch`.
 */
export const TARGETS = {
  listed: { origin: "api", path: "/v1", token: true },
  "own, listed": { origin: "own", path: "/v1/own", token: true },
  refused: { origin: "own", path: "/v1/refused", token: true },
  waiting: { origin: "own", path: "/v1/waiting", token: true },
  direct: { origin: "own", path: "/v1/direct", token: true },
  "not listed": { origin: "api", path: "/open", token: false },
  other: { origin: "other", path: "/v1", token: false },
  own: { origin: "own", path: "/open", token: false },
};
export const ALL = Object.keys(TARGETS);
export const OURS = ALL.filter((name) => TARGETS[name].token);
/** Enough where the kind of target makes no difference to what is looked at. */
export const USUAL = ["listed", "own, listed", "refused", "waiting", "not listed"];

/** Servers, and a page with a ward whose tokens are as a row needs them. */
export async function mirrored(t, options) {
  const mirror = await startMirror();
  t.after(() => mirror.close());
  const connect = [...Object.values(mirror.origins), "http://127.0.0.1:1", "data:", "blob:"];
  const staged = await stage(t, { connect, handlers: [mirror.handle], ...options });
  const origins = { ...mirror.origins, own: staged.app.origin };
  const bases = Object.fromEntries(ALL.map((name) => [name, origins[TARGETS[name].origin] + TARGETS[name].path]));
  await staged.page.run(
    async (kit, world) => {
      document.cookie = "pot=full; path=/";
      const { attempts } = await import("/compare.js");
      const resources = [{ url: `${world.origins.api}/v1` }, { url: `${world.origins.own}/v1` }];
      // Tokens are set by hand: what renews them never answers.
      const options = { clientId: undefined, endpoints: undefined, resources, refresh: () => new Promise(() => {}) };
      const ward = await kit.create(options);
      ward.install().setTokens({ access_token: "fresh", expires_in: 3600 });
      kit.world = { ...world, ward, native: kit.nativeFetch, patched: window.fetch, direct: ward.fetch, known: { origins: world.origins } };
      kit.attempts = attempts;
    },
    { bases, origins },
  );
  return { ...staged, mirror };
}

/** As source: what a table is in the page. A row is a function, or an object with `run`, `answer`, `targets`. */
export function source(table, targets) {
  const rows = Object.entries(table).map(([name, row]) => {
    const { run, answer, targets: own = targets } = typeof row === "function" || typeof row === "string" ? { run: row } : row;
    return `${JSON.stringify(name)}: { run: ${run}, answer: ${JSON.stringify(answer)}, targets: ${JSON.stringify(own)} }`;
  });
  return `{ ${rows.join(",\n")} }`;
}

/**
 * One test with a subtest for each row and target.
 *
 * @typedef {{ run: Function, answer?: object, targets?: string[], token?: boolean, unseen?: boolean, differs?: Difference | Difference[] }} Row
 *   `token: false`: not even a listed target gets one; `unseen`: what arrives is a matter of luck; `differs`: see differences.mjs
 * @param {Record<string, Function | string | Row>} table
 */
export function transparent(what, table, targets = USUAL) {
  test(what, async (t) => {
    const { page, mirror } = await mirrored(t);
    const results = await page.run(`(kit) => kit.attempts(kit.world, ${source(table, targets)})`);
    await report(t, table, results, mirror);
  });
}

export async function report(t, table, results, mirror) {
  for (const result of results) {
    const { row, target } = result;
    const { differs, ...rest } = table[row];
    const applies = ({ targets = [target], engines = [browser] }) => targets.includes(target) && engines.includes(browser);
    const different = [differs ?? []].flat().find(applies);
    await t.test(`${row} (${target})${different ? `, but ${different.why}` : ""}`, () => check({ ...rest, different }, result, mirror));
  }
}

function check({ token = true, different, unseen }, { target, native, patched }, mirror) {
  const [here, there] = [native, patched].map(({ id, seen }) => ({ ...seen, arrived: mirror.take(id).map((record) => told(record, id)) }));
  const { token: listed } = TARGETS[target];
  there.arrived = withoutRefused(there.arrived, different?.anew);
  checkTokens(here, there, listed && token);
  if (different) {
    different.check(here, there);
    return;
  }
  assert.deepEqual(there.outcome, here.outcome);
  assert.deepEqual(there.log, here.log);
  if (unseen) return;
  assert.deepEqual(calls(there), calls(here));
  const asked = preflights(here);
  assert.deepEqual(preflights(there, listed && token, asked), asked);
}

/** What was refused has to have come again, unless nothing did; `anew`: perhaps not the same. */
function withoutRefused(arrived, anew) {
  const bare = ({ token: _, ...rest }) => rest;
  const [refused, others] = [true, false].map((stale) => arrived.filter(({ token }) => (token === "stale") === stale));
  for (const request of others.length > 0 ? refused : []) {
    assert.ok(anew || others.some((other) => isDeepStrictEqual(bare(other), bare(request))), "repeated as it was");
  }
  return others;
}

/** Every token went where it belongs, and nowhere else. */
function checkTokens(here, there, ours) {
  const sent = there.arrived.filter(({ preflight }) => !preflight);
  for (const { headers, token, landed } of sent) {
    // A redirect within an origin keeps what was set, as it does natively.
    if (!landed || headers.host !== sent[0].headers.host) assert.equal(token !== undefined, ours && !landed, `token: ${token}`);
  }
  assert.deepEqual(here.arrived.filter(({ token }) => token), []);
}

/** A request as it arrived; `landed`: at the end of a redirect. */
function told({ method, path, headers, body }, id) {
  const { authorization, connection, ...rest } = headers;
  const ours = /^Bearer (stale|late|fresh)$/.exec(authorization ?? "");
  if (authorization !== undefined && !ours) rest.authorization = authorization;
  const text = alike(body);
  // The length of a form's boundary differs as well in Firefox.
  if (text !== body) delete rest["content-length"];
  const record = { method, path, headers: rest, body: text };
  const told = JSON.parse(JSON.stringify(record).replaceAll(id, "ID"));
  const preflight = method === "OPTIONS" && "access-control-request-method" in headers;
  return { ...told, preflight, token: ours?.[1], landed: /\/landed\b/.test(path) };
}

/** A form's boundary differs each time. */
function alike(base64) {
  const text = Buffer.from(base64, "base64").toString("latin1");
  const [boundary] = /^--[-\w]+/.exec(text) ?? [];
  return boundary ? text.replaceAll(boundary, "--") : base64;
}

const inOrder = (list) => list.map((each) => JSON.stringify(each)).sort();

const calls = ({ arrived }) =>
  inOrder(arrived.filter(({ preflight }) => !preflight).map(({ method, path, headers, body }) => ({ method, path, headers, body })));

/** Without `authorization` where there is a token, and without those that are for nothing else. */
function preflights({ arrived }, ours, native = []) {
  const named = "access-control-request-headers";
  const list = arrived.filter(({ preflight }) => preflight).map(({ path, headers }) => {
    const { [named]: names = "", ...rest } = headers;
    // Firefox names a header as often as it was given.
    const others = [...new Set(names.split(","))].filter((name) => !(ours && name === "authorization")).join();
    const simple = names === "authorization" && /^(GET|HEAD|POST)$/.test(headers["access-control-request-method"]);
    // Firefox asks where a redirect led, too, though the header does not go there.
    return { extra: ours && (simple || (!others && /\/landed\b/.test(path))), text: JSON.stringify({ path, rest, others }) };
  });
  return list.filter(({ extra, text }) => !extra || native.includes(text)).map(({ text }) => text).sort();
}
