//! A request of the app's: a twin of `src/js/interceptor.js`.

use tokenward::engine::session::{Permit, Settled, Stamp};
use tokenward::engine::{Refused, Repeat, Request};

use crate::common::API;
use crate::server::{Back, number};
use crate::tab::Owner;
use crate::world::{To, World};

pub struct Call {
    pub tab: usize,
    request: Request,
    /// Of the tab, as the simulator counts them, when the request began; `None` if nobody was signed in.
    pub session: Option<u32>,
    stage: Stage,
    since_mono_ms: u64,
    /// The tab crashed.
    pub is_gone: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Stage {
    Begun,
    /// For a token; a repetition has an answer already.
    Waiting {
        repeats: bool,
    },
    Sent {
        trip: usize,
        stamp: Stamp,
        repeats: bool,
    },
    /// Without a token.
    Bare,
    Ended(End),
}

#[derive(Clone, Debug, PartialEq)]
pub enum End {
    Status(u16),
    NetworkFailure,
    Error(Settled),
    SessionOver,
    Aborted,
}

impl Call {
    pub fn end(&self) -> Option<&End> {
        match &self.stage {
            Stage::Ended(end) => Some(end),
            _ => None,
        }
    }
}

impl World<'_> {
    pub fn fetch(&mut self, tab: usize, one_shot: bool) {
        self.app(tab, |world| {
            let engine = &world.tabs[tab].engine;
            let rule = engine.find_rule(API).expect("the API is on the list");
            let request = Request { rule, one_shot, ..Request::default() };
            let truth = &world.tabs[tab].truth;
            let session = truth.is_signed_in.then_some(truth.session);
            let call = world.calls.len();
            world.calls.push(Call { tab, request, session, stage: Stage::Begun, since_mono_ms: 0, is_gone: false });
            match world.authorize(call, None) {
                Permit::Go => world.authorised(call, false),
                Permit::Wait => world.permitted_from_now(call, None, false),
                Permit::Anonymous | Permit::Over => world.bare(call),
            }
        });
    }

    fn authorize(&mut self, call: usize, after: Option<Stamp>) -> Permit {
        let Call { tab, request, .. } = self.calls[call];
        let now = self.now(tab);
        let engine = &mut self.tabs[tab].engine;
        let permit = engine.authorize(request, "GET", after, now);
        let epoch = engine.stamp().epoch;
        self.drain_if_any(tab);
        // A listener may have ended the session in which this was said.
        if self.tabs[tab].engine.stamp().epoch == epoch { permit } else { Permit::Over }
    }

    /// Sends with the current token.
    fn authorised(&mut self, call: usize, repeats: bool) {
        let tab = self.calls[call].tab;
        let engine = &self.tabs[tab].engine;
        let (stamp, value) = (engine.stamp(), engine.authorization());
        let access = value.map(|value| number(value.expose().strip_prefix("Bearer ").expect("a bearer token")));
        self.check_sent(call, access);
        let trip = self.send(tab, To::Api { call, access });
        self.calls[call].stage = Stage::Sent { trip, stamp, repeats };
    }

    /// Sends without a token.
    fn bare(&mut self, call: usize) {
        let tab = self.calls[call].tab;
        self.check_bare(call);
        self.send(tab, To::Api { call, access: None });
        self.calls[call].stage = Stage::Bare;
    }

    /// `permitted()`, from its first line.
    fn permitted_from_now(&mut self, call: usize, after: Option<Stamp>, repeats: bool) {
        self.calls[call].since_mono_ms = self.now(self.calls[call].tab).mono_ms;
        self.permitted(call, after, repeats);
    }

    fn permitted(&mut self, call: usize, after: Option<Stamp>, repeats: bool) {
        match self.authorize(call, after) {
            Permit::Go => self.authorised(call, repeats),
            Permit::Wait => {
                let Call { tab, since_mono_ms, .. } = self.calls[call];
                let waiter = self.tabs[tab].engine.wait(after, since_mono_ms);
                self.drain(tab);
                self.expect(tab, waiter, Owner::Fetch(call), since_mono_ms);
                self.calls[call].stage = Stage::Waiting { repeats };
            }
            // There may be no better answer than the one the resource gave.
            Permit::Anonymous | Permit::Over if repeats => self.end(call, End::Status(401)),
            Permit::Anonymous => self.bare(call),
            Permit::Over => self.end(call, End::SessionOver),
        }
    }

    /// A wait of this request's ended.
    pub fn settled(&mut self, call: usize, settled: Settled) {
        let Stage::Waiting { repeats } = self.calls[call].stage else { unreachable!("{call} does not wait") };
        match settled {
            Settled::Ready(after) => self.permitted(call, Some(after), repeats),
            _ if repeats => self.end(call, End::Status(401)),
            other => self.end(call, End::Error(other)),
        }
    }

    pub fn api_answered(&mut self, call: usize, trip: usize, back: &Back) {
        let status = match (self.calls[call].stage.clone(), back) {
            (Stage::Ended(_), _) => return,
            (_, Back::Failure) => return self.end(call, End::NetworkFailure),
            (Stage::Bare, Back::Status(status)) => return self.end(call, End::Status(*status)),
            (Stage::Sent { trip: sent, stamp, repeats }, Back::Status(status)) => {
                assert_eq!(trip, sent);
                if *status == 401 && self.refused(call, stamp, repeats) {
                    return self.permitted_from_now(call, Some(stamp), true);
                }
                *status
            }
            (stage, back) => unreachable!("{stage:?} gets {back:?}"),
        };
        self.end(call, End::Status(status));
    }

    fn refused(&mut self, call: usize, stamp: Stamp, replayed: bool) -> bool {
        let Call { tab, request, .. } = self.calls[call];
        let now = self.now(tab);
        if stamp == self.tabs[tab].engine.stamp() {
            self.tabs[tab].truth.has_cause = true;
        }
        let answer = Refused { status: 401, replayed, ..Refused::default() };
        let repeats = self.tabs[tab].engine.refused(request, "GET", stamp, &answer, now);
        self.drain(tab);
        repeats == Repeat::Newer
    }

    /// The `AbortSignal` of the oldest request that waits or is under way.
    pub fn abort_fetch(&mut self, tab: usize) {
        self.app(tab, |world| {
            let is_open = |call: &Call| call.tab == tab && !call.is_gone && call.end().is_none();
            let Some(call) = world.calls.iter().position(is_open) else { return };
            if let Some(at) = world.tabs[tab].waits.iter().position(|wait| wait.owner == Owner::Fetch(call)) {
                let wait = world.tabs[tab].waits.remove(at);
                world.tabs[tab].engine.cancel(wait.id);
                world.drain(tab);
            }
            world.end(call, End::Aborted);
        });
    }

    fn end(&mut self, call: usize, end: End) {
        self.note(|| format!("request {call} ends: {end:?}"));
        self.calls[call].stage = Stage::Ended(end);
    }
}
