// Counts what is still alive of the timers, listeners and wasm closures that were made after `begin()`.

const timers = new Set();
const listeners = [];
const closures = new Set();
const openChannels = new Set();

/** How many `BroadcastChannel`s are open. */
export const channels = () => openChannels.size;

export const tally = () => ({ timers: timers.size, listeners: listeners.length, closures: closures.size });

/** To be called before the library is loaded. */
export function begin() {
  tallyTimers("setTimeout", "clearTimeout", (id) => timers.delete(id));
  tallyTimers("setInterval", "clearInterval", () => {});
  tallyListeners();
  tallyClosures();
  tallyChannels();
}

function tallyTimers(set, clear, fired) {
  const { [set]: nativeSet, [clear]: nativeClear } = window;
  window[set] = (callback, ...rest) => {
    const run = (...args) => {
      fired(id);
      callback(...args);
    };
    const id = nativeSet(run, ...rest);
    timers.add(id);
    return id;
  };
  window[clear] = (id) => {
    timers.delete(id);
    nativeClear(id);
  };
}

function tallyListeners() {
  const { addEventListener, removeEventListener } = EventTarget.prototype;
  const place = (target, type, listener) =>
    listeners.findIndex((known) => known.target === target && known.type === type && known.listener === listener);
  EventTarget.prototype.addEventListener = function (type, listener, options) {
    const target = this ?? window;
    if (place(target, type, listener) < 0) listeners.push({ target, type, listener });
    return addEventListener.call(target, type, listener, options);
  };
  EventTarget.prototype.removeEventListener = function (type, listener, options) {
    const target = this ?? window;
    const at = place(target, type, listener);
    if (at >= 0) listeners.splice(at, 1);
    return removeEventListener.call(target, type, listener, options);
  };
}

/** wasm-bindgen registers each closure with an object of its own, and other things with a number. */
function tallyClosures() {
  window.FinalizationRegistry = class extends FinalizationRegistry {
    register(target, held, token) {
      if (typeof held === "object") closures.add(token);
      super.register(target, held, token);
    }
    unregister(token) {
      closures.delete(token);
      return super.unregister(token);
    }
  };
}

function tallyChannels() {
  window.BroadcastChannel = class extends BroadcastChannel {
    constructor(name) {
      super(name);
      openChannels.add(this);
    }
    close() {
      openChannels.delete(this);
      super.close();
    }
  };
}
