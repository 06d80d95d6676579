//! Virtual time, the network between tabs and servers, and the machine.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use tokenward::engine::Ticket;
use tokenward::engine::schedule::{Moment, Rng};

use crate::browser::Lock;
use crate::calls::Call;
use crate::common::{MINUTE, SECOND, START};
use crate::schedule::{Action, Fate, Luck, Mode, Schedule, Step};
use crate::server::{Back, Cookie, Server};
use crate::tab::{Input, Tab};

/// A broken promise.
#[derive(Clone, Debug, PartialEq)]
pub struct Violation {
    pub rule: &'static str,
    pub detail: String,
}

/// An HTTP request and its answer.
pub struct Trip {
    pub tab: usize,
    pub sent_at: u64,
    pub to: To,
    pub fate: Fate,
    /// The tab still wants the answer.
    pub is_wanted: bool,
    pub back: Option<Back>,
    /// What the answer makes of the cookie.
    sets: Option<Option<Cookie>>,
}

#[derive(Clone, Debug)]
pub enum To {
    Api { call: usize, access: Option<usize> },
    Renew { ticket: Ticket, refresh: usize },
    Revoke { ticket: Ticket, token: String },
    Session { ticket: Ticket, cookie: Option<Cookie>, after: Option<String> },
    EndSession { ticket: Ticket, cookie: Option<Cookie> },
}

pub enum What {
    Step(usize),
    Timer {
        tab: usize,
        number: u64,
    },
    AtServer(usize),
    /// The request is at the server a second time.
    Again(usize),
    Back(usize),
    Input(usize, Input),
    WakeUp {
        timers_first: bool,
    },
    Calm,
    Probe,
    End,
}

struct Entry {
    at: u64,
    number: u64,
    what: What,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

pub struct World<'a> {
    pub schedule: &'a Schedule,
    /// Milliseconds of true time; the server's clock.
    pub t: u64,
    pub rng: Rng,
    pub tabs: Vec<Tab>,
    pub calls: Vec<Call>,
    pub trips: Vec<Trip>,
    pub server: Server,
    pub is_online: bool,
    pub is_asleep: bool,
    pub lock: Lock,
    pub cookie: Option<Cookie>,
    pub violation: Option<Violation>,
    pub trace: Option<Vec<String>>,
    /// Since when there are no more faults.
    pub calm_at: Option<u64>,
    /// Of a session that was revoked: after the second request it is over.
    pub is_asked_twice: bool,
    /// How often requests came too early, while frozen tabs stood before theirs in the queue for the lock.
    pub early: usize,
    pub slept_ms: u64,
    pub fell_asleep_at: u64,
    pub wall_offset_ms: i64,
    queue: BinaryHeap<Reverse<Entry>>,
    number: u64,
    token_trips: usize,
    api_trips: usize,
}

/// More than any schedule takes: a timer that fires without end.
const MAX_EVENTS: usize = 100_000;

/// Longer than a refused resource is not believed, and than any `Retry-After`.
const SETTLE_MS: u64 = 6 * MINUTE;

/// Within this an awake tab's request succeeds once the faults have ceased: a wait, and the request itself. Each frozen tab
/// that stands in the queue for the lock may cost another such time.
pub const PROBE_MS: u64 = 31 * SECOND;

/// Runs a schedule. `trace` is filled if there is one.
pub fn run(schedule: &Schedule, trace: Option<&mut Vec<String>>) -> Result<(), Violation> {
    let mut world = World::new(schedule, trace.is_some());
    for _ in 0..schedule.tabs {
        world.open_signed_in();
    }
    world.at(0, What::Step(0));
    let mut events = 0;
    while let (None, Some(Reverse(entry))) = (&world.violation, world.queue.pop()) {
        world.t = entry.at;
        world.handle(entry.what);
        events += 1;
        if events > MAX_EVENTS {
            world.violate("the run ends", String::new());
        }
    }
    if let Some(trace) = trace {
        *trace = world.trace.take().unwrap_or_default();
    }
    world.violation.map_or(Ok(()), Err)
}

impl<'a> World<'a> {
    fn new(schedule: &'a Schedule, traced: bool) -> Self {
        Self {
            schedule,
            t: 0,
            rng: Rng::new(schedule.seed),
            tabs: Vec::new(),
            calls: Vec::new(),
            trips: Vec::new(),
            server: Server::new(schedule.lifetime_s),
            is_online: true,
            is_asleep: false,
            lock: Lock::default(),
            cookie: None,
            violation: None,
            trace: traced.then(Vec::new),
            calm_at: None,
            is_asked_twice: false,
            early: 0,
            slept_ms: 0,
            fell_asleep_at: 0,
            wall_offset_ms: schedule.wall_offset_ms,
            queue: BinaryHeap::new(),
            number: 0,
            token_trips: 0,
            api_trips: 0,
        }
    }

    pub fn violate(&mut self, rule: &'static str, detail: String) {
        self.note(|| format!("VIOLATION: {rule}: {detail}"));
        self.violation.get_or_insert(Violation { rule, detail });
    }

    pub fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>9} ms  {}", self.t, line()));
        }
    }

    pub fn at(&mut self, after_ms: u64, what: What) {
        self.number += 1;
        self.queue.push(Reverse(Entry { at: self.t + after_ms, number: self.number, what }));
    }

    /// The clocks of a tab.
    pub fn now(&self, tab: usize) -> Moment {
        let slept = self.slept_ms + if self.is_asleep { self.t - self.fell_asleep_at } else { 0 };
        let slept = if self.schedule.mono_stops { slept } else { 0 };
        Moment {
            wall_ms: START.wall_ms.saturating_add(self.t).saturating_add_signed(self.wall_offset_ms),
            mono_ms: self.tabs[tab].origin_ms + self.t - slept,
        }
    }

    fn handle(&mut self, what: What) {
        match what {
            What::Step(number) => self.step(number),
            What::Timer { tab, number } => self.timer(tab, number),
            What::AtServer(trip) => self.at_server(trip),
            What::Again(trip) => drop(self.serve(trip)),
            What::Back(trip) => self.back(trip),
            What::Input(tab, input) => self.deliver(tab, input),
            What::WakeUp { timers_first } => self.wake_up(timers_first),
            What::Calm => self.calm(),
            What::Probe => self.probe(),
            What::End if self.is_behind_frozen() => self.probe(),
            What::End => {
                self.check_end();
                // What a sibling got just before may be refused as well, and then the resource is not believed for a while.
                if !self.is_asked_twice && (0..self.tabs.len()).any(|tab| self.is_revoked(tab)) {
                    self.is_asked_twice = true;
                    self.at(SETTLE_MS, What::Probe);
                } else {
                    self.queue.clear();
                }
            }
        }
        self.check_waits();
    }

    fn step(&mut self, number: usize) {
        let Some(Step { action, .. }) = self.schedule.steps.get(number).copied() else {
            self.at(0, What::Calm);
            return;
        };
        self.note(|| format!("step {number}: {action:?}"));
        let asleep_ms = if let Action::Sleep { ms, .. } = action { ms } else { 0 };
        let after_ms = self.schedule.steps.get(number + 1).map_or(0, |next| next.after_ms);
        self.act(action);
        self.at(asleep_ms + after_ms, What::Step(number + 1));
    }

    pub fn input_later(&mut self, after_ms: u64, tab: usize, input: Input) {
        self.at(after_ms, What::Input(tab, input));
    }

    pub fn is_awake(&self, tab: usize) -> bool {
        let tab = &self.tabs[tab];
        tab.is_open && !tab.is_frozen && !self.is_asleep
    }

    /// Sets the tab's timer into the queue of events.
    pub fn rearm(&mut self, tab: usize) {
        if let Some((due_mono_ms, number)) = self.tabs[tab].timer {
            let mut left_ms = due_mono_ms.saturating_sub(self.now(tab).mono_ms);
            if self.tabs[tab].is_hidden {
                left_ms = (self.t + left_ms).next_multiple_of(MINUTE) - self.t;
            }
            self.at(left_ms, What::Timer { tab, number });
        }
    }

    fn timer(&mut self, tab: usize, number: u64) {
        let Some((due_mono_ms, current)) = self.tabs[tab].timer else { return };
        // One that comes while the tab cannot run is set anew when it can.
        if current != number || !self.is_awake(tab) {
            return;
        }
        if self.now(tab).mono_ms < due_mono_ms {
            self.rearm(tab);
        } else {
            self.tabs[tab].timer = None;
            self.deliver(tab, Input::Timer);
        }
    }

    /// Sends a request.
    pub fn send(&mut self, tab: usize, to: To) -> usize {
        let (fates, next) = match to {
            To::Api { .. } => (&self.schedule.api_fates, &mut self.api_trips),
            _ => (&self.schedule.fates, &mut self.token_trips),
        };
        let fate = fates.get(*next).copied().filter(|_| self.calm_at.is_none()).unwrap_or(Fate::FINE);
        *next += 1;
        let trip = self.trips.len();
        self.note(|| format!("tab {tab} sends {trip}: {to:?}, {fate:?}"));
        let is_lost = fate.luck == Luck::RequestLost || !self.is_online;
        self.trips.push(Trip {
            tab,
            sent_at: self.t,
            to,
            fate,
            is_wanted: true,
            back: is_lost.then_some(Back::Failure),
            sets: None,
        });
        self.at(fate.up_ms, What::AtServer(trip));
        trip
    }

    fn at_server(&mut self, trip: usize) {
        let Fate { luck, down_ms, .. } = self.trips[trip].fate;
        if !self.is_online {
            self.trips[trip].back.get_or_insert(Back::Failure);
        }
        if self.trips[trip].back.is_none() {
            if luck == Luck::Hangs && !matches!(self.trips[trip].to, To::Api { .. }) {
                return;
            }
            let back = self.serve(trip);
            self.trips[trip].back = Some(if luck == Luck::AnswerLost { Back::Failure } else { back });
            if luck == Luck::Doubled {
                self.at(1, What::Again(trip));
            }
        }
        self.at(down_ms, What::Back(trip));
    }

    /// The server's answer.
    fn serve(&mut self, trip: usize) -> Back {
        let t = self.t;
        let Trip { to, fate, .. } = &self.trips[trip];
        match (to.clone(), fate.luck) {
            (To::Api { access, .. }, luck) => Back::Status(self.server.api(access, luck, t)),
            (_, Luck::Status(status)) => Back::Status(status),
            (_, Luck::RetryAfter(status, ms)) => Back::RetryAfter(status, ms),
            (_, Luck::Html) => Back::Html,
            (To::Revoke { token, .. }, _) => self.server.revoke(&token, t),
            (To::Renew { refresh, .. }, _) => {
                self.check_reuse(trip, refresh);
                self.server.renew(refresh, trip, t)
            }
            (To::Session { cookie, after, .. }, _) => {
                let Mode::Cookie(backend) = self.schedule.mode else { unreachable!("there is no backend") };
                self.check_renewal(trip, backend, cookie, after.as_deref());
                let (back, sets) = self.server.ask(backend, cookie, after.as_deref(), trip, t);
                self.trips[trip].sets.get_or_insert(sets);
                back
            }
            (To::EndSession { cookie, .. }, _) => {
                self.trips[trip].sets.get_or_insert(None);
                self.server.end_session(cookie, t)
            }
        }
    }

    fn back(&mut self, trip: usize) {
        let Trip { tab, back, .. } = &mut self.trips[trip];
        let (tab, mut back) = (*tab, back.take().unwrap_or(Back::Failure));
        if !self.is_online {
            back = Back::Failure;
        }
        let Trip { to, sets, is_wanted, fate, .. } = &self.trips[trip];
        // The browser takes the cookie of an answer, though the tab may sleep.
        if let (To::Session { cookie: sent, .. } | To::EndSession { cookie: sent, .. }, Some(sets)) = (to, sets)
            && back != Back::Failure
            && (*is_wanted || fate.is_late)
            && sent.map(|cookie| cookie.session) == self.cookie.map(|cookie| cookie.session)
        {
            self.cookie = *sets;
        }
        self.deliver(tab, Input::Reply(trip, back));
    }

    /// From now on everything works. A frozen tab stays frozen.
    fn calm(&mut self) {
        self.note(|| "faults cease".into());
        self.calm_at = Some(self.t);
        self.set_online(true);
        for tab in 0..self.tabs.len() {
            self.set_hidden(tab, false);
        }
        let idle_ms = if self.schedule.ends_idle { self.schedule.lifetime_s * SECOND * 11 / 10 } else { 0 };
        self.at(SETTLE_MS + idle_ms, What::Probe);
    }

    fn probe(&mut self) {
        self.note(|| "every tab that is awake is asked".into());
        self.check_idle();
        for tab in 0..self.tabs.len() {
            if self.is_awake(tab) {
                self.tabs[tab].probe = Some(self.calls.len());
                self.fetch(tab, false);
            }
        }
        self.at(PROBE_MS, What::End);
    }
}
