//! What requests ask of a session: whether they may go, to wait for a token, and what a refusal means.

use crate::engine::Output;
use crate::engine::challenge::Refusal;
use crate::engine::event::{Event, ScopeDetail, StepUpDetail};
use crate::engine::resource::RuleId;
use crate::engine::schedule::Moment;
use crate::engine::session::{Permit, Session, Settled, Stamp, Tokens, Waiter, WaiterId};
use crate::engine::token::AccessToken;

/// A resource that refused a fresh token is not believed again for this long: it would loop.
const DISTRUST_MS: u64 = 300_000;

/// Refused requests start this many refreshes in so long; a resource that refuses every second request would start more.
const MAX_REFUSALS: u32 = 20;
const REFUSALS_MS: u64 = 60_000;

/// What a session has to lend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loan {
    /// Which token it is, or which one to [`Session::wait`] for a newer one of.
    pub stamp: Stamp,
    /// The current access token, and for how long it may be sent, if that is known. `None`: not yet, wait like a request.
    pub token: Option<(AccessToken, Option<u64>)>,
}

impl Session {
    /// Whether a request may be sent, with a token newer than `after`. Starts the refresh it needs.
    ///
    /// `one_shot`: its body cannot be sent twice, so that it should not meet an avoidable 401.
    pub fn permit(&mut self, after: Option<Stamp>, one_shot: bool, now: Moment) -> Permit {
        if after.is_some_and(|after| after.epoch != self.epoch) {
            return Permit::Over;
        }
        let Some(tokens) = &self.tokens else {
            return Permit::Anonymous;
        };
        let newer = after.is_none_or(|after| after.generation < self.generation);
        if newer && tokens.usable(now) && !tokens.due(now) {
            return Permit::Go;
        }
        // Refreshes if that is due, or ends the session if there is nothing to renew it with.
        self.tick(now);
        if self.tokens.is_none() {
            return if after.is_some() { Permit::Over } else { Permit::Anonymous };
        }
        if newer && !self.is_unusable(now) {
            return if one_shot && self.flight.is_some() { Permit::Wait } else { Permit::Go };
        }
        self.demand(now);
        Permit::Wait
    }

    /// The access token for somebody else's requests, once [`Self::permit`] lets it go: what a service worker borrows or a
    /// ticket is. `None`: nobody is signed in, or not in the session of `after` any more.
    pub fn lend(&mut self, after: Option<Stamp>, now: Moment) -> Option<Loan> {
        match (self.permit(after, false, now), &self.tokens) {
            (Permit::Go, Some(Tokens { access: Some(access), unusable, .. })) => {
                let expires_in_ms = (*unusable != Moment::NEVER).then(|| unusable.remaining_ms(now));
                Some(Loan { stamp: self.stamp(), token: Some((access.clone(), expires_in_ms)) })
            }
            (Permit::Wait, _) => Some(Loan { stamp: after.unwrap_or(self.before_first()), token: None }),
            _ => None,
        }
    }

    /// Renews without a request that needs it, and waits for that; `None` if there is nothing to renew it with.
    pub fn renew(&mut self, now: Moment) -> Option<WaiterId> {
        if !self.can_refresh() {
            return None;
        }
        self.demand(now);
        Some(self.wait(Some(self.stamp()), now.mono_ms))
    }

    /// Lets a request wait, after [`Self::permit`] said so. `since_mono_ms` is when it began to.
    pub fn wait(&mut self, after: Option<Stamp>, since_mono_ms: u64) -> WaiterId {
        let id = self.next_id();
        let after = after.unwrap_or(self.before_first());
        if self.tokens.is_none() || after.epoch != self.epoch {
            // A listener signed out in the meantime.
            self.outputs.push(Output::Settle(id, Settled::SignedOut));
        } else {
            self.enlist(id, after, since_mono_ms);
        }
        id
    }

    pub(super) fn enlist(&mut self, id: WaiterId, after: Stamp, since_mono_ms: u64) {
        self.waiters.push(Waiter { id, after, deadline_mono_ms: since_mono_ms.saturating_add(self.config.wait_ms) });
    }

    /// Forgets a request that gave up. The refresh others wait for goes on.
    pub fn cancel(&mut self, id: WaiterId) {
        self.outputs.retain(|output| !matches!(output, Output::Settle(told, _) if *told == id));
        if let Some(at) = self.waiters.iter().position(|waiter| waiter.id == id) {
            self.waiters.remove(at);
        }
    }

    /// A resource refused a request that carried the token of `stamp`. `true`: ask [`Self::permit`] for a newer token
    /// and repeat it. `replayable` is whether it could be; `replayed` whether it was.
    pub fn refused(&mut self, stamp: Stamp, rule: RuleId, replayable: bool, replayed: bool, now: Moment) -> bool {
        if stamp.epoch != self.epoch || self.tokens.is_none() {
            return false;
        }
        let distrusted = self.distrusted.iter_mut().find(|(known, _)| *known == rule);
        if replayed {
            let until = now.plus(DISTRUST_MS);
            match distrusted {
                Some(entry) => entry.1 = until,
                None => self.distrusted.push((rule, until)),
            }
            return false;
        }
        if stamp.generation < self.generation {
            return replayable;
        }
        if distrusted.is_some_and(|(_, until)| !until.reached(now)) || !self.can_refresh() {
            return false;
        }
        if self.refusals_since.elapsed_ms(now) >= REFUSALS_MS {
            self.refusals_since = now;
            self.refusals = 0;
        }
        if self.flight.is_none() {
            self.refusals = self.refusals.saturating_add(1);
        }
        if self.refusals > MAX_REFUSALS {
            return false;
        }
        self.demand(now);
        replayable
    }

    /// Tells the app of a refusal that no token of this session would cure.
    pub fn report(&mut self, refusal: &Refusal, resource: &str) {
        let resource = resource.into();
        match refusal {
            Refusal::Scope { scope } => {
                self.emit(Event::InsufficientScope(ScopeDetail { resource, scope: scope.clone() }));
            }
            Refusal::StepUp { acr_values, max_age_s } => {
                self.emit(Event::StepUp(StepUpDetail { resource, acr_values: acr_values.clone(), max_age: *max_age_s }))
            }
            Refusal::Token | Refusal::Nonce | Refusal::Other => {}
        }
    }

    /// Tells those whose need the tokens meet.
    pub(super) fn settle_ready(&mut self, now: Moment) {
        if self.is_unusable(now) {
            return;
        }
        let generation = self.generation;
        self.settle(&|waiter| (waiter.after.generation < generation).then_some(Settled::Ready(waiter.after)));
    }

    pub(super) fn settle_overdue(&mut self, now: Moment) {
        self.settle(&|waiter| (waiter.deadline_mono_ms <= now.mono_ms).then_some(Settled::Unavailable));
    }

    pub(super) fn settle(&mut self, how: &dyn Fn(&Waiter) -> Option<Settled>) {
        let outputs = &mut self.outputs;
        self.waiters.retain(|waiter| match how(waiter) {
            Some(settled) => {
                outputs.push(Output::Settle(waiter.id, settled));
                false
            }
            None => true,
        });
    }
}
