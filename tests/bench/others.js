// The cases of other libraries: the call that each of them documents for an authorised request, with a token that it
// holds already and that is good for a day, in the cheapest configuration that it has.
import { Auth0Client, CacheKey, InMemoryCache } from "@auth0/auth0-spa-js";
import { OidcClient, TokenAutomaticRenewMode } from "@axa-fr/oidc-client";
import { OAuth2Client, OAuth2Fetch } from "@badgateway/oauth2-client";
import { forms } from "./cases.js";
import { TOKEN, stub } from "./network.js";

const ISSUER = "https://id.example.test";
const CLIENT = "bench";
const DAY = 86_400;

/** Measured: `OAuth2Fetch.fetch()`. It calls whatever the global `fetch` is then. */
function badgateway() {
  const wrapper = new OAuth2Fetch({
    client: new OAuth2Client({ server: ISSUER, clientId: CLIENT }),
    getStoredToken: () => ({ accessToken: TOKEN, refreshToken: null, expiresAt: Date.now() + DAY * 1000 }),
    getNewToken: () => null,
    scheduleRefresh: false,
  });
  return (...args) => wrapper.fetch(...args);
}

/**
 * Measured: what `OidcClient.fetchWithTokens(fetch)` gives, without its service worker. It reads its storage at each call:
 * the default one, with no more in it than an access token.
 */
async function axa() {
  const now = Math.floor(Date.now() / 1000);
  const tokens = { accessToken: TOKEN, accessTokenPayload: null, issuedAt: now, expiresAt: now + DAY };
  sessionStorage[`oidc.${CLIENT}`] = JSON.stringify({ tokens, status: null });
  sessionStorage[`oidc.login.${CLIENT}`] = JSON.stringify({ extras: {}, scope: null });
  const configuration = {
    client_id: CLIENT,
    redirect_uri: `${location.origin}/callback`,
    scope: "openid",
    authority: ISSUER,
    authority_configuration: { issuer: ISSUER, token_endpoint: `${ISSUER}/token` },
    token_automatic_renew_mode: TokenAutomaticRenewMode.AutomaticOnlyWhenFetchExecuted,
  };
  const client = OidcClient.getOrCreate(() => stub)(configuration, CLIENT);
  if (!(await client.tryKeepExistingSessionAsync())) throw new Error("@axa-fr/oidc-client does not take its session up");
  return client.fetchWithTokens(stub);
}

/** Measured: `Auth0Client.createFetcher().fetchWithAuth()`, with the cache in memory. */
async function auth0() {
  const scope = "openid";
  // Of a client that was told none.
  const audience = "default";
  const cache = new InMemoryCache().enclosedCache;
  const entry = { access_token: TOKEN, token_type: "Bearer", expires_in: DAY, scope, audience, client_id: CLIENT };
  const expiresAt = Math.floor(Date.now() / 1000) + DAY;
  cache.set(new CacheKey({ clientId: CLIENT, audience, scope }).toKey(), { body: entry, expiresAt });
  // No token is given without an ID token.
  const user = { id_token: "i", decodedToken: { claims: { sub: "ada" }, user: { sub: "ada" } } };
  cache.set(new CacheKey({ clientId: CLIENT }, undefined, "@@user@@").toKey(), user);
  const client = new Auth0Client({
    domain: new URL(ISSUER).host,
    clientId: CLIENT,
    cache,
    authorizationParams: { scope, redirect_uri: `${location.origin}/callback` },
  });
  const fetcher = client.createFetcher({ fetch: stub });
  return (...args) => fetcher.fetchWithAuth(...args);
}

export const otherCases = async () => [
  ...forms("badgateway", badgateway()),
  ...forms("axa", await axa()),
  ...forms("auth0", await auth0()),
];
