import { TokenWardError } from "./errors.js";
import { Proxy, apply, monotonicClock } from "./natives.js";
import { NOT_REPLAYABLE, isObject, keyOf, parse, prepare, readInput } from "./requests.js";
import { NONCE } from "./steps.js";

// Answers of Core.authorize().
export const SEND_AS_IS = 0;
export const SEND = 1;
export const WAIT = 2;

/** Of `Core.refused()`: repeat it with a newer token. What is more repeats it with the same. */
export const NEWER = 1;

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
      let request, code, rule, href;
      try {
        const target = readInput(args[0]);
        const key = typeof target === "string" ? keyOf(target) : undefined;
        href = target;
        rule = key === undefined ? undefined : known[key];
        if (rule === undefined) {
          href = parse(target, realm);
          rule = ruleOf(core, href, key);
        }
        const init = args[1];
        // fetch has its own word for an init that is no object.
        if (init != null && !isObject(init)) rule = -1;
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
      const call = { gate, core, next, receiver, realm, rule, request, href };
      if (!request.signal?.aborted) {
        if (code === SEND && gate.send) return realm.Promise.resolve(gate.send(call));
        const credentials = code === SEND && credentialsOf(core);
        if (code === WAIT || (credentials && isBound(credentials))) return realm.Promise.resolve(waiting(call));
        if (credentials) return authorised(call, credentials);
      }
      return apply(next, receiver, request.send(undefined, true));
    },
  });
}

/** An answer may bring the nonce for the next proof. */
const heard = ({ core }, { dpop }, { url, headers }) => dpop && core.step(NONCE, url, headers.get("dpop-nonce"));

/** With `dpop`, lest all objects be asked for it where there is none. */
export const credentialsOf = (core) => ({ authorization: core.authorization(), stamp: core.stamp(), dpop: undefined });

/** Whether it takes a proof of possession: the scheme is `DPoP`, not `Bearer`. */
export const isBound = ({ authorization }) => authorization[0] === "D";

/** Sends, and looks at the answer. */
function authorised(call, credentials) {
  const { next, receiver, realm, request } = call;
  const answer = apply(next, receiver, request.send(credentials));
  return apply(realm.then, realm.Promise.resolve(answer), [
    (response) => {
      heard(call, credentials, response);
      return isRefusal(response) ? refused(call, credentials.stamp, response, 0) : response;
    },
  ]);
}

/** Sends a refused request again; null if its body is gone. */
export const again = (call) => (call.request.flags & NOT_REPLAYABLE ? null : waiting(call));

function waiting(call) {
  const { core, next, receiver, request } = call;
  return permitted(call, ANY_TOKEN, (code, credentials) =>
    code === SEND ? authorised(call, credentials) : apply(next, receiver, request.send(undefined, true)),
  );
}

/**
 * Waits until the request may go with a token newer than `after`, or as it is, and lets it `go` in the same breath: a
 * moment later the session may be another one.
 */
export async function permitted({ gate, core, rule, request, href }, after, go) {
  const since = monotonicClock();
  for (;;) {
    const code = core.authorize(rule, request.method, request.flags, after);
    if (code === SEND_AS_IS) return go(code);
    if (code === WAIT) {
      after = await gate.wait(after, since, request.signal);
    } else if (code !== SEND) {
      throw new TokenWardError("signed_out");
    } else {
      const credentials = credentialsOf(core);
      if (!isBound(credentials)) return go(code, credentials);
      credentials.dpop = await gate.prove(request.method, href, credentials);
      // Meanwhile there may be another token, of another session even.
      if (core.stamp() === credentials.stamp) return go(code, credentials);
      if (after < 0) after = credentials.stamp - 1;
    }
  }
}

async function refused(call, stamp, response, done) {
  const { gate, next, receiver, request } = call;
  // For an event that is about this request.
  gate.refusing(call);
  const how = report(call, stamp, response, done);
  gate.refusing(undefined);
  if (!how) return response;
  // Here, and not what is resolved with, which shows to whoever replaced a method of all promises.
  let sent, answer;
  const repeat = (code, credentials) => {
    if (code !== SEND) return;
    sent = credentials;
    answer = apply(next, receiver, request.send(credentials, !credentials.dpop));
  };
  try {
    // The same token will do for a nonce.
    await permitted(call, how === NEWER ? stamp : stamp - 1, repeat);
  } catch (error) {
    if (request.signal?.aborted) throw error;
  }
  // There may be no better answer than the one the resource gave.
  if (!sent) return response;
  response.body?.cancel().catch(() => {});
  const repeated = await answer;
  heard(call, sent, repeated);
  return isRefusal(repeated) ? refused(call, sent.stamp, repeated, done + how) : repeated;
}

export const isRefusal = ({ status }) => status === 401 || status === 403;

/** What Core makes of a refusal; `done` is the sum of what it made of those before. */
export const report = ({ core, rule, request }, stamp, { status, headers, redirected, url }, done) =>
  core.refused(rule, request.method, request.flags, stamp, done, {
    status,
    challenge: headers.get("www-authenticate"),
    redirectedTo: redirected ? url : undefined,
  });
