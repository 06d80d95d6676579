//! Sign-in, restoring and the server's logout: what the shell asks between two pieces of IO.

use crate::engine::Engine;
use crate::engine::event::Reason;
use crate::engine::failure::{Cause, Exchange, Outcome, outcome};
use crate::engine::oauth::authorization::{self, is_openid};
use crate::engine::oauth::fault::Fault;
use crate::engine::oauth::id_token::{Identity, check};
use crate::engine::oauth::jws::{NoKey, key};
use crate::engine::oauth::logout;
use crate::engine::oauth::object::Object;
use crate::engine::oauth::request::Form;
use crate::engine::oauth::server::Endpoint;
use crate::engine::revocation::SignOutId;
use crate::engine::schedule::Moment;
use crate::engine::session::{WaiterId, Way};
use crate::engine::token::Secret;

/// The server's keys are not fetched again sooner: a stream of tokens with unknown keys would be a stream of requests.
const KEYS_MS: u64 = 30_000;

impl Engine {
    /// See [`Server::metadata_url`](crate::engine::oauth::server::Server::metadata_url).
    pub fn metadata_url(&self, by_rfc8414: bool) -> Option<String> {
        self.server.metadata_url(by_rfc8414)
    }

    /// See [`Server::discovered`](crate::engine::oauth::server::Server::discovered).
    ///
    /// # Errors
    /// As there.
    pub fn discovered(&mut self, metadata: &impl Object) -> Result<(), Fault> {
        self.server.discovered(metadata)
    }

    /// The URL of an endpoint.
    ///
    /// # Errors
    /// `endpoint_unknown`
    pub fn endpoint(&self, endpoint: Endpoint) -> Result<Secret, Fault> {
        match self.server.endpoint(endpoint) {
            Some(url) => Ok(Secret::new(url.clone())),
            None => Err(Fault::new("endpoint_unknown", endpoint.name())),
        }
    }

    /// The time limit of one request.
    pub fn timeout_ms(&self) -> u64 {
        self.session.config.request_timeout_ms
    }

    /// See [`authorization::request`].
    ///
    /// # Errors
    /// As there.
    pub fn authorization_request(&self, transaction: &impl Object) -> Result<Secret, Fault> {
        authorization::request(&self.client, &self.server, transaction)
    }

    /// Where to push the request of a transaction first (RFC 9126); `None` if it is not to be.
    ///
    /// # Errors
    /// `endpoint_unknown`
    pub fn push_to(&self, transaction: &impl Object) -> Result<Option<Secret>, Fault> {
        if !self.server.requires_pushed && !transaction.flag("pushed") {
            return Ok(None);
        }
        self.endpoint(Endpoint::Pushed).map(Some)
    }

    /// The URL to send the user to with a request.
    ///
    /// # Errors
    /// `endpoint_unknown`
    pub fn authorization_url(&self, request: &Secret) -> Result<Secret, Fault> {
        Ok(Form::url(self.endpoint(Endpoint::Authorization)?.expose(), request))
    }

    /// The request that stands for a pushed one (RFC 9126 section 4).
    ///
    /// # Errors
    /// `token_request_failed`, `server_unavailable`: it was not taken.
    pub fn pushed(&self, exchange: &Exchange, answer: &impl Object) -> Result<Secret, Fault> {
        let is_taken = matches!(exchange.status(), Some(200..=299)) && exchange.error().is_none();
        if is_taken && answer.has("request_uri") {
            let mut form = Form::default();
            form.add("client_id", &self.client.id);
            form.add_text("request_uri", answer, "request_uri");
            return Ok(form.done());
        }
        Err(refused(exchange, exchange.error().is_some()))
    }

    /// See [`authorization::answered`].
    ///
    /// # Errors
    /// As there.
    pub fn code_request(&self, transaction: &impl Object, answer: &impl Object, now: Moment) -> Result<Secret, Fault> {
        authorization::answered(&self.client, &self.server, transaction, answer, now.wall_ms)
    }

    /// The place of the key that verifies a JWS of the server's, and WebCrypto's parameters. `None`: fetch the keys, and
    /// ask again with `fetched`.
    ///
    /// # Errors
    /// `id_token_invalid` with the member of the header that is to blame.
    pub fn key(
        &mut self,
        header: &impl Object,
        keys: &[impl Object],
        fetched: bool,
        now: Moment,
    ) -> Result<Option<(usize, &'static str)>, Fault> {
        if fetched {
            self.keys_fetched = Some(now);
        }
        match key(header, keys) {
            Ok(found) => Ok(Some(found)),
            Err(NoKey::Unknown) if self.keys_fetched.is_none_or(|last| last.elapsed_ms(now) >= KEYS_MS) => Ok(None),
            Err(NoKey::Unknown) => Err(Fault::new("id_token_invalid", "kid")),
            Err(NoKey::Never(member)) => Err(Fault::new("id_token_invalid", member)),
        }
    }

    /// Checks the answer to a code's token request, all but the signature of its ID token.
    ///
    /// # Errors
    /// `token_request_failed`, `server_unavailable`, `id_token_invalid`, `token_type_mismatch`.
    pub fn check_answer(
        &mut self,
        exchange: &Exchange,
        transaction: &impl Object,
        claims: &impl Object,
        now: Moment,
    ) -> Result<(), Fault> {
        match outcome(exchange) {
            Outcome::Accepted(grant) if !self.session.admits(&grant) => Err(Fault::new("token_type_mismatch", "")),
            // An ID token that was not asked for has to be right all the same.
            Outcome::Accepted(_) if !is_openid(transaction) && !claims.has("iss") && !transaction.has("subject") => {
                Ok(())
            }
            Outcome::Accepted(_) => {
                check(claims, self.server.issuer.as_ref(), &self.client.id, transaction, now.wall_ms)
                    .map_err(|claim| Fault::new("id_token_invalid", claim))?;
                if let Some(issued_s) = claims.number("iat") {
                    self.skew_ms = (issued_s * 1000.0) as i64 - now.wall_ms as i64;
                }
                Ok(())
            }
            // A code is good once: an error that a session would outlive ends a sign-in.
            other => {
                let is_final = matches!(other, Outcome::Final(_) | Outcome::Transient(Cause::OauthError));
                Err(refused(exchange, is_final))
            }
        }
    }

    /// How often somebody signed out. A sign-in must not outlive it; that a session ends otherwise is no reason.
    pub fn sign_outs(&self) -> SignOutId {
        self.sign_outs
    }

    /// Takes the tokens of a sign-in that was checked. `began` is what [`Self::sign_outs`] said when it began, `sent` when
    /// the token request was.
    ///
    /// # Errors
    /// `signed_out`: somebody has signed out since.
    pub fn sign_in(&mut self, exchange: &Exchange, began: SignOutId, sent: Moment, now: Moment) -> Result<(), Fault> {
        match outcome(exchange) {
            _ if began != self.sign_outs => return Err(Fault::new("signed_out", "")),
            Outcome::Accepted(grant) => self.session.sign_in(*grant, sent, now),
            _ => return Err(Fault::new("server_unavailable", "")),
        }
        Ok(())
    }

    /// See [`Session::restore`](crate::engine::session::Session::restore).
    pub fn restore(&mut self, way: Way, now: Moment) -> WaiterId {
        self.session.restore(way, now)
    }

    /// See [`Session::identity`](crate::engine::session::Session::identity).
    pub fn identity(&self) -> Option<&Identity> {
        self.session.identity()
    }

    /// Where RP-initiated logout goes; `None` if the server has no such endpoint.
    pub fn logout_url(&self) -> Option<Secret> {
        let endpoint = self.server.endpoint(Endpoint::EndSession)?;
        // A backend's ID token is another client's: the server would refuse the two together.
        let identity = self.identity().filter(|_| !self.session.is_backends());
        Some(logout::url(endpoint, &self.client, identity))
    }

    /// Another tab signed out, or the server did in a hidden frame (OpenID Connect Front-Channel Logout 1.0 section 3:
    /// then with `iss` and perhaps `sid`). Signs out here as well, if it is this session that ended.
    pub fn signed_out_elsewhere(&mut self, issuer: Option<&str>, session: Option<&str>, now: Moment) {
        let is_other = |known: Option<&str>, told: Option<&str>| told.is_some() && known.is_some() && known != told;
        let known = self.identity();
        if !is_other(self.server.issuer.as_deref(), issuer)
            && !is_other(known.and_then(|identity| identity.session.as_deref()), session)
        {
            self.sign_out(Reason::Elsewhere, now);
        }
    }
}

/// What to say of an answer without tokens.
#[inline(never)]
fn refused(exchange: &Exchange, is_final: bool) -> Fault {
    let code = if is_final { "token_request_failed" } else { "server_unavailable" };
    Fault { code, detail: exchange.error().unwrap_or_default(), status: exchange.status() }
}
