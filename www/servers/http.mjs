// What the demo's servers share: listening on loopback, bodies, CORS, and a journal of what arrived.
import { once } from "node:events";
import { createServer } from "node:http";

const HOST = "127.0.0.1";

/**
 * Listens on loopback and then asks `handlerFor(origin)` for the handler: a server may need its own address first.
 * @returns {Promise<{ origin: string, port: number, close(): Promise<void> }>}
 */
export async function listen(port, handlerFor) {
  const server = createServer();
  server.listen(port, HOST);
  await once(server, "listening");
  const origin = `http://${HOST}:${server.address().port}`;
  server.on("request", await handlerFor(origin));
  return {
    origin,
    port: server.address().port,
    async close() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** What a server saw, in order of arrival. Records are filled in as they are answered. */
export class Journal extends Array {
  #waiters = new Set();

  static get [Symbol.species]() {
    return Array;
  }

  add(record) {
    this.push(record);
    this.changed();
    return record;
  }

  changed() {
    for (const check of this.#waiters) check();
  }

  /** Resolves once `predicate(journal)` holds, so that tests wait for a condition and not for time. */
  until(predicate, { timeoutMs = 30_000 } = {}) {
    return new Promise((resolve, reject) => {
      const settle = (act) => {
        clearTimeout(timer);
        this.#waiters.delete(check);
        act();
      };
      const check = () => {
        if (predicate(this)) settle(() => resolve(this));
      };
      const timer = setTimeout(
        () => settle(() => reject(new Error(`The journal did not meet the condition within ${timeoutMs} ms: ${predicate}`))),
        timeoutMs,
      );
      this.#waiters.add(check);
      check();
    });
  }
}

export async function readBody(request, limit = 8 * 2 ** 20) {
  const chunks = [];
  let length = 0;
  for await (const chunk of request) {
    length += chunk.length;
    if (length > limit) throw new RangeError(`A request body has at most ${limit} bytes.`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** CORS headers for `request`; none for an origin that is not allowed. `allowed` is a list, or `"*"` for any origin. */
export function corsHeaders(request, allowed, exposed = []) {
  const { origin } = request.headers;
  if (origin === undefined || (allowed !== "*" && !allowed.includes(origin))) return { vary: "Origin" };
  const headers = { vary: "Origin", "access-control-allow-origin": origin };
  if (request.method === "OPTIONS") {
    headers["access-control-allow-methods"] = "GET, HEAD, POST, PUT, PATCH, DELETE";
    // `*` would not cover Authorization.
    headers["access-control-allow-headers"] = request.headers["access-control-request-headers"] ?? "";
    headers["access-control-max-age"] = "600";
  } else if (exposed.length > 0) {
    headers["access-control-expose-headers"] = exposed.join(", ");
  }
  return headers;
}

export function isPreflight(request) {
  return request.method === "OPTIONS" && request.headers["access-control-request-method"] !== undefined;
}

export function sendJson(response, status, body, headers = {}) {
  response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store", ...headers });
  response.end(JSON.stringify(body));
}
