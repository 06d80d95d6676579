// An origin that must never get a token. It lets every page send it anything, so that a leak would be seen here and
// not be hidden by CORS.
import { corsHeaders, isPreflight, Journal, listen, readBody, sendJson } from "./http.mjs";

/**
 * @typedef {object} OtherRecord
 * @property {number} at arrival, `Date.now()`
 * @property {string} method
 * @property {string} path with its query
 * @property {Record<string, string>} headers
 * @property {boolean} tokenReceived whether there was an Authorization header
 * @property {Buffer} body
 */

/** `/redirect?to=URL&status=307` redirects; every other path answers 200. */
export async function startOtherServer({ port = 0 } = {}) {
  const requests = new Journal();

  async function handle(request, response) {
    const cors = corsHeaders(request, "*");
    if (isPreflight(request)) {
      response.writeHead(204, cors).end();
      return;
    }
    const { pathname, searchParams } = new URL(request.url, "http://other.invalid");
    const tokenReceived = request.headers.authorization !== undefined;
    requests.add({
      at: Date.now(),
      method: request.method,
      path: request.url,
      headers: { ...request.headers },
      tokenReceived,
      body: await readBody(request),
    });
    if (pathname === "/redirect") {
      const status = Number(searchParams.get("status") ?? 302);
      response.writeHead(status, { ...cors, location: searchParams.get("to") }).end();
    } else {
      sendJson(response, 200, { tokenReceived }, cors);
    }
  }

  const listening = await listen(port, () => (request, response) => {
    handle(request, response).catch((error) => response.destroy(error));
  });
  return { ...listening, requests };
}
