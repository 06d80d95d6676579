import { NEEDS_REQUEST, ONE_SHOT, buffered, prepareBody } from "./body.js";
import { Headers, Proxy, Request, URL, URLSearchParams, apply, document, location, requestUrl } from "./natives.js";

// Flags of Core.authorize().
export const OWN_AUTHORIZATION = 1;
const NO_CORS = 2;
export const NOT_REPLAYABLE = 4;

const AUTHORIZATION = "authorization";

/** What `fetch` reads as a Request; else the string it makes of it. Both are read once, as `fetch` does. */
export function readInput(input) {
  if (typeof input === "string") return input;
  if (typeof input === "object" && input !== null && !(input instanceof URL)) {
    try {
      apply(requestUrl, input, []);
      return input;
    } catch {
      // Not a Request.
    }
  }
  return `${input}`;
}

/** The URL as the browser will see it; null if it is none. */
export function parse(target) {
  if (typeof target !== "string") return apply(requestUrl, target, []);
  try {
    return (/^https?:\/\//i.test(target) ? new URL(target) : new URL(target, document?.baseURI ?? location.href)).href;
  } catch {
    return null;
  }
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

/** Reads an init as `fetch` does, each member once, so that it can be looked at and passed on. */
function readInit(init) {
  const copy = {};
  if (init !== undefined && init !== null) {
    for (const name of initMembers()) {
      const value = init[name];
      if (value !== undefined) copy[name] = value;
    }
  }
  return copy;
}

/**
 * Both kinds of request have `method`, `flags`, `signal` and `send(authorization, last)`, the arguments for one sending;
 * `last` spares what a repetition would need.
 *
 * @throws what `fetch` would reject with
 */
export function prepare(target, href, init) {
  if (typeof target !== "string") return prepareRequest(new Request(target, init));
  const copy = readInit(init);
  const { headers, method, mode } = copy;
  if (method !== undefined) copy.method = `${method}`;
  if (mode !== undefined) copy.mode = `${mode}`;
  if (headers !== undefined) copy.headers = new Headers(headers);
  const bodyKind = prepareBody(copy);
  if (bodyKind === NEEDS_REQUEST) return prepareRequest(new Request(href, copy));
  return {
    method: copy.method ?? "GET",
    flags:
      (copy.headers?.has(AUTHORIZATION) ? OWN_AUTHORIZATION : 0) |
      (copy.mode === "no-cors" ? NO_CORS : 0) |
      (bodyKind === ONE_SHOT ? NOT_REPLAYABLE : 0),
    signal: copy.signal,
    send(authorization) {
      if (authorization !== undefined) {
        if (copy.headers) copy.headers.set(AUTHORIZATION, authorization);
        else (copy.headers = new Headers()).set(AUTHORIZATION, authorization);
      }
      return [href, copy];
    },
    /** For a request that has to wait: what is wrong with it shows at once, and its body is taken now. */
    hold: () => prepareRequest(new Request(href, copy), bodyKind === ONE_SHOT),
  };
}

function prepareRequest(given, oneShot = false) {
  const { method, mode, signal } = given;
  const bare = method === "GET" || method === "HEAD";
  const request = (!bare && !oneShot && buffered(given, initMembers().includes("duplex"))) || given;
  oneShot ||= !bare && request === given && initMembers().includes("duplex");
  const held = {
    method,
    flags:
      (request.headers.has(AUTHORIZATION) ? OWN_AUTHORIZATION : 0) |
      (mode === "no-cors" ? NO_CORS : 0) |
      (oneShot ? NOT_REPLAYABLE : 0),
    signal,
    send(authorization, last) {
      const sent = bare || oneShot || last ? request : request.clone();
      if (authorization !== undefined) sent.headers.set(AUTHORIZATION, authorization);
      return [sent];
    },
    hold: () => held,
  };
  return held;
}
