// Authorization code flow with PKCE (RFC 7636) by a full redirect.

const PENDING = "tokenward-demo.sign-in";

const base64url = (bytes) =>
  btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");

const randomText = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

const redirectUri = () => `${location.origin}/`;

/** Leaves for the authorization server. */
export async function beginSignIn({ endpoints, clientId, scope }) {
  const state = randomText();
  const codeVerifier = randomText();
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(codeVerifier));
  sessionStorage.setItem(PENDING, JSON.stringify({ state, codeVerifier }));
  const url = new URL(endpoints.authorization);
  url.search = new URLSearchParams({
    response_type: "code",
    client_id: clientId,
    redirect_uri: redirectUri(),
    scope,
    // OpenID Connect Core section 11: offline_access needs the user's consent.
    prompt: "consent",
    state,
    code_challenge: base64url(new Uint8Array(digest)),
    code_challenge_method: "S256",
  });
  location.assign(url);
}

/**
 * Finishes a sign-in if this page is the answer to one.
 * @returns {Promise<{ response: object, requestedAt: number } | undefined>}
 */
export async function completeSignIn({ issuer, endpoints, clientId }) {
  const answer = new URLSearchParams(location.search);
  if (!answer.has("state")) return undefined;
  const pending = JSON.parse(sessionStorage.getItem(PENDING) ?? "null");
  sessionStorage.removeItem(PENDING);
  // A reload or a shared address must not offer the code a second time.
  history.replaceState(null, "", location.pathname);

  if (answer.get("state") !== pending?.state) throw new Error("The state must be the one this tab sent.");
  // RFC 9207: the answer has to come from the server that was asked.
  if (answer.get("iss") !== issuer) throw new Error("The issuer of the answer must be the one that was asked.");
  if (answer.has("error")) throw new Error(`The authorization server answered ${answer.get("error")}.`);

  const requestedAt = Date.now();
  const response = await fetch(endpoints.token, {
    method: "POST",
    credentials: "omit",
    cache: "no-store",
    redirect: "error",
    body: new URLSearchParams({
      grant_type: "authorization_code",
      client_id: clientId,
      redirect_uri: redirectUri(),
      code: answer.get("code"),
      code_verifier: pending.codeVerifier,
    }),
  });
  if (!response.ok) throw new Error(`The token endpoint answered ${response.status}.`);
  return { response: await response.json(), requestedAt };
}
