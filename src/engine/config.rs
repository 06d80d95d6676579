//! What an app may ask for, and the rules for it.

use crate::engine::oauth::authorization::Client;
use crate::engine::oauth::object::Object;
use crate::engine::oauth::response::Member;
use crate::engine::oauth::server::{Endpoint, Server};
use crate::engine::resource::{Refused, Resources, check_endpoint, origin};
use crate::engine::session::{Config, Sources};

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
    #[inline(never)]
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

/// Reads the options of `index.d.ts`, their types checked. In place of those that are URLs it has `urls`, as the browser's
/// parser serialised them, in the order of [`KEYS`], empty where there is none; beside them `page`, the URL of the page, if
/// there is one, `borrows`, for a service worker, `silent`, whether `restore` has that, and `calls`, whether there is a
/// refresh callback. The entries of the allow-list have a `name` for messages: `resources[2]`.
///
/// # Errors
/// The first key that breaks a rule.
pub fn read(options: &impl Object, entries: &[impl Object]) -> Result<Setup, Broken> {
    let broken = |key: &str, rule| Err(Broken::new(key, rule));
    let allow_http = options.flag("dangerouslyAllowHttp");
    let client_id = options.text("clientId");
    let page = options.text("page").unwrap_or_default();
    let server =
        Server { issuer: options.text("issuer"), urls: options.texts("urls"), allow_http, ..Server::default() };

    let mut has_server = server.issuer.is_some();
    for (at, key) in KEYS.into_iter().enumerate() {
        let Some(url) = server.url(at) else { continue };
        if let Err(refused) = check_endpoint(url, allow_http) {
            return broken(key, refused.rule());
        }
        if at == ISSUER && url.bytes().any(|byte| byte == b'?') {
            return broken(key, Refused::QueryOrFragment.rule());
        }
        has_server |= at < Endpoint::Session as usize;
        let is_backends = at == Endpoint::Session as usize || at == Endpoint::SessionEnd as usize;
        if is_backends && origin(url) != origin(&page) {
            return broken(key, "must be on the page's own origin");
        }
    }
    if has_server && client_id.is_none() {
        return broken("clientId", "must be set where issuer or endpoints are");
    }
    let has_token_endpoint = server.endpoint(Endpoint::Token).is_some();
    let discovers = server.issuer.is_some() && !has_token_endpoint;
    let grants = discovers || has_token_endpoint;
    let (callback, silent) = (options.flag("calls"), options.flag("silent"));
    if callback && grants {
        return broken("refresh", "must not be set with issuer or endpoints.token");
    }
    if silent && !(grants && (REDIRECT..POST_LOGOUT).any(|at| server.url(at).is_some())) {
        return broken("restore", "must not hold silent without redirectUri, and issuer or endpoints.token");
    }

    if options.flag("dpop") && options.flag("dangerouslyExposeAccessToken") {
        return broken(
            "dangerouslyExposeAccessToken",
            "must not be set with dpop: a token without its key is of no use",
        );
    }

    let mut resources = Resources::default();
    for entry in entries {
        let methods = match entry.get("methods") {
            Member::List(methods) => Some(methods),
            _ => None,
        };
        if let Err(refused) = resources.add(&entry.text("url").unwrap_or_default(), methods.as_deref(), allow_http) {
            let mut key = entry.text("name").unwrap_or_default();
            key.push_str(if refused == Refused::Method { ".methods" } else { ".url" });
            return broken(&key, refused.rule());
        }
    }

    let mut durations = [None; 3];
    for (duration, (key, default, max, rule)) in durations.iter_mut().zip(DURATIONS) {
        if let Some(seconds) = options.number(key).or(default) {
            // There must be at least one.
            if !(1.0..=max).contains(&seconds) {
                return broken(key, rule);
            }
            *duration = Some((seconds * 1000.0) as u64);
        }
    }
    let [wait, request_timeout, max_outage_ms] = durations;
    let config = Config {
        sources: Sources {
            client_id: client_id.clone().filter(|_| grants),
            callback,
            session: server.endpoint(Endpoint::Session).is_some(),
            silent,
        },
        wait_ms: wait.unwrap_or_default(),
        request_timeout_ms: request_timeout.unwrap_or_default(),
        max_outage_ms,
        borrows: options.flag("borrows"),
        dpop: options.flag("dpop"),
    };
    let revokes = discovers || server.endpoint(Endpoint::Revocation).is_some();
    let revoke_as = client_id.clone().filter(|_| revokes);
    let post_logout_redirect_uri = server.url(POST_LOGOUT).cloned();
    let client = Client { id: client_id.unwrap_or_default(), post_logout_redirect_uri };
    Ok(Setup { config, resources, revoke_as, client, server })
}

/// Options in seconds: the default, the most there may be, and the rule.
const DURATIONS: [(&str, Option<f64>, f64, &str); 3] = [
    ("waitSeconds", Some(30.0), 600.0, "must be a number from 1 to 600"),
    ("requestTimeoutSeconds", Some(15.0), 300.0, "must be a number from 1 to 300"),
    ("maxOutageSeconds", None, 1e9, "must be a number from 1 to 1e9"),
];

const REDIRECT: usize = 8;
const POST_LOGOUT: usize = 10;
const ISSUER: usize = 11;

/// The options that are URLs: by [`Endpoint`], and then the others.
pub const KEYS: [&str; 12] = [
    "endpoints.token",
    "endpoints.revocation",
    "endpoints.authorization",
    "endpoints.pushedAuthorization",
    "endpoints.jwks",
    "endpoints.endSession",
    "session.url",
    "session.signOutUrl",
    "redirectUri",
    "relayUri",
    "postLogoutRedirectUri",
    "issuer",
];
