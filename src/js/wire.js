// What goes between a page and the worker that holds its tokens: no token, code or verifier but those that the page was given.
import { Array, MessageChannel, Object, Promise, ReadableStream, Response, TypeError } from "./natives.js";

/** An error for the other side. What the browser threw is cloned. */
export function packError(error) {
  const { name, code, message, status, error: told, claim } = error ?? {};
  if (name === "TokenWardError") return { code, message, status, error: told, claim };
  return typeof code === "string" ? { code, message, isInvalid: true } : { thrown: error };
}

/** @param Kind the class of the library's own errors on this side */
export function unpackError({ code, message, isInvalid, thrown, ...more }, Kind) {
  if (code === undefined) return thrown;
  return isInvalid ? Object.assign(new TypeError(message), { code }) : Object.assign(new Kind(code), { message, ...more });
}

/** Whether this engine lets streams go to another thread. */
const transfersStreams = (() => {
  try {
    const { port1 } = new MessageChannel();
    const stream = new ReadableStream();
    port1.postMessage(stream, [stream]);
    port1.close();
    return true;
  } catch {
    return false;
  }
})();

/** A stream for the other side, and what to transfer. Where streams cannot go, a port gives a chunk each time it is asked. */
export function packStream(stream) {
  if (!stream) return [undefined, []];
  if (transfersStreams) return [stream, [stream]];
  const { port1, port2 } = new MessageChannel();
  const reader = stream.getReader();
  port1.onmessage = async ({ data: cancels }) => {
    if (cancels) return reader.cancel().catch(() => {});
    try {
      const { done, value } = await reader.read();
      port1.postMessage({ done, value });
      if (done) port1.close();
    } catch (thrown) {
      port1.postMessage({ thrown });
    }
  };
  return [port2, [port2]];
}

/** @param signal ends it */
export function unpackStream(packed, signal) {
  if (!packed || packed instanceof ReadableStream) return packed;
  return new ReadableStream(
    {
      start: (controller) =>
        signal?.addEventListener("abort", () => {
          controller.error(signal.reason);
          packed.postMessage(true);
        }),
      pull: (controller) =>
        new Promise((resolve) => {
          packed.onmessage = ({ data: { done, value, thrown } }) => {
            if (thrown) controller.error(thrown);
            else if (done) controller.close();
            else controller.enqueue(value);
            resolve();
          };
          packed.postMessage(false);
        }),
      cancel: () => packed.postMessage(true),
    },
    { highWaterMark: 0 },
  );
}

const NO_BODY = [204, 205, 304];

export function packResponse({ status, statusText, headers, url, redirected, type, body }) {
  const [stream, transfer] = packStream(body);
  return [{ status, statusText, headers: Array.from(headers), url, redirected, type, body: stream }, transfer];
}

/** The response, as natively: what a Response that a script makes does not know, is told by properties of its own. */
export function unpackResponse({ status, statusText, headers, url, redirected, type, body }, signal) {
  const made =
    status === 0
      ? Response.error()
      : new Response(NO_BODY.includes(status) ? null : unpackStream(body, signal), { status, statusText, headers });
  return told(made, { url, redirected, type });
}

function told(response, what) {
  const clone = () => told(Response.prototype.clone.call(response), what);
  const values = Object.entries({ ...what, clone }).map(([name, value]) => [name, { value, configurable: true }]);
  return Object.defineProperties(response, Object.fromEntries(values));
}

