// What a resource server asks of a token that is bound to a key (RFC 9449 section 7).
import { decodeJwt } from "jose";
import { allowInsecureRequests, validateJwtAccessToken } from "oauth4webapi";

/** How many proofs are remembered, lest one is used twice. */
const MAX_SEEN = 10_000;

const challenge = (error, description) =>
  `DPoP algs="ES256", error="${error}"${description ? `, error_description="${description}"` : ""}`;

/**
 * @param {object} options
 * @param {string} options.issuer
 * @param {string} options.audience
 * @param {string} options.jwksUri
 */
export function createProofCheck({ issuer, audience, jwksUri }) {
  const server = { issuer, jwks_uri: jwksUri };
  const seen = new Set();

  /** Resolves with the claims of the token, or with a `refusal`. `nonce`: what the proof has to have, if anything. */
  return async function check({ url, method, headers }, nonce) {
    const { authorization, dpop } = headers;
    if (!dpop) return { status: 401, refusal: challenge("invalid_dpop_proof", "A proof is needed") };
    let proof;
    try {
      proof = decodeJwt(dpop);
    } catch {
      return { status: 401, refusal: challenge("invalid_dpop_proof", "The proof is no JWT") };
    }
    if (nonce !== undefined && proof.nonce !== nonce) return { status: 401, refusal: challenge("use_dpop_nonce") };
    const request = new Request(url, { method, headers: { authorization, dpop } });
    try {
      const payload = await validateJwtAccessToken(server, request, audience, { requireDPoP: true, [allowInsecureRequests]: true });
      if (seen.has(proof.jti)) return { status: 401, refusal: challenge("invalid_dpop_proof", "The proof was used before") };
      if (seen.size === MAX_SEEN) seen.clear();
      seen.add(proof.jti);
      return { payload };
    } catch (error) {
      const isExpired = error.cause?.claim === "exp";
      return { status: 401, refusal: challenge("invalid_token", isExpired ? "The access token expired" : error.message), isExpired };
    }
  };
}
