//! A session that is looked for after a reload, and how it is renewed from then on.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::*;
use tokenward::engine::Work;
use tokenward::engine::event::{Event, Past, TokenDetail};
use tokenward::engine::failure::{Cause, Exchange};
use tokenward::engine::oauth::response::{Member, TokenAnswer};
use tokenward::engine::session::{Permit, Settled, Stamp, Way};

/// A backend that knows the session, and hidden frames.
fn both_options() -> Options {
    Options { restores_silently: true, ..session_options() }
}

fn ways() -> [(Way, Work); 2] {
    [(Way::Session, session_work("")), (Way::Silent, Work::Silent)]
}

/// Somebody waits for a restore in this way.
fn restoring(way: Way) -> (World, u32) {
    let mut world = World::discovered(both_options());
    let waiter = world.restore(way);
    (world, waiter)
}

/// What is left of a ward that found no session.
fn assert_nothing_came_of(world: &mut World, what: &str) {
    assert!(!world.engine.signed_in(), "{what}");
    assert_eq!(world.events, [], "{what}: nobody was signed in, and nobody is");
    assert_eq!((world.access_token(), world.user()), (None, None), "{what}");
    assert_eq!(world.get(), Permit::Anonymous, "{what}");
    assert_eq!(world.engine.deadline_ms(world.now), None, "{what}: nothing is planned");
    let (started, settled) = (world.started.len(), world.settled.len());
    world.pass(DAY);
    world.set_online(false);
    world.set_online(true);
    assert_eq!((world.started.len(), world.settled.len()), (started, settled), "{what}: it was tried once");
    assert!(world.revoking.is_empty(), "{what}");
}

fn last_outcome(world: &World) -> Past {
    world.engine.snapshot(world.now).outcomes.last().expect("an outcome").clone()
}

#[test]
fn a_session_is_found_in_each_way() {
    for (way, work) in ways() {
        for subject in [Some("user-1"), None] {
            let (mut world, waiter) = restoring(way);
            assert_eq!(world.work(), &work);
            assert_eq!(world.get(), Permit::Anonymous, "requests do not wait for it");
            assert_eq!(world.settled_as(waiter), None);
            let answer = TokenAnswer { identity: subject.map(identity), ..response("access-1", None) };
            world.answer(answered(200, Some(answer)));

            let expires_at = Some((START.wall_ms + 300_000) as f64);
            let detail = TokenDetail { generation: 1, expires_at, scope: None };
            assert_eq!(world.events, [Event::SignedIn(detail)]);
            assert!(matches!(world.settled_as(waiter), Some(Settled::Ready(_))));
            assert_eq!(world.get(), Permit::Go);
            assert_eq!(world.access_token().as_deref(), Some("access-1"));
            assert_eq!(world.user(), subject);
            let accepted = Past { at: world.now.wall_ms as f64, outcome: None, status: Some(200), error: None };
            assert_eq!(last_outcome(&world), accepted);
        }
    }
}

#[test]
fn that_there_is_none_is_told() {
    let message = answered(401, Some(TokenAnswer::default()));
    let mut rows = vec![(Way::Session, answered(401, None)), (Way::Session, message)];
    for error in ["login_required", "interaction_required", "consent_required", "account_selection_required"] {
        rows.push((Way::Silent, Exchange::CallbackRejected(Some(error_response(error)))));
    }
    rows.push((Way::Silent, Exchange::CallbackRejected(Some(error_response("access_denied")))));
    for (way, refused) in ways().iter().flat_map(|(way, _)| [(*way, refused_with("invalid_grant"))]) {
        rows.push((way, refused));
    }
    for (way, exchange) in rows {
        let what = format!("{way:?} {exchange:?}");
        let (mut world, waiter) = restoring(way);
        let (status, error) = (exchange.status(), exchange.error());
        world.answer(exchange);
        assert_eq!(world.settled_as(waiter), Some(Settled::SignedOut), "{what}");
        let past = Past { at: world.now.wall_ms as f64, outcome: Some(Cause::OauthError), status, error };
        assert_eq!(last_outcome(&world), past, "{what}");
        assert_nothing_came_of(&mut world, &what);
    }
}

#[test]
fn a_nonce_that_is_wanted_first_is_given_once() {
    for (way, work) in ways() {
        let (mut world, waiter) = restoring(way);
        world.answer(wants_nonce(400));
        assert_eq!(world.work(), &work, "{way:?}");
        world.answer(wants_nonce(400));
        assert_eq!(world.settled_as(waiter), Some(Settled::Unavailable), "{way:?}");
        assert_eq!(last_outcome(&world).outcome, Some(Cause::OauthError), "{way:?}");
        assert_nothing_came_of(&mut world, "a second nonce");
    }
}

#[test]
fn what_could_not_be_found_out_may_be_asked_again() {
    let unusable = TokenAnswer { access_token: text("not visible"), ..response("", Some("refresh-1")) };
    for (way, work) in ways() {
        for (exchange, cause) in [
            (network_failure(), Cause::Network),
            (Exchange::Failed(Cause::TooLarge), Cause::TooLarge),
            (answered(500, None), Cause::ServerError),
            (answered(502, None), Cause::ServerError),
            (delayed(503, 10_000), Cause::ServerError),
            (answered(429, None), Cause::RateLimited),
            (delayed(429, 10_000), Cause::RateLimited),
            (answered(404, None), Cause::Malformed),
            (answered(403, None), Cause::Malformed),
            (answered(200, None), Cause::Malformed),
            (answered(204, None), Cause::Malformed),
            (answered(200, Some(unusable.clone())), Cause::Malformed),
            (refused_with("temporarily_unavailable"), Cause::ServerError),
            (Exchange::CallbackRejected(None), Cause::Callback),
        ] {
            let what = format!("{way:?} {exchange:?}");
            let (mut world, waiter) = restoring(way);
            world.answer(exchange);
            assert_eq!(world.settled_as(waiter), Some(Settled::Unavailable), "{what}");
            assert_eq!(last_outcome(&world).outcome, Some(cause), "{what}");
            assert_nothing_came_of(&mut world, &what);

            let again = world.restore(way);
            assert_eq!(world.work(), &work, "{what}");
            world.answer(renewed("access-1", None));
            assert!(matches!(world.settled_as(again), Some(Settled::Ready(_))), "{what}");
            assert_eq!(world.engine.stamp(), Stamp { epoch: 0, generation: 1 }, "{what}");
            assert_eq!(world.event_names(), ["signedin"], "{what}");
        }
    }
}

#[test]
fn a_frame_s_401_is_no_backend_s() {
    // By a bare 401 a backend says that it knows no session; from a token endpoint it makes no sense.
    let (mut world, waiter) = restoring(Way::Silent);
    world.answer(answered(401, None));
    assert_eq!(world.settled_as(waiter), Some(Settled::Unavailable));
}

#[test]
fn who_does_not_answer_is_not_waited_for() {
    for (way, _) in ways() {
        let (mut world, waiter) = restoring(way);
        let ticket = world.flight();
        // A clock that is set does not end it.
        world.sleep(DAY);
        world.tick();
        world.pass(15 * SECOND - 1);
        assert_eq!(world.settled_as(waiter), None);
        world.pass(1);
        assert_eq!(world.settled_as(waiter), Some(Settled::Unavailable));
        assert_eq!(world.aborted, [ticket]);
        assert_eq!(last_outcome(&world).outcome, Some(Cause::Timeout));
        world.answer_ticket(ticket, renewed("access-late", Some("refresh-late")));
        assert_nothing_came_of(&mut world, "late");
    }
}

#[test]
fn nothing_is_sent_while_offline() {
    for (way, _) in ways() {
        let mut world = World::discovered(both_options());
        world.set_online(false);
        let waiter = world.restore(way);
        assert_eq!(world.settled_as(waiter), Some(Settled::Unavailable));
        assert!(world.started.is_empty());
        assert_nothing_came_of(&mut world, "offline");
    }
}

#[test]
fn a_token_that_expired_on_its_way_is_no_session() {
    for (way, _) in ways() {
        let (mut world, waiter) = restoring(way);
        world.pass(12 * SECOND);
        let short =
            TokenAnswer { expires_in: Member::Number(10.0), ..identified("access-1", Some("refresh-1"), "user-1") };
        world.answer(answered(200, Some(short)));
        assert_eq!(world.settled_as(waiter), Some(Settled::Unavailable));
        assert_eq!(last_outcome(&world).outcome, Some(Cause::Malformed));
        assert_eq!(world.engine.stamp(), Stamp { epoch: 0, generation: 0 });
        assert_nothing_came_of(&mut world, "expired");
        let again = world.restore(way);
        world.answer(renewed("access-2", None));
        assert!(matches!(world.settled_as(again), Some(Settled::Ready(_))));
        assert_eq!(world.engine.stamp().generation, 1);
        assert_eq!(world.user(), None, "nothing of the last one is left");
    }
}

#[test]
fn signing_out_and_closing_end_it() {
    for (way, _) in ways() {
        for (end, told) in [(World::sign_out as fn(&mut World) -> u32, Settled::SignedOut), (close, Settled::Closed)] {
            let (mut world, waiter) = restoring(way);
            let ticket = world.flight();
            end(&mut world);
            assert_eq!(world.settled_as(waiter), Some(told));
            assert!(world.aborted.contains(&ticket));
            world.answer_ticket(ticket, renewed("access-late", Some("refresh-late")));
            assert!(!world.engine.signed_in());
            assert_eq!(world.events, []);
            assert_eq!(world.settled.len(), 1);
        }
    }
}

fn close(world: &mut World) -> u32 {
    world.close();
    0
}

#[test]
fn tokens_that_come_otherwise_end_it() {
    for (way, _) in ways() {
        for sets in [true, false] {
            let (mut world, waiter) = restoring(way);
            let (ticket, began) = (world.flight(), world.engine.sign_outs());
            if sets {
                world.set_tokens(response("access-1", Some("refresh-1")));
            } else {
                world.sign_in(identified_renewal("access-1", Some("refresh-1"), "user-1"), began).expect("signed in");
            }
            assert!(matches!(world.settled_as(waiter), Some(Settled::Ready(_))));
            assert_eq!(world.aborted, [ticket]);
            assert_eq!(world.event_names(), ["signedin"]);
            world.answer_ticket(ticket, identified_renewal("access-late", None, "user-2"));
            assert_eq!(world.access_token().as_deref(), Some("access-1"));
            assert_eq!(world.event_names(), [""; 0]);
            assert_eq!(world.settled.len(), 1);
        }
    }
}

#[test]
fn who_is_signed_in_looks_for_nothing() {
    let mut world = World::signed_in_as(both_options(), "user-1", true);
    for (way, _) in ways() {
        let waiter = world.restore(way);
        assert!(matches!(world.settled_as(waiter), Some(Settled::Ready(_))));
    }
    assert!(world.started.is_empty());
    assert_eq!(world.events, []);
}

#[test]
fn many_share_one() {
    let (mut world, first) = restoring(Way::Session);
    let waiters: Vec<_> = (0..10).map(|_| world.restore(Way::Session)).collect();
    world.cancel(waiters[0]);
    world.answer(renewed("access-1", None));
    assert_eq!(world.started.len(), 1);
    assert_eq!(world.settled_as(waiters[0]), None, "it gave up");
    for waiter in waiters[1..].iter().chain([&first]) {
        assert!(matches!(world.settled_as(*waiter), Some(Settled::Ready(_))));
    }
    assert_eq!(world.event_names(), ["signedin"]);
}

#[test]
fn whoever_gave_up_is_signed_in_all_the_same() {
    let (mut world, waiter) = restoring(Way::Session);
    world.cancel(waiter);
    world.answer(renewed("access-1", None));
    assert_eq!(world.settled, []);
    assert_eq!(world.event_names(), ["signedin"]);
}

#[test]
fn one_way_after_the_other() {
    let mut world = World::discovered(both_options());
    let first = world.restore(Way::Session);
    world.answer(answered(401, None));
    assert_eq!(world.settled_as(first), Some(Settled::SignedOut));
    let second = world.restore(Way::Silent);
    assert_eq!(world.work(), &Work::Silent);
    world.answer(identified_renewal("access-1", None, "user-1"));
    assert!(matches!(world.settled_as(second), Some(Settled::Ready(_))));
    let causes: Vec<_> = world.engine.snapshot(world.now).outcomes.into_iter().map(|past| past.outcome).collect();
    assert_eq!(causes, [Some(Cause::OauthError), None]);
}

#[test]
fn a_way_that_takes_tokens_takes_nothing_without() {
    let mut world = World::discovered(both_options());
    let waiter = world.restore(Way::RefreshToken);
    assert_eq!(world.settled_as(waiter), Some(Settled::Unavailable));
    assert_nothing_came_of(&mut world, "no refresh token");
}
