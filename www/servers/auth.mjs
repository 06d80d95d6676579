// The authorization server: oidc-provider in memory, with faults that can be switched on in front of it.
import { randomBytes } from "node:crypto";
import { Provider } from "oidc-provider";
import {
  API_SCOPE,
  AUDIENCE,
  BACKEND_CLIENT_ID,
  CLIENT_ID,
  MFA,
  providerConfiguration,
  resourceServerInfo,
  wantsMfa,
} from "./auth-config.mjs";
import { createFaults } from "./faults.mjs";
import { listen, readBody } from "./http.mjs";
import { framePage, loginPage, messagePage, send } from "./login.mjs";
import { createSigningKey } from "./signing.mjs";
import { createStore } from "./store.mjs";

export { AUDIENCE, CLIENT_ID, MFA };
/** @typedef {import("./faults.mjs").Fault} Fault */
/** @typedef {import("./faults.mjs").Faults} Faults */
/** @typedef {import("./faults.mjs").EndpointRecord} EndpointRecord */

const ACCOUNT = "ada";

/**
 * The settings among the options can be changed at run time, in `settings` of what this resolves with.
 *
 * @param {object} options
 * @param {number} [options.port] 0: any free port
 * @param {string} [options.host] as browsers see it. `"localhost"` is another site than an app on 127.0.0.1, so that
 *   this server's cookies are third-party ones there.
 * @param {string[]} options.appOrigins read at each request: origins may be added later
 * @param {string[]} options.redirectUris
 * @param {string[]} [options.postLogoutRedirectUris]
 * @param {string} [options.frontchannelLogoutUri] what `/frontchannel-test` frames unless it is given a `uri`
 * @param {string[]} [options.backendRedirectUris] if there are some, there is a confidential client for them
 * @param {"ES256" | "RS256" | "PS256" | "EdDSA"} [options.signingAlg] of ID tokens and access tokens
 * @param {boolean} [options.requirePar] refuse authorization requests that were not pushed
 * @param {false | "offered" | "required"} [options.dpop] tokens of the page's client may or have to be bound to its key;
 *   proofs need this server's nonce
 * @param {number} [options.accessTokenTtl] setting, seconds
 * @param {number} [options.refreshTokenTtl] setting, seconds
 * @param {boolean | string} [options.autoLogin] setting: sign in this account without showing the page (`true`: ada),
 *   and sign out without asking
 * @param {boolean} [options.ignoreAcr] setting: sign in, but not with the second factor that `acr_values` asked for
 * @param {boolean} [options.refuseFraming] setting: `X-Frame-Options: DENY` on all a sign-in answers
 * @param {boolean} [options.coop] setting: `Cross-Origin-Opener-Policy: same-origin` on all a sign-in answers
 */
export async function startAuthServer({
  port = 0,
  host,
  appOrigins,
  redirectUris,
  postLogoutRedirectUris = [],
  frontchannelLogoutUri,
  backendRedirectUris = [],
  signingAlg = "ES256",
  requirePar = false,
  dpop = false,
  accessTokenTtl = 30,
  refreshTokenTtl = 14 * 24 * 3600,
  autoLogin = false,
  ignoreAcr = false,
  refuseFraming = false,
  coop = false,
}) {
  const settings = { accessTokenTtl, refreshTokenTtl, autoLogin, ignoreAcr, refuseFraming, coop };
  const store = createStore();
  const signing = await createSigningKey(signingAlg);
  const backendSecret = randomBytes(32).toString("base64url");
  const issuedTokens = [];
  const issuedCodes = [];
  const { faults, journals, middleware } = createFaults({ appOrigins, onBody: recordTokens });
  let provider;

  const listening = await listen(port, createHandler, { host });

  function createHandler(origin) {
    provider = new Provider(
      origin,
      providerConfiguration({
        settings,
        store,
        signing,
        appOrigins,
        requirePar,
        dpop,
        redirectUris,
        postLogoutRedirectUris,
        backendRedirectUris,
        backendSecret,
      }),
    );
    // The provider has this for clients with a back channel only. Here every client's ID tokens name the session.
    provider.Client.prototype.includeSid = () => true;
    provider.on("server_error", (_ctx, error) => console.error(error));
    provider.on("authorization.success", (_ctx, { code }) => void issuedCodes.push(code));
    provider.use(addHeaders);
    provider.use(middleware((name) => provider.pathFor(name)));
    provider.use(interact);
    provider.use(frameApp);
    return provider.callback();
  }

  function recordTokens(body) {
    for (const name of ["access_token", "refresh_token", "id_token"]) {
      if (typeof body?.[name] === "string") issuedTokens.push(body[name]);
    }
  }

  function addHeaders(ctx, next) {
    const path = provider.pathFor("authorization");
    if (ctx.path === path || ctx.path.startsWith(`${path}/`) || ctx.path.startsWith("/interaction/")) {
      if (settings.refuseFraming) ctx.set("X-Frame-Options", "DENY");
      if (settings.coop) ctx.set("Cross-Origin-Opener-Policy", "same-origin");
    }
    return next();
  }

  async function interact(ctx, next) {
    if (!ctx.path.startsWith("/interaction/")) return next();
    const details = await provider.interactionDetails(ctx.req, ctx.res).catch(() => undefined);
    if (!details) {
      ctx.status = 400;
      return send(ctx, messagePage("That did not work", "This sign-in is over. Start it anew in the app."));
    }
    const { client_id: clientId, scope = "", login_hint: login = ACCOUNT } = details.params;
    if (ctx.method === "GET" && !settings.autoLogin) return send(ctx, loginPage({ clientId, scope, login, appOrigins }));

    const result = await (ctx.method === "GET" ? approve(autoAccount(), details) : formResult(details, await readBody(ctx.req)));
    ctx.status = 303;
    return ctx.redirect(await provider.interactionResult(ctx.req, ctx.res, result, { mergeWithLastSubmission: false }));
  }

  const autoAccount = () => (settings.autoLogin === true ? ACCOUNT : settings.autoLogin);

  function formResult(details, body) {
    const form = new URLSearchParams(String(body));
    if (form.get("answer") === "deny") return { error: "access_denied", error_description: "the user refused" };
    return approve(form.get("login") || ACCOUNT, details);
  }

  async function approve(accountId, { params, prompt, session, grantId }) {
    // Consent alone is no new sign-in: it changes neither the time nor the strength of the last one.
    const signsIn = prompt.name === "login" || session?.accountId !== accountId;
    const acr = wantsMfa(params) && !settings.ignoreAcr ? MFA : undefined;
    const scope = `${params.scope ?? ""} offline_access ${await grantedScope(accountId, grantId)}`;
    const consent = { grantId: await saveGrant(accountId, params.client_id, scope) };
    return { ...(signsIn && { login: { accountId, acr } }), consent };
  }

  /** A newer grant takes the older one's place in the session, and must not be good for less. */
  async function grantedScope(accountId, grantId) {
    const grant = grantId && (await provider.Grant.find(grantId));
    return grant?.accountId === accountId ? `${grant.getOIDCScope()} ${grant.getResourceScope(AUDIENCE)}` : "";
  }

  function saveGrant(accountId, clientId, scope) {
    const grant = new provider.Grant({ accountId, clientId });
    // The provider would repeat what it is given twice.
    const once = [...new Set(scope.split(" ").filter(Boolean))].join(" ");
    grant.addOIDCScope(once);
    grant.addResourceScope(AUDIENCE, once);
    return grant.save();
  }

  /** `/frontchannel-test?uri=…`: a page that frames the app's, as a server with front-channel logout does. */
  async function frameApp(ctx, next) {
    if (ctx.path !== "/frontchannel-test") return next();
    const { uri = frontchannelLogoutUri, iss = provider.issuer, sid } = ctx.query;
    const framed = new URL(uri);
    const session = await provider.Session.get(ctx);
    framed.searchParams.set("iss", iss);
    framed.searchParams.set("sid", sid ?? session.sidFor(CLIENT_ID) ?? "");
    return send(ctx, framePage(framed));
  }

  /** Tokens as the token endpoint would answer them, without a browser. A negative `accessTokenTtl` has run out. */
  async function issueTokens({ scope = "openid offline_access orders", accessTokenTtl: expiresIn } = {}) {
    const client = await provider.Client.find(CLIENT_ID);
    const common = {
      accountId: ACCOUNT,
      client,
      grantId: await saveGrant(ACCOUNT, CLIENT_ID, scope),
      gty: "authorization_code",
      expiresWithSession: false,
    };
    const apiScope = scope.split(" ").filter((value) => API_SCOPE.split(" ").includes(value)).join(" ");
    const accessToken = new provider.AccessToken({
      ...common,
      scope: apiScope,
      expiresIn: expiresIn ?? settings.accessTokenTtl,
      resourceServer: new provider.ResourceServer(AUDIENCE, resourceServerInfo(settings, signingAlg)),
    });
    const refreshToken = new provider.RefreshToken({ ...common, scope, resource: AUDIENCE });
    const response = {
      access_token: await accessToken.save(),
      token_type: "Bearer",
      expires_in: accessToken.expiresIn,
      refresh_token: await refreshToken.save(),
      scope: apiScope,
    };
    recordTokens(response);
    return response;
  }

  /**
   * A JWT by this server's key, or by another: `key`. Members of `header` replace or, `undefined`, remove those of this
   * server. The algorithm `none` makes one without a signature.
   */
  async function signIdToken(claims, options) {
    const token = await signing.sign(claims, options);
    issuedTokens.push(token);
    return token;
  }

  const endpoint = (name) => provider.urlFor(name);
  return {
    issuer: listening.origin,
    origin: listening.origin,
    port: listening.port,
    endpoints: {
      authorization: endpoint("authorization"),
      token: endpoint("token"),
      revocation: endpoint("revocation"),
      par: endpoint("pushed_authorization_request"),
      endSession: endpoint("end_session"),
      jwks: endpoint("jwks"),
    },
    backendClient: { clientId: BACKEND_CLIENT_ID, clientSecret: backendSecret },
    jwks: signing.publicJwks,
    settings,
    faults,
    authorizationRequests: journals.authorization,
    parRequests: journals.par,
    tokenRequests: journals.token,
    revocationRequests: journals.revocation,
    endSessionRequests: journals.endSession,
    jwksRequests: journals.jwks,
    discoveryRequests: journals.discovery,
    issuedTokens,
    issuedCodes,
    issueTokens,
    signIdToken,
    revokeGrants: store.revokeGrants,
    close: listening.close,
  };
}
