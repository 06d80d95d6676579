import { buffered, lasting } from "./body.js";
import {
  Bare,
  Object,
  Proxy,
  Request,
  URL,
  apply,
  cloneRequest,
  headersHas,
  headersSet,
  hrefOf,
  indexOf,
  requestHeaders,
  requestMethod,
  requestMode,
  requestSignal,
  requestUrl,
  slice,
  startsWith,
} from "./natives.js";

// Flags of Core.authorize().
export const OWN_AUTHORIZATION = 1;
const NO_CORS = 2;
export const NOT_REPLAYABLE = 4;

const AUTHORIZATION = "authorization";

/** Values that no engine objects to. */
const COMMON =
  /^(method (GET|get|HEAD|POST|post|PUT|put|DELETE|delete|PATCH)|credentials (omit|same-origin|include)|cache (default|no-store|reload|no-cache|force-cache)|mode (cors|same-origin)|redirect (follow|error|manual)|priority (high|low|auto)|keepalive (true|false))$/;

/** Whether it is of the kind that this getter is for. No trap of a proxy sees it. */
function is(getter, value) {
  try {
    apply(getter, value, []);
    return true;
  } catch {
    return false;
  }
}

export const isObject = (value) => (typeof value === "object" && value !== null) || typeof value === "function";

/** What `fetch` reads as a Request; else the string it makes of it. Both are read once, as `fetch` does. */
export function readInput(input) {
  return typeof input === "object" && is(requestUrl, input) ? input : `${input}`;
}

/** The URL as the browser will see it; null if it is none. */
export function parse(target, { window }) {
  if (typeof target !== "string") return apply(requestUrl, target, []);
  try {
    const url = /^https?:\/\//i.test(target) ? new URL(target) : new URL(target, window.document?.baseURI ?? window.location.href);
    return hrefOf(url);
  } catch {
    return null;
  }
}

/**
 * What decides which rule an absolute URL falls under: all up to its query. By no method that a script may have replaced
 * since, for what is judged by it is not what is sent. Undefined for other URLs.
 */
export function keyOf(text) {
  if (!startsWith(text, "https://") && !startsWith(text, "http://")) return undefined;
  const query = indexOf(text, "?");
  const hash = indexOf(text, "#");
  const end = hash < 0 || (query >= 0 && query < hash) ? query : hash;
  return end < 0 ? text : slice(text, 0, end + 1);
}

let members;

/** The members of RequestInit that this engine reads, in its order. */
function initMembers() {
  if (!members) {
    members = [];
    const recorder = { get: (_, name) => void members.push(name) };
    new Request("data:,", new Proxy({}, recorder));
  }
  return members;
}

/**
 * What is made of a member at once, so that it is read once and cannot change any more; undefined: the engine has to see it.
 * It throws what `fetch` would reject with.
 */
function settle(name, value, realm) {
  if (name === "body") return lasting(value, realm);
  if (name === "headers") return new realm.Headers(value);
  if (name === "signal") return value && !is(realm.isAborted, value) ? undefined : value;
  return !isObject(value) && typeof value !== "symbol" && COMMON.test(`${name} ${value}`) ? value : undefined;
}

/**
 * Both kinds of request have `method`, `flags`, `signal` and `send(credentials, last)`, the arguments for one sending with
 * `authorization` and perhaps a proof, `dpop`; `last` spares what a repetition would need. An init is read as `fetch` does. As soon as the engine might object to a member, it
 * goes on reading by itself, for a Request, so that its errors come when they always come.
 *
 * @throws what `fetch` would reject with
 */
export function prepare(target, href, init, realm) {
  const made = (given) => prepareRequest(new realm.Request(typeof target === "string" ? href : target, given), realm);
  if (typeof target !== "string") return made(init);
  const copy = new Bare();
  const names = initMembers();
  for (let at = 0; init && at < names.length; at += 1) {
    const name = names[at];
    const value = init[name];
    if (value === undefined) continue;
    copy[name] = value;
    const settled = settle(name, value, realm);
    if (settled === undefined) {
      return made(new Proxy(copy, { get: (_, other) => (names.indexOf(other) > at ? init[other] : copy[other]) }));
    }
    copy[name] = settled;
  }
  const { method = "GET", headers, body, signal } = copy;
  if (body != null && /^(GET|HEAD)$/i.test(method)) return made(copy);
  return {
    method,
    flags: headers?.has(AUTHORIZATION) ? OWN_AUTHORIZATION : 0,
    signal,
    send(credentials, last) {
      if (credentials) {
        // The answer that was refused may be in the cache.
        if (last && copy.cache === "force-cache") copy.cache = "default";
        // In bare objects: `fetch` reads others by methods that a script may have replaced, and asks for more than there is.
        const record = new Bare();
        if (headers) apply(realm.eachHeader, headers, [(value, name) => (record[name] = value)]);
        record.authorization = credentials.authorization;
        if (credentials.dpop) record.dpop = credentials.dpop;
        const authorised = Object.assign(new Bare(), copy);
        authorised.headers = record;
        return [href, authorised];
      }
      return [href, copy];
    },
    /** For a request that has to wait: what is wrong with it shows at once, and its body is taken now. */
    hold: () => made(copy),
  };
}

function prepareRequest(given, realm) {
  const method = requestMethod(given);
  const bare = method === "GET" || method === "HEAD";
  const takesStreams = initMembers().includes("duplex");
  const request = bare || !takesStreams ? given : buffered(given, realm);
  const oneShot = !request;
  let sent = request ?? given;
  const held = {
    method,
    flags:
      (headersHas(requestHeaders(sent), AUTHORIZATION) ? OWN_AUTHORIZATION : 0) |
      (requestMode(given) === "no-cors" ? NO_CORS : 0) |
      (oneShot ? NOT_REPLAYABLE : 0),
    signal: requestSignal(given),
    send(credentials, last) {
      const one = sent;
      // WebKit refuses one made from a stream, but not its clone.
      if (!bare && !oneShot && !last) sent = cloneRequest(one);
      const set = (name, value) => value && headersSet(requestHeaders(one), name, value);
      set(AUTHORIZATION, credentials?.authorization);
      set("dpop", credentials?.dpop);
      return [one];
    },
    hold: () => held,
  };
  return held;
}
