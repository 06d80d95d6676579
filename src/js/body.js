import { ArrayBuffer, URLSearchParams, Uint8Array, apply } from "./natives.js";

const { isView } = ArrayBuffer;
const { toString } = URLSearchParams.prototype;

/**
 * A body that can be sent twice and that the app cannot change meanwhile; undefined for one that has to be made a Request of.
 * Each sending serialises a FormData anew, what a stream gives is gone, a buffer may be one that `fetch` does not take, and
 * other objects are read as strings.
 */
export function lasting(body, realm) {
  if (body === null || typeof body === "string" || body instanceof realm.Blob) return body;
  if (body instanceof realm.URLSearchParams) return new realm.URLSearchParams(apply(toString, body, []));
  const { buffer = body, byteOffset, byteLength } = isView(body) ? body : {};
  if (buffer instanceof realm.ArrayBuffer && buffer.byteLength && !buffer.resizable) {
    return new Uint8Array(buffer, byteOffset, byteLength).slice();
  }
}

/**
 * The same request, if its body can be cloned without reading a stream of the app's; else null, and nothing was done to
 * it. A Request does not tell what its body was made from, but one made from a stream cannot become `no-cors` (Fetch
 * standard, Request constructor).
 */
export function buffered(request, { Request }) {
  let moved;
  try {
    moved = new Request(request, { mode: "no-cors", method: "POST" });
  } catch {
    return null;
  }
  const { method, mode, headers, referrer, referrerPolicy } = request;
  return new Request(moved, { method, mode, headers, referrer, referrerPolicy });
}
