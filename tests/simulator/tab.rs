//! A tab: the engine, and a twin of the shell around it, which does what `src/web/driver.rs` and `src/js/ward.js` do.

use tokenward::engine::event::{Event, Reason, Snapshot};
use tokenward::engine::schedule::Moment;
use tokenward::engine::session::{Settled, Stamp, WaiterId};
use tokenward::engine::tabs::Signal;
use tokenward::engine::{Engine, Output, Ticket, Work};

use crate::browser::Asked;
use crate::server::{Back, number};
use crate::world::{To, World};

/// What comes to a tab from outside.
#[derive(Debug)]
pub enum Input {
    Timer,
    /// An event after which a clock may have jumped or the network may be back.
    Wake,
    Reply(usize, Back),
    /// Another tab said so.
    Heard(Signal),
    Granted(Ticket),
    /// The lock was lost, given up or let go.
    Unlocked(Ticket),
    /// There is no lock to be had.
    Refused(Ticket),
    /// What the tab told before it lets go is heard.
    Echo(Ticket),
}

/// Who waits in the engine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Owner {
    Fetch(usize),
    Refresh,
    Restore,
}

#[derive(Debug)]
pub struct Wait {
    pub id: WaiterId,
    pub owner: Owner,
    pub deadline_mono_ms: u64,
}

/// A refresh that the engine began and did not abort.
#[derive(Clone, Copy, Debug)]
pub struct Flight {
    pub ticket: Ticket,
    pub trip: usize,
    pub sent: Moment,
    /// Its lock was stolen by a tab that let go of it.
    pub is_excused: bool,
}

pub struct Tab {
    pub engine: Engine,
    pub is_open: bool,
    pub is_frozen: bool,
    pub is_hidden: bool,
    pub origin_ms: u64,
    /// Where the monotonic clock will be, and which timer it is.
    pub timer: Option<(u64, u64)>,
    /// What came while it could not run.
    pub inbox: Vec<Input>,
    /// When it last woke up or was resumed.
    pub roused_at: u64,
    /// When the last message comes: they keep their order.
    pub last_message_at: u64,
    pub last_lock_news_at: u64,
    /// Of locks, by ticket.
    pub locks: Vec<(Ticket, Asked)>,
    is_draining: bool,
    pub is_restoring: bool,
    pub waits: Vec<Wait>,
    /// Waits that ended, in order.
    mail: Vec<(WaiterId, Settled)>,
    pub flights: Vec<Flight>,
    pub truth: Truth,
    pub probe: Option<usize>,
    timers: u64,
}

/// What the simulator itself knows of a tab's session.
#[derive(Default)]
pub struct Truth {
    /// Goes up with each end of a session.
    pub session: u32,
    pub is_signed_in: bool,
    pub family: Option<usize>,
    /// When it came to know that family.
    pub family_since: u64,
    pub refresh: Option<usize>,
    /// The access tokens that came, and in which session.
    pub tokens: Vec<Held>,
    /// A refresh is justified, whatever the token's age.
    pub has_cause: bool,
    /// By the server's word, another tab's or a person's.
    pub may_end: Vec<Reason>,
    /// When it last heard that another tab renewed.
    pub heard_at: Option<u64>,
}

#[derive(Clone, Copy)]
pub struct Held {
    pub access: usize,
    pub session: u32,
    pub sent: Moment,
    pub lifetime_ms: u64,
}

impl World<'_> {
    pub fn open(&mut self) -> usize {
        let tab = self.tabs.len();
        let seed = self.rng.up_to(u64::MAX - 1);
        let engine = Engine::new(self.options().read().expect("good options"), seed, self.is_online);
        self.tabs.push(Tab {
            engine,
            is_open: true,
            is_frozen: false,
            is_hidden: false,
            origin_ms: 1_000_000 + self.rng.up_to(1_000_000_000),
            timer: None,
            inbox: Vec::new(),
            roused_at: 0,
            last_message_at: 0,
            last_lock_news_at: 0,
            locks: Vec::new(),
            is_draining: false,
            is_restoring: false,
            waits: Vec::new(),
            mail: Vec::new(),
            flights: Vec::new(),
            truth: Truth::default(),
            probe: None,
            timers: 0,
        });
        tab
    }

    /// One task of the tab's event loop, and the microtasks after it.
    fn task(&mut self, tab: usize, run: impl FnOnce(&mut Self)) {
        run(self);
        while let Some((waiter, settled)) = self.next_mail(tab) {
            // Who gave up a moment before it was told does not listen any more.
            let Some(at) = self.tabs[tab].waits.iter().position(|wait| wait.id == waiter) else { continue };
            let wait = self.tabs[tab].waits.remove(at);
            self.note(|| format!("tab {tab}: {:?} is told {settled:?}", wait.owner));
            match wait.owner {
                Owner::Fetch(call) => self.settled(call, settled),
                Owner::Refresh => {}
                Owner::Restore => self.tabs[tab].is_restoring = false,
            }
        }
        self.check_tab(tab);
    }

    fn next_mail(&mut self, tab: usize) -> Option<(WaiterId, Settled)> {
        let mail = &mut self.tabs[tab].mail;
        (!mail.is_empty()).then(|| mail.remove(0))
    }

    /// Something the app in a tab does, if it can.
    pub fn app(&mut self, tab: usize, run: impl FnOnce(&mut Self)) {
        if self.is_awake(tab) {
            self.task(tab, run);
        }
    }

    pub fn deliver(&mut self, tab: usize, input: Input) {
        if !self.tabs[tab].is_open {
            return;
        }
        if !self.is_awake(tab) {
            self.tabs[tab].inbox.push(input);
            return;
        }
        self.note(|| format!("tab {tab} gets {input:?}"));
        self.task(tab, |world| match input {
            Input::Timer => {
                world.tabs[tab].is_draining = false;
                let now = world.now(tab);
                world.tabs[tab].engine.tick(now);
                world.drain(tab);
            }
            Input::Wake => {
                let (now, is_online) = (world.now(tab), world.is_online);
                world.tabs[tab].engine.set_online(is_online, now);
                world.drain(tab);
            }
            Input::Reply(trip, back) => world.reply(tab, trip, &back),
            Input::Heard(signal) => {
                let now = world.now(tab);
                match signal {
                    Signal::SignedOut => world.ends(tab, Reason::Elsewhere),
                    Signal::Refreshed => world.tabs[tab].truth.heard_at = Some(world.t),
                    Signal::SignedIn | Signal::Locked => {}
                }
                world.tabs[tab].engine.heard(signal, now);
                world.drain(tab);
            }
            Input::Granted(ticket) => world.granted(tab, ticket),
            Input::Unlocked(ticket) => world.unlocked(tab, ticket, false),
            Input::Refused(ticket) => world.unlocked(tab, ticket, true),
            Input::Echo(ticket) => world.release_held(tab, ticket),
        });
    }

    fn reply(&mut self, tab: usize, trip: usize, back: &Back) {
        match self.trips[trip].to.clone() {
            To::Api { call, .. } => self.api_answered(call, trip, back),
            To::Renew { ticket, refresh } => self.renewed(tab, trip, ticket, Some(refresh), back),
            To::Session { ticket, .. } => self.renewed(tab, trip, ticket, None, back),
            To::Revoke { ticket, .. } | To::EndSession { ticket, .. } => self.answered(tab, ticket, back),
        }
    }

    pub fn answered(&mut self, tab: usize, ticket: Ticket, back: &Back) {
        let now = self.now(tab);
        self.tabs[tab].engine.answered(ticket, &back.exchange(), now);
        self.drain(tab);
    }

    fn renewed(&mut self, tab: usize, trip: usize, ticket: Ticket, refresh: Option<usize>, back: &Back) {
        let Some(at) = self.tabs[tab].flights.iter().position(|flight| flight.ticket == ticket) else {
            // Nobody wants it any more.
            let (now, before) = (self.now(tab), self.seen(tab));
            self.tabs[tab].engine.answered(ticket, &back.exchange(), now);
            if self.seen(tab) != before {
                self.violate("an answer nobody wants changes nothing", format!("tab {tab}, trip {trip}"));
            }
            self.drain(tab);
            return;
        };
        let flight = self.tabs[tab].flights.remove(at);
        match back {
            Back::Tokens { access, refresh: next, expires_in_s, .. } => {
                if let Some(refresh) = refresh {
                    self.server.refreshes[refresh].is_answered = true;
                }
                self.hold(tab, *access, *next, flight.sent, *expires_in_s);
            }
            Back::Status(401) if !self.tabs[tab].truth.is_signed_in && !self.tabs[tab].engine.has_output() => {}
            Back::Status(401) => self.tabs[tab].truth.may_end.push(Reason::LoginRequired),
            Back::Error(_) => self.tabs[tab].truth.may_end.push(Reason::RefreshRejected),
            _ => {}
        }
        self.answered(tab, ticket, back);
    }

    /// Notes a token set that the tab has from now on.
    pub fn hold(&mut self, tab: usize, access: usize, refresh: Option<usize>, sent: Moment, expires_in_s: u64) {
        let now = self.now(tab);
        let lifetime_ms = expires_in_s * 1_000;
        let (family, at) = (self.server.accesses[access].family, self.t);
        let truth = &mut self.tabs[tab].truth;
        if truth.family.replace(family) != Some(family) {
            truth.family_since = at;
        }
        truth.refresh = refresh.or(truth.refresh);
        // Whoever gets a token too late to use it, or the same one, asks again.
        let is_known = truth.tokens.last().is_some_and(|held| held.access == access);
        truth.has_cause = is_known && truth.has_cause || sent.elapsed_ms(now) >= lifetime_ms / 2;
        truth.tokens.push(Held { access, session: truth.session, sent, lifetime_ms });
    }

    /// All that an app can tell of a tab.
    fn seen(&self, tab: usize) -> (Stamp, bool, Snapshot) {
        let engine = &self.tabs[tab].engine;
        (engine.stamp(), engine.signed_in(), engine.snapshot(self.now(tab)))
    }

    /// A person, another tab or the server may have ended the session by now.
    pub fn ends(&mut self, tab: usize, reason: Reason) {
        let truth = &mut self.tabs[tab].truth;
        truth.may_end.push(reason);
        truth.session += 1;
        truth.family = None;
        truth.refresh = None;
        truth.is_signed_in = false;
    }

    /// Somebody waits from now on.
    pub fn expect(&mut self, tab: usize, id: WaiterId, owner: Owner, since_mono_ms: u64) {
        let deadline_mono_ms = since_mono_ms + crate::checks::WAIT_MS;
        self.tabs[tab].waits.push(Wait { id, owner, deadline_mono_ms });
    }

    /// `drain_if_any()` of the driver.
    pub fn drain_if_any(&mut self, tab: usize) {
        if self.tabs[tab].engine.has_output() {
            self.drain(tab);
        }
    }

    /// `drain()` of the driver.
    pub fn drain(&mut self, tab: usize) {
        if !std::mem::replace(&mut self.tabs[tab].is_draining, true) {
            let mut goes_on = true;
            while goes_on && self.tabs[tab].engine.has_output() {
                for output in self.tabs[tab].engine.take_outputs() {
                    goes_on = self.perform(tab, output);
                }
            }
            self.tabs[tab].is_draining = false;
        }
        self.arm(tab);
    }

    fn arm(&mut self, tab: usize) {
        let now = self.now(tab);
        let tabs = &mut self.tabs[tab];
        tabs.timers += 1;
        // In slices, as `src/web/timer.rs` does it.
        let deadline = tabs.engine.deadline_ms(now).filter(|_| tabs.is_open);
        tabs.timer = deadline.map(|ms| (now.mono_ms + ms.min(60_000), tabs.timers));
        self.rearm(tab);
    }

    /// `false`: what follows is to be taken later, when a lock is free.
    fn perform(&mut self, tab: usize, output: Output) -> bool {
        match output {
            Output::Start(ticket, work) => self.start(tab, ticket, work),
            Output::Abort(ticket) => self.abort(tab, ticket),
            Output::Settle(waiter, settled) => self.tabs[tab].mail.push((waiter, settled)),
            Output::Event(event) => self.emitted(tab, &event),
            Output::SignedOut(..) => {}
            Output::Lock(ticket, steals) => self.ask_lock(tab, ticket, steals),
            Output::Unlock(ticket) => return !self.let_go(tab, ticket) || !self.tabs[tab].is_open,
            Output::Signal(signal) => self.tell(tab, signal),
            Output::Restore => self.restore(tab),
        }
        true
    }

    fn start(&mut self, tab: usize, ticket: Ticket, work: Work) {
        let sent = self.now(tab);
        match work {
            Work::Refresh { body } => {
                let refresh = number(field(body.expose(), "refresh_token="));
                // One that a listener has just made void is aborted in the same breath.
                if ticket.epoch == self.tabs[tab].engine.stamp().epoch {
                    self.check_start(tab, refresh);
                }
                let trip = self.send(tab, To::Renew { ticket, refresh });
                self.tabs[tab].flights.push(Flight { ticket, trip, sent, is_excused: false });
            }
            Work::Revoke { body } => {
                let token = field(body.expose(), "token=").to_owned();
                self.send(tab, To::Revoke { ticket, token });
            }
            Work::Session { body } => {
                let after = body.expose().strip_prefix("after=").map(str::to_owned);
                if ticket.epoch == self.tabs[tab].engine.stamp().epoch {
                    self.check_session_start(tab);
                }
                let trip = self.send(tab, To::Session { ticket, cookie: self.cookie, after });
                self.tabs[tab].flights.push(Flight { ticket, trip, sent, is_excused: false });
            }
            Work::EndSession => _ = self.send(tab, To::EndSession { ticket, cookie: self.cookie }),
            other => panic!("nobody has set up {other:?}"),
        }
    }

    fn abort(&mut self, tab: usize, ticket: Ticket) {
        self.note(|| format!("tab {tab} aborts {ticket:?}"));
        let flights = &mut self.tabs[tab].flights;
        let Some(at) = flights.iter().position(|flight| flight.ticket == ticket) else { return };
        let Flight { trip, .. } = flights.remove(at);
        self.trips[trip].is_wanted = false;
        // The promise of an aborted fetch rejects; a callback of the app's may ignore its signal.
        if !self.trips[trip].fate.is_late {
            self.input_later(0, tab, Input::Reply(trip, Back::Failure));
        }
    }

    fn emitted(&mut self, tab: usize, event: &Event) {
        self.note(|| format!("tab {tab}: {} {event:?}", event.record().0));
        match event {
            Event::SignedIn(_) => self.tabs[tab].truth.is_signed_in = true,
            Event::SignedOut(detail) => {
                self.check_sign_out(tab, detail.reason);
                self.tabs[tab].truth.may_end.clear();
                if self.tabs[tab].truth.is_signed_in {
                    self.ends(tab, detail.reason);
                }
            }
            _ => {}
        }
        self.events += 1;
        if self.schedule.reactions.contains(&(self.events - 1)) && self.tabs[tab].is_open && self.calm_at.is_none() {
            self.react(tab);
        }
    }
}

/// The value of a form's field; tokens need no encoding. `name` has its equals sign.
fn field<'a>(body: &'a str, name: &str) -> &'a str {
    body.split('&').find_map(|field| field.strip_prefix(name)).expect("the field")
}
