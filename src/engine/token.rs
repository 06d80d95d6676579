//! Secrets, and when they expire.

use core::fmt;

use zeroize::Zeroize;

/// A string that must not be seen: its `Debug` is redacted and its memory is overwritten on drop.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes ownership; the caller keeps no copy.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself. Every call is a place where a secret can leave.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Drop for Secret {
    // Once, not at each of many places: it is a loop of volatile writes.
    #[inline(never)]
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// An access token: a bearer's (RFC 6750), or bound to a key (RFC 9449).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessToken {
    text: Secret,
    is_bound: bool,
}

impl AccessToken {
    /// `None` unless the text is visible ASCII, as RFC 6749 appendix A.12 has it: anything else could not be sent.
    pub fn new(text: &Secret, is_bound: bool) -> Option<Self> {
        is_vschar(text).then(|| Self { text: text.clone(), is_bound })
    }

    /// Whether it is good only with a proof of its key.
    pub fn is_bound(&self) -> bool {
        self.is_bound
    }

    /// Its `token_type`, which is the scheme of the `Authorization` header as well.
    pub fn token_type(&self) -> &'static str {
        if self.is_bound { "DPoP" } else { "Bearer" }
    }

    /// The value of the `Authorization` header (RFC 6750 section 2.1, RFC 9449 section 7.1).
    pub fn authorization(&self) -> Secret {
        let (scheme, token) = (self.token_type(), self.text.expose());
        let mut value = String::with_capacity(scheme.len() + 1 + token.len());
        value.push_str(scheme);
        value.push(' ');
        value.push_str(token);
        Secret::new(value)
    }

    pub(crate) fn expose(&self) -> &str {
        self.text.expose()
    }
}

/// A refresh token (RFC 6749 section 1.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshToken(Secret);

impl RefreshToken {
    /// `None` unless the text is visible ASCII (RFC 6749 appendix A.17).
    pub fn new(text: &Secret) -> Option<Self> {
        is_vschar(text).then(|| Self(text.clone()))
    }

    pub(crate) fn expose(&self) -> &str {
        self.0.expose()
    }
}

/// RFC 6749 allows the space in a token (VSCHAR); a header and a form field would carry it, but no server issues it.
fn is_vschar(text: &Secret) -> bool {
    let text = text.expose();
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The times in a JWT access token, seconds since the epoch on the server's clock (RFC 7519 section 4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct JwtTimes {
    /// `exp`
    pub expires_at_s: Option<f64>,
    /// `iat`
    pub issued_at_s: Option<f64>,
}

impl JwtTimes {
    /// The lifetime in milliseconds. With an `iat` the server's clock drops out; without one ours has to do.
    pub fn lifetime_ms(&self, wall_ms: u64) -> Option<u64> {
        let from_s = self.issued_at_s.unwrap_or(wall_ms as f64 / 1000.0);
        lifetime_ms(self.expires_at_s? - from_s)
    }
}

/// Ten years: longer than any session, small enough for every sum to stay exact.
const MAX_LIFETIME_S: f64 = 315_360_000.0;

/// A lifetime in seconds as milliseconds; `None` if it is not a positive number, which servers send to mean "none".
pub fn lifetime_ms(seconds: f64) -> Option<u64> {
    (seconds > 0.0).then(|| (seconds.min(MAX_LIFETIME_S) * 1000.0) as u64)
}
