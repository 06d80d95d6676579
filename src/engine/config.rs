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
    /// For messages: `resources[2]`
    pub name: String,
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
    pub fn new(key: &str, rule: &'static str) -> Self {
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
}

impl Options {
    /// Checks the rules and fills in the defaults.
    ///
    /// # Errors
    /// The first key that breaks a rule.
    pub fn read(&self) -> Result<Setup, Broken> {
        self.check_endpoint("endpoints.token", &self.token_endpoint)?;
        self.check_endpoint("endpoints.revocation", &self.revocation_endpoint)?;
        if self.has_refresh_callback && self.token_endpoint.is_some() {
            return Err(Broken::new("refresh", "must not be set together with endpoints.token"));
        }
        let mut resources = Resources::default();
        for entry in &self.resources {
            if let Err(refused) = resources.add(&entry.url, entry.methods.as_deref(), self.allow_http) {
                let mut key = entry.name.clone();
                key.push_str(if refused == Refused::Method { ".methods" } else { ".url" });
                return Err(Broken { key, rule: refused.rule() });
            }
        }
        let config = Config {
            source: match (&self.token_endpoint, &self.client_id) {
                (Some(_), Some(client_id)) => Source::RefreshToken { client_id: client_id.clone() },
                _ if self.has_refresh_callback => Source::Callback,
                _ => Source::Nothing,
            },
            wait_ms: ms(self.wait_s.unwrap_or(30.0), 600.0)
                .ok_or(Broken::new("waitSeconds", "must be a number from 1 to 600"))?,
            request_timeout_ms: ms(self.request_timeout_s.unwrap_or(15.0), 300.0)
                .ok_or(Broken::new("requestTimeoutSeconds", "must be a number from 1 to 300"))?,
            max_outage_ms: match self.max_outage_s {
                None => None,
                Some(limit) => {
                    Some(ms(limit, 1e9).ok_or(Broken::new("maxOutageSeconds", "must be a number from 1 to 1e9"))?)
                }
            },
        };
        let revoke_as = self.client_id.clone().filter(|_| self.revocation_endpoint.is_some());
        Ok(Setup { config, resources, revoke_as })
    }

    fn check_endpoint(&self, key: &str, url: &Option<String>) -> Result<(), Broken> {
        let Some(url) = url else { return Ok(()) };
        match check_endpoint(url, self.allow_http) {
            Err(refused) => Err(Broken::new(key, refused.rule())),
            Ok(()) if self.client_id.is_none() => Err(Broken::new("clientId", "must be set where endpoints are")),
            Ok(()) => Ok(()),
        }
    }
}

/// Seconds, of which there must be at least one.
fn ms(seconds: f64, max: f64) -> Option<u64> {
    (1.0..=max).contains(&seconds).then_some((seconds * 1000.0) as u64)
}
