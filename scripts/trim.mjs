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

/** Texts that only panics would show, and the digits that only formatting needs. */
const PANIC_TEXT =
  /attempted to take ownership of Rust value while it was borrowed|recursive use of an object detected which would lead to unsafe aliasing in rust|FnOnce called more than once|closure invoked recursively or after being dropped|(?:window|chunk) size must be non-zero|called `[\w:]+\(\)` on an? `\w+` value|assertion `left (?:\\00)*right` failed(?:: )?|insertion index \(is |\) should be <= len \(is |removal index \(is |\) should be < len \(is |null pointer passed to rust|Tried to shrink to a larger capacity|capacity overflow|RefCell already (?:mutably )?borrowed|Map key is not a string and cannot be an object key|00010203040506\d+99|0x0123456789ABCDEF|0123456789abcdef/g;

/** Long names of wasm-bindgen's that stand in both files, hashes among them, which do not compress. */
const LONG_NAME = /\b(?:__wbg_\w+_[0-9a-f]{16}|__wbindgen_\w+|__externref_\w+|wasm_bindgen__\w+|core_(?!bg)\w+)\b/g;

/** What the glue does for engines that this package does not run in, and for callers other than `loader.js`. */
const FALLBACKS = [
  /\(typeof FinalizationRegistry === 'undefined'\)\s*\?[\s\S]*?\n\s*:(?= new)/g,
  /const MAX_SAFARI_DECODE_BYTES = \d+;\s*let numBytesDecoded = 0;/g,
  /numBytesDecoded \+= bytes\.length;\s*if \(numBytesDecoded[\s\S]*?\n {4}\}/g,
  /if \(!\('encodeInto' in cachedTextEncoder\)\) \{[\s\S]*?\n\}/g,
  /if \(!\(module instanceof WebAssembly\.Module\)\) \{[\s\S]*?\n {4}\}/g,
  /if \(Object\.getPrototypeOf\(module\) === Object\.prototype\) (?=\{)|else \{\s*console\.warn\('using deprecated parameters for `initSync[\s\S]*?\}/g,
];

/**
 * Whatever sees a secret, or the memory that they are in, or decides by a string where one goes, the glue has to do by the
 * built-ins of `natives.js`: no method is looked up where a page script can replace it. The build replaces its globals by
 * theirs.
 */
const LATE_LOOKUPS = [
  [/arg\.charCodeAt\(offset\)/g, "charCodeAt(arg, offset)"],
  [/arg\.slice\(offset\)/g, "slice(arg, offset)"],
  [/f\.apply\(this, args\)/g, "apply(f, this, args)"],
  [/if \(realloc === undefined\) \{[\s\S]*?\n {4}\}/g, ""],
  [/Uint8Array\.prototype\.set\.call\((getArrayU8FromWasm0\(arg0, arg1\)), /g, "$1.set("],
  [/new Uint8Array\((?=getArrayU8FromWasm0)/g, "new Bytes("],
  [/getUint8ArrayMemory0\(\)\.subarray\((.+?), (.+?)\)(?=;|\))/g, "new Uint8Array(bufferOf(wasm.memory), $1, $2 - ($1))"],
  [/(getDataViewMemory0\(\) \{)[\s\S]*?\n\}/g, "$1 return new DataView(bufferOf(wasm.memory)); }"],
  [/let cachedDataViewMemory0 = null;|cachedDataViewMemory0 = null;/g, ""],
  [/wasm\.memory\.buffer/g, "bufferOf(wasm.memory)"],
  [/new WebAssembly\.Instance\(module, imports\)/g, "connect(module, imports)"],
  [/instance\.exports/g, "instance"],
  [/wasm\.__wbindgen_externrefs/g, "wasm.externrefs"],
  [/wasm\.externrefs\.get\(/g, "tableGet(wasm.externrefs, "],
  [/(wasm\.externrefs|\btable)\.set\(/g, "tableSet($1, "],
  [/new Object\(\)/g, "{}"],
  [/new Array\(\)/g, "[]"],
  [/arg0\[arg1\] = arg2/g, "put(arg0, arg1, arg2)"],
  [/arg0\.addEventListener\(/g, "listen(arg0, "],
  [/arg0\.removeEventListener\(/g, "unlisten(arg0, "],
];

/**
 * The instance exports nothing: V8 gives it to whoever has an error's stack prepared while one of its functions is under way
 * (`CallSite#getThis`). Its memory, the table of its values and its functions, in a table, are made here and kept here.
 */
const CONNECT = (memory, externrefs, functions) => `
function connect(module, imports) {
  const inside = {
    __proto__: null,
    memory: new WebAssembly.Memory({ __proto__: null, initial: ${memory} }),
    externrefs: new WebAssembly.Table({ __proto__: null, element: "externref", initial: ${externrefs} }),
  };
  const functions = new WebAssembly.Table({ __proto__: null, element: "anyfunc", initial: ${functions} });
  const own = imports["./core_bg.js"];
  own.memory = inside.memory;
  own.externrefs = inside.externrefs;
  own.functions = functions;
  new WebAssembly.Instance(module, imports);
  for (let at = 0; at < ${functions}; at += 1) inside[at] = tableGet(functions, at);
  return inside;
}
`;

/** Makes imports of what a module exports, in its text, and has its glue take the functions by their place. */
function hideExports(text, glue) {
  const names = [];
  const functions = [];
  const imports = [];
  const inside = text
    .replace(/^ \(export "(.+)" \(func (.+)\)\)\n/gm, (_, name, func) => {
      names.push(name);
      functions.push(func);
      return "";
    })
    .replace(/^ \(export .+\n/gm, "")
    .replace(/^ \(memory (\S+) (\d+)\)\n/m, (_, id, size) => {
      imports.push(["memory", `(memory ${id} ${size})`, size]);
      return "";
    })
    .replace(/^ \(table (\S+) (\d+) externref\)\n/m, (_, id, size) => {
      imports.push(["externrefs", `(table ${id} ${size} externref)`, size]);
      return "";
    });
  const count = functions.length;
  imports.push(["functions", `(table $functions ${count} funcref)`, count]);
  const lines = imports.map(([name, what]) => ` (import "./core_bg.js" "${name}" ${what})\n`).join("");
  const elements = ` (elem (table $functions) (i32.const 0) func ${functions.join(" ")})\n`;
  const [first] = /^ \(import/m.exec(inside);
  return {
    text: inside.replace(first, lines + first).replace(/\)\s*$/, `${elements})`),
    glue:
      glue.replace(/\bwasm\.(\w+)/g, (whole, name) => {
        const at = names.indexOf(name);
        return at < 0 ? whole : `wasm[${at}]`;
      }) + CONNECT(...imports.map(([, , size]) => size)),
  };
}

/** What a new version of the glue may bring elsewhere. */
const LATE_LOOKUP = /\.(?:charCodeAt|slice|apply|call|subarray|buffer)\b/;

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

  let javascript = await readFile(glue, "utf8");
  for (const [found, by] of [...FALLBACKS.map((fallback) => [fallback, ""]), ...LATE_LOOKUPS]) {
    const rest = javascript.replace(found, by);
    if (rest === javascript) throw new Error(`trim.mjs does not find ${found} in the glue: has it changed?`);
    javascript = rest;
  }
  const late = LATE_LOOKUP.exec(javascript);
  if (late) throw new Error(`trim.mjs leaves ${late} in the glue: what does it see there?`);
  const names = [...new Set(javascript.match(LONG_NAME))].sort();
  const shorten = (text) => text.replace(LONG_NAME, (name) => (names.includes(name) ? `i${names.indexOf(name)}` : name));
  const blank = (text) => "\\00".repeat(text.length);
  const text = module.emitText().replace(SOURCE_FILE, blank).replace(PANIC_TEXT, blank);
  const hidden = hideExports(shorten(text), shorten(javascript));
  const renamed = binaryen.parseText(hidden.text);
  renamed.setFeatures(module.getFeatures());
  await writeFile(glue, hidden.glue);
  await writeFile(wasm, renamed.emitBinary());
}
