// Looks for tokens wherever a script of the page, or somebody who reads its logs, could come across one.

/** A part of a token as long as this is one too many. */
const PART = 16;

const memories = [];
const said = [];

/** To be called before the library is loaded: gets hold of its wasm memory, and of what it says and stores on the way. */
export function watch() {
  watchMemories();
  listenIn(console, ["debug", "error", "info", "log", "trace", "warn"]);
  listenIn(Storage.prototype, ["setItem"]);
  listenIn(IDBFactory.prototype, ["open"]);
  listenIn(IDBObjectStore.prototype, ["add", "put"]);
  listenIn(BroadcastChannel.prototype, ["postMessage"]);
  listenIn(MessagePort.prototype, ["postMessage"]);
  listenIn(History.prototype, ["pushState", "replaceState"]);
  listenIn(Performance.prototype, ["mark", "measure"]);
}

/** The library makes its memory itself. */
function watchMemories() {
  WebAssembly.Memory = new Proxy(WebAssembly.Memory, {
    construct(...args) {
      const memory = Reflect.construct(...args);
      memories.push(memory);
      return memory;
    },
  });
}

function listenIn(object, names) {
  for (const name of names) {
    const native = object[name];
    object[name] = function (...args) {
      said.push([name, args]);
      return native.apply(this, args);
    };
  }
}

/** @returns {number} how many parts of these tokens are in the wasm memory */
export function partsInMemory(tokens) {
  if (memories.length === 0) throw new Error("the library was loaded before watch()");
  const texts = memories.map(({ buffer }) => new TextDecoder("latin1").decode(buffer));
  return count(tokens, texts.join("\0"));
}

/** @returns {string[]} where else there is a part of these tokens */
export async function placesOutside(kit, tokens) {
  return Object.entries(await places(kit))
    .filter(([, thing]) => count(tokens, text(thing)) > 0)
    .map(([place]) => place);
}

async function places({ ward, events, errors = [] }) {
  return {
    localStorage: { ...localStorage },
    sessionStorage: { ...sessionStorage },
    cookies: document.cookie,
    databases: await indexedDB.databases(),
    locks: await navigator.locks.query(),
    performance: performance.getEntries().map((entry) => entry.toJSON()),
    address: [document.URL, document.referrer, history.state, window.name],
    document: document.documentElement.outerHTML,
    globals: Object.entries(Object.getOwnPropertyDescriptors(window)).map(([name, { value }]) => [
      name,
      typeof value === "string" ? value : "",
    ]),
    calls: said,
    events,
    errors,
    ward,
    snapshot: ward.signedIn ? ward.snapshot() : null,
  };
}

/** All text that can be reached from a value. */
function text(value, seen = new Set()) {
  if (typeof value === "function" || (typeof value === "object" && value !== null)) {
    if (seen.has(value)) return "";
    seen.add(value);
    const properties = Reflect.ownKeys(value).map((key) => [String(key), value[key]]);
    const parts = [String(Object.prototype.toString.call(value)), value instanceof Error ? `${value} ${value.stack}` : ""];
    return [...parts, ...properties.map(([key, property]) => `${key} ${text(property, seen)}`)].join("\n");
  }
  return String(value);
}

function count(tokens, haystack) {
  const parts = new Set();
  for (const token of tokens) {
    for (let i = 0; i + PART <= token.length; i += 1) parts.add(token.slice(i, i + PART));
  }
  const found = new Set();
  for (const [run] of haystack.matchAll(new RegExp(`[\\w.~+/-]{${PART},}`, "g"))) {
    for (let i = 0; i + PART <= run.length; i += 1) {
      const part = run.slice(i, i + PART);
      if (parts.has(part)) found.add(part);
    }
  }
  return found.size;
}
