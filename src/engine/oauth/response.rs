//! The token endpoint's answer (RFC 6749 sections 5.1 and 5.2).

use core::fmt;

use crate::engine::challenge::digits;
use crate::engine::oauth::id_token::Identity;
use crate::engine::token::{AccessToken, JwtTimes, RefreshToken, Secret, lifetime_ms};

/// A member of a JSON object.
#[derive(Clone, Default, PartialEq)]
pub enum Member {
    /// Not there, or `null`.
    #[default]
    Absent,
    /// A string.
    Text(Secret),
    /// A number.
    Number(f64),
    /// `true`
    True,
    /// The strings of a list.
    List(Vec<String>),
    /// Anything else.
    Other,
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("Absent"),
            Self::Text(text) => f.debug_tuple("Text").field(text).finish(),
            Self::Number(number) => f.debug_tuple("Number").field(number).finish(),
            Self::True => f.write_str("True"),
            // Whatever is in it may be a secret.
            Self::List(list) => write!(f, "List([redacted; {}])", list.len()),
            Self::Other => f.write_str("Other"),
        }
    }
}

impl Member {
    fn text(&self) -> Option<&Secret> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// The members of the answer's JSON object that count.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the names are RFC 6749's")]
pub struct TokenAnswer {
    pub access_token: Member,
    pub token_type: Member,
    pub expires_in: Member,
    pub refresh_in: Member,
    pub refresh_token: Member,
    pub scope: Member,
    pub error: Member,
    /// A backend's name for this token: see `session` in `index.d.ts`.
    pub version: Member,
    /// Read from the access token, where it is a JWT.
    pub jwt: JwtTimes,
    /// Read from the ID token.
    pub identity: Option<Identity>,
}

/// An accepted answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Grant {
    /// The new access token.
    pub access: AccessToken,
    /// `None`: the one in use stays (RFC 6749 section 6).
    pub refresh: Option<RefreshToken>,
    /// Positive, from `expires_in`; else the JWT may know.
    pub expires_in_ms: Option<u64>,
    /// When the server would like a refresh.
    pub refresh_in_ms: Option<u64>,
    /// The scope granted, if the server said so.
    pub scope: Option<String>,
    /// Times of the access token, where it is a JWT.
    pub jwt: JwtTimes,
    /// Who the ID token says it is.
    pub identity: Option<Identity>,
    /// A backend's name for this token.
    pub version: Option<String>,
}

/// The member that makes an answer unusable, and the rule it breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Its name on the wire.
    pub member: &'static str,
    /// What it must be.
    pub rule: &'static str,
}

impl TokenAnswer {
    /// The new refresh token; `None` if there is none.
    ///
    /// # Errors
    /// There is one that cannot be used.
    pub fn refresh(&self) -> Result<Option<RefreshToken>, Malformed> {
        match &self.refresh_token {
            Member::Absent => Ok(None),
            Member::Text(text) if text.expose().is_empty() => Ok(None),
            member => member.text().and_then(RefreshToken::new).map(Some).ok_or(REFRESH_TOKEN),
        }
    }

    /// See [`error_code`].
    pub fn error_code(&self) -> Option<String> {
        error_code(&self.error)
    }

    /// Reads a success.
    ///
    /// # Errors
    /// Names the member that cannot be used.
    pub fn read(&self) -> Result<Grant, Malformed> {
        let is_bound = match &self.token_type {
            Member::Absent => false,
            Member::Text(text) if text.expose().eq_ignore_ascii_case("bearer") => false,
            Member::Text(text) if text.expose().eq_ignore_ascii_case("dpop") => true,
            _ => return Err(TOKEN_TYPE),
        };
        let token = self.access_token.text();
        let access = token.and_then(|text| AccessToken::new(text, is_bound)).ok_or(ACCESS_TOKEN)?;
        Ok(Grant {
            access,
            refresh: self.refresh()?,
            expires_in_ms: duration_ms(&self.expires_in),
            refresh_in_ms: duration_ms(&self.refresh_in),
            scope: self.scope.text().map(|text| text.expose().into()),
            jwt: self.jwt,
            identity: self.identity.clone(),
            version: self.version.text().map(|text| text.expose().into()),
        })
    }
}

/// The code in an `error` member, if there is one. Other words under this name, as gateways have them, and whatever a
/// server might echo are none: every registered code is of this form.
pub fn error_code(member: &Member) -> Option<String> {
    let code = member.text()?.expose();
    let is_code = |byte| matches!(byte, b'a'..=b'z' | b'_');
    (!code.is_empty() && code.len() <= MAX_ERROR_CODE && code.bytes().all(is_code)).then(|| code.into())
}

/// `3600`, also as `3600.0`. Parsing any float would cost 10 kB of tables.
fn whole_seconds(text: &str) -> Option<f64> {
    let text = text.trim_ascii();
    let whole = text.bytes().position(|byte| byte == b'.').unwrap_or(text.len());
    digits(text.get(..whole)?).map(|seconds| seconds as f64)
}

/// The registered codes have at most 33 characters.
const MAX_ERROR_CODE: usize = 48;

const ACCESS_TOKEN: Malformed =
    Malformed { member: "access_token", rule: "must be a string of visible ASCII characters" };
/// Also of an answer that is of another type than what the app asked for.
pub const TOKEN_TYPE: Malformed =
    Malformed { member: "token_type", rule: "must be Bearer, or DPoP where the option dpop is set" };
const REFRESH_TOKEN: Malformed =
    Malformed { member: "refresh_token", rule: "must be a string of visible ASCII characters" };

/// Seconds, as a number or, as some servers have it, as a string.
fn duration_ms(member: &Member) -> Option<u64> {
    match member {
        Member::Number(seconds) => lifetime_ms(*seconds),
        Member::Text(text) => whole_seconds(text.expose()).and_then(lifetime_ms),
        _ => None,
    }
}
