// Takes out of the linked module what only costs bytes. What it does is checked by running the whole test suite on it.
import { readFile, writeFile } from "node:fs/promises";

/**
 * Functions that end in a trap whatever they do before. On this target nobody sees a panic's message, so they may trap
 * at once; the formatting that only they need goes with them.
 */
const PANICS =
  /panicking|panic_|unwrap_failed|expect_failed|slice_index_fail|slice_error_fail|handle_error|handle_alloc_error|capacity_overflow|rust_oom|rust_panic|alloc_error_hook| as core(\[\w+\])?::fmt::/;

/** Parts of wasm-bindgen's runtime that stand in the function table but that nothing can call: not exported. */
const UNCALLED = /wasm_bindgen::convert::closures::_::invoke|js_sys::futures/;

/** The source files in panics' locations, which nobody sees either. */
const SOURCE_FILE = /(?:\/rustc\/|cargo\/|src\/|library\/)[\w\-./]*?\.rs/g;

/** Long names of wasm-bindgen's that stand in both files, hashes among them, which do not compress. */
const LONG_NAME = /\b(?:__wbg_\w+_[0-9a-f]{16}|__wbindgen_\w+|__externref_\w+|wasm_bindgen__\w+)\b/g;

/** Trims `wasm` and `glue`, the files that wasm-bindgen made, in place. */
export async function trim(wasm, glue) {
  const { default: binaryen } = await import("binaryen");
  binaryen.setDebugInfo(true);
  const module = binaryen.readBinary(await readFile(wasm));
  const exported = new Set();
  for (let at = 0; at < module.getNumExports(); at++) {
    exported.add(binaryen.getExportInfo(module.getExportByIndex(at)).value);
  }
  let trimmed = 0;
  for (let at = 0; at < module.getNumFunctions(); at++) {
    const ref = module.getFunctionByIndex(at);
    const { name, module: importedFrom } = binaryen.getFunctionInfo(ref);
    if (importedFrom || exported.has(name) || !(PANICS.test(name) || UNCALLED.test(name))) continue;
    binaryen.Function.setBody(ref, module.unreachable());
    trimmed++;
  }
  if (trimmed === 0) throw new Error("trim.mjs knows none of the names in the module: have they changed?");

  const javascript = await readFile(glue, "utf8");
  const names = [...new Set(javascript.match(LONG_NAME))].sort();
  const shorten = (text) => text.replace(LONG_NAME, (name) => (names.includes(name) ? `i${names.indexOf(name)}` : name));
  const text = module.emitText().replace(SOURCE_FILE, (path) => "\\00".repeat(path.length));
  const renamed = binaryen.parseText(shorten(text));
  renamed.setFeatures(module.getFeatures());
  await writeFile(glue, shorten(javascript));
  await writeFile(wasm, renamed.emitBinary());
}
