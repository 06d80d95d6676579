// Files, with the right types and headers, and a few JSON routes beside them.
import { readFile } from "node:fs/promises";
import { extname, join, resolve, sep } from "node:path";
import { listen, readBody, sendJson } from "./http.mjs";

// Also the rule for what is served: a file whose type is not listed here does not exist.
const TYPES = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".map": "application/json",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
};

/**
 * The strict policy the SPA lives under; `connect` lists the origins it may call, `frame` those it may frame and
 * `ancestors` those that may frame it, `media` those of its images and sounds, `code` those of its scripts and style
 * sheets. It frames itself: a silent sign-in ends in a hidden frame of the app.
 */
export const contentSecurityPolicy = (connect, { frame = [], ancestors = [], media = [], code = [] } = {}) =>
  [
    "default-src 'none'",
    ["script-src 'self' 'wasm-unsafe-eval'", ...code].join(" "),
    ["style-src 'self'", ...code].join(" "),
    ["img-src 'self' data:", ...media].join(" "),
    ["media-src 'self' blob:", ...media].join(" "),
    "worker-src 'self'",
    ["connect-src 'self'", ...connect].join(" "),
    ["frame-src 'self'", ...frame].join(" "),
    "base-uri 'none'",
    "form-action 'none'",
    ["frame-ancestors 'self'", ...ancestors].join(" "),
    "require-trusted-types-for 'script'",
  ].join("; ");

/**
 * @param {object} options
 * @param {number} [options.port] 0: any free port
 * @param {Record<string, string>} options.mounts URL prefix, ending in a slash, to folder; the longest prefix wins
 * @param {(pathname: string) => Record<string, string>} [options.headers] for every file, asked at each request
 * @param {Record<string, (body: any) => unknown>} [options.routes] `"GET /path"` to what is answered as JSON. A POST is
 *   taken only from this origin and with the header `x-tokenward-demo`, which no other page can send.
 * @param {Handler[]} [options.handlers] asked first, one after the other, until one has answered
 *
 * @typedef {(request: import("node:http").IncomingMessage, response: import("node:http").ServerResponse,
 *   own: { origin: string }) => unknown} Handler resolves with `true` if it takes care of the request
 */
export async function startStaticServer({ port = 0, mounts, headers = () => ({}), routes = {}, handlers = [] }) {
  const prefixes = Object.keys(mounts).sort((a, b) => b.length - a.length);

  function fileFor(pathname) {
    const prefix = prefixes.find((candidate) => pathname.startsWith(candidate));
    if (prefix === undefined) return undefined;
    const folder = resolve(mounts[prefix]);
    const rest = pathname.slice(prefix.length);
    const file = join(folder, rest === "" ? "index.html" : rest);
    return file.startsWith(folder + sep) && extname(file) in TYPES ? file : undefined;
  }

  async function handle(origin, request, response) {
    for (const handler of handlers) if (await handler(request, response, { origin })) return;
    const { pathname } = new URL(request.url, origin);
    const route = routes[`${request.method} ${pathname}`];
    if (route) {
      if (request.method === "POST" && !isOwn(request, origin)) {
        sendJson(response, 403, { error: "This is only for pages of this origin." });
        return;
      }
      const body = await readBody(request);
      sendJson(response, 200, await route(body.length > 0 ? JSON.parse(body) : {}));
      return;
    }
    const file = fileFor(pathname);
    const content = file && (await readFile(file).catch(() => undefined));
    if (!content || !["GET", "HEAD"].includes(request.method)) {
      sendJson(response, 404, { error: "There is nothing here." });
      return;
    }
    response.writeHead(200, {
      "content-type": TYPES[extname(file)],
      "content-length": content.length,
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
      ...headers(pathname),
    });
    response.end(request.method === "HEAD" ? undefined : content);
  }

  return listen(port, (origin) => (request, response) => {
    handle(origin, request, response).catch((error) => {
      console.error(error);
      response.destroy();
    });
  });
}

function isOwn(request, origin) {
  return request.headers.origin === origin && request.headers["x-tokenward-demo"] !== undefined;
}
