//! Where new tokens come from, by how the last ones came: a refresh token, the app, a backend's cookie, a hidden frame.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::*;
use tokenward::engine::event::Reason;
use tokenward::engine::failure::{Cause, Exchange};
use tokenward::engine::oauth::response::TokenAnswer;
use tokenward::engine::session::{Permit, Settled, Way};
use tokenward::engine::tabs::Signal;
use tokenward::engine::{Output, Work};

fn both_options() -> Options {
    Options { restores_silently: true, ..session_options() }
}

/// A backend of the page's own, and no authorization server that the page would know of.
fn backend_options() -> Options {
    let options = Options { page: Some("https://app.test/".into()), ..bare_options() };
    with_url(options, "session.url", "https://app.test/session")
}

fn restored(options: Options, way: Way, answer: TokenAnswer) -> World {
    let mut world = World::new(options);
    world.restore(way);
    world.answer(answered(200, Some(answer)));
    assert_eq!(world.event_names(), ["signedin"]);
    world.started.clear();
    world
}

fn signed_in(options: Options, answer: TokenAnswer) -> World {
    let mut world = World::new(options);
    let began = world.engine.sign_outs();
    world.sign_in(answered(200, Some(answer)), began).expect("signed in");
    assert_eq!(world.event_names(), ["signedin"]);
    world
}

fn given(options: Options, answer: TokenAnswer) -> World {
    let mut world = World::new(options);
    world.set_tokens(answer);
    world.events.clear();
    world
}

/// How tokens are renewed, asked for now, by the schedule, and by a request.
fn assert_renews(make: impl Fn() -> World, by: Option<&str>, what: &str) {
    let name = |work: &Work| match work {
        Work::Refresh { .. } => "refresh token",
        Work::Callback => "callback",
        Work::Session { .. } => "session",
        Work::Silent => "silent",
        other => panic!("{other:?}"),
    };
    let mut asked = make();
    assert_eq!(asked.engine.snapshot(asked.now).can_refresh, by.is_some(), "{what}");
    assert_eq!(asked.renew().is_some(), by.is_some(), "{what}");
    let mut scheduled = make();
    assert_eq!(scheduled.pass_until_refresh(HOUR).is_some(), by.is_some(), "{what}");
    let mut needed = make();
    needed.sleep(HOUR);
    assert_eq!(needed.get(), if by.is_some() { Permit::Wait } else { Permit::Anonymous }, "{what}");
    let mut refused = make();
    let stamp = refused.engine.stamp();
    assert_eq!(refused.unauthorized(stamp, false), by.is_some(), "{what}");
    for world in [&asked, &scheduled, &needed, &refused] {
        assert_eq!(world.running.iter().map(|(_, work)| name(work)).collect::<Vec<_>>(), Vec::from_iter(by), "{what}");
    }
    if by.is_none() {
        assert_eq!(scheduled.sign_out_reason(), Some(Reason::Expired), "{what}");
        assert_eq!(needed.sign_out_reason(), Some(Reason::Expired), "{what}");
    }
}

#[test]
fn tokens_are_renewed_the_way_they_came() {
    let plain = || response("access-1", None);
    let renewable = || response("access-1", Some("refresh-1"));
    let known = || identified("access-1", None, "user-1");
    let all = || identified("access-1", Some("refresh-1"), "user-1");
    let refresh = Some("refresh token");
    let session = Some("session");
    let silent = Some("silent");

    let by_session =
        |answer: fn() -> TokenAnswer, options: fn() -> Options| move || restored(options(), Way::Session, answer());
    assert_renews(by_session(plain, session_options), session, "a cookie session");
    assert_renews(by_session(known, session_options), session, "whoever it is");
    assert_renews(by_session(renewable, session_options), refresh, "a refresh token goes first");
    assert_renews(by_session(plain, backend_options), session, "a backend alone");
    assert_renews(by_session(renewable, backend_options), session, "nothing to use the refresh token at");
    assert_renews(by_session(known, both_options), session, "before a frame");

    let by_silent = |answer: fn() -> TokenAnswer| move || restored(both_options(), Way::Silent, answer());
    assert_renews(by_silent(known), silent, "the cookie may be somebody else's");
    assert_renews(by_silent(all), refresh, "a refresh token goes first");
    assert_renews(by_silent(plain), None, "a frame could bring anybody's");

    let by_sign_in = |answer: fn() -> TokenAnswer, options: fn() -> Options| move || signed_in(options(), answer());
    assert_renews(by_sign_in(known, silent_options), silent, "a known user");
    assert_renews(by_sign_in(known, both_options), silent, "the cookie may be somebody else's");
    assert_renews(by_sign_in(plain, silent_options), None, "a frame could bring anybody's");
    assert_renews(by_sign_in(all, both_options), refresh, "a refresh token goes first");
    assert_renews(by_sign_in(known, session_options), None, "the cookie may be somebody else's");
    assert_renews(by_sign_in(known, issuer_options), None, "no way is set up");
    assert_renews(by_sign_in(all, issuer_options), refresh, "the plain case");

    let by_app = |answer: fn() -> TokenAnswer, options: fn() -> Options| move || given(options(), answer());
    assert_renews(by_app(known, both_options), None, "nobody checked who that is, nor whose cookie");
    assert_renews(by_app(all, both_options), refresh, "the plain case");
    assert_renews(by_app(plain, backend_options), session, "the app logged in at its backend");
    assert_renews(by_app(plain, bare_options), None, "no way is set up");
    assert_renews(by_app(renewable, bare_options), None, "nothing to use the refresh token at");

    let callback_and_backend = || Options { has_refresh_callback: true, ..backend_options() };
    assert_renews(by_app(plain, callback_and_backend), Some("callback"), "the app's own way");
    assert_renews(by_session(plain, callback_and_backend), Some("callback"), "the app's own way");
}

#[test]
fn tokens_of_the_app_s_end_the_backend_s_part() {
    let mut world = restored(session_options(), Way::Session, response("access-1", None));
    world.set_tokens(response("access-2", None));
    assert_eq!(world.renew(), None, "the cookie may be somebody else's");

    let mut world = restored(session_options(), Way::Session, response("access-1", None));
    world.set_tokens(response("access-2", Some("refresh-2")));
    world.renew();
    assert!(world.body().contains("refresh_token=refresh-2&"));
}

#[test]
fn a_cookie_session_is_renewed_again_and_again() {
    let mut world = restored(session_options(), Way::Session, identified("access-1", None, "user-1"));
    for round in 2..6 {
        world.pass_until_refresh(HOUR).expect("renewed by schedule");
        assert_eq!(world.work(), &session_work("after="));
        world.answer(identified_renewal(&format!("access-{round}"), None, "user-1"));
        assert_eq!(world.engine.stamp().generation, round);
    }
    assert_eq!(world.event_names(), ["refreshed"; 4]);
    assert_eq!(world.user(), Some("user-1"));
}

#[test]
fn a_frame_is_asked_again_and_again() {
    let mut world = signed_in(silent_options(), identified("access-1", None, "user-1"));
    for round in 2..6 {
        world.pass_until_refresh(HOUR).expect("renewed by schedule");
        assert_eq!(world.work(), &Work::Silent);
        world.answer(identified_renewal(&format!("access-{round}"), None, "user-1"));
        assert_eq!(world.engine.stamp().generation, round);
    }
    assert_eq!(world.event_names(), ["refreshed"; 4]);
}

#[test]
fn where_the_server_s_session_is_over_so_is_this_one() {
    let session = || restored(session_options(), Way::Session, identified("access-1", None, "user-1"));
    let silent = || signed_in(silent_options(), identified("access-1", None, "user-1"));
    let rejected = |error| Exchange::CallbackRejected(Some(error_response(error)));
    for (mut world, exchange, reason, what) in [
        (session(), answered(401, None), Reason::LoginRequired, "a backend's 401"),
        (session(), answered(401, Some(TokenAnswer::default())), Reason::LoginRequired, "and a message"),
        (session(), refused_with("invalid_grant"), Reason::RefreshRejected, "passed on"),
        (session(), identified_renewal("access-2", None, "user-2"), Reason::UserChanged, "another's cookie"),
        (silent(), rejected("login_required"), Reason::LoginRequired, "a frame"),
        (silent(), rejected("interaction_required"), Reason::LoginRequired, "a frame"),
        (silent(), rejected("consent_required"), Reason::LoginRequired, "a frame"),
        (silent(), rejected("access_denied"), Reason::Misconfigured, "a frame"),
        (
            silent(),
            identified_renewal("access-2", Some("refresh-2"), "user-2"),
            Reason::UserChanged,
            "another's session",
        ),
    ] {
        world.sleep(HOUR);
        let waiter = world.must_wait(None);
        let status = exchange.status();
        world.answer(exchange);
        assert_eq!(world.sign_out_reason(), Some(reason), "{what}");
        assert_eq!(world.settled_as(waiter), Some(Settled::SignedOut), "{what}");
        assert_eq!((world.access_token(), world.user()), (None, None), "{what}");
        assert_eq!(world.event_names(), ["refreshfailed", "signedout"], "{what}");
        let past = world.engine.snapshot(world.now).outcomes.pop().expect("an outcome");
        assert_eq!((past.outcome, past.status), (Some(Cause::OauthError), status), "{what}");
        world.pass(DAY);
        assert_eq!(world.started.len(), 1, "{what}");
    }
}

#[test]
fn a_passing_failure_ends_neither() {
    for (make, work) in [
        (
            (|| restored(session_options(), Way::Session, response("access-1", None))) as fn() -> World,
            session_work("after="),
        ),
        (|| signed_in(silent_options(), identified("access-1", None, "user-1")), Work::Silent),
    ] {
        for exchange in [network_failure(), answered(503, None), answered(404, None), Exchange::CallbackRejected(None)]
        {
            let mut world = make();
            world.sleep(HOUR);
            let waiter = world.must_wait(None);
            world.answer(exchange);
            assert!(world.engine.signed_in());
            world.pass_until_refresh(MINUTE).expect("another try");
            assert_eq!(world.work(), &work);
            world.answer(identified_renewal("access-2", None, "user-1"));
            assert!(matches!(world.settled_as(waiter), Some(Settled::Ready(_))));
        }
    }
}

#[test]
fn nothing_is_sent_where_nothing_is_set_up() {
    let mut world = given(bare_options(), identified("access-1", Some("refresh-1"), "user-1"));
    let stamp = world.engine.stamp();
    assert!(!world.unauthorized(stamp, false));
    world.renew();
    world.pass(DAY);
    world.set_tokens(response("access-2", None));
    world.sign_out();
    assert_eq!((world.started.len(), world.revoking.len(), world.running.len()), (0, 0, 0));
    assert_eq!(world.signed_out, [(1, vec!["access_token"])]);
}

#[test]
fn another_user_s_session_at_the_backend_is_taken_up() {
    let mut world = restored(session_options(), Way::Session, identified("access-1", None, "user-1"));
    world.sleep(10 * MINUTE);
    world.must_wait(None);
    world.answer(identified_renewal("access-2", None, "user-2"));
    assert_eq!(world.sign_out_reason(), Some(Reason::UserChanged));
    assert_eq!((world.restores, world.access_token()), (1, None));
    world.restore(Way::Session);
    world.answer(identified_renewal("access-3", None, "user-2"));
    assert_eq!((world.user(), world.restores), (Some("user-2"), 1));
}

#[test]
fn what_a_backend_gave_is_its_own_to_revoke() {
    let options = Options { issuer: None, client_id: None, ..with_url(session_options(), "issuer", "") };
    let mut world = restored(options, Way::Session, response("access-1", None));
    world.sign_out();
    let (ticket, _) = world.revoking.pop().expect("the backend is told");
    world.answer_ticket(ticket, answered(204, None));
    assert_eq!(world.signed_out, [(1, vec![])]);
}

/// Signed out of a backend's session, which was not confirmed yet.
fn leaving() -> World {
    let mut world = restored(session_options(), Way::Session, response("access-1", None));
    world.sign_out();
    world.signals.clear();
    world
}

#[test]
fn the_session_that_the_user_left_is_not_found_again() {
    // A tab that was opened meanwhile has found it.
    let mut world = leaving();
    world.hear(Signal::SignedIn);
    let (ticket, _) = world.revoking.iter().find(|(_, work)| *work == Work::EndSession).expect("told");
    world.answer_ticket(*ticket, answered(204, None));
    assert_eq!((world.restores, &world.signals[..]), (0, &[Signal::SignedOut][..]));
    world.hear(Signal::SignedIn);
    assert_eq!(world.restores, 1, "the next one is another");

    let mut world = leaving();
    let (ticket, _) = world.revoking.iter().find(|(_, work)| *work == Work::EndSession).expect("told");
    world.answer_ticket(*ticket, answered(503, None));
    world.hear(Signal::SignedIn);
    assert_eq!((world.restores, &world.signals[..]), (0, &[][..]), "the backend may still know it");
}

#[test]
fn servers_and_tabs_hear_of_a_sign_out_before_a_lock_is_free() {
    let mut world = restored(session_options(), Way::Session, response("access-1", None));
    world.sleep(10 * MINUTE);
    world.must_wait(None);
    world.engine.sign_out(Reason::SignOut, world.now);
    let first = world.engine.take_outputs();
    assert!(matches!(first.last(), Some(Output::Unlock(_))), "{first:?}");
    let urgent = world.engine.take_urgent();
    let ends = |output: &Output| matches!(output, Output::Start(_, Work::EndSession));
    assert!(urgent.iter().any(ends), "{urgent:?}");
    assert!(!urgent.iter().any(|output| matches!(output, Output::Event(_) | Output::Settle(..))));
    world.engine.sign_out(Reason::SignOut, world.now);
    assert!(matches!(world.engine.take_urgent().first(), Some(Output::Signal(Signal::SignedOut))));
    assert!(matches!(world.engine.take_outputs().first(), Some(Output::Settle(..))), "the app, later");
}

#[test]
fn a_network_that_comes_and_goes_is_no_reason_to_hurry() {
    let mut world = World::signed_in(options());
    world.sleep(10 * MINUTE);
    world.must_wait(None);
    for _ in 0..1_000 {
        if !world.running.is_empty() {
            world.answer(network_failure());
        }
        world.set_online(false);
        world.pass(10);
        world.set_online(true);
    }
    assert!(world.started.len() <= 41, "{} requests in 10 s", world.started.len());
}
