// `npm test`: every check and test, one after the other. `npm test -- engine web` runs the steps that start so.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "./build.mjs";
import { mutations } from "./mutations.mjs";
import { pack } from "./pack.mjs";
import { setup, wasmBindgen } from "./setup.mjs";
import { size } from "./size.mjs";
import { browserPrograms, missingPrograms, root, target } from "./tools.mjs";

const WASM = ["--target", "wasm32-unknown-unknown"];
const STEP_MS = 25 * 60_000;
const WEB_TEST_SECONDS = 120;

// These stand in the folder of the browser tests, but need no browser.
const isServersTest = (file) => file.startsWith("tests/e2e/servers");

/** A step resolves with its counts, or with nothing if it is one check that passed; it fails by rejecting. */
const steps = [
  { name: "fmt", run: () => check("cargo", ["fmt", "--check"]) },
  { name: "clippy", run: () => check("cargo", ["clippy", "--all-targets", "--", "-D", "warnings"]) },
  { name: "clippy-wasm", run: () => check("cargo", ["clippy", ...WASM, "--all-targets", "--", "-D", "warnings"]) },
  { name: "engine", run: () => cargoTest([]) },
  { name: "storm", run: () => cargoTest(["--profile", "sim", "--test", "storm", "--", "--ignored", "--nocapture"]) },
  { name: "mutations", run: mutations },
  { name: "fuzz", run: () => check("cargo", ["check", "--manifest-path", "fuzz/Cargo.toml", "--no-default-features"]) },
  { name: "build", run: build },
  { name: "size", needs: ["build"], run: size },
  { name: "pack", needs: ["build"], run: pack },
  ...eachBrowser("web", [], webTests),
  { name: "packaging", needs: ["pack"], run: () => nodeTest(testFiles("tests/packaging")) },
  { name: "servers", run: () => nodeTest(testFiles("tests/e2e").filter(isServersTest)) },
  ...eachBrowser("e2e", ["pack"], (browser) =>
    nodeTest(testFiles("tests/e2e").filter((file) => !isServersTest(file)), { BROWSER: browser }),
  ),
  ...eachBrowser("attacks", ["pack"], (browser) => nodeTest(testFiles("tests/attacks"), { BROWSER: browser })),
];

function eachBrowser(name, needs, runIn) {
  return Object.keys(browserPrograms).map((browser) => ({
    name: `${name}-${browser}`,
    needs,
    skip: () => lacking(browser),
    run: () => runIn(browser),
  }));
}

/** A browser that is not there is skipped where somebody develops, but not where the result decides. */
function lacking(browser) {
  const names = missingPrograms(browser).map(({ name }) => name);
  if (names.length === 0) return undefined;
  const reason = `${names.join(" and ")} not found`;
  if (process.env.CI) throw new Error(reason);
  return reason;
}

function testFiles(folder) {
  const names = readdirSync(join(root, folder)).filter((name) => name.endsWith(".test.mjs"));
  return names.sort().map((name) => `${folder}/${name}`);
}

async function check(command, args) {
  const { code } = await stream(command, args);
  if (code !== 0) throw new Error(`${command} ${args[0]}: ${code}`);
}

/** Counts what cargo's harness and the one for wasm print alike, once for each test program. */
async function cargoTest(args, env) {
  const { code, output } = await stream("cargo", ["test", "--no-fail-fast", ...args], env);
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const [, ok, failed, ignored] of output.matchAll(/^test result: .*?(\d+) passed; (\d+) failed; (\d+) ignored/gm)) {
    counts.passed += Number(ok);
    counts.failed += Number(failed);
    counts.skipped += Number(ignored);
  }
  return judged(counts, code);
}

async function webTests(browser) {
  const { startDriver } = await import("../tests/e2e/harness/browsers.mjs");
  const driver = await startDriver(browser);
  try {
    mkdirSync(target, { recursive: true });
    const capabilities = join(target, "webdriver.json");
    writeFileSync(capabilities, JSON.stringify(driver.capabilities));
    const remote = { chromium: "CHROMEDRIVER_REMOTE", firefox: "GECKODRIVER_REMOTE", webkit: "SAFARIDRIVER_REMOTE" };
    return await cargoTest([...WASM, "--test", "web_*"], {
      CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER: join(await wasmBindgen(), "wasm-bindgen-test-runner"),
      WASM_BINDGEN_TEST_TIMEOUT: String(WEB_TEST_SECONDS),
      WASM_BINDGEN_TEST_WEBDRIVER_JSON: capabilities,
      [remote[browser]]: driver.url,
    });
  } finally {
    await driver.close();
  }
}

async function nodeTest(files, env) {
  const args = ["--test", "--test-concurrency=1", "--test-reporter=spec", ...files];
  const { code, output } = await stream(process.execPath, args, env);
  const count = (what) => Number(new RegExp(`^ℹ ${what} (\\d+)$`, "m").exec(output)?.[1] ?? 0);
  return judged(
    { passed: count("pass"), failed: count("fail") + count("cancelled"), skipped: count("skipped") + count("todo") },
    code,
  );
}

/** A run that failed without a failed test, or that had no test to pass, has failed all the same. */
function judged(counts, code) {
  if (counts.failed === 0 && code !== 0) {
    console.log(`ended with ${code}, no failed test counted`);
    return { ...counts, failed: 1 };
  }
  if (counts.passed + counts.failed + counts.skipped === 0) throw new Error("no test was run");
  return counts;
}

/** Runs a program, its output passed through as it comes and kept. It may not outlive this process or the time limit. */
async function stream(command, args, env = {}) {
  const child = spawn(command, args, {
    cwd: root,
    detached: true,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const kill = () => process.kill(-child.pid, "SIGKILL");
  process.once("exit", kill);
  const limit = setTimeout(() => {
    console.log(`stopped after ${STEP_MS / 60_000} minutes`);
    kill();
  }, STEP_MS);
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text) => {
    output += text;
    process.stdout.write(text);
  });
  child.stderr.pipe(process.stderr, { end: false });
  try {
    const [code, signal] = await once(child, "close");
    return { code: code ?? signal, output };
  } finally {
    clearTimeout(limit);
    process.off("exit", kill);
  }
}

async function runStep(step, results) {
  const started = performance.now();
  const result = await attempt(step, results);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  results.set(step.name, { ...result, seconds });
}

async function attempt({ needs = [], skip, run }, results) {
  const broken = needs.filter((name) => results.get(name).failed > 0);
  if (broken.length > 0) return { passed: 0, failed: 1, skipped: 0, note: `not run: ${broken.join(", ")} failed` };
  try {
    const reason = skip?.();
    if (reason) return { passed: 0, failed: 0, skipped: 1, note: reason };
    const { passed = 1, failed = 0, skipped = 0 } = (await run()) ?? {};
    return { passed, failed, skipped };
  } catch (error) {
    return { passed: 0, failed: 1, skipped: 0, note: error.message };
  }
}

/** The steps whose names start with one of the words, and what they need. */
function selected(words) {
  const named = (name) => words.length === 0 || words.some((word) => name.startsWith(word));
  const wanted = new Set();
  const want = (step) => {
    for (const name of step.needs ?? []) want(steps.find((other) => other.name === name));
    wanted.add(step);
  };
  steps.filter(({ name }) => named(name)).forEach(want);
  if (wanted.size === 0) throw new Error(`no step starts with ${words.join(" or ")}`);
  return steps.filter((step) => wanted.has(step));
}

function summarise(results) {
  const total = { passed: 0, failed: 0, skipped: 0 };
  console.log("");
  for (const [name, { seconds, note, ...counts }] of results) {
    for (const key of Object.keys(total)) total[key] += counts[key];
    const parts = Object.entries(counts).filter(([, count]) => count > 0);
    const line = parts.map(([key, count]) => `${count} ${key}`).join(", ");
    console.log(`${name.padEnd(14)} ${seconds.padStart(7)} s  ${line}${note ? `: ${note.split("\n")[0]}` : ""}`);
  }
  console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
  if (total.failed > 0) process.exitCode = 1;
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(signal, () => process.exit(1));

const results = new Map();
const plan = [{ name: "setup", run: async () => (await setup({ tests: true }), { passed: 0 }) }];
plan.push(...selected(process.argv.slice(2)).map((step) => ({ ...step, needs: ["setup", ...(step.needs ?? [])] })));
for (const step of plan) {
  console.log(`\n== ${step.name}`);
  await runStep(step, results);
  const { note } = results.get(step.name);
  if (note) console.log(note);
}
summarise(results);
