//! The tokens of a sign-in, and whose they are: a session never goes on as another user's.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::*;
use serde_json::json;
use tokenward::engine::event::{Event, FailureDetail, Reason};
use tokenward::engine::failure::Cause;
use tokenward::engine::oauth::fault::Fault;
use tokenward::engine::oauth::id_token::Identity;
use tokenward::engine::oauth::response::{Member, TokenAnswer};
use tokenward::engine::session::{Permit, Settled, Stamp};
use tokenward::engine::token::Secret;

fn signed_out() -> Result<(), Fault> {
    Err(Fault::new("signed_out", ""))
}

fn of_another_issuer(subject: &str) -> Identity {
    let claims = Json(json!({ "iss": "https://other.test", "sub": subject }));
    Identity::new(Secret::new("id-token".into()), &claims).expect("it says who")
}

#[test]
fn a_sign_in_begins_a_session() {
    let mut world = World::discovered(issuer_options());
    let began = world.engine.sign_outs();
    assert_eq!(world.sign_in(identified_renewal("access-1", Some("refresh-1"), "user-1"), began), Ok(()));
    assert_eq!(world.event_names(), ["signedin"]);
    assert_eq!(world.access_token().as_deref(), Some("access-1"));
    assert_eq!(world.user(), Some("user-1"));
    assert_eq!(world.engine.stamp(), Stamp { epoch: 0, generation: 1 });
    assert_eq!(world.get(), Permit::Go);
    assert!(world.started.is_empty() && world.aborted.is_empty());

    world.pass_until_refresh(HOUR).expect("renewed before it expires");
    assert!(world.body().contains("refresh_token=refresh-1&client_id=spa"));
}

#[test]
fn lifetimes_count_from_the_request() {
    let mut world = World::discovered(issuer_options());
    let (began, sent) = (world.engine.sign_outs(), world.now);
    world.pass(100 * SECOND);
    let exchange = identified_renewal("access-1", None, "user-1");
    assert_eq!(world.engine.sign_in(&exchange, began, sent, world.now), Ok(()));
    world.drain();
    let expires_at = world.engine.snapshot(world.now).expires_at;
    assert_eq!(expires_at, Some((START.wall_ms + 300 * SECOND) as f64));
}

#[test]
fn a_token_that_came_too_late_begins_a_session_that_ends() {
    let mut world = World::discovered(issuer_options());
    let (began, sent) = (world.engine.sign_outs(), world.now);
    world.pass(HOUR);
    assert_eq!(world.engine.sign_in(&identified_renewal("access-1", None, "user-1"), began, sent, world.now), Ok(()));
    world.drain();
    assert_eq!(world.sign_out_reason(), Some(Reason::Expired));
    assert_eq!(world.event_names(), ["signedin", "signedout"]);

    let began = world.engine.sign_outs();
    let exchange = identified_renewal("access-1", Some("refresh-1"), "user-1");
    assert_eq!(world.engine.sign_in(&exchange, began, sent, world.now), Ok(()));
    world.drain();
    assert_eq!(world.event_names(), ["signedin"]);
    assert!(world.body().contains("refresh_token=refresh-1&"), "renewed at once");
}

#[test]
fn an_answer_that_is_no_grant_changes_nothing() {
    for exchange in [refused_with("invalid_grant"), answered(500, None), network_failure(), answered(200, None)] {
        let mut world = World::signed_in_as(issuer_options(), "user-1", true);
        let (began, before) = (world.engine.sign_outs(), world.engine.stamp());
        assert_eq!(world.sign_in(exchange, began).expect_err("no tokens").code, "server_unavailable");
        assert_eq!(world.event_names(), [""; 0]);
        assert_eq!((world.engine.stamp(), world.user()), (before, Some("user-1")));
    }
}

#[test]
fn what_began_before_a_sign_out_is_over() {
    let mut world = World::discovered(issuer_options());
    let began = world.engine.sign_outs();
    world.sign_out();
    assert_eq!(world.sign_in(identified_renewal("access-1", Some("refresh-1"), "user-1"), began), signed_out());
    assert!(!world.engine.signed_in());
    assert_eq!(world.events, []);

    let mut world = World::signed_in_as(issuer_options(), "user-1", true);
    let began = world.engine.sign_outs();
    world.sign_out();
    world.events.clear();
    for _ in 0..2 {
        assert_eq!(world.sign_in(identified_renewal("access-2", Some("refresh-2"), "user-1"), began), signed_out());
        assert_eq!(world.access_token(), None);
    }
    assert_eq!(world.events, []);

    // Nor does it get into the session after that.
    let now = world.engine.sign_outs();
    world.sign_in(identified_renewal("access-3", None, "user-2"), now).expect("signed in");
    assert_eq!(world.sign_in(identified_renewal("access-4", None, "user-1"), began), signed_out());
    assert_eq!((world.user(), world.access_token().as_deref()), (Some("user-2"), Some("access-3")));
}

#[test]
fn a_renewal_meanwhile_does_not_matter() {
    let mut world = World::signed_in_as(issuer_options(), "user-1", true);
    let began = world.engine.sign_outs();
    world.renew();
    world.answer(renewed("access-2", None));
    assert_eq!(world.sign_in(identified_renewal("access-3", None, "user-1"), began), Ok(()));
    assert_eq!(world.event_names(), ["refreshed", "refreshed"]);
}

#[test]
fn the_same_user_stays_in_the_session() {
    let mut world = World::signed_in_as(issuer_options(), "user-1", true);
    world.sleep(HOUR);
    let waiter = world.must_wait(None);
    let (refresh, before, began) = (world.flight(), world.engine.stamp(), world.engine.sign_outs());
    assert_eq!(world.sign_in(identified_renewal("access-2", Some("refresh-2"), "user-1"), began), Ok(()));
    assert_eq!(world.event_names(), ["refreshed"]);
    assert_eq!(world.engine.stamp(), Stamp { generation: 2, ..before });
    assert!(matches!(world.settled_as(waiter), Some(Settled::Ready(_))));
    assert_eq!(world.aborted, [refresh]);
    world.answer_ticket(refresh, renewed("access-late", None));
    assert_eq!(world.access_token().as_deref(), Some("access-2"));

    world.renew();
    assert!(world.body().contains("refresh_token=refresh-2&"), "{}", world.body());
}

#[test]
fn a_sign_in_ends_a_back_off() {
    let mut world = World::signed_in_as(issuer_options(), "user-1", true);
    world.renew();
    world.answer(delayed(503, 10 * MINUTE));
    assert_eq!(world.engine.snapshot(world.now).failures, 1);
    let began = world.engine.sign_outs();
    world.sign_in(identified_renewal("access-2", Some("refresh-2"), "user-1"), began).expect("signed in");
    assert_eq!(world.engine.snapshot(world.now).failures, 0);
}

/// Who has a session, and who signs in.
fn others() -> Vec<(World, TokenAnswer, &'static str)> {
    let known = || World::signed_in_as(issuer_options(), "user-1", true);
    let mut unknown = World::discovered(issuer_options());
    unknown.set_tokens(response("access-1", Some("refresh-1")));
    unknown.events.clear();
    let mut unknown_twice = World::discovered(issuer_options());
    unknown_twice.set_tokens(response("access-1", Some("refresh-1")));
    unknown_twice.events.clear();
    let another_issuer = TokenAnswer { identity: Some(of_another_issuer("user-1")), ..response("access-2", None) };
    vec![
        (known(), identified("access-2", None, "user-2"), "another user"),
        (known(), another_issuer, "the same name at another issuer"),
        (known(), response("access-2", None), "a user that is not known"),
        (unknown, identified("access-2", None, "user-1"), "after one that was not known"),
        (unknown_twice, response("access-2", None), "neither is known"),
    ]
}

#[test]
fn another_user_s_session_ends_first() {
    for (mut world, answer, what) in others() {
        let (before, subject) = (world.engine.stamp(), answer.identity.clone().map(|identity| identity.subject));
        world.sleep(HOUR);
        let waiter = world.must_wait(None);
        let (refresh, began) = (world.flight(), world.engine.sign_outs());
        assert_eq!(world.sign_in(answered(200, Some(answer)), began), Ok(()), "{what}");

        assert_eq!(world.sign_out_reason(), Some(Reason::UserChanged), "{what}");
        assert_eq!(world.event_names(), ["signedout", "signedin"], "{what}");
        assert_eq!(world.settled_as(waiter), Some(Settled::SignedOut), "{what}");
        assert_eq!(world.aborted, [refresh], "{what}");
        assert_eq!(world.access_token().as_deref(), Some("access-2"), "{what}");
        assert_eq!(world.user(), subject.as_deref(), "{what}");
        assert_eq!(world.engine.stamp(), Stamp { epoch: before.epoch + 1, generation: 1 }, "{what}");
        assert_eq!(world.get_after(Some(before)), Permit::Over, "{what}: its requests do not go on in this one");
        world.answer_ticket(refresh, renewed("access-late", Some("refresh-late")));
        assert_eq!(world.access_token().as_deref(), Some("access-2"), "{what}");
        assert!(world.revoking.is_empty(), "{what}: they may be in use elsewhere");

        // Nothing of it is left to renew with.
        assert_eq!(world.renew(), None, "{what}");
        world.pass(HOUR);
        assert_eq!(world.sign_out_reason(), Some(Reason::Expired), "{what}");
        assert_eq!(world.started.len(), 1, "{what}");
    }
}

#[test]
fn a_renewal_for_another_user_is_not_used() {
    let another_issuer = TokenAnswer { identity: Some(of_another_issuer("user-1")), ..response("access-2", None) };
    for answer in [identified("access-2", Some("refresh-2"), "user-2"), another_issuer] {
        let mut world = World::signed_in_as(issuer_options(), "user-1", true);
        world.sleep(HOUR);
        let waiter = world.must_wait(None);
        world.answer(answered(200, Some(answer)));
        let failed = FailureDetail {
            cause: Cause::OauthError,
            status: Some(200),
            error: None,
            attempt: 1,
            retryable: false,
            retry_at: None,
        };
        assert_eq!(world.events[0], Event::RefreshFailed(failed));
        assert_eq!(world.sign_out_reason(), Some(Reason::UserChanged));
        assert_eq!(world.event_names(), ["refreshfailed", "signedout"]);
        assert_eq!(world.settled_as(waiter), Some(Settled::SignedOut));
        assert_eq!((world.access_token(), world.user()), (None, None));
        assert_eq!(world.get(), Permit::Anonymous);
        world.pass(DAY);
        assert_eq!(world.started.len(), 1);
    }
}

#[test]
fn a_newer_id_token_of_the_same_user_takes_the_last_one_s_place() {
    let mut world = World::signed_in_as(issuer_options(), "user-1", true);
    let newer =
        Identity { session: Some("sid-2".into()), token: Secret::new("id-token-2".into()), ..identity("user-1") };
    world.renew();
    world.answer(answered(200, Some(TokenAnswer { identity: Some(newer.clone()), ..response("access-2", None) })));
    assert_eq!(world.engine.identity(), Some(&newer));
    assert!(world.engine.logout_url().expect("a URL").expose().contains("&id_token_hint=id-token-2"));

    // One without leaves it.
    world.renew();
    world.answer(renewed("access-3", Some("refresh-3")));
    assert_eq!(world.engine.identity(), Some(&newer));
    assert_eq!(world.engine.stamp(), Stamp { epoch: 0, generation: 3 });
    // And is still compared with.
    world.renew();
    world.answer(identified_renewal("access-4", None, "user-2"));
    assert_eq!(world.sign_out_reason(), Some(Reason::UserChanged));
}

#[test]
fn a_renewal_never_says_who_it_is() {
    for options in [issuer_options(), callback_options()] {
        let mut world = World::new(options);
        world.set_tokens(response("access-1", Some("refresh-1")));
        for subject in ["user-1", "user-2"] {
            world.renew();
            world.answer(identified_renewal("access-2", None, subject));
            assert_eq!(world.user(), None);
            assert_eq!(world.access_token().as_deref(), Some("access-2"));
        }
        assert_eq!(world.event_names(), ["signedin", "refreshed", "refreshed"]);
    }
}

#[test]
fn tokens_of_the_app_s_say_nothing_either() {
    let mut world = World::discovered(issuer_options());
    world.set_tokens(identified("access-1", Some("refresh-1"), "user-1"));
    assert_eq!(world.user(), None);
    world.set_tokens(identified("access-2", None, "user-2"));
    assert_eq!(world.user(), None);
    assert_eq!(world.event_names(), ["signedin", "refreshed"]);

    let mut world = World::signed_in_as(issuer_options(), "user-1", true);
    let before = world.engine.identity().cloned();
    world.set_tokens(identified("access-2", None, "user-2"));
    assert_eq!(world.engine.identity().cloned(), before, "step-up by the app keeps the user");
    assert_eq!(world.event_names(), ["refreshed"]);
    world.renew();
    world.answer(identified_renewal("access-3", None, "user-2"));
    assert_eq!(world.sign_out_reason(), Some(Reason::UserChanged));
}

#[test]
fn who_was_signed_in_is_forgotten_with_the_session() {
    let mut world = World::signed_in_as(issuer_options(), "user-1", true);
    world.sign_out();
    assert_eq!(world.user(), None);
    world.set_tokens(response("access-2", None));
    assert_eq!(world.user(), None);

    let mut world = World::signed_in_as(issuer_options(), "user-1", true);
    world.close();
    assert_eq!(world.user(), None);
    assert_eq!(world.sign_out_reason(), None);
}

#[test]
fn a_sign_in_s_access_token_may_say_itself_when_it_expires() {
    let access = jwt(&json!({ "iat": NOW_S, "exp": NOW_S + 600.0 }));
    let body = json!({ "access_token": access, "token_type": "Bearer", "id_token": jwt(&claims().0) });
    let answer = token_answer(&body.to_string()).expect("an object");
    assert_eq!(answer.expires_in, Member::Absent);
    let mut world = World::discovered(issuer_options());
    let began = world.engine.sign_outs();
    world.sign_in(answered(200, Some(answer)), began).expect("signed in");
    assert_eq!(world.engine.snapshot(world.now).expires_at, Some((NOW_S + 600.0) * 1_000.0));
    assert_eq!(world.user(), Some("user-1"));
}
