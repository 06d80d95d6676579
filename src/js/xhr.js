import { lasting } from "./body.js";
import { TokenWardError } from "./errors.js";
import {
  ANY_TOKEN,
  NEWER,
  NOT_REPEATABLE,
  SEND,
  SEND_AS_IS,
  WAIT,
  credentialsOf,
  isBound,
  isRefusal,
  permitted,
  report,
} from "./interceptor.js";
import {
  AbortController,
  AbortSignal,
  Math,
  Object,
  WeakMap,
  apply,
  clearTimeout,
  monotonicClock,
  setTimeout,
} from "./natives.js";
import { patch, unpatch } from "./patches.js";
import { NOT_REPLAYABLE, OWN_AUTHORIZATION, parse } from "./requests.js";
import { NONCE } from "./steps.js";
import { nextTask } from "./task.js";

const EVENTS = ["readystatechange", "loadstart", "progress", "abort", "error", "load", "timeout", "loadend"];

// Of readyState.
const UNSENT = 0;
const OPENED = 1;
const HEADERS_RECEIVED = 2;
const DONE = 4;

const DOCUMENT_NODE = 9;

/** The longest that a timer takes. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** The properties that would show a refused answer. */
const ANSWER = /^(status|response|get|overr)/;

/**
 * Patches the XMLHttpRequest of a window, and returns what takes that back.
 *
 * The app's own object sends each request, so that its events are the browser's. What the browser does not know, because the
 * request waits or because a refused answer is kept from the app, is told by events of ours and by own properties of the
 * object.
 */
export function patchXhr(window, gate) {
  const { Blob, Event, EventTarget, FormData, ProgressEvent, XMLHttpRequestEventTarget } = window;
  const listening = XMLHttpRequestEventTarget.prototype;
  let { prototype } = window.XMLHttpRequest;
  // What another library put there may inherit from the browser's.
  for (let above; prototype && (above = Object.getPrototypeOf(prototype)) !== listening; ) prototype = above;
  // It may also have nothing to do with it.
  if (!prototype) return () => {};
  const XMLHttpRequest = prototype.constructor;
  const { addEventListener, dispatchEvent, removeEventListener } = listening;
  const inherits = !Object.hasOwn(listening, "addEventListener");
  const native = Object.getOwnPropertyDescriptors(prototype);
  const closing = new AbortController();
  const next = {};
  /** The newest call of each object, and of its `upload`. */
  const calls = new WeakMap();
  /** The types of events that `listen` hears first, by object. */
  const led = new WeakMap();
  /** Whether what happens now is not for the app. */
  let silent = false;

  const read = (xhr, name) => apply(native[name].get, xhr, []);
  const write = (xhr, name, value) => apply(native[name].set, xhr, [value]);
  const dispatch = (target, event) => apply(dispatchEvent, target, [event]);
  /** Throws what the browser throws where the state does not allow it. */
  const refuse = (name, args = []) => apply(next[name], new XMLHttpRequest(), args);

  function silently(act) {
    silent = true;
    try {
      act();
    } finally {
      silent = false;
    }
  }

  function listen(event) {
    if (event.isTrusted && (silent || calls.get(this)?.hides(event, this))) event.stopImmediatePropagation();
  }

  /** Has `listen` hear first. Chromium knows no capture phase here: who came first hears first. */
  function lead(target, type) {
    const types = led.get(target) ?? {};
    if (types[type]) return;
    led.set(target, types);
    types[type] = true;
    const on = `on${type}`;
    const handler = target[on];
    if (handler) target[on] = null;
    apply(addEventListener, target, [type, listen, true]);
    if (handler) target[on] = handler;
  }

  /** Makes it the newest one; undefined for a request that is none of ours. */
  function bind(xhr, call) {
    const upload = read(xhr, "upload");
    calls.set(xhr, call);
    calls.set(upload, call);
    if (call) return;
    // Whoever listens there makes a simple request ask for a preflight.
    for (const type of EVENTS) if (led.get(upload)?.[type]) apply(removeEventListener, upload, [type, listen, true]);
    led.delete(upload);
  }

  /** From an open() to the next one. */
  function begin(xhr, rule, method, url, isAsync) {
    const { core } = gate;
    const upload = read(xhr, "upload");
    const headers = [];
    const request = { method, flags: 0 };
    const asked = { gate, core, rule, request, href: url };
    let masked = [];
    let body = [];
    /** Ends a wait. */
    let stopping;
    let isOver = false;
    let isSent = false;
    /** What Core made of the refusals so far. */
    let done = 0;
    /** The app has not heard the end of the upload. */
    let isUploading = false;
    /** When the app sent it, and when the browser did. */
    let since, sentAt;
    /** Which token it went with, until its answer was looked at. */
    let stamp;
    /** Whether a proof went along. */
    let proven = false;
    /** What the app has not heard: events, each with the readyState of its time. */
    let unheard;
    /** Stands for the object where its refused answer would show. */
    let blank;
    let timer;
    /** The app's, once the browser's is another one. */
    let timeout;

    const call = {
      /** The readyState that the app sees where it is not the browser's; OPENED while something is awaited. */
      shown: undefined,

      setRequestHeader(name, value) {
        apply(next.setRequestHeader, xhr, [name, value]);
        headers.push([name, value]);
        if (/^authorization$/i.test(name)) request.flags |= OWN_AUTHORIZATION;
      },

      send(args) {
        if (isSent) return apply(next.send, xhr, args);
        body = args;
        if (args.length > 0 && !/^(get|head)$/i.test(method)) take(args[0]);
        // The body opened another one when it was looked at.
        if (isOver) return apply(next.send, xhr, args);
        const code = core.authorize(rule, method, request.flags, ANY_TOKEN);
        since = monotonicClock();
        const credentials = code === SEND && credentialsOf(core);
        const waits = code === WAIT || (credentials && isBound(credentials));
        // What takes time is not for a synchronous request.
        if (!waits || !isAsync) return transmit(waits ? SEND_AS_IS : code, credentials);
        isSent = true;
        mask();
        fire(xhr, "loadstart");
        if (isUploading) fire(upload, "loadstart", size());
        wait(
          ANY_TOKEN,
          (code, credentials) => silently(() => transmit(code, credentials)),
          (error) => fail("error", error),
        );
      },

      /** Whether an event is not for the app. */
      hides(event, target) {
        const { type } = event;
        const state = read(xhr, "readyState");
        if (target !== xhr) {
          if (done && !isUploading) return true;
          if (type === "loadend" && !unheard) isUploading = false;
        } else {
          // Used again without us.
          if (call.shown === UNSENT || call.shown === DONE) call.end();
          if (type === "readystatechange" && state === HEADERS_RECEIVED && gate.core) look();
        }
        return unheard?.push([event, state]);
      },

      abort() {
        if (call.shown > UNSENT && call.shown < DONE) fail("abort");
        if (call.shown !== DONE) return;
        call.shown = UNSENT;
        silently(() => apply(next.abort, xhr, []));
      },

      /** Another one takes its place. */
      end() {
        stop();
        unmask(/./);
        if (timeout !== undefined) write(xhr, "timeout", timeout);
        timeout = call.shown = undefined;
      },
    };

    /** Takes the body as it is now. */
    function take(given) {
      let kept = lasting(given ?? null, window);
      if (given instanceof FormData) {
        kept = new FormData();
        given.forEach((value, name) => kept.append(name, value));
      } else if (given?.nodeType === DOCUMENT_NODE) {
        kept = given.cloneNode(true);
      } else if (kept === undefined) {
        const isObject = typeof given === "object";
        if (isObject) request.flags |= NOT_REPLAYABLE;
        kept = isObject ? given : `${given}`;
      }
      body = [kept];
      isUploading = kept !== null;
    }

    /** What an upload will come to, where that can be told before. */
    function size() {
      const total = body[0] instanceof FormData || body[0].nodeType ? 0 : new Blob(body).size;
      return { lengthComputable: total > 0, total };
    }

    function transmit(code, credentials) {
      const isAuthorised = code === SEND;
      isSent = true;
      call.shown = undefined;
      if (isAuthorised) {
        stamp = credentials.stamp;
        proven = isBound(credentials);
        const set = (name, value) => value && apply(next.setRequestHeader, xhr, [name, value]);
        set("authorization", credentials.authorization);
        set("dpop", credentials.dpop);
      }
      // A listener there asks for a preflight, which a token needs anyway.
      if (isUploading) for (const type of EVENTS) if (isAuthorised || upload[`on${type}`]) lead(upload, type);
      sentAt = monotonicClock();
      tune();
      apply(next.send, xhr, body);
      if (isAsync) return;
      request.flags |= NOT_REPLAYABLE;
      look();
    }

    /** Looks at the answer. A refusal that another token may change is kept from the app. */
    function look() {
      const status = read(xhr, "status");
      if (proven) core.step(NONCE, read(xhr, "responseURL"), apply(native.getResponseHeader.value, xhr, ["dpop-nonce"]));
      if (stamp === undefined || !isRefusal({ status })) return;
      const answer = {
        status,
        headers: { get: (name) => apply(native.getResponseHeader.value, xhr, [name]) },
        redirected: true,
        url: read(xhr, "responseURL"),
      };
      const refused = stamp;
      stamp = undefined;
      gate.refusing(NOT_REPEATABLE);
      const how = report(asked, refused, answer, done);
      gate.refusing(undefined);
      if (!how) return;
      unheard = [];
      mask();
      blank = new XMLHttpRequest();
      write(blank, "responseType", read(xhr, "responseType"));
      for (const name of Object.keys(native)) {
        const { get, set, value } = native[name];
        if (!ANSWER.test(name)) continue;
        const of = (member) => member && ((...args) => apply(member, blank, args));
        define(name, value ? { value: of(value) } : { get: of(get), set: of(set) });
      }
      const go = (code, credentials) => (code === SEND ? repeat(how, credentials) : reveal());
      // The same token will do for a nonce. Chromium tells less of what is sent again in the task in which it has told of headers.
      nextTask(() => wait(how === NEWER ? refused : refused - 1, go, reveal));
    }

    function repeat(how, credentials) {
      done += how;
      unmask(ANSWER);
      unheard = undefined;
      silently(() => {
        // Whoever counts what is under way, as zone.js does, hears of the end of the first try.
        apply(next.abort, xhr, []);
        apply(next.open, xhr, [method, url, true]);
        // Somebody heard of that before us, and opened another one.
        if (isOver) return;
        write(xhr, "responseType", read(blank, "responseType"));
        for (const header of headers) apply(next.setRequestHeader, xhr, header);
        transmit(SEND, credentials);
      });
    }

    /** There is no better answer than the refused one. */
    function reveal() {
      const events = unheard;
      unheard = undefined;
      unmask(ANSWER);
      clearTimeout(timer);
      for (const [event, state] of events) {
        call.shown = state;
        // In Chromium an event stays stopped.
        fire(event.target, event.type, event);
        if (isOver) return;
      }
      call.shown = undefined;
    }

    function wait(after, go, failed) {
      // Both may come after the end of what they waited for.
      const unless = (act) => (result, credentials) => isOver || act(result, credentials);
      if (isOver) return;
      stopping = new AbortController();
      request.signal = AbortSignal.any([stopping.signal, closing.signal]);
      permitted(asked, after, unless(go)).catch(unless(failed));
    }

    /** Ends it without an answer. */
    function fail(type, error) {
      // A refused answer stays hidden: Firefox would show its headers still.
      stop();
      silently(() => apply(next.abort, xhr, []));
      call.shown = DONE;
      fire(xhr, "readystatechange");
      for (const target of isUploading ? [upload, xhr] : [xhr]) {
        fire(target, type, {}, target === xhr && error && { error });
        fire(target, "loadend");
      }
      isUploading = false;
    }

    function stop() {
      isOver = true;
      stopping?.abort();
      clearTimeout(timer);
      unheard = stamp = undefined;
    }

    function fire(target, type, init, more) {
      const Kind = type === "readystatechange" ? Event : ProgressEvent;
      if (calls.get(xhr) === call) dispatch(target, Object.assign(new Kind(type, init), more));
    }

    /** From now on the app waits for us. */
    function mask() {
      call.shown = OPENED;
      timeout ??= read(xhr, "timeout");
      define("readyState", { get: () => call.shown ?? read(xhr, "readyState") });
      define("timeout", {
        get: () => timeout,
        set: (value) => {
          write(xhr, "timeout", value);
          timeout = read(xhr, "timeout");
          tune();
        },
      });
      define("withCredentials", {
        get: () => read(xhr, "withCredentials"),
        set: (value) => (call.shown ? refuse("send") : write(xhr, "withCredentials", value)),
      });
      tune();
    }

    function define(name, descriptor) {
      if (Object.hasOwn(xhr, name)) return;
      Object.defineProperty(xhr, name, { configurable: true, enumerable: true, ...descriptor });
      masked.push(name);
    }

    function unmask(names) {
      masked = masked.filter((name) => !(names.test(name) && delete xhr[name]));
    }

    /** The app's timeout counts from when it sent the request, the browser's from when that did. */
    function tune() {
      clearTimeout(timer);
      if (timeout === undefined) return;
      const left = timeout && Math.max(1, timeout + since - (call.shown ? monotonicClock() : sentAt));
      if (!call.shown) write(xhr, "timeout", left);
      else if (left) timer = setTimeout(() => fail("timeout"), Math.min(left, MAX_TIMER_MS));
    }

    for (const type of EVENTS) lead(xhr, type);
    return call;
  }

  /** The call that an open() begins, if it is one of ours. What it goes by is read once and put into the arguments. */
  function find(xhr, args) {
    if (!gate.core || args.length < 2 || !(xhr instanceof XMLHttpRequest)) return;
    const method = (args[0] = `${args[0]}`);
    const url = (args[1] = `${args[1]}`);
    for (const at of [3, 4]) if (args[at] != null) args[at] = `${args[at]}`;
    const href = parse(url, { window });
    // With a password it is not for us, and lists hold http: and https: only.
    if ((args[3] ?? args[4] ?? null) !== null || !/^http/.test(href)) return;
    let rule = -1;
    try {
      rule = gate.core.findRule(href);
    } catch (error) {
      gate.failed(error);
    }
    if (rule < 0) return;
    // No other base must lead it elsewhere.
    args[1] = href;
    return begin(xhr, rule, method, href, args.length < 3 || Boolean(args[2]));
  }

  const methods = {
    open(method, url) {
      const args = arguments;
      const call = find(this, args);
      // Now, for what was read may have opened one.
      const before = calls.get(this);
      if (!before && !call) return apply(next.open, this, args);
      const shown = before?.shown;
      const state = read(this, "readyState");
      if (before) {
        refuse("open", args);
        before.end();
      }
      bind(this, call);
      const open = () => apply(next.open, this, args);
      try {
        if (shown === OPENED && state !== OPENED) silently(open);
        else open();
      } catch (error) {
        bind(this);
        throw error;
      }
      if (state === OPENED && (shown ?? OPENED) !== OPENED) dispatch(this, new Event("readystatechange"));
    },
    setRequestHeader(name, value) {
      const call = calls.get(this);
      if (!call || arguments.length < 2) return apply(next.setRequestHeader, this, arguments);
      if (call.shown !== undefined) return refuse("setRequestHeader", arguments);
      call.setRequestHeader(`${name}`, `${value}`);
    },
    send() {
      const call = calls.get(this);
      if (call && call.shown !== undefined) return refuse("send");
      return call && gate.core ? call.send(arguments) : apply(next.send, this, arguments);
    },
    abort() {
      const call = calls.get(this);
      return call && call.shown !== undefined ? call.abort() : apply(next.abort, this, arguments);
    },
  };

  const listener = {
    addEventListener(type, listener) {
      if (gate.core && EVENTS.includes(type) && this instanceof XMLHttpRequestEventTarget) lead(this, type);
      return apply(inherits ? EventTarget.prototype.addEventListener : addEventListener, this, arguments);
    },
  };

  const each = (act) => {
    for (const name of Object.keys(methods)) act(prototype, name, methods);
    act(listening, "addEventListener", listener);
  };
  each((object, name, made) => {
    next[name] = object[name];
    patch(object, name, gate, () => made[name]);
  });

  return () => {
    closing.abort(new TokenWardError("closed"));
    each(unpatch);
    if (listening.addEventListener === EventTarget.prototype.addEventListener) delete listening.addEventListener;
  };
}
