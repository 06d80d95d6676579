import { JSON, TextDecoder, TextEncoder, Uint8Array, atob, subtle } from "./natives.js";

export const bytesOf = (text) => new TextEncoder().encode(text);

const decode = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (character) => character.charCodeAt(0));

/** The header (0) or the claims (1) of a compact JWS (RFC 7515 section 7.1), not verified; undefined for anything else. */
export const part = (token, at) => {
  const parts = token.split(".");
  try {
    return parts.length === 3 ? JSON.parse(new TextDecoder().decode(decode(parts[at]))) : undefined;
  } catch {
    return undefined;
  }
};

/** Whether this JWK verifies the signature of a compact JWS by this algorithm of WebCrypto's. */
export async function verify(algorithm, { kty, crv, x, y, n, e }, token) {
  const [header, claims, signature] = token.split(".");
  // Only what makes the key: engines differ in what else of a JWK they object to.
  const key = await subtle.importKey("jwk", { kty, crv, x, y, n, e }, algorithm, false, ["verify"]);
  return subtle.verify(algorithm, key, decode(signature), bytesOf(`${header}.${claims}`));
}

export const digest = async (hash, text) => new Uint8Array(await subtle.digest(hash, bytesOf(text)));
