// The demo: signs in, hands the tokens to a ward, calls an API with bare fetch, and shows what the ward does.
import { TokenWard } from "/tokenward/index.js";
import { beginSignIn, completeSignIn } from "./sign-in.js";
import { createTimeline } from "./timeline.js";
import { Trace } from "./trace.js";
import { addLogEntry, addRequestRow, isPressed, setPressed, showSnapshot, showStatus, timeOfDay } from "./view.js";

const FRAME_MS = matchMedia("(prefers-reduced-motion: reduce)").matches ? 1000 : 100;

const config = await (await fetch("/config.json")).json();
const trace = new Trace();

const ward = await TokenWard.create({
  clientId: config.clientId,
  endpoints: { token: config.endpoints.token, revocation: config.endpoints.revocation },
  resources: [{ url: `${config.api}/v1` }],
});
ward.install();

const draw = createTimeline(document.getElementById("timeline"), trace);
listen();
wireButtons();
setInterval(render, FRAME_MS);
await signInIfReturning();
await updateStatus();
render();
document.body.dataset.ready = "";

function render() {
  const snapshot = ward.snapshot();
  showSnapshot(snapshot);
  draw(snapshot);
}

async function signInIfReturning() {
  try {
    const answer = await completeSignIn(config);
    if (answer) ward.setTokens(answer.response, { requestedAt: answer.requestedAt });
  } catch (error) {
    addLogEntry("note", `Sign-in failed. ${error.message}`);
  }
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
  on("stepup", undefined, ({ resource, acrValues, maxAge }) => `${resource} wants ${acrValues}, at most ${maxAge} s old`);
  on("insufficientscope", undefined, ({ resource, scope }) => `${resource} wants the scope ${scope}`);
}

/** One request by bare fetch. The servers answer with whether a token came along; the page itself cannot know. */
async function call(label, url, init) {
  const request = trace.requestBegan();
  const fillIn = addRequestRow(label, init?.method ?? "GET", url);
  const end = (ok, outcome) => {
    trace.requestEnded(request, { ok, token: outcome.token });
    fillIn({ state: ok ? "answered" : "failed", ...outcome });
  };
  try {
    const response = await fetch(url, init);
    const { tokenReceived, tokenId } = await response.json();
    end(response.ok, {
      status: String(response.status),
      token: tokenReceived ? "yes" : "no",
      generation: tokenId ? trace.generationOf(tokenId) : undefined,
    });
  } catch (error) {
    end(false, { status: error.code ?? error.name, token: "unknown" });
  }
  await updateStatus();
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
      Promise.resolve(act()).catch((error) => note(`${error.code ?? error.name}: ${error.message}`));
    });

  on("sign-in", () => beginSignIn(config));
  on("sign-out", async () => {
    const { revoked, notRevoked } = await ward.signOut();
    // The button that had the focus is gone.
    document.getElementById("sign-in").focus();
    note(revoked ? "The server revoked the tokens." : `The server did not confirm the revocation of: ${notRevoked.join(", ")}.`);
    // oidc-provider answers unsupported_token_type (RFC 7009 section 2.2.1).
    if (notRevoked.join() === "access_token") note("This server cannot revoke a JWT: it ends by running out, in 30 s at most.");
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
  on("call-public", () => call("call-public", `${api}/public`));
  on("call-other", () => call("call-other", `${other}/`));
  on("call-admin", () => call("call-admin", `${api}/v1/admin`));
  on("call-stepup", () => call("call-stepup", `${api}/v1/stepup`));

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
