//! The refresh of a session: one at a time, and what follows when it fails. Its beginning is in `begin`.

use crate::engine::event::{Event, FailureDetail, Past, Reason, Why};
use crate::engine::failure::{Cause, Exchange, Outcome, outcome};
use crate::engine::oauth::request;
use crate::engine::schedule::{BACKOFF_FLOOR_MS, Moment, backoff_ms};
use crate::engine::session::{Session, Way, wall};
use crate::engine::tabs::{Signal, Stage};
use crate::engine::{Output, Ticket, Work};

/// The refresh under way.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) ticket: Ticket,
    pub(super) way: Way,
    pub(super) stage: Stage,
    /// When that ends by itself. On the monotonic clock only: a clock that is set must not end a request.
    pub(super) until_mono_ms: u64,
    /// Waits for the lock that ended too late to mean anything.
    pub(super) late_waits: u8,
    /// The same of the waits with it.
    pub(super) late_settles: u8,
    /// Whether somebody got the lock while this one takes it.
    pub(super) robs: bool,
    /// How often the lock was lost.
    pub(super) lost: u8,
    sent: Moment,
    /// It asks only for what another tab got.
    reads: bool,
    /// Whether it already repeats one, for a DPoP nonce or for what another tab got.
    is_repeated: bool,
}

/// Refreshing failed; when it is tried again.
#[derive(Debug)]
pub(super) struct Retry {
    /// Failures in a row.
    pub(super) attempt: u32,
    pub(super) why: Why,
    /// How long it has been failing.
    outage_ms: u64,
    last: Moment,
    /// Earlier than this the server does not want to be asked.
    not_before: Moment,
    if_awaited: Moment,
    if_idle: Moment,
}

/// Time in which nothing could be tried, asleep or offline, is no outage.
const MAX_LATENESS_MS: u64 = 30_000;

impl Retry {
    /// How much the time since the last failure adds to the outage.
    fn gap_ms(&self, now: Moment) -> u64 {
        let planned = self.if_idle.remaining_ms(self.last);
        self.last.elapsed_ms(now).min(planned.saturating_add(MAX_LATENESS_MS))
    }

    pub(super) fn at(&self, awaited: bool) -> Moment {
        if awaited { self.if_awaited } else { self.if_idle }
    }
}

/// Clients that were told the same `Retry-After` come back within a second, not at once.
const RETRY_AFTER_JITTER_MS: u64 = 1_000;

/// What to remember and tell of a failure.
pub(super) struct Failure {
    pub(super) cause: Cause,
    pub(super) status: Option<u16>,
    pub(super) error: Option<String>,
}

impl Session {
    /// Somebody needs a newer token: refreshes now, unless one is under way or has to wait.
    pub(super) fn demand(&mut self, now: Moment) {
        let may = match &self.retry {
            Some(retry) => retry.at(true).reached(now),
            None => true,
        };
        if may {
            self.start(self.way(), now, false);
        }
    }

    pub(super) fn refresh_if_due(&mut self, now: Moment) {
        if self.next_refresh(now).0.reached(now) {
            self.start(self.way(), now, false);
        }
    }

    pub(super) fn start(&mut self, way: Option<Way>, now: Moment, is_repeated: bool) {
        let Some(way) = way.filter(|_| self.flight.is_none() && self.online) else {
            return;
        };
        let (ticket, stage) = (self.ticket(), Stage::Sent);
        let flight = Flight {
            ticket,
            way,
            stage,
            until_mono_ms: 0,
            late_waits: 0,
            late_settles: 0,
            robs: false,
            lost: 0,
            sent: now,
            reads: false,
            is_repeated,
        };
        self.flight = Some(flight);
        if way == Way::Session {
            self.queue(Stage::Queued, now);
        } else {
            self.send(now);
        }
    }

    pub(super) fn send(&mut self, now: Moment) {
        let Some(mut flight) = self.flight.take() else { return };
        let work = match (flight.way, &self.config.sources.client_id, self.refresh_token()) {
            _ if !self.online => None,
            (Way::RefreshToken, Some(client_id), Some(token)) => {
                Some(Work::Refresh { body: request::refresh(client_id, token.expose()) })
            }
            (Way::RefreshToken, ..) => None,
            (Way::Callback, ..) => Some(Work::Callback),
            (Way::Session, ..) => {
                self.outputs.push(Output::Signal(Signal::Locked));
                let (body, reads) = self.session_request();
                flight.reads = reads;
                Some(Work::Session { body })
            }
            (Way::Silent, ..) => Some(Work::Silent),
        };
        if let Some(work) = work {
            self.outputs.push(Output::Start(flight.ticket, work));
            flight.stage = Stage::Sent;
            let ticket = flight.ticket;
            self.flight = Some(flight);
            self.sent(ticket, now);
            return;
        }
        self.unlock(&flight);
        if !self.signed_in() {
            self.not_restored(Failure { cause: Cause::Network, status: None, error: None }, false, now);
        }
    }

    /// The request of this ticket goes now: it has its whole time, and lifetimes count from here.
    pub fn sent(&mut self, ticket: Ticket, now: Moment) {
        if let Some(flight) = self.flight.as_mut().filter(|flight| flight.ticket == ticket) {
            flight.sent = now;
            flight.until_mono_ms = now.mono_ms.saturating_add(self.config.request_timeout_ms);
        }
    }

    /// The refresh of this ticket ended. One that was given up, or of an older session, changes nothing.
    pub fn answered(&mut self, ticket: Ticket, exchange: &Exchange, now: Moment) {
        if ticket.epoch != self.stamp().epoch {
            return;
        }
        let Some(flight) = self.flight.take_if(|flight| flight.ticket == ticket) else {
            return;
        };
        let (way, status, error) = (flight.way, exchange.status(), exchange.error());
        let outcome = match outcome(exchange) {
            // By this a backend says that it knows no session.
            _ if way == Way::Session && status == Some(401) => Outcome::Final(Reason::LoginRequired),
            other => other,
        };
        if way == Way::Session && !flight.reads && matches!(outcome, Outcome::Accepted(_)) {
            self.outputs.push(Output::Signal(Signal::Refreshed));
        }
        if !matches!(outcome, Outcome::Accepted(_) | Outcome::Final(_)) {
            // It has yet to be read.
            self.renewed_elsewhere |= flight.reads;
        }
        self.unlock(&flight);
        // What another tab got came between, or has yet to come.
        let is_doubtful = match &outcome {
            Outcome::Final(_) => self.renewed_elsewhere && way == Way::Session,
            Outcome::Accepted(grant) => flight.reads && self.is_known(grant),
            _ => false,
        };
        if is_doubtful && !flight.is_repeated && self.online {
            self.start(Some(way), now, true);
            return;
        }
        let restoring = !self.signed_in();
        let (mut ends, mut after_ms) = (None, None);
        let cause = match outcome {
            // Without an ID token the frame's answer may be anybody's.
            Outcome::Accepted(grant) if way == Way::Silent && self.identity().is_some() && grant.identity.is_none() => {
                Cause::Malformed
            }
            Outcome::Accepted(grant) if !self.admits(&grant) => {
                // The last refresh token may be used up.
                if let Some(refresh) = grant.refresh {
                    self.replace_refresh_token(refresh);
                }
                Cause::Malformed
            }
            Outcome::Accepted(grant) if !self.is_same_user(&grant) => {
                ends = Some(Reason::UserChanged);
                Cause::OauthError
            }
            Outcome::Accepted(mut grant) => {
                if self.identity().is_none() && !restoring {
                    grant.identity = None;
                }
                self.adopt(*grant, Some(way), flight.sent, now);
                if !self.is_unusable(now) {
                    self.accepted(status, restoring, now);
                    self.tick(now);
                    return;
                }
                // It expired on its way. What it came with still counts: the last refresh token may be used up.
                self.drop_access();
                Cause::Malformed
            }
            Outcome::Final(reason) => {
                ends = Some(reason);
                if way == Way::Callback && error.is_none() { Cause::Callback } else { Cause::OauthError }
            }
            Outcome::Delayed { after_ms: asked, cause } => {
                after_ms = Some(asked);
                cause
            }
            Outcome::Transient(cause) => cause,
            Outcome::Unusable(refresh) => {
                self.replace_refresh_token(refresh);
                Cause::Malformed
            }
            Outcome::UseDpopNonce if flight.is_repeated || !self.online => Cause::OauthError,
            Outcome::UseDpopNonce => {
                self.start(Some(way), now, true);
                self.tick(now);
                return;
            }
        };
        let failure = Failure { cause, status, error };
        if restoring {
            self.not_restored(failure, ends.is_some(), now);
        } else if let Some(reason) = ends {
            let attempt = self.retry.as_ref().map_or(1, |retry| retry.attempt.saturating_add(1));
            self.note(&failure, attempt, None, now);
            self.end(reason, failure.error);
            if reason == Reason::UserChanged && way == Way::Session {
                // The backend's session is another one now, and a good one.
                self.outputs.push(Output::Restore);
            }
        } else {
            self.failed(failure, after_ms, now);
        }
        self.tick(now);
    }

    fn accepted(&mut self, status: Option<u16>, restored: bool, now: Moment) {
        self.retry = None;
        self.remember(Past { at: now.wall_ms as f64, outcome: None, status, error: None });
        self.announce(restored, now);
    }

    fn failed(&mut self, failure: Failure, after_ms: Option<u64>, now: Moment) {
        let (attempt, outage_ms) = match &self.retry {
            Some(retry) => (retry.attempt.saturating_add(1), retry.outage_ms.saturating_add(retry.gap_ms(now))),
            None => (1, 0),
        };
        if self.config.max_outage_ms.is_some_and(|max| outage_ms >= max) {
            self.note(&failure, attempt, None, now);
            self.end(Reason::Outage, failure.error);
            return;
        }
        let not_before = now.plus(after_ms.unwrap_or(0));
        // One more try before an outage ends the session.
        let left = self.config.max_outage_ms.map_or(u64::MAX, |max| max.saturating_sub(outage_ms));
        let awaited = backoff_ms(attempt, true, &mut self.rng).min(left);
        let idle = backoff_ms(attempt, false, &mut self.rng).min(left).max(awaited);
        let (mut why, mut earliest) = (Why::Retry, now);
        if after_ms.is_some() {
            why = Why::RetryAfter;
            earliest = not_before.plus(self.rng.up_to(RETRY_AFTER_JITTER_MS));
        }
        // A server that asks for no pause, again and again, gets one all the same.
        let (if_awaited, if_idle) = (now.plus(awaited).later(earliest), now.plus(idle).later(earliest));
        let retry = Retry { attempt, why, outage_ms, last: now, not_before, if_awaited, if_idle };
        let at = retry.at(self.is_awaited());
        self.retry = Some(retry);
        self.note(&failure, attempt, Some((why, at)), now);
        // Whoever only wanted a fresher token takes the one there is.
        self.settle_ready(now);
    }

    /// Remembers and tells of a failure; `next` is when and why it is tried again, `None` if never.
    fn note(&mut self, failure: &Failure, attempt: u32, next: Option<(Why, Moment)>, now: Moment) {
        let Failure { cause, status, error } = failure;
        let (cause, status) = (*cause, *status);
        self.remember(Past { at: now.wall_ms as f64, outcome: Some(cause), status, error: error.clone() });
        let detail = FailureDetail {
            cause,
            status,
            error: error.clone(),
            attempt,
            retryable: next.is_some(),
            retry_at: next.filter(|_| self.online).and_then(|(_, at)| wall(at)),
        };
        self.emit(match next {
            Some((Why::RetryAfter, _)) => Event::RefreshDelayed(detail),
            _ => Event::RefreshFailed(detail),
        });
    }

    /// Whether there is a network. When it comes back, what failed is tried again at once.
    pub fn set_online(&mut self, online: bool, now: Moment) {
        let is_back = online && !self.online;
        self.online = online;
        if is_back && self.unrestored && !self.signed_in() {
            self.unrestored = false;
            self.outputs.push(Output::Restore);
        }
        if let Some(retry) = self.retry.as_mut().filter(|_| is_back) {
            // A network that comes and goes is no reason to hurry.
            retry.if_awaited = now.later(retry.not_before).later(retry.last.plus(BACKOFF_FLOOR_MS));
            retry.if_idle = retry.if_awaited;
        }
        self.tick(now);
    }

    pub(super) fn check_flight(&mut self, now: Moment) {
        if self.flight_deadline_ms(now) > 0 {
            return;
        }
        let Some(flight) = self.flight.take_if(|flight| flight.stage == Stage::Sent) else {
            self.waited(now);
            return;
        };
        self.give_up(&flight);
        let failure = Failure { cause: Cause::Timeout, status: None, error: None };
        if self.signed_in() {
            self.failed(failure, None, now);
        } else {
            self.not_restored(failure, false, now);
        }
    }

    pub(super) fn give_up(&mut self, flight: &Flight) {
        if flight.stage == Stage::Sent {
            let queued = self.outputs.len();
            self.outputs.retain(|output| !matches!(output, Output::Start(ticket, _) if *ticket == flight.ticket));
            // What has not gone yet does not go.
            if self.outputs.len() == queued {
                self.outputs.push(Output::Abort(flight.ticket));
            }
            self.renewed_elsewhere |= flight.reads;
        }
        self.unlock(flight);
    }

    pub(super) fn flight_deadline_ms(&self, now: Moment) -> u64 {
        self.flight.as_ref().map_or(u64::MAX, |flight| flight.until_mono_ms.saturating_sub(now.mono_ms))
    }
}
