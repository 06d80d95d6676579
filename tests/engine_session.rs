//! The life of a session: who may send what, and who is told what when it ends.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::*;
use tokenward::engine::event::{Event, Reason, SignedOutDetail, Status, TokenDetail};
use tokenward::engine::oauth::response::{Member, TokenAnswer};
use tokenward::engine::session::{Permit, Settled, Stamp};
use tokenward::engine::{Request, Work};

#[test]
fn tokens_begin_a_session() {
    let mut world = World::new(options());
    assert!(!world.engine.signed_in());
    assert_eq!(world.get(), Permit::Anonymous);
    assert_eq!(world.access_token(), None);
    assert_eq!(world.renew(), None);

    world.set_tokens(TokenAnswer { scope: text("orders"), ..response("access-1", Some("refresh-1")) });
    let expires_at = (START.wall_ms + 300_000) as f64;
    let detail = TokenDetail { generation: 1, expires_at: Some(expires_at), scope: Some("orders".into()) };
    assert_eq!(world.events, [Event::SignedIn(detail)]);
    assert!(world.engine.signed_in());
    assert_eq!(world.get(), Permit::Go);
    assert_eq!(world.access_token().as_deref(), Some("access-1"));
    assert!(world.started.is_empty());
}

#[test]
fn what_a_request_may_do_depends_on_itself_first() {
    let mut options = options();
    options.resources[0].methods = Some(vec!["GET".into(), "post".into()]);
    let world = World::signed_in(options);
    let plain = world.request();
    let own = Request { own_authorization: true, ..plain };
    let no_cors = Request { no_cors: true, ..plain };
    let unknown = Request { rule: 77, ..plain };
    let rows = [
        (plain, "GET", Permit::Go),
        (plain, "POST", Permit::Go),
        (plain, "DELETE", Permit::Anonymous),
        (own, "GET", Permit::Anonymous),
        (no_cors, "GET", Permit::Anonymous),
        (unknown, "GET", Permit::Anonymous),
    ];
    let mut engine = world.engine;
    for (request, method, expected) in rows {
        assert_eq!(engine.authorize(request, method, None, START), expected, "{method} {request:?}");
    }
}

#[test]
fn a_request_that_carries_no_token_costs_no_refresh() {
    let mut world = World::signed_in(options());
    world.sleep(HOUR);
    let request = Request { own_authorization: true, ..world.request() };
    assert_eq!(world.authorize(request, None), Permit::Anonymous);
    assert!(world.started.is_empty());
}

#[test]
fn a_thousand_requests_share_one_refresh() {
    let mut world = World::signed_in(options());
    world.sleep(HOUR);
    let waiters: Vec<_> = (0..1_000).map(|_| world.must_wait(None)).collect();
    assert_eq!(world.started.len(), 1);
    assert_eq!(world.engine.snapshot(world.now).waiting, 1_000);

    let before = Stamp { generation: 0, ..world.engine.stamp() };
    world.answer(renewed("access-2", None));
    let told: Vec<_> = waiters.into_iter().map(|waiter| (waiter, Settled::Ready(before))).collect();
    assert_eq!(world.settled, told);
    assert_eq!(world.get_after(Some(before)), Permit::Go);
    assert_eq!(world.access_token().as_deref(), Some("access-2"));
    assert_eq!(world.started.len(), 1);
    assert_eq!(world.event_names(), ["refreshed"]);
}

#[test]
fn a_thousand_refusals_of_one_token_share_one_refresh() {
    let mut world = World::signed_in(options());
    let stamp = world.engine.stamp();
    for _ in 0..500 {
        assert!(world.unauthorized(stamp, false));
        world.must_wait(Some(stamp));
    }
    world.answer(renewed("access-2", None));
    for _ in 0..500 {
        assert!(world.unauthorized(stamp, false), "refused with the last token: repeated with this one");
        assert_eq!(world.get_after(Some(stamp)), Permit::Go);
    }
    assert_eq!(world.started.len(), 1);
    assert!(world.settled.iter().all(|(_, settled)| *settled == Settled::Ready(stamp)));
    assert_eq!(world.settled.len(), 500);
}

#[test]
fn each_accepted_set_is_a_generation() {
    let mut world = World::signed_in(options());
    for generation in 1..=5 {
        assert_eq!(world.engine.stamp(), Stamp { epoch: world.engine.stamp().epoch, generation });
        assert_eq!(world.engine.snapshot(world.now).generation, generation);
        world.renew();
        world.answer(renewed("access", None));
    }
}

#[test]
fn an_answer_after_sign_out_does_not_bring_the_session_back() {
    let (mut world, waiter) = World::refreshing(options());
    let (ticket, stamp) = (world.flight(), world.engine.stamp());
    world.sign_out();
    assert_eq!(world.aborted, [ticket]);
    assert_eq!(world.settled_as(waiter), Some(Settled::SignedOut));
    assert_eq!(world.sign_out_reason(), Some(Reason::SignOut));

    world.events.clear();
    world.answer_ticket(ticket, renewed("access-2", Some("refresh-2")));
    assert!(!world.engine.signed_in());
    assert_eq!(world.access_token(), None);
    assert_eq!(world.events, []);
    assert_eq!(world.get_after(Some(stamp)), Permit::Over);
    assert!(!world.unauthorized(stamp, false));
    assert_eq!(world.get(), Permit::Anonymous);
}

#[test]
fn nothing_of_an_old_session_touches_the_next() {
    let (mut world, _) = World::refreshing(options());
    let (ticket, stamp) = (world.flight(), world.engine.stamp());
    world.sign_out();
    world.set_tokens(response("other-1", Some("other-refresh")));
    world.events.clear();
    let (begun, next) = (world.started.len(), world.engine.stamp());
    assert!(next > stamp, "a later session's stamp is greater");

    world.answer_ticket(ticket, renewed("access-2", Some("refresh-2")));
    world.answer_ticket(ticket, refused_with("invalid_grant"));
    assert!(!world.unauthorized(stamp, false));
    assert!(!world.unauthorized(stamp, true));
    assert!(!world.refused(world.request(), stamp, &refusal(403, "Bearer error=\"insufficient_scope\"")));
    assert_eq!(world.get_after(Some(stamp)), Permit::Over);
    assert_eq!(world.events, []);
    assert_eq!(world.started.len(), begun);
    assert_eq!(world.engine.stamp(), next);
    assert_eq!(world.access_token().as_deref(), Some("other-1"));
    assert!(world.unauthorized(next, false), "the old session's refusals distrust nothing in this one");
}

#[test]
fn an_answer_with_another_ticket_changes_nothing() {
    let (mut world, _) = World::refreshing(options());
    let first = world.flight();
    world.pass(15 * SECOND);
    assert_eq!(world.aborted, [first]);
    world.pass(11 * SECOND);
    let second = world.flight();
    assert_ne!(first, second);

    world.events.clear();
    world.answer_ticket(first, renewed("late", Some("late-refresh")));
    assert_eq!(world.events, []);
    assert!(world.engine.snapshot(world.now).refreshing);
    assert_ne!(world.access_token().as_deref(), Some("late"));

    world.answer_ticket(second, renewed("access-2", None));
    assert_eq!(world.access_token().as_deref(), Some("access-2"));
    world.answer_ticket(second, renewed("twice", None));
    assert_eq!(world.access_token().as_deref(), Some("access-2"));
}

#[test]
fn tokens_set_meanwhile_win() {
    let (mut world, waiter) = World::refreshing(options());
    let (ticket, epoch) = (world.flight(), world.engine.stamp().epoch);
    world.set_tokens(response("mine", Some("my-refresh")));
    assert_eq!(world.aborted, [ticket]);
    assert_eq!(world.event_names(), ["refreshed"]);
    assert!(matches!(world.settled_as(waiter), Some(Settled::Ready(_))));
    assert_eq!(world.engine.stamp(), Stamp { epoch, generation: 2 });

    world.answer_ticket(ticket, renewed("late", Some("late-refresh")));
    assert_eq!(world.access_token().as_deref(), Some("mine"));
    assert_eq!(world.event_names(), [""; 0]);
    world.renew();
    assert!(world.body().contains("refresh_token=my-refresh&"));
}

#[test]
fn tokens_set_without_a_refresh_token_keep_the_one_in_use() {
    let mut world = World::signed_in(options());
    world.set_tokens(response("access-2", None));
    world.renew();
    assert!(world.body().contains("refresh_token=refresh-1&"));
}

#[test]
fn tokens_set_end_a_back_off() {
    let (mut world, _) = World::refreshing(options());
    world.answer(network_failure());
    assert_eq!(world.engine.snapshot(world.now).failures, 1);
    world.set_tokens(response("access-2", Some("refresh-2")));
    assert_eq!(world.engine.snapshot(world.now).failures, 0);
    assert_eq!(world.get(), Permit::Go);
}

#[test]
fn two_wards_do_not_know_of_each_other() {
    let mut one = World::seeded(options(), 1);
    let mut other = World::seeded(options(), 2);
    one.set_tokens(response("one", Some("refresh-one")));
    other.set_tokens(response("other", Some("refresh-other")));
    one.sleep(HOUR);
    let waiter = one.must_wait(None);
    let ticket = one.flight();
    other.answer_ticket(ticket, renewed("stolen", None));
    other.sign_out();
    assert_eq!(one.settled_as(waiter), None);
    one.answer(renewed("two", None));
    assert_eq!(one.access_token().as_deref(), Some("two"));
    assert_eq!(other.access_token(), None);
}

#[test]
fn a_body_that_cannot_be_repeated_waits_for_a_due_refresh() {
    let mut world = World::signed_in(options());
    assert_eq!(world.stream(), Permit::Go, "none is due");
    assert!(world.pass_until_refresh(300 * SECOND).is_some());
    assert_eq!(world.get(), Permit::Go, "the token is good");
    assert_eq!(world.stream(), Permit::Wait);
    let (first, second) = (world.wait(None), world.wait(None));
    world.cancel(second);

    world.answer(network_failure());
    assert!(matches!(world.settled_as(first), Some(Settled::Ready(_))), "goes with the token there is");
    assert_eq!(world.settled_as(second), None);
    assert_eq!(world.stream(), Permit::Go);
    assert_eq!(world.access_token().as_deref(), Some("access-1"));
}

#[test]
fn a_request_starts_the_refresh_a_timer_missed() {
    let mut world = World::signed_in(options());
    world.sleep(280 * SECOND);
    assert_eq!(world.stream(), Permit::Wait);
    assert_eq!(world.started.len(), 1);
    let waiter = world.wait(None);
    world.answer(renewed("access-2", None));
    assert!(matches!(world.settled_as(waiter), Some(Settled::Ready(_))));
    assert_eq!(world.stream(), Permit::Go);
}

#[test]
fn who_gives_up_is_not_told_and_the_refresh_goes_on() {
    let (mut world, first) = World::refreshing(options());
    let second = world.must_wait(None);
    world.cancel(first);
    assert_eq!(world.engine.snapshot(world.now).waiting, 1);
    world.cancel(second);
    assert_eq!(world.engine.snapshot(world.now).waiting, 0);
    assert_eq!(world.aborted, []);
    world.answer(renewed("access-2", None));
    assert_eq!(world.settled, []);
    assert_eq!(world.access_token().as_deref(), Some("access-2"));
}

#[test]
fn a_wait_ends_at_its_deadline_on_the_monotonic_clock() {
    let mut world = World::signed_in(options());
    world.set_online(false);
    world.sleep(HOUR);
    let first = world.must_wait(None);
    world.pass(10 * SECOND);
    let second = world.must_wait(None);

    world.sleep(DAY);
    world.tick();
    assert_eq!(world.settled, [], "the wall clock ends no wait");
    world.now.wall_ms = START.wall_ms;
    world.tick();
    assert_eq!(world.settled, []);

    world.pass(20 * SECOND - 1);
    assert_eq!(world.settled, []);
    world.pass(1);
    assert_eq!(world.settled_as(first), Some(Settled::Unavailable));
    assert_eq!(world.settled_as(second), None);
    world.pass(10 * SECOND);
    assert_eq!(world.settled_as(second), Some(Settled::Unavailable));
    assert!(world.engine.signed_in());
}

#[test]
fn a_wait_counts_from_when_it_began_and_as_long_as_configured() {
    let mut world = World::signed_in(Options { wait_s: Some(4.0), ..options() });
    world.set_online(false);
    world.sleep(HOUR);
    assert_eq!(world.get(), Permit::Wait);
    let begun = world.now.mono_ms - 3_000;
    let waiter = world.engine.wait(None, begun);
    world.pass(999);
    assert_eq!(world.settled_as(waiter), None);
    world.pass(1);
    assert_eq!(world.settled_as(waiter), Some(Settled::Unavailable));
}

#[test]
fn renew_joins_the_refresh_under_way_or_begins_one() {
    let mut world = World::signed_in(options());
    let first = world.renew().expect("a refresh token");
    let second = world.renew().expect("a refresh token");
    assert_eq!(world.started.len(), 1);
    assert_eq!(world.get(), Permit::Go, "the token in use is still good");
    let stamp = world.engine.stamp();
    world.answer(renewed("access-2", None));
    assert_eq!(world.settled, [(first, Settled::Ready(stamp)), (second, Settled::Ready(stamp))]);
}

#[test]
fn renew_does_not_take_the_token_there_is_for_a_new_one() {
    let mut world = World::signed_in(options());
    let waiter = world.renew().expect("a refresh token");
    world.answer(network_failure());
    assert_eq!(world.settled_as(waiter), None);
    world.pass(11 * SECOND);
    world.answer(renewed("access-2", None));
    assert!(matches!(world.settled_as(waiter), Some(Settled::Ready(_))));
}

#[test]
fn renew_needs_something_to_renew_with() {
    let mut world = World::new(options());
    world.set_tokens(response("access-1", None));
    assert_eq!(world.renew(), None);
    let mut world = World::signed_in(bare_options());
    assert_eq!(world.renew(), None);
    let mut world = World::new(callback_options());
    world.set_tokens(response("access-1", None));
    assert!(world.renew().is_some());
    assert_eq!(world.running[0].1, Work::Callback);
}

#[test]
fn close_tells_who_waits_and_nobody_else() {
    let (mut world, waiter) = World::refreshing(options());
    let ticket = world.flight();
    world.close();
    assert_eq!(world.settled_as(waiter), Some(Settled::Closed));
    assert_eq!(world.aborted, [ticket]);
    assert_eq!(world.events, []);
    assert_eq!(world.access_token(), None);
    assert_eq!(world.engine.deadline_ms(world.now), None);
    world.answer_ticket(ticket, renewed("access-2", None));
    world.set_online(true);
    world.pass(DAY);
    assert!(!world.engine.signed_in());
    assert_eq!(world.events, []);
    assert_eq!(world.started.len(), 1);
}

#[test]
fn a_token_that_nothing_renews_ends_its_session_once() {
    for (options, refresh) in [(options(), None), (bare_options(), Some("unused"))] {
        let mut world = World::new(options);
        world.set_tokens(response("access-1", refresh));
        world.events.clear();
        assert_eq!(world.engine.deadline_ms(world.now), Some(295 * SECOND));
        world.pass(295 * SECOND - 1);
        assert_eq!(world.get(), Permit::Go);
        assert_eq!(world.events, []);
        world.pass(1);
        let detail = SignedOutDetail { reason: Reason::Expired, error: None };
        assert_eq!(world.events, [Event::SignedOut(detail)]);
        world.pass(DAY);
        assert_eq!(world.get(), Permit::Anonymous);
        assert_eq!(world.events.len(), 1);
        assert_eq!(world.engine.snapshot(world.now).status, Status::SignedOut);
    }
}

#[test]
fn a_request_notices_that_the_session_ended_before_the_timer_does() {
    let mut world = World::new(options());
    world.set_tokens(response("access-1", None));
    let stamp = world.engine.stamp();
    world.events.clear();
    world.sleep(HOUR);
    assert_eq!(world.get_after(Some(Stamp { generation: 0, ..stamp })), Permit::Over);
    assert_eq!(world.sign_out_reason(), Some(Reason::Expired));
}

#[test]
fn a_token_of_unknown_lifetime_is_used_until_it_is_refused() {
    let mut world = World::new(options());
    world.set_tokens(TokenAnswer { expires_in: Member::Absent, ..response("access-1", Some("refresh-1")) });
    assert_eq!(world.engine.deadline_ms(world.now), None);
    world.pass(365 * DAY);
    assert_eq!(world.get(), Permit::Go);
    assert!(world.started.is_empty());
    let stamp = world.engine.stamp();
    assert!(world.unauthorized(stamp, false));
    assert_eq!(world.started.len(), 1);
}

#[test]
fn tokens_that_arrive_expired_are_renewed_or_end_the_session() {
    let mut world = World::new(options());
    world.set_tokens_aged(response("access-1", Some("refresh-1")), HOUR);
    assert_eq!(world.event_names(), ["signedin"]);
    assert_eq!(world.started.len(), 1);
    assert_eq!(world.get(), Permit::Wait);

    let mut world = World::new(options());
    world.set_tokens_aged(response("access-1", None), HOUR);
    assert_eq!(world.event_names(), ["signedin", "signedout"]);
    assert_eq!(world.get(), Permit::Anonymous);
}

#[test]
fn the_snapshot_says_how_things_are() {
    let mut world = World::new(options());
    let status = |world: &World| world.engine.snapshot(world.now).status;
    assert_eq!(status(&world), Status::SignedOut);
    assert!(!world.engine.snapshot(world.now).can_refresh);
    world.set_tokens(response("access-1", Some("refresh-1")));
    assert_eq!(status(&world), Status::Fresh);
    assert!(world.engine.snapshot(world.now).can_refresh);
    world.set_online(false);
    assert!(!world.engine.snapshot(world.now).online);
    world.pass(280 * SECOND);
    assert_eq!(status(&world), Status::Due);
    world.pass(20 * SECOND);
    assert_eq!(status(&world), Status::Expired);
    assert!(!world.engine.snapshot(world.now).refreshing);
    world.set_online(true);
    assert!(world.engine.snapshot(world.now).refreshing);
    world.sign_out();
    assert_eq!(status(&world), Status::SignedOut);

    let mut world = World::new(callback_options());
    assert!(!world.engine.snapshot(world.now).can_refresh);
    world.set_tokens(response("access-1", None));
    assert!(world.engine.snapshot(world.now).can_refresh);
}

#[test]
fn a_wait_in_a_session_that_just_ended_is_over() {
    let (mut world, _) = World::refreshing(options());
    let stamp = world.engine.stamp();
    world.sign_out();
    for after in [None, Some(stamp)] {
        let waiter = world.wait(after);
        assert_eq!(world.settled_as(waiter), Some(Settled::SignedOut));
    }
    world.set_tokens(response("access-other", Some("refresh-other")));
    let waiter = world.wait(Some(stamp));
    assert_eq!(world.settled_as(waiter), Some(Settled::SignedOut));
}
