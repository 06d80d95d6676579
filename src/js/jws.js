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

/** Where the claims and the signature of a compact JWS begin (RFC 7515 section 7.1); throws for anything else. */
function split(token) {
  const claims = indexOf(token, ".") + 1;
  const signature = indexOf(token, ".", claims) + 1;
  if (!signature || indexOf(token, ".", signature) >= 0) throw claims;
  return { claims, signature };
}

/** The header (0) or the claims (1), not verified; undefined for anything that is no JWS. */
export const part = (token, at) => {
  try {
    const { claims, signature } = split(token);
    return JSON.parse(new TextDecoder().decode(decode(at ? slice(token, claims, signature - 1) : slice(token, 0, claims - 1))));
  } catch {
    return undefined;
  }
};

/** Whether this JWK verifies the signature of a compact JWS by this algorithm of WebCrypto's. */
export async function verify(algorithm, { kty, crv, x, y, n, e }, token) {
  const { signature } = split(token);
  // Only what makes the key: engines differ in what else of a JWK they object to.
  const key = await subtle.importKey("jwk", { kty, crv, x, y, n, e }, algorithm, false, ["verify"]);
  return subtle.verify(algorithm, key, decode(slice(token, signature)), bytesOf(slice(token, 0, signature - 1)));
}

export const digest = async (hash, text) => new Uint8Array(await subtle.digest(hash, bytesOf(text)));
