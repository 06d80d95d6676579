import { JSON, TextDecoder, Uint8Array, nativeFetch } from "./natives.js";

/** Members of a request to the authorization server. It gets no cookie. */
const STRANGER = { credentials: "omit", redirect: "error" };
/** Of one to a backend of the page's own origin. A form of another site could not send the header. */
const BACKEND = { credentials: "include", redirect: "error", headers: { "x-csrf": "1" } };

/** POSTs a form, which is overwritten, and reads at most `maxBytes` of the answer; null if it is longer. */
export async function post(url, body, { backend, keepalive, signal, dpop }, maxBytes) {
  const { headers, ...who } = backend ? BACKEND : STRANGER;
  const answer = nativeFetch(url, {
    method: "POST",
    body,
    keepalive,
    signal,
    ...who,
    cache: "no-store",
    headers: { accept: "application/json", "content-type": "application/x-www-form-urlencoded", ...headers, ...(dpop && { dpop }) },
  });
  // fetch() has taken its copy.
  body.fill(0);
  return reply(await answer, maxBytes);
}

/** What is at a URL that anybody may read. */
export const get = async (url, maxBytes, signal) =>
  reply(await nativeFetch(url, { credentials: "omit", cache: "no-cache", headers: { accept: "application/json" }, signal }), maxBytes);

async function reply({ status, headers, body }, maxBytes) {
  const bytes = await read(body, maxBytes);
  if (!bytes) return null;
  let json;
  try {
    json = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    // What is not JSON says nothing.
  }
  bytes.fill(0);
  return { status, retryAfter: headers.get("retry-after"), date: headers.get("date"), nonce: headers.get("dpop-nonce"), body: json };
}

async function read(stream, maxBytes) {
  const reader = stream?.getReader();
  const parts = [];
  let length = 0;
  for (let part; reader && !(part = await reader.read()).done; ) {
    parts.push(part.value);
    length += part.value.length;
    if (length > maxBytes) {
      reader.cancel().catch(() => {});
      return null;
    }
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
    part.fill(0);
  }
  return bytes;
}
