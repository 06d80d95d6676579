// What a browser test stands on: its own servers, and a page in the browser that has the packed package.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before } from "node:test";
import { fileURLToPath } from "node:url";
import { packed } from "../../../scripts/tools.mjs";
import { startApiServer } from "../../../www/servers/api.mjs";
import { AUDIENCE, startAuthServer } from "../../../www/servers/auth.mjs";
import { createBackend } from "../../../www/servers/backend.mjs";
import { startOtherServer } from "../../../www/servers/other.mjs";
import { contentSecurityPolicy, startStaticServer } from "../../../www/servers/static.mjs";
import { close, open } from "./browsers.mjs";

/** The package under test: the one that was packed, or another one to see the tests fail. */
export const dist = join(process.env.TOKENWARD_PACKAGE ?? packed, "dist");

const PAGE = fileURLToPath(new URL("page/", import.meta.url));
const SOURCES = fileURLToPath(new URL("../../../src/js/", import.meta.url));
const FRONTCHANNEL = "/frontchannel.html";
const SCRIPT_MS = 60_000;

let driver;
let scripts;

before(async () => {
  scripts = await mkdtemp(join(tmpdir(), "tokenward-scripts-"));
  driver = await open();
  await driver.manage().setTimeouts({ script: SCRIPT_MS });
});

after(async () => {
  await close();
  await rm(scripts, { recursive: true });
});

/** The browser of this file. */
export const browserDriver = () => driver;

/** What waits for `held` waits until `release()`. */
export function latch() {
  let release;
  const held = new Promise((resolve) => {
    release = resolve;
  });
  return { held, release };
}

/**
 * Starts the servers and opens the page. All of it ends with the test, which fails if the page saw an error that
 * nobody handled.
 *
 * @param {import("node:test").TestContext} t
 * @param {object} [options]
 * @param {number} [options.accessTokenTtl] seconds
 * @param {string[]} [options.connect] more sources for the page's `connect-src`
 * @param {object} [options.auth] more options for `startAuthServer`
 * @param {boolean} [options.backend] the app has a backend of its own, which keeps the refresh token
 */
export async function stage(t, { accessTokenTtl = 30, connect = [], auth = {}, backend = false } = {}) {
  const servers = {};
  t.after(async () => {
    try {
      assert.deepEqual(await driver.executeScript("return window.problems"), []);
    } finally {
      await Promise.all(Object.values(servers).map((server) => server.close()));
    }
  });
  await startServers(servers, { connect, auth: { accessTokenTtl, ...auth }, backend });
  await driver.get(`${servers.app.origin}/`);
  return { ...servers, page: createPage(servers) };
}

async function startServers(servers, { connect, auth, backend }) {
  const called = () => [servers.auth, servers.api, servers.other].map(({ origin }) => origin);
  servers.app = await startStaticServer({
    mounts: { "/": PAGE, "/scripts/": scripts, "/src/": SOURCES, "/tokenward/": dist },
    headers: (pathname) => ({
      "content-security-policy": contentSecurityPolicy([...called(), ...connect], {
        frame: [servers.auth.origin],
        ancestors: pathname === FRONTCHANNEL ? [servers.auth.origin] : [],
      }),
    }),
    handlers: [(...request) => servers.backend?.handle(...request)],
    routes: { "GET /client.json": () => ({ issuer: servers.auth.issuer, clientId: "spa" }) },
  });
  const { origin } = servers.app;
  const appOrigins = [origin];
  servers.auth = await startAuthServer({
    appOrigins,
    redirectUris: [`${origin}/`, `${origin}/callback.html`],
    postLogoutRedirectUris: [`${origin}/`],
    frontchannelLogoutUri: origin + FRONTCHANNEL,
    backendRedirectUris: [`${origin}/session/callback`],
    ...auth,
  });
  const { issuer, endpoints, backendClient } = servers.auth;
  if (backend) servers.backend = createBackend({ issuer, ...backendClient });
  servers.api = await startApiServer({ issuer, audience: AUDIENCE, jwksUri: endpoints.jwks, appOrigins });
  servers.other = await startOtherServer();
}

function createPage({ auth, api, other }) {
  const known = {
    auth: { origin: auth.origin, issuer: auth.issuer, endpoints: auth.endpoints },
    api: { origin: api.origin },
    other: { origin: other.origin },
  };

  /**
   * Runs a function in the page and gives what it returns, through JSON. Its first argument is the kit of page/run.js.
   * It sees nothing of the test's scope. One that was run before needs no network.
   */
  async function run(script, ...args) {
    const text = `export default ${script};\n`;
    const name = `${createHash("sha256").update(text).digest("hex")}.js`;
    await writeFile(join(scripts, name), text);
    const json = await driver.executeAsyncScript(
      "const [url, servers, args, done] = arguments; window.run(url, servers, args).then(done);",
      `/scripts/${name}`,
      known,
      args,
    );
    const { value, error } = JSON.parse(json);
    if (error) throw new Error(`in the page: ${error}`);
    return value;
  }

  /** Makes and installs a ward, and signs in. `age`: seconds since the tokens were requested. */
  async function signIn({ tokens, age = 0, ...options } = {}) {
    await run(
      async (kit, response, ms, more) => {
        const ward = await kit.create(more);
        ward.install().setTokens(response, { requestedAt: Date.now() - ms });
      },
      tokens ?? (await auth.issueTokens()),
      age * 1000,
      options,
    );
  }

  return { run, signIn };
}
