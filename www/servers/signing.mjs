// The authorization server's key, and tokens that are made with it without the server's say.
import { generateKeyPairSync } from "node:crypto";
import { calculateJwkThumbprint, CompactSign } from "jose";

const KEY_TYPES = {
  ES256: ["ec", { namedCurve: "P-256" }],
  RS256: ["rsa", { modulusLength: 2048 }],
  PS256: ["rsa", { modulusLength: 2048 }],
  EdDSA: ["ed25519"],
};

const base64url = (text) => Buffer.from(text).toString("base64url");

/** @param {"ES256" | "RS256" | "PS256" | "EdDSA"} alg */
export async function createSigningKey(alg) {
  const { privateKey, publicKey } = generateKeyPairSync(...KEY_TYPES[alg]);
  const publicJwk = publicKey.export({ format: "jwk" });
  const kid = await calculateJwkThumbprint(publicJwk);
  const named = { kid, use: "sig", alg };

  /** @param {object | string} claims a string is signed as it is */
  async function sign(claims, { header, key = privateKey } = {}) {
    const whole = Object.entries({ alg, kid, ...header }).filter(([, value]) => value !== undefined);
    const protectedHeader = Object.fromEntries(whole);
    const payload = typeof claims === "string" ? claims : JSON.stringify(claims);
    // jose makes no token without a signature.
    if (protectedHeader.alg === "none") return `${base64url(JSON.stringify(protectedHeader))}.${base64url(payload)}.`;
    return new CompactSign(Buffer.from(payload)).setProtectedHeader(protectedHeader).sign(key);
  }

  return {
    alg,
    privateJwks: { keys: [{ ...privateKey.export({ format: "jwk" }), ...named }] },
    publicJwks: { keys: [{ ...publicJwk, ...named }] },
    sign,
  };
}
