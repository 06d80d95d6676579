// The packed package, as a consumer gets it.
import assert from "node:assert/strict";
import { readFileSync, readdirSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { build } from "esbuild";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { packed, root } from "../../scripts/tools.mjs";

const read = (file) => readFileSync(join(packed, file), "utf8");
const manifest = JSON.parse(read("package.json"));
const files = readdirSync(packed, { recursive: true }).filter((file) => statSync(join(packed, file)).isFile());
const modules = files.filter((file) => file.endsWith(".js"));

test("holds these files and no other", () => {
  assert.deepEqual(files.sort(), [
    "CHANGELOG.md",
    "LICENSE",
    "LICENSE-APACHE",
    "README.md",
    "SECURITY.md",
    "dist/callback.d.ts",
    "dist/callback.js",
    "dist/core.wasm",
    "dist/index.d.ts",
    "dist/index.js",
    "dist/inline.js",
    "dist/remote.js",
    "dist/service-worker.d.ts",
    "dist/service-worker.js",
    "dist/worker.js",
    "package.json",
  ]);
});

test("every file of an entry is there, and callback.js is small and without WebAssembly", () => {
  const entries = Object.values(manifest.exports).flatMap((entry) => (typeof entry === "string" ? entry : Object.values(entry)));
  for (const entry of entries) assert.ok(files.includes(entry.replace("./", "")), entry);
  const callback = read("dist/callback.js");
  assert.doesNotMatch(callback, /WebAssembly\.|core\.wasm/);
  assert.ok(callback.length < 2048, `${callback.length}`);
});

test("publint has nothing to say", async () => {
  const { messages } = await publint({ pkgDir: packed, strict: true });
  assert.deepEqual(
    messages.map((message) => formatMessage(message, manifest)),
    [],
  );
});

test("brings no dependency and runs nothing when installed", () => {
  for (const key of ["dependencies", "peerDependencies", "optionalDependencies", "bundleDependencies", "bin"]) {
    assert.equal(manifest[key], undefined, key);
  }
  for (const script of ["preinstall", "install", "postinstall", "prepare", "prepack"]) {
    assert.equal(manifest.scripts[script], undefined, script);
  }
});

test("the modules refer to nothing outside the package", async () => {
  for (const file of modules) {
    const entryPoints = [join(packed, file)];
    const { metafile } = await build({ entryPoints, bundle: true, format: "esm", packages: "external", write: false, metafile: true });
    const code = read(file);
    // The one that a page loads only if its tokens are in a worker.
    const own = [...code.matchAll(/\bimport\s*\(\s*(["'`])(.*?)\1\)/g)].map(([, , path]) => path);
    assert.deepEqual(own, /(index|inline)\.js$/.test(file) ? ["./remote.js"] : [], file);
    const inputs = Object.entries(metafile.inputs).filter(([path]) => !path.endsWith("remote.js"));
    assert.deepEqual(inputs.flatMap(([, { imports }]) => imports.map(({ original }) => original)), own, file);
    for (const [, , path] of code.matchAll(/new URL\((["'`])(.*?)\1,\s*import\.meta\.url\)/g)) {
      assert.ok(statSync(join(packed, dirname(file), path)).isFile(), path);
    }
  }
});

test("the modules work under a strict content security policy", () => {
  for (const file of modules) assert.doesNotMatch(read(file), /\beval\b|\bnew Function\b|\bFunction\(/, file);
});

test("says nothing about the machine it was built on", () => {
  for (const file of files) {
    const text = readFileSync(join(packed, file), "latin1");
    for (const folder of [homedir(), root]) assert.ok(!text.includes(folder.replace(/\/$/, "")), `${file}: ${folder}`);
  }
});

test("the lock file names no registry", () => {
  assert.doesNotMatch(readFileSync(join(root, "package-lock.json"), "utf8"), /"resolved":/);
});
