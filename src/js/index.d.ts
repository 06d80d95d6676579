/// <reference lib="esnext.disposable" />
/**
 * tokenward keeps OAuth 2.0 tokens in WebAssembly memory, renews them before they expire, and attaches
 * them to the requests that may carry them and to no others.
 *
 * Durations are seconds in options and milliseconds where a name ends in `Ms`; points in time are
 * milliseconds since the Unix epoch, as `Date.now()` returns them, in names that end in `At`.
 *
 * No event, error, snapshot or log of this library ever contains a token.
 */

/** Where tokens may be sent. An empty list means no token anywhere. */
export interface ResourceOptions {
  /**
   * Absolute `https:` URL: exact origin (scheme, host, port) plus whole path segments. `https://a.test/v1` covers
   * `/v1` and `/v1/orders` but not `/v10`. `http:` is accepted for loopback hosts, elsewhere only with
   * {@link TokenWardOptions.dangerouslyAllowHttp}. No userinfo, query or fragment. The longest matching path
   * decides alone: a method that it does not list carries no token, even if a shorter path would cover it.
   */
  url: string | URL;
  /** HTTP methods that carry a token. Default: all. `OPTIONS` has to be listed like any other. */
  methods?: readonly string[];
}

/**
 * Endpoints of the authorization server, for one without metadata. With {@link Endpoints.token}, no metadata are asked for;
 * without it, those named here go before the metadata's. `https:` only, `http:` for loopback hosts.
 */
export interface Endpoints {
  /** Authorization endpoint (RFC 6749 section 3.1), for {@link TokenWard.signIn}. */
  authorization?: string;
  /** Token endpoint (RFC 6749 section 3.2). */
  token?: string;
  /** Revocation endpoint (RFC 7009). Without it, {@link TokenWard.signOut} clears locally only. */
  revocation?: string;
  /** Where pushed authorization requests go (RFC 9126). */
  pushedAuthorization?: string;
  /** The server's keys (RFC 7517), to verify ID tokens with. */
  jwks?: string;
  /** End-session endpoint (OpenID Connect RP-Initiated Logout 1.0). */
  endSession?: string;
}

/**
 * A backend of the page's own origin that keeps the tokens and knows the session by an `HttpOnly` cookie (a token-mediating
 * backend). It is asked by `POST` with cookies and the header `x-csrf: 1`, which no form of another site can send.
 */
export interface SessionOptions {
  /**
   * Answers with a token response, `{ access_token, expires_in }`, or with 401 if it knows no session. An `id_token` in it
   * is taken for {@link TokenWard.user}, without its signature being checked. Relative to the page. Same origin.
   *
   * A `version` in the answer, a text that names this access token, comes back as the form field `after` where a newer token
   * is wanted than that; without it `after` is empty. A request without `after` takes the session's token as it is.
   *
   * All tabs share the session: one asks at a time, under a Web Lock named after the issuer (or the endpoint) and the client.
   */
  url: string;
  /** Ends the session: 200 or 204. Without it {@link TokenWard.signOut} reports `session` as not revoked. Same origin. */
  signOutUrl?: string;
  /**
   * With {@link TokenWardOptions.dpop}: the authorization server's token endpoint, which the proofs are for that the backend
   * passes on. Default: `url`. Absolute `https:` URL.
   */
  tokenEndpoint?: string;
}

/**
 * A successful token response (RFC 6749 section 5.1), as the server sent it: wire names, unknown members ignored.
 * `expires_in` may be a number or a numeric string; zero, negative or unreadable values count as absent.
 */
export interface TokenResponse {
  access_token: string;
  /** Must be `Bearer`, in any case; absent counts as `Bearer`. */
  token_type?: string;
  /** Lifetime in seconds, counted from the moment the request was sent. */
  expires_in?: number | string | null;
  /** Seconds after which the server would like a refresh (Microsoft Entra ID sends it). */
  refresh_in?: number | string | null;
  /** Absent: the refresh token in use is kept (RFC 6749 section 6). */
  refresh_token?: string | null;
  scope?: string | null;
  /** Read when the library signs in or renews; {@link TokenWard.setTokens} ignores it. */
  id_token?: string | null;
  [member: string]: unknown;
}

/**
 * The app's own way to renew. Called by one refresh at a time; one that outlives the time limit is aborted, and may be
 * followed by the next before it has ended. It must not fetch a listed URL: that would wait for the refresh it is part of.
 */
export interface RefreshCallback {
  /**
   * Resolve with a token response, or with an error response (`{ error: "invalid_grant" }`, RFC 6749 section 5.2).
   * `null` or `undefined` means that the user has to sign in again. A rejection is a passing failure and is tried again,
   * unless its reason has an OAuth `error` string.
   * @param context.signal aborted at the time limit, on sign-out and on `close()`
   */
  (context: { signal: AbortSignal }): Promise<TokenResponse | { error: string } | null | undefined>;
}

export interface TokenWardOptions {
  /**
   * The authorization server's issuer identifier, to the letter as its metadata have it (OpenID Connect Discovery 1.0,
   * RFC 8414). They are fetched when first needed, kept in memory, and have to name this very issuer.
   */
  issuer?: string;
  /** The client identifier (RFC 6749 section 2.2). Needed with `issuer` or `endpoints`. A public client: no secret. */
  clientId?: string;
  endpoints?: Endpoints;
  /** Where the server sends the user back to, registered there: the page that calls {@link TokenWard.handleCallback}. */
  redirectUri?: string;
  /**
   * The same for popups and hidden frames: a page that only passes the answer on, best one of its own that calls `relay()`
   * of `tokenward/callback`. Default: `redirectUri`, where `create()` does it, and does not return.
   */
  relayUri?: string;
  /** Where the server sends the user after `signOut({ endSession: true })`, registered there. */
  postLogoutRedirectUri?: string;
  /** Scope of a sign-in (RFC 6749 section 3.3). With `openid` there has to be an ID token. Default `openid`. */
  scope?: string;
  /**
   * How {@link TokenWard.restore} looks for a session, in this order: `session` asks the backend of
   * {@link TokenWardOptions.session}; `silent` asks the authorization server in a hidden frame (`prompt=none`), which is
   * also how a session without a refresh token is renewed. Default: none.
   */
  restore?: readonly ("session" | "silent")[];
  session?: SessionOptions;
  /** Which requests carry a token. */
  resources: readonly ResourceOptions[];
  /** Renews by the app's own means instead of the `refresh_token` grant. Excludes `issuer` and {@link Endpoints.token}. */
  refresh?: RefreshCallback;
  /** How long a request waits for a token, in seconds, before it rejects with `token_unavailable`. 1 to 600. Default 30. */
  waitSeconds?: number;
  /** Time limit of one request of the library's own, and of a hidden frame, in seconds. 1 to 300. Default 15. */
  requestTimeoutSeconds?: number;
  /**
   * Sign out after refreshing has failed for this long, in seconds. Default: never; a passing failure does not end a
   * session.
   */
  maxOutageSeconds?: number;
  /**
   * Bind the tokens to a key that cannot be read (DPoP, RFC 9449): a token alone is of no use to whoever steals it. ES256; each
   * sign-in has a key of its own. What the server issues has to be of the type `DPoP` then. The APIs have to allow the header
   * `DPoP` and expose `DPoP-Nonce` if they ask for nonces. Default `false`.
   */
  dpop?: boolean;
  /**
   * Where the tokens are. `"page"`: in WebAssembly memory of the page, which a script of the page that tries hard can read.
   * `"worker"`: in a worker (one for all tabs where there are shared ones), which signs in, renews and sends the authorised
   * requests; no script of the page ever has a token or a code verifier. There `setTokens()` and `snapshot()` are about what the
   * worker last told, and {@link TokenWard.ticket}, {@link TokenWard.connectServiceWorker}, {@link InstallOptions.xhr} and
   * {@link TokenWardOptions.refresh} are not available. Default `"page"`.
   */
  isolation?: "page" | "worker";
  /**
   * The script of the worker, with `isolation: "worker"`. Of the page's own origin; a `TrustedScriptURL` where the page insists
   * on Trusted Types. Default: `worker.js` beside the module, by a policy named `tokenward`.
   */
  worker?: string | URL | object;
  /** Accept `http:` for hosts that are not loopback. Tokens then travel in the clear. Default `false`. */
  dangerouslyAllowHttp?: boolean;
  /**
   * Allow {@link TokenWard.ticket}, which gives the access token to the app's own code: it is then as safe as the app keeps
   * it. Default `false`.
   */
  dangerouslyExposeAccessToken?: boolean;
  /**
   * Where the wasm comes from, if not beside this module: a URL, its bytes, or a compiled module. The first ward of a
   * page decides.
   */
  wasm?: string | URL | BufferSource | WebAssembly.Module;
}

/** Why a session ended. */
export type SignOutReason =
  /** `signOut()` was called. */
  | "sign_out"
  /** The server refused the refresh token (`invalid_grant`): expired, used up or revoked. */
  | "refresh_rejected"
  /** The server wants the user to sign in again (`login_required` and its kin). */
  | "login_required"
  /** The server refused the client or its request (`invalid_client`, `invalid_scope`, …). */
  | "misconfigured"
  /** The access token ran out and there is nothing to renew it with. */
  | "expired"
  /** Refreshing failed for longer than `maxOutageSeconds`. */
  | "outage"
  /** Signed out in another tab, or by the server (OpenID Connect Front-Channel Logout 1.0). */
  | "elsewhere"
  /** Another user signed in, or a renewal brought another user's tokens (OpenID Connect Core section 12.2). */
  | "user_changed";

/** A token set was accepted. */
export interface TokenDetail {
  /** Counts the token sets of this session, from 1. */
  generation: number;
  /** When the access token expires; `null` if unknown. */
  expiresAt: number | null;
  /** The scope the server granted, if it said so. */
  scope: string | null;
}

/** What went wrong in a refresh. */
export type FailureCause =
  | "network"
  | "timeout"
  | "too_large"
  | "malformed"
  | "server_error"
  | "rate_limited"
  | "oauth_error"
  | "callback";

export interface RefreshFailureDetail {
  cause: FailureCause;
  /** HTTP status of the answer, if there was one. */
  status: number | null;
  /** The server's OAuth `error` code, if it sent one. */
  error: string | null;
  /** Failures in a row, from 1. */
  attempt: number;
  /** `true`: the session goes on and the refresh is tried again. `false`: `signedout` follows. */
  retryable: boolean;
  /** When it is tried again; `null` while offline or if it is not. */
  retryAt: number | null;
}

export interface SignedOutDetail {
  reason: SignOutReason;
  /** The server's OAuth `error` code, if that was the cause. */
  error: string | null;
}

/** A resource wants stronger or more recent authentication (RFC 9470). */
export interface StepUpDetail {
  /** The allow-list entry the request fell under. */
  resource: string;
  acrValues: string | null;
  /** Seconds. */
  maxAge: number | null;
}

/** A resource wants more scope (RFC 6750 section 3.1). */
export interface InsufficientScopeDetail {
  /** The allow-list entry the request fell under. */
  resource: string;
  /** The scope it asks for, if it said so. */
  scope: string | null;
}

/** An event of a ward. The detail's members are properties of the event as well. */
export type TokenWardEvent<Detail> = CustomEvent<Detail> & Readonly<Detail>;

export interface TokenWardEventMap {
  /** A session began: the first token set after none. */
  signedin: TokenWardEvent<TokenDetail>;
  /** The token set was renewed. */
  refreshed: TokenWardEvent<TokenDetail>;
  /** The server asked to wait (429 or 503 with `Retry-After`). */
  refreshdelayed: TokenWardEvent<RefreshFailureDetail>;
  /** A refresh failed. */
  refreshfailed: TokenWardEvent<RefreshFailureDetail>;
  /** The session ended and every token was wiped. Fires once per session. */
  signedout: TokenWardEvent<SignedOutDetail>;
  stepup: TokenWardEvent<StepUpDetail>;
  insufficientscope: TokenWardEvent<InsufficientScopeDetail>;
}

/** What a ward knows and plans, for people. */
export interface Snapshot {
  /**
   * - `signed_out`: no tokens
   * - `fresh`: the access token is good
   * - `due`: good, and its renewal is due
   * - `expired`: requests wait for a renewal
   */
  status: "signed_out" | "fresh" | "due" | "expired";
  generation: number;
  expiresAt: number | null;
  scope: string | null;
  canRefresh: boolean;
  refreshing: boolean;
  online: boolean;
  /** When the next refresh is planned, and why; `null` if none is. */
  nextRefresh: { at: number; why: "schedule" | "server_request" | "retry" | "retry_after" | "requests_waiting" } | null;
  /** Requests that wait for a token. */
  waiting: number;
  /** Refresh failures in a row. */
  failures: number;
  /** The outcomes of the last refreshes, oldest first, at most eight. */
  outcomes: readonly { at: number; outcome: "accepted" | FailureCause; status: number | null; error: string | null }[];
}

/** How {@link TokenWard.signIn} signs in. The names on the wire are those of OpenID Connect Core section 3.1.2.1. */
export interface SignInOptions {
  /**
   * `redirect` leaves the page; `popup` opens a window, which a browser allows in answer to a click only: call it before
   * anything that takes time. Default `redirect`.
   */
  mode?: "redirect" | "popup";
  /** Where to go on after a redirect, of the page's own origin. Default: the page's URL. */
  returnTo?: string;
  /** Instead of {@link TokenWardOptions.scope}. */
  scope?: string;
  prompt?: string;
  loginHint?: string;
  /** Seconds since the user proved who they are, at most; 0 or more. With `openid` checked in the ID token (`auth_time`). */
  maxAge?: number;
  /** Separated by spaces, any of them. With `openid` checked in the ID token (`acr`): a sign-in without one of them fails. */
  acrValues?: string;
  uiLocales?: string;
  /** Where the tokens will be used (RFC 8707). */
  resource?: string | readonly string[];
  /** Parameters of the server's own. None that has an option or a rule here. */
  extraParams?: Readonly<Record<string, string>>;
  /** Push the request (RFC 9126). Done in any case where the server requires it. Default `false`. */
  pushed?: boolean;
  /**
   * The event to satisfy: its `acrValues` and `maxAge` are asked for, the user has to stay the same, and with `popup` the
   * request that was refused is repeated.
   */
  stepUp?: TokenWardEvent<StepUpDetail>;
  /** Gives up a popup. */
  signal?: AbortSignal;
}

/** What {@link TokenWard.install} patches. */
export interface InstallOptions {
  /** Of the page's own origin: a frame's, to patch it as well. To be repeated after the frame has loaded. Default: the page. */
  window?: Window | null;
  /**
   * Patches `XMLHttpRequest` as well. A synchronous request gets the token there is, and never waits. Where a request ends
   * because there is no token to be had, its `error` event has the {@link TokenWardError} in `error`. Default: false
   */
  xhr?: boolean;
}

/** An `error` event of an `XMLHttpRequest` that ended before it was sent. */
export interface XhrErrorEvent extends ProgressEvent<XMLHttpRequest> {
  readonly error: TokenWardError;
}

/** What {@link TokenWard.connectServiceWorker} lends for. */
export interface ConnectOptions {
  /** A frame of the page's own origin that has no ward, and loads with this page's tokens. Default: the page itself. */
  window?: Window | null;
  /**
   * Which `authorizeRequests()` of the worker lends from this ward, where a page has several; one for each window. Default: the
   * one without a name.
   */
  name?: string;
}

export interface SignInResult {
  /**
   * The answer to the repeated request, with `stepUp`; `null` without, if its body could be sent only once, or if it was an
   * `XMLHttpRequest`.
   */
  response: Response | null;
}

export interface RestoreResult {
  signedIn: boolean;
  /**
   * Nobody is signed in as far as is known, but not every way said that there is no session: the network, the time limit,
   * a server in trouble, an answer that made no sense. `restore()` may find one later. Where there was no
   * network, the ward looks again by itself when there is one. What happened is in `snapshot().outcomes`.
   */
  retryable: boolean;
}

/** The claims of the ID token (OpenID Connect Core section 2). */
export interface User {
  readonly iss: string;
  readonly sub: string;
  readonly name?: string;
  readonly email?: string;
  readonly [claim: string]: unknown;
}

export interface SignOutOptions {
  /**
   * Also end the session at the authorization server (OpenID Connect RP-Initiated Logout 1.0): the page leaves for it, and
   * the promise stays pending. Where it could not be reached or has no such endpoint, the page stays. Default `false`.
   */
  endSession?: boolean;
}

/** What `signOut()` could tell the servers. */
export interface SignOutResult {
  /** `true` if everything was confirmed, or nothing was to be revoked. */
  revoked: boolean;
  /**
   * What was not: the tokens, by type hint (RFC 7009 section 2.1), whose revocation the server did not confirm; `session`,
   * the backend's; `end_session`, the session at the authorization server.
   */
  notRevoked: readonly ("refresh_token" | "access_token" | "session" | "end_session")[];
}

/** Every `code` of a {@link TokenWardError}. */
export type ErrorCode =
  /** An option or argument breaks a rule; the message names the key. A `TypeError`, `code` set. */
  | "invalid_option"
  /** A token response passed to `setTokens()` breaks a rule. A `TypeError`, `code` set. */
  | "invalid_token_response"
  /** The WebAssembly could not be loaded; `cause` says why. Retryable. */
  | "core_unavailable"
  /** No token within `waitSeconds`. Retryable. */
  | "token_unavailable"
  /** There is neither a refresh token nor a refresh callback. */
  | "not_renewable"
  /** Nobody is signed in, or the session ended while the request waited. */
  | "signed_out"
  /** The ward was closed. */
  | "closed"
  /** A defect of this library. The ward is closed. */
  | "internal_error"
  /** The callback's `state` is of no sign-in that this tab began and did not finish: forged, replayed, or of another tab. */
  | "state_mismatch"
  /** The sign-in was begun more than 10 minutes ago. */
  | "transaction_expired"
  /** The metadata or the callback name another issuer than was asked, or none where the server says it does (RFC 9207). */
  | "issuer_mismatch"
  /** A URL in the server's metadata is missing or not secure; the message names it. */
  | "metadata_invalid"
  /** The server answered the authorization request with an error: {@link TokenWardError.error}. */
  | "authorization_failed"
  /** The server refused a code or a pushed request: {@link TokenWardError.error} and `status`. */
  | "token_request_failed"
  /** The server could not be reached, or its answer made no sense. Retryable. */
  | "server_unavailable"
  /** The ID token is not to be trusted: {@link TokenWardError.claim} says why. */
  | "id_token_invalid"
  /** The server issued another type of token (`token_type`) than {@link TokenWardOptions.dpop} asks for. */
  | "token_type_mismatch"
  /** The server has no endpoint that this takes; the message names it. */
  | "endpoint_unknown"
  /** No service worker of tokenward took control of the page in time. Retryable. */
  | "service_worker_unavailable"
  /** The browser opened no popup. */
  | "popup_blocked"
  /** The user closed the popup. */
  | "popup_closed";

export class TokenWardError extends Error {
  private constructor();
  readonly name: "TokenWardError";
  readonly code: ErrorCode;
  /** Whether the same call can succeed later without the user signing in. */
  readonly retryable: boolean;
  /** The server's OAuth error code, if it sent one. */
  readonly error: string | null;
  /** HTTP status of the server's answer, if there was one. */
  readonly status: number | null;
  /** With `id_token_invalid`: the claim or the member of the header whose rule is broken, or `signature`. */
  readonly claim: string | null;
}

export class TokenWard extends EventTarget {
  private constructor();

  /**
   * Makes a ward. Loads the wasm on first use. On the page of `redirectUri`, the server's answer is taken out of the
   * address bar at once; where that page is the popup or the hidden frame of a sign-in, it is passed on, and `create()`
   * does not return.
   * @throws {TypeError} `invalid_option`: names the key
   * @throws {TokenWardError} `core_unavailable`
   */
  static create(options: TokenWardOptions): Promise<TokenWard>;

  /** Whether there is a session. A session whose access token ran out is still one while it can be renewed. */
  readonly signedIn: boolean;

  /** Who is signed in, if the library signed them in with an ID token or a backend sent one; else `null`. Frozen. */
  readonly user: User | null;

  /**
   * Signs in: authorization code with PKCE (RFC 6749 section 4.1, RFC 7636, OpenID Connect Core section 3.1). A redirect
   * leaves the page, and the promise stays pending; a popup resolves when the user is signed in.
   * @throws {TypeError} `invalid_option`: names the key
   * @throws {TokenWardError} `popup_blocked`, `popup_closed`, `authorization_failed`, `token_request_failed`,
   * `id_token_invalid`, `token_type_mismatch`, `issuer_mismatch`, `metadata_invalid`, `endpoint_unknown`,
   * `server_unavailable`, `signed_out`, `closed`
   */
  signIn(options?: SignInOptions): Promise<SignInResult>;

  /**
   * Finishes a sign-in by redirect, on the page of `redirectUri`. Resolves with `null` if the page was not called with an
   * answer, or with another ward's. A second call before the first has ended shares its promise. A transaction is good once
   * and for 10 minutes; after `server_unavailable` for want of metadata it is not used up, and the call may be repeated.
   * @throws {TokenWardError} as {@link signIn}, `state_mismatch`, `transaction_expired`
   */
  handleCallback(): Promise<{ returnTo: string } | null>;

  /** Looks for a session after a reload, in the ways of {@link TokenWardOptions.restore}. Never leaves the page. */
  restore(): Promise<RestoreResult>;

  /**
   * Patches `fetch`, and `XMLHttpRequest` on request. A second call for the same window patches only what was not. A wrapper of
   * `fetch` that was there before is called with the `Authorization` header; {@link fetch} calls the one that was there when
   * this module was loaded.
   * @throws {TypeError} `invalid_option`: names the key
   */
  install(options?: InstallOptions): this;

  /** Takes the patch back. Where others have wrapped it since, theirs stay and ours passes everything through. */
  uninstall(): this;

  /** `fetch` with the ward's tokens, without a patch. Needs no receiver: `const { fetch } = ward` works. */
  readonly fetch: typeof globalThis.fetch;

  /**
   * Begins a session with tokens the app obtained, or replaces the tokens of the running one.
   * Without a `refresh_token` the one in use stays: sign out first where the user may be another one.
   * @param response the token endpoint's answer, parsed
   * @param options.requestedAt when its request was sent (`Date.now()`); lifetimes count from there. Default: now
   * @param options.dpopKey the key that the tokens are bound to, for ES256, with {@link TokenWardOptions.dpop}. Default: the
   * session's. Make it with `extractable: false`
   * @throws {TypeError} `invalid_token_response`: names the member; `invalid_option`; the running session stays as it is
   */
  setTokens(response: TokenResponse, options?: { requestedAt?: number; dpopKey?: CryptoKeyPair }): void;

  /**
   * Gives the access token for what has no headers: `WebSocket`, `navigator.sendBeacon()`. Waits like a request where it has
   * to be renewed first. Needs {@link TokenWardOptions.dangerouslyExposeAccessToken}.
   *
   * Security: whoever has the returned string can use it until it expires. A token in a URL ends in logs (RFC 6750
   * section 2.3): send it in the first message, or as a subprotocol.
   * @param url what it is for; has to be covered by {@link TokenWardOptions.resources}, where `wss:` counts as `https:`
   * @param options.method the request's. Default `GET`
   * @param options.signal gives up waiting
   * @throws {TypeError} `invalid_option`: it is not allowed, or `url` is not covered
   * @throws {TokenWardError} `signed_out`, also if another session began meanwhile; `token_unavailable`, `closed`
   */
  ticket(url: string | URL, options?: { method?: string; signal?: AbortSignal }): Promise<string>;

  /**
   * Lends the access token to the page's service worker, whose script calls `authorizeRequests()` of
   * `tokenward/service-worker`, and which the app has registered. Resolves when what the page asks for from now on is
   * authorised there, or waits there: for a token, or for {@link restore} and {@link handleCallback} where they are under way. A
   * page that the worker does not control yet (the first load, a forced reload) is taken over. A worker that was stopped or
   * replaced gets the token again by itself. {@link close} and {@link uninstall} end it.
   *
   * Security: only the worker that controls the page gets the token, no refresh token is ever lent, and the worker keeps it
   * in memory.
   * @throws {TypeError} `invalid_option`: names the key; `name` is another ward's, or not the one of this window's first call
   * @throws {TokenWardError} `service_worker_unavailable`: none of tokenward's was active within `requestTimeoutSeconds`;
   * `closed`
   */
  connectServiceWorker(options?: ConnectOptions): Promise<void>;

  /**
   * Renews now, or joins the refresh that is under way. Resolves when the tokens were renewed.
   * @throws {TokenWardError} `signed_out`, `not_renewable`, `token_unavailable`, `closed`
   */
  refresh(): Promise<void>;

  /**
   * Ends the session: wipes the tokens at once, then revokes them at the server (RFC 7009), refresh token first. Other
   * tabs of the origin with the same issuer and client sign out as well.
   * Never rejects because of the network: what the server was not told is in the result. Without a revocation endpoint
   * that is everything.
   */
  signOut(options?: SignOutOptions): Promise<SignOutResult>;

  snapshot(): Snapshot;

  /** Wipes everything, takes back the patch, ends timers and listeners. Waiting requests reject with `closed`. */
  close(): void;
  [Symbol.dispose](): void;

  addEventListener<K extends keyof TokenWardEventMap>(
    type: K,
    listener: ((this: TokenWard, event: TokenWardEventMap[K]) => unknown) | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<K extends keyof TokenWardEventMap>(
    type: K,
    listener: ((this: TokenWard, event: TokenWardEventMap[K]) => unknown) | null,
    options?: boolean | EventListenerOptions,
  ): void;
  removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | EventListenerOptions,
  ): void;
}
