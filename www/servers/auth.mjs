// The authorization server: oidc-provider in memory, with faults that can be switched on in front of it.
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { errors, Provider } from "oidc-provider";
import { Journal, listen, readBody } from "./http.mjs";
import { loginPage, loginPolicy } from "./login.mjs";
import { createStore } from "./store.mjs";

export const AUDIENCE = "urn:tokenward:demo:api";
export const CLIENT_ID = "spa";

const API_SCOPE = "orders admin";
const ACCOUNT = "ada";
const ALG = "ES256";
// Headers that a page may read only if the server says so; Retry-After is one of them.
const EXPOSED = "Retry-After, WWW-Authenticate";

/**
 * @typedef {object} Fault What happens to one request, in this order.
 * @property {Promise<unknown>} [hold] wait for it first
 * @property {boolean} [hang] never answer
 * @property {boolean} [reset] close the connection without an answer
 * @property {number} [status] answer this instead of the provider
 * @property {Record<string, string>} [headers] with `status`
 * @property {unknown} [body] with `status`: an object is sent as JSON; a string, Buffer or stream as it is
 * @property {boolean} [cors] with `status`: `false` leaves the CORS headers out
 * @property {boolean} [lose] the provider does its work, and then its answer is lost
 * @property {(body: object) => object} [transform] changes the provider's answer
 *
 * @typedef {Fault[] | (() => Fault | undefined)} Faults a queue, one entry a request, or a function asked at each request
 *
 * @typedef {object} EndpointRecord
 * @property {number} at arrival, `Date.now()`
 * @property {string | null} grantType
 * @property {string | null} tokenTypeHint
 * @property {Record<string, string>} headers of the request
 * @property {number | null} status `null` until answered, `0` if the connection was closed or left hanging
 * @property {string | null} error the OAuth error that was answered
 * @property {boolean} faulted
 */

/**
 * @param {object} options
 * @param {number} [options.port] 0: any free port
 * @param {string[]} options.appOrigins read at each request: origins may be added later
 * @param {string[]} options.redirectUris
 * @param {number} [options.accessTokenTtl] seconds
 * @param {number} [options.refreshTokenTtl] seconds
 * @param {boolean} [options.autoLogin] finish the sign-in without showing the page
 */
export async function startAuthServer({
  port = 0,
  appOrigins,
  redirectUris,
  accessTokenTtl = 30,
  refreshTokenTtl = 14 * 24 * 3600,
  autoLogin = false,
}) {
  const settings = { accessTokenTtl, refreshTokenTtl, autoLogin };
  const store = createStore();
  const faults = { unreachable: false, token: [], revocation: [] };
  const journals = { token: new Journal(), revocation: new Journal() };
  const issuedTokens = [];
  let provider;

  const listening = await listen(port, (origin) => {
    provider = new Provider(origin, providerConfiguration({ settings, store, appOrigins, redirectUris }));
    provider.on("server_error", (_ctx, error) => console.error(error));
    provider.use(showLogin);
    provider.use(recordTokens);
    provider.use(injectFaults);
    return provider.callback();
  });

  async function showLogin(ctx, next) {
    if (!ctx.path.startsWith("/interaction/")) return next();
    const { params } = await provider.interactionDetails(ctx.req, ctx.res);
    if (ctx.method === "GET" && !settings.autoLogin) {
      ctx.set("Content-Security-Policy", loginPolicy(appOrigins));
      ctx.type = "html";
      ctx.body = loginPage({ clientId: params.client_id, scope: params.scope });
      return undefined;
    }
    const form = new URLSearchParams(ctx.method === "POST" ? String(await readBody(ctx.req)) : { login: ACCOUNT });
    const result =
      form.get("answer") === "deny"
        ? { error: "access_denied", error_description: "the user refused" }
        : await approve(form.get("login") || ACCOUNT, params.scope);
    ctx.status = 303;
    ctx.redirect(await provider.interactionResult(ctx.req, ctx.res, result, { mergeWithLastSubmission: false }));
    return undefined;
  }

  async function approve(accountId, scope) {
    return { login: { accountId }, consent: { grantId: await saveGrant(accountId, scope) } };
  }

  function saveGrant(accountId, scope) {
    const grant = new provider.Grant({ accountId, clientId: CLIENT_ID });
    grant.addOIDCScope(scope);
    grant.addResourceScope(AUDIENCE, scope);
    return grant.save();
  }

  async function recordTokens(ctx, next) {
    await next();
    if (ctx.body?.access_token) issuedTokens.push(ctx.body.access_token);
    if (ctx.body?.refresh_token) issuedTokens.push(ctx.body.refresh_token);
  }

  async function injectFaults(ctx, next) {
    if (faults.unreachable) return drop(ctx);
    const endpoint = ctx.method === "POST" && endpointOf(ctx.path);
    if (!endpoint) return next();

    const queue = faults[endpoint];
    const fault = (typeof queue === "function" ? queue() : queue.shift()) ?? {};
    const record = journals[endpoint].add({
      at: Date.now(),
      grantType: null,
      tokenTypeHint: null,
      headers: { ...ctx.req.headers },
      status: null,
      error: null,
      faulted: Object.keys(fault).length > 0,
    });
    const params = await answer(ctx, next, fault);
    record.grantType = params.grant_type ?? null;
    record.tokenTypeHint = params.token_type_hint ?? null;
    record.status = ctx.respond === false ? 0 : ctx.status;
    record.error = ctx.body?.error ?? null;
    journals[endpoint].changed();
    return undefined;
  }

  function endpointOf(path) {
    return ["token", "revocation"].find((name) => provider.pathFor(name) === path);
  }

  async function answer(ctx, next, fault) {
    await fault.hold;
    if (fault.hang || fault.reset || fault.status !== undefined) {
      const params = Object.fromEntries(new URLSearchParams(String(await readBody(ctx.req))));
      if (fault.hang) ctx.respond = false;
      else if (fault.reset) drop(ctx);
      else answerInstead(ctx, fault);
      return params;
    }
    await next();
    if (fault.transform) ctx.body = fault.transform(ctx.body);
    if (fault.lose) drop(ctx);
    return ctx.oidc.params ?? {};
  }

  function answerInstead(ctx, { status, headers = {}, body = "", cors = true }) {
    ctx.status = status;
    ctx.body = body;
    const origin = ctx.get("Origin");
    if (cors && appOrigins.includes(origin)) {
      ctx.vary("Origin");
      ctx.set({ "Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": EXPOSED });
    }
    ctx.set(headers);
  }

  /** Tokens as the token endpoint would answer them, without a browser. A negative `accessTokenTtl` has run out. */
  async function issueTokens({ scope = "openid offline_access orders", accessTokenTtl: expiresIn } = {}) {
    const client = await provider.Client.find(CLIENT_ID);
    const common = {
      accountId: ACCOUNT,
      client,
      grantId: await saveGrant(ACCOUNT, scope),
      gty: "authorization_code",
      expiresWithSession: false,
    };
    const apiScope = scope.split(" ").filter((value) => API_SCOPE.split(" ").includes(value)).join(" ");
    const accessToken = new provider.AccessToken({
      ...common,
      scope: apiScope,
      expiresIn: expiresIn ?? settings.accessTokenTtl,
      resourceServer: new provider.ResourceServer(AUDIENCE, resourceServerInfo(settings)),
    });
    const refreshToken = new provider.RefreshToken({ ...common, scope, resource: AUDIENCE });
    const response = {
      access_token: await accessToken.save(),
      token_type: "Bearer",
      expires_in: accessToken.expiresIn,
      refresh_token: await refreshToken.save(),
      scope: apiScope,
    };
    issuedTokens.push(response.access_token, response.refresh_token);
    return response;
  }

  return {
    issuer: listening.origin,
    origin: listening.origin,
    port: listening.port,
    endpoints: {
      authorization: provider.urlFor("authorization"),
      token: provider.urlFor("token"),
      revocation: provider.urlFor("revocation"),
      jwks: provider.urlFor("jwks"),
    },
    settings,
    faults,
    tokenRequests: journals.token,
    revocationRequests: journals.revocation,
    issuedTokens,
    issueTokens,
    revokeGrants: store.revokeGrants,
    close: listening.close,
  };
}

function drop(ctx) {
  ctx.respond = false;
  ctx.req.socket.destroy();
}

function resourceServerInfo({ accessTokenTtl }) {
  return {
    scope: API_SCOPE,
    audience: AUDIENCE,
    accessTokenFormat: "jwt",
    accessTokenTTL: accessTokenTtl,
    jwt: { sign: { alg: ALG } },
  };
}

function providerConfiguration({ settings, store, appOrigins, redirectUris }) {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return {
    adapter: store.adapter,
    jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), use: "sig", alg: ALG }] },
    cookies: { keys: [randomBytes(32).toString("base64url")] },
    clients: [
      {
        client_id: CLIENT_ID,
        redirect_uris: redirectUris,
        grant_types: ["authorization_code", "refresh_token"],
        response_types: ["code"],
        token_endpoint_auth_method: "none",
        id_token_signed_response_alg: ALG,
      },
    ],
    scopes: ["openid", "offline_access"],
    clientBasedCORS: (_ctx, origin) => appOrigins.includes(origin),
    findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    // A used refresh token that comes back revokes the whole grant.
    rotateRefreshToken: true,
    issueRefreshToken: () => true,
    expiresWithSession: () => false,
    ttl: {
      AccessToken: (_ctx, token) => token.resourceServer?.accessTokenTTL ?? settings.accessTokenTtl,
      RefreshToken: () => settings.refreshTokenTtl,
      IdToken: 3600,
      Interaction: 3600,
      Session: 24 * 3600,
      Grant: 14 * 24 * 3600,
    },
    features: {
      devInteractions: { enabled: false },
      revocation: { enabled: true, allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => AUDIENCE,
        useGrantedResource: () => true,
        getResourceServerInfo: (_ctx, resource) => {
          if (resource !== AUDIENCE) throw new errors.InvalidTarget();
          return resourceServerInfo(settings);
        },
      },
    },
  };
}
