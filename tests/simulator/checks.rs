//! What must hold in every run.

use tokenward::engine::event::Reason;
use tokenward::engine::session::Settled;

use crate::browser::SLOWEST_MS;
use crate::calls::{Call, End};
use crate::common::SECOND;
use crate::schedule::{Backend, Locks, Mode};
use crate::server::Cookie;
use crate::tab::{Flight, Tab, Wait};
use crate::world::{PROBE_MS, To, Trip, World};

/// `requestTimeoutSeconds`
const REQUEST_MS: u64 = 15 * SECOND;

/// `waitSeconds`
pub const WAIT_MS: u64 = 30 * SECOND;

/// Tokens that live longer are renewed without a request that needs them.
const SCHEDULED_MS: u64 = 10 * SECOND;

/// What is due comes this late at most: when the machine has woken up, or when a lock is let go.
const LATE_MS: u64 = 50 + SLOWEST_MS;

impl World<'_> {
    /// A refresh leaves a tab.
    pub fn check_start(&mut self, tab: usize, refresh: usize) {
        let about = format!("tab {tab}, r{refresh}");
        if self.server.refreshes[refresh].is_answered {
            self.violate("a refresh token whose answer came is not sent again", about);
            return;
        }
        let is_same = |trip: usize| matches!(self.trips[trip].to, To::Renew { refresh: other, .. } if other == refresh);
        let mut others = self.tabs.iter().enumerate().filter(|(other, _)| self.is_awake(*other));
        if others.any(|(_, other)| other.flights.iter().any(|flight| is_same(flight.trip))) {
            self.violate("one refresh at once", about);
            return;
        }
        if !self.tabs[tab].truth.is_signed_in {
            self.violate("no refresh without a session", about);
        }
        self.check_cause(tab);
    }

    /// A request to the backend leaves a tab.
    pub fn check_session_start(&mut self, tab: usize) {
        // One beyond its time limit is given up in the same breath.
        let is_running =
            |other, flight: &Flight| !flight.is_excused && flight.sent.mono_ms + REQUEST_MS > self.now(other).mono_ms;
        let is_busy = |other| self.is_awake(other) && self.tabs[other].flights.iter().any(|one| is_running(other, one));
        let busy = (0..self.tabs.len()).find(|other| is_busy(*other));
        if let Some(other) = busy.filter(|_| self.schedule.locks == Locks::Work) {
            self.violate("one refresh at once", format!("tabs {tab} and {other}"));
        } else if self.tabs[tab].truth.is_signed_in {
            self.check_cause(tab);
        }
    }

    fn check_cause(&mut self, tab: usize) {
        let now = self.now(tab);
        let truth = &mut self.tabs[tab].truth;
        truth.has_cause |= truth.tokens.last().is_none_or(|held| held.sent.elapsed_ms(now) >= held.lifetime_ms / 2);
        if !truth.has_cause {
            self.violate("no refresh without a cause", format!("tab {tab}"));
        }
    }

    /// The backend is asked. What another tab got, and told of, is not got again.
    pub fn check_renewal(&mut self, trip: usize, backend: Backend, cookie: Option<Cookie>, after: Option<&str>) {
        let Some(cookie) = cookie.filter(|_| backend != Backend::Dumb) else { return };
        let Trip { tab, sent_at, is_wanted, .. } = self.trips[trip];
        let current = self.server.sessions[cookie.session].access;
        let issued_at = self.server.accesses[current].issued_at;
        let is_young = self.t - issued_at < self.schedule.lifetime_s * SECOND / 2;
        let truth = &self.tabs[tab].truth;
        let is_known = truth.tokens.last().is_none_or(|held| held.access == current);
        let knew = backend == Backend::Stateful || truth.heard_at.is_some_and(|at| at >= issued_at && at < sent_at);
        if self.server.is_renewal(backend, cookie, after, self.t)
            && is_wanted
            && is_young
            && !is_known
            && knew
            && truth.is_signed_in
        {
            self.violate("what another tab got is not got again", format!("tab {tab}, trip {trip}, t{current}"));
        }
    }

    /// A refresh token is at the server: if it was there before, its answer must have been lost.
    pub fn check_reuse(&mut self, trip: usize, refresh: usize) {
        let Some(earlier) = self.server.refreshes[refresh].used_by else { return };
        if earlier != trip
            && self.server.refreshes[refresh].is_answered
            && self.trips[trip].sent_at > self.trips[earlier].sent_at
        {
            self.violate("no refresh token is used again", format!("r{refresh} by trips {earlier} and {trip}"));
        }
    }

    /// A request leaves with a token.
    pub fn check_sent(&mut self, call: usize, access: Option<usize>) {
        let tab = self.calls[call].tab;
        let now = self.now(tab);
        let truth = &self.tabs[tab].truth;
        let Some(access) = access else {
            self.violate("a request that may go has a token", format!("tab {tab}, request {call}"));
            return;
        };
        let about = format!("tab {tab}, request {call}, t{access}");
        let Some(held) = truth.tokens.iter().rev().find(|held| held.access == access) else {
            self.violate("a token is sent by a tab it came to", about);
            return;
        };
        // One that came twice is good if it is by either count: a clock may have been set in between.
        let mut times = truth.tokens.iter().filter(|held| held.access == access);
        let is_expired = times.all(|held| held.sent.plus(held.lifetime_ms).reached(now));
        let is_of_session =
            held.session == truth.session && self.calls[call].session.is_none_or(|begun| begun == truth.session);
        if is_expired {
            self.violate("no expired token is sent", about);
        } else if !is_of_session {
            self.violate("no request goes on in another session", about);
        } else if !truth.is_signed_in && !self.tabs[tab].engine.has_output() {
            self.violate("no token is sent after the session", about);
        }
    }

    /// A request leaves without a token.
    pub fn check_bare(&mut self, call: usize) {
        let tab = self.calls[call].tab;
        let Tab { engine, truth, .. } = &self.tabs[tab];
        // One that began before this session is none of it.
        let is_of_session = self.calls[call].session == Some(truth.session);
        if truth.is_signed_in && is_of_session && !engine.has_output() {
            self.violate("who is signed in sends a token", format!("tab {tab}, request {call}"));
        }
    }

    pub fn check_sign_out(&mut self, tab: usize, reason: Reason) {
        let truth = &self.tabs[tab].truth;
        let has_cause = match reason {
            Reason::Expired => self.schedule.mode == Mode::Page && truth.refresh.is_none(),
            other => truth.may_end.contains(&other),
        };
        if !has_cause {
            self.violate("a session ends for a reason", format!("tab {tab}: {reason:?}"));
        }
    }

    /// After each task of a tab.
    pub fn check_tab(&mut self, tab: usize) {
        let Tab { engine, truth, flights, is_open, .. } = &self.tabs[tab];
        // While a lock is let go, the news of it waits.
        if engine.signed_in() != truth.is_signed_in && *is_open && !engine.has_output() {
            let about = format!("tab {tab}: {} and {}", engine.signed_in(), truth.is_signed_in);
            self.violate("a session lasts as long as it was told", about);
        } else if flights.len() > 1 {
            self.violate("one refresh at once", format!("tab {tab}"));
        }
    }

    /// At all times.
    pub fn check_waits(&mut self) {
        for tab in 0..self.tabs.len() {
            let now = self.now(tab);
            let is_late = |wait: &&Wait| wait.deadline_mono_ms + LATE_MS < now.mono_ms;
            if self.is_awake(tab)
                && !self.tabs[tab].is_hidden
                && self.t >= self.tabs[tab].roused_at + LATE_MS
                && let Some(wait) = self.tabs[tab].waits.iter().find(is_late)
            {
                let about = format!("tab {tab}: {:?}", wait.owner);
                self.violate("nobody waits past the deadline", about);
            }
        }
    }

    /// The tabs were left alone for longer than a token lives.
    pub fn check_idle(&mut self) {
        if !self.schedule.ends_idle {
            return;
        }
        for tab in 0..self.tabs.len() {
            // One with a few seconds to live is renewed when it is needed.
            if self.tabs[tab].truth.tokens.last().is_some_and(|held| held.lifetime_ms > SCHEDULED_MS) {
                self.check_revoked(tab);
            }
        }
    }

    pub fn is_revoked(&self, tab: usize) -> bool {
        self.revoked_at(tab).is_some()
    }

    fn revoked_at(&self, tab: usize) -> Option<u64> {
        self.tabs[tab].truth.family.and_then(|family| self.server.families[family].dead_at)
    }

    fn check_revoked(&mut self, tab: usize) {
        // Without locks, tabs end their session themselves, at any time.
        let was_revoked = self.revoked_at(tab).zip(self.calm_at).is_some_and(|(at, calm_at)| {
            // It may read a token that was revoked meanwhile.
            at.max(self.tabs[tab].truth.family_since) <= calm_at
        });
        if self.is_awake(tab) && was_revoked && self.tabs[tab].truth.is_signed_in {
            self.violate("after a revocation the session ends", format!("tab {tab}"));
        }
    }

    pub fn is_behind_frozen(&mut self) -> bool {
        let frozen = self.tabs.iter().filter(|tab| tab.is_open && tab.is_frozen).count();
        let is_early = |tab: &Tab| {
            let end = tab.probe.and_then(|probe| self.calls[probe].end());
            tab.truth.is_signed_in && end == Some(&End::Error(Settled::Unavailable))
        };
        let is_behind = self.early < frozen && self.tabs.iter().any(is_early);
        self.early += usize::from(is_behind);
        is_behind
    }

    /// After the faults ceased and every tab was asked once more.
    pub fn check_end(&mut self) {
        for tab in 0..self.tabs.len() {
            // This backend hands out what it has, good or not, until its life ends; or there is nothing to renew with.
            let lasts = match self.schedule.mode {
                Mode::Cookie(backend) => backend == Backend::Stingy,
                Mode::Page => self.tabs[tab].truth.refresh.is_none(),
            };
            if lasts && self.is_revoked(tab) {
                continue;
            }
            if self.is_asked_twice {
                self.check_revoked(tab);
            }
            if self.is_revoked(tab) {
                continue;
            }
            let Some(probe) = self.tabs[tab].probe else { continue };
            let end = self.calls[probe].end().cloned();
            if self.tabs[tab].truth.is_signed_in && end != Some(End::Status(200)) {
                let about = format!("tab {tab}: {end:?} after {PROBE_MS} ms");
                self.violate("once all is well, requests succeed", about);
            }
        }
        for call in 0..self.calls.len() {
            let Call { tab, is_gone, .. } = self.calls[call];
            if self.calls[call].end().is_none() && !is_gone && !self.tabs[tab].is_frozen && self.tabs[tab].is_open {
                self.violate("every request ends", format!("request {call} of tab {tab}"));
            }
        }
    }
}
