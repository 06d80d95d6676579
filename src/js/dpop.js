import { bytesOf, digest } from "./jws.js";
import { URL, Uint8Array, crypto, getRandomValues, hrefOf, subtle } from "./natives.js";
import { BASE64URL, JWK, PROOF } from "./steps.js";

const ES256 = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

export const generateKey = () => subtle.generateKey(ES256, false, ["sign"]);

/** Proves the possession of one key (RFC 9449). The private half can be used by whoever has this object, and read by nobody. */
export class Prover {
  #step;
  #pair;
  #coordinates;
  /** The hash of the newest access token, and which one that is. */
  #ath;
  #athOf;

  /** @param step asks the ward's Core */
  constructor(step, pair) {
    this.#step = step;
    this.#pair = pair;
  }

  /** A `CryptoKeyPair`, for whoever may use it as well. */
  get pair() {
    return this.#pair;
  }

  /** Resolves with the thumbprint of the public key (RFC 7638). */
  async thumbprint() {
    return this.#hash(this.#step(JWK, await this.#jwk()));
  }

  /**
   * Resolves with the proof for a request.
   *
   * @param accessToken what goes along, if any, and `stamp` which one it is
   */
  async prove(method, href, accessToken, stamp) {
    const { x, y } = await this.#jwk();
    if (accessToken !== undefined && this.#athOf !== stamp) {
      this.#athOf = stamp;
      this.#ath = this.#hash(accessToken);
    }
    const ath = accessToken === undefined ? undefined : await this.#ath;
    const jti = this.#encode(getRandomValues(crypto, new Uint8Array(16)));
    const input = this.#step(PROOF, { x, y, ath, jti, method, url: hrefOf(new URL(href)) });
    const signature = await subtle.sign(ES256, this.#pair.privateKey, bytesOf(input));
    return `${input}.${this.#encode(new Uint8Array(signature))}`;
  }

  #jwk() {
    return (this.#coordinates ??= subtle.exportKey("jwk", this.#pair.publicKey));
  }

  #encode(bytes) {
    return this.#step(BASE64URL, bytes);
  }

  async #hash(text) {
    return this.#encode(await digest("SHA-256", text));
  }
}
