import { TokenWardError } from "./errors.js";
import { Promise, apply, monotonicClock } from "./natives.js";
import { parse, prepare, readInput } from "./requests.js";

// Answers of Core.authorize().
const SEND_AS_IS = 0;
const SEND = 1;
const WAIT = 2;

const ANY_TOKEN = -1;

const { then } = Promise.prototype;

/**
 * A `fetch` that authorises what `gate.core` says and leaves the rest to `next`, with the very same arguments. Without
 * `gate.core` it leaves everything.
 *
 * @param gate `core`; `wait(after, since, signal)`: resolves with the stamp to go on after, or rejects; `failed(error)`:
 * the error to reject with
 */
export function intercept(next, gate) {
  const intercepted = {
    fetch(input) {
      const { core } = gate;
      const args = arguments;
      if (!core || args.length === 0) return apply(next, this, args);
      let request, code, rule;
      try {
        const target = readInput(input);
        const href = parse(target);
        rule = href === null ? -1 : core.findRule(href);
        if (rule < 0) {
          if (typeof target === "string") args[0] = target;
        } else {
          request = prepare(target, href, args[1]);
          code = core.authorize(rule, request.method, request.flags, ANY_TOKEN);
          if (code === WAIT) request = request.hold();
        }
      } catch (error) {
        return Promise.reject(gate.failed(error));
      }
      if (!request) return apply(next, this, args);
      const call = { gate, core, next, receiver: this, rule, request };
      if (code === SEND) return authorised(call, core.authorization(), core.stamp());
      if (code === WAIT) return waiting(call);
      return apply(next, this, request.send(undefined, true));
    },
  };
  return intercepted.fetch;
}

/** Sends, and looks at a refusal. */
function authorised(call, authorization, stamp) {
  const { next, receiver, request } = call;
  const answer = apply(next, receiver, request.send(authorization));
  return apply(then, Promise.resolve(answer), [
    (response) => (isRefusal(response) ? refused(call, stamp, response) : response),
  ]);
}

async function waiting(call) {
  const { core, next, receiver, request } = call;
  const code = await permitted(call, ANY_TOKEN);
  if (code === SEND) return authorised(call, core.authorization(), core.stamp());
  return apply(next, receiver, request.send(undefined, true));
}

/** Waits until the request may go with a token newer than `after`, or as it is. */
async function permitted({ gate, core, rule, request }, after) {
  const since = monotonicClock();
  for (;;) {
    const code = core.authorize(rule, request.method, request.flags, after);
    if (code === SEND || code === SEND_AS_IS) return code;
    if (code !== WAIT) throw new TokenWardError("signed_out");
    after = await gate.wait(after, since, request.signal);
  }
}

async function refused(call, stamp, response) {
  const { core, next, receiver, request } = call;
  if (!report(call, stamp, response, false)) return response;
  try {
    if ((await permitted(call, stamp)) !== SEND) return response;
  } catch (error) {
    if (request.signal?.aborted) throw error;
    // There is no better answer than the one the resource gave.
    return response;
  }
  response.body?.cancel().catch(() => {});
  const newer = core.stamp();
  const repeated = await apply(next, receiver, request.send(core.authorization(), true));
  if (isRefusal(repeated)) report(call, newer, repeated, true);
  return repeated;
}

const isRefusal = ({ status }) => status === 401 || status === 403;

const report = ({ core, rule, request }, stamp, { status, headers, redirected, url }, repeated) =>
  core.refused(rule, request.method, request.flags, stamp, repeated, {
    status,
    challenge: headers.get("www-authenticate"),
    redirectedTo: redirected ? url : undefined,
  });
