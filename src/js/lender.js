import { TokenWardError } from "./errors.js";
import { Object, Promise, apply, clearTimeout, serviceWorkers, setTimeout } from "./natives.js";

const prototypeOf = (name) => globalThis[name]?.prototype ?? {};
const controller = Object.getOwnPropertyDescriptor(prototypeOf("ServiceWorkerContainer"), "controller")?.get;
const { postMessage } = prototypeOf("ServiceWorker");

const EVENTS = ["stepup", "insufficientscope"];

/** Lends the page's access token to the service worker that controls it, and to nobody else. */
export class Lender {
  #ward;
  #closed;
  #connected;
  #listen = ({ data }) => this.#heard(data);
  #tell = () => this.tell();

  /**
   * @param ward `look()`: the token that there is, null if nobody is signed in, true if it is not good now; `lend(after)`:
   * waits until there is one, newer than that; `mark()`: which one it is, and whose; `heard(name, detail)`: an event of the
   * worker's
   */
  constructor(ward) {
    this.#ward = ward;
  }

  /** Resolves when the worker knows what this page has. */
  connect(closing, timeoutMs) {
    let timer;
    return new Promise((resolve, reject) => {
      const unavailable = () => reject(new TokenWardError("service_worker_unavailable"));
      if (!controller) return unavailable();
      closing.addEventListener("abort", () => reject(closing.reason));
      timer = setTimeout(unavailable, timeoutMs);
      const last = this.#connected;
      this.#connected = () => {
        last?.();
        resolve();
      };
      serviceWorkers.addEventListener("message", this.#listen);
      serviceWorkers.addEventListener("controllerchange", this.#tell);
      serviceWorkers.startMessages();
      // The first load, and one that goes around the cache, are not controlled.
      if (this.#controller) this.#answer(-1);
      else serviceWorkers.ready.then(({ active }) => apply(postMessage, active, [{ tokenward: "claim" }]));
    }).finally(() => clearTimeout(timer));
  }

  get #controller() {
    return apply(controller, serviceWorkers, []);
  }

  #heard({ tokenward: what, after, name, detail } = {}) {
    if (what === "need") this.#answer(after);
    if (what === "heard") this.#connected();
    if (what === "event" && EVENTS.includes(name)) this.#ward.heard(name, detail);
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

  #say(message) {
    const worker = this.#controller;
    if (worker) apply(postMessage, worker, [message]);
  }

  close() {
    this.#closed = true;
    this.tell();
    serviceWorkers?.removeEventListener("message", this.#listen);
    serviceWorkers?.removeEventListener("controllerchange", this.#tell);
  }
}
