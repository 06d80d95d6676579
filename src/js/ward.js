import { Core } from "tokenward-core";
import { TokenWardError } from "./errors.js";
import { intercept } from "./interceptor.js";
import { load, wipe } from "./loader.js";
import { Mailbox } from "./mailbox.js";
import {
  AbortController,
  CustomEvent,
  Map,
  Math,
  Object,
  Promise,
  WeakMap,
  WebAssembly,
  document,
  monotonicClock,
  nativeFetch,
  navigator,
  wallClock,
} from "./natives.js";
import { invalid, readOptions } from "./options.js";
import { claims, post } from "./post.js";

// Outcomes of a wait, as Core's host gets them.
const READY = 0;
const ERRORS = [, "token_unavailable", "signed_out", "closed", "internal_error"];
const INTERNAL_ERROR = 4;
const ABORTED = 5;

// How a piece of IO ended, for Core.replied().
const ANSWERED = 0;
const NETWORK_FAILURE = 1;
const TOO_LARGE = 2;
const CALLBACK_REJECTED = 3;
const CALLBACK_RESOLVED = 4;

/** Core throws the rule that was broken, as a string. */
const checked = (code, call) => {
  try {
    return call();
  } catch (error) {
    throw typeof error === "string" ? invalid(code, error) : error;
  }
};

/** Every patch, by its function. */
const patches = new WeakMap();

/** The key to the constructor. */
const MADE_BY_CREATE = {};

export class TokenWard extends EventTarget {
  /** Undefined once closed. */
  #core;
  #waits = new Mailbox();
  #signOuts = new Mailbox();
  #gate = {
    core: undefined,
    wait: (after, since, signal) => this.#wait((core) => core.wait(after, since), signal),
    failed: (error) => this.#failed(error),
  };
  #fetch = intercept((...args) => nativeFetch(...args), this.#gate);
  #patch;

  constructor(key, options) {
    if (key !== MADE_BY_CREATE) throw new TypeError("TokenWard is made by TokenWard.create().");
    super();
    this.#core = this.#gate.core = checked("invalid_option", () => new Core(options, Math.random(), this.#host(options)));
  }

  static async create(options) {
    const read = readOptions(options);
    await load(read.wasm);
    return new TokenWard(MADE_BY_CREATE, read);
  }

  get signedIn() {
    return this.#core?.signedIn ?? false;
  }

  get fetch() {
    return this.#fetch;
  }

  install() {
    this.#alive();
    if (!this.#patch) {
      const next = globalThis.fetch;
      const gate = { ...this.#gate };
      this.#patch = { next, gate, fetch: intercept(next, gate) };
      patches.set(this.#patch.fetch, this.#patch);
      globalThis.fetch = this.#patch.fetch;
    }
    return this;
  }

  uninstall() {
    if (this.#patch) {
      this.#patch.gate.core = this.#patch = undefined;
      // On top may be one that was taken back while another ward's stood on it.
      for (let patch; (patch = patches.get(globalThis.fetch)) && !patch.gate.core; ) globalThis.fetch = patch.next;
    }
    return this;
  }

  setTokens(response, { requestedAt } = {}) {
    const now = wallClock();
    if (requestedAt !== undefined && !Number.isFinite(requestedAt)) {
      throw invalid("invalid_option", "requestedAt must be a number of milliseconds since the Unix epoch");
    }
    const core = this.#alive();
    checked("invalid_token_response", () => core.setTokens(response, now - (requestedAt ?? now)));
  }

  async refresh() {
    this.#alive();
    await this.#wait((core) => {
      const waiter = core.renew();
      if (waiter === undefined) throw new TokenWardError(core.signedIn ? "not_renewable" : "signed_out");
      return waiter;
    });
  }

  async signOut() {
    const notRevoked = await this.#signOuts.collect(this.#alive().signOut());
    return { revoked: notRevoked.length === 0, notRevoked };
  }

  snapshot() {
    return this.#alive().snapshot();
  }

  close() {
    this.uninstall();
    const core = this.#core;
    this.#core = this.#gate.core = undefined;
    core?.close();
  }

  [Symbol.dispose ?? Symbol.for("Symbol.dispose")]() {
    this.close();
  }

  #alive() {
    if (!this.#core) throw new TokenWardError("closed");
    return this.#core;
  }

  /** Waits for what `begin` begins, and resolves with the stamp to go on after. */
  async #wait(begin, signal) {
    const core = this.#alive();
    signal?.throwIfAborted();
    const waiter = begin(core);
    const abort = () => {
      core.cancel(waiter);
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
    this.#waits.deliverAll({ outcome: INTERNAL_ERROR });
    this.#signOuts.deliverAll(["refresh_token", "access_token"]);
    return new TokenWardError("internal_error", { cause: error });
  }

  #host({ endpoints, refresh }) {
    const running = new Map();
    const begin = (number) => {
      const controller = new AbortController();
      running.set(number, controller);
      return controller.signal;
    };
    const replied = (epoch, number, how, answer) => {
      running.delete(number);
      this.#core?.replied(epoch, number, how, answer);
    };
    return {
      wall: wallClock,
      mono: monotonicClock,
      targets: () => (document ? [globalThis, document] : [globalThis]),
      online: () => navigator?.onLine !== false,
      claims,
      abort: (number) => {
        running.get(number)?.abort();
        running.delete(number);
      },
      // The app may leave the page right after sign-out: a revocation outlives it.
      post: (epoch, number, revocation, body, maxBytes) =>
        post(revocation ? endpoints.revocation : endpoints.token, body, revocation, maxBytes, begin(number)).then(
          (answer) => replied(epoch, number, answer ? ANSWERED : TOO_LARGE, answer),
          () => replied(epoch, number, NETWORK_FAILURE),
        ),
      refresh: (epoch, number) => {
        const signal = begin(number);
        Promise.resolve()
          .then(() => refresh({ signal }))
          .then(
            (body) => replied(epoch, number, CALLBACK_RESOLVED, { body }),
            (body) => replied(epoch, number, CALLBACK_REJECTED, { body }),
          );
      },
      settle: (waiter, outcome, after) => this.#waits.deliver(waiter, { outcome, after }),
      signedOut: (id, notRevoked) => this.#signOuts.deliver(id, notRevoked),
      emit: (name, detail) => {
        const event = new CustomEvent(name, { detail: Object.freeze(detail) });
        this.dispatchEvent(Object.assign(event, detail));
      },
    };
  }
}
