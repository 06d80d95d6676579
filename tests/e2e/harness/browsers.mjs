// Starts browsers for tests: a fresh profile each, and nothing left behind, whatever ends this process.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, openSync, closeSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { Builder } from "selenium-webdriver";
import { browserPrograms, missingPrograms } from "../../../scripts/tools.mjs";

/** The browser that this process tests: `BROWSER`, else Chromium. */
export const browser = process.env.BROWSER ?? "chromium";

const START_MS = 30_000;
const SCRIPT_MS = 10 * 60_000;

const sessions = new Set();

/**
 * Starts a browser and gives its selenium-webdriver `WebDriver`. Its `quit()` ends and removes everything.
 * @param {"chromium" | "firefox" | "webkit"} [name]
 * @param {object} [options]
 * @param {boolean} [options.throttles] Chromium throttles hidden pages as it does for users, but soon: see `throttlingFlags`
 * @param {Record<string, unknown>} [options.prefs] Firefox's preferences
 */
export async function open(name = browser, options) {
  const service = await startDriver(name, options);
  const builder = new Builder().disableEnvironmentOverrides().usingServer(service.url);
  try {
    const session = builder.withCapabilities(service.capabilities).build();
    const driver = await within(START_MS, session, "the browser does not start");
    driver.quit = service.close;
    return driver;
  } catch (error) {
    const log = service.log();
    await service.close();
    throw new Error(`no session in ${name}: ${error.message}\n${log}`, { cause: error });
  }
}

async function within(ms, promise, message) {
  const timer = new AbortController();
  const expired = pause(ms, undefined, { signal: timer.signal }).then(() => {
    throw new Error(message);
  });
  try {
    return await Promise.race([promise, expired]);
  } finally {
    timer.abort();
  }
}

/** Ends every browser that is still open. */
export async function close() {
  await Promise.all([...sessions].map((service) => service.close()));
}

/**
 * Starts the WebDriver server of a browser, for clients other than {@link open}.
 * @returns its `url`, the `capabilities` to ask a session with, `log()` and `close()`
 */
export async function startDriver(name, options) {
  const missing = missingPrograms(name).map((program) => program.name);
  if (missing.length > 0) throw new Error(`${name} cannot be tested: ${missing.join(" and ")} not found`);
  const [first, second] = browserPrograms[name].map(({ path }) => path());

  const home = mkdtempSync(join(tmpdir(), "tokenward-"));
  const guard = startGuard(home);
  const service = {
    capabilities: { ...capabilities(name, first, options), timeouts: { script: SCRIPT_MS } },
    log: () => readFileSync(join(home, "log"), "utf8"),
    async close() {
      sessions.delete(service);
      await guard.close();
    },
  };
  sessions.add(service);

  try {
    const port = await freePort();
    const env = { ...process.env, ...privateFolders(home) };
    if (name === "webkit") {
      Object.assign(env, softwareRendering, { DISPLAY: await startDisplay(second, home, guard) });
    }
    const program = name === "webkit" ? first : second;
    const child = start(program, [`--port=${port}`], { home, env, guard });
    service.url = `http://127.0.0.1:${port}`;
    await ready(service.url, child);
    return service;
  } catch (error) {
    const log = service.log();
    await service.close();
    throw new Error(`${name}: ${error.message}\n${log}`, { cause: error });
  }
}

function capabilities(name, program, { throttles = false, prefs = {} } = {}) {
  switch (name) {
    case "chromium": {
      const more = throttles ? throttlingFlags : { args: [] };
      const options = { ...more, binary: program, args: [...chromiumFlags, ...more.args] };
      return { browserName: "chrome", "goog:chromeOptions": options };
    }
    case "firefox":
      return { browserName: "firefox", "moz:firefoxOptions": { binary: program, args: ["-headless"], prefs } };
    case "webkit":
      return { browserName: "MiniBrowser" };
  }
}

const chromiumFlags = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Hidden pages get one timer a minute, not after five minutes but after one second. Its driver turns that off. */
const throttlingFlags = {
  excludeSwitches: ["disable-background-timer-throttling"],
  args: ["--enable-features=IntensiveWakeUpThrottling:grace_period_seconds/1"],
};

const softwareRendering = {
  GDK_BACKEND: "x11",
  LIBGL_ALWAYS_SOFTWARE: "1",
  WEBKIT_DISABLE_COMPOSITING_MODE: "1",
};

/** The drivers make each session's profile in the temporary folder; the rest is what browsers share per user. */
function privateFolders(home) {
  return {
    HOME: home,
    TMPDIR: home,
    XDG_CACHE_HOME: home,
    XDG_CONFIG_HOME: home,
    XDG_DATA_HOME: home,
    XDG_RUNTIME_DIR: home,
  };
}

/**
 * A shell that outlives this process. When its standard input closes, because we ask for it or are gone, it runs the
 * commands it was sent and removes the folder.
 */
function startGuard(home) {
  const script = 'eval "$(cat)"; rm -rf "$0"';
  const child = spawn("sh", ["-c", script, home], { detached: true, stdio: ["pipe", "ignore", "ignore"] });
  const exited = once(child, "exit");
  child.unref();
  child.stdin.unref();
  return {
    watch: (group, signal) => child.stdin.write(`kill -${signal} -${group}\n`),
    async close() {
      child.ref();
      child.stdin.end();
      await exited;
    },
  };
}

/** Starts a program as the leader of its own process group, watched by the guard. */
function start(program, args, { home, env, guard, signal = "KILL", stdio = [] }) {
  const log = openSync(join(home, "log"), "a");
  const child = spawn(program, args, { detached: true, env, stdio: ["ignore", log, log, ...stdio] });
  closeSync(log);
  child.on("error", () => {}); // `ready` sees that it is not there
  if (child.pid) guard.watch(child.pid, signal);
  child.unref();
  return child;
}

/** Starts an X server of our own and gives its display, which it picks itself. */
async function startDisplay(program, home, guard) {
  const args = ["-displayfd", "3", "-screen", "0", "1280x1024x24", "-nolisten", "tcp"];
  // Asked to end, it removes its lock file.
  const child = start(program, args, { home, env: process.env, guard, signal: "TERM", stdio: ["pipe"] });
  const display = Promise.race([firstLine(child.stdio[3]), failure(child, "the X server")]);
  return `:${await within(START_MS, display, "the X server does not start")}`;
}

async function firstLine(stream) {
  stream.setEncoding("utf8").unref();
  let text = "";
  while (!text.includes("\n")) text += await once(stream, "data");
  return text.trim();
}

async function failure(child, what) {
  await once(child, "exit");
  throw new Error(`${what} ended`);
}

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

async function ready(url, child) {
  const deadline = performance.now() + START_MS;
  while (!(await answers(url))) {
    if (child.exitCode !== null || child.signalCode !== null || !child.pid) throw new Error("the driver ended");
    if (performance.now() > deadline) throw new Error("the driver does not answer");
    await pause(20);
  }
}

async function answers(url) {
  return fetch(`${url}/status`).then(
    (response) => response.ok,
    () => false,
  );
}
