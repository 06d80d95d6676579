import { Core } from "tokenward-core";
import { TokenWardError, asked, invalid } from "./errors.js";
import { ANY_TOKEN, NOT_REPEATABLE, again, intercept } from "./interceptor.js";
import { part } from "./jws.js";
import { hostOf } from "./host.js";
import { Lenders } from "./lender.js";
import { load, wipe } from "./loader.js";
import { Mailbox } from "./mailbox.js";
import {
  AbortController,
  AbortSignal,
  CustomEvent,
  JSON,
  Map,
  Math,
  Object,
  Promise,
  URL,
  WeakMap,
  WebAssembly,
  monotonicClock,
  nativeFetch,
  realmOf,
  wallClock,
} from "./natives.js";
import { readConnection, readInstall, readOptions, readSignIn, readTicket, readTokens } from "./options.js";
import { never, page } from "./page.js";
import { patch, unpatch } from "./patches.js";
import { seal, unseal } from "./post.js";
import { isAt, relay, scopeOf, takeAnswer } from "./relay.js";
import { END_SESSION, POPUP, REDIRECT, SignIn, TOKEN } from "./sign-in.js";
import {
  CANCEL,
  CLOSE,
  COVERS,
  ID_TOKEN,
  LEND,
  LOGOUT_URL,
  RENEW,
  RESTORE,
  SET_TOKENS,
  SIGNED_IN,
  SIGN_OUT,
  SIGN_OUTS,
  SNAPSHOT,
  TIMEOUT_MS,
  WAIT,
} from "./steps.js";
import { Tabs } from "./tabs.js";
import { ofWindow } from "./windows.js";
import { patchXhr } from "./xhr.js";

// Outcomes of a wait, as Core's host gets them.
const READY = 0;
const ERRORS = [, "token_unavailable", "signed_out", "closed", "internal_error"];
const INTERNAL_ERROR = 4;
const ABORTED = 5;

/** The authorization response that the page's address held. */
let callback;

/** The key to the constructor. */
const MADE_BY_CREATE = {};

/** A ward for a service worker, whose wasm is there, and whether a request may carry its token. */
export let borrower;

/** The ward of a worker, whose pages do what takes a document. `fetch` resolves with AS_IS for what carries no token. */
export let vaultOf;
export const AS_IS = {};

export class TokenWard extends EventTarget {
  /** Undefined once closed. */
  #core;
  #waits = new Mailbox();
  #signOuts = new Mailbox();
  #gate = {
    core: undefined,
    wait: (after, since, signal) => this.#wait((core) => core.step(WAIT, after, since), signal),
    refusing: (call) => (this.#refused = call),
    failed: (error) => this.#failed(error),
    prove: (method, href, credentials) => this.#signIn.prove(method, href, credentials),
  };
  #fetch = intercept(nativeFetch, this.#gate, realmOf(globalThis), true);
  /** By the window that is patched. A frame that was removed is not kept for longer than up to the next install(). */
  #patches = new Map();
  /** The request whose refusal Core is told of. */
  #refused;
  /** The refused request that a step-up event is about. */
  #refusals = new WeakMap();
  #closing = new AbortController();
  #options;
  #signIn;
  #tabs;
  #lenders = new Lenders({
    look: () => this.#core.step(LEND, ANY_TOKEN) ?? (this.#underWay() ? true : null),
    key: () => this.#signIn.prover?.pair,
    lend: (after) => this.#lend(after),
    user: () => this.user,
    heard: (name, detail) => this.#emit(name, detail, NOT_REPEATABLE),
  });
  /** What may yet find a session: `restore` and `handle`. */
  #busy = {};
  #user = null;
  /** The token set that `#user` was read with. */
  #userStamp;

  static {
    borrower = (options) => {
      const ward = new TokenWard(MADE_BY_CREATE, { ...readOptions(options), borrows: true });
      return { ward, covers: ({ url, method }) => ward.#core.step(COVERS, url, method) };
    };
    vaultOf = async (read, seam) => {
      await load(read.wasm);
      const ward = new TokenWard(MADE_BY_CREATE, read, seam);
      const isAuthorised = (input, init) => (init ?? input).headers.authorization ?? input.headers?.has("authorization");
      const next = (...args) => (isAuthorised(...args) ? nativeFetch(...args) : Promise.resolve(AS_IS));
      const turnTo = (page, answer) => {
        ward.#signIn.page = page;
        callback = answer;
      };
      return { ward, turnTo, fetch: intercept(next, ward.#gate, realmOf(globalThis), true) };
    };
  }

  constructor(key, options, seam) {
    if (key !== MADE_BY_CREATE) throw new TypeError("TokenWard is made by TokenWard.create().");
    super();
    this.#options = options;
    this.#signIn = new SignIn(() => this.#alive(), options, this.#closing.signal, seam);
    const host = hostOf({
      core: () => this.#core,
      tabs: () => this.#tabs,
      signIn: this.#signIn,
      waits: this.#waits,
      signOuts: this.#signOuts,
      refresh: options.refresh,
      restore: () => Promise.resolve(this.#busy.restore).then(() => this.restore()),
      emit: (name, detail) => this.#emit(name, detail, this.#refused),
    });
    this.#core = this.#gate.core = asked(() => new Core(options, Math.random(), host));
    this.#tabs = new Tabs(scopeOf(options), (step, a, b, c) => this.#core?.step(step, a, b, c));
    Object.freeze(this);
  }

  static async create(options) {
    const read = readOptions(options);
    // Before anything else: nobody may find the code in the address.
    if ([read.redirectUri, read.relayUri].some(isAt)) {
      const answer = takeAnswer();
      if (answer && relay(answer)) return never();
      callback = answer ?? callback;
    }
    // Set by the build: what is in a worker already asks no other.
    if (HAS_WORKERS && read.isolation === "worker") {
      const { connect } = await import("./remote.js");
      const answer = callback;
      callback = undefined;
      return connect(read, answer, page, { TokenWardError, intercept, invalid, ofWindow, patch, realmOf, readInstall, scopeOf, unpatch });
    }
    await load(read.wasm);
    return new TokenWard(MADE_BY_CREATE, read, page);
  }

  get signedIn() {
    return this.#core?.step(SIGNED_IN) ?? false;
  }

  get user() {
    const stamp = this.#core?.stamp();
    if (stamp !== this.#userStamp) {
      this.#userStamp = stamp;
      const token = stamp === undefined ? null : this.#signIn.step(ID_TOKEN);
      const claims = token && part(token, 1);
      // The same user stays the same object.
      if (JSON.stringify(claims) !== JSON.stringify(this.#user)) this.#user = claims && Object.freeze(claims);
    }
    return this.#user;
  }

  async signIn(options = {}) {
    const { mode, signal, stepUp, ...ask } = readSignIn(options, this.#signIn.page.url);
    const { page } = this.#signIn;
    const core = this.#alive();
    const refused = stepUp && this.#refusals.get(stepUp);
    if (stepUp) {
      if (!refused) throw invalid("invalid_option", "stepUp must be a stepup event of this session");
      ask.acrValues ??= stepUp.acrValues ?? undefined;
      ask.maxAge ??= stepUp.maxAge ?? undefined;
      ask.subject = this.user?.sub;
    }
    const stop = AbortSignal.any([this.#closing.signal, ...(signal ? [signal] : [])]);
    stop.throwIfAborted();
    if (mode === "redirect") {
      const { transaction, url } = await this.#signIn.begin(ask, REDIRECT, stop);
      stop.throwIfAborted();
      await page.keep(transaction);
      return page.leave(url);
    }
    const began = core.step(SIGN_OUTS);
    // Now, while the user's click still counts.
    const popup = page.popup();
    try {
      const { transaction, url } = await this.#signIn.begin(ask, POPUP, stop);
      stop.throwIfAborted();
      const params = await popup.answer(url, transaction.state, stop);
      this.#signIn.take(began, await this.#signIn.finish(transaction, params, stop));
    } finally {
      popup.close();
    }
    // Not in another session than the one it was refused in.
    return { response: refused && this.#refusals.get(stepUp) === refused ? await again(refused) : null };
  }

  handleCallback() {
    return this.#once("handle", () => this.#handle());
  }

  async #handle() {
    const began = this.#alive().step(SIGN_OUTS);
    const params = callback;
    if (!params) return null;
    // As long as these cannot be had, nothing is used up.
    const failure = await this.#signIn.endpoint(TOKEN).catch((error) => error);
    if (failure.retryable) throw failure;
    const transaction = await this.#signIn.page.take(params.state, scopeOf(this.#options));
    if (!transaction) return null;
    callback = undefined;
    this.#signIn.take(began, await this.#signIn.finish(transaction, params));
    return { returnTo: transaction.returnTo };
  }

  restore() {
    return this.#once("restore", () => this.#restore());
  }

  get fetch() {
    return this.#fetch;
  }

  install(options) {
    const { window = globalThis, xhr } = readInstall(options);
    this.#alive();
    const found = ofWindow(this.#patches, window, () => {
      const gate = { ...this.#gate };
      patch(window, "fetch", gate, (next) => intercept(next, gate, realmOf(window)));
      return { gate };
    });
    if (xhr) found.unpatchXhr ??= patchXhr(window, found.gate);
    return this;
  }

  uninstall() {
    // An iterator would show the gates.
    this.#patches.forEach(({ gate, unpatchXhr }, window) => {
      gate.core = undefined;
      unpatchXhr?.();
      try {
        unpatch(window, "fetch");
      } catch {
        // A frame that is at another origin now.
      }
    });
    this.#patches.clear();
    this.#lenders.close();
    return this;
  }

  setTokens(response, options) {
    const now = wallClock();
    const { requestedAt = now, dpopKey } = readTokens(options, this.#options);
    const core = this.#alive();
    this.#signIn.proveBy(dpopKey, () => asked(() => core.step(SET_TOKENS, response, now - requestedAt)));
  }

  async ticket(given, options) {
    const { url, method, signal } = readTicket(given, options);
    const core = this.#alive();
    if (!this.#options.dangerouslyExposeAccessToken) throw invalid("invalid_option", "dangerouslyExposeAccessToken must be true");
    if (!core.step(COVERS, url, method)) throw invalid("invalid_option", "url must be covered by resources");
    const loan = unseal(await this.#lend(ANY_TOKEN, signal));
    if (!loan) throw new TokenWardError("signed_out");
    return loan.access_token;
  }

  async connectServiceWorker(options) {
    const { window = globalThis, name = "" } = readConnection(options);
    const timeoutMs = this.#alive().step(TIMEOUT_MS);
    await this.#lenders.of(window, name).connect(this.#closing.signal, timeoutMs);
  }

  async refresh() {
    this.#alive();
    await this.#wait((core) => {
      const waiter = core.step(RENEW);
      if (waiter === undefined) throw new TokenWardError(this.signedIn ? "not_renewable" : "signed_out");
      return waiter;
    });
  }

  async signOut({ endSession = false } = {}) {
    const core = this.#alive();
    let url = endSession ? this.#signIn.step(LOGOUT_URL) : null;
    const signingOut = this.#signOuts.collect(core.step(SIGN_OUT));
    const stamp = this.#core?.stamp();
    const { notRevoked, reached } = await signingOut;
    if (endSession) {
      url ??= (await this.#signIn.endpoint(END_SESSION).catch(() => {})) && this.#signIn.step(LOGOUT_URL);
      // Somebody may have signed in meanwhile.
      if (url && reached && this.#core?.stamp() === stamp) {
        return this.#signIn.page.leave(url);
      }
      notRevoked.push("end_session");
    }
    return { revoked: notRevoked.length === 0, notRevoked };
  }

  snapshot() {
    return this.#alive().step(SNAPSHOT);
  }

  close() {
    this.uninstall();
    const core = this.#core;
    this.#core = this.#gate.core = undefined;
    this.#end();
    core?.step(CLOSE);
  }

  [Symbol.dispose ?? Symbol.for("Symbol.dispose")]() {
    this.close();
  }

  #alive() {
    if (!this.#core) throw new TokenWardError("closed");
    return this.#core;
  }

  /** Gives up whatever is under way. */
  #end() {
    this.#tabs.close();
    this.#closing.abort(new TokenWardError("closed"));
  }

  async #restore() {
    const stamp = this.#alive().stamp();
    let retryable = false;
    for (const way of this.#options.restore) {
      // Somebody signed in meanwhile, or out.
      if (this.#core?.stamp() !== stamp) break;
      await this.#wait((core) => core.step(RESTORE, +(way === "silent"))).catch((error) => {
        if (error.code === "closed") throw error;
        retryable ||= error.retryable;
      });
    }
    return { signedIn: this.signedIn, retryable: retryable && !this.signedIn };
  }

  /** Begins, or joins what is under way. */
  #once(what, begin) {
    if (!this.#busy[what]) {
      this.#busy[what] = begin().finally(() => {
        this.#busy[what] = undefined;
        this.#lenders.tell();
      });
      this.#lenders.tell();
    }
    return this.#busy[what];
  }

  #underWay() {
    return this.#busy.handle ?? this.#busy.restore;
  }

  /**
   * The access token, newer than `after`, as a token endpoint would answer, sealed; null if nobody is signed in, or not in
   * the session that this began in.
   */
  async #lend(after, signal) {
    const since = monotonicClock();
    // Where nobody is signed in, a sign-in that is under way will say more.
    for (let busy; !this.signedIn && (busy = this.#underWay()); ) await busy.catch(() => {});
    signal?.throwIfAborted();
    for (;;) {
      const loan = this.#alive().step(LEND, after);
      if (!loan || loan.access_token) return loan && seal(loan);
      after = await this.#gate.wait(loan.mark, since, signal);
    }
  }

  /** Tells the app; `refused` is the request that it is about. */
  #emit(name, detail, refused) {
    const event = new CustomEvent(name, { detail: Object.freeze(detail) });
    // What was refused then must not go on in the next session.
    if (name === "signedout") this.#refusals = new WeakMap();
    // Where another session began in its place, the key is of that one.
    if (!this.signedIn) this.#signIn.prover = undefined;
    if (name === "stepup" && refused) this.#refusals.set(event, refused);
    this.#lenders.tell();
    this.dispatchEvent(Object.assign(event, detail));
  }

  /** Waits for what `begin` begins, and resolves with the stamp to go on after. */
  async #wait(begin, signal) {
    const core = this.#alive();
    signal?.throwIfAborted();
    const waiter = begin(core);
    const abort = () => {
      core.step(CANCEL, waiter);
      this.#waits.interrupt(waiter, { outcome: ABORTED });
    };
    signal?.addEventListener("abort", abort);
    const { outcome, after } = await this.#waits.collect(waiter);
    signal?.removeEventListener("abort", abort);
    if (outcome === READY) return after;
    if (outcome === ABORTED) throw signal.reason;
    throw new TokenWardError(ERRORS[outcome]);
  }

  /** A trap leaves the wasm in an unknown state: nothing is asked of it any more. */
  #failed(error) {
    if (!(error instanceof WebAssembly.RuntimeError)) return error;
    this.uninstall();
    this.#core = this.#gate.core = undefined;
    wipe();
    this.#end();
    this.#waits.deliverAll({ outcome: INTERNAL_ERROR });
    this.#signOuts.deliverAll({ notRevoked: ["refresh_token", "access_token"] });
    return new TokenWardError("internal_error", { cause: error });
  }
}

// What the app calls is what it gets.
Object.freeze(TokenWard.prototype);
Object.freeze(TokenWard);
