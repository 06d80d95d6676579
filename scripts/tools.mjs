// Where things are and how programs are run. Imports nothing from npm: it works before `npm ci`.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants, readFileSync, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("..", import.meta.url));
export const target = join(root, "target");
export const dist = join(root, "dist");
/** The unpacked npm package, as a consumer gets it. */
export const packed = join(target, "package");

const GECKODRIVER_VERSION = "0.37.1";

function wasmBindgenVersion() {
  const pinned = /^wasm-bindgen\s*=.*"=(\d+\.\d+\.\d+)"/m.exec(readFileSync(join(root, "Cargo.toml"), "utf8"));
  if (!pinned) throw new Error('Cargo.toml must pin wasm-bindgen exactly: wasm-bindgen = "=x.y.z"');
  return pinned[1];
}

/** Programs that `cargo install` builds into the ignored build folder, keyed by version. */
export const cargoTools = {
  wasmBindgen: () => cargoTool("wasm-bindgen-cli", "wasm-bindgen", wasmBindgenVersion()),
  geckodriver: () => cargoTool("geckodriver", "geckodriver", GECKODRIVER_VERSION),
};

function cargoTool(crate, name, version) {
  const folder = join(target, "tools", `${name}-${version}`);
  return { crate, name, version, folder, bin: join(folder, "bin") };
}

function isProgram(path) {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** The first of these programs that is on the PATH, or `undefined`. */
export function which(...names) {
  const folders = (process.env.PATH ?? "").split(delimiter);
  return names.flatMap((name) => folders.map((folder) => join(folder, name))).find(isProgram);
}

/** What each browser needs: a name for messages, the Debian package, and where it is, if it is there. */
export const browserPrograms = {
  chromium: [
    { name: "chromium", debian: "chromium", path: () => which("chromium", "chromium-browser", "google-chrome") },
    { name: "chromedriver", debian: "chromium-driver", path: () => process.env.CHROMEDRIVER ?? which("chromedriver") },
  ],
  firefox: [
    { name: "firefox", debian: "firefox-esr", path: () => which("firefox", "firefox-esr") },
    { name: "geckodriver", path: () => process.env.GECKODRIVER ?? which("geckodriver") ?? builtGeckodriver() },
  ],
  webkit: [
    {
      name: "WebKitWebDriver",
      debian: "webkit2gtk-driver",
      path: () => process.env.WEBKITWEBDRIVER ?? which("WebKitWebDriver"),
    },
    { name: "Xvfb", debian: "xvfb", path: () => which("Xvfb") },
  ],
};

function builtGeckodriver() {
  const path = join(cargoTools.geckodriver().bin, "geckodriver");
  return isProgram(path) ? path : undefined;
}

/** The programs of this browser that are not here. */
export function missingPrograms(browser) {
  return browserPrograms[browser].filter(({ path }) => !path());
}

/**
 * Runs a program to its end and gives its standard output if `capture` is set; otherwise it is passed through.
 * Rejects if it fails.
 */
export async function run(command, args, { capture = false, ...options } = {}) {
  const child = spawn(command, args, { cwd: root, stdio: ["ignore", capture ? "pipe" : "inherit", capture ? "pipe" : "inherit"], ...options });
  let stdout = "";
  let stderr = "";
  child.stdout?.setEncoding("utf8").on("data", (text) => (stdout += text));
  child.stderr?.setEncoding("utf8").on("data", (text) => (stderr += text));
  const [code, signal] = await once(child, "close");
  if (code === 0) return stdout;
  throw new Error(`${command} ${args.join(" ")}: ${signal ?? `exit code ${code}`}\n${stdout}${stderr}`.trimEnd());
}

/** Runs `main` if this module is the program that node was asked to run. */
export async function cli(meta, main) {
  if (process.argv[1] !== fileURLToPath(meta.url)) return;
  try {
    await main();
  } catch (error) {
    console.error(`error: ${error.message}`);
    process.exitCode = 1;
  }
}
