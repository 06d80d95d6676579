//! What a ward tells the app, in the names of `index.d.ts`. Nothing here may hold a secret.

use std::collections::VecDeque;

use serde::Serialize;

use crate::engine::failure::Cause;

/// Something the app may want to know.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The first token set after none.
    SignedIn(TokenDetail),
    /// A renewal.
    Refreshed(TokenDetail),
    /// The server asked to wait.
    RefreshDelayed(FailureDetail),
    /// A refresh failed otherwise.
    RefreshFailed(FailureDetail),
    /// The session ended.
    SignedOut(SignedOutDetail),
    /// A resource wants stronger authentication.
    StepUp(StepUpDetail),
    /// A resource wants more scope.
    InsufficientScope(ScopeDetail),
}

/// An accepted token set.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenDetail {
    /// Counts the session's token sets from 1.
    pub generation: u32,
    /// Wall clock.
    pub expires_at: Option<f64>,
    /// What the server granted.
    pub scope: Option<String>,
}

/// A failed refresh.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FailureDetail {
    /// What kind.
    pub cause: Cause,
    /// HTTP status.
    pub status: Option<u16>,
    /// OAuth error code.
    pub error: Option<String>,
    /// Failures in a row.
    pub attempt: u32,
    /// Whether the session goes on.
    pub retryable: bool,
    /// Wall clock.
    pub retry_at: Option<f64>,
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The app asked for it.
    SignOut,
    /// `invalid_grant`
    RefreshRejected,
    /// The user has to take part.
    LoginRequired,
    /// The server refuses this client or its request.
    Misconfigured,
    /// Nothing to renew with.
    Expired,
    /// Failing for longer than the app allows.
    Outage,
}

/// The end of a session.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SignedOutDetail {
    /// Why.
    pub reason: Reason,
    /// OAuth error code.
    pub error: Option<String>,
}

/// RFC 9470.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepUpDetail {
    /// URL of the allow-list entry.
    pub resource: String,
    /// `acr_values`
    pub acr_values: Option<String>,
    /// `max_age` in seconds
    pub max_age: Option<f64>,
}

/// RFC 6750 section 3.1.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScopeDetail {
    /// URL of the allow-list entry.
    pub resource: String,
    /// `scope`
    pub scope: Option<String>,
}

/// Why a refresh is planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The token's lifetime.
    Schedule,
    /// `refresh_in`
    ServerRequest,
    /// Back-off.
    Retry,
    /// `Retry-After`
    RetryAfter,
    /// Somebody waits.
    RequestsWaiting,
}

/// A planned refresh.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NextRefresh {
    /// Wall clock.
    pub at: f64,
    /// The cause.
    pub why: Why,
}

/// How good the tokens are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// No session.
    SignedOut,
    /// Good.
    Fresh,
    /// Good, renewal is due.
    Due,
    /// Requests wait.
    Expired,
}

/// A refresh that ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Past {
    /// Wall clock.
    pub at: f64,
    /// `None` if the tokens were accepted.
    #[serde(serialize_with = "accepted_or_cause")]
    pub outcome: Option<Cause>,
    /// HTTP status.
    pub status: Option<u16>,
    /// OAuth error code.
    pub error: Option<String>,
}

fn accepted_or_cause<S: serde::Serializer>(outcome: &Option<Cause>, to: S) -> Result<S::Ok, S::Error> {
    match outcome {
        None => to.serialize_str("accepted"),
        Some(cause) => cause.serialize(to),
    }
}

/// Everything at a glance.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "described in index.d.ts")]
pub struct Snapshot {
    pub status: Status,
    pub generation: u32,
    pub expires_at: Option<f64>,
    pub scope: Option<String>,
    pub can_refresh: bool,
    pub refreshing: bool,
    pub online: bool,
    pub next_refresh: Option<NextRefresh>,
    pub waiting: u32,
    pub failures: u32,
    pub outcomes: VecDeque<Past>,
}
