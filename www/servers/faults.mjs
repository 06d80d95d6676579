// Journals of what arrives at the authorization server, and faults that can be switched on in front of it.
import { Journal, readBody } from "./http.mjs";

// Headers that a page may read only if the server says so; Retry-After is one of them.
const EXPOSED = "Retry-After, WWW-Authenticate, DPoP-Nonce";

/** Name of an endpoint here to its method and its name in oidc-provider. */
const ENDPOINTS = {
  token: ["POST", "token"],
  revocation: ["POST", "revocation"],
  par: ["POST", "pushed_authorization_request"],
  jwks: ["GET", "jwks"],
  discovery: ["GET"],
  authorization: ["GET", "authorization"],
  endSession: ["GET", "end_session"],
};
const DISCOVERY = ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"];

/**
 * @typedef {object} Fault What happens to one request, in this order.
 * @property {Promise<unknown>} [hold] wait for it first
 * @property {boolean} [hang] never answer
 * @property {boolean} [reset] close the connection without an answer
 * @property {number} [status] answer this instead of the provider
 * @property {Record<string, string>} [headers] with `status`
 * @property {unknown} [body] with `status`: an object is sent as JSON; a string, Buffer or stream as it is
 * @property {boolean} [cors] with `status`: `false` leaves the CORS headers out
 * @property {boolean} [lose] the provider does its work, and then its answer is lost
 * @property {(body: object) => unknown} [transform] changes the provider's answer; may return a promise
 * @property {(url: URL) => URL | undefined} [redirect] authorization only: changes the URL that leads back to the app,
 *   be it at once or after the sign-in page; what it does to its argument counts if it returns nothing
 *
 * @typedef {Fault[] | (() => Fault | undefined)} Faults a queue, one entry a request, or a function asked at each request
 *
 * @typedef {object} EndpointRecord
 * @property {number} at arrival, `Date.now()`
 * @property {Record<string, unknown>} params of the query or the form, those of a form once it was answered
 * @property {string | null} clientId who was asked for or authenticated, once answered
 * @property {string | null} grantType
 * @property {string | null} tokenTypeHint
 * @property {Record<string, string>} headers of the request
 * @property {number | null} status `null` until answered, `0` if the connection was closed or left hanging
 * @property {string | null} error the OAuth error that was answered
 * @property {string | null} redirect authorization only: the URL that led back to the app, once it did
 * @property {boolean} faulted
 */

export const takeFault = (faults) => (typeof faults === "function" ? faults() : faults.shift()) ?? {};

export function drop(ctx) {
  ctx.respond = false;
  ctx.req.socket.destroy();
}

/**
 * @param {object} options
 * @param {string[]} options.appOrigins
 * @param {(body: unknown) => void} options.onBody gets every body the provider makes, and what a fault made of it
 */
export function createFaults({ appOrigins, onBody }) {
  const names = Object.keys(ENDPOINTS);
  const faults = { unreachable: false, ...Object.fromEntries(names.map((name) => [name, []])) };
  const journals = Object.fromEntries(names.map((name) => [name, new Journal()]));
  // The authorization request that an interaction belongs to, by the id of the interaction.
  const passages = new Map();

  function middleware(pathFor) {
    const endpoints = new Map(DISCOVERY.map((path) => [`GET ${path}`, "discovery"]));
    for (const [name, [method, route]] of Object.entries(ENDPOINTS)) {
      if (route) endpoints.set(`${method} ${pathFor(route)}`, name);
    }
    const resume = `${pathFor("authorization")}/`;

    return async (ctx, next) => {
      if (faults.unreachable) return drop(ctx);
      if (ctx.path.startsWith(resume)) {
        await next();
        return followRedirect(ctx, passages.get(ctx.path.slice(resume.length)));
      }
      const endpoint = endpoints.get(`${ctx.method} ${ctx.path}`);
      return endpoint ? attend(ctx, next, endpoint) : next();
    };
  }

  async function attend(ctx, next, endpoint) {
    const fault = takeFault(faults[endpoint]);
    const record = journals[endpoint].add({
      at: Date.now(),
      params: { ...ctx.query },
      clientId: null,
      grantType: null,
      tokenTypeHint: null,
      headers: { ...ctx.req.headers },
      status: null,
      error: null,
      redirect: null,
      faulted: Object.keys(fault).length > 0,
    });
    const form = await answer(ctx, next, fault);
    Object.assign(record.params, form);
    record.clientId = ctx.oidc?.client?.clientId ?? record.params.client_id ?? null;
    record.grantType = record.params.grant_type ?? null;
    record.tokenTypeHint = record.params.token_type_hint ?? null;
    record.status = ctx.respond === false ? 0 : ctx.status;
    record.error = ctx.body?.error ?? null;
    if (endpoint === "authorization") followRedirect(ctx, { fault, record });
    journals[endpoint].changed();
  }

  /** @returns {Promise<object | undefined>} the parameters of a form */
  async function answer(ctx, next, fault) {
    await fault.hold;
    if (fault.hang || fault.reset || fault.status !== undefined) {
      const form = Object.fromEntries(new URLSearchParams(String(await readBody(ctx.req))));
      if (fault.hang) ctx.respond = false;
      else if (fault.reset) drop(ctx);
      else answerInstead(ctx, fault);
      return form;
    }
    await next();
    onBody(ctx.body);
    if (fault.transform) {
      // Some bodies are the provider's own objects.
      ctx.body = await fault.transform(structuredClone(ctx.body));
      onBody(ctx.body);
    }
    if (fault.lose) drop(ctx);
    return ctx.oidc?.body;
  }

  function answerInstead(ctx, { status, headers = {}, body = "", cors = true }) {
    ctx.status = status;
    ctx.body = body;
    const origin = ctx.get("Origin");
    if (cors && appOrigins.includes(origin)) {
      ctx.vary("Origin");
      ctx.set({ "Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": EXPOSED });
    }
    ctx.set(headers);
  }

  /** A request may pass the sign-in page before it leads back to the app. */
  function followRedirect(ctx, passage) {
    const location = ctx.response.get("Location");
    if (!passage || !location) return;
    const url = new URL(location, ctx.href);
    if (url.origin === new URL(ctx.href).origin) {
      const [, uid] = /^\/interaction\/([^/]+)$/.exec(url.pathname) ?? [];
      if (uid) passages.set(uid, passage);
      return;
    }
    const { href } = passage.fault.redirect?.(url) ?? url;
    ctx.set("Location", href);
    passage.record.redirect = href;
    journals.authorization.changed();
  }

  return { faults, journals, middleware };
}
