// The API: a resource server that checks JWT access tokens and answers challenges as RFC 6750 and RFC 9470 say.
import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { createLocalJWKSet, createRemoteJWKSet, jwtVerify } from "jose";
import { corsHeaders, isPreflight, Journal, listen, readBody, sendJson } from "./http.mjs";
import { mediaAt } from "./media.mjs";
import { createProofCheck } from "./proof.mjs";

const EXPOSED = ["WWW-Authenticate", "DPoP-Nonce"];
const BEARER = /^Bearer +([\w.~+/-]+=*)$/i;
// What /v1/stepup asks for.
const STEP_UP = { acr: "urn:tokenward:demo:mfa", maxAge: 60 };
const ORDERS = [
  { id: 1, item: "Teapot", quantity: 1 },
  { id: 2, item: "Cups", quantity: 6 },
];

/**
 * @typedef {object} RequestRecord
 * @property {number} at arrival, `Date.now()`
 * @property {string} method
 * @property {string} path with its query
 * @property {Record<string, string>} headers
 * @property {boolean} tokenReceived whether there was an Authorization header
 * @property {boolean} tokenExpired
 * @property {string | null} tokenId the `jti` of a good token
 * @property {Buffer} body
 * @property {string} bodySha256 hexadecimal
 * @property {number | null} status `null` until answered
 */

function challenge(parameters = {}) {
  const list = Object.entries({ realm: "demo", ...parameters }).map(([name, value]) => `${name}="${value}"`);
  return `Bearer ${list.join(", ")}`;
}

const invalidToken = (description) => challenge({ error: "invalid_token", error_description: description });

/**
 * @param {object} options
 * @param {number} [options.port] 0: any free port
 * @param {string} options.issuer
 * @param {string} options.audience
 * @param {string} [options.jwksUri] where the issuer's keys are
 * @param {object} [options.jwks] the keys themselves
 * @param {string[]} options.appOrigins read at each request: origins may be added later
 * @param {Record<string, (record: RequestRecord, url: URL) => object>} [options.routes] more of `"GET /v1/path"`, asked
 *   once the token is good. They answer with `status`, `headers` and `content`, text or a stream, or what is sent as JSON.
 */
export async function startApiServer({ port = 0, issuer, audience, jwksUri, jwks, appOrigins, routes = {} }) {
  const keys = jwks ? createLocalJWKSet(jwks) : createRemoteJWKSet(new URL(jwksUri));
  const checkProof = createProofCheck({ issuer, audience, jwksUri });
  const requests = new Journal();
  const refusals = [];

  async function verify(request) {
    const { authorization } = request.headers;
    if (/^dpop /i.test(authorization)) {
      const { method, headers } = request;
      const { isExpired = false, ...verdict } = await checkProof({ url: listening.origin + request.url, method, headers }, api.nonce);
      return { ...verdict, expired: isExpired };
    }
    const [, token] = BEARER.exec(authorization) ?? [];
    if (!token) return { refusal: challenge({ error: "invalid_request" }), status: 400, expired: false };
    try {
      const { payload } = await jwtVerify(token, keys, { issuer, audience, typ: "at+jwt" });
      // RFC 9449 section 7.2: whoever has it only, has stolen it.
      if (payload.cnf?.jkt) return { refusal: invalidToken("The access token is bound to a key"), status: 401, expired: false };
      return { payload, expired: false };
    } catch (error) {
      const expired = error.code === "ERR_JWT_EXPIRED";
      const refusal = invalidToken(expired ? "The access token expired" : "The access token is not valid");
      return { refusal, status: 401, expired };
    }
  }

  async function handle(request, response) {
    const cors = corsHeaders(request, appOrigins, EXPOSED);
    if (isPreflight(request)) {
      response.writeHead(204, cors).end();
      return;
    }
    const body = await readBody(request);
    const { authorization } = request.headers;
    const record = requests.add({
      at: Date.now(),
      method: request.method,
      path: request.url,
      headers: { ...request.headers },
      tokenReceived: authorization !== undefined,
      tokenExpired: false,
      tokenId: null,
      body,
      bodySha256: createHash("sha256").update(body).digest("hex"),
      status: null,
    });
    const verdict = authorization === undefined ? undefined : await verify(request);
    record.tokenExpired = verdict?.expired ?? false;
    record.tokenId = verdict?.payload?.jti ?? null;

    const { status, headers, content, ...rest } = answer(new URL(request.url, issuer), record, verdict);
    record.status = status;
    if (api.nonce !== undefined) cors["dpop-nonce"] = api.nonce;
    if (content === undefined) {
      sendJson(response, status, { tokenReceived: record.tokenReceived, tokenId: record.tokenId, ...rest }, { ...cors, ...headers });
    } else {
      response.writeHead(status, { ...cors, ...headers });
      Readable.from(content).pipe(response);
    }
    requests.changed();
  }

  function answer(url, record, verdict) {
    if (url.pathname === "/public") return { status: 200 };
    if (!url.pathname.startsWith("/v1/")) return { status: 404 };
    if (!verdict) return refuse(401, challenge());
    if (verdict.refusal) return refuse(verdict.status, verdict.refusal);
    if (refusals.length > 0) return refuse(401, refusals.shift());
    return answerAuthorized(url, record, verdict.payload);
  }

  function answerAuthorized(url, record, { scope, acr, auth_time: authTime }) {
    const scopes = new Set(scope?.split(" "));
    switch (url.pathname) {
      case "/v1/orders":
        return scopes.has("orders") ? { status: 200, orders: ORDERS } : insufficientScope("orders");
      case "/v1/echo":
        return {
          status: 200,
          method: record.method,
          contentType: record.headers["content-type"] ?? null,
          length: record.body.length,
          sha256: record.bodySha256,
        };
      case "/v1/admin":
        return scopes.has("admin") ? { status: 200 } : insufficientScope("admin");
      case "/v1/stepup":
        if (acr === STEP_UP.acr && Date.now() / 1000 - authTime <= STEP_UP.maxAge) return { status: 200 };
        return refuse(
          401,
          challenge({
            error: "insufficient_user_authentication",
            error_description: "A second factor is needed",
            acr_values: STEP_UP.acr,
            max_age: String(STEP_UP.maxAge),
          }),
        );
      case "/v1/redirect":
        return {
          status: Number(url.searchParams.get("status") ?? 302),
          headers: { location: url.searchParams.get("to") },
        };
      default:
        return routes[`${record.method} ${url.pathname}`]?.(record, url) ?? answerMedia(url, record) ?? { status: 404 };
    }
  }

  const listening = await listen(port, () => (request, response) => {
    handle(request, response).catch((error) => response.destroy(error));
  });
  const api = {
    ...listening,
    requests,
    /** What proofs have to have as `nonce`, if anything. */
    nonce: undefined,
    /** Refuses the next `count` good tokens under `/v1/` with this challenge. */
    refuseNext(count = 1, wwwAuthenticate = invalidToken("The access token was revoked")) {
      for (let i = 0; i < count; i += 1) refusals.push(wwwAuthenticate);
    },
  };
  return api;
}

function answerMedia(url, record) {
  const media = mediaAt(url.pathname, record.headers.range);
  if (!media) return undefined;
  const { status, type, bytes, headers } = media;
  const own = { "content-type": type, "content-length": bytes.length, "cache-control": "no-store" };
  return { status, headers: { ...own, ...headers }, content: bytes };
}

function refuse(status, wwwAuthenticate) {
  return { status, headers: { "www-authenticate": wwwAuthenticate } };
}

function insufficientScope(scope) {
  return refuse(403, challenge({ error: "insufficient_scope", scope }));
}
