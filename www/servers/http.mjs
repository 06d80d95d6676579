// What the demo's servers share: listening on loopback, bodies, CORS, and a journal of what arrived.
import { once } from "node:events";
import { createServer } from "node:http";

const LOOPBACK = "127.0.0.1";
// "localhost" may lead to either.
const LOOPBACKS = [LOOPBACK, "::1"];
const NO_SUCH_ADDRESS = ["EADDRNOTAVAIL", "EAFNOSUPPORT"];
const PORTS_TRIED = 20;

/**
 * Listens on loopback and then asks `handlerFor(origin)` for the handler: a server may need its own address first.
 * @param {object} [options]
 * @param {"127.0.0.1" | "localhost"} [options.host] the host name of `origin`
 * @returns {Promise<{ origin: string, port: number, close(): Promise<void> }>}
 */
export async function listen(port, handlerFor, { host = LOOPBACK } = {}) {
  const servers = await listenAll(port, host === LOOPBACK ? [LOOPBACK] : LOOPBACKS);
  const { port: taken } = servers[0].address();
  const origin = `http://${host}:${taken}`;
  const handler = await handlerFor(origin);
  for (const server of servers) server.on("request", handler);
  return {
    origin,
    port: taken,
    close: async () => void (await Promise.all(servers.map(closeServer))),
  };
}

/** The same port on every address that this machine has. Any free port may be taken on another address. */
async function listenAll(port, [first, ...others]) {
  for (let tries = 1; ; tries += 1) {
    const servers = [await listenOn(port, first)];
    try {
      for (const host of others) servers.push(await listenOn(servers[0].address().port, host));
      return servers;
    } catch (error) {
      if (NO_SUCH_ADDRESS.includes(error.code)) return servers;
      await Promise.all(servers.map(closeServer));
      if (port !== 0 || error.code !== "EADDRINUSE" || tries === PORTS_TRIED) throw error;
    }
  }
}

async function listenOn(port, host) {
  const server = createServer();
  server.listen(port, host);
  await once(server, "listening");
  return server;
}

async function closeServer(server) {
  const closed = once(server, "close");
  server.close();
  server.closeAllConnections();
  await closed;
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
