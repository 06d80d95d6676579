//! Lending the access token: to a service worker, and as a ticket for what has no headers.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::*;
use tokenward::engine::requests::Loan;
use tokenward::engine::session::{Permit, Settled, Stamp};

fn lend(world: &mut World) -> Option<Loan> {
    lend_after(world, None)
}

fn lend_after(world: &mut World, after: Option<Stamp>) -> Option<Loan> {
    let loan = world.engine.lend(after, world.now);
    world.drain();
    loan
}

fn lent(loan: Option<Loan>) -> (String, Option<u64>) {
    let (access, expires_in_ms) = loan.and_then(|loan| loan.token).expect("a token");
    let header = access.authorization();
    (header.expose().trim_start_matches("Bearer ").into(), expires_in_ms)
}

/// What to wait after.
fn waits(loan: Option<Loan>) -> Stamp {
    let loan = loan.expect("a session");
    assert_eq!(loan.token, None);
    loan.stamp
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
    assert_eq!(lent(world.engine.lend(None, world.now)).1, Some(1));
    world.now = world.now.plus(1);
    waits(lend(&mut world));
}

#[test]
fn nobody_signed_in_has_nothing_to_lend() {
    let mut world = World::new(options());
    assert_eq!(lend(&mut world), None);
    let mut world = World::signed_in(options());
    world.sign_out();
    assert_eq!(lend(&mut world), None);
}

#[test]
fn whoever_had_this_token_refused_waits_for_a_newer_one() {
    let mut world = World::signed_in(options());
    let stamp = world.engine.stamp();
    assert_eq!(waits(lend_after(&mut world, Some(stamp))), stamp);
    let waiter = world.wait(Some(stamp));
    world.answer(renewed("second", None));
    assert_eq!(world.settled_as(waiter), Some(Settled::Ready(stamp)));
    assert_eq!(lent(lend_after(&mut world, Some(stamp))).0, "second");
}

#[test]
fn what_was_waited_for_in_one_session_is_never_the_nexts() {
    let mut world = World::signed_in(options());
    world.pass(3_600_000);
    let after = waits(lend(&mut world));
    world.sign_out();
    assert_eq!(lend_after(&mut world, Some(after)), None);
    world.set_tokens(response("another", None));
    assert_eq!(lend_after(&mut world, Some(after)), None);
    // Nor if the next one came before the wait began.
    let waiter = world.wait(Some(after));
    assert_eq!(world.settled_as(waiter), Some(Settled::SignedOut));
    let loan = lend(&mut world).expect("signed in");
    assert_eq!(loan.stamp, world.engine.stamp());
    assert_eq!(lent(Some(loan)).0, "another");
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
