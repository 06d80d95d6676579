// Servers that answer as the URL says and remember what arrived: the other half of a comparison of two calls of `fetch`.
import { corsHeaders, isPreflight, listen, readBody } from "../../../www/servers/http.mjs";

/** In the paths that the page's own origin leaves to the mirror. */
const OWN = /^\/(?:v1|open)\//;
const PAGE = "/framed.html";
/** What a request is known by: part of its path. */
const ID = /\bid[a-z]\d+x\b/;

/**
 * `/v1/…` is for the allow-list, `/open/…` is not. The query's `answer` is JSON: `status`, `headers`, `body`, `to` (a redirect
 * to a path of the same id; `other:` and `api:` before it name an origin), `cors: false`, `chunks` (a body that never ends).
 * Whoever comes with the token `stale` is refused.
 */
export async function startMirror() {
  const records = new Map();
  const origins = {};

  const serve = async (request, response) => {
    const url = new URL(request.url, "http://mirror.invalid");
    const [id] = ID.exec(request.url) ?? ["none"];
    const answer = JSON.parse(url.searchParams.get("answer") ?? "{}");
    const { method, headers } = request;
    const body = await readBody(request);
    if (!records.has(id)) records.set(id, []);
    records.get(id).push({ method, path: request.url, headers: { ...headers }, body: body.toString("base64") });
    const cors = answer.cors === false ? {} : { ...corsHeaders(request, "*", ["X-Tea"]), "access-control-allow-credentials": "true" };
    if (isPreflight(request)) {
      response.writeHead(204, { ...cors, "access-control-max-age": "0" }).end();
      return;
    }
    if (/stale/.test(headers.authorization ?? "")) {
      response.writeHead(401, { ...cors, "www-authenticate": 'Bearer error="invalid_token"' }).end("stale");
      return;
    }
    const { status = answer.to ? 302 : 200, body: text = "tea", to, chunks } = answer;
    const more = { "content-type": "text/plain", "cache-control": "no-store", "x-tea": "green", ...answer.headers };
    if (to !== undefined) more.location = locate(to, id);
    response.writeHead(status, { ...cors, ...more });
    if (chunks) response.write(text);
    else response.end([204, 205, 304].includes(status) || method === "HEAD" ? undefined : text);
  };

  function locate(to, id) {
    const [, name, path] = /^(?:(\w+):)?(.*)$/.exec(to);
    return (name ? (origins[name] ?? `${name}:`) : "") + path.replace("ID", id);
  }

  const handler = (request, response) => {
    serve(request, response).catch((error) => response.destroy(error));
  };
  const api = await listen(0, () => handler);
  const other = await listen(0, () => handler);
  Object.assign(origins, { api: api.origin, other: other.origin });

  return {
    origins,
    /** For the app's own server. */
    handle(request, response) {
      const { pathname, searchParams } = new URL(request.url, "http://mirror.invalid");
      if (pathname === PAGE) {
        response.writeHead(200, { "content-type": "text/html" });
        response.end(framed(searchParams.get("base")));
      } else if (OWN.test(pathname)) handler(request, response);
      else return false;
      return true;
    },
    /** What arrived with this id, and is forgotten with it. */
    take(id) {
      const found = records.get(id) ?? [];
      records.delete(id);
      return found;
    },
    async close() {
      await Promise.all([api.close(), other.close()]);
    },
  };
}

/** A page without a policy, to be framed: it may have a `<base>`. */
const framed = (base) => `<!doctype html>
<html lang="en">
<meta charset="utf-8">
${base === null ? "" : `<base href="${base.replaceAll('"', "&quot;")}">`}
<title>framed</title>
</html>
`;
