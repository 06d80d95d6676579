// Built-ins as they were when this module was loaded: what a page script puts in their place later is not used.
// Importing has to work where there is no browser, so every one of them may be undefined.

export const {
  AbortController,
  AbortSignal,
  Array,
  ArrayBuffer,
  BroadcastChannel,
  CustomEvent,
  IDBKeyRange,
  JSON,
  Map,
  Math,
  MessageChannel,
  Number,
  Object,
  Promise,
  Proxy,
  ReadableStream,
  Request,
  Response,
  Set,
  SharedWorker,
  String,
  Symbol,
  TextDecoder,
  TextEncoder,
  TypeError,
  URL,
  URLSearchParams,
  Uint8Array,
  WeakMap,
  WebAssembly,
  Worker,
  addEventListener,
  atob,
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

export const requestLock = navigator?.locks?.request.bind(navigator.locks);
export const { apply } = Reflect;
export const { indexOf, slice, startsWith } = String.prototype;
/** Its methods see tokens and keys: they are called as they were. */
export const subtle =
  crypto?.subtle &&
  Object.fromEntries(
    ["digest", "exportKey", "generateKey", "importKey", "sign", "verify"].map((name) => [name, crypto.subtle[name].bind(crypto.subtle)]),
  );
export const wallClock = Date.now;
export const monotonicClock = performance.now.bind(performance);
const getter = (kind, name) => kind && Object.getOwnPropertyDescriptor(kind.prototype, name).get;
export const requestUrl = getter(Request, "url");
export const requestHeaders = getter(Request, "headers");
export const urlHref = getter(URL, "href");

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
    setHeader: Headers.prototype.set,
    cloneRequest: Request.prototype.clone,
    isAborted: getter(AbortSignal, "aborted"),
  };
};
