// Tables of calls of `fetch`, each made natively and through the patch: there must be no difference but the header.
import assert from "node:assert/strict";
import { test } from "node:test";
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
 * @param {Record<string, Function | { run: Function, answer?: object, targets?: string[], token?: boolean, differs?: Function }>} table
 *   `token: false`: not even a listed target gets one; `differs(native, patched)`: asserts a difference that there has to be
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
    await t.test(`${result.row} (${result.target})`, () => check(table[result.row], result, mirror));
  }
}

function check({ token = true, differs, unseen }, { target, native, patched }, mirror) {
  const [here, there] = [native, patched].map(({ id, seen }) => ({ ...seen, arrived: mirror.take(id).map((record) => told(record, id)) }));
  const ours = TARGETS[target].token && token;
  checkTokens(here, there, ours, target);
  if (differs) {
    differs(here, there);
    return;
  }
  assert.deepEqual(there.outcome, here.outcome);
  assert.deepEqual(there.log, here.log);
  if (unseen) return;
  assert.deepEqual(calls(there), calls(here));
  checkPreflights(here, there, TARGETS[target].token);
}

/** Every token went where it belongs, and nowhere else. */
function checkTokens(here, there, ours, target) {
  if (target === "refused") {
    // What was refused is the same request.
    const [first, ...rest] = there.arrived;
    if (first?.token && /stale/.test(first.token)) {
      assert.deepEqual({ ...first, token: undefined }, { ...rest[0], token: undefined });
      there.arrived = rest;
    }
  }
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
  if (authorization && !ours) rest.authorization = authorization;
  const record = { method, path, headers: rest, body };
  const told = JSON.parse(JSON.stringify(record).replaceAll(id, "ID"));
  const preflight = method === "OPTIONS" && "access-control-request-method" in headers;
  return { ...told, preflight, token: ours?.[1], landed: /\/landed\b/.test(path) };
}

const calls = ({ arrived }) =>
  arrived.filter(({ preflight }) => !preflight).map(({ method, path, headers, body }) => ({ method, path, headers, body }));

function checkPreflights(here, there, ours) {
  const named = "access-control-request-headers";
  const [native, patched] = [here, there].map(({ arrived }) => arrived.filter(({ preflight }) => preflight));
  const without = ({ path, headers }) => {
    const { [named]: names = "", ...rest } = headers;
    const others = names.split(",").filter((name) => name !== "" && !(ours && name === "authorization"));
    return { path, headers: rest, names: others.join() };
  };
  // Where there is none natively, there is one for the header alone.
  if (native.length === 0 && ours) for (const request of patched) assert.equal(request.headers[named], "authorization");
  else assert.deepEqual(patched.map(without), native.map(without));
}
