// Puts what the ward knows into the page.

const ROWS_KEPT = 100;

const STATES = {
  signed_out: "Signed out",
  fresh: "Signed in",
  due: "Signed in, refresh due",
  expired: "Token expired, requests wait",
};

const REASONS = {
  schedule: "as planned",
  server_request: "as the server asked",
  retry: "trying again",
  retry_after: "the server said to wait",
  requests_waiting: "requests are waiting",
};

const WAYS = {
  "sign-in": "by signing in on this page",
  backend: "through the backend and its cookie",
  silent: "through a hidden frame (prompt=none)",
};

const WORKERS = {
  connected: "The service worker is connected.",
  unavailable: "There is no service worker: what these three ask for goes without a token.",
};

const byId = (id) => document.getElementById(id);

function setText(id, text) {
  const node = byId(id);
  // An equal text must not touch the live region.
  if (node.textContent !== text) node.textContent = text;
}

export const timeOfDay = (at) => new Date(at).toLocaleTimeString("en-GB");

const countdown = (at, now) => (at === null ? "–" : `${Math.max(0, Math.ceil((at - now) / 1000))} s`);

export function showSnapshot({ status, generation, expiresAt, nextRefresh, refreshing, waiting, failures }) {
  const now = Date.now();
  const signedIn = status !== "signed_out";
  const state = byId("state");
  state.dataset.status = status;
  state.toggleAttribute("data-refreshing", refreshing);
  setText("state-text", STATES[status] + (refreshing && status !== "fresh" ? ", refreshing" : ""));
  setText("generation", signedIn ? String(generation) : "–");
  setText("expires-in", signedIn && expiresAt === null ? "unknown" : countdown(expiresAt, now));
  setText("next-refresh", refreshing ? "now" : countdown(nextRefresh?.at ?? null, now));
  setText("next-refresh-why", REASONS[nextRefresh?.why] ?? "");
  setText("waiting", String(waiting));
  setText("failures", String(failures));
  setText("online", navigator.onLine ? "online" : "offline");
  for (const id of ["sign-in", "sign-in-popup", "sign-in-backend"]) byId(id).hidden = signedIn;
  for (const id of ["sign-out", "sign-out-everywhere", "front-channel"]) byId(id).hidden = !signedIn;
}

/** @param {keyof typeof WORKERS} state */
export function showWorker(state) {
  byId("worker").dataset.state = state;
  setText("worker", WORKERS[state]);
}

/** @param {keyof typeof WAYS} [how] the session came to this page */
export function showUser(user, how) {
  const line = byId("user");
  line.hidden = !user || !how;
  if (line.hidden) return;
  Object.assign(line.dataset, { sub: user.sub, how });
  setText("user-name", user.name ?? user.sub);
  setText("user-sub", user.sub);
  setText("user-how", WAYS[how]);
}

export function showStatus({ switches, seen }) {
  setText("seen-refreshes", String(seen.refreshes));
  setText("seen-api-requests", String(seen.apiRequests));
  setText("seen-expired-tokens", String(seen.expiredTokens));
  setText("seen-stray-tokens", String(seen.strayTokens));
  setPressed("break-refresh", switches.breakRefresh);
  setPressed("auth-unreachable", switches.authUnreachable);
}

export function setPressed(id, on) {
  byId(id).setAttribute("aria-pressed", String(on));
}

export const isPressed = (id) => byId(id).getAttribute("aria-pressed") === "true";

/** Changes the page. A button that had the focus may go, perhaps by what another tab did: a screen reader is told. */
export function keepFocus(change) {
  const focused = document.activeElement;
  change();
  if (focused?.hidden) byId(byId("user").hidden ? "sign-in" : "user").focus();
}

export function offerStepUp(offered) {
  byId("step-up").hidden = !offered;
}

export function addLogEntry(event, text, data = {}) {
  const item = document.createElement("li");
  Object.assign(item.dataset, { event, ...data });
  const name = document.createElement("b");
  name.textContent = event;
  const stamp = document.createElement("time");
  stamp.textContent = timeOfDay(Date.now());
  item.append(stamp, " ", name, " ", text);
  prepend("log", item);
}

/** @returns {(outcome: { state: string, status: string, token: string, generation?: number }) => void} fills in the answer */
export function addRequestRow(label, method, url, by) {
  const startedAt = Date.now();
  const row = document.createElement("tr");
  Object.assign(row.dataset, { label, state: "pending" });
  const { host, pathname } = new URL(url);
  const address = document.createElement("span");
  address.textContent = pathname;
  address.title = host;
  const [stamp, request, token, answer] = Array.from({ length: 4 }, () => row.insertCell());
  stamp.textContent = timeOfDay(startedAt);
  const way = document.createElement("small");
  way.textContent = `by ${by}`;
  request.append(`${method} `, address, " ", way);
  answer.textContent = "…";
  prepend("requests", row);

  return (outcome) => {
    Object.assign(row.dataset, { state: outcome.state, status: outcome.status, token: outcome.token });
    if (outcome.generation !== undefined) row.dataset.generation = outcome.generation;
    token.textContent = { yes: `yes, #${outcome.generation ?? "?"}`, no: "no", unknown: "–" }[outcome.token];
    answer.textContent = `${outcome.status} after ${Date.now() - startedAt} ms`;
  };
}

function prepend(id, node) {
  const list = byId(id);
  list.prepend(node);
  while (list.children.length > ROWS_KEPT) list.lastElementChild.remove();
}
