//! What a tab asks the backend for when it has the lock, and what the tabs tell one another.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::*;
use tokenward::engine::event::Reason;
use tokenward::engine::oauth::response::{Member, TokenAnswer};
use tokenward::engine::session::{Settled, WaiterId};
use tokenward::engine::tabs::Signal::{Locked, Refreshed, SignedIn, SignedOut};

/// It gets the lock and asks the backend for this.
fn asks(world: &mut World, body: &str) {
    world.queued();
    world.grant();
    assert_eq!(world.work(), &session_work(body));
}

/// Its token of this version expired; another tab may have said since that it has a newer one.
fn renewing(version: Option<&str>, heard: bool) -> (World, WaiterId) {
    let (mut world, waiter) = World::queued_at_backend(version);
    if heard {
        world.hear(Refreshed);
    }
    (world, waiter)
}

/// The token it has expires, and a newer one is wanted.
fn expire(world: &mut World) -> WaiterId {
    world.sleep(10 * MINUTE);
    world.must_wait(None)
}

#[test]
fn whoever_has_no_token_asks_for_any() {
    for heard in [false, true] {
        let (mut world, waiter) = World::queued_to_restore();
        if heard {
            world.hear(Refreshed);
        }
        asks(&mut world, "");
        world.answer(versioned("access-1", Some("v1")));
        assert!(matches!(world.settled_as(waiter), Some(Settled::Ready(_))));
        assert_eq!(world.signals, [Locked, Refreshed, SignedIn], "a backend may have renewed for it");
    }
}

#[test]
fn whoever_knows_the_version_asks_for_a_newer_one() {
    for heard in [false, true] {
        let (mut world, waiter) = renewing(Some("v 1/é&"), heard);
        asks(&mut world, "after=v+1%2F%C3%A9%26");
        // The backend knows best: this is the newer one, whatever it looks like.
        world.answer(versioned("access-1", Some("v2")));
        assert!(matches!(world.settled_as(waiter), Some(Settled::Ready(_))));
        assert_eq!(world.signals, [Locked, Refreshed]);
        expire(&mut world);
        asks(&mut world, "after=v2");
    }
}

#[test]
fn a_version_is_of_one_token() {
    let (mut world, _) = renewing(Some("v1"), false);
    asks(&mut world, "after=v1");
    world.answer(versioned("access-2", None));
    expire(&mut world);
    asks(&mut world, "after=");
    world.answer(versioned("access-3", Some("")));
    expire(&mut world);
    asks(&mut world, "after=");
}

#[test]
fn a_version_is_a_text() {
    for version in [Member::Number(1.0), Member::True, Member::List(vec!["v1".into()]), Member::Other, Member::Absent] {
        let answer = TokenAnswer { version, ..response("access-2", None) };
        assert_eq!(answer.read().expect("a token response").version, None, "{answer:?}");
        let (mut world, waiter) = renewing(Some("v1"), false);
        world.grant();
        world.answer(answered(200, Some(answer)));
        assert!(matches!(world.settled_as(waiter), Some(Settled::Ready(_))), "the token counts all the same");
        expire(&mut world);
        asks(&mut world, "after=");
    }
}

#[test]
fn without_versions_what_another_tab_got_is_read() {
    let (mut world, _) = renewing(None, false);
    asks(&mut world, "after=");
    world.answer(versioned("access-2", None));
    assert_eq!(world.signals, [Locked, Refreshed]);
    world.signals.clear();

    let waiter = expire(&mut world);
    world.hear(Refreshed);
    asks(&mut world, "");
    world.answer(versioned("access-3", None));
    assert!(matches!(world.settled_as(waiter), Some(Settled::Ready(_))));
    assert_eq!(world.signals, [Locked], "that was no news to the others");

    // It was told once.
    expire(&mut world);
    asks(&mut world, "after=");
}

#[test]
fn what_was_told_before_it_queued_counts() {
    let mut world = World::at_backend(None);
    world.hear(Refreshed);
    world.pass(MINUTE);
    expire(&mut world);
    asks(&mut world, "");
}

#[test]
fn a_read_that_finds_the_same_token_is_followed_by_one_request() {
    let (mut world, waiter) = renewing(None, true);
    asks(&mut world, "");
    let read = world.flight();
    world.answer(versioned("access-1", None));
    assert_eq!((world.settled_as(waiter), &world.events[..]), (None, &[][..]));
    assert_eq!(world.unlocked, [read], "others may be before it");
    asks(&mut world, "after=");
    // Whatever this brings is taken.
    world.answer(versioned("access-1", None));
    assert!(matches!(world.settled_as(waiter), Some(Settled::Ready(_))));
    assert_eq!(world.signals, [Locked, Locked, Refreshed]);
    assert_eq!((world.started.len(), world.locks.len()), (2, 0));

    // Nor is that read again and again.
    let (mut world, waiter) = renewing(None, true);
    for _ in 0..2 {
        assert_eq!(world.settled_as(waiter), None);
        asks(&mut world, "");
        world.hear(Refreshed);
        world.answer(versioned("access-1", None));
    }
    assert!(matches!(world.settled_as(waiter), Some(Settled::Ready(_))));
}

#[test]
fn a_read_that_failed_is_still_to_be_done() {
    let fails: [fn(&mut World); 3] = [
        |world| world.answer(network_failure()),
        |world| world.answer(delayed(503, SECOND)),
        |world| world.pass(15 * SECOND),
    ];
    for fail in fails {
        let (mut world, waiter) = renewing(None, true);
        asks(&mut world, "");
        fail(&mut world);
        assert_eq!(world.event_names().len(), 1);
        while world.locks.is_empty() {
            world.pass(100);
        }
        asks(&mut world, "");
        world.answer(versioned("access-2", None));
        assert!(world.settled_as(waiter).is_some());
    }
    // What is asked for by its own right is asked for again.
    let (mut world, _) = renewing(None, false);
    asks(&mut world, "after=");
    world.answer(network_failure());
    while world.locks.is_empty() {
        world.pass(100);
    }
    asks(&mut world, "after=");
}

#[test]
fn a_final_failure_is_none_if_another_tab_came_between() {
    for (version, first, second) in [(None, "after=", ""), (Some("v1"), "after=v1", "after=v1")] {
        for is_found in [true, false] {
            for refused in [refused_with("invalid_grant"), answered(401, None)] {
                let (mut world, waiter) = renewing(version, false);
                asks(&mut world, first);
                world.hear(Refreshed);
                world.answer(refused.clone());
                assert_eq!((&world.events[..], world.settled_as(waiter)), (&[][..], None));
                asks(&mut world, second);
                // Once: a server that refuses everything would be asked without end.
                world.hear(Refreshed);
                world.answer(if is_found { versioned("access-2", None) } else { refused });
                assert_eq!((world.engine.signed_in(), world.locks.len()), (is_found, 0));
                assert_eq!(world.sign_out_reason().is_some(), !is_found);
            }
        }
    }
}

#[test]
fn a_final_failure_that_nobody_came_before_is_final() {
    let (mut world, waiter) = renewing(Some("v1"), true);
    asks(&mut world, "after=v1");
    world.answer(answered(401, None));
    assert_eq!(world.sign_out_reason(), Some(Reason::LoginRequired), "what it was told before, the request knew");
    assert_eq!(world.settled_as(waiter), Some(Settled::SignedOut));
}

#[test]
fn no_session_is_looked_for_again_if_another_tab_came_between() {
    let (mut world, waiter) = World::queued_to_restore();
    asks(&mut world, "");
    world.hear(Refreshed);
    world.answer(answered(401, None));
    assert_eq!(world.settled_as(waiter), None);
    asks(&mut world, "");
    world.answer(answered(401, None));
    assert_eq!(world.settled_as(waiter), Some(Settled::SignedOut));
    assert_eq!(world.events, []);
}

#[test]
fn the_beginning_and_the_end_of_a_session_are_told() {
    let mut world = World::new(options());
    world.set_tokens(response("access-1", Some("refresh-1")));
    assert_eq!(world.signals, [SignedIn]);
    world.set_tokens(response("access-2", Some("refresh-2")));
    assert_eq!(world.signals, [SignedIn], "it goes on");
    world.sign_out();
    assert_eq!(world.signals, [SignedIn, SignedOut]);
    world.sign_out();
    assert_eq!(world.signals, [SignedIn, SignedOut, SignedOut], "of the backend's session this one may know nothing");

    let mut world = World::signed_in_as(issuer_options(), "user-1", true);
    assert_eq!(world.signals, [SignedIn]);
    let began = world.engine.sign_outs();
    world.sign_in(identified_renewal("access-2", None, "user-2"), began).expect("signed in");
    assert_eq!(world.signals, [SignedIn, SignedIn]);

    let ends: [fn(&mut World); 3] =
        [|world| world.answer(refused_with("invalid_grant")), World::close, |world| world.hear(SignedOut)];
    for end in ends {
        let (mut world, _) = World::refreshing(options());
        world.signals.clear();
        end(&mut world);
        assert!(!world.engine.signed_in());
        assert_eq!(world.signals, [], "the others find out by themselves, or know");
    }
}

#[test]
fn a_session_that_began_elsewhere_is_looked_for() {
    let mut world = World::discovered(session_options());
    for signal in [Refreshed, Locked, SignedOut] {
        world.hear(signal);
        assert_eq!(world.restores, 0, "{signal:?}");
    }
    world.hear(SignedIn);
    assert_eq!(world.restores, 1);

    let mut world = World::at_backend(Some("v1"));
    world.hear(SignedIn);
    assert_eq!((world.restores, world.started.len(), world.locks.len()), (0, 0, 0));
    assert_eq!(world.access_token().as_deref(), Some("access-1"));
}

#[test]
fn a_sign_out_elsewhere_ends_the_session_and_asks_the_backend_for_nothing() {
    let mut world = World::at_backend(Some("v1"));
    world.hear(SignedOut);
    assert_eq!(world.sign_out_reason(), Some(Reason::Elsewhere));
    assert_eq!((&world.signals[..], world.started.len()), (&[][..], 0));
    let asked: Vec<_> = world.revoking.iter().map(|(_, work)| format!("{work:?}")).collect();
    assert!(!asked.iter().any(|work| work.contains("EndSession")), "{asked:?}");

    // An answer that was under way brings nothing back.
    let (mut world, waiter) = World::queued_to_restore();
    world.grant();
    let ticket = world.flight();
    world.hear(SignedOut);
    assert_eq!((world.settled_as(waiter), &world.unlocked[..]), (Some(Settled::SignedOut), &[ticket][..]));
    world.answer_ticket(ticket, versioned("access-late", None));
    assert!(!world.engine.signed_in());
    assert_eq!(world.access_token(), None);
}

#[test]
fn what_is_told_hides_nothing() {
    for signal in [SignedIn, Refreshed, Locked, SignedOut] {
        let text = format!("{signal:?}");
        assert!(text.bytes().all(|byte| byte.is_ascii_alphabetic()), "{text}");
    }
    let (mut world, _) = renewing(Some("v1"), false);
    asks(&mut world, "after=v1");
    assert!(!format!("{:?}", world.work()).contains("v1"), "a body prints without what is in it");
}
