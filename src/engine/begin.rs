//! How a session begins, other than by tokens of the app's: it is restored after a reload, or the user signs in.

use crate::engine::Output;
use crate::engine::event::{Past, Reason};
use crate::engine::oauth::response::Grant;
use crate::engine::refresh::Failure;
use crate::engine::schedule::Moment;
use crate::engine::session::{Session, Settled, Stamp, WaiterId, Way};

impl Session {
    /// Looks for a session in this way, once. The wait ends `Ready` with a session, `SignedOut` if there is none to be
    /// had, `Unavailable` if that could not be found out.
    pub fn restore(&mut self, way: Way, now: Moment) -> WaiterId {
        let id = self.next_id();
        if self.signed_in() {
            self.outputs.push(Output::Settle(id, Settled::Ready(self.stamp())));
            return id;
        }
        let sources = &self.config.sources;
        let is_set_up = if way == Way::Silent { sources.silent } else { way == Way::Session && sources.session };
        self.start(Some(way).filter(|_| is_set_up), now, false);
        if self.flight.is_some() {
            self.enlist(id, Stamp { generation: 0, ..self.stamp() }, now.mono_ms);
        } else {
            self.unrestored |= is_set_up;
            self.outputs.push(Output::Settle(id, Settled::Unavailable));
        }
        id
    }

    /// This way led to no session. What came with a token that had expired is given up with it.
    pub(super) fn not_restored(&mut self, failure: Failure, is_final: bool, now: Moment) {
        let Failure { cause, status, error } = failure;
        self.remember(Past { at: now.wall_ms as f64, outcome: Some(cause), status, error });
        self.unrestored |= !is_final;
        self.forget();
        let settled = if is_final { Settled::SignedOut } else { Settled::Unavailable };
        self.settle(&|_| Some(settled));
    }

    /// Takes the tokens of a sign-in. Another user's session ends first.
    pub fn sign_in(&mut self, grant: Grant, sent: Moment, now: Moment) {
        let is_known = self.identity().is_some() && grant.identity.is_some();
        if self.signed_in() && !(is_known && self.is_same_user(&grant)) {
            self.end(Reason::UserChanged, None);
        }
        // As in `set_tokens`: a refresh under way may have used up the refresh token.
        if grant.refresh.is_some() || self.refresh_token().is_none() {
            self.abort_flight();
        }
        self.retry = None;
        self.forget_scope();
        self.take(grant, None, sent, now);
        self.tick(now);
    }

    pub(super) fn is_same_user(&self, grant: &Grant) -> bool {
        match (self.identity(), &grant.identity) {
            (Some(known), Some(now)) => known.is(now),
            _ => true,
        }
    }
}
