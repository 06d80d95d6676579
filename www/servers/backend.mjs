// A token-mediating backend (draft-ietf-oauth-browser-based-apps): it signs in as a confidential client and keeps the
// refresh token; the page gets access tokens for a cookie. Its routes belong on the app's own origin.
//
// It is made for http: on loopback. With https: its cookies have to be `Secure`, and `allowInsecureRequests` has to go.
import { randomBytes } from "node:crypto";
import * as oidc from "openid-client";
import { takeFault } from "./faults.mjs";
import { Journal, readBody, sendJson } from "./http.mjs";

const PATH = "/session";
const SESSION = "session";
const SIGN_IN = "sign-in";
const SIGN_IN_SECONDS = 600;
const MAX_FORM_BYTES = 1024;
const RETRY_AFTER_SECONDS = 5;

const randomId = () => randomBytes(32).toString("base64url");

/**
 * @typedef {object} BackendRecord
 * @property {number} at arrival, `Date.now()`
 * @property {"signIn" | "callback" | "token" | "signOut"} route
 * @property {Record<string, string>} headers
 * @property {Record<string, string>} params of the body
 * @property {number | null} status `null` until answered, `0` if it never was
 * @property {boolean} faulted
 *
 * @typedef {{ status: number, headers?: Record<string, string | string[]>, body?: object }} Answer
 */

/**
 * @param {object} options
 * @param {string} options.issuer asked for its metadata at the first sign-in
 * @param {string} options.clientId
 * @param {string} options.clientSecret
 * @param {string} [options.scope]
 * @param {number} [options.timeoutSeconds] for one request to the authorization server
 */
export function createBackend({
  issuer,
  clientId,
  clientSecret,
  scope = "openid profile offline_access orders",
  timeoutSeconds = 10,
}) {
  const requests = new Journal();
  /** @type {Record<BackendRecord["route"], import("./faults.mjs").Faults>} as at the authorization server, but for CORS */
  const faults = { signIn: [], callback: [], token: [], signOut: [] };
  const sessions = new Map();
  const signIns = new Map();
  let configuration;

  const routes = {
    [`GET ${PATH}/sign-in`]: { name: "signIn", run: signIn },
    [`GET ${PATH}/callback`]: { name: "callback", run: callback },
    [`POST ${PATH}/token`]: { name: "token", run: own(token) },
    [`POST ${PATH}/sign-out`]: { name: "signOut", run: own(signOut) },
  };

  /** @type {import("./static.mjs").Handler} */
  async function handle(request, response, { origin }) {
    const url = new URL(request.url, origin);
    const route = routes[`${request.method} ${url.pathname}`];
    if (!route) return false;
    const fault = takeFault(faults[route.name]);
    const at = Date.now();
    const params = Object.fromEntries(new URLSearchParams(String(await readBody(request, MAX_FORM_BYTES))));
    const record = requests.add({
      at,
      route: route.name,
      headers: { ...request.headers },
      params,
      status: null,
      faulted: Object.keys(fault).length > 0,
    });
    await fault.hold;
    const cookies = readCookies(request);
    const answer = await answerTo(() => attempt(route.run, { url, origin, request, params, cookies }), fault);
    if (answer) send(response, answer);
    else if (!fault.hang) request.socket.destroy();
    record.status = answer?.status ?? 0;
    requests.changed();
    return true;
  }

  /** @returns {Promise<Answer | undefined>} nothing if there will be no answer */
  async function answerTo(run, fault) {
    if (fault.hang || fault.reset) return undefined;
    if (fault.status !== undefined) return fault;
    const answer = await run();
    if (fault.lose) return undefined;
    return fault.transform ? { ...answer, body: await fault.transform(answer.body) } : answer;
  }

  /** What fails here is the authorization server, or the way there. */
  async function attempt(run, context) {
    try {
      return await run(context);
    } catch (error) {
      return {
        status: 503,
        headers: { "retry-after": String(RETRY_AFTER_SECONDS) },
        body: { error: "temporarily_unavailable", error_description: error.message },
      };
    }
  }

  /** No other page may use the cookie: none can send this header here without being asked for CORS first. */
  function own(run) {
    return (context) => {
      const { "x-csrf": header, origin } = context.request.headers;
      if (header === "1" && origin === context.origin) return run(context);
      return { status: 403, body: { error: "This is only for pages of this origin." } };
    };
  }

  async function configure() {
    configuration ??= await oidc.discovery(new URL(issuer), clientId, {}, oidc.ClientSecretBasic(clientSecret), {
      execute: [oidc.allowInsecureRequests],
      timeout: timeoutSeconds,
    });
    return configuration;
  }

  /** @returns {Promise<Answer>} */
  async function signIn({ url, origin }) {
    const returnTo = ownUrl(url.searchParams.get("returnTo") ?? "/", origin);
    if (!returnTo) return { status: 400, body: { error: "returnTo has to be a path of this origin." } };
    const server = await configure();
    const checks = {
      expectedState: oidc.randomState(),
      expectedNonce: oidc.randomNonce(),
      pkceCodeVerifier: oidc.randomPKCECodeVerifier(),
    };
    const location = oidc.buildAuthorizationUrl(server, {
      redirect_uri: `${origin}${PATH}/callback`,
      scope,
      // OpenID Connect Core section 11: offline_access needs the user's consent.
      prompt: "consent",
      state: checks.expectedState,
      nonce: checks.expectedNonce,
      code_challenge: await oidc.calculatePKCECodeChallenge(checks.pkceCodeVerifier),
      code_challenge_method: "S256",
    });
    const id = randomId();
    forgetOldSignIns();
    signIns.set(id, { checks, returnTo, at: Date.now() });
    // Lax, since the answer may come from another site.
    const cookie = `${SIGN_IN}=${id}; HttpOnly; SameSite=Lax; Path=${PATH}/callback; Max-Age=${SIGN_IN_SECONDS}`;
    return { status: 303, headers: { location: location.href, "set-cookie": cookie } };
  }

  function forgetOldSignIns() {
    for (const [id, { at }] of signIns) if (Date.now() - at > SIGN_IN_SECONDS * 1000) signIns.delete(id);
  }

  /** @returns {Promise<Answer>} */
  async function callback({ url, cookies }) {
    const begun = signIns.get(cookies[SIGN_IN]);
    signIns.delete(cookies[SIGN_IN]);
    if (!begun || url.searchParams.get("state") !== begun.checks.expectedState) {
      return { status: 400, body: { error: "This sign-in was not begun in this browser, or is over." } };
    }
    const requestedAt = Date.now();
    try {
      const response = await oidc.authorizationCodeGrant(await configure(), url, begun.checks);
      const id = randomId();
      sessions.set(id, { tokens: { ...tokensOf(response, requestedAt), version: randomId() } });
      // Strict: the page asks for its tokens itself, from its own origin.
      const cookie = `${SESSION}=${id}; HttpOnly; SameSite=Strict; Path=${PATH}`;
      return { status: 303, headers: { location: begun.returnTo, "set-cookie": cookie } };
    } catch (error) {
      if (!(error instanceof oidc.AuthorizationResponseError)) throw error;
      const back = new URL(begun.returnTo, url);
      back.searchParams.set("sign_in_error", error.error);
      return { status: 303, headers: { location: back.href } };
    }
  }

  /**
   * The session's access token, and its `version`. `after` names the one that the page has: a newer one is wanted, which
   * another tab may have got already. An empty `after` comes of a page that does not know. Which of it was so is in
   * `Server-Timing`, where the page can read it.
   * @returns {Promise<Answer>}
   */
  async function token({ request, cookies, params: { after } }) {
    const { dpop } = request.headers;
    const id = cookies[SESSION];
    const session = sessions.get(id);
    if (!session) return { status: 401, body: {} };
    let timing = after === undefined ? "kept" : "newer";
    try {
      const isOfOtherType = Boolean(dpop) !== /^dpop$/i.test(session.tokens.token_type);
      const isWanted = after === "" || after === session.tokens.version || isDue(session.tokens) || isOfOtherType;
      if (isWanted) {
        if (!session.renewal) timing = "renewed";
        await renewOnce(session, dpop);
      }
    } catch (error) {
      const { nonce } = error;
      if (nonce) return { status: 400, headers: { "dpop-nonce": nonce }, body: { error: "use_dpop_nonce" } };
      if (!(error instanceof oidc.ResponseBodyError && error.error === "invalid_grant")) throw error;
      sessions.delete(id);
    }
    // It may have ended meanwhile.
    if (!sessions.has(id)) return { status: 401, headers: { "set-cookie": endCookie() }, body: {} };
    const { access_token, token_type, scope: granted, id_token, version, expiresAt } = session.tokens;
    const expires_in = Math.max(0, Math.floor((expiresAt - Date.now()) / 1000));
    return {
      status: 200,
      headers: { "server-timing": timing },
      body: { access_token, expires_in, token_type, scope: granted, id_token, version },
    };
  }

  /** A second use of a rotated refresh token would look like theft, so there is one renewal at a time. */
  function renewOnce(session, proof) {
    session.renewal ??= renew(session, proof).finally(() => {
      session.renewal = undefined;
    });
    return session.renewal;
  }

  async function renew(session, proof) {
    const requestedAt = Date.now();
    const server = await configure();
    const { refresh_token: refreshToken } = session.tokens;
    const response = await (proof ? renewBound(server, refreshToken, proof) : oidc.refreshTokenGrant(server, refreshToken));
    session.tokens = { ...session.tokens, ...tokensOf(response, requestedAt), version: randomId() };
  }

  /** Passes on the page's proof, so that the access token is bound to the page's key (RFC 9449 section 5). */
  async function renewBound(server, refreshToken, proof) {
    const answer = await fetch(server.serverMetadata().token_endpoint, {
      method: "POST",
      headers: { authorization: `Basic ${btoa(`${clientId}:${clientSecret}`)}`, dpop: proof },
      body: new URLSearchParams({ grant_type: "refresh_token", refresh_token: refreshToken }),
      signal: AbortSignal.timeout(timeoutSeconds * 1000),
    });
    const body = await answer.json();
    if (answer.ok) return body;
    if (body.error === "use_dpop_nonce") throw Object.assign(new Error(body.error), { nonce: answer.headers.get("dpop-nonce") });
    throw new oidc.ResponseBodyError(body.error, { cause: body, response: answer });
  }

  /** @returns {Promise<Answer>} */
  async function signOut({ cookies }) {
    const session = sessions.get(cookies[SESSION]);
    sessions.delete(cookies[SESSION]);
    if (session) {
      // The tokens of a renewal under way are the ones to revoke. The session is over here in any case.
      await session.renewal?.catch(() => {});
      await configure()
        .then((server) => oidc.tokenRevocation(server, session.tokens.refresh_token, { token_type_hint: "refresh_token" }))
        .catch(() => {});
    }
    return { status: 204, headers: { "set-cookie": endCookie() } };
  }

  return {
    handle,
    requests,
    faults,
    async close() {
      sessions.clear();
      signIns.clear();
    },
  };
}

const endCookie = () => `${SESSION}=; HttpOnly; SameSite=Strict; Path=${PATH}; Max-Age=0`;

function tokensOf({ access_token, refresh_token, id_token, token_type, scope, expires_in }, requestedAt) {
  const lifetime = (expires_in ?? 0) * 1000;
  const tokens = { access_token, refresh_token, id_token, token_type, scope };
  const given = Object.entries(tokens).filter(([, value]) => value !== undefined);
  return { ...Object.fromEntries(given), lifetime, expiresAt: requestedAt + lifetime };
}

const isDue = ({ lifetime, expiresAt }) => expiresAt - Date.now() < lifetime / 3;

/** @returns {string | undefined} the URL of a path; nothing for what a browser would take to another origin, like `//host` */
function ownUrl(text, origin) {
  if (!text.startsWith("/")) return undefined;
  const url = new URL(text, origin);
  return url.origin === origin ? url.href : undefined;
}

function readCookies({ headers: { cookie = "" } }) {
  const pairs = cookie.split(/; */).map((pair) => pair.split("="));
  return Object.fromEntries(pairs.map(([name, ...value]) => [name, value.join("=")]));
}

function send(response, { status, headers = {}, body }) {
  if (typeof body === "object") sendJson(response, status, body, headers);
  else response.writeHead(status, { "cache-control": "no-store", ...headers }).end(body);
}
