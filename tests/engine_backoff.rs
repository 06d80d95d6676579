//! How long a failed refresh waits for its repetition: back-off, `Retry-After`, offline, and an outage's end.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::*;
use proptest::prelude::*;
use tokenward::engine::event::{Event, FailureDetail, Reason, Why};
use tokenward::engine::oauth::response::{Member, TokenAnswer};
use tokenward::engine::schedule::{Moment, Rng, backoff_ms, retry_after_ms};
use tokenward::engine::session::{Permit, Settled};

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn a_back_off_keeps_its_bounds(attempt: u32, waiting: bool, seed: u64) {
        let (first, last) = if waiting { (SECOND, 10 * SECOND) } else { (8 * SECOND, 5 * MINUTE) };
        let ceiling = first.saturating_mul(1 << attempt.saturating_sub(1).min(30)).min(last);
        let ms = backoff_ms(attempt, waiting, &mut Rng::new(seed));
        prop_assert!((250..=ceiling).contains(&ms), "{} of {}", ms, ceiling);
    }

    #[test]
    fn retry_after_in_seconds(seconds: u64, date: f64, server: f64) {
        let expected = seconds.saturating_mul(1_000).min(10 * MINUTE);
        prop_assert_eq!(retry_after_ms(&seconds.to_string(), date, server, START), Some(expected));
    }

    #[test]
    fn retry_after_is_never_longer_than_the_cap(value: String, date: f64, server: f64, wall: u64, mono: u64) {
        let now = Moment { wall_ms: wall, mono_ms: mono };
        prop_assert!(retry_after_ms(&value, date, server, now).is_none_or(|ms| ms <= 10 * MINUTE));
    }
}

#[test]
fn a_back_off_is_spread_over_all_of_its_range() {
    for (attempt, waiting, ceiling) in [(5, true, 10_000), (4, false, 64_000), (9, true, 10_000), (30, false, 300_000)]
    {
        let waits: Vec<_> = (0..1_000).map(|seed| backoff_ms(attempt, waiting, &mut Rng::new(seed))).collect();
        for quarter in 0..4 {
            let from = quarter * ceiling / 4;
            let within = waits.iter().filter(|&&ms| (from..=from + ceiling / 4).contains(&ms)).count();
            assert!((180..330).contains(&within), "attempt {attempt}: {within} of 1,000 in quarter {quarter}");
        }
    }
}

#[test]
fn retry_after_as_servers_send_it() {
    let now_ms = START.wall_ms as f64;
    let none = f64::NAN;
    let rows = [
        ("3", none, Some(3_000)),
        ("0", none, Some(0)),
        (" 120 ", none, Some(120_000)),
        ("600", none, Some(600_000)),
        ("601", none, Some(600_000)),
        ("99999999999999999999999", none, Some(600_000)),
        // Chromium reads "3" as a date too.
        ("3", 983_404_800_000.0, Some(3_000)),
        ("Wed, 21 Oct 2026 07:28:00 GMT", now_ms + 5_000.0, Some(5_000)),
        ("Wed, 21 Oct 2015 07:28:00 GMT", now_ms - 5_000.0, None),
        // Chromium reads "3.5" as a date of 2001.
        ("3.5", 983_404_800_000.0, None),
        ("Wed, 21 Oct 2099 07:28:00 GMT", now_ms + 1e12, Some(600_000)),
        ("", none, None),
        ("-3", none, None),
        ("3.5", none, None),
        ("soon", none, None),
        ("٣", none, None),
    ];
    for (value, date_ms, expected) in rows {
        assert_eq!(retry_after_ms(value, date_ms, none, START), expected, "{value:?} {date_ms}");
    }
}

#[test]
fn a_date_is_read_by_the_server_s_clock_where_that_can_be_seen() {
    let (server_ms, hidden) = (START.wall_ms as f64, f64::NAN);
    let ask = |client_ms: u64, in_ms: f64, seen_ms: f64| {
        let now = Moment { wall_ms: client_ms, ..START };
        retry_after_ms("Wed, 21 Oct 2026 07:28:00 GMT", server_ms + in_ms, seen_ms, now)
    };
    for client_ms in [START.wall_ms, START.wall_ms + 3 * HOUR, START.wall_ms - 3 * HOUR, 0, u64::MAX] {
        assert_eq!(ask(client_ms, 5_000.0, server_ms), Some(5_000), "{client_ms}");
        assert_eq!(ask(client_ms, 7_200_000.0, server_ms), Some(600_000), "{client_ms}");
        for past in [0.0, -5_000.0, -7_200_000.0] {
            assert_eq!(ask(client_ms, past, server_ms), None, "{client_ms}");
        }
    }
    // Our own has to do.
    assert_eq!(ask(START.wall_ms, 5_000.0, hidden), Some(5_000));
    assert_eq!(ask(START.wall_ms + 3 * HOUR, 5_000.0, hidden), None);
    assert_eq!(ask(START.wall_ms - 3 * HOUR, 5_000.0, hidden), Some(600_000));
}

/// Nobody waits, and the first refresh has failed.
fn failing(seed: u64) -> World {
    let mut world = World::seeded(options(), seed);
    world.set_tokens(response("access-1", Some("refresh-1")));
    let waiter = world.renew().expect("a refresh token");
    world.cancel(waiter);
    world.events.clear();
    world.answer(network_failure());
    world
}

fn failure_of(event: &Event) -> &FailureDetail {
    match event {
        Event::RefreshDelayed(detail) | Event::RefreshFailed(detail) => detail,
        other => panic!("{other:?}"),
    }
}

#[test]
fn failures_in_a_row_are_tried_again_less_and_less_often() {
    let mut longest = [0; 12];
    for seed in 0..60 {
        let mut world = failing(seed);
        for (failures, longest) in longest.iter_mut().enumerate() {
            let detail = failure_of(&world.events[0]).clone();
            assert_eq!(detail.attempt as usize, failures + 1);
            assert!(detail.retryable);
            let after = world.pass_until_refresh(HOUR).expect("another try");
            assert_eq!(detail.retry_at, Some(world.now.wall_ms as f64), "as the event said");
            let ceiling = ((8 * SECOND) << failures).min(5 * MINUTE);
            assert!((250..=ceiling).contains(&after), "{after} after failure {failures}");
            *longest = after.max(*longest);
            world.events.clear();
            world.answer(network_failure());
        }
    }
    assert!(longest.windows(2).take(5).all(|pair| pair[0] < pair[1]), "{longest:?}");
}

#[test]
fn who_waits_is_not_kept_for_long() {
    for seed in 0..20 {
        let mut world = World::seeded(Options { wait_s: Some(600.0), ..options() }, seed);
        world.set_tokens(response("access-1", Some("refresh-1")));
        world.sleep(HOUR);
        world.must_wait(None);
        for _ in 0..12 {
            world.answer(network_failure());
            let after = world.pass_until_refresh(HOUR).expect("another try");
            assert!(after <= 10 * SECOND, "{after}");
        }
    }
}

#[test]
fn who_comes_to_wait_shortens_a_long_back_off() {
    let mut shortened = 0;
    for seed in 0..20 {
        let mut world = failing(seed);
        for _ in 0..10 {
            world.pass_until_refresh(HOUR).expect("another try");
            world.answer(network_failure());
        }
        let begun = world.started.len();
        world.pass(10 * SECOND);
        if world.started.len() == begun {
            world.renew();
            assert_eq!(world.started.len(), begun + 1, "one who waits would not have waited longer than this");
            shortened += 1;
        }
    }
    assert!(shortened > 10, "{shortened}");
}

#[test]
fn no_request_hurries_a_back_off() {
    let (mut world, _) = World::refreshing(options());
    world.answer(network_failure());
    let next = world.engine.snapshot(world.now).next_refresh.expect("another try");
    assert_eq!(next.why, Why::Retry);
    world.started.clear();
    while ((world.now.wall_ms + 10) as f64) < next.at {
        world.now = world.now.plus(10);
        world.must_wait(None);
        assert!(world.started.is_empty());
    }
    world.pass(10);
    assert_eq!(world.started.len(), 1);
}

#[test]
fn no_request_hurries_a_retry_after() {
    for status in [429, 503] {
        let (mut world, waiter) = World::refreshing(options());
        world.answer(delayed(status, 3_000));
        world.started.clear();
        assert!(matches!(world.events[..], [Event::RefreshDelayed(_)]), "{:?}", world.events);
        let next = world.engine.snapshot(world.now).next_refresh.expect("another try");
        assert_eq!(next.why, Why::RetryAfter);
        for _ in 0..2_999 {
            world.now = world.now.plus(1);
            world.must_wait(None);
            world.renew();
            world.tick();
            world.set_online(true);
        }
        assert_eq!(world.started.len(), 0, "{status}");
        assert!(world.pass_until_refresh(1_001).is_some(), "{status}: and not later than a second after");
        world.answer(renewed("access-2", None));
        assert!(matches!(world.settled_as(waiter), Some(Settled::Ready(_))));
    }
}

#[test]
fn a_server_that_asks_for_no_pause_gets_one() {
    let mut world = World::signed_in(options());
    world.renew();
    world.started.clear();
    world.live(HOUR, None, || delayed(503, 0));
    assert!(world.started.len() < 60, "{} in an hour", world.started.len());
}

#[test]
fn a_wake_up_is_not_the_return_of_the_network() {
    let (mut world, _) = World::refreshing(options());
    world.answer(network_failure());
    world.started.clear();
    for _ in 0..1_000 {
        world.set_online(true);
    }
    assert_eq!(world.started.len(), 0);
}

#[test]
fn clients_that_were_told_the_same_come_back_apart() {
    let comes_back = |seed| {
        let mut world = World::seeded(options(), seed);
        world.set_tokens(response("access-1", Some("refresh-1")));
        world.renew();
        world.answer(delayed(429, 20_000));
        world.pass_until_refresh(HOUR).expect("another try")
    };
    let mut times: Vec<_> = (0..100).map(comes_back).collect();
    assert!(times.iter().all(|ms| (20_000..=21_000).contains(ms)), "{times:?}");
    times.sort_unstable();
    times.dedup();
    assert!(times.len() > 80, "{} different times", times.len());
}

#[test]
fn nothing_starts_while_offline() {
    let mut world = World::signed_in(options());
    world.set_online(false);
    let stamp = world.engine.stamp();
    world.renew();
    world.unauthorized(stamp, false);
    world.pass(DAY);
    assert_eq!(world.get(), Permit::Wait);
    world.wait(None);
    world.pass(SECOND);
    assert!(world.started.is_empty());
    assert_eq!(world.events, [], "being offline is no failure");
    world.set_online(true);
    assert_eq!(world.started.len(), 1);
}

#[test]
fn what_was_asked_for_offline_is_done_online() {
    let seconds = |seconds| TokenAnswer { expires_in: Member::Number(seconds), ..response("access", Some("refresh")) };
    // A good token, a newer one wanted; and one that lives too briefly for a plan, expired.
    for (lifetime_s, wants_newer) in [(300.0, true), (4.0, false)] {
        let mut world = World::new(options());
        world.set_tokens(seconds(lifetime_s));
        world.set_online(false);
        if wants_newer {
            world.renew();
        } else {
            world.pass(4 * SECOND);
            world.must_wait(None);
        }
        assert!(world.started.is_empty());
        let next = world.engine.snapshot(world.now).next_refresh.expect("wanted");
        assert_eq!((next.why, next.at), (Why::RequestsWaiting, world.now.wall_ms as f64));
        world.set_online(true);
        assert_eq!(world.started.len(), 1, "{lifetime_s}");
    }
}

#[test]
fn a_failure_while_offline_has_no_time_for_the_next_try() {
    let (mut world, _) = World::refreshing(options());
    world.set_online(false);
    world.answer(network_failure());
    let detail = failure_of(&world.events[0]);
    assert!(detail.retryable);
    assert_eq!(detail.retry_at, None);
    world.pass(20 * SECOND);
    assert_eq!(world.started.len(), 1);
    world.set_online(true);
    assert_eq!(world.started.len(), 2, "at once");
}

#[test]
fn back_online_does_not_mean_before_the_server_wants_it() {
    let (mut world, _) = World::refreshing(options());
    world.answer(delayed(503, 20_000));
    world.set_online(false);
    world.pass(5 * SECOND);
    world.set_online(true);
    world.started.clear();
    world.pass(15 * SECOND - 1);
    assert_eq!(world.started.len(), 0);
    assert!(world.pass_until_refresh(1_001).is_some());
}

#[test]
fn a_timeout_is_on_the_monotonic_clock() {
    let (mut world, _) = World::refreshing(Options { request_timeout_s: Some(7.0), ..options() });
    let ticket = world.flight();
    world.sleep(DAY);
    world.tick();
    assert_eq!(world.aborted, []);
    world.pass(7 * SECOND - 1);
    assert_eq!(world.aborted, []);
    world.pass(1);
    assert_eq!(world.aborted, [ticket]);
    assert_eq!(world.event_names(), ["refreshfailed"]);
}

#[test]
fn an_outage_ends_a_session_only_where_the_app_says_so() {
    let (mut world, _) = World::refreshing(options());
    world.live(30 * DAY, None, network_failure);
    assert!(world.engine.signed_in());
    assert_eq!(world.sign_out_reason(), None);

    for seed in 0..50 {
        let mut world = World::seeded(Options { max_outage_s: Some(90.0), ..options() }, seed);
        world.set_tokens(response("access-1", Some("refresh-1")));
        world.renew();
        let begun = world.now;
        while world.engine.signed_in() {
            world.answer(answered(500, Some(error_response("server_error"))));
            if world.engine.signed_in() {
                world.pass_until_refresh(HOUR).expect("another try");
            }
        }
        assert_eq!(begun.elapsed_ms(world.now), 90 * SECOND, "with a last try at its end");
        assert_eq!(world.sign_out_reason(), Some(Reason::Outage));
        let Some(Event::SignedOut(detail)) = world.events.last() else { panic!("{:?}", world.events) };
        assert_eq!(detail.error.as_deref(), Some("server_error"));
        let [.., failure, _] = &world.events[..] else { panic!("{:?}", world.events) };
        assert!(!failure_of(failure).retryable);
        assert_eq!(failure_of(failure).retry_at, None);
        assert_eq!(world.access_token(), None);
    }
}

#[test]
fn an_outage_of_a_server_that_never_answers_ends_a_session_too() {
    let mut world = World::signed_in(Options { max_outage_s: Some(3_600.0), ..options() });
    world.renew();
    world.pass(HOUR);
    assert_eq!(world.sign_out_reason(), None, "the first failure was a time limit later");
    world.pass(MINUTE);
    assert_eq!(world.sign_out_reason(), Some(Reason::Outage));
}

#[test]
fn an_outage_counts_from_the_first_failure_after_a_success() {
    let mut world = World::signed_in(Options { max_outage_s: Some(90.0), ..options() });
    for _ in 0..5 {
        world.renew();
        let begun = world.now;
        while begun.elapsed_ms(world.now) < MINUTE {
            world.answer(network_failure());
            world.pass_until_refresh(HOUR).expect("another try");
        }
        world.answer(renewed("access", None));
        assert!(world.engine.signed_in());
    }
}
