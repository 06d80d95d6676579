import { JSON, TextDecoder, TextEncoder, Uint8Array, indexOf, slice, subtle } from "./natives.js";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

export const bytesOf = (text) => new TextEncoder().encode(text);

/** base64url without padding (RFC 7515 appendix C). By no method that a script may have replaced: it sees tokens. */
function decode(text) {
  const bytes = new Uint8Array((text.length * 3) >> 2);
  let bits = 0;
  for (let at = 0, end = 0; at < text.length; at += 1) {
    const value = indexOf(ALPHABET, text[at]);
    if (value < 0) throw text.length;
    bits = (bits << 6) | value;
    if (at % 4) bytes[end++] = bits >> ((-2 * (at + 1)) & 6);
  }
  return bytes;
}

/** The header (0), the claims (1) and the signature (2) of a compact JWS (RFC 7515 section 7.1); undefined for anything else. */
function split(token) {
  const first = indexOf(token, ".");
  const second = indexOf(token, ".", first + 1);
  return first < 0 || second < 0 || indexOf(token, ".", second + 1) >= 0
    ? undefined
    : { 0: slice(token, 0, first), 1: slice(token, first + 1, second), 2: slice(token, second + 1), signed: slice(token, 0, second) };
}

/** The header (0) or the claims (1), not verified; undefined for anything that is no JWS. */
export const part = (token, at) => {
  try {
    return JSON.parse(new TextDecoder().decode(decode(split(token)[at])));
  } catch {
    return undefined;
  }
};

/** Whether this JWK verifies the signature of a compact JWS by this algorithm of WebCrypto's. */
export async function verify(algorithm, { kty, crv, x, y, n, e }, token) {
  const { 2: signature, signed } = split(token);
  // Only what makes the key: engines differ in what else of a JWK they object to.
  const key = await subtle.importKey("jwk", { kty, crv, x, y, n, e }, algorithm, false, ["verify"]);
  return subtle.verify(algorithm, key, decode(signature), bytesOf(signed));
}

export const digest = async (hash, text) => new Uint8Array(await subtle.digest(hash, bytesOf(text)));
