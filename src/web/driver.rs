//! Carries out what the engine puts out.

use std::cell::{Cell, RefCell, RefMut};
use std::rc::{Rc, Weak};

use js_sys::{Array, Uint8Array};
use wasm_bindgen::prelude::*;

use super::convert::{self, to_js};
use super::host::{Errand, Host};
use super::lifecycle::Lifecycle;
use super::timer::Timer;
use crate::engine::config::Setup;
use crate::engine::event::Event;
use crate::engine::oauth::server::Endpoint;
use crate::engine::schedule::Moment;
use crate::engine::session::{Settled, Stamp};
use crate::engine::{Engine, Output, Ticket, Work};

/// No token response is longer; what is longer is not read to its end.
const MAX_RESPONSE_BYTES: u32 = 1 << 20;

/// A lock is free within milliseconds of being let go; where nobody says so, it is not waited for any longer.
const UNLOCK_MS: u64 = 2_000;

pub(super) struct Driver {
    pub(super) host: Host,
    engine: RefCell<Engine>,
    /// The header's value as a JavaScript string, made once for each token.
    authorization: RefCell<Option<(Stamp, JsValue)>>,
    timer: Timer,
    lifecycle: RefCell<Option<Lifecycle>>,
    draining: Cell<bool>,
    /// What follows the letting go of a lock has to wait until the lock is free.
    /// Until then, on the monotonic clock.
    unlocking: Cell<u64>,
    closed: Cell<bool>,
}

impl Driver {
    pub(super) fn new(setup: Setup, seed: u64, host: Host) -> Rc<Self> {
        let driver = Rc::new(Self {
            authorization: RefCell::default(),
            engine: RefCell::new(Engine::new(setup, seed, host.online())),
            host,
            timer: Timer::default(),
            lifecycle: RefCell::default(),
            draining: Cell::default(),
            unlocking: Cell::default(),
            closed: Cell::default(),
        });
        let weak = Rc::downgrade(&driver);
        let wake = move || with(&weak, |driver| driver.wake());
        *driver.lifecycle.borrow_mut() = Some(Lifecycle::listen(driver.host.targets(), wake));
        driver
    }

    pub(super) fn now(&self) -> Moment {
        Moment { wall_ms: self.host.wall() as u64, mono_ms: self.host.mono() as u64 }
    }

    /// The engine. The borrow must end before anything calls into JavaScript.
    pub(super) fn engine(&self) -> RefMut<'_, Engine> {
        self.engine.borrow_mut()
    }

    /// The `Authorization` header's value; `undefined` without a token.
    pub(super) fn authorization(&self) -> JsValue {
        let engine = self.engine();
        let mut cached = self.authorization.borrow_mut();
        if let Some((stamp, value)) = &*cached
            && *stamp == engine.stamp()
        {
            return value.clone();
        }
        let Some(text) = engine.authorization() else { return JsValue::UNDEFINED };
        let value = JsValue::from_str(text.expose());
        *cached = Some((engine.stamp(), value.clone()));
        value
    }

    pub(super) fn wake(self: &Rc<Self>) {
        let (online, now) = (self.host.online(), self.now());
        self.engine().set_online(online, now);
        self.drain();
    }

    fn tick(self: &Rc<Self>) {
        // No timer fires inside a drain: one that seems to be under way was ended by a stack overflow.
        self.draining.set(false);
        let now = self.now();
        self.engine().tick(now);
        self.drain();
    }

    /// [`Self::drain`] for the hot path: where nothing changed, no timer has to.
    pub(super) fn drain_if_any(self: &Rc<Self>) {
        if self.engine().has_output() {
            self.drain();
        }
    }

    /// Does all there is to do. Reentrant: what a listener causes is done by the outermost call, in order.
    pub(super) fn drain(self: &Rc<Self>) {
        if !self.draining.replace(true) {
            loop {
                let waits = self.unlocking_ms(self.now()) > 0;
                let outputs = if waits { self.engine().take_urgent() } else { self.engine().take_outputs() };
                if outputs.is_empty() {
                    break;
                }
                for output in outputs {
                    self.perform(output);
                }
            }
            self.draining.set(false);
        }
        self.arm();
    }

    fn unlocking_ms(&self, now: Moment) -> u64 {
        self.unlocking.get().saturating_sub(now.mono_ms)
    }

    /// The lock is free.
    pub(super) fn unlocked(&self) {
        self.unlocking.set(0);
    }

    fn arm(self: &Rc<Self>) {
        let now = self.now();
        let deadline = match self.unlocking_ms(now) {
            0 => self.engine().deadline_ms(now).filter(|_| !self.closed.get()),
            ms => Some(ms),
        };
        match deadline {
            Some(ms) => {
                let weak = Rc::downgrade(self);
                self.timer.arm(ms, move || with(&weak, |driver| driver.tick()));
            }
            None => self.timer.disarm(),
        }
    }

    fn perform(&self, output: Output) {
        match output {
            Output::Start(ticket, work) => self.start(ticket, work),
            Output::Abort(ticket) => _ = self.run(Errand::Abort, ticket),
            Output::Lock(ticket, steals) => {
                _ = self.run(if steals { Errand::Steal } else { Errand::Lock }, ticket);
            }
            Output::Unlock(ticket) => {
                if self.run(Errand::Unlock, ticket) && !self.closed.get() {
                    self.unlocking.set(self.now().plus(UNLOCK_MS).mono_ms);
                }
            }
            Output::Signal(signal) => _ = self.host.run(Errand::Signal as u8 + signal as u8, 0, 0),
            Output::Restore => _ = self.host.run(Errand::Restore as u8, 0, 0),
            Output::Settle(waiter, settled) => {
                let (outcome, after) = match settled {
                    Settled::Ready(after) => (0, convert::stamp_to_js(after)),
                    Settled::Unavailable => (1, 0.0),
                    Settled::SignedOut => (2, 0.0),
                    Settled::Closed => (3, 0.0),
                };
                self.host.settle(waiter, outcome, after);
            }
            Output::Event(event) => {
                // Most events say that the token is another one, or none.
                self.authorization.borrow_mut().take();
                self.emit(&event);
            }
            Output::SignedOut(id, left, reached) => {
                let hints = Array::new();
                for hint in left {
                    hints.push(&JsValue::from_str(hint));
                }
                self.host.signed_out(id, hints, reached);
            }
        }
    }

    fn run(&self, errand: Errand, ticket: Ticket) -> bool {
        self.host.run(errand as u8, ticket.epoch, ticket.number)
    }

    fn start(&self, ticket: Ticket, work: Work) {
        let Ticket { epoch, number } = ticket;
        let post = |endpoint, body: &str| {
            let body = Uint8Array::from(body.as_bytes());
            self.host.post(epoch, number, endpoint as u8, body, MAX_RESPONSE_BYTES);
        };
        match work {
            Work::Refresh { body } => post(Endpoint::Token, body.expose()),
            Work::Revoke { body } => post(Endpoint::Revocation, body.expose()),
            Work::Session { body } => post(Endpoint::Session, body.expose()),
            Work::EndSession => post(Endpoint::SessionEnd, ""),
            Work::Callback => _ = self.run(Errand::Refresh, ticket),
            Work::Silent => _ = self.run(Errand::Silent, ticket),
        }
    }

    fn emit(&self, event: &Event) {
        let (name, detail) = event.record();
        self.host.emit(name, to_js(detail));
    }

    pub(super) fn close(self: &Rc<Self>) {
        self.closed.set(true);
        self.unlocked();
        self.lifecycle.borrow_mut().take();
        self.engine().close();
        self.authorization.borrow_mut().take();
        self.drain();
    }
}

fn with(weak: &Weak<Driver>, call: impl FnOnce(&Rc<Driver>)) {
    if let Some(driver) = weak.upgrade() {
        call(&driver);
    }
}
