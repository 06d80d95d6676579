// Built-ins as they were when this module was loaded: what a page script puts in their place later is not used.
// Importing has to work where there is no browser, so every one of them may be undefined.

export const {
  AbortController,
  AbortSignal,
  Array,
  ArrayBuffer,
  Blob,
  BroadcastChannel,
  CustomEvent,
  FormData,
  Headers,
  JSON,
  Map,
  Math,
  MessageChannel,
  Number,
  Object,
  Promise,
  Proxy,
  Request,
  Response,
  Set,
  String,
  TextDecoder,
  TextEncoder,
  TypeError,
  URL,
  URLSearchParams,
  Uint8Array,
  WeakMap,
  WebAssembly,
  addEventListener,
  atob,
  clearInterval,
  clearTimeout,
  clients,
  crypto,
  document,
  fetch: nativeFetch,
  history,
  location,
  navigator,
  open,
  parent,
  setInterval,
  setTimeout,
} = globalThis;

export const requestLock = navigator?.locks?.request.bind(navigator.locks);
export const { apply } = Reflect;
export const wallClock = Date.now;
export const monotonicClock = performance.now.bind(performance);
export const requestUrl = Request && Object.getOwnPropertyDescriptor(Request.prototype, "url").get;
