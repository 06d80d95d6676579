import { ArrayBuffer, Blob, FormData, Request, URLSearchParams, Uint8Array } from "./natives.js";

/** The body can be sent twice as it is. */
export const REPLAYABLE = 0;
/** It can be sent once. */
export const ONE_SHOT = 1;
/** It is serialised anew each time, so that only clones of one Request are alike. */
export const NEEDS_REQUEST = 2;

/** How to send `init.body` twice. A body that the app could change meanwhile is replaced by a copy. */
export function prepareBody(init) {
  const { body } = init;
  if (body === undefined || body === null || body instanceof Blob) return REPLAYABLE;
  if (typeof body !== "object") {
    init.body = `${body}`;
  } else if (body instanceof URLSearchParams) {
    init.body = new URLSearchParams(body);
  } else if (body instanceof ArrayBuffer) {
    init.body = body.slice(0);
  } else if (ArrayBuffer.isView(body) && body.buffer instanceof ArrayBuffer) {
    init.body = new Uint8Array(body.buffer, body.byteOffset, body.byteLength).slice();
  } else {
    return body instanceof FormData ? NEEDS_REQUEST : ONE_SHOT;
  }
  return REPLAYABLE;
}

/**
 * The same request, if its body can be cloned without reading a stream of the app's; else null, and nothing was done to
 * it. A Request does not tell what its body was made from, but one made from a stream cannot become `no-cors` (Fetch
 * standard, Request constructor). Only engines that know `duplex` take streams at all.
 */
export function buffered(request, knowsDuplex) {
  if (!knowsDuplex) return request;
  let moved;
  try {
    moved = new Request(request, { mode: "no-cors", method: "POST" });
  } catch {
    return null;
  }
  const { method, mode, headers, referrer, referrerPolicy } = request;
  return new Request(moved, { method, mode, headers, referrer, referrerPolicy });
}
