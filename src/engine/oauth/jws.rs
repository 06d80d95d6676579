//! Which key and algorithm verify a JWS (RFC 7515, RFC 7518 section 3, RFC 8037). The shell has the cryptography.

use crate::engine::oauth::object::Object;

/// `alg`, the `kty` and `crv` of its keys, and WebCrypto's name for it with its hash, and curve or length of the salt.
/// Nothing else verifies an ID token: `none` and those with a shared secret never do.
const ALGORITHMS: [(&str, &str, &str, &str); 9] = [
    ("RS256", "RSA", "", "RSASSA-PKCS1-v1_5 SHA-256"),
    ("RS384", "RSA", "", "RSASSA-PKCS1-v1_5 SHA-384"),
    ("RS512", "RSA", "", "RSASSA-PKCS1-v1_5 SHA-512"),
    ("PS256", "RSA", "", "RSA-PSS SHA-256 32"),
    ("PS384", "RSA", "", "RSA-PSS SHA-384 48"),
    ("PS512", "RSA", "", "RSA-PSS SHA-512 64"),
    ("ES256", "EC", "P-256", "ECDSA SHA-256 P-256"),
    ("ES384", "EC", "P-384", "ECDSA SHA-384 P-384"),
    ("EdDSA", "OKP", "Ed25519", "Ed25519 SHA-512"),
];

/// Why no key verifies it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoKey {
    /// The member of the header that nothing can be done about.
    Never(&'static str),
    /// None of these keys does; there may be newer ones.
    Unknown,
}

/// The place of the key that verifies a JWS with this header, and WebCrypto's parameters.
///
/// # Errors
/// None of them does.
pub fn key(header: &impl Object, keys: &[impl Object]) -> Result<(usize, &'static str), NoKey> {
    // RFC 7515 section 4.1.11: what is critical and not understood invalidates the signature.
    if header.has("crit") {
        return Err(NoKey::Never("crit"));
    }
    let Some((alg, kty, crv, parameters)) = ALGORITHMS.iter().find(|known| header.is("alg", known.0)) else {
        return Err(NoKey::Never("alg"));
    };
    let mut found = None;
    for (at, key) in keys.iter().enumerate() {
        let fits = key.is("kty", kty)
            && (crv.is_empty() || key.is("crv", crv))
            && (!key.has("use") || key.is("use", "sig"))
            && (!key.has("alg") || key.is("alg", alg))
            && (!header.has("kid") || header.get("kid") == key.get("kid"));
        // Two keys that fit are told apart by `kid` only (OpenID Connect Core section 10.1).
        if fits && found.replace((at, *parameters)).is_some() {
            return Err(NoKey::Unknown);
        }
    }
    found.ok_or(NoKey::Unknown)
}
