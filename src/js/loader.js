import { initSync } from "tokenward-core";
import { TokenWardError } from "./errors.js";
import { Uint8Array, WebAssembly, bufferOf, lockAnswers, nativeFetch } from "./natives.js";

let embedded;
let loading;
let memory;

/** Uses these bytes where the app names no other source. */
export const preset = (wasm) => {
  embedded = wasm;
};

/** Loads the wasm once a page; a failed load may be tried again. */
export const load = (source) =>
  (loading ??= instantiate(source).catch((cause) => {
    loading = undefined;
    throw new TokenWardError("core_unavailable", { cause });
  }));

/** Loads the wasm at once, and once, which only workers may do with more than 4 kB. */
export const loadNow = (wasm) => {
  if (!memory) ({ memory } = initSync({ module: new WebAssembly.Module(wasm) }));
};

/** Overwrites all that any ward of the page holds. */
export const wipe = () => new Uint8Array(bufferOf(memory)).fill(0);

// Bundlers find the file by this very expression.
async function instantiate(source = embedded ?? new URL("./core.wasm", import.meta.url)) {
  lockAnswers();
  if (typeof source === "string" || source instanceof URL) {
    const response = await nativeFetch(source);
    if (!response.ok) throw new Error(`${response.url} answered ${response.status}`);
    // Compiling the stream would need the right media type, which servers are known to get wrong.
    source = await response.arrayBuffer();
  }
  // What this returns holds the tokens: nobody gets it.
  ({ memory } = initSync({ module: source instanceof WebAssembly.Module ? source : await WebAssembly.compile(source) }));
}
