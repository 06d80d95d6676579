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
    Authorization,
    Pushed,
    Jwks,
    EndSession,
    Session,
    SessionEnd,
}

impl Endpoint {
    /// All of them, in order.
    pub const ALL: [Self; 8] = [
        Self::Token,
        Self::Revocation,
        Self::Authorization,
        Self::Pushed,
        Self::Jwks,
        Self::EndSession,
        Self::Session,
        Self::SessionEnd,
    ];

    /// The member of the metadata that names it (RFC 8414 section 2; RFC 9126 section 5; RP-Initiated Logout 1.0 section
    /// 2.1); empty for a backend's.
    pub fn name(self) -> &'static str {
        MEMBERS.get(self as usize).copied().unwrap_or_default()
    }
}

/// By [`Endpoint`].
const MEMBERS: [&str; 6] = [
    "token_endpoint",
    "revocation_endpoint",
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
    /// URLs as the browser's parser serialised them, by [`Endpoint`], and others after them; empty where there is none.
    pub urls: Vec<String>,
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
        self.url(endpoint as usize)
    }

    /// The URL in this place.
    pub fn url(&self, at: usize) -> Option<&String> {
        self.urls.get(at).filter(|url| !url.is_empty())
    }

    /// Where the metadata are: by OpenID Connect Discovery section 4.1, or by RFC 8414 section 3.1. Nowhere if the endpoints
    /// are configured.
    pub fn metadata_url(&self, by_rfc8414: bool) -> Option<String> {
        let issuer = self.issuer.as_ref().filter(|_| self.endpoint(Endpoint::Token).is_none())?;
        let mut url = String::from(issuer.strip_suffix('/').unwrap_or(issuer));
        if by_rfc8414 {
            // Between the host and the path. An issuer without a path has no slash after its host.
            let host_end = origin(&url).map_or(url.len(), str::len);
            url.insert_str(host_end, "/.well-known/oauth-authorization-server");
        } else {
            url.push_str("/.well-known/openid-configuration");
        }
        Some(url)
    }

    /// Takes the metadata; URLs as the browser's parser serialised them. Configured endpoints stay.
    ///
    /// # Errors
    /// `issuer_mismatch`; `metadata_invalid` with the member's name. Nothing was taken then.
    pub fn discovered(&mut self, metadata: &impl Object) -> Result<(), Fault> {
        if self.issuer.is_none() || metadata.text("issuer") != self.issuer {
            return Err(Fault::new("issuer_mismatch", "issuer"));
        }
        let mut urls = self.urls.clone();
        for (at, (url, name)) in urls.iter_mut().zip(MEMBERS).enumerate() {
            let found = metadata.text(name).filter(|_| url.is_empty());
            let is_needed = at == Endpoint::Token as usize || found.is_some();
            if let Some(found) = found {
                *url = found;
            }
            if is_needed && check_endpoint(url, self.allow_http).is_err() {
                return Err(Fault::new("metadata_invalid", name));
            }
        }
        self.urls = urls;
        self.requires_pushed = metadata.flag("require_pushed_authorization_requests");
        self.names_itself = metadata.flag("authorization_response_iss_parameter_supported");
        Ok(())
    }
}
