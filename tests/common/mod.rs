//! A ward under virtual time, and what servers answer it.
#![allow(dead_code, unused_imports, reason = "each test program uses its own part")]

mod oidc;
mod options;
mod servers;
mod tabs;

pub use oidc::*;
pub use options::*;
use proptest::test_runner::Config as ProptestConfig;
pub use servers::*;
pub use tabs::*;
use tokenward::engine::config::KEYS;
use tokenward::engine::event::{Event, Reason, Record, Value};
use tokenward::engine::failure::{Answer, Cause, Exchange};
use tokenward::engine::oauth::response::{Grant, Member, TokenAnswer};
use tokenward::engine::resource::RuleId;
use tokenward::engine::revocation::{Hint, SignOutId};
use tokenward::engine::schedule::Moment;
use tokenward::engine::session::{Permit, Settled, Stamp, WaiterId};
use tokenward::engine::tabs::Signal;
use tokenward::engine::token::Secret;
use tokenward::engine::{Engine, Output, Refused, Repeat, Request, Ticket, Work};

pub const API: &str = "https://api.test/v1/";
pub const SECOND: u64 = 1_000;
pub const MINUTE: u64 = 60 * SECOND;
pub const HOUR: u64 = 60 * MINUTE;
pub const DAY: u64 = 24 * HOUR;

/// The clocks start well apart, so that neither passes for the other.
pub const START: Moment = Moment { wall_ms: 1_800_000_000_000, mono_ms: 5_000_000_000 };

/// A failure prints its input; a file of them beside the tests would only grow.
pub fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// An entry of the allow-list for every method.
pub fn resource(url: &str) -> Resource {
    Resource { name: format!("entry {url}"), url: url.into(), methods: None }
}

/// A ward that renews with the `refresh_token` grant.
pub fn options() -> Options {
    let options = Options { client_id: Some("spa".into()), resources: vec![resource(API)], ..Options::default() };
    let options = with_url(options, "endpoints.token", "https://id.test/token");
    with_url(options, "endpoints.revocation", "https://id.test/revoke")
}

/// The same with another URL for the option of this name; an empty one takes it out.
pub fn with_url(mut options: Options, key: &str, url: &str) -> Options {
    let at = KEYS.iter().position(|known| *known == key).unwrap_or_else(|| panic!("{key} is no URL"));
    options.urls[at] = (!url.is_empty()).then(|| url.into());
    options
}

/// A ward that renews with the app's callback.
pub fn callback_options() -> Options {
    Options { client_id: None, urls: Default::default(), has_refresh_callback: true, ..options() }
}

/// A ward that has nothing to renew with.
pub fn bare_options() -> Options {
    Options { has_refresh_callback: false, ..callback_options() }
}

pub fn text(text: &str) -> Member {
    Member::Text(Secret::new(text.into()))
}

/// A token response that lives for five minutes.
pub fn response(access: &str, refresh: Option<&str>) -> TokenAnswer {
    TokenAnswer {
        access_token: text(access),
        token_type: text("Bearer"),
        expires_in: Member::Number(300.0),
        refresh_token: refresh.map_or(Member::Absent, text),
        ..TokenAnswer::default()
    }
}

pub fn error_response(error: &str) -> TokenAnswer {
    TokenAnswer { error: text(error), ..TokenAnswer::default() }
}

pub fn grant(response: TokenAnswer) -> Grant {
    response.read().expect("a token response")
}

pub fn answered(status: u16, body: Option<TokenAnswer>) -> Exchange {
    Exchange::Answered(Answer { status, body, ..Answer::default() })
}

/// 200 with new tokens.
pub fn renewed(access: &str, refresh: Option<&str>) -> Exchange {
    answered(200, Some(response(access, refresh)))
}

/// An OAuth error response.
pub fn refused_with(error: &str) -> Exchange {
    answered(400, Some(error_response(error)))
}

/// 429 or 503 with `Retry-After`.
pub fn delayed(status: u16, retry_after_ms: u64) -> Exchange {
    Exchange::Answered(Answer { status, retry_after_ms: Some(retry_after_ms), ..Answer::default() })
}

/// What JavaScript would see.
pub fn json(record: Record) -> String {
    serde_json::to_string(&Value::Record(record)).expect("JSON")
}

/// The authorization server wants a DPoP proof with its nonce.
pub fn wants_nonce(status: u16) -> Exchange {
    answered(status, Some(error_response("use_dpop_nonce")))
}

/// An API's refusal with this challenge.
pub fn refusal(status: u16, challenge: &str) -> Refused {
    Refused { status, challenge: Some(challenge.into()), ..Refused::default() }
}

/// A 401 without a challenge, or whose challenge CORS hides.
pub fn bare_refusal() -> Refused {
    Refused { status: 401, ..Refused::default() }
}

pub fn network_failure() -> Exchange {
    Exchange::Failed(Cause::Network)
}

/// A shell for one engine, with clocks that only move when told to. It keeps what the engine put out.
pub struct World {
    pub engine: Engine,
    pub now: Moment,
    /// Refreshes begun and neither answered nor aborted.
    pub running: Vec<(Ticket, Work)>,
    /// What a sign-out began, and is neither answered nor aborted.
    pub revoking: Vec<(Ticket, Work)>,
    /// When each refresh was begun.
    pub started: Vec<Moment>,
    pub aborted: Vec<Ticket>,
    /// Whether the lock is there for whoever asks.
    pub lock_is_free: bool,
    /// Requests for the lock, neither granted nor given up; `true`: to steal it.
    pub locks: Vec<(Ticket, bool)>,
    pub unlocked: Vec<Ticket>,
    /// What the other tabs were told.
    pub signals: Vec<Signal>,
    /// How often the app's ways to a session were to be tried again.
    pub restores: u32,
    pub settled: Vec<(WaiterId, Settled)>,
    pub events: Vec<Event>,
    pub signed_out: Vec<(SignOutId, Vec<Hint>)>,
    /// Of each sign-out that ended: whether everybody answered.
    pub reached: Vec<bool>,
}

impl World {
    pub fn new(options: Options) -> Self {
        Self::seeded(options, 42)
    }

    pub fn seeded(options: Options, seed: u64) -> Self {
        Self {
            engine: Engine::new(options.read().expect("good options"), seed, true),
            now: START,
            running: Vec::new(),
            revoking: Vec::new(),
            started: Vec::new(),
            aborted: Vec::new(),
            lock_is_free: true,
            locks: Vec::new(),
            unlocked: Vec::new(),
            signals: Vec::new(),
            restores: 0,
            settled: Vec::new(),
            events: Vec::new(),
            signed_out: Vec::new(),
            reached: Vec::new(),
        }
    }

    /// Signed in for five minutes, with `access-1` and `refresh-1`.
    pub fn signed_in(options: Options) -> Self {
        let mut world = Self::new(options);
        world.set_tokens(response("access-1", Some("refresh-1")));
        world.events.clear();
        world
    }

    /// Signed in, the token expired, a refresh begun for one who waits.
    pub fn refreshing(options: Options) -> (Self, WaiterId) {
        let mut world = Self::signed_in(options);
        world.sleep(10 * MINUTE);
        let waiter = world.must_wait(None);
        world.events.clear();
        (world, waiter)
    }

    pub fn rule(&self) -> RuleId {
        self.engine.find_rule(API).expect("the API is on the list")
    }

    pub fn request(&self) -> Request {
        Request { rule: self.rule(), ..Request::default() }
    }

    /// Takes what the engine has to say.
    pub fn drain(&mut self) {
        loop {
            let has_output = self.engine.has_output();
            let outputs = self.engine.take_outputs();
            assert_eq!(has_output, !outputs.is_empty());
            if !has_output {
                return;
            }
            for output in outputs {
                self.perform(output);
            }
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Start(ticket, work @ (Work::Revoke { .. } | Work::EndSession)) => {
                self.revoking.push((ticket, work))
            }
            Output::Start(ticket, work) => {
                self.running.push((ticket, work));
                self.started.push(self.now);
            }
            Output::Abort(ticket) => {
                self.running.retain(|(known, _)| *known != ticket);
                self.revoking.retain(|(known, _)| *known != ticket);
                self.aborted.push(ticket);
            }
            Output::Lock(ticket, _) if self.lock_is_free => self.engine.granted(ticket, self.now),
            Output::Lock(ticket, steals) => self.locks.push((ticket, steals)),
            Output::Unlock(ticket) => {
                self.locks.retain(|(known, _)| *known != ticket);
                self.unlocked.push(ticket);
            }
            Output::Signal(signal) => self.signals.push(signal),
            Output::Restore => self.restores += 1,
            Output::Settle(waiter, settled) => self.settled.push((waiter, settled)),
            Output::Event(event) => self.events.push(event),
            Output::SignedOut(id, left, reached) => {
                self.signed_out.push((id, left));
                self.reached.push(reached);
            }
        }
    }

    pub fn set_tokens(&mut self, response: TokenAnswer) {
        self.set_tokens_aged(response, 0);
    }

    /// As `setTokens(response, { requestedAt })`.
    pub fn set_tokens_aged(&mut self, response: TokenAnswer, age_ms: u64) {
        self.engine
            .set_tokens(grant(response), self.now.minus(age_ms), self.now)
            .expect("of the type that was asked for");
        self.drain();
    }

    /// A GET to the API.
    pub fn get(&mut self) -> Permit {
        self.get_after(None)
    }

    pub fn get_after(&mut self, after: Option<Stamp>) -> Permit {
        self.authorize(self.request(), after)
    }

    /// A POST to the API with a stream for a body.
    pub fn stream(&mut self) -> Permit {
        self.authorize(Request { one_shot: true, ..self.request() }, None)
    }

    pub fn authorize(&mut self, request: Request, after: Option<Stamp>) -> Permit {
        let permit = self.engine.authorize(request, "GET", after, self.now);
        self.drain();
        permit
    }

    pub fn wait(&mut self, after: Option<Stamp>) -> WaiterId {
        let waiter = self.engine.wait(after, self.now.mono_ms);
        self.drain();
        waiter
    }

    /// A GET that has to wait, and does.
    pub fn must_wait(&mut self, after: Option<Stamp>) -> WaiterId {
        assert_eq!(self.get_after(after), Permit::Wait);
        self.wait(after)
    }

    pub fn cancel(&mut self, waiter: WaiterId) {
        self.engine.cancel(waiter);
        self.drain();
    }

    pub fn renew(&mut self) -> Option<WaiterId> {
        let waiter = self.engine.renew(self.now);
        self.drain();
        waiter
    }

    /// The API answers 401 to a GET that carried this token.
    pub fn unauthorized(&mut self, stamp: Stamp, replayed: bool) -> bool {
        self.refused(self.request(), stamp, &Refused { replayed, ..refusal(401, "Bearer error=\"invalid_token\"") })
    }

    pub fn refused(&mut self, request: Request, stamp: Stamp, answer: &Refused) -> bool {
        let repeat = self.engine.refused(request, "GET", stamp, answer, self.now);
        self.drain();
        repeat == Repeat::Newer
    }

    /// The ticket of the one refresh under way.
    pub fn flight(&self) -> Ticket {
        assert_eq!(self.running.len(), 1, "refreshes under way");
        self.running[0].0
    }

    /// The body of the one refresh under way.
    pub fn body(&self) -> &str {
        self.flight();
        match &self.running[0].1 {
            Work::Refresh { body, .. } => body.expose(),
            other => panic!("{other:?} has no body"),
        }
    }

    /// Answers the one refresh under way.
    pub fn answer(&mut self, exchange: Exchange) {
        let ticket = self.flight();
        self.answer_ticket(ticket, exchange);
    }

    pub fn answer_ticket(&mut self, ticket: Ticket, exchange: Exchange) {
        self.running.retain(|(known, _)| *known != ticket);
        self.revoking.retain(|(known, _)| *known != ticket);
        self.engine.answered(ticket, &exchange, self.now);
        self.drain();
    }

    pub fn sign_out(&mut self) -> SignOutId {
        let id = self.engine.sign_out(Reason::SignOut, self.now);
        self.drain();
        id
    }

    pub fn close(&mut self) {
        self.engine.close();
        self.drain();
    }

    pub fn set_online(&mut self, online: bool) {
        self.engine.set_online(online, self.now);
        self.drain();
    }

    pub fn tick(&mut self) {
        self.engine.tick(self.now);
        self.drain();
    }

    /// Both clocks go on, with a timer set for every deadline on the way.
    pub fn pass(&mut self, ms: u64) {
        let end = self.now.plus(ms);
        let mut at_once = 0;
        while self.now.mono_ms < end.mono_ms {
            let left = end.mono_ms - self.now.mono_ms;
            let step = self.engine.deadline_ms(self.now).map_or(left, |deadline| deadline.min(left));
            at_once = if step == 0 { at_once + 1 } else { 0 };
            assert!(at_once < 3, "a timer that fires without end");
            self.now = self.now.plus(step);
            self.tick();
        }
    }

    /// The machine sleeps: the wall clock goes on alone, and no timer fires.
    pub fn sleep(&mut self, ms: u64) {
        self.now.wall_ms += ms;
    }

    /// Milliseconds from now to the next refresh, which is waited for.
    pub fn pass_until_refresh(&mut self, limit_ms: u64) -> Option<u64> {
        let (begun, from) = (self.started.len(), self.now);
        while self.started.len() == begun && from.elapsed_ms(self.now) < limit_ms {
            let left = limit_ms - from.elapsed_ms(self.now);
            let step = self.engine.deadline_ms(self.now).map_or(left, |deadline| deadline.min(left));
            self.pass(step.max(1));
        }
        (self.started.len() > begun).then(|| from.elapsed_ms(self.now))
    }

    /// Both clocks go on while a server answers every refresh at once and the app asks every `request_ms`.
    pub fn live(&mut self, ms: u64, request_ms: Option<u64>, mut serve: impl FnMut() -> Exchange) {
        let end = self.now.mono_ms + ms;
        let mut next_request = self.now.mono_ms;
        while self.now.mono_ms < end {
            if request_ms.is_some() && self.now.mono_ms >= next_request {
                next_request += request_ms.unwrap_or_default();
                if self.get() == Permit::Wait {
                    self.wait(None);
                }
            }
            for ticket in self.running.iter().map(|(ticket, _)| *ticket).collect::<Vec<_>>() {
                self.answer_ticket(ticket, serve());
            }
            let until = if request_ms.is_some() { next_request.min(end) } else { end };
            let left = until.saturating_sub(self.now.mono_ms);
            let step = self.engine.deadline_ms(self.now).map_or(left, |deadline| deadline.min(left));
            self.pass(step.max(1));
        }
    }

    pub fn settled_as(&self, waiter: WaiterId) -> Option<Settled> {
        let mut found = self.settled.iter().filter(|(known, _)| *known == waiter).map(|(_, settled)| *settled);
        let first = found.next();
        assert_eq!(found.next(), None, "settled twice");
        first
    }

    /// The header's value, without `Bearer `.
    pub fn access_token(&self) -> Option<String> {
        let value = self.engine.authorization()?;
        Some(value.expose().split_once(' ').expect("a scheme").1.into())
    }

    /// Why the session ended, if it did since the events were last cleared.
    pub fn sign_out_reason(&self) -> Option<Reason> {
        let mut reasons = self.events.iter().filter_map(|event| match event {
            Event::SignedOut(detail) => Some(detail.reason),
            _ => None,
        });
        let first = reasons.next();
        assert_eq!(reasons.next(), None, "signed out twice");
        first
    }

    /// The names of the events, in order, which are forgotten.
    pub fn event_names(&mut self) -> Vec<&'static str> {
        self.events.drain(..).map(|event| event.record().0).collect()
    }
}
