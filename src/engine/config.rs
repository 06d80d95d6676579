//! What an app may ask for, and the rules for it.

use crate::engine::resource::{Refused, Resources, check_endpoint};
use crate::engine::session::{Config, Source};

/// The options of `index.d.ts`, their types checked, their URLs as the browser's parser serialised them.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs, reason = "described in index.d.ts")]
pub struct Options {
    pub client_id: Option<String>,
    pub token_endpoint: Option<String>,
    pub revocation_endpoint: Option<String>,
    pub resources: Vec<Resource>,
    pub has_refresh_callback: bool,
    pub wait_s: Option<f64>,
    pub request_timeout_s: Option<f64>,
    pub max_outage_s: Option<f64>,
    pub allow_http: bool,
}

/// An entry of the allow-list.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs, reason = "described in index.d.ts")]
pub struct Resource {
    pub url: String,
    pub methods: Option<Vec<String>>,
}

/// A key and the rule it breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// As the app wrote it, with the way to it: `resources[2].url`.
    pub key: String,
    /// What it must be.
    pub rule: &'static str,
}

impl Broken {
    /// Names the key and the rule.
    pub fn new(key: impl Into<String>, rule: &'static str) -> Self {
        Self { key: key.into(), rule }
    }
}

/// Options that keep the rules.
#[derive(Debug)]
pub struct Setup {
    /// For the session.
    pub config: Config,
    /// The allow-list.
    pub resources: Resources,
    /// The client to revoke tokens as, if there is an endpoint for it.
    pub revoke_as: Option<String>,
    /// Empty if there is none.
    pub token_endpoint: String,
    /// Empty if there is none.
    pub revocation_endpoint: String,
}

impl Options {
    /// Checks the rules and fills in the defaults.
    ///
    /// # Errors
    /// The first key that breaks a rule.
    pub fn read(&self) -> Result<Setup, Broken> {
        let endpoints =
            [("endpoints.token", &self.token_endpoint), ("endpoints.revocation", &self.revocation_endpoint)];
        for (key, url) in endpoints {
            if let Some(url) = url {
                check_endpoint(url, self.allow_http).map_err(|refused| Broken::new(key, refused.rule()))?;
                if self.client_id.is_none() {
                    return Err(Broken::new("clientId", "must be set where endpoints are"));
                }
            }
        }
        if self.has_refresh_callback && self.token_endpoint.is_some() {
            return Err(Broken::new("refresh", "must not be set together with endpoints.token"));
        }
        let mut resources = Resources::default();
        for (at, entry) in self.resources.iter().enumerate() {
            resources.add(&entry.url, entry.methods.as_deref(), self.allow_http).map_err(|refused| {
                let member = if refused == Refused::Method { "methods" } else { "url" };
                Broken::new(entry_key(at, member), refused.rule())
            })?;
        }
        let config = Config {
            source: match (&self.token_endpoint, &self.client_id) {
                (Some(_), Some(client_id)) => Source::RefreshToken { client_id: client_id.clone() },
                _ if self.has_refresh_callback => Source::Callback,
                _ => Source::Nothing,
            },
            wait_ms: ms("waitSeconds", self.wait_s, 30.0, 1.0..=600.0, "must be a number from 1 to 600")?,
            request_timeout_ms: ms(
                "requestTimeoutSeconds",
                self.request_timeout_s,
                15.0,
                1.0..=300.0,
                "must be a number from 1 to 300",
            )?,
            max_outage_ms: match self.max_outage_s {
                None => None,
                limit => Some(ms("maxOutageSeconds", limit, 0.0, 1.0..=1e9, "must be a number of at least 1")?),
            },
        };
        Ok(Setup {
            config,
            resources,
            revoke_as: self.client_id.clone().filter(|_| self.revocation_endpoint.is_some()),
            token_endpoint: self.token_endpoint.clone().unwrap_or_default(),
            revocation_endpoint: self.revocation_endpoint.clone().unwrap_or_default(),
        })
    }
}

/// `resources[at].member`
fn entry_key(at: usize, member: &str) -> String {
    let mut key = String::from("resources[");
    key.push_str(&decimal(at));
    key.push_str("].");
    key.push_str(member);
    key
}

/// `format!` would bring its machinery along.
fn decimal(mut number: usize) -> String {
    let mut digits = Vec::new();
    loop {
        digits.insert(0, b'0' + (number % 10) as u8);
        number /= 10;
        if number == 0 {
            return String::from_utf8(digits).unwrap_or_default();
        }
    }
}

fn ms(
    key: &str,
    seconds: Option<f64>,
    default: f64,
    allowed: core::ops::RangeInclusive<f64>,
    rule: &'static str,
) -> Result<u64, Broken> {
    let seconds = seconds.unwrap_or(default);
    if allowed.contains(&seconds) { Ok((seconds * 1000.0) as u64) } else { Err(Broken::new(key, rule)) }
}
