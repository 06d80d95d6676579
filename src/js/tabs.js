import { AbortController, Map, Math, Promise, requestLock } from "./natives.js";
import { lastSignOut, noteSignOut, openChannel } from "./relay.js";
import { GRANTED, HEARD, UNLOCKED } from "./steps.js";
import { nextTask } from "./task.js";

// Of `Signal`, as the other tabs hear them.
const SIGNALS = ["signedin", "refreshed", "locked", "signout"];
const SIGNED_OUT = 3;

/** What the tabs of a session tell one another, and the lock that they share. Neither holds a secret. */
export class Tabs {
  #scope;
  #step;
  #channel;
  #lastSignOut = 0;
  /** What ends a request for the lock, and lets go of it, by number. */
  #locks = new Map();

  /** @param scope which wards are of one session; `step`: Core's, as long as there is one */
  constructor(scope, step) {
    this.#scope = scope;
    this.#step = step;
    if (!scope.trim()) return;
    this.#lastSignOut = lastSignOut(scope);
    try {
      this.#channel = openChannel();
    } catch {
      // A browser that blocks storage may block channels with it.
      return;
    }
    this.#channel.onmessage = ({ data }) => {
      const signal = SIGNALS.indexOf(data?.tokenward);
      if (signal < 0 || data.scope !== scope) return;
      // What is known already may be of the session before.
      if (data.at <= this.#lastSignOut) return;
      if (data.at > this.#lastSignOut) this.#lastSignOut = data.at;
      step(HEARD, data, signal);
    };
  }

  /** Hears of a sign-out that this page was not told of. */
  catchUp() {
    const last = lastSignOut(this.#scope);
    if (last <= this.#lastSignOut) return;
    this.#lastSignOut = last;
    this.#step(HEARD, {}, SIGNED_OUT);
  }

  tell(signal) {
    if (!this.#channel) return;
    const at = signal === SIGNED_OUT ? (this.#lastSignOut = noteSignOut(this.#scope)) : undefined;
    this.#channel.postMessage({ tokenward: SIGNALS[signal], scope: this.#scope, at });
  }

  lock(epoch, number, steal) {
    const tell = (step, refused) => this.#step(step, epoch, number, refused);
    if (!requestLock) return tell(GRANTED);
    const controller = new AbortController();
    this.#locks.set(number, () => controller.abort());
    const granted = () =>
      // One that is stolen cannot be given up before.
      this.#locks.has(number) &&
      new Promise((resolve) => {
        this.#locks.set(number, () => this.#echo(resolve));
        nextTask(() => tell(GRANTED));
      });
    requestLock(`tokenward ${this.#scope}`, steal ? { steal } : { signal: controller.signal }, granted)
      .then(
        () => false,
        // An AbortError: it was stolen, or the page was put aside.
        (error) => error?.name !== "AbortError",
      )
      .then((refused) => {
        this.#locks.delete(number);
        tell(UNLOCKED, refused);
      });
  }

  /** @returns whether UNLOCKED follows */
  unlock(number) {
    this.#locks.get(number)?.();
    return this.#locks.has(number);
  }

  /** Calls back when what was told so far is on its way to everybody: whoever gets the lock next has to know. */
  #echo(heard) {
    if (!this.#channel) return heard();
    const echo = openChannel();
    const mark = Math.random();
    echo.onmessage = ({ data }) => {
      if (data !== mark) return;
      echo.close();
      heard();
    };
    this.#channel.postMessage(mark);
  }

  close() {
    this.#channel?.close();
    this.#channel = undefined;
    for (const letGo of this.#locks.values()) letGo();
    this.#locks.clear();
  }
}
