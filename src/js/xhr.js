import { prepareBody } from "./body.js";
import { TokenWardError } from "./errors.js";
import { ANY_TOKEN, NOT_REPEATABLE, SEND, WAIT, isRefusal, permitted, report } from "./interceptor.js";
import {
  AbortController,
  AbortSignal,
  Blob,
  FormData,
  Math,
  Object,
  URL,
  WeakMap,
  apply,
  clearTimeout,
  monotonicClock,
  setTimeout,
} from "./natives.js";
import { patch, unpatch } from "./patches.js";
import { NOT_REPLAYABLE, OWN_AUTHORIZATION } from "./requests.js";

const EVENTS = ["readystatechange", "loadstart", "progress", "abort", "error", "load", "timeout", "loadend"];

// Of readyState.
const UNSENT = 0;
const OPENED = 1;
const HEADERS_RECEIVED = 2;
const DONE = 4;

const DOCUMENT_NODE = 9;

/** The longest that a timer takes. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** What would show a refused answer. */
const ANSWER = /^(status|response|get\w*Header|override)/;

/**
 * Patches the XMLHttpRequest of a window, and returns what takes that back.
 *
 * Each request is sent by the app's own object, so that its events are the browser's. As long as the browser does not know
 * what the app has to believe, because the request waits or because a refused answer is kept from the app, events of ours
 * tell it, and own properties of the object that hide those of its prototype.
 */
export function patchXhr(window, gate) {
  const { Event, EventTarget, Node, ProgressEvent, XMLHttpRequest, XMLHttpRequestEventTarget } = window;
  const { prototype } = XMLHttpRequest;
  const { addEventListener, dispatchEvent } = EventTarget.prototype;
  const native = Object.getOwnPropertyDescriptors(prototype);
  const nodeType = Object.getOwnPropertyDescriptor(Node.prototype, "nodeType").get;
  const listening = XMLHttpRequestEventTarget.prototype;
  const inherits = listening.addEventListener === addEventListener;
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
    const handler = target[`on${type}`];
    if (handler) target[`on${type}`] = null;
    apply(addEventListener, target, [type, listen, true]);
    if (handler) target[`on${type}`] = handler;
  }

  /** From an open() to the next one. */
  class Call {
    #xhr;
    #upload;
    #core = gate.core;
    #rule;
    #args;
    #headers = [];
    #flags = 0;
    #body = [];
    #sent = false;
    /** When the app sent it, and when the browser did. */
    #since;
    #sentAt;
    /** Which token it went with, until its answer was looked at. */
    #stamp;
    #repeated = false;
    /** The app has not heard the end of the upload. */
    #uploading = false;
    /** What the app has not heard: events, each with the readyState of its time. */
    #unheard;
    /** In the place of the object, where its refused answer would show. */
    #blank;
    #masks = [];
    #stopping = new AbortController();
    #timer;
    /** The app's, once the browser's is another one. */
    #timeout;
    /** The readyState that the app sees where it is not the browser's; OPENED while something is awaited. */
    shown;

    constructor(xhr, rule, method, url, isAsync) {
      this.#xhr = xhr;
      this.#upload = read(xhr, "upload");
      this.#rule = rule;
      this.#args = [method, url, isAsync];
      for (const type of EVENTS) lead(xhr, type);
    }

    /** Makes it the newest one; undefined for a request that is none of ours. */
    static bind(xhr, call) {
      calls.set(xhr, call);
      calls.set(read(xhr, "upload"), call);
    }

    setRequestHeader(name, value) {
      apply(next.setRequestHeader, this.#xhr, [name, value]);
      this.#headers.push([name, value]);
      if (/^authorization$/i.test(name)) this.#flags |= OWN_AUTHORIZATION;
    }

    send(args) {
      const [method, , isAsync] = this.#args;
      if (this.#sent) return apply(next.send, this.#xhr, args);
      this.#body = args;
      if (args.length > 0 && !/^(get|head)$/i.test(method)) this.#take(args[0]);
      const code = this.#core.authorize(this.#rule, method, this.#flags, ANY_TOKEN);
      this.#since = monotonicClock();
      if (code !== WAIT || !isAsync) return this.#transmit(code);
      this.#sent = true;
      this.#mask();
      this.#fire(this.#xhr, "loadstart");
      if (this.#uploading) this.#fire(this.#upload, "loadstart", this.#size());
      this.#wait(
        ANY_TOKEN,
        (code) => silently(() => this.#transmit(code)),
        (error) => this.#fail("error", error),
      );
    }

    /** Takes the body as it is now. */
    #take(body) {
      const init = { body };
      let isDocument = false;
      try {
        isDocument = apply(nodeType, body, []) === DOCUMENT_NODE;
      } catch {
        // Not a node.
      }
      if (isDocument) {
        init.body = body.cloneNode(true);
      } else if (body instanceof FormData) {
        init.body = new FormData();
        body.forEach((value, name) => init.body.append(name, value));
      } else if (prepareBody(init)) {
        // Another realm's, or an object of which the browser makes a string.
        if (/^\[object Object/.test(apply(Object.prototype.toString, body, []))) init.body = `${body}`;
        else this.#flags |= NOT_REPLAYABLE;
      }
      this.#body = [init.body];
      this.#uploading = (init.body ?? null) !== null;
    }

    /** What an upload will come to, where that can be told before. */
    #size() {
      const [body] = this.#body;
      const total = body instanceof FormData || body.nodeType ? 0 : new Blob([body]).size;
      return { lengthComputable: total > 0, total };
    }

    #transmit(code) {
      const xhr = this.#xhr;
      const authorised = code === SEND;
      this.#sent = true;
      this.shown = undefined;
      if (authorised) {
        this.#stamp = this.#core.stamp();
        apply(next.setRequestHeader, xhr, ["authorization", this.#core.authorization()]);
      }
      if (this.#uploading) {
        // A listener there asks for a preflight, which a token needs anyway.
        for (const type of EVENTS) if (authorised || this.#upload[`on${type}`]) lead(this.#upload, type);
      }
      this.#sentAt = monotonicClock();
      this.#tune();
      apply(next.send, xhr, this.#body);
      if (this.#args[2]) return;
      this.#flags |= NOT_REPLAYABLE;
      this.#refused();
    }

    /** Whether an event is not for the app. */
    hides(event, target) {
      const { type } = event;
      const state = read(this.#xhr, "readyState");
      if (target !== this.#xhr) {
        if (this.#repeated && !this.#uploading) return true;
        if (type === "loadend" && !this.#unheard) this.#uploading = false;
      } else {
        // Used again without us.
        if (this.shown === UNSENT || this.shown === DONE) this.end();
        if (type === "readystatechange" && state === HEADERS_RECEIVED && gate.core) this.#refused();
      }
      return Boolean(this.#unheard?.push([event, state]));
    }

    /** Looks at an answer, and if it is a refusal that another token may change, keeps it from the app. */
    #refused() {
      const xhr = this.#xhr;
      const stamp = this.#stamp;
      const status = read(xhr, "status");
      this.#stamp = undefined;
      if (stamp === undefined || !isRefusal({ status })) return;
      const [method] = this.#args;
      const call = { core: this.#core, rule: this.#rule, request: { method, flags: this.#flags } };
      const headers = { get: (name) => apply(native.getResponseHeader.value, xhr, [name]) };
      const answer = { status, headers, redirected: true, url: read(xhr, "responseURL") };
      gate.refusing(NOT_REPEATABLE);
      const repeats = report(call, stamp, answer, this.#repeated);
      gate.refusing(undefined);
      if (!repeats) return;
      this.#unheard = [];
      this.#mask();
      this.#blank = new XMLHttpRequest();
      write(this.#blank, "responseType", read(xhr, "responseType"));
      for (const name of Object.keys(native)) if (ANSWER.test(name)) this.#define(name, this.#ofBlank(native[name]));
      const reveal = () => this.#reveal();
      this.#wait(stamp, (code) => (code === SEND ? this.#repeat() : reveal()), reveal);
    }

    #ofBlank({ get, set, value }) {
      const blank = this.#blank;
      if (value) return { value: (...args) => apply(value, blank, args) };
      return { get: () => apply(get, blank, []), set: set && ((value) => apply(set, blank, [value])) };
    }

    #repeat() {
      const xhr = this.#xhr;
      this.#unmask(ANSWER);
      this.#unheard = undefined;
      this.#repeated = true;
      silently(() => {
        apply(next.open, xhr, this.#args);
        write(xhr, "responseType", read(this.#blank, "responseType"));
        for (const header of this.#headers) apply(next.setRequestHeader, xhr, header);
        this.#transmit(SEND);
      });
    }

    /** There is no better answer than the refused one. */
    #reveal() {
      const unheard = this.#unheard;
      this.#unheard = undefined;
      this.#unmask(ANSWER);
      clearTimeout(this.#timer);
      for (const [event, state] of unheard) {
        this.shown = state;
        apply(dispatchEvent, event.target, [event]);
        if (this.#stopping.signal.aborted) return;
      }
      this.shown = undefined;
    }

    #wait(after, go, failed) {
      const { signal: stopped } = this.#stopping;
      if (stopped.aborted) return;
      const signal = AbortSignal.any([stopped, closing.signal]);
      const [method] = this.#args;
      const call = { gate, core: this.#core, rule: this.#rule, request: { method, flags: this.#flags, signal } };
      // It may have been aborted between the end of the wait and this.
      permitted(call, after, (code) => stopped.aborted || go(code)).catch((error) => stopped.aborted || failed(error));
    }

    abort() {
      if (this.shown > UNSENT && this.shown < DONE) this.#fail("abort");
      if (this.shown !== DONE) return;
      this.shown = UNSENT;
      silently(() => apply(next.abort, this.#xhr, []));
    }

    /** Ends it without an answer. */
    #fail(type, error) {
      const xhr = this.#xhr;
      this.#stop();
      this.#unmask(ANSWER);
      silently(() => apply(next.abort, xhr, []));
      this.shown = DONE;
      this.#fire(xhr, "readystatechange");
      if (this.#uploading) {
        this.#uploading = false;
        this.#fire(this.#upload, type);
        this.#fire(this.#upload, "loadend");
      }
      this.#fire(xhr, type, {}, error && { error });
      this.#fire(xhr, "loadend");
    }

    #stop() {
      this.#stopping.abort();
      clearTimeout(this.#timer);
      this.#unheard = this.#stamp = undefined;
    }

    /** Another one takes its place. */
    end() {
      this.#stop();
      this.#unmask(/./);
      if (this.#timeout !== undefined) write(this.#xhr, "timeout", this.#timeout);
      this.#timeout = this.shown = undefined;
    }

    #fire(target, type, init, more) {
      if (calls.get(this.#xhr) !== this) return;
      const Kind = type === "readystatechange" ? Event : ProgressEvent;
      apply(dispatchEvent, target, [Object.assign(new Kind(type, init), more)]);
    }

    /** From now on the app waits for us. */
    #mask() {
      const xhr = this.#xhr;
      this.shown = OPENED;
      this.#timeout ??= read(xhr, "timeout");
      this.#define("readyState", { get: () => this.shown ?? read(xhr, "readyState") });
      this.#define("timeout", {
        get: () => this.#timeout,
        set: (value) => {
          write(xhr, "timeout", value);
          this.#timeout = read(xhr, "timeout");
          this.#tune();
        },
      });
      this.#define("withCredentials", {
        get: () => read(xhr, "withCredentials"),
        set: (value) => (this.shown ? refuse("send") : write(xhr, "withCredentials", value)),
      });
      this.#tune();
    }

    #define(name, descriptor) {
      if (Object.hasOwn(this.#xhr, name)) return;
      Object.defineProperty(this.#xhr, name, { configurable: true, enumerable: true, ...descriptor });
      this.#masks.push(name);
    }

    #unmask(names) {
      this.#masks = this.#masks.filter((name) => !(names.test(name) && delete this.#xhr[name]));
    }

    /** The app's timeout counts from when it sent the request, the browser's from when that did. */
    #tune() {
      clearTimeout(this.#timer);
      if (this.#timeout === undefined) return;
      const left = (now) => this.#timeout && Math.max(1, this.#timeout - (now - this.#since));
      if (!this.shown) write(this.#xhr, "timeout", left(this.#sentAt));
      else if (this.#timeout) this.#timer = setTimeout(() => this.#fail("timeout"), Math.min(left(monotonicClock()), MAX_TIMER_MS));
    }
  }

  /** Throws what the browser throws where the state does not allow it. */
  const refuse = (name, args = []) => apply(next[name], new XMLHttpRequest(), args);

  /** The call that an open() begins, if it is one of ours. What it goes by is put into the arguments. */
  function begin(xhr, args) {
    if (!gate.core || args.length < 2) return;
    try {
      read(xhr, "readyState");
    } catch {
      return;
    }
    args[0] = `${args[0]}`;
    const url = (args[1] = `${args[1]}`);
    let href;
    try {
      const isAbsolute = /^https?:\/\//i.test(url);
      ({ href } = isAbsolute ? new URL(url) : new URL(url, window.document.baseURI));
      // Another base must not lead it elsewhere.
      if (!isAbsolute) args[1] = href;
    } catch {
      return;
    }
    const rule = (args[3] ?? args[4] ?? null) === null && /^http/.test(href) ? gate.core.findRule(href) : -1;
    if (rule < 0) args[1] = url;
    else return new Call(xhr, rule, args[0], args[1], args.length < 3 || Boolean(args[2]));
  }

  const methods = {
    open(method, url) {
      const args = arguments;
      const before = calls.get(this);
      const call = begin(this, args);
      if (!before && !call) return apply(next.open, this, args);
      const shown = before?.shown;
      const state = read(this, "readyState");
      if (before) {
        refuse("open", args);
        before.end();
      }
      Call.bind(this, call);
      try {
        const open = () => apply(next.open, this, args);
        if (shown === OPENED && state !== OPENED) silently(open);
        else open();
      } catch (error) {
        Call.bind(this);
        throw error;
      }
      if (state === OPENED && (shown ?? OPENED) !== OPENED) apply(dispatchEvent, this, [new Event("readystatechange")]);
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
      if (!call || !gate.core) return apply(next.send, this, arguments);
      return call.send(arguments);
    },
    abort() {
      const call = calls.get(this);
      return call && call.shown !== undefined ? call.abort() : apply(next.abort, this, arguments);
    },
  };

  const listener = {
    addEventListener(type, listener) {
      if (gate.core && EVENTS.includes(type) && this instanceof XMLHttpRequestEventTarget) lead(this, type);
      return apply(inherits ? EventTarget.prototype.addEventListener : next.addEventListener, this, arguments);
    },
  };

  const places = [
    [prototype, methods],
    [listening, listener],
  ];
  for (const [object, made] of places) {
    for (const name of Object.keys(made)) {
      patch(object, name, gate, (found) => {
        next[name] = found;
        return made[name];
      });
    }
  }

  return () => {
    closing.abort(new TokenWardError("closed"));
    for (const [object, made] of places) for (const name of Object.keys(made)) unpatch(object, name);
    if (listening.addEventListener === EventTarget.prototype.addEventListener) delete listening.addEventListener;
  };
}
