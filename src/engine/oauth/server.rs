//! The authorization server: its endpoints, as configured or discovered (OpenID Connect Discovery 1.0, RFC 8414).

use crate::engine::oauth::fault::Fault;
use crate::engine::oauth::object::Object;
use crate::engine::resource::{check_endpoint, origin};

/// What requests are sent to. The order is the shell's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "described in index.d.ts")]
pub enum Endpoint {
    Token,
    Revocation,
    Session,
    SessionEnd,
    Authorization,
    Pushed,
    Jwks,
    EndSession,
}

impl Endpoint {
    /// The member of the metadata that names it (RFC 8414 section 2; RFC 9126 section 5; RP-Initiated Logout 1.0 section
    /// 2.1); empty for a backend's.
    pub fn name(self) -> &'static str {
        MEMBERS.get(self as usize).copied().unwrap_or_default()
    }
}

/// By [`Endpoint`].
const MEMBERS: [&str; 8] = [
    "token_endpoint",
    "revocation_endpoint",
    "",
    "",
    "authorization_endpoint",
    "pushed_authorization_request_endpoint",
    "jwks_uri",
    "end_session_endpoint",
];

/// What is known of the authorization server.
#[derive(Debug, Default)]
pub struct Server {
    /// To the letter as the app wrote it.
    pub issuer: Option<String>,
    /// URLs as the browser's parser serialised them, by [`Endpoint`], and others after them.
    pub urls: [Option<String>; 12],
    /// See `dangerouslyAllowHttp`.
    pub allow_http: bool,
    /// RFC 9126 section 5: it takes no other requests.
    pub requires_pushed: bool,
    /// RFC 9207 section 3: its answers name it.
    pub names_itself: bool,
}

impl Server {
    /// The URL of an endpoint.
    pub fn endpoint(&self, endpoint: Endpoint) -> Option<&String> {
        self.urls.get(endpoint as usize)?.as_ref()
    }

    /// Where the metadata may be: OpenID Connect Discovery section 4.1, RFC 8414 section 3.1. Nowhere if the endpoints
    /// are configured.
    pub fn metadata_urls(&self) -> Vec<String> {
        let Some(issuer) = self.issuer.as_ref().filter(|_| self.endpoint(Endpoint::Token).is_none()) else {
            return Vec::new();
        };
        let issuer = issuer.strip_suffix('/').unwrap_or(issuer);
        let at = origin(issuer).map_or(issuer.len(), str::len);
        let mut openid = String::from(issuer);
        openid.push_str("/.well-known/openid-configuration");
        let mut oauth = String::from(issuer);
        oauth.insert_str(at, "/.well-known/oauth-authorization-server");
        vec![openid, oauth]
    }

    /// Takes the metadata; URLs as the browser's parser serialised them. Configured endpoints stay.
    ///
    /// # Errors
    /// `issuer_mismatch`; `metadata_invalid` with the member's name. Nothing was taken then.
    pub fn discovered(&mut self, metadata: &impl Object) -> Result<(), Fault> {
        if self.issuer.is_none() || metadata.text("issuer") != self.issuer {
            return Err(Fault::new("issuer_mismatch", "issuer"));
        }
        let url = |at: usize| metadata.text(MEMBERS.get(at).copied().unwrap_or_default());
        for (at, known) in self.urls.iter().enumerate() {
            let broken = match (known, url(at)) {
                (None, Some(url)) => check_endpoint(&url, self.allow_http).is_err(),
                (None, None) => at == Endpoint::Token as usize,
                _ => false,
            };
            if broken {
                return Err(Fault::new("metadata_invalid", MEMBERS.get(at).copied().unwrap_or_default()));
            }
        }
        for (at, known) in self.urls.iter_mut().enumerate() {
            if known.is_none() {
                *known = url(at);
            }
        }
        self.requires_pushed = metadata.flag("require_pushed_authorization_requests");
        self.names_itself = metadata.flag("authorization_response_iss_parameter_supported");
        Ok(())
    }
}
