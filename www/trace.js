// What happened so far, as the timeline draws it. Times are milliseconds since the Unix epoch.

const KEPT_MS = 10 * 60_000;

export class Trace {
  /** `{ generation, from, expiresAt, to }`; `to` is when the next one took over or the session ended */
  tokens = [];
  /** `{ at, outcome }`; outcome is accepted, delayed or failed */
  refreshes = [];
  /** `{ from, to, state, token }`; state is pending, answered or failed; token is yes, no or unknown */
  requests = [];
  #generationOf = new Map();

  tokenAccepted({ generation, expiresAt }) {
    this.#endToken();
    this.tokens.push({ generation, from: Date.now(), expiresAt, to: null });
    if (generation > 1) this.refreshEnded("accepted");
    this.#forgetOld();
  }

  refreshEnded(outcome) {
    this.refreshes.push({ at: Date.now(), outcome });
  }

  signedOut() {
    const last = this.#endToken();
    // A wiped token has nothing in reserve.
    if (last) last.expiresAt = last.to;
    this.#generationOf.clear();
  }

  requestBegan() {
    const request = { from: Date.now(), to: null, state: "pending", token: "unknown" };
    this.requests.push(request);
    return request;
  }

  requestEnded(request, { ok, token }) {
    Object.assign(request, { to: Date.now(), state: ok ? "answered" : "failed", token });
  }

  /** Which generation a request used: the API names the token it got, by its `jti`, and a new name is the newest token. */
  generationOf(tokenId) {
    if (!this.#generationOf.has(tokenId)) this.#generationOf.set(tokenId, this.tokens.at(-1)?.generation);
    return this.#generationOf.get(tokenId);
  }

  #endToken() {
    const last = this.tokens.at(-1);
    if (last) last.to ??= Date.now();
    return last;
  }

  #forgetOld() {
    const oldest = Date.now() - KEPT_MS;
    this.tokens = this.tokens.filter(({ to }) => to === null || to > oldest);
    this.refreshes = this.refreshes.filter(({ at }) => at > oldest);
    this.requests = this.requests.filter(({ from }) => from > oldest);
  }
}
