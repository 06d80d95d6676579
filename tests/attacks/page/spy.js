// What a hostile script of the page has: hooks that let everything through and keep what they saw, which is looked at now and once
// more at the end, since what is harmless now may get a token later.
const { apply, construct, defineProperty, getOwnPropertyDescriptor, getPrototypeOf, ownKeys } = Reflect;
const { then } = Promise.prototype;
const { clone: cloneRequest } = Request.prototype;
const { clone: cloneResponse, text: textOfResponse } = Response.prototype;
const { text: textOfRequest } = Request.prototype;
const { forEach: eachHeader } = Headers.prototype;
const { forEach: eachInMap } = Map.prototype;
const { forEach: eachInSet } = Set.prototype;
const { forEach: eachParam } = URLSearchParams.prototype;
const { get: fromTable } = WebAssembly.Table.prototype;
const { isView } = ArrayBuffer;
const { matchAll } = String.prototype;
const { get: headersOf } = getOwnPropertyDescriptor(Request.prototype, "headers");
const { get: bodyUsed } = getOwnPropertyDescriptor(Response.prototype, "bodyUsed");
const { get: bufferOf } = getOwnPropertyDescriptor(WebAssembly.Memory.prototype, "buffer");
const { get: lengthOf } = getOwnPropertyDescriptor(WebAssembly.Table.prototype, "length");
const { get: exportsOf } = getOwnPropertyDescriptor(WebAssembly.Instance.prototype, "exports");
const Memory = WebAssembly.Memory;
const Table = WebAssembly.Table;
const Instance = WebAssembly.Instance;
const latin1 = new TextDecoder("latin1");
const decode = latin1.decode.bind(latin1);
const Bytes = Uint8Array;
const ObjectPrototype = Object.prototype;

/** What could be a part of a token. */
const RUN = /[\w.~+/=-]{16,}/g;
const KEPT = 5000;
const DEPTH = 5;
const BREADTH = 300;

const runs = new Set();
const kept = new Set();
const read = new WeakSet();
let quiet = false;
let pending = 0;
let idle;

/** Keeps what is in these things. Whatever is called meanwhile is ours, and passes. */
export function saw(...things) {
  if (quiet) return;
  quiet = true;
  try {
    const seen = new Set();
    for (const thing of things) {
      if (typeof thing === "object" && thing !== null && kept.size < KEPT) kept.add(thing);
      look(thing, seen, 0);
    }
  } finally {
    quiet = false;
  }
}

function look(thing, seen, depth) {
  if (typeof thing === "string") {
    for (const [run] of apply(matchAll, thing, [RUN])) runs.add(run);
  }
  if ((typeof thing !== "object" && typeof thing !== "function") || thing === null || seen.has(thing) || depth > DEPTH) return;
  if (thing === window || thing instanceof Node) return;
  seen.add(thing);
  const next = (value) => look(value, seen, depth + 1);
  inside(thing, next);
  for (const key of ownKeys(thing).slice(0, BREADTH)) {
    next(key);
    const member = getOwnPropertyDescriptor(thing, key);
    if (member && "value" in member) next(member.value);
  }
  // An object of the library's that gives what it is asked for.
  if (typeof getPrototypeOf(thing)?.authorization === "function") next(thing.authorization());
}

function inside(thing, next) {
  if (thing instanceof Error) next(`${thing.stack} ${thing.message}`);
  if (thing instanceof Headers) apply(eachHeader, thing, [next]);
  if (thing instanceof Map) apply(eachInMap, thing, [(value, key) => (next(value), next(key))]);
  if (thing instanceof Set) apply(eachInSet, thing, [next]);
  if (thing instanceof URLSearchParams) apply(eachParam, thing, [next]);
  if (thing instanceof URL) next(thing.href);
  if (thing instanceof Request) next(apply(headersOf, thing, []));
  if (thing instanceof ArrayBuffer) next(decode(new Bytes(thing)));
  if (isView(thing)) next(decode(new Bytes(thing.buffer)));
  if (thing instanceof Memory) next(decode(new Bytes(apply(bufferOf, thing, []))));
  if (thing instanceof Instance) next(apply(exportsOf, thing, []));
  if (thing instanceof Table) {
    for (let at = 0; at < apply(lengthOf, thing, []); at += 1) next(apply(fromTable, thing, [at]));
  }
  if (read.has(thing)) return;
  // It may stay open for ever.
  if (thing instanceof Promise) apply(then, thing, [saw, saw]);
  if (thing instanceof Request && !thing.bodyUsed) awaitText(apply(textOfRequest, apply(cloneRequest, thing, []), []));
  if (thing instanceof Response && !apply(bodyUsed, thing, []) && !thing.body?.locked) {
    awaitText(apply(textOfResponse, apply(cloneResponse, thing, []), []));
  }
  if (thing instanceof Promise || thing instanceof Request || thing instanceof Response) read.add(thing);
}

function awaitText(promise) {
  pending += 1;
  const done = (value) => {
    saw(value);
    pending -= 1;
    if (!pending) idle?.();
  };
  apply(then, promise, [done, done]);
}

/** Nothing is seen meanwhile: what is done here is the app's own. */
export function unseen(act) {
  const before = quiet;
  quiet = true;
  try {
    return act();
  } finally {
    quiet = before;
  }
}

/** Lets everything through a function, and sees what it is called on and with, and what it gives. */
export const through = (native) =>
  function (...args) {
    // By no spread: an iterator may be hooked.
    if (!quiet) saw(this, args);
    const result = apply(native, this, args);
    if (!quiet) saw(result);
    return result;
  };

/** Hooks every member of an object that can be. */
export function hook(...objects) {
  for (const object of objects) {
    for (const key of ownKeys(object)) {
      const native = getOwnPropertyDescriptor(object, key);
      if (!native.configurable || key === "constructor") continue;
      const made = { __proto__: null, ...native };
      for (const kind of ["value", "get", "set"]) {
        if (typeof native[kind] === "function" && !native[kind].prototype) made[kind] = through(native[kind]);
      }
      defineProperty(object, key, made);
    }
  }
}

/** Puts something that sees all of it in the place of each of these constructors. */
export function replace(names, holder = window) {
  for (const name of names) {
    holder[name] = new Proxy(holder[name], {
      construct: (target, args, newTarget) => {
        const made = construct(target, args, newTarget);
        saw(args, made);
        return made;
      },
      apply: (target, self, args) => {
        const made = apply(target, self, args);
        saw(self, args, made);
        return made;
      },
    });
  }
}

/** Every object that has no such member is seen when it is asked for it, or gets one. */
export function trap(object, ...keys) {
  for (const key of keys) {
    defineProperty(object, key, {
      __proto__: null,
      configurable: true,
      get() {
        saw(this);
        return undefined;
      },
      set(value) {
        saw(this, value);
        defineProperty(this, key, { __proto__: null, configurable: true, enumerable: true, writable: true, value });
      },
    });
  }
}

/** Whatever can be reached from here, by members and prototypes, getters called. */
export function walk(...roots) {
  unseen(() => {
    const seen = new Set();
    const queue = roots.map((root) => [root, 0]);
    const from = (value, depth) => {
      if (typeof value === "string") look(value, seen, 0);
      if (((typeof value === "object" && value !== null) || typeof value === "function") && !seen.has(value)) queue.push([value, depth]);
    };
    for (let at = 0; at < queue.length && at < 60_000; at += 1) {
      const [thing, depth] = queue[at];
      if (seen.has(thing) || depth > 12) continue;
      seen.add(thing);
      try {
        if (!(thing instanceof Node) && thing !== window) inside(thing, (value) => from(value, depth + 1));
        for (const key of ownKeys(thing)) {
          from(key, depth);
          const { value, get } = getOwnPropertyDescriptor(thing, key) ?? {};
          from(value, depth + 1);
          if (get && !/^(event|on|then)/.test(String(key))) from(get && thing !== ObjectPrototype ? thing[key] : undefined, depth + 1);
        }
        from(getPrototypeOf(thing), depth + 1);
      } catch {
        // Of another origin, or of another kind than its getter's.
      }
    }
  });
}

/** Looks once more at what was kept: there may be a token in it now. */
export const again = () => saw(kept);

/** @returns {Promise<string[]>} all that could be a part of a token */
export async function findings() {
  again();
  if (pending) await new Promise((resolve) => (idle = resolve));
  return unseen(() => [...runs]);
}
