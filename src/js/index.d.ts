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
  url: string;
  /** HTTP methods that carry a token. Default: all. `OPTIONS` has to be listed like any other. */
  methods?: readonly string[];
}

/** Endpoints of the authorization server. `https:` only, `http:` for loopback hosts. */
export interface Endpoints {
  /** Token endpoint (RFC 6749 section 3.2), for the `refresh_token` grant. */
  token?: string;
  /** Revocation endpoint (RFC 7009). Without it, {@link TokenWard.signOut} clears locally only. */
  revocation?: string;
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
  /** The client identifier (RFC 6749 section 2.2). Needed with {@link Endpoints.token}. A public client: no secret. */
  clientId?: string;
  endpoints?: Endpoints;
  /** Which requests carry a token. */
  resources: readonly ResourceOptions[];
  /** Renews by the app's own means instead of the `refresh_token` grant. Excludes {@link Endpoints.token}. */
  refresh?: RefreshCallback;
  /** How long a request waits for a token, in seconds, before it rejects with `token_unavailable`. 1 to 600. Default 30. */
  waitSeconds?: number;
  /** Time limit of one token or revocation request, in seconds. 1 to 300. Default 15. */
  requestTimeoutSeconds?: number;
  /**
   * Sign out after refreshing has failed for this long, in seconds. Default: never; a passing failure does not end a
   * session.
   */
  maxOutageSeconds?: number;
  /** Accept `http:` for hosts that are not loopback. Tokens then travel in the clear. Default `false`. */
  dangerouslyAllowHttp?: boolean;
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
  | "outage";

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

/** What `signOut()` could tell the server. */
export interface SignOutResult {
  /** `true` if the server confirmed each revocation, or nothing was to be revoked. */
  revoked: boolean;
  /** The tokens, by type hint (RFC 7009 section 2.1), whose revocation the server did not confirm. */
  notRevoked: readonly ("refresh_token" | "access_token")[];
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
  | "internal_error";

export class TokenWardError extends Error {
  private constructor();
  readonly name: "TokenWardError";
  readonly code: ErrorCode;
  /** Whether the same call can succeed later without the user signing in. */
  readonly retryable: boolean;
}

export class TokenWard extends EventTarget {
  private constructor();

  /**
   * Makes a ward. Loads the wasm on first use.
   * @throws {TypeError} `invalid_option`: names the key
   * @throws {TokenWardError} `core_unavailable`
   */
  static create(options: TokenWardOptions): Promise<TokenWard>;

  /** Whether there is a session. A session whose access token ran out is still one while it can be renewed. */
  readonly signedIn: boolean;

  /**
   * Patches `globalThis.fetch`. A second call does nothing. A wrapper of `fetch` that was there before is called with the
   * `Authorization` header; {@link fetch} calls the one that was there when this module was loaded.
   */
  install(): this;

  /** Takes the patch back. Where others have wrapped it since, theirs stay and ours passes everything through. */
  uninstall(): this;

  /** `fetch` with the ward's tokens, without a patch. Needs no receiver: `const { fetch } = ward` works. */
  readonly fetch: typeof globalThis.fetch;

  /**
   * Begins a session with tokens the app obtained, or replaces the tokens of the running one.
   * Without a `refresh_token` the one in use stays: sign out first where the user may be another one.
   * @param response the token endpoint's answer, parsed
   * @param options.requestedAt when its request was sent (`Date.now()`); lifetimes count from there. Default: now
   * @throws {TypeError} `invalid_token_response`: names the member; the running session stays as it is
   */
  setTokens(response: TokenResponse, options?: { requestedAt?: number }): void;

  /**
   * Renews now, or joins the refresh that is under way. Resolves when the tokens were renewed.
   * @throws {TokenWardError} `signed_out`, `not_renewable`, `token_unavailable`, `closed`
   */
  refresh(): Promise<void>;

  /**
   * Ends the session: wipes the tokens at once, then revokes them at the server (RFC 7009), refresh token first.
   * Never rejects because of the network: what the server was not told is in the result. Without a revocation endpoint
   * that is everything.
   */
  signOut(): Promise<SignOutResult>;

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
