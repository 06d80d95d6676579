//! Sign-out: what is asked of the revocation endpoint, and what is told of its answers.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::*;
use tokenward::engine::Work;
use tokenward::engine::event::Reason;

const BOTH: [&str; 2] = ["refresh_token", "access_token"];

fn bodies(world: &World) -> Vec<&str> {
    let bodies = world.revoking.iter().map(|(_, work)| match work {
        Work::Revoke { body } => body.expose(),
        other => panic!("{other:?}"),
    });
    bodies.collect()
}

fn answer_next(world: &mut World, status: u16) {
    let ticket = world.revoking[0].0;
    world.answer_ticket(ticket, answered(status, None));
}

#[test]
fn both_tokens_are_revoked_the_refresh_token_first() {
    let mut world = World::signed_in(options());
    let id = world.sign_out();
    assert_eq!(
        bodies(&world),
        [
            "token=refresh-1&token_type_hint=refresh_token&client_id=spa",
            "token=access-1&token_type_hint=access_token&client_id=spa",
        ]
    );
    assert_eq!(world.access_token(), None, "wiped at once");
    assert_eq!(world.sign_out_reason(), Some(Reason::SignOut));
    answer_next(&mut world, 200);
    assert_eq!(world.signed_out, []);
    answer_next(&mut world, 200);
    assert_eq!(world.signed_out, [(id, vec![])]);
    assert_eq!(world.engine.deadline_ms(world.now), None);
}

#[test]
fn what_the_server_did_not_confirm_is_told() {
    for status in [400, 401, 404, 500, 503, 302] {
        let mut world = World::signed_in(options());
        let id = world.sign_out();
        answer_next(&mut world, 200);
        answer_next(&mut world, status);
        assert_eq!(world.signed_out, [(id, vec![BOTH[1]])], "{status}");
        assert_eq!(world.engine.deadline_ms(world.now), None, "not repeated");
    }
    let mut world = World::signed_in(options());
    let id = world.sign_out();
    for (ticket, _) in std::mem::take(&mut world.revoking) {
        world.answer_ticket(ticket, network_failure());
    }
    assert_eq!(world.signed_out, [(id, BOTH.to_vec())]);
}

#[test]
fn answers_count_once_and_in_any_order() {
    let mut world = World::signed_in(options());
    let id = world.sign_out();
    let [(refresh, _), (access, _)] = world.revoking[..] else { panic!("{:?}", world.revoking) };
    world.answer_ticket(access, answered(500, None));
    world.answer_ticket(access, answered(500, None));
    assert_eq!(world.signed_out, []);
    world.answer_ticket(refresh, answered(200, None));
    world.answer_ticket(refresh, answered(500, None));
    assert_eq!(world.signed_out, [(id, vec![BOTH[1]])]);
}

#[test]
fn a_server_that_does_not_answer_is_not_waited_for() {
    let mut world = World::signed_in(Options { request_timeout_s: Some(5.0), ..options() });
    let id = world.sign_out();
    let tickets: Vec<_> = world.revoking.iter().map(|(ticket, _)| *ticket).collect();
    world.sleep(DAY);
    world.tick();
    world.pass(5 * SECOND - 1);
    assert_eq!(world.signed_out, []);
    world.pass(1);
    assert_eq!(world.aborted, tickets);
    assert_eq!(world.signed_out, [(id, BOTH.to_vec())]);
    world.answer_ticket(tickets[0], answered(200, None));
    assert_eq!(world.signed_out.len(), 1);
}

#[test]
fn without_an_endpoint_nothing_is_confirmed() {
    for (options, refresh, left) in [
        (with_url(options(), "endpoints.revocation", ""), Some("refresh-1"), BOTH.to_vec()),
        (callback_options(), None, vec![BOTH[1]]),
    ] {
        let mut world = World::new(options);
        world.set_tokens(response("access-1", refresh));
        let id = world.sign_out();
        assert_eq!(world.signed_out, [(id, left)]);
        assert!(world.revoking.is_empty());
    }
}

#[test]
fn signing_out_without_a_session_ends_at_once() {
    let mut world = World::new(options());
    let first = world.sign_out();
    let second = world.sign_out();
    assert_ne!(first, second);
    assert_eq!(world.signed_out, [(first, vec![]), (second, vec![])]);
    assert_eq!(world.events, []);
    assert!(world.revoking.is_empty());
}

#[test]
fn two_sign_outs_are_answered_apart() {
    let mut world = World::signed_in(options());
    let first = world.sign_out();
    world.set_tokens(response("access-2", Some("refresh-2")));
    let second = world.sign_out();
    let tickets: Vec<_> = world.revoking.iter().map(|(ticket, _)| *ticket).collect();
    for ticket in &tickets[2..] {
        world.answer_ticket(*ticket, answered(200, None));
    }
    assert_eq!(world.signed_out, [(second, vec![])]);
    for ticket in &tickets[..2] {
        world.answer_ticket(*ticket, answered(503, None));
    }
    assert_eq!(world.signed_out, [(second, vec![]), (first, BOTH.to_vec())]);
    let mut unique = tickets.clone();
    unique.dedup();
    assert_eq!(unique.len(), 4);
}

#[test]
fn a_revocation_outlives_its_session_but_not_the_ward() {
    let mut world = World::signed_in(options());
    let id = world.sign_out();
    world.set_tokens(response("access-2", Some("refresh-2")));
    world.renew();
    world.answer(refused_with("invalid_grant"));
    assert_eq!(world.revoking.len(), 2, "still under way");
    world.close();
    assert_eq!(world.signed_out, [(id, BOTH.to_vec())]);
    assert_eq!(world.engine.deadline_ms(world.now), None);
}

#[test]
fn a_revocation_s_answer_is_no_refresh_s() {
    let mut world = World::signed_in(options());
    world.sign_out();
    let ticket = world.revoking[0].0;
    world.events.clear();
    world.answer_ticket(ticket, renewed("access-2", Some("refresh-2")));
    assert!(!world.engine.signed_in());
    assert_eq!(world.events, []);
}

#[test]
fn only_the_tokens_in_use_are_revoked() {
    let mut world = World::signed_in(options());
    world.renew();
    world.answer(renewed("access-2", Some("refresh-2")));
    world.sign_out();
    assert!(bodies(&world)[0].starts_with("token=refresh-2&"));
    assert!(bodies(&world)[1].starts_with("token=access-2&"));
}
