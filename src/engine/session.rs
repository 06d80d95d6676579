//! One session: its tokens and their times. What requests ask of it is in `requests`, refreshing in `refresh`.

use crate::engine::event::{Event, NextRefresh, Past, Reason, SignedOutDetail, Snapshot, Status, TokenDetail, Why};
use crate::engine::oauth::id_token::Identity;
use crate::engine::oauth::response::Grant;
use crate::engine::refresh::{Flight, Retry};
use crate::engine::resource::RuleId;
use crate::engine::schedule::{Moment, Rng, margin_ms, refresh_after_ms};
use crate::engine::tabs::Signal;
use crate::engine::token::{AccessToken, RefreshToken, Secret};
use crate::engine::{Output, Ticket};

/// The ways to new tokens that an app has set up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// The client (RFC 6749 section 2.2) that may use the `refresh_token` grant.
    pub client_id: Option<String>,
    /// The app's callback.
    pub callback: bool,
    /// A backend of the same origin that knows the session by a cookie.
    pub session: bool,
    /// The authorization server, asked in a hidden frame (`prompt=none`).
    pub silent: bool,
}

/// A way to new tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the members of Sources")]
pub enum Way {
    RefreshToken,
    Callback,
    Session,
    Silent,
}

/// What an app decides about a session. Durations in milliseconds.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where new tokens come from.
    pub sources: Sources,
    /// How long a request waits for a token.
    pub wait_ms: u64,
    /// How long a token or revocation request may take.
    pub request_timeout_ms: u64,
    /// How long refreshing may fail before the session ends.
    pub max_outage_ms: Option<u64>,
    /// Tokens are renewed on demand only: whoever lends them has a plan of its own.
    pub borrows: bool,
    /// Access tokens have to be bound to a key (RFC 9449); else they must not be, for there is none.
    pub dpop: bool,
}

/// Which token set of which session. Ordered: a later one is greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp {
    /// Counts sessions.
    pub epoch: u32,
    /// Counts token sets in a session, from 1; 0 is before the first.
    pub generation: u32,
}

/// Names a request that waits.
pub type WaiterId = u32;

#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) id: WaiterId,
    /// It needs a newer token than this.
    pub(super) after: Stamp,
    /// On the monotonic clock only: a clock that is set must not end a wait.
    pub(super) deadline_mono_ms: u64,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Ask for permission again, for a token newer than this.
    Ready(Stamp),
    /// The deadline passed.
    Unavailable,
    /// The session ended.
    SignedOut,
    /// The ward was closed.
    Closed,
}

/// Whether a request may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permit {
    /// With the current access token.
    Go,
    /// Not yet.
    Wait,
    /// As it is: nobody is signed in.
    Anonymous,
    /// Never: the session it began in has ended.
    Over,
}

#[derive(Debug)]
pub(super) struct Tokens {
    /// `None` after one that was of no use.
    pub(super) access: Option<AccessToken>,
    refresh: Option<RefreshToken>,
    expires: Moment,
    /// A little before it expires.
    pub(super) unusable: Moment,
    planned: Moment,
    why: Why,
    scope: Option<String>,
    /// Who they are of, if an ID token said so.
    identity: Option<Identity>,
    /// How they came here, if not by the app.
    way: Option<Way>,
    /// The backend's name for them.
    pub(super) version: Option<String>,
}

impl Tokens {
    pub(super) fn usable(&self, now: Moment) -> bool {
        self.access.is_some() && !self.unusable.reached(now)
    }

    pub(super) fn due(&self, now: Moment) -> bool {
        self.planned.reached(now)
    }
}

const MAX_OUTCOMES: usize = 8;

/// The state machine.
#[derive(Debug)]
pub struct Session {
    pub(super) config: Config,
    pub(super) rng: Rng,
    pub(super) online: bool,
    pub(super) flight: Option<Flight>,
    pub(super) retry: Option<Retry>,
    pub(super) outputs: Vec<Output>,
    /// Another tab has told of a newer token than the last request could know of.
    pub(super) renewed_elsewhere: bool,
    /// A session was looked for, and there may be one.
    pub(super) unrestored: bool,
    pub(super) epoch: u32,
    pub(super) generation: u32,
    pub(super) tokens: Option<Tokens>,
    pub(super) waiters: Vec<Waiter>,
    pub(super) distrusted: Vec<(RuleId, Moment)>,
    /// Refreshes that refused requests started, and since when they are counted.
    pub(super) refusals: u32,
    pub(super) refusals_since: Moment,
    outcomes: Vec<Past>,
    counter: u32,
}

impl Session {
    /// A session nobody is signed in to.
    pub fn new(config: Config, seed: u64, online: bool) -> Self {
        Self {
            config,
            rng: Rng::new(seed),
            online,
            flight: None,
            retry: None,
            outputs: Vec::new(),
            renewed_elsewhere: false,
            unrestored: false,
            epoch: 0,
            generation: 0,
            tokens: None,
            waiters: Vec::new(),
            distrusted: Vec::new(),
            refusals: 0,
            refusals_since: Moment { wall_ms: 0, mono_ms: 0 },
            outcomes: Vec::new(),
            counter: 0,
        }
    }

    /// Whether there are tokens, good or to be renewed.
    pub fn signed_in(&self) -> bool {
        self.tokens.is_some()
    }

    /// The current token set's.
    pub fn stamp(&self) -> Stamp {
        Stamp { epoch: self.epoch, generation: self.generation }
    }

    /// What every token of this session is newer than.
    pub(super) fn before_first(&self) -> Stamp {
        Stamp { epoch: self.epoch, generation: 0 }
    }

    /// The `Authorization` header's value.
    pub fn authorization(&self) -> Option<Secret> {
        self.tokens.as_ref()?.access.as_ref().map(AccessToken::authorization)
    }

    /// Whether the tokens are of the type that the app asked for. A borrower takes what it is lent.
    pub(super) fn admits(&self, grant: &Grant) -> bool {
        self.config.borrows || grant.access.is_bound() == self.config.dpop
    }

    pub(super) fn ticket(&mut self) -> Ticket {
        Ticket { epoch: self.epoch, number: self.next_id() }
    }

    pub(super) fn next_id(&mut self) -> u32 {
        self.counter = self.counter.wrapping_add(1);
        self.counter
    }

    /// Takes tokens from the app: a session begins, or goes on with these.
    pub fn set_tokens(&mut self, grant: Grant, requested: Moment, now: Moment) {
        // A refresh under way may have used up the refresh token: unless there is a new one, its answer is needed.
        if grant.refresh.is_some() || self.refresh_token().is_none() {
            self.abort_flight();
        }
        self.retry = None;
        let grant = Grant { identity: None, ..grant };
        self.take(grant, None, requested, now);
        self.tick(now);
    }

    /// Takes a token set, and tells of it.
    pub(super) fn take(&mut self, grant: Grant, way: Option<Way>, sent: Moment, now: Moment) {
        let fresh = self.tokens.is_none();
        self.adopt(grant, way, sent, now);
        self.announce(fresh, now);
    }

    /// Tells of new tokens: to the app, to the other tabs, to those who wait.
    pub(super) fn announce(&mut self, is_first: bool, now: Moment) {
        let detail = self.token_detail();
        if is_first {
            self.outputs.push(Output::Signal(Signal::SignedIn));
            self.emit(Event::SignedIn(detail));
        } else {
            self.emit(Event::Refreshed(detail));
        }
        self.settle_ready(now);
    }

    /// Puts a token set in place of the last one; `sent` is when its request was.
    pub(super) fn adopt(&mut self, grant: Grant, way: Option<Way>, sent: Moment, now: Moment) {
        let (mut last_refresh, mut last_scope, mut last_identity) = (None, None, None);
        self.generation = self.generation.saturating_add(1);
        if let Some(last) = self.tokens.take() {
            (last_refresh, last_scope, last_identity) = (last.refresh, last.scope, last.identity);
        }
        let (mut expires, mut unusable, mut planned) = (Moment::NEVER, Moment::NEVER, Moment::NEVER);
        if let Some(lifetime) = grant.expires_in_ms.or_else(|| grant.jwt.lifetime_ms(now.wall_ms)) {
            expires = sent.plus(lifetime);
            unusable = expires.minus(margin_ms(lifetime));
            let after = refresh_after_ms(lifetime, grant.refresh_in_ms, &mut self.rng);
            if let Some(after) = after.filter(|_| !self.config.borrows) {
                planned = sent.plus(after);
            }
        }
        self.tokens = Some(Tokens {
            access: Some(grant.access),
            refresh: grant.refresh.or(last_refresh),
            expires,
            unusable,
            planned,
            why: if grant.refresh_in_ms.is_some() { Why::ServerRequest } else { Why::Schedule },
            // RFC 6749 section 5.1: left out if it has not changed.
            scope: grant.scope.or(last_scope),
            identity: grant.identity.or(last_identity),
            way,
            version: grant.version,
        });
    }

    pub(super) fn replace_refresh_token(&mut self, refresh: RefreshToken) {
        if let Some(tokens) = &mut self.tokens {
            tokens.refresh = Some(refresh);
        }
    }

    /// Drops an access token that was never any good, and keeps the rest.
    pub(super) fn drop_access(&mut self) {
        if let Some(tokens) = &mut self.tokens {
            tokens.access = None;
        }
    }

    /// Time has passed, or a clock may have jumped.
    pub fn tick(&mut self, now: Moment) {
        self.check_flight(now);
        self.settle_overdue(now);
        if self.tokens.as_ref().is_some_and(|tokens| !tokens.usable(now)) && !self.can_refresh() {
            self.end(Reason::Expired, None);
        }
        self.refresh_if_due(now);
    }

    /// Milliseconds until [`Self::tick`] is needed again; `u64::MAX`: not before something else happens.
    pub fn deadline_ms(&self, now: Moment) -> u64 {
        let mut soonest = self.flight_deadline_ms(now);
        for waiter in &self.waiters {
            soonest = soonest.min(waiter.deadline_mono_ms.saturating_sub(now.mono_ms));
        }
        if self.online && self.flight.is_none() {
            soonest = soonest.min(self.next_refresh(now).0.remaining_ms(now));
        }
        match &self.tokens {
            Some(tokens) if !self.can_refresh() => soonest.min(tokens.unusable.remaining_ms(now)),
            _ => soonest,
        }
    }

    /// When and why the next refresh comes, were the network there.
    pub(super) fn next_refresh(&self, now: Moment) -> (Moment, Why) {
        let Some(tokens) = self.tokens.as_ref().filter(|_| self.can_refresh()) else {
            return (Moment::NEVER, Why::Schedule);
        };
        if let Some(retry) = &self.retry {
            return (retry.at(self.is_awaited()), retry.why);
        }
        let awaited = self.waiters.iter().any(|waiter| waiter.after.generation >= self.generation);
        if awaited || self.is_awaited() && !tokens.usable(now) {
            return (now, Why::RequestsWaiting);
        }
        (tokens.planned, tokens.why)
    }

    /// Whether a request waits.
    pub(super) fn is_awaited(&self) -> bool {
        !self.waiters.is_empty()
    }

    /// Whether there is something to renew the tokens with.
    pub(super) fn can_refresh(&self) -> bool {
        self.way().is_some()
    }

    /// What the tokens would be renewed with.
    pub(super) fn way(&self) -> Option<Way> {
        let sources = &self.config.sources;
        let tokens = self.tokens.as_ref()?;
        if sources.client_id.is_some() && tokens.refresh.is_some() {
            Some(Way::RefreshToken)
        } else if sources.callback {
            Some(Way::Callback)
        } else if sources.session && (self.is_backends() || sources.client_id.is_none()) {
            // A cookie may be somebody else's than tokens that came otherwise.
            Some(Way::Session)
        } else if sources.silent && tokens.identity.is_some() {
            Some(Way::Silent)
        } else {
            None
        }
    }

    /// Whether the tokens are a backend's.
    pub(super) fn is_backends(&self) -> bool {
        self.tokens.as_ref().is_some_and(|tokens| tokens.way == Some(Way::Session))
    }

    /// Who is signed in, if an ID token said so.
    pub fn identity(&self) -> Option<&Identity> {
        self.tokens.as_ref()?.identity.as_ref()
    }

    pub(super) fn refresh_token(&self) -> Option<&RefreshToken> {
        self.tokens.as_ref()?.refresh.as_ref()
    }

    /// Whether the access token cannot be sent.
    pub(super) fn is_unusable(&self, now: Moment) -> bool {
        self.tokens.as_ref().is_some_and(|tokens| !tokens.usable(now))
    }

    /// Ends the session and wipes it. Returns what may be left to revoke.
    pub(super) fn end(&mut self, reason: Reason, error: Option<String>) -> (Option<RefreshToken>, Option<AccessToken>) {
        let Some(tokens) = self.clear(Settled::SignedOut) else {
            return (None, None);
        };
        self.emit(Event::SignedOut(SignedOutDetail { reason, error }));
        (tokens.refresh, tokens.access)
    }

    /// Wipes everything without a word to anyone but those who wait.
    pub(super) fn close(&mut self) {
        self.clear(Settled::Closed);
    }

    fn clear(&mut self, told: Settled) -> Option<Tokens> {
        self.abort_flight();
        self.retry = None;
        self.unrestored = false;
        self.renewed_elsewhere = false;
        self.epoch = self.epoch.saturating_add(1);
        self.generation = 0;
        self.distrusted.clear();
        self.settle(&|_| Some(told));
        self.tokens.take()
    }

    /// A new sign-in may have asked for another scope.
    pub(super) fn forget_scope(&mut self) {
        if let Some(tokens) = &mut self.tokens {
            tokens.scope = None;
        }
    }

    /// Drops tokens nobody has heard of yet.
    pub(super) fn forget(&mut self) {
        self.tokens = None;
        self.generation = 0;
    }

    pub(super) fn abort_flight(&mut self) {
        if let Some(flight) = self.flight.take() {
            self.give_up(&flight);
        }
    }

    pub(super) fn emit(&mut self, event: Event) {
        self.outputs.push(Output::Event(event));
    }

    pub(super) fn token_detail(&self) -> TokenDetail {
        let tokens = self.tokens.as_ref();
        TokenDetail {
            generation: self.generation,
            expires_at: tokens.and_then(|tokens| wall(tokens.expires)),
            scope: tokens.and_then(|tokens| tokens.scope.clone()),
        }
    }

    pub(super) fn remember(&mut self, past: Past) {
        if self.outcomes.len() == MAX_OUTCOMES {
            self.outcomes.remove(0);
        }
        self.outcomes.push(past);
    }

    /// What is known and planned.
    pub fn snapshot(&self, now: Moment) -> Snapshot {
        let TokenDetail { generation, expires_at, scope } = self.token_detail();
        let (at, why) = self.next_refresh(now);
        let status = match &self.tokens {
            None => Status::SignedOut,
            Some(tokens) if !tokens.usable(now) => Status::Expired,
            Some(tokens) if tokens.due(now) => Status::Due,
            Some(_) => Status::Fresh,
        };
        Snapshot {
            status,
            generation,
            expires_at,
            scope,
            can_refresh: self.can_refresh(),
            refreshing: self.flight.is_some(),
            online: self.online,
            next_refresh: wall(at).filter(|_| self.flight.is_none()).map(|at| NextRefresh { at, why }),
            waiting: self.waiters.len(),
            failures: self.retry.as_ref().map_or(0, |retry| retry.attempt),
            outcomes: self.outcomes.clone(),
        }
    }
}

/// For people; `None` for [`Moment::NEVER`].
pub(super) fn wall(at: Moment) -> Option<f64> {
    (at != Moment::NEVER).then_some(at.wall_ms as f64)
}
