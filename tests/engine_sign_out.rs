//! Sign-out with a backend and at the authorization server, and what is heard of sign-outs elsewhere.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::*;
use serde_json::json;
use tokenward::engine::Work;
use tokenward::engine::event::Reason;
use tokenward::engine::failure::{Cause, Exchange};
use tokenward::engine::session::{Settled, Way};

const ALL: [&str; 3] = ["refresh_token", "access_token", "session"];

fn works(world: &World) -> Vec<String> {
    let works = world.revoking.iter().map(|(_, work)| match work {
        Work::Revoke { body } => body.expose().into(),
        Work::EndSession => "the backend".into(),
        other => panic!("{other:?}"),
    });
    works.collect()
}

fn answer_all(world: &mut World, exchanges: &[Exchange]) {
    let tickets: Vec<_> = world.revoking.iter().map(|(ticket, _)| *ticket).collect();
    assert_eq!(tickets.len(), exchanges.len());
    for (ticket, exchange) in tickets.into_iter().zip(exchanges) {
        world.answer_ticket(ticket, exchange.clone());
    }
}

#[test]
fn everything_is_told_the_refresh_token_first() {
    let mut world = World::signed_in_as(session_options(), "user-1", true);
    let id = world.sign_out();
    assert_eq!(
        works(&world),
        [
            "token=refresh-1&token_type_hint=refresh_token&client_id=spa",
            "token=access-1&token_type_hint=access_token&client_id=spa",
            "the backend",
        ]
    );
    let epochs: Vec<_> = world.revoking.iter().map(|(ticket, _)| ticket.epoch).collect();
    assert!(epochs.iter().all(|epoch| *epoch == world.engine.stamp().epoch), "of no session that was");
    answer_all(&mut world, &[answered(200, None), answered(200, None), answered(204, None)]);
    assert_eq!((&world.signed_out[..], &world.reached[..]), (&[(id, vec![])][..], &[true][..]));
    assert_eq!(world.engine.deadline_ms(world.now), None);
}

#[test]
fn a_backend_that_cannot_be_told_is_named() {
    let mut world = World::signed_in_as(with_url(session_options(), "session.signOutUrl", ""), "user-1", true);
    let id = world.sign_out();
    assert_eq!(works(&world).len(), 2, "there is no URL for it");
    answer_all(&mut world, &[answered(200, None), answered(200, None)]);
    assert_eq!((&world.signed_out[..], &world.reached[..]), (&[(id, vec!["session"])][..], &[true][..]));

    let mut world = World::new(with_url(session_options(), "session.signOutUrl", ""));
    let id = world.sign_out();
    assert_eq!(world.signed_out, [(id, vec!["session"])], "at once");

    let mut without = World::signed_in_as(issuer_options(), "user-1", true);
    let id = without.sign_out();
    answer_all(&mut without, &[answered(500, None), answered(500, None)]);
    assert_eq!(without.signed_out, [(id, vec!["refresh_token", "access_token"])], "and where there is none, not");
}

#[test]
fn the_backend_has_to_confirm() {
    for (exchange, is_confirmed, is_reached) in [
        (answered(200, None), true, true),
        (answered(204, None), true, true),
        (answered(401, None), false, true),
        (answered(302, None), false, true),
        (answered(500, None), false, true),
        (network_failure(), false, false),
        (Exchange::Failed(Cause::TooLarge), false, false),
    ] {
        let mut world = World::signed_in_as(session_options(), "user-1", false);
        let id = world.sign_out();
        let what = format!("{exchange:?}");
        answer_all(&mut world, &[answered(200, None), exchange]);
        let left = if is_confirmed { vec![] } else { vec!["session"] };
        assert_eq!((&world.signed_out[..], &world.reached[..]), (&[(id, left)][..], &[is_reached][..]), "{what}");
    }
}

#[test]
fn a_cookie_is_ended_even_where_nobody_is_signed_in() {
    let mut world = World::new(session_options());
    let id = world.sign_out();
    assert_eq!(works(&world), ["the backend"]);
    answer_all(&mut world, &[answered(204, None)]);
    assert_eq!(world.signed_out, [(id, vec![])]);
    assert_eq!(world.events, []);
}

#[test]
fn reached_is_whether_everybody_answered() {
    let ok = || answered(200, None);
    for silent in 0..3 {
        let mut world = World::signed_in_as(session_options(), "user-1", true);
        world.sign_out();
        let mut exchanges = [ok(), answered(500, None), ok()];
        exchanges[silent] = network_failure();
        answer_all(&mut world, &exchanges);
        assert_eq!(world.reached, [false], "{silent}");
    }
    // Nobody was to be asked.
    let mut world = World::new(issuer_options());
    world.sign_out();
    assert_eq!(world.reached, [true]);

    let mut world = World::signed_in_as(session_options(), "user-1", true);
    let id = world.sign_out();
    let first = world.revoking[0].0;
    world.answer_ticket(first, ok());
    world.pass(15 * SECOND);
    assert_eq!((&world.signed_out[..], &world.reached[..]), (&[(id, ALL[1..].to_vec())][..], &[false][..]), "in time");

    let mut world = World::signed_in_as(session_options(), "user-1", true);
    let id = world.sign_out();
    world.close();
    assert_eq!((&world.signed_out[..], &world.reached[..]), (&[(id, ALL.to_vec())][..], &[false][..]), "closed");
}

#[test]
fn who_was_reached_is_told_of_each_apart() {
    let mut world = World::signed_in_as(session_options(), "user-1", false);
    world.sign_out();
    let began = world.engine.sign_outs();
    world.sign_in(identified_renewal("access-2", None, "user-1"), began).expect("signed in");
    world.sign_out();
    let tickets: Vec<_> = world.revoking.iter().map(|(ticket, _)| *ticket).collect();
    world.answer_ticket(tickets[0], network_failure());
    for ticket in &tickets[2..] {
        world.answer_ticket(*ticket, answered(204, None));
    }
    assert_eq!(world.reached, [true], "the other one's silence is not held against it");
    world.answer_ticket(tickets[1], answered(204, None));
    assert_eq!(world.reached, [true, false]);
}

/// The logout request's URL, and its fields in the order of their names.
fn logout(world: &World) -> Option<(String, Vec<(String, String)>)> {
    let url = world.engine.logout_url()?;
    let (endpoint, query) = url.expose().split_once('?').expect("a query");
    let mut fields = decode(query);
    fields.sort();
    Some((endpoint.into(), fields))
}

fn field(name: &str, value: &str) -> (String, String) {
    (name.into(), value.into())
}

#[test]
fn the_server_is_told_who_signs_out_and_where_to_go_on() {
    let options = with_url(issuer_options(), "postLogoutRedirectUri", "https://app.test/bye?a=b&c");
    let mut world = World::signed_in_as(options, "user-1", true);
    let hint = world.engine.identity().expect("a user").token.clone();
    let (endpoint, fields) = logout(&world).expect("an endpoint");
    assert_eq!(endpoint, "https://id.test/logout");
    let expected = [
        field("client_id", "spa"),
        field("id_token_hint", hint.expose()),
        field("post_logout_redirect_uri", "https://app.test/bye?a=b&c"),
    ];
    assert_eq!(fields, expected);
    assert!(!world.engine.logout_url().expect("a URL").expose().contains("refresh-1"));

    world.sign_out();
    assert_eq!(logout(&world).expect("an endpoint").1, [expected[0].clone(), expected[2].clone()], "the hint is gone");
}

#[test]
fn what_is_not_known_is_left_out() {
    let mut world = World::discovered(issuer_options());
    assert_eq!(logout(&world), Some(("https://id.test/logout".into(), vec![field("client_id", "spa")])));
    world.set_tokens(identified("access-1", None, "user-1"));
    assert_eq!(logout(&world).expect("an endpoint").1, [field("client_id", "spa")], "the app's tokens name nobody");

    assert_eq!(logout(&World::new(issuer_options())), None, "not known yet");
    let mut lacking = World::new(issuer_options());
    lacking.engine.discovered(&metadata().without("end_session_endpoint")).expect("good metadata");
    assert_eq!(logout(&lacking), None);

    let own = World::new(with_url(options(), "endpoints.endSession", "https://id.test/logout?p=b2c_1"));
    let url = own.engine.logout_url().expect("an endpoint");
    assert_eq!(url.expose(), "https://id.test/logout?p=b2c_1&client_id=spa");
}

#[test]
fn a_sign_out_elsewhere_counts_if_it_is_of_this_session() {
    let sid = Some("sid-of-user-1");
    for (issuer, session, is_ours) in [
        (None, None, true),
        (Some(ISSUER), None, true),
        (Some(ISSUER), sid, true),
        (None, sid, true),
        (Some("https://other.test"), None, false),
        (Some("https://id.test/"), sid, false),
        (Some("https://other.test"), sid, false),
        (Some(""), None, false),
        (Some(ISSUER), Some("sid-of-user-2"), false),
        (Some(ISSUER), Some(""), false),
        (None, Some("sid-of-user-2"), false),
    ] {
        let what = format!("{issuer:?} {session:?}");
        let mut world = World::signed_in_as(issuer_options(), "user-1", true);
        world.sleep(HOUR);
        let waiter = world.must_wait(None);
        world.signed_out_elsewhere(issuer, session);
        assert_eq!(world.sign_out_reason(), is_ours.then_some(Reason::Elsewhere), "{what}");
        assert_eq!(world.engine.signed_in(), !is_ours, "{what}");
        assert_eq!(world.settled_as(waiter), is_ours.then_some(Settled::SignedOut), "{what}");
        assert_eq!(works(&world).len(), if is_ours { 2 } else { 0 }, "{what}: its own tokens are revoked");
    }
}

#[test]
fn what_is_not_known_here_makes_no_difference() {
    // The app's own tokens: no ID token said what session they are of.
    let mut world = World::signed_in(issuer_options());
    world.signed_out_elsewhere(Some(ISSUER), Some("sid-1"));
    assert_eq!(world.sign_out_reason(), Some(Reason::Elsewhere));
    let mut world = World::signed_in(issuer_options());
    world.signed_out_elsewhere(Some("https://other.test"), Some("sid-1"));
    assert!(world.engine.signed_in());
    // Endpoints alone: there is no issuer to compare with.
    let mut world = World::signed_in(options());
    world.signed_out_elsewhere(Some("https://any.test"), None);
    assert_eq!(world.sign_out_reason(), Some(Reason::Elsewhere));
    // An ID token without `sid`.
    let mut world = World::discovered(issuer_options());
    let body = json!({ "access_token": "access-1", "id_token": jwt(&claims().0) });
    let began = world.engine.sign_outs();
    world.sign_in(answered(200, token_answer(&body.to_string())), began).expect("signed in");
    world.signed_out_elsewhere(Some(ISSUER), Some("sid-1"));
    assert_eq!(world.sign_out_reason(), Some(Reason::Elsewhere));
}

#[test]
fn who_is_not_signed_in_hears_nothing() {
    let options: Options = session_options();
    let mut world = World::discovered(options);
    world.signed_out_elsewhere(Some(ISSUER), None);
    world.signed_out_elsewhere(None, None);
    assert_eq!(world.events, []);
    assert!(world.revoking.is_empty(), "the backend is not asked again and again");

    let mut world = World::signed_in_as(session_options(), "user-1", true);
    world.signed_out_elsewhere(None, None);
    world.signed_out_elsewhere(None, None);
    assert_eq!(world.event_names(), ["signedout"]);
    assert_eq!(works(&world).len(), 2, "once, and the backend has been told");
}

#[test]
fn a_sign_out_elsewhere_ends_the_search_for_a_session() {
    // The other tab tells of it before the backend has ended the session: it could be found once more.
    let mut world = World::discovered(session_options());
    let waiter = world.restore(Way::Session);
    let ticket = world.flight();
    world.signed_out_elsewhere(Some("https://other.test"), None);
    assert_eq!(world.settled_as(waiter), None);
    world.signed_out_elsewhere(None, None);
    assert_eq!(world.settled_as(waiter), Some(Settled::SignedOut));
    assert_eq!(world.aborted, [ticket]);
    assert!(works(&world).is_empty());
    world.answer_ticket(ticket, renewed("access-1", None));
    assert!(!world.engine.signed_in());
    assert_eq!(world.events, []);
}

#[test]
fn a_backend_s_id_token_is_another_client_s() {
    let mut world = World::discovered(session_options());
    world.restore(Way::Session);
    world.answer(identified_renewal("access-1", None, "user-1"));
    assert_eq!(world.user(), Some("user-1"));
    assert_eq!(logout(&world).expect("an endpoint").1, [field("client_id", "spa")], "no hint of the two together");
    let began = world.engine.sign_outs();
    world.sign_in(identified_renewal("access-2", None, "user-1"), began).expect("signed in");
    assert_eq!(logout(&world).expect("an endpoint").1.len(), 2, "this one is ours");
}
