// Starts the demo: the app with its backend, its authorization server, its API, and another origin, all on loopback.
import { access } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { startApiServer } from "./servers/api.mjs";
import { AUDIENCE, CLIENT_ID, startAuthServer } from "./servers/auth.mjs";
import { createBackend } from "./servers/backend.mjs";
import { startOtherServer } from "./servers/other.mjs";
import { contentSecurityPolicy, startStaticServer } from "./servers/static.mjs";

export const PORTS = { app: 4500, auth: 4501, api: 4502, other: 4503 };

const PAGE = fileURLToPath(new URL(".", import.meta.url));
const DIST = fileURLToPath(new URL("../dist/", import.meta.url));
const RETRY_AFTER_SECONDS = 5;
const SEEN_TOLD = 100;
// The one page that the authorization server frames, to say that the user signed out there.
const FRONTCHANNEL = "/frontchannel.html";

/** The demo in a terminal: prints where it is and runs until Ctrl-C. */
export async function main(options = {}) {
  const demo = await startDemo(options);
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(0));
  console.log(`tokenward demo: ${demo.app.origin}/`);
  console.log("Ctrl-C stops it.");
  return demo;
}

/**
 * @param {object} options
 * @param {Partial<typeof PORTS>} [options.ports] where a port is taken another one is used; 0 asks for any free one
 * @param {string} [options.dist] the folder of the built package
 * @param {number} [options.accessTokenTtl] seconds
 * @param {boolean | string} [options.autoLogin] sign in (this account) without showing the authorization server's page
 */
export async function startDemo({ ports = {}, dist = DIST, accessTokenTtl = 30, autoLogin = false } = {}) {
  await access(`${dist}/index.js`).catch((cause) => {
    throw new Error("The demo needs the built package: run `npm run build` first.", { cause });
  });
  const started = {};
  const close = async () => {
    await Promise.all(Object.values(started).map((server) => server.close()));
  };
  try {
    await startServers(started, { ports: { ...PORTS, ...ports }, dist, accessTokenTtl, autoLogin });
  } catch (error) {
    await close();
    throw error;
  }
  return { ...started, close };
}

async function startServers(started, { ports, dist, accessTokenTtl, autoLogin }) {
  const start = async (name, startAt) => {
    started[name] = await startAt(ports[name]).catch((error) => {
      if (error.code !== "EADDRINUSE") throw error;
      console.log(`Port ${ports[name]} is taken: the demo's ${name} server uses another one.`);
      return startAt(0);
    });
    return started[name].origin;
  };
  const appOrigins = [];
  const { routes, tokenFault } = createControls(started);

  const appOrigin = await start("app", (port) =>
    startStaticServer({
      port,
      mounts: { "/": PAGE, "/tokenward/": dist },
      headers: (pathname) => ({ "content-security-policy": policyFor(pathname, started) }),
      routes,
      handlers: [(...request) => started.backend?.handle(...request)],
    }),
  );
  appOrigins.push(appOrigin);
  await start("auth", (port) =>
    startAuthServer({
      port,
      appOrigins,
      redirectUris: [`${appOrigin}/`, `${appOrigin}/callback.html`],
      postLogoutRedirectUris: [`${appOrigin}/`],
      frontchannelLogoutUri: `${appOrigin}${FRONTCHANNEL}`,
      backendRedirectUris: [`${appOrigin}/session/callback`],
      accessTokenTtl,
      autoLogin,
      dpop: "offered",
    }),
  );
  started.auth.faults.token = tokenFault;
  started.backend = createBackend({ issuer: started.auth.issuer, ...started.auth.backendClient });
  await start("api", (port) =>
    startApiServer({
      port,
      issuer: started.auth.issuer,
      audience: AUDIENCE,
      jwksUri: started.auth.endpoints.jwks,
      appOrigins,
    }),
  );
  await start("other", (port) => startOtherServer({ port }));
}

function policyFor(pathname, { auth, api, other }) {
  return contentSecurityPolicy([auth, api, other].map(({ origin }) => origin), {
    frame: [auth.origin],
    ancestors: pathname === FRONTCHANNEL ? [auth.origin] : [],
    media: [api.origin],
  });
}

/** What the page may ask for, and the switches it may turn. Each switch answers with the status after it. */
function createControls(servers) {
  const switches = { breakRefresh: false, authUnreachable: false };
  let rateLimitNext = false;

  const tokenFault = () => {
    if (rateLimitNext) {
      rateLimitNext = false;
      return { status: 429, headers: { "Retry-After": String(RETRY_AFTER_SECONDS) } };
    }
    return switches.breakRefresh ? { status: 500 } : undefined;
  };

  const status = () => {
    const { auth, api, other } = servers;
    const stray = [...other.requests, ...api.requests.filter(({ path }) => path === "/public")];
    return {
      switches,
      seen: {
        refreshes: auth.tokenRequests.filter(({ grantType }) => grantType === "refresh_token").length,
        apiRequests: api.requests.length,
        expiredTokens: api.requests.filter(({ tokenExpired }) => tokenExpired).length,
        strayTokens: stray.filter(({ tokenReceived }) => tokenReceived).length,
      },
    };
  };

  const control = (act) => (body) => {
    act(body);
    return status();
  };

  const routes = {
    "GET /config.json": () => ({
      issuer: servers.auth.issuer,
      clientId: CLIENT_ID,
      session: { url: "/session/token", signOutUrl: "/session/sign-out", tokenEndpoint: servers.auth.endpoints.token },
      scope: "openid profile offline_access orders",
      api: servers.api.origin,
      other: servers.other.origin,
    }),
    "GET /status.json": status,
    // What elements ask for is answered to them alone: this is where the page learns what the API saw of it.
    "GET /api-requests.json": () =>
      servers.api.requests
        .slice(-SEEN_TOLD)
        .map(({ path, status, tokenReceived, tokenId }) => ({ path, status, tokenReceived, tokenId })),
    "POST /control/revoke": control(() => servers.auth.revokeGrants()),
    "POST /control/break-refresh": control(({ on }) => {
      switches.breakRefresh = on;
    }),
    "POST /control/rate-limit": control(() => {
      rateLimitNext = true;
    }),
    "POST /control/auth-unreachable": control(({ on }) => {
      switches.authUnreachable = on;
      servers.auth.faults.unreachable = on;
    }),
    "POST /control/refuse-once": control(() => servers.api.refuseNext()),
  };
  return { routes, tokenFault };
}
