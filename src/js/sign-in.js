import { Prover, generateKey } from "./dpop.js";
import { TokenWardError, asked, invalid } from "./errors.js";
import { bytesOf, digest, part, verify } from "./jws.js";
import {
  AbortSignal,
  Array,
  Object,
  URL,
  Uint8Array,
  crypto,
  getRandomValues,
  hrefOf,
  monotonicClock,
  slice,
  wallClock,
} from "./natives.js";
import { forgetKey, lastingKey } from "./keys.js";
import { get, post, unseal } from "./post.js";
import { scopeOf } from "./relay.js";
import {
  AT_HASH,
  BASE64URL,
  CHECK,
  CODE_REQUEST,
  DISCOVERED,
  ENDPOINT,
  KEY,
  METADATA_URL,
  NONCE,
  PUSHED,
  PUSH_TO,
  REQUEST,
  SIGNED_IN,
  TAKE,
  TIMEOUT_MS,
  URL_FOR,
  WANTS_NONCE,
} from "./steps.js";

// The first letter of a state says who waits for its answer.
export const REDIRECT = "r";
export const POPUP = "p";
export const FRAME = "f";

// Of `Endpoint`.
export const TOKEN = 0;
const JWKS = 4;
export const END_SESSION = 5;
const SESSION = 6;
const SESSION_END = 7;

/** What stands before a token that is bound to a key. */
const DPOP = "DPoP ";

const MAX_BYTES = 1 << 20;

/** The IO of signing in. What it means is for Core to say. */
export class SignIn {
  #core;
  #metadata;
  #keys = [];
  /** Proves the possession of the key of the session, with `dpop`. */
  prover;
  /** See page.js. */
  page;

  #options;
  #closing;
  /** What the last sign-in asked for. */
  #scope;

  /** @param core gives the ward's, or throws; `closing` aborts with the ward's end */
  constructor(core, options, closing, page) {
    this.#core = core;
    this.page = page;
    this.#options = options;
    this.#scope = options.scope;
    this.#closing = closing;
  }

  step(step, a, b, c) {
    return asked(() => this.#core().step(step, a, b, c));
  }

  /** Whatever the network does is one error, within the time limit. */
  async #network(send, stop = this.#closing) {
    try {
      const answer = await send(AbortSignal.any([stop, AbortSignal.timeout(this.step(TIMEOUT_MS))]));
      if (answer) return answer;
    } catch (cause) {
      stop.throwIfAborted();
      throw new TokenWardError("server_unavailable", { cause });
    }
    throw new TokenWardError("server_unavailable");
  }

  /** The URL of an endpoint, where no metadata have to be asked for: never for a backend's. */
  known(which) {
    return which >= SESSION || !this.step(METADATA_URL, 0) ? this.step(ENDPOINT, which) : undefined;
  }

  /** Resolves with the URL of an endpoint. The server's metadata are asked for once, or again if they did not come. */
  async endpoint(which) {
    for (;;) {
      const url = this.known(which);
      if (url) return url;
      const joins = this.#metadata;
      try {
        await (this.#metadata ??= this.#discover().finally(() => (this.#metadata = undefined)));
      } catch (error) {
        // Whoever asked first had less time left.
        if (!joins) throw error;
      }
    }
  }

  async #discover() {
    let failure = new TokenWardError("server_unavailable");
    for (const which of [0, 1]) {
      const url = this.step(METADATA_URL, which);
      const answer = await this.#network((signal) => get(url, MAX_BYTES, signal)).catch((error) => {
        // It may be hidden by CORS that there is nothing.
        failure = error;
      });
      const { status, body } = unseal(answer) ?? {};
      if (status !== 200 || !body) continue;
      const metadata = { __proto__: null };
      for (const name in body) metadata[name] = parsed(name, body[name]);
      return this.step(DISCOVERED, metadata);
    }
    throw failure;
  }

  /** Resolves with a transaction and the URL that begins it. */
  async begin(ask, mode, stop) {
    await this.endpoint(TOKEN);
    const random = () => this.step(BASE64URL, getRandomValues(crypto, new Uint8Array(32)));
    const state = random();
    const nonce = random();
    const verifier = random();
    const challenge = this.step(BASE64URL, await digest("SHA-256", verifier));
    const { dpop, issuer, redirectUri, relayUri = redirectUri, scope } = this.#options;
    const pair = dpop ? (ask.pair ?? (await generateKey())) : undefined;
    const jkt = pair && (await this.#proverOf(pair).thumbprint());
    const own = { state: mode + state, nonce, verifier, challenge, issuer, pair, jkt, at: wallClock(), ward: scopeOf(this.#options) };
    const transaction = { scope, ...ask, ...own, redirectUri: mode === REDIRECT ? redirectUri : relayUri };
    let request = this.step(REQUEST, transaction);
    const pushTo = this.step(PUSH_TO, transaction);
    if (pushTo) {
      request = this.step(PUSHED, unseal(await this.#network((signal) => post(pushTo, bytesOf(request), { signal }, MAX_BYTES), stop)));
    }
    return { transaction, url: this.step(URL_FOR, request) };
  }

  /** Resolves with the token endpoint's answer to a code, sealed, ID token verified, and when it was asked. */
  async finish(transaction, params, stop) {
    const url = await this.endpoint(TOKEN);
    const request = this.step(CODE_REQUEST, transaction, params);
    const prover = transaction.pair && this.#proverOf(transaction.pair);
    let sent;
    const send = () => {
      sent = monotonicClock();
      return this.#network((signal) => this.#ask(url, bytesOf(request), { signal }, prover), stop);
    };
    let sealed = await send();
    if (this.step(WANTS_NONCE, unseal(sealed))) sealed = await send();
    const answer = unseal(sealed);
    const { id_token: idToken, access_token: accessToken } = answer.body ?? {};
    let claims, atHash;
    if (typeof idToken === "string") {
      atHash = this.step(AT_HASH, await digest(await this.#verify(idToken, stop), accessToken));
      claims = part(idToken, 1);
    }
    this.step(CHECK, answer, { ...transaction, atHash }, claims);
    this.#scope = transaction.scope;
    return { answer: sealed, sent, prover };
  }

  #proverOf(pair) {
    return new Prover((step, a) => this.step(step, a), pair);
  }

  /** Asks an endpoint, with a proof where it gives tokens that are bound to a key. */
  async post(endpoint, url, body, init, maxBytes) {
    const { dpop, session } = this.#options;
    const name = scopeOf(this.#options);
    if (endpoint === TOKEN) return this.#ask(url, body, init, this.prover);
    if (endpoint !== SESSION || !dpop) {
      // Another session has another key.
      if (dpop && endpoint === SESSION_END) forgetKey(name).catch(() => {});
      return post(url, body, init, maxBytes);
    }
    const prover = this.#proverOf(await lastingKey(name, generateKey));
    if (!this.step(SIGNED_IN)) this.prover = prover;
    return this.#ask(url, body, init, prover, session.tokenEndpoint);
  }

  /**
   * Asks the token endpoint, or a backend that passes on what it gets, with a proof if there is a key, and remembers the
   * nonce for the next one.
   */
  async #ask(url, body, init, prover, tokenEndpoint = url) {
    const answer = await post(url, body, { ...init, dpop: await prover?.prove("POST", tokenEndpoint) }, MAX_BYTES);
    if (prover && answer) this.step(NONCE, tokenEndpoint, unseal(answer).nonce);
    return answer;
  }

  /** Takes what a sign-in brought that began after so many sign-outs. */
  take(began, { answer, sent, prover }) {
    this.#proveBy(prover, () => this.step(TAKE, unseal(answer), began, monotonicClock() - sent));
  }

  /** Has a session begin or go on with the app's key, or the one that there is. */
  proveBy(pair, begin) {
    const prover = pair ? this.#proverOf(pair) : this.prover;
    if (this.#options.dpop && !prover) throw invalid("invalid_option", "dpopKey must be set");
    this.#proveBy(prover, begin);
  }

  #proveBy(prover, begin) {
    const last = this.prover;
    this.prover = prover;
    try {
      begin();
    } catch (error) {
      this.prover = last;
      throw error;
    }
  }

  /** Resolves with the proof for a request that is authorised by these. */
  prove(method, href, { authorization, stamp }) {
    return this.prover.prove(method, href, slice(authorization, DPOP.length), stamp);
  }

  /** Resolves with the hash of the algorithm that verified the signature. */
  async #verify(token, stop) {
    const header = part(token, 0);
    for (let fetched = false; ; fetched = true) {
      const found = this.step(KEY, header, this.#keys, fetched);
      if (found) {
        const [at, parameters] = found;
        const [name, hash, extra] = parameters.split(" ");
        const algorithm = { name, hash, namedCurve: extra, saltLength: +extra };
        if (await verify(algorithm, this.#keys[at], token).catch(() => false)) return hash;
        throw new TokenWardError("id_token_invalid", { detail: "signature" });
      }
      const url = await this.endpoint(JWKS);
      const { body } = unseal(await this.#network((signal) => get(url, MAX_BYTES, signal), stop));
      if (!Array.isArray(body?.keys)) throw new TokenWardError("server_unavailable");
      this.#keys = body.keys;
    }
  }

  /** Signs in in a hidden frame, if the server does so without a question; with the key that there is. */
  async silently(stop) {
    const { url: page } = this.page;
    const ask = { page, returnTo: page, prompt: "none", scope: this.#scope, pair: this.prover?.pair };
    const { transaction, url } = await this.begin(ask, FRAME, stop);
    stop.throwIfAborted();
    const answer = await this.page.frame(url, transaction.state, stop);
    const found = await this.finish(transaction, answer, stop);
    if (!this.step(SIGNED_IN)) this.prover = found.prover;
    return found.answer;
  }
}

/** URLs in metadata, as the browser's parser has them. */
const parsed = (name, value) => {
  if (typeof value !== "string" || !/_(endpoint|uri)$/.test(name)) return value;
  try {
    return hrefOf(new URL(value));
  } catch {
    return "";
  }
};
