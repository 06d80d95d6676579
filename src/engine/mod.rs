//! Decides everything and does no IO: `(input, now)` in, [`Output`]s out. No clock, no random source, no web type.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod begin;
pub mod challenge;
pub mod config;
pub mod event;
pub mod failure;
pub mod oauth;
mod refresh;
pub mod requests;
pub mod resource;
pub mod revocation;
pub mod schedule;
pub mod session;
mod sign_in;
pub mod tabs;
pub mod token;

use challenge::{Refusal, refusal};
use config::Setup;
use event::{Event, Reason, Snapshot};
use failure::Exchange;
use oauth::authorization::Client;
use oauth::dpop::{self, Nonces};
use oauth::object::Object;
use oauth::response::{Grant, Malformed, TOKEN_TYPE};
use oauth::server::{Endpoint, Server};
use requests::Loan;
use resource::{Resources, RuleId};
use revocation::{Hint, Revocations, SignOutId};
use schedule::Moment;
use session::{Permit, Session, Settled, Stamp, WaiterId};
use tabs::Signal;
use token::Secret;

/// Names a piece of IO and the session it was begun for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The session's.
    pub epoch: u32,
    /// Unique in a ward.
    pub number: u32,
}

/// IO to start.
#[derive(Debug, PartialEq, Eq)]
pub enum Work {
    /// POST this to the token endpoint.
    Refresh {
        /// `application/x-www-form-urlencoded`
        body: Secret,
    },
    /// Call the app's refresh callback.
    Callback,
    /// POST this to the backend's session endpoint, with cookies.
    Session {
        /// `application/x-www-form-urlencoded`: empty, or `after` with the version of the token that a newer one is wanted for.
        body: Secret,
    },
    /// Ask the authorization server in a hidden frame, without a question to the user.
    Silent,
    /// POST to the backend's sign-out endpoint, with cookies.
    EndSession,
    /// POST this to the revocation endpoint.
    Revoke {
        /// `application/x-www-form-urlencoded`
        body: Secret,
    },
}

/// What the shell has to do.
#[derive(Debug)]
pub enum Output {
    /// Start IO and come back with its answer.
    Start(Ticket, Work),
    /// Stop it; no answer is wanted.
    Abort(Ticket),
    /// Ask the browser for the lock of the backend's session, and come back with [`Engine::granted`] or
    /// [`Engine::lock_lost`]; `true`: steal it.
    Lock(Ticket, bool),
    /// Let go of the lock, or ask no more for it. What follows is to be taken when it is free: nothing of the app's runs
    /// under a lock.
    Unlock(Ticket),
    /// Tell the other tabs.
    Signal(Signal),
    /// Look for a session in the ways that the app has set up.
    Restore,
    /// Tell a request that waits.
    Settle(WaiterId, Settled),
    /// Tell the app.
    Event(Event),
    /// A sign-out has ended; with what the server did not confirm, and whether it always answered.
    SignedOut(SignOutId, Vec<Hint>, bool),
}

/// What the interceptor knows of a request that falls under a rule.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request {
    /// The rule, from [`Engine::find_rule`].
    pub rule: RuleId,
    /// It has an `Authorization` header of its own.
    pub own_authorization: bool,
    /// Its mode is `no-cors`, which cannot carry the header.
    pub no_cors: bool,
    /// Its body cannot be sent twice.
    pub one_shot: bool,
}

/// The answer to a request that was sent with a token.
#[derive(Clone, Debug, Default)]
pub struct Refused {
    /// 401 or 403.
    pub status: u16,
    /// `WWW-Authenticate`, if it can be read.
    pub challenge: Option<String>,
    /// Where the answer came from, if not from where the request was sent.
    pub redirected_to: Option<String>,
    /// The request was a repetition with a newer token.
    pub replayed: bool,
    /// It was a repetition with the nonce of the resource.
    pub nonced: bool,
}

/// Whether and how a refused request is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// Its answer is the app's.
    No,
    /// With a newer token.
    Newer,
    /// With the same token, and the nonce that the resource wants (RFC 9449 section 9).
    Nonced,
}

/// One ward: the allow-list, the session, the revocations.
#[derive(Debug)]
pub struct Engine {
    resources: Resources,
    session: Session,
    revocations: Revocations,
    sign_outs: SignOutId,
    client: Client,
    server: Server,
    /// When the server's keys were last fetched.
    keys_fetched: Option<Moment>,
    /// The backend was told that the session is over, and has not confirmed it.
    ending: Option<Ticket>,
    /// Another tab has found a session since: perhaps that one.
    doubted: bool,
    nonces: Nonces,
    /// How far ahead the authorization server's clock is, as its ID token told.
    skew_ms: i64,
}

impl Engine {
    /// A ward nobody is signed in to. `seed` is for jitter.
    pub fn new(setup: Setup, seed: u64, online: bool) -> Self {
        let Setup { config, resources, revoke_as, client, server } = setup;
        let revocations = Revocations::new(revoke_as, config.request_timeout_ms);
        let session = Session::new(config, seed, online);
        Self {
            resources,
            session,
            revocations,
            sign_outs: 0,
            client,
            server,
            keys_fetched: None,
            ending: None,
            doubted: false,
            nonces: Nonces::default(),
            skew_ms: 0,
        }
    }

    /// The rule a URL falls under. `href` is the URL as the browser's parser serialised it.
    pub fn find_rule(&self, href: &str) -> Option<RuleId> {
        self.resources.find_rule(href)
    }

    /// Whether a request of this method to this URL may carry a token. Also for those that have no headers: `wss:` counts
    /// as `https:`.
    pub fn covers(&self, href: &str, method: &str) -> bool {
        let Some(rest) = href.strip_prefix("ws").or_else(|| href.strip_prefix("http")) else { return false };
        let mut http = String::from("http");
        http.push_str(rest);
        self.find_rule(&http).is_some_and(|rule| self.resources.url(rule, method).is_some())
    }

    /// See [`Session::lend`].
    pub fn lend(&mut self, after: Option<Stamp>, now: Moment) -> Option<Loan> {
        self.session.lend(after, now)
    }

    /// Whether a request may go, and how. `after`: it needs a newer token than this.
    pub fn authorize(&mut self, request: Request, method: &str, after: Option<Stamp>, now: Moment) -> Permit {
        if request.own_authorization || request.no_cors || self.resources.url(request.rule, method).is_none() {
            return Permit::Anonymous;
        }
        self.session.permit(after, request.one_shot, now)
    }

    /// A request sent with the token of `stamp` was refused: whether to ask again for permission, and repeat it.
    pub fn refused(&mut self, request: Request, method: &str, stamp: Stamp, answer: &Refused, now: Moment) -> Repeat {
        // Whoever a redirect led to elsewhere speaks for itself, and never saw the token.
        if answer.redirected_to.as_ref().is_some_and(|href| self.find_rule(href) != Some(request.rule)) {
            return Repeat::No;
        }
        match refusal(answer.status, answer.challenge.as_deref()) {
            Refusal::Token => {
                let repeats = self.session.refused(stamp, request.rule, !request.one_shot, answer.replayed, now);
                if repeats { Repeat::Newer } else { Repeat::No }
            }
            Refusal::Nonce => {
                let url = self.resources.url(request.rule, method).unwrap_or_default();
                let may = !answer.nonced && !request.one_shot && stamp.epoch == self.session.stamp().epoch;
                if may && self.nonces.get(url).is_some() { Repeat::Nonced } else { Repeat::No }
            }
            Refusal::Other => Repeat::No,
            other => {
                let resource = self.resources.url(request.rule, method).unwrap_or_default();
                if stamp.epoch == self.session.stamp().epoch {
                    self.session.report(&other, resource);
                }
                Repeat::No
            }
        }
    }

    /// What is to be signed for the proof of a request, see [`dpop::proof`].
    pub fn proof(&self, asked: &impl Object, now: Moment) -> Secret {
        let issued_ms = now.wall_ms.saturating_add_signed(self.skew_ms);
        Secret::new(dpop::proof(asked, &self.nonces, issued_ms))
    }

    /// See [`Nonces::keep`].
    pub fn keep_nonce(&mut self, url: &str, nonce: &str) {
        self.nonces.keep(url, nonce);
    }

    /// See [`Session::signed_in`].
    pub fn signed_in(&self) -> bool {
        self.session.signed_in()
    }

    /// See [`Session::stamp`].
    pub fn stamp(&self) -> Stamp {
        self.session.stamp()
    }

    /// See [`Session::authorization`].
    pub fn authorization(&self) -> Option<Secret> {
        self.session.authorization()
    }

    /// See [`Session::renew`].
    pub fn renew(&mut self, now: Moment) -> Option<WaiterId> {
        self.session.renew(now)
    }

    /// See [`Session::wait`].
    pub fn wait(&mut self, after: Option<Stamp>, since_mono_ms: u64) -> WaiterId {
        self.session.wait(after, since_mono_ms)
    }

    /// See [`Session::cancel`].
    pub fn cancel(&mut self, waiter: WaiterId) {
        self.session.cancel(waiter);
    }

    /// See [`Session::set_tokens`].
    ///
    /// # Errors
    /// They are of another type than the app asked for.
    pub fn set_tokens(&mut self, grant: Grant, requested: Moment, now: Moment) -> Result<(), Malformed> {
        if !self.session.admits(&grant) {
            return Err(TOKEN_TYPE);
        }
        self.session.set_tokens(grant, requested, now);
        Ok(())
    }

    /// Signs out, and asks the server to revoke the tokens. [`Output::SignedOut`] follows.
    pub fn sign_out(&mut self, reason: Reason, now: Moment) -> SignOutId {
        self.sign_outs = self.sign_outs.wrapping_add(1);
        let id = self.sign_outs;
        if reason == Reason::SignOut {
            self.session.outputs.push(Output::Signal(Signal::SignedOut));
        }
        // What a backend gave is its own to revoke.
        let is_ours = !self.session.is_backends() || self.revocations.has_endpoint();
        let (refresh, access) = self.session.end(reason, None);
        // The refresh token first: with it, the server usually revokes the rest.
        if let Some(token) = refresh {
            self.revocations.ask(id, self.session.ticket(), token.expose(), "refresh_token", now);
        }
        if let Some(token) = access.filter(|_| is_ours) {
            self.revocations.ask(id, self.session.ticket(), token.expose(), "access_token", now);
        }
        // The tab that signed out has told the backend; by now there may be a new session.
        if self.server.endpoint(Endpoint::Session).is_some() && reason == Reason::SignOut {
            let work = self.server.endpoint(Endpoint::SessionEnd).map(|_| Work::EndSession);
            let ticket = self.session.ticket();
            self.ending = work.as_ref().map(|_| ticket);
            self.doubted = false;
            self.revocations.begin(id, ticket, work, "session", now);
        }
        self.revocations.finish(id);
        id
    }

    /// A piece of IO ended.
    pub fn answered(&mut self, ticket: Ticket, exchange: &Exchange, now: Moment) {
        if self.ending == Some(ticket) && revocation::is_confirmed(exchange.status()) {
            if self.doubted && self.is_ending() {
                self.session.outputs.push(Output::Signal(Signal::SignedOut));
            }
            self.ending = None;
        }
        self.revocations.answered(ticket, exchange.status());
        self.session.answered(ticket, exchange, now);
    }

    /// See [`Session::granted`].
    pub fn granted(&mut self, ticket: Ticket, now: Moment) {
        self.session.granted(ticket, now);
    }

    /// See [`Session::sent`].
    pub fn sent(&mut self, ticket: Ticket, now: Moment) {
        self.session.sent(ticket, now);
    }

    /// See [`Session::lock_lost`].
    pub fn lock_lost(&mut self, ticket: Ticket, refused: bool, now: Moment) {
        self.session.lock_lost(ticket, refused, now);
    }

    /// Whether nothing began since the user left a session that the backend may still know.
    fn is_ending(&self) -> bool {
        let is_last = |ticket: Ticket| ticket.epoch == self.session.stamp().epoch;
        self.ending.is_some_and(is_last) && !self.session.signed_in()
    }

    /// Another tab said so.
    pub fn heard(&mut self, signal: Signal, now: Moment) {
        match signal {
            Signal::SignedOut => self.signed_out_elsewhere(None, None, now),
            // The user has just left the session that was found there.
            Signal::SignedIn if self.is_ending() => self.doubted = true,
            other => self.session.heard(other, now),
        }
    }

    /// Whether [`Self::take_outputs`] has something.
    pub fn has_output(&self) -> bool {
        !self.session.outputs.is_empty() || !self.revocations.outputs.is_empty()
    }

    /// See [`Session::set_online`].
    pub fn set_online(&mut self, online: bool, now: Moment) {
        self.session.set_online(online, now);
    }

    /// Time has passed, or a clock may have jumped.
    pub fn tick(&mut self, now: Moment) {
        self.session.tick(now);
        self.revocations.tick(now);
    }

    /// Wipes everything; nothing is sent any more.
    pub fn close(&mut self) {
        self.session.close();
        self.revocations.close();
    }

    /// Milliseconds until [`Self::tick`] is needed again.
    pub fn deadline_ms(&self, now: Moment) -> Option<u64> {
        let ms = self.session.deadline_ms(now).min(self.revocations.deadline_ms(now));
        // Clocks count from zero or later, so that nothing real is this far.
        (ms < u64::MAX / 2).then_some(ms)
    }

    /// What there is to do now, in order. To be called after every other call, until there is nothing: what the app is told
    /// may change what is left.
    pub fn take_outputs(&mut self) -> Vec<Output> {
        let mut session = core::mem::take(&mut self.session.outputs);
        if let Some(at) = session.iter().position(|output| matches!(output, Output::Unlock(_) | Output::Event(_))) {
            self.session.outputs = session.split_off(at.saturating_add(1));
        }
        if session.is_empty() { core::mem::take(&mut self.revocations.outputs) } else { session }
    }

    /// What there is to do even while a lock is being let go of: the servers and the other tabs are told of a sign-out at
    /// once, since the page may be left.
    pub fn take_urgent(&mut self) -> Vec<Output> {
        let session = core::mem::take(&mut self.session.outputs);
        let mut urgent = Vec::new();
        for output in session {
            let is_signal = matches!(output, Output::Signal(_));
            if is_signal { &mut urgent } else { &mut self.session.outputs }.push(output);
        }
        urgent.append(&mut self.revocations.outputs);
        urgent
    }

    /// What is known and planned.
    pub fn snapshot(&self, now: Moment) -> Snapshot {
        self.session.snapshot(now)
    }
}
