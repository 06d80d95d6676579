//! One of several tabs with a session at a backend.

use tokenward::engine::Ticket;
use tokenward::engine::failure::Exchange;
use tokenward::engine::oauth::response::{Member, TokenAnswer};
use tokenward::engine::session::{WaiterId, Way};
use tokenward::engine::tabs::Signal;

use super::*;

/// What a backend answers with a token of this version.
pub fn versioned(access: &str, version: Option<&str>) -> Exchange {
    let version = version.map_or(Member::Absent, text);
    answered(200, Some(TokenAnswer { version, ..response(access, None) }))
}

impl World {
    /// Signed in by a backend with `access-1`, as nothing was told or asked yet. Another tab has the lock.
    pub fn at_backend(version: Option<&str>) -> Self {
        let mut world = Self::discovered(session_options());
        world.restore(Way::Session);
        world.answer(versioned("access-1", version));
        world.events.clear();
        world.signals.clear();
        world.started.clear();
        world.unlocked.clear();
        world.settled.clear();
        world.lock_is_free = false;
        world
    }

    /// The same, and it waits for the lock to renew an expired token, for one who waits for that.
    pub fn queued_at_backend(version: Option<&str>) -> (Self, WaiterId) {
        let mut world = Self::at_backend(version);
        world.sleep(10 * MINUTE);
        let waiter = world.must_wait(None);
        world.queued();
        (world, waiter)
    }

    /// Looks for a session while another tab has the lock.
    pub fn queued_to_restore() -> (Self, WaiterId) {
        let mut world = Self::discovered(session_options());
        world.lock_is_free = false;
        let waiter = world.restore(Way::Session);
        world.queued();
        (world, waiter)
    }

    /// The ticket of the one request for the lock; it waits for its turn, and nothing is sent.
    pub fn queued(&self) -> Ticket {
        self.locking(false)
    }

    /// The ticket of the one request to steal the lock; nothing is sent.
    pub fn stealing(&self) -> Ticket {
        self.locking(true)
    }

    fn locking(&self, steals: bool) -> Ticket {
        assert_eq!(self.running, [], "sent without the lock");
        assert_eq!(self.locks.len(), 1, "requests for the lock");
        assert_eq!(self.locks[0].1, steals, "whether it steals");
        self.locks[0].0
    }

    /// The browser gives the lock to the one request for it.
    pub fn grant(&mut self) {
        let (ticket, _) = self.locks.pop().expect("a request for the lock");
        self.grant_ticket(ticket);
    }

    pub fn grant_ticket(&mut self, ticket: Ticket) {
        self.engine.granted(ticket, self.now);
        self.drain();
    }

    /// The browser takes the lock, or the request for it, away.
    pub fn lose(&mut self, ticket: Ticket) {
        self.lock_ended(ticket, false);
    }

    /// The browser has no locks for this page.
    pub fn refuse(&mut self, ticket: Ticket) {
        self.lock_ended(ticket, true);
    }

    fn lock_ended(&mut self, ticket: Ticket, refused: bool) {
        self.locks.retain(|(known, _)| *known != ticket);
        self.engine.lock_lost(ticket, refused, self.now);
        self.drain();
    }

    /// Another tab tells.
    pub fn hear(&mut self, signal: Signal) {
        self.engine.heard(signal, self.now);
        self.drain();
    }
}
