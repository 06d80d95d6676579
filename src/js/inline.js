import wasm from "tokenward-wasm";
import { preset } from "./loader.js";

preset(wasm);

export { TokenWard, TokenWardError } from "./index.js";
