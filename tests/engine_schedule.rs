//! When the next refresh comes: lifetimes, lead time, two clocks, and no storm.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::*;
use proptest::prelude::*;
use tokenward::engine::event::Why;
use tokenward::engine::oauth::response::{Member, TokenAnswer};
use tokenward::engine::schedule::{Moment, Rng, margin_ms, refresh_after_ms};
use tokenward::engine::session::Permit;
use tokenward::engine::token::JwtTimes;

const YEAR: u64 = 365 * DAY;

fn lifetimes() -> impl Strategy<Value = u64> {
    prop_oneof![SECOND..MINUTE, MINUTE..HOUR, HOUR..30 * DAY, 30 * DAY..10 * YEAR]
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn a_refresh_is_planned_well_before_expiry(lifetime in lifetimes(), seed: u64) {
        let lead = (lifetime / 10).max(30 * SECOND).min(lifetime / 4);
        match refresh_after_ms(lifetime, None, &mut Rng::new(seed)) {
            Some(after) => {
                prop_assert!(after >= 5 * SECOND);
                prop_assert!(after < lifetime - margin_ms(lifetime));
                prop_assert!(after <= lifetime - lead);
                prop_assert!(after >= lifetime - lead - lifetime / 5);
            }
            None => prop_assert!(lifetime - lead - lifetime / 5 < 5 * SECOND, "long enough to plan for"),
        }
    }

    #[test]
    fn the_server_s_wish_is_met_within_the_lifetime(lifetime in lifetimes(), asked in lifetimes(), seed: u64) {
        let latest = lifetime - (lifetime / 10).max(30 * SECOND).min(lifetime / 4);
        if let Some(after) = refresh_after_ms(lifetime, Some(asked), &mut Rng::new(seed)) {
            prop_assert!(after >= asked.min(latest));
            prop_assert!(after <= latest.min(asked + lifetime / 5));
        } else {
            prop_assert!(asked.min(latest) < 5 * SECOND);
        }
    }

    #[test]
    fn the_margin_is_a_tenth_and_at_most_five_seconds(lifetime in lifetimes()) {
        prop_assert_eq!(margin_ms(lifetime), (lifetime / 10).min(5 * SECOND));
    }

    #[test]
    fn random_numbers_keep_their_bound(seed: u64, max: u64) {
        let mut rng = Rng::new(seed);
        for max in [max, 0, 1, u64::MAX] {
            prop_assert!(rng.up_to(max) <= max);
        }
    }

    #[test]
    fn no_clock_makes_a_deadline_fail(clocks in prop::collection::vec((any::<u64>(), any::<u64>()), 1..8), seed: u64) {
        let mut world = World::seeded(options(), seed);
        let mut mono = 0;
        for (index, (wall, step)) in clocks.into_iter().enumerate() {
            mono = step.max(mono);
            world.now = Moment { wall_ms: wall, mono_ms: mono };
            match index % 3 {
                0 => world.set_tokens(response("access", Some("refresh"))),
                1 => {
                    world.renew();
                }
                _ => world.set_online(true),
            }
            world.tick();
            // What is due now has been done, so that a timer never fires without end.
            prop_assert_ne!(world.engine.deadline_ms(world.now), Some(0));
            prop_assert!(world.engine.snapshot(world.now).next_refresh.is_none_or(|next| next.at.is_finite()));
        }
    }

    #[test]
    fn a_moment_has_come_when_either_clock_says_so(wall: u64, mono: u64, now_wall: u64, now_mono: u64) {
        let moment = Moment { wall_ms: wall, mono_ms: mono };
        let now = Moment { wall_ms: now_wall, mono_ms: now_mono };
        prop_assert_eq!(moment.reached(now), now_wall >= wall || now_mono >= mono);
        prop_assert_eq!(moment.remaining_ms(now) == 0, moment.reached(now));
        prop_assert_eq!(moment.elapsed_ms(now), now_wall.saturating_sub(wall).max(now_mono.saturating_sub(mono)));
    }
}

#[test]
fn jitter_spreads_clients_that_signed_in_together() {
    let after = |seed| refresh_after_ms(HOUR, None, &mut Rng::new(seed)).expect("an hour is planned for");
    let (latest, earliest) = (54 * MINUTE, 42 * MINUTE);
    let times: Vec<_> = (0..1_000).map(after).collect();
    for tenth in 0..10 {
        let from = earliest + tenth * (latest - earliest) / 10;
        let within = times.iter().filter(|time| (from..from + (latest - earliest) / 10).contains(time)).count();
        assert!((50..200).contains(&within), "{within} of 1,000 in tenth {tenth}");
    }
}

#[test]
fn the_random_numbers_are_splitmix64_s() {
    let mut rng = Rng::new(1_234_567);
    let known = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
    assert_eq!([(); 3].map(|()| rng.up_to(u64::MAX)), known);
}

#[test]
fn the_same_seed_gives_the_same_numbers_and_another_others() {
    let numbers = |seed| {
        let mut rng = Rng::new(seed);
        [(); 8].map(|()| rng.up_to(u64::MAX - 1))
    };
    assert_eq!(numbers(7), numbers(7));
    assert_ne!(numbers(7), numbers(8));
}

#[test]
fn a_token_expires_with_the_first_clock_that_says_so() {
    let rows: [(&str, i64, u64, Permit); 8] = [
        ("nothing happened", 0, 0, Permit::Go),
        ("the monotonic clock, while the wall clock was set back", -10_000_000, 296_000, Permit::Wait),
        ("the monotonic clock, while the wall clock stood", 0, 296_000, Permit::Wait),
        ("the wall clock, while the machine slept", 296_000, 0, Permit::Wait),
        ("the wall clock, set forward", 10_000_000, 1_000, Permit::Wait),
        ("neither yet, the wall clock set back", -10_000_000, 294_999, Permit::Go),
        ("neither yet", 294_999, 294_999, Permit::Go),
        ("both", 295_000, 295_000, Permit::Wait),
    ];
    for (what, wall, mono, expected) in rows {
        let mut world = World::signed_in(options());
        world.now.wall_ms = world.now.wall_ms.saturating_add_signed(wall);
        world.now.mono_ms += mono;
        assert_eq!(world.get(), expected, "{what}");
    }
}

#[test]
fn a_clock_that_jumps_costs_one_refresh() {
    for jump in [-(YEAR as i64), -(HOUR as i64), HOUR as i64, YEAR as i64] {
        let mut world = World::signed_in(options());
        world.pass(MINUTE);
        world.now.wall_ms = world.now.wall_ms.saturating_add_signed(jump);
        world.tick();
        assert_eq!(world.started.len(), usize::from(jump > 0), "{jump}");
        world.live(4 * MINUTE, Some(SECOND), || renewed("access", None));
        assert_eq!(world.started.len(), if jump > 0 { 2 } else { 1 }, "{jump}");
    }
}

#[test]
fn a_lifetime_counts_from_when_the_request_was_sent() {
    let (mut world, _) = World::refreshing(options());
    let sent = world.now;
    world.pass(10 * SECOND);
    world.answer(renewed("access-2", None));
    let expires_at = (sent.wall_ms + 300 * SECOND) as f64;
    assert_eq!(world.engine.snapshot(world.now).expires_at, Some(expires_at));
    world.set_online(false);
    world.now = sent.plus(295 * SECOND - 1);
    assert_eq!(world.get(), Permit::Go);
    world.now = sent.plus(295 * SECOND);
    assert_eq!(world.get(), Permit::Wait);
}

#[test]
fn an_idle_page_is_woken_once_a_lifetime() {
    let mut world = World::signed_in(options());
    for _ in 0..20 {
        let after = world.pass_until_refresh(HOUR).expect("a planned refresh");
        assert!((210 * SECOND..=270 * SECOND).contains(&after), "{after}");
        world.answer(renewed("access", None));
    }
    let next = world.engine.snapshot(world.now).next_refresh.expect("a planned refresh");
    assert_eq!(next.why, Why::Schedule);
    assert_eq!(world.engine.deadline_ms(world.now), Some((next.at as u64) - world.now.wall_ms));
}

#[test]
fn the_server_s_wish_is_the_plan() {
    let mut world = World::new(options());
    world.set_tokens(TokenAnswer {
        expires_in: Member::Number(86_400.0),
        refresh_in: Member::Text(tokenward::engine::token::Secret::new("3600".into())),
        ..response("access-1", Some("refresh-1"))
    });
    let next = world.engine.snapshot(world.now).next_refresh.expect("a planned refresh");
    assert_eq!(next.why, Why::ServerRequest);
    let after = next.at as u64 - START.wall_ms;
    assert!((HOUR..=HOUR + DAY / 5).contains(&after), "{after}");
}

#[test]
fn no_request_waits_or_goes_expired_while_renewals_succeed() {
    let tokens_of_thirty_seconds = || with_lifetime(number(30.0));
    let mut world = World::new(options());
    world.set_tokens(tokens_of_thirty_seconds());
    let mut sent = world.now;
    for _ in 0..3_000 {
        world.pass(100);
        if let [(ticket, _)] = world.running[..]
            && world.started[world.started.len() - 1].elapsed_ms(world.now) >= 800
        {
            sent = world.started[world.started.len() - 1];
            world.answer_ticket(ticket, answered(200, Some(tokens_of_thirty_seconds())));
        }
        assert_eq!(world.get(), Permit::Go);
        assert!(sent.elapsed_ms(world.now) < 27 * SECOND, "in the last moments of its life");
    }
    assert!((13..=18).contains(&world.started.len()), "{} refreshes in five minutes", world.started.len());
}

fn number(seconds: f64) -> Member {
    Member::Number(seconds)
}

fn with_lifetime(expires_in: Member) -> TokenAnswer {
    TokenAnswer { expires_in, ..response("access", Some("refresh")) }
}

fn with_jwt(expires_at_s: Option<f64>, issued_at_s: Option<f64>) -> TokenAnswer {
    TokenAnswer { jwt: JwtTimes { expires_at_s, issued_at_s }, ..with_lifetime(Member::Absent) }
}

#[test]
fn expires_in_is_read_as_servers_send_it() {
    let now_s = START.wall_ms as f64 / 1000.0;
    let ten_years = 315_360_000_000;
    let rows: [(&str, TokenAnswer, Option<u64>); 22] = [
        ("30 days", with_lifetime(number(2_592_000.0)), Some(30 * DAY)),
        ("one second", with_lifetime(number(1.0)), Some(SECOND)),
        ("a fraction", with_lifetime(number(1.5)), Some(1_500)),
        ("a string", with_lifetime(text("3600")), Some(HOUR)),
        ("a string with a fraction", with_lifetime(text("3600.0")), Some(HOUR)),
        ("a string with space", with_lifetime(text(" 3600 ")), Some(HOUR)),
        ("huge", with_lifetime(number(1e300)), Some(ten_years)),
        ("infinite", with_lifetime(number(f64::INFINITY)), Some(ten_years)),
        ("missing", with_lifetime(Member::Absent), None),
        ("zero", with_lifetime(number(0.0)), None),
        ("a zero string", with_lifetime(text("0")), None),
        ("negative", with_lifetime(number(-1.0)), None),
        ("a negative string", with_lifetime(text("-3600")), None),
        ("not a number", with_lifetime(number(f64::NAN)), None),
        ("words", with_lifetime(text("soon")), None),
        ("an empty string", with_lifetime(text("")), None),
        ("an object", with_lifetime(Member::Other), None),
        ("a JWT with both times", with_jwt(Some(1_000_600.0), Some(1_000_000.0)), Some(10 * MINUTE)),
        ("a JWT without iat", with_jwt(Some(now_s + 600.0), None), Some(10 * MINUTE)),
        ("a JWT without exp", with_jwt(None, Some(now_s)), None),
        ("a JWT that expired before it was issued", with_jwt(Some(now_s - 1.0), Some(now_s)), None),
        (
            "both, and they differ",
            TokenAnswer { expires_in: number(60.0), ..with_jwt(Some(now_s + 600.0), Some(now_s)) },
            Some(MINUTE),
        ),
    ];
    for (what, response, lifetime) in rows {
        let mut world = World::new(options());
        world.set_tokens(response);
        let expires_at = world.engine.snapshot(world.now).expires_at;
        assert_eq!(expires_at, lifetime.map(|ms| (START.wall_ms + ms) as f64), "{what}");
    }
}

#[test]
fn a_server_whose_clock_is_wrong_is_understood() {
    for skew_s in [-86_400.0, -600.0, 0.0, 600.0, 86_400.0] {
        let server_s = START.wall_ms as f64 / 1000.0 + skew_s;
        let mut world = World::new(options());
        world.set_tokens(with_jwt(Some(server_s + 300.0), Some(server_s)));
        world.set_online(false);
        world.pass(295 * SECOND - 1);
        assert_eq!(world.get(), Permit::Go, "{skew_s}");
        world.pass(1);
        assert_eq!(world.get(), Permit::Wait, "{skew_s}");
    }
}

/// Refreshes in ten minutes with a server that answers at once and always alike.
fn refreshes_in_ten_minutes(response: &TokenAnswer, request_ms: Option<u64>) -> usize {
    let mut world = World::new(options());
    world.set_tokens(response.clone());
    world.live(10 * MINUTE, request_ms, || answered(200, Some(response.clone())));
    assert!(world.engine.signed_in());
    world.started.len()
}

#[test]
fn no_lifetime_makes_a_storm() {
    // A busy page asks every 100 ms; at most one refresh in the part of a lifetime that a token is used for.
    let rows: [(&str, TokenAnswer, usize, usize); 14] = [
        ("30 days", with_lifetime(number(2_592_000.0)), 0, 0),
        ("missing", with_lifetime(Member::Absent), 0, 0),
        ("a string", with_lifetime(text("3600.0")), 0, 0),
        ("zero", with_lifetime(number(0.0)), 0, 0),
        ("negative", with_lifetime(number(-1.0)), 0, 0),
        ("not a number", with_lifetime(number(f64::NAN)), 0, 0),
        ("huge", with_lifetime(number(1e300)), 0, 0),
        ("one second", with_lifetime(number(1.0)), 667, 0),
        ("two seconds", with_lifetime(number(2.0)), 334, 0),
        ("six seconds", with_lifetime(number(6.0)), 112, 0),
        ("ten seconds", with_lifetime(number(10.0)), 110, 110),
        ("thirty seconds", with_lifetime(number(30.0)), 37, 37),
        ("five minutes", with_lifetime(number(300.0)), 2, 2),
        ("a JWT of ten seconds", with_jwt(Some(10.0), Some(0.0)), 110, 110),
    ];
    for (what, response, busy, idle) in rows {
        let refreshes = refreshes_in_ten_minutes(&response, Some(100));
        assert!(refreshes <= busy, "{what}, busy: {refreshes}");
        assert!(busy == 0 || refreshes * 3 >= busy, "{what}, busy: {refreshes}, a bound that says nothing");
        let refreshes = refreshes_in_ten_minutes(&response, None);
        assert!(refreshes <= idle, "{what}, idle: {refreshes}");
    }
}

#[test]
fn a_short_wish_of_the_server_makes_no_storm() {
    for asked in [1.0, 5.0, 60.0] {
        let response = TokenAnswer { refresh_in: number(asked), ..with_lifetime(number(3_600.0)) };
        assert!(refreshes_in_ten_minutes(&response, Some(100)) <= 120, "{asked}");
    }
}

#[test]
fn tokens_that_arrive_expired_make_no_storm() {
    let mut world = World::new(options());
    world.set_tokens(with_lifetime(number(60.0)));
    let mut refreshes = 0;
    for _ in 0..600 {
        world.pass(SECOND);
        world.get();
        if let [(ticket, _)] = world.running[..] {
            refreshes += 1;
            // An answer that took as long as its token lives.
            world.sleep(60 * SECOND);
            world.answer_ticket(ticket, answered(200, Some(with_lifetime(number(60.0)))));
        }
    }
    assert!((5..=130).contains(&refreshes), "{refreshes}");
    assert!(world.engine.signed_in());
}
