// A project that has the packed package in its node_modules: in Node, and under TypeScript.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";
import { packed, root, target } from "../../scripts/tools.mjs";

const consumer = join(target, "consumer");

// Prints the exports, and any global that was added or replaced.
const LOOK = `
  const look = () => new Map(Reflect.ownKeys(globalThis).map((key) => [key, globalThis[key]]));
  look(); // Node makes some globals when they are first read
  const before = look();
  const exports = await import(process.argv[2]);
  const changed = [...look()].filter(([key, value]) => !before.has(key) || !Object.is(before.get(key), value));
  console.log(JSON.stringify({ exports: Object.keys(exports).sort(), changed: changed.map(([key]) => String(key)) }));
`;

before(() => {
  rmSync(consumer, { recursive: true, force: true });
  mkdirSync(join(consumer, "node_modules"), { recursive: true });
  symlinkSync(packed, join(consumer, "node_modules", "tokenward"));
  writeFileSync(join(consumer, "package.json"), '{ "type": "module" }');
  writeFileSync(join(consumer, "look.mjs"), LOOK);
  for (const file of ["usage.ts", "worker.ts"]) copyFileSync(join(root, "tests/types", file), join(consumer, file));
});

const ENTRIES = {
  "tokenward": ["TokenWard", "TokenWardError"],
  "tokenward/inline": ["TokenWard", "TokenWardError"],
  "tokenward/callback": ["frontChannelLogout", "relay"],
};

for (const [entry, exports] of Object.entries(ENTRIES)) {
  test(`importing ${entry} in Node changes nothing, says nothing and ends`, () => {
    const options = { cwd: consumer, encoding: "utf8", timeout: 20_000 };
    const { stdout, stderr } = spawnSync(process.execPath, ["--no-warnings", "look.mjs", entry], options);
    assert.equal(stderr, "");
    assert.deepEqual(JSON.parse(stdout), { exports, changed: [] });
  });
}

test("the functions of tokenward/callback do nothing in Node, and let it end", () => {
  const script = `
    import { frontChannelLogout, relay } from "tokenward/callback";
    console.log(relay(), frontChannelLogout({ issuer: "https://id.example.com", clientId: "spa" }));`;
  const options = { cwd: consumer, encoding: "utf8", timeout: 20_000 };
  const args = ["--no-warnings", "--input-type=module", "--eval", script];
  const { stdout, stderr, status } = spawnSync(process.execPath, args, options);
  assert.deepEqual([stdout, stderr, status], ["false undefined\n", "", 0]);
});

/** Compiles a file of the consumer's, strictly. */
function compile(file, lib, moduleResolution) {
  const compilerOptions = {
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: false,
    noEmit: true,
    target: "es2022",
    lib,
    types: [],
    module: moduleResolution === "nodenext" ? "nodenext" : "esnext",
    moduleResolution,
  };
  const project = join(consumer, `tsconfig.${file}.${moduleResolution}.json`);
  writeFileSync(project, JSON.stringify({ compilerOptions, files: [file] }));
  const { status, stdout } = spawnSync(join(root, "node_modules/.bin/tsc"), ["-p", project], { encoding: "utf8" });
  assert.equal(status, 0, stdout);
}

for (const moduleResolution of ["bundler", "nodenext"]) {
  test(`the types hold under ${moduleResolution}`, () => compile("usage.ts", ["es2022", "dom"], moduleResolution));
  test(`those of the service worker hold in a worker's project under ${moduleResolution}`, () =>
    compile("worker.ts", ["es2022", "webworker"], moduleResolution));
}
