// How oidc-provider is set up: clients, scopes, what a sign-in has to fulfil, and what the tokens say.
import { randomBytes } from "node:crypto";
import { errors, interactionPolicy } from "oidc-provider";
import { logoutPage, messagePage, send } from "./login.mjs";

export const AUDIENCE = "urn:tokenward:demo:api";
export const CLIENT_ID = "spa";
export const BACKEND_CLIENT_ID = "backend";
/** The authentication context of a sign-in with a second factor. */
export const MFA = "urn:tokenward:demo:mfa";
export const API_SCOPE = "orders admin";

export const wantsMfa = ({ acr_values: values = "" }) => values.split(" ").includes(MFA);

export function resourceServerInfo({ accessTokenTtl }, alg) {
  return {
    scope: API_SCOPE,
    audience: AUDIENCE,
    accessTokenFormat: "jwt",
    accessTokenTTL: accessTokenTtl,
    jwt: { sign: { alg } },
  };
}

/** Beyond ASCII, so that whoever decodes it has to know UTF-8. */
const nameOf = (accountId) => `${accountId.slice(0, 1).toUpperCase()}${accountId.slice(1)} Zoë ✓`;

function clients({ alg, dpop, redirectUris, postLogoutRedirectUris, backendRedirectUris, backendSecret }) {
  const common = {
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
    id_token_signed_response_alg: alg,
  };
  const spa = {
    ...common,
    client_id: CLIENT_ID,
    redirect_uris: redirectUris,
    post_logout_redirect_uris: postLogoutRedirectUris,
    token_endpoint_auth_method: "none",
    dpop_bound_access_tokens: dpop === "required",
  };
  if (backendRedirectUris.length === 0) return [spa];
  const backend = {
    ...common,
    client_id: BACKEND_CLIENT_ID,
    client_secret: backendSecret,
    redirect_uris: backendRedirectUris,
    token_endpoint_auth_method: "client_secret_basic",
  };
  return [spa, backend];
}

/** Asks for a sign-in where `acr_values` want a second factor that the session does not have. */
function policy() {
  const prompts = interactionPolicy.base();
  const unmet = ({ oidc }) => wantsMfa(oidc.params) && oidc.session.acr !== MFA && !oidc.result?.login;
  prompts.get("login").checks.add(new interactionPolicy.Check("acr_values", "a second factor is needed", "login_required", unmet));
  return prompts;
}

/** What the API checks of the sign-in, so that it can ask for a stronger or newer one. */
function extraTokenClaims(ctx) {
  const { AuthorizationCode: code, RefreshToken: refreshToken } = ctx?.oidc.entities ?? {};
  const { acr, authTime } = code ?? refreshToken ?? {};
  return { ...(acr && { acr }), ...(authTime && { auth_time: authTime }) };
}

export function providerConfiguration({ settings, store, signing, appOrigins, requirePar, dpop, ...registered }) {
  const { alg } = signing;
  const message = (ctx, title, text) => send(ctx, messagePage(title, text));
  return {
    adapter: store.adapter,
    jwks: signing.privateJwks,
    cookies: { keys: [randomBytes(32).toString("base64url")] },
    clients: clients({ alg, dpop, ...registered }),
    scopes: ["openid", "offline_access"],
    claims: { openid: ["sub", "acr", "auth_time"], profile: ["name"] },
    conformIdTokenClaims: false,
    acrValues: [MFA],
    extraTokenClaims,
    clientBasedCORS: (_ctx, origin) => appOrigins.includes(origin),
    findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id, name: nameOf(id) }) }),
    interactions: { policy: policy(), url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    renderError: (ctx, out) => message(ctx, "That did not work", `${out.error}: ${out.error_description ?? ""}`),
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
      dPoP: { enabled: Boolean(dpop), nonceSecret: randomBytes(32), requireNonce: () => true },
      revocation: { enabled: true, allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId },
      pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: requirePar },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource: (ctx, form) => send(ctx, logoutPage(form, { appOrigins, auto: Boolean(settings.autoLogin) })),
        postLogoutSuccessSource: (ctx) => message(ctx, "Signed out", "You can close this page."),
      },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => AUDIENCE,
        useGrantedResource: () => true,
        getResourceServerInfo: (_ctx, resource) => {
          if (resource !== AUDIENCE) throw new errors.InvalidTarget();
          return resourceServerInfo(settings, alg);
        },
      },
    },
  };
}
