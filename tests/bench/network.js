// The network that costs nothing, and what it was given.

/** As long as a small JWT. */
export const TOKEN = "t".repeat(800);
export const BEARER = `Bearer ${TOKEN}`;

export const JSON_TYPE = "application/json";
export const BODY = JSON.stringify({ customer: 4711, items: [{ article: "tea", pieces: 2 }], note: "n".repeat(100) });

/** Just enough to tell; every request only when `kept` is a list, since keeping them costs. */
export const network = { calls: 0, last: undefined, kept: undefined };

function record(input, init) {
  network.calls += 1;
  network.last = { input, init };
  network.kept?.push(network.last);
}

const answer = Promise.resolve(new Response("ok"));

/** In the place of `fetch`. */
export function stub(input, init) {
  record(input, init);
  return answer;
}

const REQUEST = Symbol();

/** What is left of XMLHttpRequest is all that happens in the page before the request leaves it: no event comes. */
export function stubXhr() {
  const { prototype } = XMLHttpRequest;
  const { open, setRequestHeader } = prototype;
  prototype.open = function (method, url) {
    this[REQUEST] = { url, method, headers: {} };
    return Reflect.apply(open, this, arguments);
  };
  prototype.setRequestHeader = function (name, value) {
    this[REQUEST].headers[name] = value;
    return Reflect.apply(setRequestHeader, this, arguments);
  };
  prototype.send = function () {
    const { url, ...init } = this[REQUEST];
    record(url, init);
  };
}

/** What is wrong with this request, if it is not the one that the case is about. */
export async function fault({ input, init }, { url, bearer, body }) {
  const request = new Request(input instanceof Request ? input.clone() : input, init);
  const { headers } = request;
  const wrong = (name, found, wanted) => found !== wanted && `the ${name} of ${request.url} is ${String(found).slice(0, 40)}`;
  return (
    wrong("authorization", headers.get("authorization"), bearer) ||
    wrong("URL", request.url.startsWith(url), true) ||
    wrong("method", request.method, body === undefined ? "GET" : "POST") ||
    (body !== undefined && wrong("content-type", headers.get("content-type"), JSON_TYPE)) ||
    (body !== undefined && wrong("body", await request.text(), body))
  );
}
