import {
  JSON,
  Object,
  TextDecoder,
  WeakMap,
  WritableStream,
  fill,
  headersGet,
  nativeFetch,
  pinned,
  pipeTo,
  responseBody,
  responseHeaders,
  responseStatus,
} from "./natives.js";

/** Members of a request to the authorization server. It gets no cookie. */
const STRANGER = { credentials: "omit", redirect: "error" };
/** Of one to a backend of the page's own origin. A form of another site could not send the header. */
const BACKEND = { credentials: "include", redirect: "error", headers: { "x-csrf": "1" } };

/** A promise shows what it resolves with to whoever replaced a method of all promises. It resolves with these instead. */
const secrets = new WeakMap();

export const seal = (secret) => {
  const sealed = {};
  secrets.set(sealed, secret);
  return sealed;
};

export const unseal = (sealed) => secrets.get(sealed);

/** POSTs a form, which is overwritten, and reads at most `maxBytes` of the answer, sealed; null if it is longer. */
export async function post(url, body, { backend, keepalive, signal, dpop }, maxBytes) {
  const { headers, ...who } = backend ? BACKEND : STRANGER;
  const answer = pinned(
    nativeFetch(url, {
      // `fetch` asks for more than there is here.
      __proto__: null,
      method: "POST",
      body,
      keepalive,
      signal,
      ...who,
      cache: "no-store",
      headers: {
        __proto__: null,
        accept: "application/json",
        "content-type": "application/x-www-form-urlencoded",
        ...headers,
        ...(dpop && { dpop }),
      },
    }),
  );
  // fetch() has taken its copy.
  fill(body, 0);
  return reply(await answer, maxBytes);
}

/** What is at a URL that anybody may read, sealed. */
export const get = async (url, maxBytes, signal) =>
  reply(
    await pinned(nativeFetch(url, { __proto__: null, credentials: "omit", cache: "no-cache", headers: { accept: "application/json" }, signal })),
    maxBytes,
  );

async function reply(response, maxBytes) {
  const body = responseBody(response);
  const headers = responseHeaders(response);
  const decoder = new TextDecoder();
  let text = "";
  const sink = {
    __proto__: null,
    write(part) {
      text += decoder.decode(part, { stream: true });
      fill(part, 0);
      if (text.length > maxBytes) throw text.length;
    },
  };
  try {
    // A reader's results would inherit from all objects what a promise asks them for.
    if (body) await pinned(pipeTo(body, new WritableStream(sink)));
  } catch (error) {
    if (text.length > maxBytes) return null;
    throw error;
  }
  let json;
  try {
    json = JSON.parse(text + decoder.decode());
    Object.setPrototypeOf(json, null);
  } catch {
    // What is not JSON says nothing.
  }
  return seal({
    status: responseStatus(response),
    retryAfter: headersGet(headers, "retry-after"),
    date: headersGet(headers, "date"),
    nonce: headersGet(headers, "dpop-nonce"),
    body: json,
  });
}
