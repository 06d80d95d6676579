//! What a 401 or 403 of a resource leads to, and that it leads to no loop.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::*;
use tokenward::engine::event::{Event, ScopeDetail, StepUpDetail};
use tokenward::engine::session::{Permit, Settled, Stamp};
use tokenward::engine::{Refused, Request};

/// Sends a request as the shell does, to a resource that refuses every token; says how often it was sent.
fn send_refused(world: &mut World) -> u32 {
    let mut after = None;
    for sent in 1.. {
        while world.get_after(after) == Permit::Wait {
            let waiter = world.wait(after);
            world.answer(renewed("access", None));
            match world.settled_as(waiter) {
                Some(Settled::Ready(stamp)) => after = Some(stamp),
                other => panic!("{other:?}"),
            }
        }
        let stamp = world.engine.stamp();
        if !world.unauthorized(stamp, sent > 1) {
            return sent;
        }
        after = Some(stamp);
    }
    unreachable!()
}

#[test]
fn a_refusal_renews_once_and_repeats_once() {
    let mut world = World::signed_in(options());
    let stamp = world.engine.stamp();
    assert!(world.unauthorized(stamp, false));
    assert_eq!(world.started.len(), 1);
    let waiter = world.must_wait(Some(stamp));
    world.answer(renewed("access-2", None));
    assert_eq!(world.settled_as(waiter), Some(Settled::Ready(stamp)));
    assert_eq!(world.get_after(Some(stamp)), Permit::Go);
    assert_eq!(world.access_token().as_deref(), Some("access-2"));
}

#[test]
fn a_refusal_of_the_last_token_costs_no_refresh() {
    let mut world = World::signed_in(options());
    let old = world.engine.stamp();
    world.renew();
    world.answer(renewed("access-2", None));
    assert!(world.unauthorized(old, false));
    assert_eq!(world.get_after(Some(old)), Permit::Go);
    assert_eq!(world.started.len(), 1);
}

#[test]
fn a_resource_that_refuses_every_token_costs_one_refresh_in_five_minutes() {
    let mut world = World::signed_in(options());
    let sent: u32 = (0..1_000).map(|_| send_refused(&mut world)).sum();
    assert_eq!(sent, 1_001, "one request is repeated once");
    assert_eq!(world.started.len(), 1);

    world.pass(5 * MINUTE - 1);
    while let [(ticket, _)] = world.running[..] {
        world.answer_ticket(ticket, renewed("access", None));
    }
    world.started.clear();
    send_refused(&mut world);
    assert_eq!(world.started.len(), 0, "still not believed");
    world.pass(1);
    for _ in 0..1_000 {
        send_refused(&mut world);
    }
    assert_eq!(world.started.len(), 1, "believed once more");
}

#[test]
fn a_resource_that_refuses_every_second_request_starts_twenty_refreshes_a_minute() {
    let mut world = World::signed_in(options());
    for _ in 0..100 {
        let stamp = world.engine.stamp();
        if world.unauthorized(stamp, false) {
            world.answer(renewed("access", None));
        }
    }
    assert_eq!(world.started.len(), 20);
    world.pass(MINUTE);
    let stamp = world.engine.stamp();
    assert!(world.unauthorized(stamp, false));
}

#[test]
fn nor_does_one_that_refuses_every_stream_start_more() {
    let mut world = World::signed_in(options());
    let request = Request { one_shot: true, ..world.request() };
    for _ in 0..1_000 {
        let stamp = world.engine.stamp();
        assert!(!world.refused(request, stamp, &bare_refusal()));
        if let [(ticket, _)] = world.running[..] {
            world.answer_ticket(ticket, renewed("access", None));
        }
    }
    assert_eq!(world.started.len(), 20);
}

#[test]
fn one_resource_that_is_not_believed_does_not_discredit_another() {
    let mut options = options();
    options.resources.push(resource("https://other.test/"));
    let mut world = World::signed_in(options);
    send_refused(&mut world);
    let stamp = world.engine.stamp();
    assert!(!world.unauthorized(stamp, false));
    let rule = world.engine.find_rule("https://other.test/x").expect("listed");
    assert!(world.refused(Request { rule, ..Request::default() }, stamp, &bare_refusal()));
}

#[test]
fn a_body_that_cannot_be_repeated_is_not_but_the_token_is_renewed() {
    let mut world = World::signed_in(options());
    let stamp = world.engine.stamp();
    let request = Request { one_shot: true, ..world.request() };
    assert!(!world.refused(request, stamp, &bare_refusal()));
    assert_eq!(world.started.len(), 1);
    world.answer(renewed("access-2", None));
    assert!(!world.refused(request, stamp, &bare_refusal()), "nor when there is a newer token");
    assert_eq!(world.started.len(), 1);
}

#[test]
fn a_refusal_without_anything_to_renew_with_is_the_answer() {
    let mut world = World::new(options());
    world.set_tokens(response("access-1", None));
    let stamp = world.engine.stamp();
    assert!(!world.unauthorized(stamp, false));
    assert!(world.engine.signed_in());
}

#[test]
fn a_refusal_during_a_back_off_waits_for_it() {
    let mut world = World::signed_in(options());
    let stamp = world.engine.stamp();
    world.renew();
    world.answer(delayed(503, 20_000));
    world.started.clear();
    assert!(world.unauthorized(stamp, false));
    world.must_wait(Some(stamp));
    world.pass(20 * SECOND - 1);
    assert_eq!(world.started.len(), 0);
    world.pass(2 * SECOND);
    assert_eq!(world.started.len(), 1);
}

#[test]
fn whoever_a_redirect_led_to_speaks_for_itself() {
    let mut options = options();
    options.resources.push(resource("https://other.test/"));
    let rows = [
        ("https://api.test/v1/moved", true),
        ("https://api.test/v2/moved", false),
        ("https://other.test/v1/", false),
        ("https://elsewhere.test/", false),
        ("nonsense", false),
    ];
    for (redirected_to, repeats) in rows {
        let mut world = World::signed_in(options.clone());
        let stamp = world.engine.stamp();
        let redirected = |answer| Refused { redirected_to: Some(redirected_to.into()), ..answer };
        let repeated = world.refused(world.request(), stamp, &redirected(bare_refusal()));
        assert_eq!(repeated, repeats, "{redirected_to}");
        assert_eq!(world.started.len(), usize::from(repeats), "{redirected_to}");
        let scope = refusal(403, "Bearer error=\"insufficient_scope\"");
        world.refused(world.request(), stamp, &redirected(scope));
        assert_eq!(world.events.len(), usize::from(repeats), "{redirected_to}");
    }
}

#[test]
fn what_no_renewal_cures_reaches_the_app() {
    let scope = |scope: Option<&str>| {
        Event::InsufficientScope(ScopeDetail { resource: API.into(), scope: scope.map(Into::into) })
    };
    let step_up = |acr: Option<&str>, max_age| {
        Event::StepUp(StepUpDetail { resource: API.into(), acr_values: acr.map(Into::into), max_age })
    };
    let rows = [
        ("Bearer error=\"insufficient_scope\", scope=\"a b\"", scope(Some("a b"))),
        ("Bearer error=insufficient_scope", scope(None)),
        (
            "Bearer error=\"insufficient_user_authentication\", acr_values=\"gold\", max_age=\"5\"",
            step_up(Some("gold"), Some(5.0)),
        ),
        ("DPoP error=\"insufficient_user_authentication\"", step_up(None, None)),
    ];
    for (challenge, event) in rows {
        for status in [401, 403] {
            let mut world = World::signed_in(options());
            let stamp = world.engine.stamp();
            assert!(!world.refused(world.request(), stamp, &refusal(status, challenge)));
            assert_eq!(world.events, std::slice::from_ref(&event), "{status} {challenge}");
            assert!(world.started.is_empty(), "{status} {challenge}");
        }
    }
}

#[test]
fn a_refusal_that_is_not_about_the_token_is_left_alone() {
    for challenge in ["Basic realm=\"api\"", "Bearer error=\"invalid_request\"", "Negotiate"] {
        let mut world = World::signed_in(options());
        let stamp = world.engine.stamp();
        assert!(!world.refused(world.request(), stamp, &refusal(401, challenge)), "{challenge}");
        assert_eq!(world.started.len(), 0, "{challenge}");
        assert_eq!(world.events, [], "{challenge}");
    }
}

#[test]
fn an_event_names_the_entry_of_the_request_s_method() {
    let mut options = options();
    options.resources[0].methods = Some(vec!["GET".into()]);
    options.resources.push(Resource { methods: Some(vec!["POST".into()]), ..resource("https://api.test/v1") });
    let mut world = World::signed_in(options);
    let (request, stamp, now) = (world.request(), world.engine.stamp(), world.now);
    let answer = refusal(403, "Bearer error=\"insufficient_scope\"");
    for method in ["GET", "POST"] {
        world.engine.refused(request, method, stamp, &answer, now);
    }
    world.drain();
    let detail = |url: &str| Event::InsufficientScope(ScopeDetail { resource: url.into(), scope: None });
    assert_eq!(world.events, [detail(API), detail("https://api.test/v1")]);
}

#[test]
fn a_refusal_from_before_the_sign_in_starts_nothing() {
    let mut world = World::new(options());
    assert!(!world.unauthorized(Stamp { epoch: 0, generation: 0 }, false));
    world.set_tokens(response("access-1", Some("refresh-1")));
    world.sign_out();
    let stamp = world.engine.stamp();
    assert!(!world.unauthorized(stamp, false));
    assert!(world.started.is_empty());
}
