import { JSON, TextDecoder, Uint8Array, atob, nativeFetch } from "./natives.js";

const parse = (text) => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

/** The claims of a compact JWS (RFC 7515 section 7.1); undefined for anything else. Of use only for their numbers. */
export const claims = (token) => {
  const [, payload, signature, none] = token.split(".");
  if (signature === undefined || none !== undefined) return undefined;
  try {
    return parse(atob(payload.replaceAll("-", "+").replaceAll("_", "/")));
  } catch {
    return undefined;
  }
};

/** POSTs a form and reads at most `maxBytes` of the answer; null if it is longer. */
export async function post(url, body, keepalive, maxBytes, signal) {
  const answer = nativeFetch(url, {
    method: "POST",
    body,
    keepalive,
    signal,
    credentials: "omit",
    cache: "no-store",
    redirect: "error",
    headers: { accept: "application/json", "content-type": "application/x-www-form-urlencoded" },
  });
  // fetch() has taken its copy.
  body.fill(0);
  const { status, headers, body: stream } = await answer;
  const bytes = await read(stream, maxBytes);
  if (!bytes) return null;
  const text = new TextDecoder().decode(bytes);
  bytes.fill(0);
  return { status, retryAfter: headers.get("retry-after"), body: parse(text) };
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
