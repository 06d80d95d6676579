// A server for XMLHttpRequest that answers alike with and without a token, except for one that it calls stale.
import { once } from "node:events";
import { createServer } from "node:http";

const CHALLENGE = 'Bearer error="invalid_token"';
const XML = '<?xml version="1.0"?><tea leaves="7"><cup/></tea>';
const KINDS = {
  json: ["application/json", '{"tea":"Grüße ☕"}'],
  text: ["text/plain;charset=utf-8", "tea, Grüße ☕"],
  xml: ["application/xml", XML],
  html: ["text/html", "<p>tea</p>"],
  bytes: ["application/octet-stream", Buffer.from(Array.from({ length: 3000 }, (_, i) => (i * 7) % 256))],
  empty: ["text/plain", ""],
};

/**
 * `requests`: `method`, `url`, `headers` and `body` of each that was no preflight; `preflights`: how many there were.
 * `refusal`: how a stale token is answered. `release()`: what hangs goes on.
 */
export async function startXhrServer() {
  const requests = [];
  let hanging = [];
  const server = createServer((request, response) => void handle(request, response).catch(() => response.destroy()));

  async function handle(request, response) {
    const { method, url, headers } = request;
    const { pathname, searchParams } = new URL(url, "http://server");
    if (pathname !== "/v1/no-cors" && headers.origin) {
      response.setHeader("access-control-allow-origin", headers.origin);
      response.setHeader("access-control-allow-credentials", "true");
      response.setHeader("access-control-expose-headers", "www-authenticate, x-tea");
    }
    if (method === "OPTIONS") {
      started.preflights += 1;
      response.setHeader("access-control-allow-headers", headers["access-control-request-headers"] ?? "");
      response.setHeader("access-control-allow-methods", headers["access-control-request-method"] ?? "");
      response.writeHead(204).end();
      return;
    }
    if (searchParams.has("unread")) return void hanging.push(response);
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    requests.push({ method, url, headers, body: Buffer.concat(chunks) });
    response.setHeader("x-tea", "green");
    response.sendDate = false;
    if (/stale/.test(headers.authorization)) {
      const { status, challenge, body } = started.refusal;
      response.writeHead(status, { "www-authenticate": challenge, "content-type": "text/plain", "content-length": body.length });
      response.end(body);
      return;
    }
    const [type, body] = KINDS[searchParams.get("kind") ?? "text"];
    const status = Number(searchParams.get("status") ?? 200);
    switch (pathname) {
      case "/v1/hang":
        return void hanging.push(response);
      case "/v1/half":
        response.writeHead(200, { "content-type": "text/plain", "content-length": 2048 }).write("a".repeat(1024));
        return void hanging.push(response);
      case "/v1/cut":
        response.writeHead(200, { "content-type": "text/plain", "content-length": 2048 }).write("a".repeat(1024));
        return void setTimeout(() => response.destroy(), 50);
      case "/v1/redirect":
        return void response.writeHead(302, { location: searchParams.get("to") }).end();
      default:
        response.writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(body) }).end(body);
    }
  }

  const started = {
    requests,
    preflights: 0,
    refusal: { status: 401, challenge: CHALLENGE, body: "refused" },
    async close() {
      for (const response of hanging) response.destroy();
      hanging = [];
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  started.origin = `http://127.0.0.1:${server.address().port}`;
  return started;
}
