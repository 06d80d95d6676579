//! What an app may ask for, and the rules for it.

use crate::engine::oauth::authorization::Client;
use crate::engine::oauth::server::{Endpoint, Server};
use crate::engine::resource::{Refused, Resources, check_endpoint, origin};
use crate::engine::session::{Config, Sources};

/// The options of `index.d.ts`, their types checked, their URLs as the browser's parser serialised them.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs, reason = "described in index.d.ts")]
pub struct Options {
    pub client_id: Option<String>,
    /// To the letter.
    pub issuer: Option<String>,
    /// As the browser's parser serialised them, in the order of [`KEYS`].
    pub urls: [Option<String>; KEYS.len()],
    /// The origin of the page, if there is one.
    pub page: Option<String>,
    pub restores_silently: bool,
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
    /// For sign-in.
    pub client: Client,
    /// Who signs in.
    pub server: Server,
}

impl Options {
    /// Checks the rules and fills in the defaults.
    ///
    /// # Errors
    /// The first key that breaks a rule.
    pub fn read(self) -> Result<Setup, Broken> {
        let mut has_server = self.issuer.is_some();
        for (at, (url, key)) in self.urls.iter().zip(KEYS).enumerate() {
            let Some(url) = url else { continue };
            check_endpoint(url, self.allow_http).map_err(|refused| Broken::new(key, refused.rule()))?;
            if at == ISSUER && url.bytes().any(|byte| byte == b'?') {
                return Err(Broken::new(key, Refused::QueryOrFragment.rule()));
            }
            if at != Endpoint::Session as usize && at != Endpoint::SessionEnd as usize {
                has_server |= at < ENDPOINTS;
            } else if origin(url) != self.page.as_deref() {
                return Err(Broken::new(key, "must be on the page's own origin"));
            }
        }
        if has_server && self.client_id.is_none() {
            return Err(Broken::new("clientId", "must be set where issuer or endpoints are"));
        }
        let mut urls = self.urls;
        let is_set = |endpoint: Endpoint| urls.get(endpoint as usize).is_some_and(Option::is_some);
        let grants = self.issuer.is_some() || is_set(Endpoint::Token);
        if self.has_refresh_callback && grants {
            return Err(Broken::new("refresh", "must not be set together with issuer or endpoints.token"));
        }
        if self.restores_silently && !grants {
            return Err(Broken::new("restore", "must not hold silent without issuer or endpoints.token"));
        }
        let revokes = is_set(Endpoint::Revocation) || self.issuer.is_some() && !is_set(Endpoint::Token);
        let mut resources = Resources::default();
        for entry in self.resources {
            if let Err(refused) = resources.add(&entry.url, entry.methods.as_deref(), self.allow_http) {
                let mut key = entry.name;
                key.push_str(if refused == Refused::Method { ".methods" } else { ".url" });
                return Err(Broken { key, rule: refused.rule() });
            }
        }
        let config = Config {
            sources: Sources {
                client_id: self.client_id.clone().filter(|_| grants),
                callback: self.has_refresh_callback,
                session: is_set(Endpoint::Session),
                silent: self.restores_silently,
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
        let revoke_as = self.client_id.clone().filter(|_| revokes);
        let post_logout_redirect_uri = urls.get_mut(POST_LOGOUT).and_then(Option::take);
        let client = Client { id: self.client_id.unwrap_or_default(), post_logout_redirect_uri };
        let server = Server { issuer: self.issuer, urls, allow_http: self.allow_http, ..Server::default() };
        Ok(Setup { config, resources, revoke_as, client, server })
    }
}

const ENDPOINTS: usize = 8;
const POST_LOGOUT: usize = 10;
const ISSUER: usize = 11;

/// The options that are URLs: by [`Endpoint`], and then the others.
pub const KEYS: [&str; 12] = [
    "endpoints.token",
    "endpoints.revocation",
    "session.url",
    "session.signOutUrl",
    "endpoints.authorization",
    "endpoints.pushedAuthorization",
    "endpoints.jwks",
    "endpoints.endSession",
    "redirectUri",
    "relayUri",
    "postLogoutRedirectUri",
    "issuer",
];

/// Seconds, of which there must be at least one.
fn ms(seconds: f64, max: f64) -> Option<u64> {
    (1.0..=max).contains(&seconds).then_some((seconds * 1000.0) as u64)
}
