import { TokenWardError, invalid } from "./errors.js";
import { Object, Promise, Set, WeakMap, apply, clearTimeout, setTimeout } from "./natives.js";

const prototypeOf = (window, name) => window[name]?.prototype ?? {};
const controller = Object.getOwnPropertyDescriptor(prototypeOf(globalThis, "ServiceWorkerContainer"), "controller")?.get;
const { postMessage } = prototypeOf(globalThis, "ServiceWorker");

/** The names that are taken in a window: two wards under one would take turns. */
const taken = new WeakMap();

/** What a worker hears of in the page's stead. */
export const FORWARDED = ["stepup", "insufficientscope"];

/** Lends a window's access token to the service worker that controls it, and to nobody else. */
export class Lender {
  #workers;
  #name;
  #names;
  #ward;
  #closed;
  #connected = new Set();
  #listen = ({ data }) => this.#heard(data);
  #tell = () => this.tell();

  /**
   * @param name which of the worker's lists it is for
   * @param ward `look()`: the token that there is, null if nobody is signed in, true if it is not good now; `lend(after)`:
   * waits until there is one, newer than that; `mark()`: which one it is, and whose; `heard(name, detail)`: an event of the
   * worker's
   */
  constructor(window, name, ward) {
    this.#names = taken.get(window.navigator) ?? new Set();
    if (this.#names.has(name)) throw invalid("invalid_option", "name must not be that of another ward");
    taken.set(window.navigator, this.#names.add(name));
    this.#workers = window.navigator.serviceWorker;
    this.#name = name;
    this.#ward = ward;
    this.#workers?.addEventListener("message", this.#listen);
    this.#workers?.addEventListener("controllerchange", this.#tell);
    this.#workers?.startMessages();
  }

  /** Resolves when the worker knows what this window has. */
  async connect(closing, timeoutMs) {
    let timer, connected, abort;
    const done = new Promise((resolve, reject) => {
      connected = resolve;
      abort = () => reject(closing.reason);
      timer = setTimeout(() => reject(new TokenWardError("service_worker_unavailable")), timeoutMs);
    });
    this.#connected.add(connected);
    closing.addEventListener("abort", abort);
    // The first load, and one that goes around the cache, are not controlled.
    if (this.#controller) this.#answer(-1);
    else this.#workers?.ready.then(({ active }) => this.#say({ tokenward: "claim" }, active));
    try {
      await done;
    } finally {
      clearTimeout(timer);
      this.#connected.delete(connected);
      closing.removeEventListener("abort", abort);
    }
  }

  get #controller() {
    return this.#workers && apply(controller, this.#workers, []);
  }

  #heard({ tokenward: what, for: name, after, event, detail } = {}) {
    if (name !== this.#name) return;
    if (what === "need") this.#answer(after);
    if (what === "heard") for (const connected of this.#connected) connected();
    if (what === "event" && FORWARDED.includes(event)) this.#ward.heard(event, detail);
  }

  /** Waits for a token newer than `after`, if somebody is signed in, and tells what there is then. */
  #answer(after) {
    this.#say({ tokenward: "wait" });
    this.#ward.lend(after).then(
      () => this.tell(),
      ({ retryable }) => (retryable ? this.#say({ tokenward: "failed" }) : this.tell()),
    );
  }

  /** Tells what there is now. */
  tell() {
    const tokens = this.#closed ? null : this.#ward.look();
    if (tokens === true) return this.#say({ tokenward: "wait" });
    const [mark, user] = tokens ? this.#ward.mark() : [];
    this.#say({ tokenward: "lend", tokens, mark, user: user && [user.iss, user.sub].join(" ") });
  }

  #say(message, worker = this.#controller) {
    if (worker) apply(postMessage, worker, [{ ...message, for: this.#name }]);
  }

  close() {
    this.#closed = true;
    this.#names.delete(this.#name);
    this.tell();
    this.#workers?.removeEventListener("message", this.#listen);
    this.#workers?.removeEventListener("controllerchange", this.#tell);
  }
}
