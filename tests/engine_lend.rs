//! Lending the access token: to a service worker, and as a ticket for what has no headers.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::*;
use tokenward::engine::requests::Loan;
use tokenward::engine::session::{Permit, Settled};

fn lend(world: &mut World) -> Loan {
    let now = world.now;
    let loan = world.engine.lend(None, now);
    world.drain();
    loan
}

fn lent(loan: Loan) -> (String, Option<u64>) {
    match loan {
        Loan::Token { access, expires_in_ms } => {
            let header = access.authorization();
            (header.expose().trim_start_matches("Bearer ").into(), expires_in_ms)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_lent_is_good_for_as_long_as_it_may_be_sent() {
    let mut world = World::signed_in(options());
    let (token, lifetime) = lent(lend(&mut world));
    assert_eq!(Some(&token), world.access_token().as_ref());
    let lifetime = lifetime.expect("the server told");
    world.pass(1_000);
    assert_eq!(lent(lend(&mut world)).1, Some(lifetime - 1_000));
    // Not a moment longer than a request of the ward's own could have it.
    world.now = world.now.plus(lifetime - 1_001);
    assert!(matches!(world.engine.lend(None, world.now), Loan::Token { expires_in_ms: Some(1), .. }));
    world.now = world.now.plus(1);
    assert_eq!(lend(&mut world), Loan::Wait);
}

#[test]
fn nobody_signed_in_has_nothing_to_lend() {
    let mut world = World::new(options());
    assert_eq!(lend(&mut world), Loan::Nothing);
    let mut world = World::signed_in(options());
    world.sign_out();
    assert_eq!(lend(&mut world), Loan::Nothing);
}

#[test]
fn whoever_had_this_token_refused_waits_for_a_newer_one() {
    let mut world = World::signed_in(options());
    let stamp = world.engine.stamp();
    let loan = world.engine.lend(Some(stamp), world.now);
    assert_eq!(loan, Loan::Wait);
    world.drain();
    let waiter = world.wait(Some(stamp));
    world.answer(renewed("second", None));
    assert_eq!(world.settled_as(waiter), Some(Settled::Ready(stamp)));
    let now = world.now;
    assert_eq!(lent(world.engine.lend(Some(stamp), now)).0, "second");
}

#[test]
fn a_token_of_a_session_that_ended_is_no_reason_to_wait() {
    let mut world = World::signed_in(options());
    let stamp = world.engine.stamp();
    world.sign_out();
    world.set_tokens(response("another", None));
    let now = world.now;
    assert_eq!(lent(world.engine.lend(Some(stamp), now)).0, "another");
}

#[test]
fn what_is_borrowed_is_renewed_on_demand_only() {
    let borrower = Options { borrows: true, ..callback_options() };
    let mut world = World::new(borrower);
    world.set_tokens(response("borrowed", None));
    world.pass(3_600_000);
    assert!(world.started.is_empty());
    assert_eq!(world.get(), Permit::Wait);
    assert_eq!(world.started.len(), 1);
}

#[test]
fn a_loan_does_not_show_the_token() {
    let mut world = World::signed_in(options());
    let shown = format!("{:?}", lend(&mut world));
    let token = world.access_token().expect("signed in");
    assert!(!shown.contains(&token), "{shown}");
}

#[test]
fn sockets_are_covered_by_what_covers_their_origin() {
    let world = World::new(options());
    let covers = |href: &str, method: &str| world.engine.covers(href, method);
    let http = &resource_url();
    assert!(covers(http, "GET"));
    let socket = http.replacen("http", "ws", 1);
    assert!(covers(&socket, "GET"), "{socket}");
    for other in
        ["wss://other.test/v1/", "ftp://api.test/v1/", "ws", "", "wsx://api.test/v1/", "blob:https://api.test/v1"]
    {
        assert!(!covers(other, "GET"), "{other}");
    }
    // https: is not ws:, nor the other way round.
    assert!(!covers(&socket.replacen("wss", "ws", 1), "GET"));
}

#[test]
fn methods_count() {
    let methods = Some(vec!["POST".to_string()]);
    let listed = Options { resources: vec![Resource { methods, ..resource(&resource_url()) }], ..options() };
    let world = World::new(listed);
    assert!(world.engine.covers(&resource_url(), "POST"));
    assert!(!world.engine.covers(&resource_url(), "GET"));
}

fn resource_url() -> String {
    options().resources[0].url.clone()
}
