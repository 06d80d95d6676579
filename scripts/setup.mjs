// Installs what the build and the tests need, and says so. Does nothing, quickly, when all is there.
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { browserPrograms, cargoTools, cli, missingPrograms, root, run, target, which } from "./tools.mjs";

const WASM = "wasm32-unknown-unknown";

/** @param options.tests also what only the tests need: browsers, their drivers, rustfmt and clippy */
export async function setup({ tests = false } = {}) {
  checkNode();
  await rust(tests);
  await npmPackages();
  await wasmBindgen();
  if (tests) await browsers();
}

function say(text) {
  console.log(`setup: ${text}`);
}

function checkNode() {
  if (Number.parseInt(process.versions.node, 10) < 20) {
    throw new Error(`Node 20 or newer is needed; this is ${process.versions.node}`);
  }
}

async function rust(tests) {
  for (const program of ["cargo", "rustc"]) {
    if (!which(program)) throw new Error(`${program} is missing: install Rust with rustup, then try again`);
  }
  const libraries = await run("rustc", ["--print", "target-libdir", "--target", WASM], { capture: true });
  if (!existsSync(libraries.trim())) {
    await rustup(`the Rust target ${WASM}`, ["target", "add", WASM]);
  }
  if (!tests) return;
  for (const [program, component] of [["cargo-fmt", "rustfmt"], ["cargo-clippy", "clippy"]]) {
    if (!(await works(program, ["--version"]))) {
      await rustup(component, ["component", "add", component]);
    }
  }
}

async function rustup(what, args) {
  if (!which("rustup")) throw new Error(`${what} is missing, and there is no rustup to install it with`);
  say(`installing ${what}`);
  await run("rustup", args, { capture: true });
}

async function works(command, args) {
  return run(command, args, { capture: true }).then(
    () => true,
    () => false,
  );
}

async function npmPackages() {
  const installed = join(root, "node_modules", ".package-lock.json");
  const lock = join(root, "package-lock.json");
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs) return;
  say("installing npm packages");
  await run("npm", ["ci", "--ignore-scripts"], { capture: true });
}

/** The folder with `wasm-bindgen` and its test runner, of exactly the crate's version. */
export async function wasmBindgen() {
  const tool = cargoTools.wasmBindgen();
  const found = which("wasm-bindgen");
  if (found && existsSync(join(dirname(found), "wasm-bindgen-test-runner"))) {
    const version = await run(found, ["--version"], { capture: true });
    if (version.trim() === `wasm-bindgen ${tool.version}`) return dirname(found);
  }
  await cargoInstall(tool);
  return tool.bin;
}

async function cargoInstall({ crate, name, version, folder, bin }) {
  if (existsSync(join(bin, name))) return;
  say(`building ${crate} ${version}, once, which takes a minute or more`);
  // Without --locked, since the locked dependencies of wasm-bindgen-cli may have been withdrawn.
  const args = ["install", crate, "--version", version, "--root", folder, "--target-dir", join(target, "tools", "build")];
  // These run briefly and are built by everybody: time to build counts for more than their speed.
  const quickToBuild = {
    CARGO_PROFILE_RELEASE_OPT_LEVEL: "1",
    CARGO_PROFILE_RELEASE_LTO: "off",
    CARGO_PROFILE_RELEASE_CODEGEN_UNITS: "16",
  };
  await run("cargo", args, { capture: true, env: { ...process.env, ...quickToBuild } });
}

async function browsers() {
  const programs = Object.values(browserPrograms).flat();
  const packages = programs.filter(({ debian, path }) => debian && !path()).map(({ debian }) => debian);
  if (packages.length > 0 && isDebian() && process.getuid() === 0) {
    say(`installing ${packages.join(", ")}`);
    const options = { capture: true, env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" } };
    await run("apt-get", ["update"], options);
    await run("apt-get", ["install", "-y", "--no-install-recommends", ...packages], options);
  }
  if (missingPrograms("firefox").some(({ name }) => name === "geckodriver")) {
    await cargoInstall(cargoTools.geckodriver());
  }
  for (const browser of Object.keys(browserPrograms)) {
    const names = missingPrograms(browser).map(({ name, debian }) => (debian ? `${name} (Debian: ${debian})` : name));
    if (names.length > 0) say(`no tests in ${browser}: ${names.join(" and ")} not found`);
  }
}

function isDebian() {
  return (
    which("apt-get") && existsSync("/etc/os-release") && /^ID=debian$/m.test(readFileSync("/etc/os-release", "utf8"))
  );
}

await cli(import.meta, () => setup({ tests: !process.argv.includes("--build-only") }));
