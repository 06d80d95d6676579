// Builds dist/ from the crate and the hand-written modules. The same sources give the same bytes.
import { copyFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { wasmBindgen } from "./setup.mjs";
import { cli, dist, root, run, target } from "./tools.mjs";
import { trim } from "./trim.mjs";

const WASM = "wasm32-unknown-unknown";
const core = join(target, "core");

/** The stack lies below everything else: an eighth of the usual megabyte makes every address a byte shorter. */
const STACK = "-Clink-arg=-zstack-size=131072";

/** Names that only the modules and the glue among themselves know. */
const INTERNAL =
  /^(?:findRule|authorize|replied|step|mono|wall|settle|claims|catchUp|unlock|tell|lock|targets|deliver|deliverAll|interrupt|hold|flags|receiver|rule|refusing|silently|begin|finish|take|collect|endpoint|stamp|gate|newer|sent|_wbg_cb_unref|__destroy_into_raw|__wbg_ptr)$/;

export async function build() {
  await compile();
  await rm(dist, { recursive: true, force: true });
  await mkdir(dist);
  await optimise();
  await bundle();
  for (const types of ["index.d.ts", "callback.d.ts", "service-worker.d.ts"]) await copyFile(join(root, "src/js", types), join(dist, types));
}

async function compile() {
  // Panic locations would otherwise tell where the crate was built.
  const cargoHome = process.env.CARGO_HOME ?? join(homedir(), ".cargo");
  const remap = [`--remap-path-prefix=${cargoHome}=cargo`, `--remap-path-prefix=${root}=`];
  await run("cargo", ["build", "--release", "--lib", "--target", WASM, "--target-dir", target], {
    env: { ...process.env, CARGO_ENCODED_RUSTFLAGS: [...remap, STACK].join("\x1f") },
  });
  // The default module path would have bundlers look for a file that is not in the package.
  const options = ["--target", "web", "--no-typescript", "--omit-default-module-path", "--out-name", "core"];
  options.push("--remove-producers-section", "--out-dir", core);
  const wasm = join(target, WASM, "release", "tokenward.wasm");
  await run(join(await wasmBindgen(), "wasm-bindgen"), [...options, wasm]);
}

async function optimise() {
  await trim(join(core, "core_bg.wasm"), join(core, "core.js"));
  const strip = ["--strip-debug", "--strip-producers", "--strip-target-features"];
  // Large functions inlined into their only caller save raw bytes, but cost 3 % of the compressed ones; code that is alike
  // compresses better side by side.
  const inline = ["--one-caller-inline-max-function-size", "20", "--always-inline-max-function-size", "6"];
  const passes = ["--flatten", "--rereloop", "-Os", "-Oz", "--converge", "--low-memory-unused", "--reorder-functions-by-name"];
  // Those that rustc uses for this target; trimming loses the section that says so.
  const features = ["bulk-memory", "multivalue", "mutable-globals", "nontrapping-float-to-int", "reference-types", "sign-ext"];
  const enable = features.map((feature) => `--enable-${feature}`);
  const wasmOpt = join(root, "node_modules/.bin/wasm-opt");
  const file = join(core, "core_bg.wasm");
  await run(wasmOpt, [...passes, ...enable, ...inline, ...strip, file, "-o", join(dist, "core.wasm")]);
}

async function bundle() {
  const [isPage, isWorker] = [{ HAS_WORKERS: "true" }, { HAS_WORKERS: "false" }];
  // What has the wasm in it: a bundler must not find the way to the file as well.
  const isWhole = { "import.meta.url": "undefined" };
  await link(["index.js", "callback.js", "remote.js"], isPage);
  await link(["inline.js"], { ...isPage, ...isWhole });
  await link(["service-worker.js", "worker.js"], { ...isWorker, ...isWhole });
  await minifyAll();
}

async function link(entries, define) {
  const { build: esbuild } = await import("esbuild");
  await esbuild({
    absWorkingDir: root,
    entryPoints: entries.map((name) => `src/js/${name}`),
    define,
    outdir: dist,
    alias: { "tokenward-core": join(core, "core.js"), "tokenward-wasm": join(dist, "core.wasm") },
    bundle: true,
    // Pages that need it load it, and nobody else.
    external: ["./remote.js"],
    // In the glue: built-ins that no page script can have replaced.
    inject: [join(root, "src/js/natives.js")],
    minify: true,
    format: "esm",
    platform: "neutral",
    target: "es2022",
    loader: { ".wasm": "binary" },
    legalComments: "none",
    // wasm-bindgen's glue warns of uses that loader.js does not make.
    drop: ["console"],
    logLevel: "warning",
  });
}

/** esbuild links, terser makes it smaller: 4 % of the compressed bytes. */
async function minifyAll() {
  const { minify } = await import("terser");
  // The same names everywhere: what one file makes, another one uses.
  const nameCache = {};
  const options = {
    module: true,
    ecma: 2020,
    compress: { passes: 5, unsafe_arrows: true, unsafe_methods: true },
    mangle: { properties: { regex: INTERNAL } },
    nameCache,
  };
  for (const name of ["index.js", "inline.js", "callback.js", "service-worker.js", "remote.js", "worker.js"]) {
    const file = join(dist, name);
    const { code } = await minify(await readFile(file, "utf8"), options);
    await writeFile(file, code);
  }
}

await cli(import.meta, build);
