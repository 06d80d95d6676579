export { TokenWardError } from "./errors.js";
export { TokenWard } from "./ward.js";
