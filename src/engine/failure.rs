//! The refresh-failure table: what an outcome of a refresh means for the session.

use crate::engine::event::Reason;
use crate::engine::oauth::response::{Grant, TokenAnswer};
use crate::engine::token::RefreshToken;

/// How a refresh went, as the shell saw it.
#[derive(Clone, Debug, PartialEq)]
pub enum Exchange {
    /// The server answered.
    Answered(Answer),
    /// There is no answer to read.
    Failed(Cause),
    /// The app's callback resolved: with this, or with nothing, which says that nobody is signed in.
    CallbackResolved(Option<TokenAnswer>),
    /// The app's callback rejected, with this.
    CallbackRejected(Option<TokenAnswer>),
}

impl Exchange {
    /// HTTP status of the answer.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Answered(answer) => Some(answer.status),
            _ => None,
        }
    }

    /// The OAuth error code in the answer.
    pub fn error(&self) -> Option<String> {
        match self {
            Self::Answered(Answer { body, .. }) | Self::CallbackResolved(body) | Self::CallbackRejected(body) => {
                body.as_ref()?.error_code()
            }
            Self::Failed(_) => None,
        }
    }
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// `Retry-After`, read.
    pub retry_after_ms: Option<u64>,
    /// `None` if the body is not a JSON object.
    pub body: Option<TokenAnswer>,
}

/// Why a refresh failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// No connection, a reset, a redirect, or CORS.
    Network,
    /// No complete answer within the time limit.
    Timeout,
    /// The answer was longer than any token response.
    TooLarge,
    /// An answer that is neither a token response nor an OAuth error.
    Malformed,
    /// 5xx or 408.
    ServerError,
    /// 429.
    RateLimited,
    /// An OAuth error response.
    OauthError,
    /// The app's refresh callback rejected.
    Callback,
}

impl Cause {
    /// In `index.d.ts`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Timeout => "timeout",
            Self::TooLarge => "too_large",
            Self::Malformed => "malformed",
            Self::ServerError => "server_error",
            Self::RateLimited => "rate_limited",
            Self::OauthError => "oauth_error",
            Self::Callback => "callback",
        }
    }
}

/// What follows.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// New tokens.
    Accepted(Box<Grant>),
    /// Drop everything: the session is over.
    Final(Reason),
    /// Keep everything, and wait at least this long.
    Delayed {
        /// What the server asked for.
        after_ms: u64,
        /// 429 or 503.
        cause: Cause,
    },
    /// Keep everything, try again.
    Transient(Cause),
    /// The same, but the refresh token is this one now: the one in use may be used up.
    Unusable(RefreshToken),
    /// Repeat once, with the nonce that came along (RFC 9449 section 8).
    UseDpopNonce,
}

/// The table. Whatever is not certain to be final is transient: a session is never ended by accident.
pub fn outcome(exchange: &Exchange) -> Outcome {
    let answer = match exchange {
        Exchange::Failed(cause) => return Outcome::Transient(*cause),
        Exchange::CallbackResolved(None) => return Outcome::Final(Reason::LoginRequired),
        Exchange::CallbackResolved(Some(body)) => return success(body),
        Exchange::CallbackRejected(body) => {
            return match body.as_ref().and_then(TokenAnswer::error_code) {
                Some(error) => oauth_error(&error),
                None => Outcome::Transient(Cause::Callback),
            };
        }
        Exchange::Answered(answer) => answer,
    };
    let unavailable = match answer.status {
        429 => Some(Cause::RateLimited),
        408 | 500.. => Some(Cause::ServerError),
        _ => None,
    };
    if let Some(cause) = unavailable {
        return match answer.retry_after_ms {
            Some(after_ms) if matches!(answer.status, 429 | 503) => Outcome::Delayed { after_ms, cause },
            _ => Outcome::Transient(cause),
        };
    }
    match &answer.body {
        Some(body) if matches!(answer.status, 200..=299) => success(body),
        Some(body) => match body.error_code() {
            Some(error) => oauth_error(&error),
            None => Outcome::Transient(Cause::Malformed),
        },
        None => Outcome::Transient(Cause::Malformed),
    }
}

/// Some servers answer 200 with an error in it.
fn success(body: &TokenAnswer) -> Outcome {
    match (body.error_code(), body.read()) {
        (Some(error), _) => oauth_error(&error),
        (None, Ok(grant)) => Outcome::Accepted(Box::new(grant)),
        (None, Err(_)) => match body.refresh() {
            Ok(Some(token)) => Outcome::Unusable(token),
            _ => Outcome::Transient(Cause::Malformed),
        },
    }
}

fn oauth_error(error: &str) -> Outcome {
    match error {
        "invalid_grant" => Outcome::Final(Reason::RefreshRejected),
        "interaction_required" | "login_required" | "consent_required" | "account_selection_required" => {
            Outcome::Final(Reason::LoginRequired)
        }
        // RFC 6749 section 4.1.2.1 and RFC 8628 section 3.5: by their definition not the end.
        "server_error" | "temporarily_unavailable" | "slow_down" => Outcome::Transient(Cause::ServerError),
        "use_dpop_nonce" => Outcome::UseDpopNonce,
        // Registered codes; what else is of their form comes from gateways (`not_found`, `rate_limit_exceeded`).
        "access_denied" => Outcome::Final(Reason::Misconfigured),
        _ if ["invalid_", "unauthorized_", "unsupported_"].iter().any(|known| error.starts_with(known)) => {
            Outcome::Final(Reason::Misconfigured)
        }
        _ => Outcome::Transient(Cause::OauthError),
    }
}
