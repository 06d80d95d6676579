// What an app can see of the order of things: microtasks, aborts, events, and tricks with what is read twice.
import { later, reasoned, sooner } from "./harness/differences.mjs";
import { OURS, transparent } from "./harness/transparency.mjs";

transparent("in order:", {
  "then, before any microtask of the app": (fetch, url, t) => {
    const answer = fetch(url, { mode: "nonsense" });
    answer.then(null, () => t.log("caught"));
    queueMicrotask(() => t.log("a microtask"));
    return answer;
  },
  "an error of the app's before a microtask": (fetch, url, t) => {
    queueMicrotask(() => t.log("before"));
    const answer = fetch(url, {
      get method() {
        throw t.mine;
      },
    });
    queueMicrotask(() => t.log("after"));
    return answer;
  },
  "a refusal before the next statement": (fetch, url, t) => {
    const answer = fetch(url, { headers: { "a b": "c" } });
    Promise.race([answer, null]).then(() => t.log("null"), () => t.log("rejected first"));
    return answer;
  },
  "the body is used at once": (fetch, url, t) => {
    const request = new Request(url, { method: "POST", body: "leaves" });
    t.log(`before ${request.bodyUsed}`);
    const answer = fetch(request);
    t.log(`after ${request.bodyUsed}`);
    return answer;
  },
  "two calls": (fetch, url, t) => Promise.all(["first", "second"].map((name) => fetch(url).finally(() => t.log("one more")))),
  "a call in a getter of another": (fetch, url) => {
    let inner;
    const init = {
      get method() {
        inner = fetch(url);
        return "PUT";
      },
    };
    return Promise.all([fetch(url, init), inner]);
  },
  "a rejection that nobody handles": async (fetch, url, t) => {
    t.later("forgiven", () => window.problems?.splice(0).length);
    const seen = new Promise((resolve) => {
      const report = (event) => {
        event.preventDefault();
        resolve([event.promise === call, event.reason.name]);
      };
      window.addEventListener("unhandledrejection", report, { once: true });
    });
    const call = fetch(url, { mode: "nonsense" });
    return seen;
  },
  "a promise with the methods that promises have": (fetch, url) => {
    const call = fetch(url);
    return call.then(() => [Reflect.ownKeys(call).length, Object.getPrototypeOf(call) === Promise.prototype, call.constructor === Promise]);
  },
}, [...OURS, "not listed"]);

transparent("aborted before:", {
  "without a reason": (fetch, url) => fetch(url, { signal: AbortSignal.abort() }),
  "with a reason": (fetch, url, t) => fetch(url, { signal: AbortSignal.abort(t.mine) }),
  "with undefined": (fetch, url) => fetch(url, { signal: AbortSignal.abort(undefined) }),
  "with a string": (fetch, url) => fetch(url, { signal: AbortSignal.abort("enough") }),
  "in any()": (fetch, url, t) => fetch(url, { signal: AbortSignal.any([AbortSignal.abort(t.mine)]) }),
  "in a Request": (fetch, url, t) => fetch(new Request(url, { signal: AbortSignal.abort(t.mine) })),
  "over a Request": (fetch, url, t) => fetch(new Request(url), { signal: AbortSignal.abort(t.mine) }),
  "over a Request that is not": (fetch, url, t) => fetch(new Request(url, { signal: AbortSignal.abort(t.mine) }), { signal: null }),
  "with a body": (fetch, url, t) => fetch(url, { method: "POST", body: "leaves", signal: AbortSignal.abort(t.mine) }),
  "with a stream": (fetch, url, t) => {
    const body = t.stream("leaves");
    t.later("locked", () => body.locked);
    return fetch(url, { method: "POST", body, duplex: "half", signal: AbortSignal.abort(t.mine) });
  },
  "and wrong otherwise": (fetch, url, t) => fetch(url, { signal: AbortSignal.abort(t.mine), mode: "navigate" }),
  "by a getter": (fetch, url, t) => {
    const controller = new AbortController();
    const init = {
      get method() {
        controller.abort(t.mine);
        return "PUT";
      },
      signal: controller.signal,
    };
    return fetch(url, init);
  },
  "by a toString": (fetch, url, t) => {
    const controller = new AbortController();
    return fetch({ toString: () => (controller.abort(t.mine), url) }, { signal: controller.signal });
  },
});

const moments = {
  "right after the call": (fetch, url, t) => {
    const controller = new AbortController();
    const answer = fetch(url, { signal: controller.signal });
    controller.abort();
    return answer;
  },
  "right after the call, with a reason": (fetch, url, t) => {
    const controller = new AbortController();
    const answer = fetch(url, { signal: controller.signal });
    controller.abort(t.mine);
    return answer;
  },
  "right after the call, a Request": (fetch, url, t) => {
    const controller = new AbortController();
    const answer = fetch(new Request(url, { signal: controller.signal }));
    controller.abort(t.mine);
    return answer;
  },
  "right after the call, by any()": (fetch, url, t) => {
    const controller = new AbortController();
    const answer = fetch(url, { signal: AbortSignal.any([controller.signal]) });
    controller.abort(t.mine);
    return answer;
  },
  "a microtask later": (fetch, url, t) => {
    const controller = new AbortController();
    const answer = fetch(url, { signal: controller.signal });
    queueMicrotask(() => controller.abort(t.mine));
    return answer;
  },
};

const aborted = ([name, run]) => [name, { run, differs: [/t\.mine/.test(run) ? reasoned : sooner, later], unseen: true }];
transparent("aborted", Object.fromEntries(Object.entries(moments).map(aborted)), OURS);
transparent("aborted, not ours:", Object.fromEntries(Object.entries(moments).map(([name, run]) => [name, { run, unseen: true }])), ["not listed", "own", "other"]);

transparent("aborted in the middle of the answer:", {
  "while its body is read": {
    run: async (fetch, url, t) => {
      const controller = new AbortController();
      const answer = await fetch(url, { signal: controller.signal });
      const text = answer.text();
      controller.abort(t.mine);
      return [answer.status, await text.catch((error) => (error === t.mine ? "the very error" : error)), answer.bodyUsed];
    },
    answer: { chunks: true },
  },
  "while it is read in parts": {
    run: async (fetch, url, t) => {
      const controller = new AbortController();
      const answer = await fetch(url, { signal: controller.signal });
      const reader = answer.body.getReader();
      const first = await reader.read();
      controller.abort(t.mine);
      return [first.value.length, await reader.read().catch((error) => (error === t.mine ? "the very error" : error))];
    },
    answer: { chunks: true },
  },
  "before its body is read": {
    run: async (fetch, url, t) => {
      const controller = new AbortController();
      const answer = await fetch(url, { signal: controller.signal });
      controller.abort(t.mine);
      return [answer.bodyUsed, await answer.text().catch((error) => (error === t.mine ? "the very error" : error))];
    },
    answer: { chunks: true },
  },
  "in a Request": {
    run: async (fetch, url, t) => {
      const controller = new AbortController();
      const answer = await fetch(new Request(url, { method: "POST", body: "leaves", signal: controller.signal }));
      const text = answer.text();
      controller.abort(t.mine);
      return text.catch((error) => (error === t.mine ? "the very error" : error));
    },
    answer: { chunks: true },
  },
  "after its end": async (fetch, url, t) => {
    const controller = new AbortController();
    const answer = await fetch(url, { signal: controller.signal });
    const text = await answer.text();
    controller.abort(t.mine);
    return [text, answer.bodyUsed];
  },
  "by a timeout": {
    run: async (fetch, url) => {
      const answer = await fetch(url, { signal: AbortSignal.timeout(1_000) });
      return answer.text().catch((error) => error);
    },
    answer: { chunks: true },
    targets: ["own, listed", "waiting", "not listed"],
  },
});

transparent("a trick with time does not move a token:", {
  "an object that is another URL the second time": (fetch, url, t) => fetch(t.turning(url, t.sibling("other"))),
  "an object that is listed the second time": { run: (fetch, url, t) => fetch(t.turning(t.sibling("other"), url)), token: false },
  "a URL whose toString turns": (fetch, url, t) => fetch(Object.assign(new URL(t.sibling("other")), t.turning(url, t.sibling("other")))),
  "a URL whose href lies": (fetch, url, t) => fetch(Object.defineProperty(new URL(url), "href", { get: () => t.sibling("other") })),
  "a Request whose url lies": {
    run: (fetch, url, t) => fetch(Object.defineProperty(new Request(t.sibling("other")), "url", { get: () => url })),
    token: false,
  },
  "an init that changes the URL": (fetch, url, t) => {
    const input = new URL(url);
    return fetch(input, {
      get method() {
        input.href = t.sibling("other");
        return "PUT";
      },
    });
  },
  "a getter that turns": (fetch, url, t) => {
    const methods = ["PUT", "DELETE"];
    return fetch(url, {
      get method() {
        return methods.shift();
      },
    });
  },
  "headers that turn": (fetch, url, t) => {
    const values = [undefined, { authorization: "Basic dGVh" }];
    return fetch(url, {
      get headers() {
        return values.shift();
      },
    });
  },
  "a mode that turns": { run: (fetch, url, t) => fetch(url, { mode: t.turning("cors", "no-cors") }) },
  "a history that moves": (fetch, url, t) => {
    const { href } = location;
    const answer = fetch(t.relative(url));
    history.replaceState(null, "", "/somewhere/else");
    t.later("back", () => history.replaceState(null, "", href));
    return answer;
  },
}, ["own, listed", "refused", "waiting", "not listed"]);
