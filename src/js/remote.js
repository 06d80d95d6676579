// A ward whose tokens are in a worker. Nothing of what is here ever has one.
import { AbortController, CustomEvent, Map, Object, Promise, URL, WeakMap, SharedWorker, Symbol, Worker, addEventListener, apply, location, nativeFetch, startsWith, trustedTypes } from "./natives.js";
import { packError, unpackError, unpackResponse } from "./wire.js";

// As Core answers, see interceptor.js.
const SEND_AS_IS = 0;
const SEND = 1;
/** Flags of a request that has an Authorization header of its own, or cannot have one. */
const NOT_OURS = 3;

let policy;

/** The script beside this one, as a page takes it that insists on Trusted Types. */
function ownScript() {
  const { href } = new URL("./worker.js", import.meta.url);
  policy ??= trustedTypes?.createPolicy("tokenward", { createScriptURL: () => href });
  return policy ? policy.createScriptURL("") : href;
}

/** Resolves with a ward, once its worker has read the options. `page` does what the worker needs a document for. */
export async function connect(read, answer, page, tools) {
  const { intercept, invalid, ofWindow, patch, readInstall, realmOf, unpatch, TokenWardError } = tools;
  const prefixes = read.resources.map(({ url }) => (url.endsWith("/") ? url.slice(0, -1) : url));

  /** Whether the worker may want to send it: it looks again, and closer. */
  const covers = (href) =>
    prefixes.some((prefix) => href === prefix || ["/", "?", "#"].some((end) => startsWith(href, prefix + end)));

  class RemoteWard extends EventTarget {
    #port;
    #worker;
    #calls = new Map();
    #count = 0;
    #state = { signedIn: false, user: null, snapshot: undefined };
    #stepUps = new WeakMap();
    #popup;
    #stops = new Map();
    #patches = new Map();
    #gate = {
      core: { findRule: (href) => (covers(href) ? 0 : -1), authorize: (_, __, flags) => (flags & NOT_OURS ? SEND_AS_IS : SEND) },
      failed: (error) => error,
      send: (call) => this.#send(call),
    };
    #fetch = intercept(nativeFetch, this.#gate, realmOf(globalThis), true);

    constructor(worker) {
      super();
      this.#worker = worker;
      this.#port = worker.port ?? worker;
      this.#port.onmessage = ({ data }) => this.#heard(data);
    }

    /** Resolves when the worker has read the options. */
    async open(options) {
      const failed = new Promise((_, reject) => {
        this.#worker.onerror = (cause) => reject(new TokenWardError("core_unavailable", { cause }));
      });
      await Promise.race([this.call("open", [options]), failed]);
    }

    /** Asks the worker. */
    call(what, args = [], transfer = [], take = (id) => id) {
      if (!this.#port) return Promise.reject(new TokenWardError("closed"));
      return new Promise((resolve, reject) => {
        const id = (this.#count += 1);
        this.#calls.set(id, { resolve, reject });
        take(id);
        this.#port.postMessage({ id, what, args }, transfer);
      });
    }

    #heard({ id, value, error, state, event, detail, stepUp, ask, what, args, stops }) {
      if (state) this.#state = state;
      if (stops) return this.#stops.get(ask)?.abort();
      if (ask) return this.#do(ask, what, args);
      if (event) {
        const told = Object.assign(new CustomEvent(event, { detail: Object.freeze(detail) }), detail);
        if (event === "stepup") this.#stepUps.set(told, stepUp);
        return this.dispatchEvent(told);
      }
      const { resolve, reject } = this.#calls.get(id) ?? {};
      this.#calls.delete(id);
      return error ? reject?.(unpackError(error, TokenWardError)) : resolve?.(value);
    }

    /** What takes a document. */
    async #do(id, what, args) {
      const stop = new AbortController();
      this.#stops.set(id, stop);
      try {
        const popup = this.#popup;
        const acts = {
          leave: (url) => page.leave(url),
          popup: (url, state) => popup.answer(url, state, stop.signal),
          close: () => popup.close(),
          frame: (url, state) => page.frame(url, state, stop.signal),
        };
        this.#port.postMessage({ answers: id, value: await acts[what](...args) });
      } catch (error) {
        this.#port.postMessage({ answers: id, error: packError(error) });
      }
      this.#stops.delete(id);
    }

    leave() {
      this.#port?.postMessage({ what: "leave" });
    }

    async #send({ request, next, receiver }) {
      const held = request.hold();
      const [one] = held.send();
      const { url, method, mode, credentials, cache, redirect, referrer, referrerPolicy, integrity, keepalive, signal } = one;
      const init = { method, mode, credentials, cache, redirect, referrerPolicy, integrity, keepalive, headers: [...one.headers] };
      init.referrer = referrer === "about:client" ? location.href : referrer;
      let transfer = [];
      if (method !== "GET" && method !== "HEAD") {
        const bytes = await one.arrayBuffer();
        if (bytes.byteLength) [init.body, transfer] = [bytes, [bytes]];
      }
      signal?.throwIfAborted();
      const answer = await this.#abortable("fetch", [{ url, ...init }], transfer, signal);
      return answer ? unpackResponse(answer, signal) : apply(next, receiver, held.send(undefined, true));
    }

    get signedIn() {
      return this.#state.signedIn;
    }

    get user() {
      return this.#state.user;
    }

    get fetch() {
      return this.#fetch;
    }

    snapshot() {
      if (!this.#port) throw new TokenWardError("closed");
      return this.#state.snapshot;
    }

    async signIn({ stepUp, signal, ...options } = {}) {
      signal?.throwIfAborted();
      if (options.mode === "popup") this.#popup = page.popup();
      const ask = { ...options, href: location.href, ...(stepUp && { stepUp: this.#stepUps.get(stepUp) }) };
      const { response } = await this.#abortable("signIn", [ask], [], signal);
      return { response: response && unpackResponse(response) };
    }

    /** Asks the worker, until `signal` aborts. */
    async #abortable(what, args, transfer, signal) {
      let id, abort;
      const aborted = new Promise((_, reject) => {
        abort = () => {
          this.#port?.postMessage({ aborts: id });
          reject(signal.reason);
        };
        signal?.addEventListener("abort", abort);
      });
      const answered = this.call(what, args, transfer, (given) => (id = given));
      return Promise.race([answered, aborted]);
    }

    handleCallback() {
      return this.call("handleCallback");
    }

    restore() {
      return this.call("restore", [{ href: location.href }]);
    }

    refresh() {
      return this.call("refresh");
    }

    signOut(options) {
      // Whatever is asked for from now on comes after that.
      this.#state = { ...this.#state, signedIn: false, user: null };
      return this.call("signOut", [{ ...options }]);
    }

    setTokens(response, options) {
      return this.call("setTokens", [response, options]);
    }

    install(options) {
      const { window = globalThis, xhr } = readInstall(options);
      if (xhr) throw invalid("invalid_option", "xhr must not be set with isolation: its requests cannot be sent by a worker");
      ofWindow(this.#patches, window, () => {
        const gate = { ...this.#gate };
        patch(window, "fetch", gate, (next) => intercept(next, gate, realmOf(window)));
        return { gate };
      });
      return this;
    }

    uninstall() {
      for (const [window, { gate }] of this.#patches) {
        gate.core = undefined;
        try {
          unpatch(window, "fetch");
        } catch {
          // A frame that is at another origin now.
        }
      }
      this.#patches.clear();
      return this;
    }

    close() {
      this.uninstall();
      this.#gate.core = undefined;
      this.#port?.postMessage({ what: "close" });
      this.#port = undefined;
      for (const { reject } of this.#calls.values()) reject(new TokenWardError("closed"));
      this.#calls.clear();
    }

    [Symbol.dispose ?? Symbol.for("Symbol.dispose")]() {
      this.close();
    }

    async ticket() {
      throw invalid("invalid_option", "isolation must be page for tickets: a worker gives no token away");
    }

    async connectServiceWorker() {
      throw invalid("invalid_option", "isolation must be page for a service worker: no page has a token to lend");
    }
  }

  const { wasm, worker: script = ownScript(), ...options } = read;
  const settings = { type: "module", name: `tokenward ${tools.scopeOf(read)}` };
  const ward = new RemoteWard(SharedWorker ? new SharedWorker(script, settings) : new Worker(script, settings));
  await ward.open({ read: options, answer });
  addEventListener("pagehide", () => ward.leave());
  addEventListener("pageshow", ({ persisted }) => persisted && ward.open({ read: options }).catch(() => {}));
  return ward;
}
