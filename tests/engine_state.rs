//! Whatever happens in whatever order, these hold.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use std::collections::HashMap;

use common::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use tokenward::engine::event::Event;
use tokenward::engine::failure::{Cause, Exchange};
use tokenward::engine::oauth::response::{Member, TokenAnswer};
use tokenward::engine::schedule::{Moment, Rng};
use tokenward::engine::session::{Permit, Settled, Stamp, WaiterId, Way};
use tokenward::engine::{Refused, Request, Ticket, Work};

const WAIT_MS: u64 = 30 * SECOND;

#[derive(Clone, Copy, Debug)]
enum Reply {
    Tokens { lifetime_s: u64, rotated: bool, user: User },
    Error(&'static str),
    Status(u16),
    Delayed(u64),
    Nonce,
    Failed(Cause),
    Nothing,
}

/// Who an ID token names, if there is one.
type User = Option<&'static str>;

#[derive(Clone, Copy, Debug)]
enum After {
    Nothing,
    Current,
    Previous,
    LastSession,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    SetTokens { lifetime_s: u64, renewable: bool, age_ms: u64 },
    SignIn { lifetime_s: u64, renewable: bool, user: User, began: After },
    Restore(Way),
    SignedOutElsewhere { is_ours: bool },
    Request { after: After, one_shot: bool, waits: bool },
    Refused { stamp: After, one_shot: bool, replayed: bool },
    Renew,
    Cancel,
    Reply(Reply),
    LateReply(Reply),
    Pass(u64),
    Sleep(u64),
    SetBack(u64),
    Tick,
    Online(bool),
    SignOut,
    Close,
}

/// Zero stands for "does not say".
fn lifetimes() -> impl Strategy<Value = u64> {
    select(vec![0, 1, 10, 60, 300, 3_600])
}

fn users() -> impl Strategy<Value = User> {
    select(vec![None, Some("user-1"), Some("user-1"), Some("user-2")])
}

fn replies() -> impl Strategy<Value = Reply> {
    prop_oneof![
        6 => (lifetimes(), any::<bool>(), users())
            .prop_map(|(lifetime_s, rotated, user)| Reply::Tokens { lifetime_s, rotated, user }),
        1 => select(vec!["invalid_grant", "invalid_client", "login_required", "server_error"]).prop_map(Reply::Error),
        2 => select(vec![200, 400, 401, 429, 500, 503]).prop_map(Reply::Status),
        2 => select(vec![0, 1, 3_000, 600_000]).prop_map(Reply::Delayed),
        1 => Just(Reply::Nonce),
        2 => select(vec![Cause::Network, Cause::Timeout, Cause::TooLarge]).prop_map(Reply::Failed),
        1 => Just(Reply::Nothing),
    ]
}

fn afters() -> impl Strategy<Value = After> {
    select(vec![After::Nothing, After::Nothing, After::Current, After::Previous, After::LastSession])
}

fn durations() -> impl Strategy<Value = u64> {
    prop_oneof![0..SECOND, 0..20 * SECOND, 0..400 * SECOND, 0..2 * HOUR]
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (lifetimes(), any::<bool>(), prop_oneof![3 => Just(0), 1 => durations()])
            .prop_map(|(lifetime_s, renewable, age_ms)| Step::SetTokens { lifetime_s, renewable, age_ms }),
        3 => (lifetimes(), any::<bool>(), users(), afters())
            .prop_map(|(lifetime_s, renewable, user, began)| Step::SignIn { lifetime_s, renewable, user, began }),
        3 => select(vec![Way::Session, Way::Silent]).prop_map(Step::Restore),
        1 => any::<bool>().prop_map(|is_ours| Step::SignedOutElsewhere { is_ours }),
        8 => (afters(), any::<bool>(), any::<bool>())
            .prop_map(|(after, one_shot, waits)| Step::Request { after, one_shot, waits }),
        4 => (afters(), any::<bool>(), any::<bool>())
            .prop_map(|(stamp, one_shot, replayed)| Step::Refused { stamp, one_shot, replayed }),
        2 => Just(Step::Renew),
        1 => Just(Step::Cancel),
        8 => replies().prop_map(Step::Reply),
        2 => replies().prop_map(Step::LateReply),
        6 => durations().prop_map(Step::Pass),
        3 => durations().prop_map(Step::Sleep),
        2 => durations().prop_map(Step::SetBack),
        3 => Just(Step::Tick),
        3 => any::<bool>().prop_map(Step::Online),
        1 => Just(Step::SignOut),
        1 => Just(Step::Close),
    ]
}

/// An access token that was given to the ward.
struct Issued {
    expires: Option<Moment>,
    session: u32,
    user: User,
}

struct Model {
    world: World,
    online: bool,
    closed: bool,
    signed_in: bool,
    /// Counts sessions.
    session: u32,
    issued: HashMap<String, Issued>,
    waiting: HashMap<WaiterId, u64>,
    /// Those that wait for a session to be found.
    restoring: Vec<WaiterId>,
    /// The tokens came with a sign-in or from the app.
    brought: bool,
    /// Of every refresh there was.
    tickets: Vec<Ticket>,
    last_session: Option<Stamp>,
    /// Before it the server does not want to be asked.
    not_before: Option<Moment>,
    started: usize,
    has_client: bool,
    has_issuer: bool,
}

impl Model {
    fn new(options: Options, seed: u64) -> Self {
        Self {
            has_client: options.client_id.is_some(),
            has_issuer: options.issuer.is_some(),
            world: World::seeded(options, seed),
            online: true,
            closed: false,
            signed_in: false,
            session: 0,
            issued: HashMap::new(),
            waiting: HashMap::new(),
            restoring: Vec::new(),
            brought: false,
            tickets: Vec::new(),
            last_session: None,
            not_before: None,
            started: 0,
        }
    }

    fn issue(&mut self, lifetime_s: u64, renewable: bool, sent: Moment, session: u32, user: User) -> TokenAnswer {
        let name = self.issued.len().to_string();
        let expires = (lifetime_s > 0).then(|| sent.plus(lifetime_s * SECOND));
        self.issued.insert(name.clone(), Issued { expires, session, user });
        let refresh = format!("refresh-{name}");
        let answer = response(&name, renewable.then_some(&*refresh));
        TokenAnswer { expires_in: Member::Number(lifetime_s as f64), identity: user.map(identity), ..answer }
    }

    /// The session that tokens begin or go on with.
    fn session_now(&self) -> u32 {
        if self.signed_in { self.session } else { self.session + 1 }
    }

    fn exchange(&mut self, reply: Reply) -> Exchange {
        match reply {
            Reply::Tokens { lifetime_s, rotated, user } => {
                let sent = *self.world.started.last().expect("a refresh");
                answered(200, Some(self.issue(lifetime_s, rotated, sent, self.session_now(), user)))
            }
            Reply::Error(error) => refused_with(error),
            Reply::Status(status) => answered(status, None),
            Reply::Delayed(ms) => delayed(503, ms),
            Reply::Nonce => wants_nonce(400),
            Reply::Failed(cause) => Exchange::Failed(cause),
            Reply::Nothing => Exchange::CallbackRejected(None),
        }
    }

    fn stamp(&self, after: After) -> Option<Stamp> {
        let current = self.world.engine.stamp();
        match after {
            After::Nothing => None,
            After::Current => Some(current),
            After::Previous => Some(Stamp { generation: current.generation.saturating_sub(1), ..current }),
            After::LastSession => self.last_session,
        }
    }

    fn run(&mut self, step: Step) {
        let now = self.world.now;
        match step {
            Step::SetTokens { lifetime_s, renewable, age_ms } if !self.closed => {
                let response = self.issue(lifetime_s, renewable, now.minus(age_ms), self.session_now(), None);
                self.not_before = None;
                self.brought = true;
                self.world.set_tokens_aged(response, age_ms);
            }
            Step::SignIn { lifetime_s, renewable, user, began } if !self.closed => {
                self.sign_in(lifetime_s, renewable, user, self.stamp(began));
            }
            Step::Restore(way) if !self.closed => {
                let waiter = self.world.restore(way);
                self.waiting.insert(waiter, now.mono_ms + WAIT_MS);
                self.restoring.push(waiter);
            }
            Step::SignedOutElsewhere { is_ours } => {
                let issuer = if is_ours { ISSUER } else { "https://other.test" };
                let was = self.world.engine.signed_in();
                self.world.signed_out_elsewhere(Some(issuer), None);
                let stays = was && !is_ours && self.has_issuer;
                assert_eq!(self.world.engine.signed_in(), stays, "by another issuer's word, or not by ours");
            }
            Step::Request { after, one_shot, waits } => self.request(self.stamp(after), one_shot, waits),
            Step::Refused { stamp, one_shot, replayed } => {
                if let Some(stamp) = self.stamp(stamp) {
                    let request = Request { one_shot, ..self.world.request() };
                    let repeat = self.world.refused(request, stamp, &Refused { replayed, ..bare_refusal() });
                    assert!(!repeat || !one_shot && !replayed, "repeated what cannot be, or twice");
                    assert!(!repeat || self.world.engine.signed_in());
                }
            }
            Step::Renew => {
                if let Some(waiter) = self.world.renew() {
                    self.waiting.insert(waiter, now.mono_ms + WAIT_MS);
                }
            }
            Step::Cancel => {
                if let Some(waiter) = self.waiting.keys().min().copied() {
                    self.waiting.remove(&waiter);
                    self.world.cancel(waiter);
                }
            }
            Step::Reply(reply) => {
                if let [(ticket, _)] = self.world.running[..] {
                    let exchange = self.exchange(reply);
                    self.not_before = match reply {
                        Reply::Delayed(ms) if self.signed_in => Some(now.plus(ms)),
                        _ => None,
                    };
                    self.brought &= self.signed_in;
                    self.world.answer_ticket(ticket, exchange);
                }
            }
            Step::LateReply(reply) => self.late_reply(reply),
            Step::Pass(ms) => {
                self.world.pass(ms);
                self.check_waiting();
            }
            Step::Sleep(ms) => self.world.sleep(ms),
            Step::SetBack(ms) => self.world.now.wall_ms -= ms,
            Step::Tick => {
                self.world.tick();
                self.check_waiting();
                assert_ne!(self.world.engine.deadline_ms(now), Some(0), "a timer that fires without end");
            }
            Step::Online(online) => {
                self.online = online;
                self.world.set_online(online);
            }
            Step::SignOut => {
                self.world.sign_out();
                assert!(!self.world.engine.signed_in());
            }
            Step::Close => {
                self.closed = true;
                self.world.close();
                assert_eq!(self.world.engine.deadline_ms(now), None);
            }
            Step::SetTokens { .. } | Step::SignIn { .. } | Step::Restore(_) => {}
        }
        self.check();
    }

    fn sign_in(&mut self, lifetime_s: u64, renewable: bool, user: User, began: Option<Stamp>) {
        let world = &self.world;
        let (current, known) = (world.engine.stamp(), world.user().map(str::to_owned));
        // One that began in another session began before the last sign-out.
        let is_over = began.is_some_and(|began| began.epoch != current.epoch);
        let began = world.engine.sign_outs().wrapping_sub(u32::from(is_over));
        let stays = !self.signed_in || user.is_some() && user == known.as_deref();
        let session = if stays { self.session_now() } else { self.session + 1 };
        let (now, before) = (world.now, self.seen());
        let answer = self.issue(lifetime_s, renewable, now, session, user);
        let result = self.world.sign_in(answered(200, Some(answer)), began);
        if is_over {
            assert_eq!(result.expect_err("over").code, "signed_out");
            assert_eq!(self.seen(), before, "what began in another session counted");
            return;
        }
        assert_eq!(result, Ok(()));
        self.not_before = None;
        self.brought = true;
        assert!(!self.world.engine.signed_in() || self.world.user() == user, "signed in as somebody else");
    }

    fn request(&mut self, after: Option<Stamp>, one_shot: bool, waits: bool) {
        let now = self.world.now;
        let request = Request { one_shot, ..self.world.request() };
        match self.world.authorize(request, after) {
            Permit::Go => {
                let token = &self.issued[&self.world.access_token().expect("a token")];
                assert!(!token.expires.is_some_and(|end| end.reached(now)), "sent expired");
                assert_eq!(token.session, self.session, "sent in another session");
                let named = token.user.zip(self.world.user());
                assert!(named.is_none_or(|(one, other)| one == other), "sent another user's");
                assert!(self.world.engine.signed_in());
                assert!(after.is_none_or(|after| after < self.world.engine.stamp()), "sent with what was refused");
            }
            Permit::Wait => {
                assert!(self.world.engine.signed_in());
                if waits {
                    let waiter = self.world.wait(after);
                    self.waiting.insert(waiter, now.mono_ms + WAIT_MS);
                }
            }
            Permit::Anonymous => assert!(!self.world.engine.signed_in()),
            Permit::Over => {
                let current = self.world.engine.stamp();
                assert!(after.expect("a session that was").epoch != current.epoch);
            }
        }
    }

    fn late_reply(&mut self, reply: Reply) {
        let is_late = |ticket: &Ticket| self.world.running.iter().all(|(running, _)| running != ticket);
        let Some(ticket) = self.tickets.iter().rev().find(|ticket| is_late(ticket)).copied() else { return };
        let exchange = self.exchange(reply);
        let before = self.seen();
        self.world.answer_ticket(ticket, exchange);
        assert_eq!(self.seen(), before, "a late answer counted");
    }

    /// All that an app can tell.
    fn seen(&self) -> impl PartialEq + std::fmt::Debug + use<> {
        let world = &self.world;
        let counts = (world.events.len(), world.settled.len(), world.started.len(), world.aborted.len());
        let user = world.user().map(str::to_owned);
        (counts, world.engine.stamp(), world.access_token(), user, world.engine.snapshot(world.now))
    }

    fn check_waiting(&self) {
        let is_told = |waiter| self.world.settled.iter().any(|(told, _)| *told == waiter);
        for (waiter, deadline) in &self.waiting {
            assert!(*deadline > self.world.now.mono_ms || is_told(*waiter), "waits beyond its deadline");
        }
    }

    fn check(&mut self) {
        let world = &mut self.world;
        assert!(world.running.len() <= 1, "refreshes at once");
        assert!(self.online || world.started.len() == self.started, "a refresh begun offline");
        for started in &world.started[self.started..] {
            assert!(self.not_before.is_none_or(|moment| moment.reached(*started)), "asked too early");
            self.not_before = None;
        }
        self.started = world.started.len();
        if let [(ticket, work)] = &world.running[..] {
            let (ticket, is_signed_in) = (*ticket, world.engine.signed_in());
            match work {
                Work::Session { .. } => {
                    assert!(!is_signed_in || !self.brought || !self.has_client, "whose cookie is it?")
                }
                Work::Silent => assert!(!is_signed_in || world.user().is_some(), "whose session is it?"),
                _ => assert!(is_signed_in, "a refresh without a session"),
            }
            if !self.tickets.contains(&ticket) {
                self.tickets.push(ticket);
            }
        }
        for (waiter, settled) in world.settled.drain(..) {
            let deadline = self.waiting.remove(&waiter).expect("told once, and not after it gave up");
            match settled {
                Settled::Ready(_) => {}
                Settled::Unavailable => {
                    let is_restore_s = self.restoring.contains(&waiter);
                    assert!(is_restore_s || world.now.mono_ms >= deadline, "told too early");
                }
                Settled::SignedOut => assert!(!self.closed),
                Settled::Closed => assert!(self.closed),
            }
        }
        for event in world.events.drain(..) {
            match event {
                Event::SignedIn(_) => {
                    assert!(!self.signed_in && !self.closed);
                    self.signed_in = true;
                    self.session += 1;
                }
                Event::SignedOut(_) => {
                    assert!(self.signed_in, "signed out twice");
                    self.signed_in = false;
                    self.not_before = None;
                    let Stamp { epoch, .. } = world.engine.stamp();
                    self.last_session = Some(Stamp { epoch: epoch - 1, generation: 1 });
                }
                _ => assert!(self.signed_in),
            }
        }
        if self.closed {
            self.signed_in = false;
        }
        assert_eq!(world.engine.signed_in(), self.signed_in);
        assert_eq!(world.engine.snapshot(world.now).waiting, self.waiting.len());
        assert!(self.signed_in || world.access_token().is_none(), "a token without a session");
        assert!(self.signed_in || world.user().is_none(), "a user without a session");
        let waits = self.waiting.keys().all(|waiter| self.restoring.contains(waiter)) && !world.running.is_empty();
        assert!(self.signed_in || self.waiting.is_empty() || waits, "waits for nothing");
    }

    /// Tokens of whoever is signed in: a hidden frame has to name them.
    fn good_reply(&self) -> Step {
        let user = ["user-1", "user-2"].into_iter().find(|user| self.world.user() == Some(user));
        Step::Reply(Reply::Tokens { lifetime_s: 3_600, rotated: false, user })
    }

    /// Once everything works again, so does a session that was not ended.
    fn recover(&mut self) {
        self.run(Step::Online(true));
        for _ in 0..60 {
            self.run(Step::Pass(11 * SECOND));
            self.run(self.good_reply());
        }
        self.run(Step::Tick);
        assert!(self.waiting.is_empty(), "waits for ever");
        if self.signed_in {
            if self.world.get() == Permit::Wait {
                self.run(self.good_reply());
            }
            assert_eq!(self.world.get(), Permit::Go);
        }
    }
}

fn wards() -> impl Strategy<Value = Options> {
    select(vec![
        options(),
        callback_options(),
        bare_options(),
        session_options(),
        silent_options(),
        Options { restores_silently: true, ..session_options() },
    ])
}

fn run(options: Options, seed: u64, signed_in: bool, steps: impl IntoIterator<Item = Step>) {
    let mut model = Model::new(options, seed);
    if signed_in {
        model.run(Step::SetTokens { lifetime_s: 60, renewable: true, age_ms: 0 });
    }
    for step in steps {
        model.run(step);
    }
    model.recover();
}

/// The same from a fuzzer's bytes: four of them are the seed of one step, so that to change them changes no other.
pub fn session(data: &[u8]) {
    let mut chunks = data.chunks(4).map(|chunk| {
        let mut seed = [0; 32];
        seed[..chunk.len()].copy_from_slice(chunk);
        TestRunner::new_with_rng(cases(1), TestRng::from_seed(RngAlgorithm::ChaCha, &seed))
    });
    let Some(mut first) = chunks.next() else { return };
    let ward = (wards(), any::<u64>(), any::<bool>()).new_tree(&mut first);
    let (options, seed, signed_in) = ward.expect("a ward").current();
    let steps = steps();
    run(options, seed, signed_in, chunks.map(|mut chunk| steps.new_tree(&mut chunk).expect("a step").current()));
}

proptest! {
    #![proptest_config(cases(1_500))]

    #[test]
    fn no_order_of_events_breaks_a_promise(
        options in wards(),
        seed: u64,
        signed_in: bool,
        steps in vec(steps(), 1..60),
    ) {
        run(options, seed, signed_in, steps);
    }
}

#[test]
fn any_bytes_are_an_order_of_events() {
    for seed in 0..100 {
        let mut rng = Rng::new(seed);
        session(&[(); 200].map(|()| rng.up_to(255) as u8));
    }
    session(&[]);
}
