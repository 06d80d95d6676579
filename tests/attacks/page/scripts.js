// The hostile scripts. Each gets what `spy.js` has, and `kit`: the page's, with the `ward` where an app leaves it lying about.
import { hook, replace, saw, through, trap, walk } from "./spy.js";

const { getOwnPropertyDescriptor, getPrototypeOf, defineProperty, setPrototypeOf, apply } = Reflect;

const TypedArray = getPrototypeOf(Uint8Array);
const prototypeOf = (iterator) => getPrototypeOf(iterator);
const iterators = {
  array: prototypeOf([][Symbol.iterator]()),
  map: prototypeOf(new Map().keys()),
  set: prototypeOf(new Set().keys()),
  string: prototypeOf(""[Symbol.iterator]()),
};
const letters = [..."abcdefghijklmnopqrstuvwxyz"];

/** What the library, `fetch` or an event could ask an object for. */
const MEMBERS = `access_token refresh_token id_token token_type expires_in refresh_in scope error error_description version
  authorization Authorization dpop nonce headers body method mode referrer referrerPolicy integrity window duplex priority keepalive
  signal cache credentials redirect targetAddressSpace attributionReporting privateToken sharedStorageWritable browsingTopics
  core gate realm rule request href receiver unpatchXhr lender session mark stamp answer sent prover pair key
  status retryAfter date redirectedTo challenge outcome after resolve reject detail bubbles cancelable composed cause
  url code state iss sub exp iat ward jkt verifier toJSON stream fatal type start write close abort
  backend tokenEndpoint user loan for by tokenward event aborted`.split(/\s+/);

const SYMBOLS = ["iterator", "asyncIterator", "toPrimitive", "hasInstance", "species", "isConcatSpreadable", "replace", "split", "match"];

/** Puts a constructor that sees what it is given where methods look for the kind of what they make. */
function species(kind) {
  const native = getOwnPropertyDescriptor(kind, Symbol.species) ?? getOwnPropertyDescriptor(getPrototypeOf(kind), Symbol.species);
  const evil = new Proxy(kind, {
    construct(target, args, newTarget) {
      const made = Reflect.construct(target, args, newTarget === evil ? target : newTarget);
      saw(args, made);
      return made;
    },
  });
  const owner = Object.hasOwn(kind, Symbol.species) ? kind : getPrototypeOf(kind);
  defineProperty(owner, Symbol.species, { ...native, get() { return this === kind ? evil : this; } });
}

/** The constructor of every object of a kind is a getter that sees the object. */
function constructors(...kinds) {
  for (const kind of kinds) {
    defineProperty(kind.prototype, "constructor", {
      configurable: true,
      get() {
        saw(this);
        return kind;
      },
    });
  }
}

/** Everything of the kinds `names`, and what they make. */
const kinds = (...names) => () => {
  for (const name of names) hook(window[name].prototype);
};

/** By name. They run once somebody is signed in. */
export const scripts = {
  "JSON": () => hook(JSON),
  "Headers": kinds("Headers"),
  "Request": kinds("Request"),
  "Response": kinds("Response"),
  "Headers, Request and Response are replaced": () => replace(["Headers", "Request", "Response"]),
  "fetch is replaced": () => {
    window.fetch = through(window.fetch);
  },
  "XMLHttpRequest": kinds("XMLHttpRequest", "XMLHttpRequestEventTarget", "XMLHttpRequestUpload"),
  "XMLHttpRequest is replaced": () => replace(["XMLHttpRequest"]),
  "TextDecoder and TextEncoder": kinds("TextDecoder", "TextEncoder"),
  "TextDecoder and TextEncoder are replaced": () => replace(["TextDecoder", "TextEncoder"]),
  "typed arrays": () => hook(TypedArray.prototype, TypedArray, Uint8Array.prototype, Uint8Array),
  "ArrayBuffer and DataView": kinds("ArrayBuffer", "DataView"),
  "the kinds that typed arrays make": () => species(Uint8Array),
  "the constructors of typed arrays and buffers": () => constructors(Uint8Array, ArrayBuffer, DataView, TypedArray),
  "typed arrays and buffers are replaced": () => replace(["Uint8Array", "ArrayBuffer", "DataView"]),
  "then, catch and finally": kinds("Promise"),
  "Promise.resolve and the like": () => hook(Promise),
  "the constructor of promises": () => constructors(Promise),
  "the kinds that promises make": () => species(Promise),
  "Promise is replaced": () => replace(["Promise"]),
  "then of all objects": () => trap(Object.prototype, "then"),
  "then of answers": () => {
    for (const { prototype } of [Response, ArrayBuffer, Uint8Array, Array, ReadableStream]) {
      try {
        trap(prototype, "then");
      } catch {
        // Locked.
      }
    }
  },
  "Array": () => hook(Array.prototype, Array),
  "iteration of arrays": () => hook(iterators.array),
  "items of all arrays": () => trap(Array.prototype, "0", "1", "2", "3", "4"),
  "Object": () => hook(Object),
  "members of all objects": () => trap(Object.prototype, ...MEMBERS),
  "members of all objects, by the names that a minifier gives": () => trap(Object.prototype, ...letters),
  "symbols of all objects": () => trap(Object.prototype, ...SYMBOLS.map((name) => Symbol[name])),
  "methods of all objects": () => hook(Object.prototype),
  "Map and its iteration": () => hook(Map.prototype, iterators.map),
  "Set and its iteration": () => hook(Set.prototype, iterators.set),
  "WeakMap, WeakSet and WeakRef": kinds("WeakMap", "WeakSet", "WeakRef"),
  "Map, WeakMap and Set are replaced": () => replace(["Map", "WeakMap", "Set"]),
  "String": () => hook(String.prototype, String),
  "iteration of strings": () => hook(iterators.string),
  "symbols of all strings": () => trap(String.prototype, ...SYMBOLS.filter((name) => name !== "iterator").map((name) => Symbol[name])),
  "Number, Boolean, Symbol and Date": () => {
    for (const kind of [Number, Boolean, Symbol, Date]) hook(kind, kind.prototype);
  },
  "Function.prototype.call, apply and bind": () => hook(Function.prototype),
  "Reflect": () => hook(Reflect),
  "Proxy is replaced": () => replace(["Proxy"]),
  "RegExp": () => hook(RegExp.prototype),
  "Math and performance": () => hook(Math, Performance.prototype),
  "MessagePort and MessageChannel": () => {
    hook(MessagePort.prototype, MessageChannel.prototype);
    replace(["MessageChannel"]);
  },
  "BroadcastChannel": () => {
    hook(BroadcastChannel.prototype);
    new BroadcastChannel("tokenward").onmessage = ({ data }) => saw(data);
  },
  "Worker, ServiceWorker and their messages": () => {
    hook(Worker.prototype, EventTarget.prototype);
    if (window.ServiceWorker) hook(ServiceWorker.prototype, ServiceWorkerContainer.prototype);
    hook(window.MessageEvent.prototype);
  },
  "WebAssembly": () => hook(WebAssembly),
  "the memory, tables and instances of WebAssembly": () => {
    for (const kind of ["Memory", "Table", "Instance", "Module", "Global"]) hook(WebAssembly[kind].prototype);
  },
  "the constructors of WebAssembly are replaced": () => replace(["Memory", "Table", "Instance", "Module"], WebAssembly),
  "crypto": () => hook(Crypto.prototype, SubtleCrypto.prototype, CryptoKey.prototype),
  "readers and streams": kinds("ReadableStream", "ReadableStreamDefaultReader", "WritableStream", "WritableStreamDefaultWriter", "TransformStream"),
  "streams are replaced": () => replace(["ReadableStream", "WritableStream", "TransformStream"]),
  "Blob, FormData, URL and URLSearchParams": kinds("Blob", "FormData", "URL", "URLSearchParams"),
  "AbortController and AbortSignal": () => hook(AbortController.prototype, AbortSignal.prototype, AbortSignal),
  "events and those who hear them": kinds("EventTarget", "Event", "CustomEvent"),
  "FinalizationRegistry": () => {
    hook(FinalizationRegistry.prototype);
    replace(["FinalizationRegistry"]);
  },
  "timers, tasks and locks": () => {
    for (const name of ["setTimeout", "clearTimeout", "setInterval", "queueMicrotask", "structuredClone", "atob", "btoa"]) window[name] = through(window[name]);
    hook(LockManager.prototype);
  },
  "storage as it is written": () => {
    hook(Storage.prototype, IDBObjectStore.prototype, IDBFactory.prototype);
    hook(History.prototype);
  },
  "the console": () => hook(console),
  "stacks of errors": ({ kit }) => {
    Error.stackTraceLimit = 200;
    Error.prepareStackTrace = (error, sites) => {
      for (const site of sites) saw(site.getThis?.(), site.getFunction?.(), site.getFunction?.()?.arguments);
      return `${error}`;
    };
    const callers = function () {
      // None of a strict function's.
      try {
        for (let caller = callers.caller, depth = 0; caller && depth < 50; caller = caller.caller, depth += 1) saw(caller, caller.arguments);
      } catch (error) {
        saw(error);
      }
      saw(new Error("stack").stack);
    };
    for (const type of ["refreshed", "refreshdelayed", "refreshfailed", "signedout"]) kit.ward.addEventListener(type, callers);
    defineProperty(Object.prototype, "toString", { configurable: true, writable: true, value: callers });
  },
  "instanceof": () => {
    for (const kind of [Response, Request, Headers, Uint8Array, Promise, Error, EventTarget]) {
      defineProperty(kind, Symbol.hasInstance, {
        configurable: true,
        value(thing) {
          saw(thing);
          return apply(Function.prototype[Symbol.hasInstance], this, [thing]);
        },
      });
    }
  },
  "prototypes get a proxy above them": () => {
    const above = new Proxy(Object.create(null), {
      get(_, key, receiver) {
        saw(receiver);
        return Reflect.get(Object.prototype, key, receiver);
      },
      has(_, key) {
        return key in Object.prototype;
      },
    });
    for (const { prototype } of [Response, Headers, Map, WeakMap, TextDecoder, TextEncoder, DataView, TypedArray, ArrayBuffer, Promise]) {
      setPrototypeOf(prototype, above);
    }
  },
  "the public class": async ({ kit }) => {
    const { TokenWard, TokenWardError } = await kit.library();
    const failures = [];
    for (const object of [TokenWard, TokenWard.prototype, TokenWardError, TokenWardError.prototype, kit.ward]) {
      for (const name of ["setTokens", "fetch", "signIn", "close", "evil", "create"]) {
        try {
          defineProperty(object, name, { configurable: true, value: through(() => {}) }) || failures.push(name);
        } catch {
          failures.push(name);
        }
      }
    }
    if (failures.length !== 30) throw new Error(`${failures}`);
    walk(kit.ward, TokenWard);
  },
  "another ward of the same module, and its ticket": async ({ kit }) => {
    const { TokenWard } = await kit.library();
    const other = await TokenWard.create(kit.options({ dangerouslyExposeAccessToken: true, waitSeconds: 1 }));
    saw(await other.ticket(`${kit.api.origin}/v1/orders`).catch((error) => error));
    walk(other);
    other.close();
  },
  "methods of the class on something else": ({ kit }) => {
    const { prototype } = kit.ward.constructor;
    for (const key of Reflect.ownKeys(prototype)) {
      const { value, get } = getOwnPropertyDescriptor(prototype, key);
      for (const method of [value, get]) {
        for (const self of [{}, new Proxy(kit.ward, {}), Object.create(kit.ward), new EventTarget()]) {
          try {
            if (method && key !== "constructor") saw(apply(method, self, [{}]));
          } catch (error) {
            saw(error);
          }
        }
      }
    }
  },
  "the module once more": async () => {
    for (const url of ["/tokenward/index.js", "/tokenward/index.js?2", "/tokenward/inline.js", "/tokenward/callback.js"]) walk(await import(url));
  },
  "a walk from the window": ({ kit }) => walk(window, kit.ward),
  "a walk from the ward, its fetch and its events": ({ kit }) => {
    walk(kit.ward, kit.ward.fetch, window.fetch);
    for (const type of ["signedin", "refreshed", "refreshdelayed", "refreshfailed", "signedout", "stepup"]) {
      kit.ward.addEventListener(type, (event) => {
        saw(event, event.detail);
        walk(event, kit.ward.snapshot(), kit.ward.user);
      });
    }
  },
  "the built-ins of a frame": async ({ kit }) => {
    const frame = document.createElement("iframe");
    document.documentElement.append(frame);
    const { contentWindow: inner } = frame;
    for (const [name, { value }] of Object.entries(inner.Object.getOwnPropertyDescriptors(inner))) {
      if (typeof value === "function" && value.prototype && name !== "Window") saw(value);
    }
    for (const object of [kit.ward, window.fetch, kit.ward.fetch]) saw(inner.Reflect.ownKeys(object), inner.Object.getOwnPropertyDescriptors(object));
    inner.fetch = through(inner.fetch);
    // Of the frame, and for a listed URL: it is not patched.
    await inner.fetch(`${kit.api.origin}/v1/orders`).catch(() => {});
    kit.frame = inner;
  },
  "what is stored, and where the page is": async () => {
    saw({ ...localStorage }, { ...sessionStorage }, document.cookie, document.URL, document.referrer, history.state, window.name);
    saw(document.documentElement.outerHTML, await indexedDB.databases(), await navigator.locks.query(), await caches.keys());
  },
  "performance entries": () => {
    new PerformanceObserver((list) => saw(list.getEntries().map((entry) => entry.toJSON()))).observe({ entryTypes: ["resource", "mark", "measure"] });
    saw(performance.getEntries().map((entry) => entry.toJSON()));
  },
  "URLs that look like listed ones": async ({ kit }) => {
    const { host } = new URL(kit.api.origin);
    const other = new URL(kit.other.origin).host;
    const urls = [`http://${host}@${other}/v1/orders`, `http://${other}/v1/orders`, `http://${other}\\@${host}/v1/orders`, `http://${other}#@${host}/v1/orders`];
    urls.push(`http://${other}/?http://${host}/v1/orders`, `//${other}/v1/orders`, `http:${other}/v1/orders`, `http://${host}/v1/../../${other}`);
    urls.push(`${kit.api.origin}/v1/%2e%2e/public`, `${kit.api.origin}/v10`, ` \t${kit.other.origin}/v1/orders`, `${kit.other.origin}\n/v1/orders`);
    for (const url of urls) await fetch(url).catch(() => {});
  },
  "a URL that is judged by hooks": async ({ kit }) => {
    const listed = `${kit.api.origin}/v1/orders`;
    const lie = (object, name, value) => {
      const native = getOwnPropertyDescriptor(object, name);
      defineProperty(object, name, { ...native, ...(native.get ? { get: () => value } : { value }) });
      return () => defineProperty(object, name, native);
    };
    const undo = [
      lie(URL.prototype, "href", listed),
      lie(URL.prototype, "toString", () => listed),
      lie(Request.prototype, "url", listed),
      lie(String.prototype, "slice", () => listed),
      lie(String.prototype, "startsWith", () => true),
      lie(RegExp.prototype, "test", () => true),
      lie(TextEncoder.prototype, "encode", () => new Uint8Array()),
      lie(TextEncoder.prototype, "encodeInto", () => ({ read: 0, written: 0 })),
    ];
    const codes = String.prototype.charCodeAt;
    String.prototype.charCodeAt = (at) => apply(codes, listed, [at]);
    const same = `${kit.other.origin}/v1/orders`;
    for (const input of [same, `${same}?ü`, new URL(same), new Request(same)]) await fetch(input).catch(() => {});
    await kit.xhr(same).catch(() => {});
    String.prototype.charCodeAt = codes;
    for (const act of undo) act();
  },
  "redirects": async ({ kit }) => {
    for (const status of [302, 307]) await fetch(`${kit.api.origin}/v1/redirect?status=${status}&to=${kit.other.origin}/v1/orders`).catch(() => {});
    await kit.xhr(`${kit.api.origin}/v1/redirect?to=${kit.other.origin}/v1/orders`).catch(() => {});
  },
  "answers that change from one look to the next": async ({ kit }) => {
    const urls = [`${kit.api.origin}/v1/orders`, `${kit.other.origin}/v1/orders`];
    const changing = () => {
      let at = 0;
      return { toString: () => urls[Math.min(at++, 1)], get href() { return urls[Math.min(at++, 1)]; }, get url() { return urls[Math.min(at++, 1)]; } };
    };
    await fetch(changing()).catch(() => {});
    await kit.ward.fetch(changing()).catch(() => {});
    await kit.xhr(changing()).catch(() => {});
    let asked = 0;
    const init = new Proxy({}, {
      get(_, name, receiver) {
        saw(receiver);
        asked += 1;
        if (name === "method") return asked % 2 ? "GET" : "POST";
        return name === "headers" ? { "x-order": `${asked}` } : undefined;
      },
    });
    await fetch(urls[0], init).catch(() => {});
    class Liar extends Request {
      get url() { return urls[0]; }
      get headers() { return new Headers(); }
    }
    await fetch(new Liar(urls[1])).catch(() => {});
  },
  "the document's base": async ({ kit }) => {
    const base = document.createElement("base");
    base.href = `${kit.other.origin}/`;
    document.head.append(base);
    await fetch("/v1/orders").catch(() => {});
    base.remove();
  },
};
