// Built-ins as they were when this module was loaded: what a page script puts in their place later is not used.
// Importing has to work where there is no browser, so every one of them may be undefined. The build has wasm-bindgen's glue use
// them as well.

const { call } = Function.prototype;
const { create, defineProperties, defineProperty, getOwnPropertyDescriptor, getOwnPropertyDescriptors, getPrototypeOf, hasOwn, setPrototypeOf } =
  globalThis.Object;
const { prototype: root } = globalThis.Object;

/** What stands in a namespace or on a constructor, which itself cannot be called. */
function frozen(name) {
  const namespace = globalThis[name];
  return namespace && create(null, getOwnPropertyDescriptors(namespace));
}

/** A kind whose objects bring their methods along: for those that no code of the page's gets hold of. */
function safe(name) {
  const kind = globalThis[name];
  if (!kind) return kind;
  class Safe extends kind {
    // In WebKit the one that is not written iterates an array of these.
    constructor(a, b, c) {
      super(a, b, c);
    }
  }
  let members;
  for (let { prototype } = kind; prototype !== root; prototype = getPrototypeOf(prototype)) {
    members = { ...getOwnPropertyDescriptors(prototype), ...members };
  }
  // Methods that make another object look for its kind there.
  members.constructor.value = undefined;
  setPrototypeOf(defineProperties(Safe.prototype, members), null);
  return Safe;
}

/** Methods and getters as functions of their objects. */
const method = (kind, name, from = globalThis) => call.bind(from?.[kind]?.prototype[name]);
const getter = (kind, name) => kind && getOwnPropertyDescriptor(kind.prototype, name).get;
const property = (kind, name, from = globalThis) => call.bind(getter(from?.[kind], name));

export const {
  AbortController,
  AbortSignal,
  ArrayBuffer,
  BroadcastChannel,
  CustomEvent,
  IDBKeyRange,
  Math,
  MessageChannel,
  Number,
  Promise,
  Proxy,
  ReadableStream,
  Request,
  Response,
  SharedWorker,
  Symbol,
  TypeError,
  URL,
  URLSearchParams,
  // For others, who may look at its kind.
  Uint8Array: Bytes,
  Worker,
  addEventListener,
  clearInterval,
  clearTimeout,
  clients,
  crypto,
  document,
  fetch: nativeFetch,
  history,
  indexedDB,
  location,
  navigator,
  open,
  parent,
  setInterval,
  setTimeout,
  trustedTypes,
} = globalThis;

export const Array = /* @__PURE__ */ frozen("Array");
export const JSON = /* @__PURE__ */ frozen("JSON");
export const Object = /* @__PURE__ */ frozen("Object");
export const WebAssembly = /* @__PURE__ */ frozen("WebAssembly");
export const DataView = /* @__PURE__ */ safe("DataView");
export const FinalizationRegistry = /* @__PURE__ */ safe("FinalizationRegistry");
export const Map = /* @__PURE__ */ safe("Map");
export const Set = /* @__PURE__ */ safe("Set");
export const TextDecoder = /* @__PURE__ */ safe("TextDecoder");
export const TextEncoder = /* @__PURE__ */ safe("TextEncoder");
export const Uint8Array = /* @__PURE__ */ safe("Uint8Array");
export const WeakMap = /* @__PURE__ */ safe("WeakMap");

export const { apply } = globalThis.Reflect;
const { get } = globalThis.Reflect;
/** Core asks for members that may not be there: a getter for all objects would be called on the one that was asked. */
export const Reflect = { get: (object, key) => (hasOwn(object, key) || !(key in root) ? get(object, key) : undefined) };

/** Makes objects that inherit nothing. Engines are slow with those that have no prototype at all. */
export function Bare() {}
Bare.prototype = /* @__PURE__ */ globalThis.Object.freeze(create(null));

/** Sets a member, whatever setter there is for all objects. */
export const put = (object, key, value) =>
  defineProperty(object, key, { __proto__: null, value, configurable: true, enumerable: true, writable: true });

export const charCodeAt = /* @__PURE__ */ method("String", "charCodeAt");
export const indexOf = /* @__PURE__ */ method("String", "indexOf");
export const slice = /* @__PURE__ */ method("String", "slice");
export const startsWith = /* @__PURE__ */ method("String", "startsWith");
export const fill = /* @__PURE__ */ method("Uint8Array", "fill");
export const hrefOf = /* @__PURE__ */ property("URL", "href");
export const headersHas = /* @__PURE__ */ method("Headers", "has");
export const headersSet = /* @__PURE__ */ method("Headers", "set");
export const headersGet = /* @__PURE__ */ method("Headers", "get");
export const responseHeaders = /* @__PURE__ */ property("Response", "headers");
export const responseText = /* @__PURE__ */ method("Response", "text");
export const responseStatus = /* @__PURE__ */ property("Response", "status");
export const cloneRequest = /* @__PURE__ */ method("Request", "clone");
export const requestHeaders = /* @__PURE__ */ property("Request", "headers");
export const requestMethod = /* @__PURE__ */ property("Request", "method");
export const requestMode = /* @__PURE__ */ property("Request", "mode");
export const requestSignal = /* @__PURE__ */ property("Request", "signal");
export const requestUrl = /* @__PURE__ */ getter(Request, "url");
export const getRandomValues = /* @__PURE__ */ method("Crypto", "getRandomValues");
export const listen = /* @__PURE__ */ method("EventTarget", "addEventListener");
export const unlisten = /* @__PURE__ */ method("EventTarget", "removeEventListener");
export const bufferOf = /* @__PURE__ */ property("Memory", "buffer", WebAssembly);
export const tableGet = /* @__PURE__ */ method("Table", "get", WebAssembly);
export const tableSet = /* @__PURE__ */ method("Table", "set", WebAssembly);

export const requestLock = navigator?.locks?.request.bind(navigator.locks);
/** Its methods see tokens and keys: they are called as they were. */
export const subtle =
  crypto?.subtle &&
  Object.fromEntries(
    ["digest", "exportKey", "generateKey", "importKey", "sign", "verify"].map((name) => [name, crypto.subtle[name].bind(crypto.subtle)]),
  );
export const wallClock = Date.now;
export const monotonicClock = performance.now.bind(performance);

/** Has `await` take the value of a promise without a look at what stands on prototypes. */
export const pinned = (promise) => defineProperty(promise, "constructor", { __proto__: null, value: Promise });

/**
 * A promise asks what it is resolved with for its `then`, which an answer of `fetch` would inherit from all objects. From now on
 * it has one of its kind, which is none.
 */
export const lockAnswers = () => defineProperty(Response.prototype, "then", { __proto__: null, value: undefined });

/** The built-ins of a window, which may be a frame's: what `fetch` takes and gives is of its own realm. */
export const realmOf = (window) => {
  const { AbortSignal, ArrayBuffer, Blob, Headers, Promise, Request, URLSearchParams } = window;
  return {
    window,
    ArrayBuffer,
    Blob,
    Headers,
    Promise,
    Request,
    URLSearchParams,
    then: Promise.prototype.then,
    eachHeader: Headers.prototype.forEach,
    isAborted: getter(AbortSignal, "aborted"),
  };
};
