//! What an ID token claims (OpenID Connect Core sections 3.1.3.7 and 3.1.3.8). Its signature is `jws`'s matter.

use crate::engine::oauth::authorization::{has_word, is_openid};
use crate::engine::oauth::object::Object;
use crate::engine::oauth::pkce::base64url;
use crate::engine::token::Secret;

/// Who is signed in, as an ID token said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// `iss`
    pub issuer: String,
    /// `sub`
    pub subject: String,
    /// `sid`
    pub session: Option<String>,
    /// The ID token itself, the hint for logout.
    pub token: Secret,
}

impl Identity {
    /// From an ID token and its claims; `None` if it says nobody.
    pub fn new(token: Secret, claims: &impl Object) -> Option<Self> {
        let (issuer, subject) = (claims.text("iss")?, claims.text("sub")?);
        Some(Self { issuer, subject, session: claims.text("sid"), token })
    }

    /// Whether it is the same user (OpenID Connect Core section 12.2).
    pub fn is(&self, other: &Self) -> bool {
        self.issuer == other.issuer && self.subject == other.subject
    }
}

/// How far clocks may be apart.
const TOLERANCE_S: f64 = 60.0;

/// The value that `at_hash` must have (OpenID Connect Core section 3.1.3.6). `digest`: of the access token, by the hash of
/// the ID token's algorithm.
pub fn at_hash(digest: &[u8]) -> String {
    base64url(digest.get(..digest.len() / 2).unwrap_or_default())
}

/// Checks the claims of the ID token that a sign-in brought against its transaction (see `authorization`), which has by
/// now `atHash`. The issuer is the one that was asked, `client_id` the client that asked.
///
/// # Errors
/// Names the claim whose rule is broken.
pub fn check(
    claims: &impl Object,
    issuer: Option<&String>,
    client_id: &str,
    transaction: &impl Object,
    wall_ms: u64,
) -> Result<(), &'static str> {
    let same = |claim, member| claims.get(claim) == transaction.get(member);
    // A token with our nonce was issued just now: by the server's clock, that is `iat`. Ours may be hours off.
    let is_answer = transaction.has("nonce") && same("nonce", "nonce");
    let (now, tolerance) = match claims.number("iat") {
        Some(issued) if is_answer => (issued, 0.0),
        _ => (wall_ms as f64 / 1000.0, TOLERANCE_S),
    };
    // Not in the future, and not longer ago than that.
    let within = |claim, seconds| {
        claims.number(claim).is_some_and(|at| now - at >= -TOLERANCE_S && now - at <= seconds + TOLERANCE_S)
    };
    let audience = claims.texts("aud");

    let broken = if !issuer.is_some_and(|issuer| claims.is("iss", issuer)) {
        "iss"
    } else if claims.text("sub").is_none_or(|subject| subject.is_empty())
        || transaction.has("subject") && !same("sub", "subject")
    {
        "sub"
    } else if !audience.iter().any(|one| one == client_id) {
        "aud"
    } else if (claims.has("azp") || audience.len() > 1) && !claims.is("azp", client_id) {
        "azp"
    } else if !claims.number("exp").is_some_and(|exp| now < exp + tolerance) {
        "exp"
    } else if !within("iat", f64::INFINITY) {
        "iat"
    } else if is_openid(transaction) && !is_answer {
        "nonce"
    } else if transaction.number("maxAge").is_some_and(|max_age| !within("auth_time", max_age)) {
        "auth_time"
    } else if transaction.text("acrValues").is_some_and(|acr| !has_word(&acr, &claims.text("acr").unwrap_or_default()))
    {
        "acr"
    } else if claims.has("at_hash") && !same("at_hash", "atHash") {
        "at_hash"
    } else {
        return Ok(());
    };
    Err(broken)
}
