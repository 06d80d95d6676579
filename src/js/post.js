import {
  JSON,
  Object,
  WeakMap,
  fill,
  headersGet,
  nativeFetch,
  pinned,
  responseHeaders,
  responseStatus,
  responseText,
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

/** POSTs a form, which is overwritten, and resolves with the answer, sealed; null if it is longer than that. */
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

/** The same for what is at a URL that anybody may read. */
export const get = async (url, maxBytes, signal) =>
  reply(
    await pinned(nativeFetch(url, { __proto__: null, credentials: "omit", cache: "no-cache", headers: { accept: "application/json" }, signal })),
    maxBytes,
  );

async function reply(response, maxBytes) {
  const headers = responseHeaders(response);
  // Here it need not be read to its end.
  if (headersGet(headers, "content-length") > maxBytes) return null;
  // Not from its stream: what each engine's hands out, or pipes, some script can get hold of on the way.
  const text = await pinned(responseText(response));
  if (text.length > maxBytes) return null;
  let json;
  try {
    json = JSON.parse(text);
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
