//! What a ward tells the app, in the names of `index.d.ts`. Nothing here may hold a secret.

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::engine::failure::Cause;

/// A value on its way to JavaScript.
///
/// By hand: derived implementations, one a struct, took 4 kB of the package where this takes one.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Value {
    Null,
    Flag(bool),
    Number(f64),
    Name(&'static str),
    Text(String),
    Record(Record),
    List(Vec<Value>),
}

/// An object on its way to JavaScript.
pub type Record = Vec<(&'static str, Value)>;

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => to.serialize_none(),
            Self::Flag(flag) => to.serialize_bool(*flag),
            Self::Number(number) => to.serialize_f64(*number),
            Self::Name(name) => to.serialize_str(name),
            Self::Text(text) => to.serialize_str(text),
            Self::Record(record) => {
                let mut map = to.serialize_map(Some(record.len()))?;
                for (name, value) in record {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
            Self::List(list) => to.collect_seq(list),
        }
    }
}

/// A record being filled in: calls take fewer bytes than literals.
#[derive(Default)]
struct Fields(Record);

impl Fields {
    #[inline(never)]
    fn add(&mut self, name: &'static str, value: Value) {
        self.0.push((name, value));
    }

    #[inline(never)]
    fn number(&mut self, name: &'static str, number: Option<f64>) {
        self.add(name, number.map_or(Value::Null, Value::Number));
    }

    #[inline(never)]
    fn text(&mut self, name: &'static str, text: &Option<String>) {
        self.add(name, text.clone().map_or(Value::Null, Value::Text));
    }

    #[inline(never)]
    fn name(&mut self, name: &'static str, text: &'static str) {
        self.add(name, Value::Name(text));
    }

    fn flag(&mut self, name: &'static str, flag: bool) {
        self.add(name, Value::Flag(flag));
    }
}

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
#[derive(Clone, Debug, PartialEq)]
pub struct TokenDetail {
    /// Counts the session's token sets from 1.
    pub generation: u32,
    /// Wall clock.
    pub expires_at: Option<f64>,
    /// What the server granted.
    pub scope: Option<String>,
}

/// A failed refresh.
#[derive(Clone, Debug, PartialEq)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// Signed out in another tab, or by the server's front-channel logout.
    Elsewhere,
    /// The tokens that came are another user's.
    UserChanged,
}

/// The end of a session.
#[derive(Clone, Debug, PartialEq)]
pub struct SignedOutDetail {
    /// Why.
    pub reason: Reason,
    /// OAuth error code.
    pub error: Option<String>,
}

/// RFC 9470.
#[derive(Clone, Debug, PartialEq)]
pub struct StepUpDetail {
    /// URL of the allow-list entry.
    pub resource: String,
    /// `acr_values`
    pub acr_values: Option<String>,
    /// `max_age` in seconds
    pub max_age: Option<f64>,
}

/// RFC 6750 section 3.1.
#[derive(Clone, Debug, PartialEq)]
pub struct ScopeDetail {
    /// URL of the allow-list entry.
    pub resource: String,
    /// `scope`
    pub scope: Option<String>,
}

/// Why a refresh is planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
#[derive(Clone, Debug, PartialEq)]
pub struct NextRefresh {
    /// Wall clock.
    pub at: f64,
    /// The cause.
    pub why: Why,
}

/// How good the tokens are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
#[derive(Clone, Debug, PartialEq)]
pub struct Past {
    /// Wall clock.
    pub at: f64,
    /// `None` if the tokens were accepted.
    pub outcome: Option<Cause>,
    /// HTTP status.
    pub status: Option<u16>,
    /// OAuth error code.
    pub error: Option<String>,
}

/// Everything at a glance.
#[derive(Clone, Debug, PartialEq)]
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
    pub waiting: usize,
    pub failures: u32,
    pub outcomes: Vec<Past>,
}

impl Event {
    /// Its name in `index.d.ts`, and its detail.
    pub fn record(&self) -> (&'static str, Record) {
        let mut fields = Fields::default();
        let name = match self {
            Self::SignedIn(detail) => {
                detail.fill(&mut fields);
                "signedin"
            }
            Self::Refreshed(detail) => {
                detail.fill(&mut fields);
                "refreshed"
            }
            Self::RefreshDelayed(detail) => {
                detail.fill(&mut fields);
                "refreshdelayed"
            }
            Self::RefreshFailed(detail) => {
                detail.fill(&mut fields);
                "refreshfailed"
            }
            Self::SignedOut(detail) => {
                fields.name("reason", detail.reason.name());
                fields.text("error", &detail.error);
                "signedout"
            }
            Self::StepUp(detail) => {
                fields.add("resource", Value::Text(detail.resource.clone()));
                fields.text("acrValues", &detail.acr_values);
                fields.number("maxAge", detail.max_age);
                "stepup"
            }
            Self::InsufficientScope(detail) => {
                fields.add("resource", Value::Text(detail.resource.clone()));
                fields.text("scope", &detail.scope);
                "insufficientscope"
            }
        };
        (name, fields.0)
    }
}

impl TokenDetail {
    fn fill(&self, fields: &mut Fields) {
        fields.number("generation", Some(self.generation.into()));
        fields.number("expiresAt", self.expires_at);
        fields.text("scope", &self.scope);
    }
}

impl FailureDetail {
    fn fill(&self, fields: &mut Fields) {
        fields.name("cause", self.cause.name());
        fields.number("status", self.status.map(f64::from));
        fields.text("error", &self.error);
        fields.number("attempt", Some(self.attempt.into()));
        fields.flag("retryable", self.retryable);
        fields.number("retryAt", self.retry_at);
    }
}

impl Past {
    fn record(&self) -> Record {
        let mut fields = Fields::default();
        fields.number("at", Some(self.at));
        fields.name("outcome", self.outcome.map_or("accepted", Cause::name));
        fields.number("status", self.status.map(f64::from));
        fields.text("error", &self.error);
        fields.0
    }
}

impl Snapshot {
    /// As `index.d.ts` has it.
    pub fn record(&self) -> Record {
        let mut outcomes = Vec::new();
        for past in &self.outcomes {
            outcomes.push(Value::Record(past.record()));
        }
        let mut fields = Fields::default();
        fields.name("status", self.status.name());
        fields.number("generation", Some(self.generation.into()));
        fields.number("expiresAt", self.expires_at);
        fields.text("scope", &self.scope);
        fields.flag("canRefresh", self.can_refresh);
        fields.flag("refreshing", self.refreshing);
        fields.flag("online", self.online);
        let next_refresh = match &self.next_refresh {
            Some(next) => {
                let mut fields = Fields::default();
                fields.number("at", Some(next.at));
                fields.name("why", next.why.name());
                Value::Record(fields.0)
            }
            None => Value::Null,
        };
        fields.add("nextRefresh", next_refresh);
        fields.number("waiting", Some(self.waiting as f64));
        fields.number("failures", Some(self.failures.into()));
        fields.add("outcomes", Value::List(outcomes));
        fields.0
    }
}

impl Reason {
    /// In `index.d.ts`.
    pub fn name(self) -> &'static str {
        match self {
            Self::SignOut => "sign_out",
            Self::RefreshRejected => "refresh_rejected",
            Self::LoginRequired => "login_required",
            Self::Misconfigured => "misconfigured",
            Self::Expired => "expired",
            Self::Outage => "outage",
            Self::Elsewhere => "elsewhere",
            Self::UserChanged => "user_changed",
        }
    }
}

impl Why {
    /// In `index.d.ts`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::ServerRequest => "server_request",
            Self::Retry => "retry",
            Self::RetryAfter => "retry_after",
            Self::RequestsWaiting => "requests_waiting",
        }
    }
}

impl Status {
    /// In `index.d.ts`.
    pub fn name(self) -> &'static str {
        match self {
            Self::SignedOut => "signed_out",
            Self::Fresh => "fresh",
            Self::Due => "due",
            Self::Expired => "expired",
        }
    }
}
