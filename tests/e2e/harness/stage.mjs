// What a browser test stands on: its own servers, and a page in the browser that has the packed package.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before } from "node:test";
import { fileURLToPath } from "node:url";
import { By } from "selenium-webdriver";
import { packed } from "../../../scripts/tools.mjs";
import { startApiServer } from "../../../www/servers/api.mjs";
import { AUDIENCE, startAuthServer } from "../../../www/servers/auth.mjs";
import { createBackend } from "../../../www/servers/backend.mjs";
import { startOtherServer } from "../../../www/servers/other.mjs";
import { contentSecurityPolicy, startStaticServer } from "../../../www/servers/static.mjs";
import { browser, close, open } from "./browsers.mjs";

/** The package under test: the one that was packed, or another one to see the tests fail. */
export const dist = join(process.env.TOKENWARD_PACKAGE ?? packed, "dist");

const PAGE = fileURLToPath(new URL("page/", import.meta.url));
const SOURCES = fileURLToPath(new URL("../../../src/js/", import.meta.url));
const FRONTCHANNEL = "/frontchannel.html";
const SCRIPT_MS = 60_000;
const BACK_MS = 10_000;
const POLL_MS = 10;

/** What `window.run()` takes, of a script's first three arguments. */
const JOB = "const job = [...arguments].slice(0, 3);";

/** Of `open()`; a file that needs some sets them when it is loaded. */
export const browserOptions = {};

let driver;
let ownWindow;
let scripts;

before(async () => {
  scripts = await mkdtemp(join(tmpdir(), "tokenward-scripts-"));
  driver = await open(browser, browserOptions);
  ownWindow = await driver.getWindowHandle();
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
 * @param {object} [options.api] more options for `startApiServer`
 * @param {Record<string, string>} [options.mounts] more folders of the page
 * @param {boolean} [options.backend] the app has a backend of its own, which keeps the refresh token
 * @param {Record<string, string>} [options.headers] more headers of the page's files
 * @param {import("../../../www/servers/static.mjs").Handler[]} [options.handlers] more of the app's server
 * @param {(pathname: string) => string} [options.policy] the content security policy, if not the usual one
 * @param {boolean} [options.frames] the page may frame the authorization server
 */
export async function stage(
  t,
  {
    accessTokenTtl = 30,
    connect = [],
    auth = {},
    api = {},
    mounts = {},
    backend = false,
    headers = {},
    handlers = [],
    frames = true,
    policy,
  } = {},
) {
  const servers = {};
  t.after(async () => {
    try {
      await closeOthers();
      assert.deepEqual(await driver.executeScript("return window.problems"), []);
    } finally {
      await Promise.all(Object.values(servers).map((server) => server.close()));
    }
  });
  await startServers(servers, { connect, auth: { accessTokenTtl, ...auth }, api, mounts, backend, headers, handlers, frames, policy });
  await driver.get(`${servers.app.origin}/`);
  return { ...servers, page: createPage(servers) };
}

/** Closes every window but the one there was at first. */
async function closeOthers() {
  for (const other of await driver.getAllWindowHandles()) {
    // One that closes itself may be gone by now.
    if (other !== ownWindow) await driver.switchTo().window(other).then(() => driver.close()).catch(() => {});
  }
  await driver.switchTo().window(ownWindow);
}

async function startServers(servers, { connect, auth, api, mounts, backend, headers, handlers, frames, policy }) {
  const called = () => [servers.auth, servers.api, servers.other].map(({ origin }) => origin);
  servers.app = await startStaticServer({
    mounts: { "/": PAGE, "/scripts/": scripts, "/src/": SOURCES, "/tokenward/": dist, ...mounts },
    headers: (pathname) => ({
      ...headers,
      "content-security-policy": policy?.(pathname) ?? contentSecurityPolicy([...called(), ...connect], {
        frame: frames ? [servers.auth.origin] : [],
        media: [servers.api.origin],
        code: [servers.api.origin],
        ancestors: pathname === FRONTCHANNEL ? [servers.auth.origin] : [],
      }),
    }),
    handlers: [...handlers, (...request) => servers.backend?.handle(...request)],
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
  servers.api = await startApiServer({ issuer, audience: AUDIENCE, jwksUri: endpoints.jwks, appOrigins, ...api });
  servers.other = await startOtherServer();
}

function createPage({ app, auth, api, other }) {
  const known = {
    auth: { origin: auth.origin, issuer: auth.issuer, endpoints: auth.endpoints },
    api: { origin: api.origin },
    other: { origin: other.origin },
    // The same tests, with the tokens in a worker.
    isolation: process.env.TOKENWARD_ISOLATION,
  };

  /**
   * Runs a function in the page and gives what it returns, through JSON. Its first argument is the kit of page/run.js.
   * It sees nothing of the test's scope. One that was run before needs no network.
   */
  async function run(script, ...args) {
    const url = await publish(script);
    return read(await driver.executeAsyncScript(`${JOB} window.run(...job).then(arguments[3]);`, url, known, args));
  }

  /** The same in answer to the user's click, which popups take. */
  async function click(script, ...args) {
    await driver.executeAsyncScript(`${JOB} window.arm(...job).then(arguments[3]);`, await publish(script), known, args);
    await driver.findElement(By.id("go")).click();
    return read(await driver.executeAsyncScript("window.clicked.then(arguments[0]);"));
  }

  /** Runs a function that leaves the page, and resolves once the app is `back()`. */
  async function leave(script, ...args) {
    await depart(script, ...args);
    await back();
  }

  /** Runs a function that leaves the page. */
  async function depart(script, ...args) {
    const url = await publish(script);
    const begin = `${JOB} window.left = ""; window.run(...job).then((json) => (window.left = json));`;
    await driver.executeScript(begin, url, known, args);
  }

  async function back() {
    const state = "return location.origin === arguments[0] && (window.left ?? (!!window.run && document.readyState === 'complete'));";
    await driver.wait(
      async () => {
        // It fails between two pages.
        const found = await driver.executeScript(state, app.origin).catch(() => false);
        if (found && found !== true) read(found);
        return found === true;
      },
      BACK_MS,
      "the app is not back",
      POLL_MS,
    );
  }

  /** Goes to a path of the app, or by a URL that leads back to it. */
  async function visit(url = "/") {
    await driver.get(new URL(url, app.origin).href);
    await back();
  }

  async function publish(script) {
    const text = `export default ${script};\n`;
    const name = `${createHash("sha256").update(text).digest("hex")}.js`;
    await writeFile(join(scripts, name), text);
    return `/scripts/${name}`;
  }

  function read(json) {
    const { value, error } = JSON.parse(json);
    if (error) throw new Error(`in the page: ${error}`);
    return value;
  }

  /** Makes and installs a ward, and signs in. `age`: seconds since the tokens were requested; `install`: its options. */
  async function signIn({ tokens, age = 0, install, ...options } = {}) {
    await run(
      async (kit, response, ms, more, install) => {
        const ward = await kit.create(more);
        ward.install(install ?? undefined).setTokens(response, { requestedAt: Date.now() - ms });
      },
      tokens ?? (await auth.issueTokens()),
      age * 1000,
      options,
      install,
    );
  }

  return { run, click, leave, depart, back, visit, signIn };
}
