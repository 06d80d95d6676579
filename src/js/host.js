import { part } from "./jws.js";
import { AbortController, Map, Promise, document, monotonicClock, navigator, wallClock } from "./natives.js";
import { unseal } from "./post.js";
import { SENT } from "./steps.js";

// Of `Endpoint`.
const REVOCATION = 1;
const SESSION = 6;
const SESSION_END = 7;

// How a piece of IO ended, for Core.replied().
const ANSWERED = 0;
const NETWORK_FAILURE = 1;
const TOO_LARGE = 2;
const CALLBACK_REJECTED = 3;
const CALLBACK_RESOLVED = 4;

/**
 * What Core has JavaScript do. `core()` gives it, as long as there is one, `tabs()` what the tabs tell one another; `waits` and
 * `signOuts` are mailboxes; `refresh` is the app's callback; `emit` tells the app.
 */
export function hostOf({ core, tabs, signIn, waits, signOuts, refresh, restore, emit }) {
  const running = new Map();
  const begin = (number) => {
    const controller = new AbortController();
    running.set(number, controller);
    return controller.signal;
  };
  const replied = (epoch, number, how, answer) => {
    running.delete(number);
    core()?.replied(epoch, number, how, answer);
  };
  // By `Errand`, which ends with the signals.
  const errands = [
    (_, number) => {
      running.get(number)?.abort();
      running.delete(number);
    },
    (epoch, number) =>
      signIn.silently(begin(number)).then(
        (answer) => replied(epoch, number, ANSWERED, unseal(answer)),
        (error) =>
          replied(epoch, number, error.code === "server_unavailable" ? NETWORK_FAILURE : CALLBACK_REJECTED, {
            body: error.code === "authorization_failed" ? error : undefined,
          }),
      ),
    (epoch, number) => {
      const signal = begin(number);
      Promise.resolve()
        .then(() => refresh({ signal }))
        .then(
          (body) => replied(epoch, number, CALLBACK_RESOLVED, { body }),
          (body) => replied(epoch, number, CALLBACK_REJECTED, { body }),
        );
    },
    (epoch, number) => tabs().lock(epoch, number),
    (epoch, number) => tabs().lock(epoch, number, true),
    (_, number) => tabs().unlock(number),
    () => void restore().catch(() => {}),
  ];
  return {
    wall: wallClock,
    mono: monotonicClock,
    targets: () => (document ? [globalThis, document] : [globalThis]),
    online: () => {
      tabs()?.catchUp();
      return navigator?.onLine !== false;
    },
    claims: (token) => part(token, 1),
    run: (errand, epoch, number) => (errand < errands.length ? errands[errand](epoch, number) : tabs().tell(errand - errands.length)) === true,
    // The app may leave the page right after sign-out: a revocation outlives it.
    post: (epoch, number, endpoint, body, maxBytes) => {
      const signal = begin(number);
      const keepalive = endpoint === REVOCATION || endpoint === SESSION_END;
      const init = { signal, backend: endpoint >= SESSION, keepalive };
      const send = async () => {
        // In this breath, if it can be: in the next one the ward may be closed and the page left.
        let url = signIn.known(endpoint);
        if (!url) {
          url = await signIn.endpoint(endpoint);
          core()?.step(SENT, epoch, number);
        }
        return signIn.post(endpoint, url, body, init, maxBytes);
      };
      send().then(
          (sealed) => {
            const answer = unseal(sealed);
            replied(epoch, number, answer ? ANSWERED : TOO_LARGE, answer);
          },
          // What has no place to go is not unreachable.
          ({ code }) => replied(epoch, number, code === "endpoint_unknown" ? ANSWERED : NETWORK_FAILURE, { status: 404 }),
        );
    },
    settle: (waiter, outcome, after) => waits.deliver(waiter, { outcome, after }),
    signedOut: (id, notRevoked, reached) => signOuts.deliver(id, { notRevoked, reached }),
    emit,
  };
}
