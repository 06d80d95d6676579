//! Token revocation (RFC 7009) at sign-out.

use crate::engine::oauth::request;
use crate::engine::schedule::Moment;
use crate::engine::token::{AccessToken, RefreshToken};
use crate::engine::{Output, Ticket, Work};

/// Token type hint (RFC 7009 section 2.1).
pub type Hint = &'static str;

/// Names a sign-out.
pub type SignOutId = u32;

#[derive(Debug)]
struct Pending {
    ticket: Ticket,
    sign_out: SignOutId,
    hint: Hint,
    deadline_mono_ms: u64,
}

/// A sign-out that is not answered in full.
#[derive(Debug)]
struct Open {
    id: SignOutId,
    /// What the server did not confirm.
    left: Vec<Hint>,
}

/// The revocations under way. They outlive the session whose tokens they carry.
#[derive(Debug, Default)]
pub struct Revocations {
    /// RFC 6749 section 2.2; `None` without a revocation endpoint.
    client_id: Option<String>,
    timeout_ms: u64,
    pending: Vec<Pending>,
    open: Vec<Open>,
    pub(super) outputs: Vec<Output>,
}

impl Revocations {
    /// With a `client_id` there is an endpoint to ask.
    pub fn new(client_id: Option<String>, timeout_ms: u64) -> Self {
        Self { client_id, timeout_ms, ..Self::default() }
    }

    /// Asks the server to revoke these, the refresh token first: with it usually goes the rest.
    pub(super) fn begin(
        &mut self,
        id: SignOutId,
        refresh: Option<RefreshToken>,
        access: Option<AccessToken>,
        mut ticket: impl FnMut() -> Ticket,
        now: Moment,
    ) {
        let mut open = Open { id, left: Vec::new() };
        let refresh = refresh.as_ref().map(|token| (token.expose(), "refresh_token"));
        let access = access.as_ref().map(|token| (token.expose(), "access_token"));
        for (token, hint) in [refresh, access].into_iter().flatten() {
            let Some(client_id) = &self.client_id else {
                open.left.push(hint);
                continue;
            };
            let ticket = ticket();
            let deadline_mono_ms = now.mono_ms.saturating_add(self.timeout_ms);
            self.pending.push(Pending { ticket, sign_out: id, hint, deadline_mono_ms });
            let body = request::revocation(client_id, token, hint);
            self.outputs.push(Output::Start(ticket, Work::Revoke { body }));
        }
        self.open.push(open);
        self.finish();
    }

    /// The server answered, or did not (`None`). RFC 7009 section 2.2: 200 whether or not it knew the token.
    pub(super) fn answered(&mut self, ticket: Ticket, status: Option<u16>) {
        let open = &mut self.open;
        self.pending.retain(|pending| {
            if pending.ticket == ticket
                && status != Some(200)
                && let Some(open) = open.iter_mut().find(|open| open.id == pending.sign_out)
            {
                open.left.push(pending.hint);
            }
            pending.ticket != ticket
        });
        self.finish();
    }

    pub(super) fn tick(&mut self, now: Moment) {
        let overdue = self.pending.iter().filter(|pending| pending.deadline_mono_ms <= now.mono_ms);
        for ticket in overdue.map(|pending| pending.ticket).collect::<Vec<_>>() {
            self.outputs.push(Output::Abort(ticket));
            self.answered(ticket, None);
        }
    }

    /// Gives up on every answer. What was sent stays sent.
    pub(super) fn close(&mut self) {
        for ticket in self.pending.iter().map(|pending| pending.ticket).collect::<Vec<_>>() {
            self.answered(ticket, None);
        }
    }

    pub(super) fn deadline_ms(&self, now: Moment) -> Option<u64> {
        self.pending.iter().map(|pending| pending.deadline_mono_ms.saturating_sub(now.mono_ms)).min()
    }

    fn finish(&mut self) {
        let (pending, outputs) = (&self.pending, &mut self.outputs);
        self.open.retain_mut(|open| {
            let goes_on = pending.iter().any(|pending| pending.sign_out == open.id);
            if !goes_on {
                outputs.push(Output::SignedOut(open.id, core::mem::take(&mut open.left)));
            }
            goes_on
        });
    }
}
