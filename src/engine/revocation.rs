//! Token revocation (RFC 7009) at sign-out.

use crate::engine::oauth::request;
use crate::engine::schedule::Moment;
use crate::engine::{Output, Ticket, Work};

/// Token type hint (RFC 7009 section 2.1), or `session` for a backend's.
pub type Hint = &'static str;

/// Names a sign-out.
pub type SignOutId = u32;

/// A token that the server was asked to revoke, or would have been.
#[derive(Debug)]
struct Asked {
    ticket: Ticket,
    sign_out: SignOutId,
    hint: Hint,
    /// `u64::MAX` once there is an answer, or none to come.
    deadline_mono_ms: u64,
    confirmed: bool,
    /// There was no answer.
    unanswered: bool,
}

/// The revocations under way. They outlive the session whose tokens they carry.
#[derive(Debug, Default)]
pub struct Revocations {
    /// RFC 6749 section 2.2; `None` without a revocation endpoint.
    client_id: Option<String>,
    timeout_ms: u64,
    asked: Vec<Asked>,
    pub(super) outputs: Vec<Output>,
}

impl Revocations {
    /// With a `client_id` there is an endpoint to ask.
    pub fn new(client_id: Option<String>, timeout_ms: u64) -> Self {
        Self { client_id, timeout_ms, ..Self::default() }
    }

    /// Whether there is somebody to ask.
    pub(super) fn has_endpoint(&self) -> bool {
        self.client_id.is_some()
    }

    /// Asks the server to revoke a token that was signed out.
    pub(super) fn ask(&mut self, sign_out: SignOutId, ticket: Ticket, token: &str, hint: Hint, now: Moment) {
        let body = self.client_id.as_ref().map(|client_id| request::revocation(client_id, token, hint));
        self.begin(sign_out, ticket, body.map(|body| Work::Revoke { body }), hint, now);
    }

    /// Asks for something at sign-out. Without `work` there is nobody to ask.
    pub(super) fn begin(&mut self, sign_out: SignOutId, ticket: Ticket, work: Option<Work>, hint: Hint, now: Moment) {
        let mut deadline_mono_ms = u64::MAX;
        if let Some(work) = work {
            self.outputs.push(Output::Start(ticket, work));
            deadline_mono_ms = now.mono_ms.wrapping_add(self.timeout_ms);
        }
        self.asked.push(Asked { ticket, sign_out, hint, deadline_mono_ms, confirmed: false, unanswered: false });
    }

    /// The server answered, or did not (`None`).
    pub(super) fn answered(&mut self, ticket: Ticket, status: Option<u16>) {
        if let Some(asked) = self.asked.iter_mut().find(|asked| asked.ticket == ticket) {
            asked.confirmed = is_confirmed(status);
            asked.unanswered = status.is_none();
            asked.deadline_mono_ms = u64::MAX;
            let sign_out = asked.sign_out;
            self.finish(sign_out);
        }
    }

    pub(super) fn tick(&mut self, now: Moment) {
        while let Some(ticket) = self.overdue(now.mono_ms) {
            self.outputs.push(Output::Abort(ticket));
            self.answered(ticket, None);
        }
    }

    /// Waits for no answer any more. What was sent stays sent.
    pub(super) fn close(&mut self) {
        while let Some(ticket) = self.overdue(u64::MAX - 1) {
            self.answered(ticket, None);
        }
    }

    fn overdue(&self, mono_ms: u64) -> Option<Ticket> {
        self.asked.iter().find(|asked| asked.deadline_mono_ms <= mono_ms).map(|asked| asked.ticket)
    }

    pub(super) fn deadline_ms(&self, now: Moment) -> u64 {
        let mut soonest = u64::MAX;
        for asked in &self.asked {
            soonest = soonest.min(asked.deadline_mono_ms.saturating_sub(now.mono_ms));
        }
        soonest
    }

    /// Tells how a sign-out went, if nothing is left to wait for.
    pub(super) fn finish(&mut self, sign_out: SignOutId) {
        if self.asked.iter().any(|asked| asked.sign_out == sign_out && asked.deadline_mono_ms < u64::MAX) {
            return;
        }
        let mut left = Vec::new();
        let mut reached = true;
        self.asked.retain(|asked| {
            reached &= asked.sign_out != sign_out || !asked.unanswered;
            if asked.sign_out == sign_out && !asked.confirmed {
                left.push(asked.hint);
            }
            asked.sign_out != sign_out
        });
        self.outputs.push(Output::SignedOut(sign_out, left, reached));
    }
}

/// RFC 7009 section 2.2: 200 whether or not it knew the token. A backend may say 204.
pub(super) fn is_confirmed(status: Option<u16>) -> bool {
    matches!(status, Some(200 | 204))
}
