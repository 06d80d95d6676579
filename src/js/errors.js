const MESSAGES = {
  core_unavailable: "The WebAssembly of tokenward could not be loaded.",
  token_unavailable: "No access token could be obtained within waitSeconds.",
  not_renewable: "There is no refresh token and no refresh callback.",
  signed_out: "Nobody is signed in, or the session ended.",
  closed: "The ward has been closed.",
  internal_error: "A defect of tokenward closed the ward.",
};

const RETRYABLE = ["core_unavailable", "token_unavailable"];

export class TokenWardError extends Error {
  constructor(code, options) {
    super(MESSAGES[code], options);
    this.name = "TokenWardError";
    this.code = code;
    this.retryable = RETRYABLE.includes(code);
  }
}
