import { Array, Object, TypeError } from "./natives.js";

const MESSAGES = {
  core_unavailable: "The WebAssembly of tokenward could not be loaded.",
  token_unavailable: "No access token could be obtained within waitSeconds.",
  not_renewable: "There is nothing to renew the tokens with.",
  signed_out: "Nobody is signed in, or the session ended.",
  closed: "The ward has been closed.",
  internal_error: "A defect of tokenward closed the ward.",
  state_mismatch: "The state must be of a sign-in under way in this tab.",
  transaction_expired: "A sign-in must be finished within 10 minutes.",
  issuer_mismatch: "The issuer must be the one that was asked.",
  metadata_invalid: "The authorization server's % must be a secure URL.",
  authorization_failed: "The authorization server refused: %.",
  token_request_failed: "The authorization server refused: %.",
  server_unavailable: "The authorization server gave no usable answer.",
  id_token_invalid: "The ID token breaks the rule for its %.",
  token_type_mismatch: "The authorization server issued another type of token than the option dpop asks for.",
  endpoint_unknown: "The authorization server has no %.",
  service_worker_unavailable: "No service worker of tokenward took control of the page in time.",
  popup_blocked: "The browser opened no popup.",
  popup_closed: "The popup was closed.",
};

export class TokenWardError extends Error {
  constructor(code, { detail = "", status = null, ...options } = {}) {
    super(MESSAGES[code].replace("%", detail || "no reason"), options);
    this.name = "TokenWardError";
    this.code = code;
    this.retryable = /_unavailable$/.test(code);
    this.status = status;
    // What the detail is.
    this.error = /(_failed|r_unavailable)$/.test(code) && detail ? detail : null;
    this.claim = code === "id_token_invalid" ? detail : null;
  }
}

Object.freeze(TokenWardError.prototype);
Object.freeze(TokenWardError);

/** What is wrong with an argument: `code` is one of `index.d.ts`. */
export const invalid = (code, message) => Object.assign(new TypeError(message), { code });

/** Core throws what is wrong as an array. */
export const asked = (call) => {
  try {
    return call();
  } catch (error) {
    if (!Array.isArray(error)) throw error;
    const [code, detail, status] = error;
    throw /^invalid/.test(code) ? invalid(code, detail) : new TokenWardError(code, { detail, status });
  }
};
