import { TokenWardError } from "./errors.js";
import { Object, Proxy, apply, monotonicClock } from "./natives.js";
import { NOT_REPLAYABLE, keyOf, parse, prepare, readInput } from "./requests.js";

// Answers of Core.authorize().
const SEND_AS_IS = 0;
export const SEND = 1;
export const WAIT = 2;

export const ANY_TOKEN = -1;

/** A refused request that this module did not send. */
export const NOT_REPEATABLE = { request: { flags: NOT_REPLAYABLE } };

/** How many URLs are remembered, lest an app of a million of them keeps them all. */
const MAX_KNOWN = 500;

/**
 * A `fetch` that authorises what `gate.core` says and leaves the rest to `next`, with the very same arguments. Without
 * `gate.core` it leaves everything. It is a proxy, so that whatever else there is to see is as `next` has it.
 *
 * @param gate `core`; `refusing(call)`: what is refused from now on; `wait(after, since, signal)`: resolves with the stamp
 * to go on after, or rejects; `failed(error)`: the error to reject with
 * @param realm of the window whose `fetch` this is, see `realmOf()`
 * @param free may be called as a method of anything
 */
export function intercept(next, gate, realm, free) {
  /** The rules of URLs that were asked for before, by `keyOf()`. */
  let known = { __proto__: null };
  let count = 0;

  function ruleOf(core, href, key) {
    // Lists hold http: and https: only.
    const rule = /^http/.test(href) ? core.findRule(href) : -1;
    // What cannot be parsed may be too long, which says nothing about others.
    if (key !== undefined && href) {
      if ((count += 1) > MAX_KNOWN) {
        known = { __proto__: null };
        count = 1;
      }
      known[key] = rule;
    }
    return rule;
  }

  return new Proxy(next, {
    apply(_, receiver, args) {
      if (free) receiver = undefined;
      const { core } = gate;
      // `fetch` reads nothing if it is called on something else.
      if (!core || !args.length || (receiver != null && receiver !== realm.window)) return apply(next, receiver, args);
      let request, code, rule;
      try {
        const target = readInput(args[0]);
        const key = typeof target === "string" ? keyOf(target) : undefined;
        let href = target;
        rule = key === undefined ? undefined : known[key];
        if (rule === undefined) {
          href = parse(target, realm);
          rule = ruleOf(core, href, key);
        }
        const init = args[1];
        // fetch has its own word for an init that is no object.
        if (init != null && Object(init) !== init) rule = -1;
        if (rule < 0) {
          if (typeof target === "string") args[0] = target;
        } else {
          request = prepare(target, href, init, realm);
          code = core.authorize(rule, request.method, request.flags, ANY_TOKEN);
          if (code === WAIT) request = request.hold();
        }
      } catch (error) {
        return realm.Promise.reject(gate.failed(error));
      }
      if (!request) return apply(next, receiver, args);
      const call = { gate, core, next, receiver, realm, rule, request };
      if (!request.signal?.aborted) {
        if (code === SEND) return authorised(call, core.authorization(), core.stamp());
        if (code === WAIT) return realm.Promise.resolve(waiting(call));
      }
      return apply(next, receiver, request.send(undefined, true));
    },
  });
}

/** Sends, and looks at a refusal. */
function authorised(call, authorization, stamp) {
  const { next, receiver, realm, request } = call;
  const answer = apply(next, receiver, request.send(authorization));
  return apply(realm.then, realm.Promise.resolve(answer), [
    (response) => (isRefusal(response) ? refused(call, stamp, response) : response),
  ]);
}

/** Sends a refused request again; null if its body is gone. */
export const again = (call) => (call.request.flags & NOT_REPLAYABLE ? null : waiting(call));

function waiting(call) {
  const { core, next, receiver, request } = call;
  return permitted(call, ANY_TOKEN, (code) =>
    code === SEND
      ? authorised(call, core.authorization(), core.stamp())
      : apply(next, receiver, request.send(undefined, true)),
  );
}

/**
 * Waits until the request may go with a token newer than `after`, or as it is, and lets it `go` in the same breath: a
 * moment later the session may be another one.
 */
export async function permitted({ gate, core, rule, request }, after, go) {
  const since = monotonicClock();
  for (;;) {
    const code = core.authorize(rule, request.method, request.flags, after);
    if (code === SEND || code === SEND_AS_IS) return go(code);
    if (code !== WAIT) throw new TokenWardError("signed_out");
    after = await gate.wait(after, since, request.signal);
  }
}

async function refused(call, stamp, response) {
  const { core, next, receiver, request } = call;
  // For an event that is about this request.
  call.gate.refusing(call);
  const repeats = report(call, stamp, response, false);
  call.gate.refusing(undefined);
  if (!repeats) return response;
  const repeat = (code) =>
    code === SEND && {
      newer: core.stamp(),
      // In an object, so that what becomes of it is not awaited here.
      answer: apply(next, receiver, request.send(core.authorization(), true)),
    };
  let sent;
  try {
    sent = await permitted(call, stamp, repeat);
  } catch (error) {
    if (request.signal?.aborted) throw error;
  }
  // There may be no better answer than the one the resource gave.
  if (!sent) return response;
  response.body?.cancel().catch(() => {});
  const repeated = await sent.answer;
  if (isRefusal(repeated)) report(call, sent.newer, repeated, true);
  return repeated;
}

export const isRefusal = ({ status }) => status === 401 || status === 403;

export const report = ({ core, rule, request }, stamp, { status, headers, redirected, url }, repeated) =>
  core.refused(rule, request.method, request.flags, stamp, repeated, {
    status,
    challenge: headers.get("www-authenticate"),
    redirectedTo: redirected ? url : undefined,
  });
