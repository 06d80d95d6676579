//! The refresh-failure table: each row's outcome, and what becomes of the tokens, the events and who waits.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::*;
use tokenward::engine::Work;
use tokenward::engine::event::{Event, FailureDetail, Reason};
use tokenward::engine::failure::{Cause, Exchange, Outcome, outcome};
use tokenward::engine::oauth::response::{Member, TokenAnswer};
use tokenward::engine::session::{Permit, Settled};

fn resolved(error: &str) -> Exchange {
    Exchange::CallbackResolved(Some(error_response(error)))
}

fn rejected(error: &str) -> Exchange {
    Exchange::CallbackRejected(Some(error_response(error)))
}

#[test]
fn final_outcomes_end_the_session() {
    let invalid_client = answered(401, Some(error_response("invalid_client")));
    let in_a_success = answered(200, Some(error_response("invalid_grant")));
    let beside_tokens = TokenAnswer { error: text("invalid_grant"), ..response("access-2", Some("refresh-2")) };
    let rows = [
        (refused_with("invalid_grant"), Reason::RefreshRejected, Some("invalid_grant")),
        (in_a_success, Reason::RefreshRejected, Some("invalid_grant")),
        (answered(200, Some(beside_tokens)), Reason::RefreshRejected, Some("invalid_grant")),
        (invalid_client, Reason::Misconfigured, Some("invalid_client")),
        (refused_with("unauthorized_client"), Reason::Misconfigured, Some("unauthorized_client")),
        (refused_with("unsupported_grant_type"), Reason::Misconfigured, Some("unsupported_grant_type")),
        (refused_with("invalid_scope"), Reason::Misconfigured, Some("invalid_scope")),
        (refused_with("invalid_request"), Reason::Misconfigured, Some("invalid_request")),
        (refused_with("invalid_target"), Reason::Misconfigured, Some("invalid_target")),
        (refused_with("invalid_dpop_proof"), Reason::Misconfigured, Some("invalid_dpop_proof")),
        (refused_with("interaction_required"), Reason::LoginRequired, Some("interaction_required")),
        (refused_with("login_required"), Reason::LoginRequired, Some("login_required")),
        (refused_with("consent_required"), Reason::LoginRequired, Some("consent_required")),
        (refused_with("account_selection_required"), Reason::LoginRequired, Some("account_selection_required")),
        (Exchange::CallbackResolved(None), Reason::LoginRequired, None),
        (resolved("invalid_grant"), Reason::RefreshRejected, Some("invalid_grant")),
        (rejected("invalid_grant"), Reason::RefreshRejected, Some("invalid_grant")),
        (rejected("login_required"), Reason::LoginRequired, Some("login_required")),
        (rejected("access_denied"), Reason::Misconfigured, Some("access_denied")),
    ];
    for (exchange, reason, error) in rows {
        assert_eq!(outcome(&exchange), Outcome::Final(reason), "{exchange:?}");

        let is_callback_s = matches!(exchange, Exchange::CallbackResolved(_) | Exchange::CallbackRejected(_));
        let (mut world, waiter) = World::refreshing(if is_callback_s { callback_options() } else { options() });
        let (status, what) = (exchange.status(), format!("{exchange:?}"));
        world.answer(exchange);
        let [Event::RefreshFailed(failed), Event::SignedOut(ended)] = &world.events[..] else {
            panic!("{what}: {:?}", world.events)
        };
        let cause = if error.is_some() { Cause::OauthError } else { Cause::Callback };
        let error = error.map(String::from);
        let detail =
            FailureDetail { cause, status, error: error.clone(), attempt: 1, retryable: false, retry_at: None };
        assert_eq!(*failed, detail, "{what}");
        assert_eq!((ended.reason, &ended.error), (reason, &error), "{what}");
        assert_eq!(world.settled_as(waiter), Some(Settled::SignedOut), "{what}");
        assert!(!world.engine.signed_in(), "{what}");
        assert_eq!(world.access_token(), None, "{what}");
        assert_eq!(world.get(), Permit::Anonymous, "{what}");
        world.pass(DAY);
        world.set_online(true);
        assert_eq!(world.started.len(), 1, "{what}: nothing is sent any more");
        assert!(world.revoking.is_empty(), "{what}");
        assert_eq!(world.sign_out_reason(), Some(reason), "{what}: once");
    }
}

#[test]
fn a_final_outcome_takes_a_good_access_token_with_it() {
    let mut world = World::signed_in(options());
    world.renew();
    assert_eq!(world.get(), Permit::Go);
    world.answer(refused_with("invalid_grant"));
    assert_eq!(world.access_token(), None);
    assert_eq!(world.get(), Permit::Anonymous);
}

/// Every outcome that keeps the session, its cause and its error.
fn transient() -> Vec<(Exchange, Cause, Option<&'static str>)> {
    let unreadable = |answer: TokenAnswer| (answered(200, Some(answer)), Cause::Malformed, None);
    let invalid_grant_by_a_broken_server = answered(500, Some(error_response("invalid_grant")));
    let mut rows = vec![
        (network_failure(), Cause::Network, None),
        (Exchange::Failed(Cause::Timeout), Cause::Timeout, None),
        (Exchange::Failed(Cause::TooLarge), Cause::TooLarge, None),
        (answered(200, None), Cause::Malformed, None),
        (answered(204, None), Cause::Malformed, None),
        (answered(302, None), Cause::Malformed, None),
        (answered(400, None), Cause::Malformed, None),
        (answered(401, None), Cause::Malformed, None),
        // A gateway's, whatever it says.
        (answered(404, Some(error_response("not_found"))), Cause::OauthError, Some("not_found")),
        (refused_with("rate_limit_exceeded"), Cause::OauthError, Some("rate_limit_exceeded")),
        (answered(200, Some(error_response("maintenance"))), Cause::OauthError, Some("maintenance")),
        (answered(404, Some(TokenAnswer::default())), Cause::Malformed, None),
        (answered(400, Some(response("access-2", Some("refresh-2")))), Cause::Malformed, None),
        (invalid_grant_by_a_broken_server, Cause::ServerError, Some("invalid_grant")),
        (answered(429, None), Cause::RateLimited, None),
        (answered(429, Some(error_response("slow_down"))), Cause::RateLimited, Some("slow_down")),
        (refused_with("server_error"), Cause::ServerError, Some("server_error")),
        (refused_with("temporarily_unavailable"), Cause::ServerError, Some("temporarily_unavailable")),
        (refused_with("slow_down"), Cause::ServerError, Some("slow_down")),
        (Exchange::CallbackRejected(None), Cause::Callback, None),
        (Exchange::CallbackRejected(Some(TokenAnswer::default())), Cause::Callback, None),
        (Exchange::CallbackResolved(Some(TokenAnswer::default())), Cause::Malformed, None),
        (resolved("temporarily_unavailable"), Cause::ServerError, Some("temporarily_unavailable")),
        (rejected("temporarily_unavailable"), Cause::ServerError, Some("temporarily_unavailable")),
        unreadable(TokenAnswer::default()),
        unreadable(response("", None)),
        unreadable(response("with space", None)),
        unreadable(TokenAnswer { access_token: Member::Number(1.0), ..response("x", None) }),
        unreadable(TokenAnswer { token_type: text("mac"), ..response("x", None) }),
        unreadable(TokenAnswer { refresh_token: Member::Other, ..response("x", None) }),
    ];
    rows.extend([408, 500, 502, 503, 504, 599].map(|status| (answered(status, None), Cause::ServerError, None)));
    // Only 429 and 503 may say when to come back.
    rows.extend([500, 502, 408].map(|status| (delayed(status, 60_000), Cause::ServerError, None)));
    rows
}

#[test]
fn transient_outcomes_keep_everything() {
    for (exchange, cause, error) in transient() {
        assert_eq!(outcome(&exchange), Outcome::Transient(cause), "{exchange:?}");

        let (mut world, waiter) = World::refreshing(options());
        let (status, what) = (exchange.status(), format!("{exchange:?}"));
        world.answer(exchange);
        let next = world.engine.snapshot(world.now).next_refresh.expect("another try");
        let detail = FailureDetail {
            cause,
            status,
            error: error.map(String::from),
            attempt: 1,
            retryable: true,
            retry_at: Some(next.at),
        };
        assert_eq!(world.events, [Event::RefreshFailed(detail)], "{what}");
        assert!(world.engine.signed_in(), "{what}");
        assert_eq!(world.settled_as(waiter), None, "{what}: goes on waiting");
        let after = world.pass_until_refresh(MINUTE).expect("another try");
        assert!(after <= SECOND, "{what}: {after}");
        assert!(world.body().contains("refresh_token=refresh-1&"), "{what}");
        world.answer(renewed("access-2", None));
        assert!(matches!(world.settled_as(waiter), Some(Settled::Ready(_))), "{what}");
        assert_eq!(world.engine.snapshot(world.now).failures, 0, "{what}");
    }
}

#[test]
fn a_transient_outcome_leaves_a_good_token_in_use() {
    for (exchange, ..) in transient().into_iter().chain([(delayed(503, 60_000), Cause::ServerError, None)]) {
        let mut world = World::signed_in(options());
        world.renew();
        let what = format!("{exchange:?}");
        world.answer(exchange);
        assert_eq!(world.get(), Permit::Go, "{what}");
        assert_eq!(world.access_token().as_deref(), Some("access-1"), "{what}");
    }
}

#[test]
fn a_server_that_says_when_to_come_back_is_obeyed() {
    for (status, cause) in [(429, Cause::RateLimited), (503, Cause::ServerError)] {
        let exchange = delayed(status, 3_000);
        assert_eq!(outcome(&exchange), Outcome::Delayed { after_ms: 3_000, cause });
        let (mut world, waiter) = World::refreshing(options());
        let answered_at = world.now;
        world.answer(exchange);
        let [Event::RefreshDelayed(detail)] = &world.events[..] else { panic!("{:?}", world.events) };
        assert_eq!((detail.cause, detail.status, detail.retryable), (cause, Some(status), true));
        world.must_wait(None);
        world.pass(MINUTE);
        let again = answered_at.elapsed_ms(world.started[1]);
        assert!((3_000..=4_000).contains(&again), "{again}");
        assert_eq!(world.settled_as(waiter), Some(Settled::Unavailable), "nobody answered since");
    }
}

#[test]
fn three_times_500_then_200_fails_no_request() {
    let (mut world, first) = World::refreshing(options());
    let mut waiters = vec![first];
    for attempt in 1..=3 {
        world.answer(answered(500, None));
        let Some(Event::RefreshFailed(detail)) = world.events.last() else { panic!("{:?}", world.events) };
        assert_eq!(detail.attempt, attempt);
        assert_eq!(world.engine.snapshot(world.now).failures, attempt);
        waiters.push(world.must_wait(None));
        world.pass_until_refresh(MINUTE).expect("another try");
    }
    world.answer(renewed("access-2", None));
    for waiter in waiters {
        assert!(matches!(world.settled_as(waiter), Some(Settled::Ready(_))));
    }
    assert_eq!(world.get(), Permit::Go);
    assert_eq!(world.sign_out_reason(), None);
    assert_eq!(world.event_names(), ["refreshfailed", "refreshfailed", "refreshfailed", "refreshed"]);
}

#[test]
fn a_request_that_waits_too_long_is_told_and_the_session_goes_on() {
    let (mut world, waiter) = World::refreshing(options());
    world.live(31 * SECOND, None, network_failure);
    assert_eq!(world.settled_as(waiter), Some(Settled::Unavailable));
    assert!(world.engine.signed_in());
    world.pass_until_refresh(HOUR).expect("another try");
    world.answer(renewed("access-2", None));
    assert_eq!(world.get(), Permit::Go);
}

#[test]
fn a_refresh_token_is_kept_until_it_is_replaced() {
    let mut world = World::signed_in(options());
    let rows = [(None, "refresh-1"), (Some("refresh-2"), "refresh-2"), (None, "refresh-2"), (Some(""), "refresh-2")];
    for (sent, used_next) in rows {
        world.renew();
        world.answer(renewed("access", sent));
        world.renew();
        let body = format!("grant_type=refresh_token&refresh_token={used_next}&client_id=spa");
        assert_eq!(world.body(), body);
        world.answer(network_failure());
        world.pass(2 * SECOND);
    }
}

#[test]
fn a_nonce_is_used_once_and_is_no_failure() {
    for status in [200, 400, 401] {
        assert_eq!(outcome(&wants_nonce(status)), Outcome::UseDpopNonce);
        let (mut world, waiter) = World::refreshing(options());
        let first = world.flight();
        world.answer(wants_nonce(status));
        assert_ne!(world.flight(), first);
        assert!(world.body().contains("refresh_token=refresh-1&"));
        assert_eq!(world.events, []);
        assert_eq!(world.engine.snapshot(world.now).failures, 0);

        world.answer(wants_nonce(status));
        assert!(world.running.is_empty(), "not twice");
        assert_eq!(world.event_names(), ["refreshfailed"]);
        world.pass_until_refresh(MINUTE).expect("another try");
        world.answer(renewed("access-2", None));
        assert!(matches!(world.settled_as(waiter), Some(Settled::Ready(_))));
    }
}

#[test]
fn a_nonce_that_comes_while_offline_is_a_failure() {
    let (mut world, _) = World::refreshing(options());
    world.set_online(false);
    world.answer(wants_nonce(400));
    assert_eq!(world.event_names(), ["refreshfailed"]);
}

#[test]
fn a_token_that_arrives_expired_still_rotates_the_refresh_token() {
    let (mut world, waiter) = World::refreshing(options());
    world.pass(10 * SECOND);
    world.answer(answered(
        200,
        Some(TokenAnswer { expires_in: Member::Number(5.0), ..response("access-2", Some("refresh-2")) }),
    ));
    let [Event::RefreshFailed(detail)] = &world.events[..] else { panic!("{:?}", world.events) };
    assert_eq!((detail.cause, detail.status, detail.retryable), (Cause::Malformed, Some(200), true));
    assert_eq!(world.settled_as(waiter), None);
    assert_eq!(world.access_token(), None, "it was never any good");
    assert_eq!(world.get(), Permit::Wait);
    assert!(world.running.is_empty(), "backs off");
    world.pass_until_refresh(MINUTE).expect("another try");
    assert!(world.body().contains("refresh_token=refresh-2&"));
    world.answer(renewed("access-3", None));
    assert!(matches!(world.settled_as(waiter), Some(Settled::Ready(_))));
}

#[test]
fn the_callback_s_tokens_are_tokens() {
    let (mut world, waiter) = World::refreshing(callback_options());
    assert_eq!(world.running[0].1, Work::Callback);
    world.answer(Exchange::CallbackResolved(Some(response("access-2", None))));
    assert!(matches!(world.settled_as(waiter), Some(Settled::Ready(_))));
    assert_eq!(world.access_token().as_deref(), Some("access-2"));
    assert_eq!(world.event_names(), ["refreshed"]);
}

#[test]
fn outcomes_are_remembered_and_the_oldest_forgotten() {
    let mut world = World::signed_in(options());
    for round in 0..12 {
        world.renew();
        world.answer(if round == 11 { renewed("access", None) } else { answered(500 + round, None) });
        world.pass(10 * SECOND);
    }
    let outcomes = world.engine.snapshot(world.now).outcomes;
    let seen: Vec<_> = outcomes.iter().map(|past| (past.status, past.outcome)).collect();
    let failed = (504..=510).map(|status| (Some(status), Some(Cause::ServerError)));
    let expected: Vec<_> = failed.chain([(Some(200), None)]).collect();
    assert_eq!(seen, expected);
    assert!(outcomes.iter().zip(outcomes.iter().skip(1)).all(|(one, next)| one.at < next.at));
}

#[test]
fn what_is_no_error_code_gets_no_further_and_ends_nothing() {
    let long = "x".repeat(200);
    for hostile in
        ["", " ", "two words", "Not Found", "refresh-1 was stolen", "<script>", "a\u{0}b", "ü", "{\"a\":1}", &long]
    {
        for status in [400, 403, 404] {
            let (mut world, _) = World::refreshing(options());
            world.answer(answered(status, Some(error_response(hostile))));
            assert!(world.engine.signed_in(), "{status} {hostile:?}");
            let [Event::RefreshFailed(detail)] = &world.events[..] else { panic!("{:?}", world.events) };
            assert_eq!((detail.cause, detail.error.as_deref()), (Cause::Malformed, None), "{status} {hostile:?}");
        }
    }
}

#[test]
fn a_refresh_token_that_comes_with_a_useless_access_token_is_the_next() {
    for spoil in [
        |answer: &mut TokenAnswer| answer.access_token = Member::Absent,
        |answer: &mut TokenAnswer| answer.access_token = text("acc ess"),
        |answer: &mut TokenAnswer| answer.token_type = text("DPoP"),
    ] {
        let (mut world, waiter) = World::refreshing(options());
        let mut answer = response("access-2", Some("refresh-2"));
        spoil(&mut answer);
        world.answer(answered(200, Some(answer)));
        assert_eq!(world.event_names(), ["refreshfailed"]);
        world.pass_until_refresh(MINUTE).expect("another try");
        assert!(world.body().contains("refresh_token=refresh-2&"), "{}", world.body());
        world.answer(renewed("access-3", None));
        assert!(matches!(world.settled_as(waiter), Some(Settled::Ready(_))));
    }
}

#[test]
fn tokens_of_the_app_without_a_refresh_token_leave_the_refresh_alone() {
    let (mut world, _) = World::refreshing(options());
    let flight = world.flight();
    world.set_tokens(response("access-app", None));
    assert_eq!(world.flight(), flight, "it may have used up the refresh token");
    world.answer(renewed("access-2", Some("refresh-2")));
    world.renew();
    assert!(world.body().contains("refresh_token=refresh-2&"), "{}", world.body());
}

#[test]
fn a_scope_left_out_has_not_changed() {
    let mut world = World::signed_in(options());
    world.set_tokens(TokenAnswer { scope: text("orders"), ..response("access-1", Some("refresh-1")) });
    world.renew();
    world.answer(renewed("access-2", None));
    assert_eq!(world.engine.snapshot(world.now).scope.as_deref(), Some("orders"));
}

#[test]
fn sleep_is_no_outage() {
    let mut world = World::signed_in(Options { max_outage_s: Some(300.0), ..options() });
    world.renew();
    world.answer(network_failure());
    world.now = world.now.plus(8 * HOUR);
    world.tick();
    world.answer(network_failure());
    assert!(world.engine.signed_in());
}
