//! Several tabs with one session at a backend. One of them renews at a time, under a lock of the browser's, and looks again
//! whether it still has to when it gets the lock. The tabs tell one another what happened, and no secret.

use crate::engine::oauth::request::Form;
use crate::engine::oauth::response::Grant;
use crate::engine::refresh::Flight;
use crate::engine::schedule::Moment;
use crate::engine::session::{Session, Way};
use crate::engine::token::Secret;
use crate::engine::{Output, Ticket};

/// What a tab tells the others. The order is the shell's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// A session began.
    SignedIn,
    /// The backend's session has a newer token.
    Refreshed,
    /// It got the lock and sends its request.
    Locked,
    /// The user signed out.
    SignedOut,
}

/// How far a flight is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Waits for the lock.
    Queued,
    /// Takes it from a holder that does not move.
    Stealing,
    /// Has taken it, and sends nothing yet: somebody else may have had the same thought.
    Settling,
    /// The request is under way.
    Sent,
}

/// Whoever holds the lock lets go when its request has ended, at the latest at its time limit and this much later.
const LOCK_MARGIN_MS: u64 = 5_000;
/// A browser hands over a stolen lock at once; where it does not, the request goes without.
const STEAL_MS: u64 = 5_000;
/// Longer than it takes a tab to hear that its lock was stolen.
const SETTLE_MS: u64 = 500;
/// A timer that is later than this was asleep with its page, and so may have been the holder of the lock.
const LATE_TIMER_MS: u64 = 2_000;
/// Timers of a page that nobody sees may always be late.
const MAX_LATE_WAITS: u8 = 2;
/// A browser that takes every lock away is asked no more.
const MAX_LOST: u8 = 9;

impl Session {
    /// Asks for the lock, by a new ticket: the answer to an earlier request must not pass for this one's.
    pub(super) fn queue(&mut self, stage: Stage, now: Moment) {
        let ticket = self.ticket();
        let wait_ms = self.lock_wait_ms();
        let Some(flight) = &mut self.flight else { return };
        let steals = stage == Stage::Stealing;
        flight.ticket = ticket;
        flight.stage = stage;
        flight.robs = false;
        flight.until_mono_ms = now.mono_ms.saturating_add(if steals { STEAL_MS } else { wait_ms });
        self.outputs.push(Output::Lock(ticket, steals));
    }

    fn lock_wait_ms(&self) -> u64 {
        self.config.request_timeout_ms.saturating_add(LOCK_MARGIN_MS)
    }

    /// The lock is ours, or there are no locks here.
    pub fn granted(&mut self, ticket: Ticket, now: Moment) {
        let wait_ms = self.lock_wait_ms();
        let Some(flight) = self.flight.as_mut().filter(|flight| flight.ticket == ticket) else {
            self.outputs.push(Output::Unlock(ticket));
            return;
        };
        match flight.stage {
            // It was granted to a page that slept, and may have been stolen since.
            Stage::Queued | Stage::Stealing if flight.until_mono_ms <= now.mono_ms => self.requeue(now),
            Stage::Queued => self.send(now),
            Stage::Stealing => {
                flight.stage = Stage::Settling;
                let settle_ms = if flight.robs { wait_ms } else { SETTLE_MS };
                flight.until_mono_ms = now.mono_ms.saturating_add(settle_ms);
            }
            Stage::Settling | Stage::Sent => {}
        }
    }

    /// The lock was stolen, or lost while the page was put aside; `refused`: there is none to be had.
    pub fn lock_lost(&mut self, ticket: Ticket, refused: bool, now: Moment) {
        let Some(flight) = self.flight.as_mut().filter(|flight| flight.ticket == ticket) else { return };
        match flight.stage {
            Stage::Sent => {}
            // There are pages without locks, such as sandboxed ones.
            _ if refused || flight.lost == MAX_LOST => self.send(now),
            _ => {
                flight.lost = flight.lost.saturating_add(1);
                self.queue(Stage::Queued, now);
            }
        }
    }

    /// The wait for the lock, or with it, has lasted as long as it may.
    pub(super) fn waited(&mut self, now: Moment) {
        let Some(flight) = &mut self.flight else { return };
        let late = now.mono_ms.saturating_sub(flight.until_mono_ms) > LATE_TIMER_MS;
        match flight.stage {
            Stage::Queued | Stage::Stealing if late && flight.late_waits < MAX_LATE_WAITS => {
                flight.late_waits = flight.late_waits.saturating_add(1);
                self.requeue(now);
            }
            // What became of the lock meanwhile has yet to be heard.
            Stage::Settling if late && flight.late_settles < MAX_LATE_WAITS => {
                flight.late_settles = flight.late_settles.saturating_add(1);
                flight.until_mono_ms = now.mono_ms.saturating_add(SETTLE_MS);
            }
            Stage::Queued => {
                self.outputs.push(Output::Unlock(flight.ticket));
                self.queue(Stage::Stealing, now);
            }
            Stage::Stealing | Stage::Settling | Stage::Sent => self.send(now),
        }
    }

    fn requeue(&mut self, now: Moment) {
        if let Some(flight) = &self.flight {
            self.outputs.push(Output::Unlock(flight.ticket));
            self.queue(Stage::Queued, now);
        }
    }

    /// The second look: what the backend is asked for. A text of its own that names the token it gave us says exactly whether
    /// it has a newer one; without it, that another tab renewed says so.
    pub(super) fn session_request(&mut self) -> (Secret, bool) {
        let renewed = core::mem::take(&mut self.renewed_elsewhere);
        let mut form = Form::default();
        let version = self.tokens.as_ref().map(|tokens| tokens.version.as_deref());
        let reads = version == Some(None) && renewed;
        if let Some(version) = version.filter(|_| !reads) {
            form.add("after", version.unwrap_or_default());
        }
        (form.done(), reads)
    }

    /// Whether this is the token there was, so that the look was too early.
    pub(super) fn is_known(&self, grant: &Grant) -> bool {
        self.tokens.as_ref().is_some_and(|tokens| tokens.access.as_ref() == Some(&grant.access))
    }

    /// Lets go of a lock. Told before: whoever gets it next should know.
    pub(super) fn unlock(&mut self, flight: &Flight) {
        if flight.way == Way::Session {
            self.outputs.push(Output::Unlock(flight.ticket));
        }
    }

    /// Another tab said so.
    pub fn heard(&mut self, signal: Signal, now: Moment) {
        let wait_ms = self.lock_wait_ms();
        match signal {
            Signal::SignedIn if !self.signed_in() => self.outputs.push(Output::Restore),
            Signal::Refreshed => {
                self.renewed_elsewhere = true;
                self.wait_on(&[Stage::Settling], SETTLE_MS, now);
            }
            // The queue moves; or the lock was stolen from somebody who is awake after all.
            Signal::Locked => {
                // A page that slept hears it late: a grant that comes after it may be older still.
                if self.flight.as_ref().is_some_and(|flight| flight.stage != Stage::Sent)
                    && self.flight_deadline_ms(now) == 0
                {
                    self.requeue(now);
                    return;
                }
                self.wait_on(&[Stage::Queued, Stage::Settling], wait_ms, now);
                if let Some(flight) = &mut self.flight {
                    flight.robs = true;
                }
            }
            Signal::SignedIn | Signal::SignedOut => {}
        }
    }

    fn wait_on(&mut self, stages: &[Stage], ms: u64, now: Moment) {
        if let Some(flight) = self.flight.as_mut().filter(|flight| stages.contains(&flight.stage)) {
            flight.until_mono_ms = now.mono_ms.saturating_add(ms);
        }
    }
}
