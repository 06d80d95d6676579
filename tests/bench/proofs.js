// 100 requests at once whose token is bound to a key: what signing costs, and what the rest does.
import { TOKEN } from "./network.js";

const ES256 = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const LISTED = "https://bound.example.test/v1";
const ORDERS = `${LISTED}/orders?page=`;
/** As much as a proof has. */
const INPUT = new Uint8Array(450);

/** Resolves with the cases, once there is a ward with such a token. */
export async function proofCases({ TokenWard, wasm }) {
  const pair = await crypto.subtle.generateKey(ES256, false, ["sign"]);
  const ward = await TokenWard.create({ wasm, dpop: true, resources: [{ url: LISTED }] });
  ward.setTokens({ access_token: TOKEN, token_type: "DPoP", expires_in: 86_400 }, { dpopKey: pair });
  return [
    { name: "proof.sign", call: () => crypto.subtle.sign(ES256, pair.privateKey, INPUT), isSigned: true },
    { name: "proof.tokenward", call: (at) => ward.fetch(ORDERS + at), wanted: { url: LISTED, bearer: `DPoP ${TOKEN}` } },
  ];
}
