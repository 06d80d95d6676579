import { TokenWardError, invalid } from "./errors.js";
import { Map, Math, Object, Promise, Set, WeakMap, apply, clearTimeout, setTimeout } from "./natives.js";
import { ofWindow } from "./windows.js";

const prototypeOf = (window, name) => window[name]?.prototype ?? {};
const controller = Object.getOwnPropertyDescriptor(prototypeOf(globalThis, "ServiceWorkerContainer"), "controller")?.get;
const { postMessage } = prototypeOf(globalThis, "ServiceWorker");

/** The names that are taken in a window: two wards under one would take turns. */
const taken = new WeakMap();

/** What a worker hears of in the page's stead. */
export const FORWARDED = ["stepup", "insufficientscope"];

/** Lends a window's access token to the service worker that controls it, and to nobody else. */
class Lender {
  name;
  /** Sessions are numbered by each ward for itself. */
  #id = Math.random();
  #workers;
  #names;
  #ward;
  #closed;
  #connected = new Set();
  #listen = ({ data, source }) => this.#heard(data ?? {}, source);
  #tell = () => this.tell();

  /**
   * @param name which of the worker's lists it is for
   * @param ward `look()`: what there is to lend now, null if nobody is signed in, true if that is not known yet;
   * `key()`: of a token that is bound to one; `lend(after)`: waits until there is a token newer than that; `user()`: whose it is; `heard(name, detail)`: an event of
   * the worker's
   */
  constructor(window, name, ward) {
    this.#names = taken.get(window.navigator) ?? new Set();
    if (this.#names.has(name)) throw invalid("invalid_option", "name must not be that of another ward");
    taken.set(window.navigator, this.#names.add(name));
    this.#workers = window.navigator.serviceWorker;
    this.name = name;
    this.#ward = ward;
    this.#workers?.addEventListener("message", this.#listen);
    this.#workers?.addEventListener("controllerchange", this.#tell);
    this.#workers?.startMessages();
  }

  /** Resolves when the worker has heard what this window has. */
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
    if (this.#controller) this.tell();
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

  #heard({ tokenward: what, for: name, by, after, event, detail }, worker) {
    if (name !== this.name) return;
    if (what === "need") this.#answer(after, worker);
    if (what === "heard" && by === this.#id) for (const connected of this.#connected) connected();
    if (what === "event" && FORWARDED.includes(event)) this.#ward.heard(event, detail);
  }

  /** Tells what there is, and again once there is a token newer than `after`. */
  #answer(after, worker) {
    this.tell(worker);
    this.#ward.lend(after).then(
      () => this.tell(worker),
      ({ retryable }) => (retryable ? this.#say({ tokenward: "failed" }, worker) : this.tell(worker)),
    );
  }

  /** Tells what there is now. Any worker may ask whose page this is; what it lends is for its own alone. */
  tell(worker = this.#controller) {
    if (this.#closed) return;
    const loan = this.#ward.look();
    const user = this.#ward.user();
    this.#say(
      {
        tokenward: "lend",
        session: loan && (loan === true ? "" : `${this.#id} ${loan.session}`),
        user: user && [user.iss, user.sub].join(" "),
        loan: worker === this.#controller ? loan : undefined,
        // The key of a token that is bound to one: to be used, not to be read.
        key: worker === this.#controller ? this.#ward.key() : undefined,
      },
      worker,
    );
  }

  #say(message, worker) {
    if (worker && !this.#closed) apply(postMessage, worker, [{ ...message, for: this.name, by: this.#id }]);
  }

  close() {
    this.#say({ tokenward: "lend", session: null }, this.#controller);
    this.#closed = true;
    this.#names.delete(this.name);
    this.#workers?.removeEventListener("message", this.#listen);
    this.#workers?.removeEventListener("controllerchange", this.#tell);
  }
}

/** A ward's, one for each window. */
export class Lenders {
  #all = new Map();
  #ward;

  /** See the constructor of Lender. */
  constructor(ward) {
    this.#ward = ward;
  }

  of(window, name) {
    const { lender } = ofWindow(this.#all, window, (last) => {
      last?.lender.close();
      return { lender: new Lender(window, name, this.#ward) };
    });
    if (lender.name !== name) throw invalid("invalid_option", "name must be the one that this window was connected by");
    return lender;
  }

  tell() {
    this.#all.forEach(({ lender }) => lender.tell());
  }

  close() {
    this.#all.forEach(({ lender }) => lender.close());
    this.#all.clear();
  }
}
