import {
  BroadcastChannel,
  Math,
  Object,
  Promise,
  URL,
  clearInterval,
  document,
  history,
  location,
  parent,
  setInterval,
  wallClock,
} from "./natives.js";

/** Whether this page is at that URL, whatever its query. */
export const isAt = (url) => {
  if (!url || !location) return false;
  const { origin, pathname } = new URL(url);
  return location.origin === origin && location.pathname === pathname;
};

/** What the pages of an origin tell one another: authorization responses, and that somebody signed out. No token. */
export const openChannel = () => {
  const channel = new BroadcastChannel("tokenward");
  // Node's would keep the process alive.
  channel.unref?.();
  return channel;
};

/** When somebody signed out last, in any tab: an engine may drop what is said to a page that it keeps for the way back. */
export function lastSignOut(scope) {
  try {
    return +localStorage.getItem(SIGNED_OUT + scope) || 0;
  } catch {
    // There are pages without storage.
    return 0;
  }
}

/** Notes a sign-out; no two are of the same time. */
export function noteSignOut(scope) {
  const at = Math.max(wallClock(), lastSignOut(scope) + 1);
  try {
    localStorage.setItem(SIGNED_OUT + scope, at);
  } catch {
    // As above.
  }
  return at;
}

/** Which wards of an origin are of one session. */
export const scopeOf = ({ issuer, clientId, endpoints, session }) =>
  [issuer ?? endpoints?.token ?? session?.url, clientId].join(" ");

// RFC 6749 section 4.1.2, RFC 9207, OpenID Connect Session Management 1.0.
const PARAMETERS = ["code", "state", "iss", "error", "error_description", "error_uri", "session_state"];

const SIGNED_OUT = "tokenward.signout ";

const CLOSED_POLL_MS = 300;

/** The authorization response in the page's address, which is taken out of it; undefined if there is none. */
export function takeAnswer() {
  if (!location || !history) return undefined;
  const url = new URL(location.href);
  const answer = Object.fromEntries(url.searchParams);
  // An app may have a `code` of its own.
  if (!(answer.state || answer.iss) || !(answer.code || answer.error)) return undefined;
  for (const name of PARAMETERS) url.searchParams.delete(name);
  history.replaceState(history.state, "", url.href);
  return answer;
}

/**
 * Passes an answer on to the page that waits for it, the opener of a popup or the parent of a frame, which its state tells.
 * @returns whether there is one: then this page is only a messenger
 */
export function relay(answer) {
  const kind = answer.state?.[0];
  const target = kind === "f" ? parent : globalThis.opener;
  if (!/^[pf]$/.test(kind) || target === globalThis) return false;
  const message = { tokenward: answer };
  if (target) target.postMessage(message, location.origin);
  // Cross-Origin-Opener-Policy may have cut a popup off.
  else openChannel().postMessage(message);
  if (kind === "p") globalThis.close();
  return Boolean(target);
}

/** Resolves with the answer that a popup or a frame passes on; rejects when `signal` aborts, or with what `closed` makes. */
export function answerTo(state, target, signal, closed) {
  const channel = openChannel();
  let poll;
  let stop;
  const answer = new Promise((resolve, reject) => {
    const take = ({ data }) => {
      if (data?.tokenward?.state === state) resolve(data.tokenward);
    };
    const listen = (event) => {
      if (event.source === target && event.origin === location.origin) take(event);
    };
    const abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort);
    globalThis.addEventListener("message", listen);
    channel.onmessage = take;
    // One that COOP cut off looks closed, too; but then the user's eyes are not on this page.
    if (closed) poll = setInterval(() => target.closed && document.hasFocus() && reject(closed()), CLOSED_POLL_MS);
    stop = () => {
      signal.removeEventListener("abort", abort);
      globalThis.removeEventListener("message", listen);
      channel.close();
      clearInterval(poll);
    };
  });
  return answer.finally(stop);
}
