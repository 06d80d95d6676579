// The demo: signs in, calls an API in the ways a page can, and shows what the ward does.
import { TokenWard } from "/tokenward/index.js";
import { createTimeline } from "./timeline.js";
import { Trace } from "./trace.js";
import {
  addLogEntry,
  addRequestRow,
  isPressed,
  keepFocus,
  offerStepUp,
  setPressed,
  showSnapshot,
  showStatus,
  showUser,
  showWorker,
  timeOfDay,
} from "./view.js";
import { answerOf, byXhr, unseen } from "./ways.js";

const FRAME_MS = matchMedia("(prefers-reduced-motion: reduce)").matches ? 1000 : 100;
const FOUND = {
  backend: "The backend knew this browser by its cookie and sent an access token.",
  silent: "The authorization server still knew this browser: signed in in a hidden frame, without a question.",
};
const RENEWALS = {
  renewed: "This tab renewed: the backend got a new token for it.",
  newer: "Another tab renewed: the backend had a newer token already.",
};

const config = await (await fetch("/config.json")).json();
const trace = new Trace();
/** Where the page remembers whether tokens are to be bound to a key. */
const BOUND = "demo.bound";

const ward = await TokenWard.create({
  issuer: config.issuer,
  clientId: config.clientId,
  redirectUri: `${location.origin}/`,
  relayUri: `${location.origin}/callback.html`,
  postLogoutRedirectUri: `${location.origin}/`,
  scope: config.scope,
  restore: ["session", "silent"],
  session: config.session,
  dpop: localStorage.getItem(BOUND) !== null,
  resources: [{ url: `${config.api}/v1` }],
});
ward.install({ xhr: true });

/** How the session came to this page, a key of WAYS in view.js; undefined while there is none. */
let how;
/** Whether this page signs in, or looks for a session. */
let signingIn = true;
/** The event that "Prove it again" is about. */
let stepUp;

const draw = createTimeline(document.getElementById("timeline"), trace);
listen();
listenAround();
wireButtons();
connectWorker();
await arrive().catch(showError);
signingIn = false;
await updateStatus();
render();
setInterval(render, FRAME_MS);
document.body.dataset.ready = "";

function render() {
  const snapshot = ward.snapshot();
  keepFocus(() => {
    showSnapshot(snapshot);
    showUser(ward.user, how);
  });
  draw(snapshot);
}

/** Lets the service worker authorise what elements ask for. Without one, everything else works as ever. */
async function connectWorker() {
  // The page's one policy of Trusted Types, "tokenward-demo", makes one URL: that of its service worker.
  const rules = { createScriptURL: (api) => `/sw.js?${new URLSearchParams({ api })}` };
  const policy = globalThis.trustedTypes?.createPolicy("tokenward-demo", rules) ?? rules;
  try {
    if (!navigator.serviceWorker) throw new Error("this browser has none");
    await navigator.serviceWorker.register(policy.createScriptURL(config.api), { type: "module" });
    await ward.connectServiceWorker();
    showWorker("connected");
  } catch ({ message }) {
    showWorker("unavailable");
    addLogEntry("note", `No service worker: ${message}`);
  }
}

/** The page was loaded: after a sign-in, or there may be a session from before. */
async function arrive() {
  const refused = takeBackendError();
  if (refused) {
    addLogEntry("error", `The backend could not sign in: ${refused}.`, { code: "backend", error: refused });
    return;
  }
  const back = await ward.handleCallback();
  if (back) {
    history.replaceState(null, "", back.returnTo);
    came("sign-in");
    addLogEntry("note", "Back from the authorization server, signed in.");
    return;
  }
  const { signedIn, retryable } = await ward.restore();
  if (signedIn) {
    addLogEntry("note", FOUND[how]);
  } else {
    addLogEntry("note", retryable ? "No session was found, but not everybody could be asked: reload to try again." : "No session was found.");
  }
}

/** The backend is another client than this page, and an ID token says whose it is. */
function found() {
  return [ward.user?.aud].flat().includes(config.clientId) ? "silent" : "backend";
}

function came(way) {
  how = way;
  // Which session front-channel logout is about.
  document.getElementById("front-channel").href =
    `${config.issuer}/frontchannel-test?${new URLSearchParams({ sid: ward.user?.sid ?? "" })}`;
  render();
}

/** What the backend says in the address if its sign-in failed. */
function takeBackendError() {
  const url = new URL(location.href);
  const error = url.searchParams.get("sign_in_error");
  url.searchParams.delete("sign_in_error");
  if (error) history.replaceState(null, "", url.href);
  return error;
}

function showError(error) {
  const { code = error.name, message } = error;
  addLogEntry("error", `${code}: ${message}`, { code, ...(error.error && { error: error.error }) });
}

function listen() {
  const on = (type, record, describe, data) =>
    ward.addEventListener(type, (event) => {
      record?.(event);
      addLogEntry(type, describe(event), data?.(event));
      render();
      updateStatus();
    });
  const failure = ({ cause, status, error, attempt, retryAt }) => {
    const what = [cause, status, error].filter((part) => part !== null).join(", ");
    const next = retryAt === null ? "" : `, again in ${((retryAt - Date.now()) / 1000).toFixed(1)} s`;
    return `${what}; failure ${attempt} in a row${next}`;
  };
  const lifetime = ({ generation, expiresAt }) =>
    `token #${generation}, ${expiresAt === null ? "no known expiry" : `good until ${timeOfDay(expiresAt)}`}`;

  ward.addEventListener("signedin", () => {
    came(found());
    if (!signingIn) addLogEntry("note", `Another tab signed in, or the network came back: looked again. ${FOUND[how]}`);
  });
  ward.addEventListener("signedout", () => {
    how = undefined;
    offer(undefined);
  });
  ward.addEventListener("stepup", offer);

  on("signedin", (event) => trace.tokenAccepted(event), lifetime);
  on("refreshed", (event) => trace.tokenAccepted(event), lifetime);
  on("refreshdelayed", () => trace.refreshEnded("delayed"), failure);
  on("refreshfailed", () => trace.refreshEnded("failed"), failure);
  on(
    "signedout",
    () => trace.signedOut(),
    ({ reason, error }) => `reason: ${reason}${error ? `, the server said ${error}` : ""}; every token is wiped`,
    ({ reason }) => ({ reason }),
  );
  on("stepup", undefined, ({ resource, acrValues, maxAge }) => `${resource} wants ${acrValues}, at most ${maxAge} s old. “Prove it again” gets it`);
  on("insufficientscope", undefined, ({ resource, scope }) => `${resource} wants the scope ${scope}`);
}

/** Of the world around this tab, which the ward hears of by itself. */
function listenAround() {
  addEventListener("offline", () => addLogEntry("note", "The browser is offline: a renewal waits until it is back."));
  addEventListener("online", () => addLogEntry("note", "The browser is online again."));
  // An answer of the backend's is the ward's alone, but for its Server-Timing.
  const backend = new URL(config.session.url, location.href).href;
  new PerformanceObserver((list) => {
    for (const { serverTiming = [] } of list.getEntriesByName(backend)) {
      const renewal = serverTiming.find(({ name }) => name in RENEWALS)?.name;
      if (renewal) addLogEntry("note", RENEWALS[renewal], { renewal });
    }
  }).observe({ type: "resource" });
}

function offer(event) {
  stepUp = event;
  offerStepUp(event);
}

/** One request by bare fetch. */
const call = (label, url, init) =>
  follow({ label, method: init?.method, url }, async () => answerOf(await fetch(url, init)));

/** One request by an element or the like, for a URL that no other request has. */
function callUnseen(label, by, ask, path) {
  const search = `?${crypto.randomUUID()}`;
  const url = config.api + path + search;
  return follow({ label, url, by }, async () => {
    const ok = await ask(url);
    const requests = await (await fetch("/api-requests.json")).json();
    const seen = requests.findLast((request) => request.path === path + search);
    if (!seen) throw new DOMException("", "NetworkError");
    return { ...seen, ok };
  });
}

/** `send` resolves with an `Answer`, see ways.js. */
async function follow({ label, method = "GET", url, by = "fetch" }, send) {
  const request = trace.requestBegan();
  const fillIn = addRequestRow(label, method, url, by);
  const end = (ok, outcome) => {
    trace.requestEnded(request, { ok, token: outcome.token });
    fillIn({ state: ok ? "answered" : "failed", ...outcome });
  };
  try {
    const { ok, status, tokenReceived, tokenId } = await send();
    end(ok, {
      status: String(status),
      token: tokenReceived ? "yes" : "no",
      generation: tokenId ? trace.generationOf(tokenId) : undefined,
    });
  } catch (error) {
    end(false, { status: error.code ?? error.name, token: "unknown" });
  }
  await updateStatus();
}

/** Signs in anew, as the event asks; the ward then repeats the request that was refused. */
async function proveAgain() {
  const event = stepUp;
  try {
    const { response } = await signInInPopup({ stepUp: event });
    // The repeated request may have been refused as well, which is another event.
    if (stepUp === event) offer(undefined);
    document.getElementById("call-stepup").focus();
    return response;
  } catch (error) {
    showError(error);
    throw error;
  }
}

async function signInInPopup(options) {
  signingIn = true;
  try {
    const signedIn = await ward.signIn({ ...options, mode: "popup" });
    came("sign-in");
    return signedIn;
  } finally {
    signingIn = false;
  }
}

async function signOut(options) {
  const { revoked, notRevoked } = await ward.signOut(options);
  const note = (text) => addLogEntry("note", text);
  note(revoked ? "The server revoked the tokens." : `The server did not confirm the end of: ${notRevoked.join(", ")}.`);
  // oidc-provider answers unsupported_token_type (RFC 7009 section 2.2.1).
  if (notRevoked.includes("access_token") && !notRevoked.includes("refresh_token")) {
    note("This server cannot revoke a JWT: it ends by running out, in 30 s at most.");
  }
  note("The authorization server still knows this browser: a reload may sign in again. “Sign out everywhere” ends that too.");
}

async function updateStatus() {
  showStatus(await (await fetch("/status.json")).json());
}

async function control(name, body = {}) {
  const response = await fetch(`/control/${name}`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-tokenward-demo": "1" },
    body: JSON.stringify(body),
  });
  showStatus(await response.json());
}

function wireButtons() {
  const { api, other } = config;
  const note = (text) => addLogEntry("note", text);
  const on = (id, act) =>
    document.getElementById(id).addEventListener("click", () => {
      Promise.resolve(act()).catch(showError);
    });
  // OpenID Connect Core section 11: offline_access needs the user's consent.
  const prompt = "consent";

  on("sign-in", () => ward.signIn({ prompt }));
  on("sign-in-popup", () => signInInPopup({ prompt }));
  on("sign-in-backend", () => location.assign("/session/sign-in?returnTo=/"));
  on("sign-out", () => signOut());
  on("sign-out-everywhere", () => signOut({ endSession: true }));
  on("reload", () => location.reload());
  setPressed("bind", localStorage.getItem(BOUND) !== null);
  on("bind", async () => {
    if (isPressed("bind")) localStorage.removeItem(BOUND);
    else localStorage.setItem(BOUND, "");
    // Tokens of one type are none of the other.
    if (ward.signedIn) await signOut();
    location.reload();
  });
  on("refresh-now", () => ward.refresh());

  const callOrders = () => call("call-orders", `${api}/v1/orders`);
  on("call-orders", callOrders);
  let repeating;
  on("call-repeatedly", () => {
    clearInterval(repeating);
    setPressed("call-repeatedly", !isPressed("call-repeatedly"));
    if (isPressed("call-repeatedly")) {
      repeating = setInterval(callOrders, 1000);
      return callOrders();
    }
    return undefined;
  });
  on("call-echo", () =>
    call("call-echo", `${api}/v1/echo`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ item: "Saucers", quantity: 6 }),
    }),
  );
  on("call-xhr", () => {
    const url = `${api}/v1/orders`;
    return follow({ label: "call-xhr", url, by: "XMLHttpRequest" }, () => byXhr(url));
  });
  on("call-image", () => callUnseen("call-image", "img", unseen.image, "/v1/picture.svg"));
  on("call-events", () => callUnseen("call-events", "EventSource", unseen.events, "/v1/events"));
  on("call-sound", () => callUnseen("call-sound", "audio", unseen.sound, "/v1/sound.wav"));
  on("call-public", () => call("call-public", `${api}/public`));
  on("call-other", () => call("call-other", `${other}/`));
  on("call-admin", () => call("call-admin", `${api}/v1/admin`));
  on("call-stepup", () => call("call-stepup", `${api}/v1/stepup`));
  on("step-up", () => follow({ label: "step-up", url: `${api}/v1/stepup` }, async () => answerOf(await proveAgain())));

  // Refused, since this page has not asked for `dangerouslyExposeAccessToken`.
  on("ticket", () => ward.ticket(`${api}/v1/socket`));

  on("revoke", async () => {
    await control("revoke");
    note("The server revoked every grant. The next refresh will find out.");
  });
  on("break-refresh", () => control("break-refresh", { on: !isPressed("break-refresh") }));
  on("rate-limit", () => control("rate-limit"));
  on("auth-unreachable", () => control("auth-unreachable", { on: !isPressed("auth-unreachable") }));
  on("refuse-once", async () => {
    await control("refuse-once");
    note("The API will refuse the next token with invalid_token, though it is good.");
  });
}
