import { TokenWardError, asked } from "./errors.js";
import { bytesOf, digest, part, verify } from "./jws.js";
import { AbortSignal, Array, JSON, Object, URL, Uint8Array, crypto, document, location, monotonicClock, wallClock } from "./natives.js";
import { get, post } from "./post.js";
import { answerTo } from "./relay.js";

// The steps of Core.step().
const ENDPOINT = 0;
const BASE64URL = 1;
const AT_HASH = 2;
const REQUEST = 3;
const PUSH_TO = 4;
const PUSHED = 5;
const URL_FOR = 6;
const CODE_REQUEST = 7;
const CHECK = 8;
const SIGN_IN = 9;
export const LOGOUT_URL = 10;
export const SIGNED_OUT_ELSEWHERE = 11;
const METADATA_URLS = 12;
const DISCOVERED = 13;
const KEY = 14;
export const RESTORE = 15;
const TIMEOUT_MS = 16;

// The first letter of a state says who waits for its answer.
export const REDIRECT = "r";
export const POPUP = "p";
export const FRAME = "f";

// Of `Endpoint`.
const TOKEN = 0;
const JWKS = 6;

const MAX_BYTES = 1 << 20;

const STORED = "tokenward.";

/** Keeps a transaction for the page that comes back. It is all that is ever stored, and by its state, for this tab. */
export const keep = (transaction) => sessionStorage.setItem(STORED + transaction.state, JSON.stringify(transaction));

/** The transaction of this state, which is used up with it, as is every other that this tab began. */
export function take(state) {
  const text = sessionStorage.getItem(STORED + state);
  for (const key of Object.keys(sessionStorage)) if (key.startsWith(STORED)) sessionStorage.removeItem(key);
  return JSON.parse(text) ?? {};
}

/** The IO of signing in. What it means is for Core to say. */
export class SignIn {
  #core;
  #metadata;
  #keys = [];

  #options;
  #closing;

  /** @param core gives the ward's, or throws; `closing` aborts with the ward's end */
  constructor(core, options, closing) {
    this.#core = core;
    this.#options = options;
    this.#closing = closing;
  }

  step(step, a, b, c) {
    return asked(() => this.#core().step(step, a, b, c));
  }

  /** Whatever the network does is one error, within the time limit. */
  async #network(send, ...signals) {
    const stop = AbortSignal.any([this.#closing, ...signals.filter(Boolean)]);
    try {
      const answer = await send(AbortSignal.any([stop, AbortSignal.timeout(this.step(TIMEOUT_MS))]));
      if (answer) return answer;
    } catch (cause) {
      stop.throwIfAborted();
      throw new TokenWardError("server_unavailable", { cause });
    }
    throw new TokenWardError("server_unavailable");
  }

  /** Resolves with the URL of an endpoint. The server's metadata are asked for once, or again if they did not come. */
  async endpoint(which) {
    await (this.#metadata ??= this.#discover().catch((error) => {
      this.#metadata = undefined;
      throw error;
    }));
    return this.step(ENDPOINT, which);
  }

  async #discover() {
    const urls = this.step(METADATA_URLS);
    for (const url of urls) {
      const answer = await this.#network((signal) => get(url, MAX_BYTES, signal));
      if (answer.status === 200 && answer.body) {
        return this.step(DISCOVERED, Object.fromEntries(Object.entries(answer.body).map(parsed)));
      }
    }
    if (urls.length > 0) throw new TokenWardError("server_unavailable");
  }

  /** Resolves with a transaction and the URL that begins it. */
  async begin(ask, mode) {
    await this.endpoint(TOKEN);
    const [state, nonce, verifier] = [0, 1, 2].map(() => this.step(BASE64URL, crypto.getRandomValues(new Uint8Array(32))));
    const challenge = this.step(BASE64URL, await digest("SHA-256", verifier));
    const { issuer, redirectUri, relayUri = redirectUri, scope = "openid" } = this.#options;
    const own = { state: mode + state, nonce, verifier, challenge, issuer, at: wallClock() };
    const transaction = { scope, ...ask, ...own, redirectUri: mode === REDIRECT ? redirectUri : relayUri };
    let request = this.step(REQUEST, transaction);
    const pushTo = this.step(PUSH_TO, transaction);
    if (pushTo) {
      request = this.step(PUSHED, await this.#network((signal) => post(pushTo, bytesOf(request), { signal }, MAX_BYTES)));
    }
    return { transaction, url: this.step(URL_FOR, request) };
  }

  /** Resolves with the token endpoint's answer to a code, ID token verified, and when it was asked. */
  async finish(transaction, params, signal) {
    const url = await this.endpoint(TOKEN);
    const body = bytesOf(this.step(CODE_REQUEST, transaction, params));
    const sent = monotonicClock();
    const answer = await this.#network((limit) => post(url, body, { signal: limit }, MAX_BYTES), signal);
    const { id_token: idToken, access_token: accessToken } = answer.body ?? {};
    let claims, atHash;
    if (typeof idToken === "string") {
      atHash = this.step(AT_HASH, await digest(await this.#verify(idToken), accessToken));
      claims = part(idToken, 1);
    }
    this.step(CHECK, answer, { ...transaction, atHash }, claims);
    return { answer, sent };
  }

  /** Takes what a sign-in brought that began at this stamp. */
  take(stamp, { answer, sent }) {
    this.step(SIGN_IN, answer, stamp, monotonicClock() - sent);
  }

  /** Resolves with what a popup brings back. */
  answer({ state }, popup, signal) {
    const stop = AbortSignal.any([this.#closing, ...(signal ? [signal] : [])]);
    return answerTo(state, popup, stop, () => new TokenWardError("popup_closed"));
  }

  /** Resolves with the hash of the algorithm that verified the signature. */
  async #verify(token) {
    const header = part(token, 0);
    for (let fetched = false; ; fetched = true) {
      const found = this.step(KEY, header, this.#keys, fetched);
      if (found) {
        const [at, parameters] = found;
        const [name, hash, extra] = parameters.split(" ");
        const algorithm = { name, hash, namedCurve: extra, saltLength: Number(extra) };
        if (await verify(algorithm, this.#keys[at], token).catch(() => false)) return hash;
        throw new TokenWardError("id_token_invalid", { detail: "signature" });
      }
      const url = await this.endpoint(JWKS);
      const { body } = await this.#network((signal) => get(url, MAX_BYTES, signal));
      if (!Array.isArray(body?.keys)) throw new TokenWardError("server_unavailable");
      this.#keys = body.keys;
    }
  }

  /** Signs in in a hidden frame, if the server does so without a question. */
  async silently(signal, subject) {
    const page = location.href;
    const ask = { page, returnTo: page, prompt: "none", subject };
    const { transaction, url } = await this.begin(ask, FRAME);
    signal.throwIfAborted();
    const frame = document.createElement("iframe");
    frame.hidden = true;
    frame.src = url;
    document.documentElement.append(frame);
    try {
      const answer = await answerTo(transaction.state, frame.contentWindow, signal);
      return (await this.finish(transaction, answer, signal)).answer;
    } finally {
      frame.remove();
    }
  }
}

/** URLs in metadata, as the browser's parser has them. */
const parsed = ([name, value]) => {
  if (!/_(endpoint|uri)$/.test(name)) return [name, value];
  try {
    return [name, new URL(value).href];
  } catch {
    return [name, ""];
  }
};
