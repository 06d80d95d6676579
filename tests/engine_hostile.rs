//! What a careless or hostile server, or shell, sends the engine of a sign-in.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::*;
use serde_json::json;
use tokenward::engine::Work;
use tokenward::engine::event::Reason;
use tokenward::engine::oauth::id_token::check;
use tokenward::engine::oauth::response::{Member, TokenAnswer};
use tokenward::engine::oauth::server::Endpoint;
use tokenward::engine::session::Way;

#[test]
fn metadata_name_no_backend() {
    let mut world = World::new(issuer_options());
    let hostile = metadata().with("", "https://evil.test/x");
    assert_eq!(world.engine.discovered(&hostile), Ok(()));
    assert!(world.engine.endpoint(Endpoint::Session).is_err());
    assert!(world.engine.endpoint(Endpoint::SessionEnd).is_err());
    world.sign_out();
    assert!(world.revoking.is_empty(), "{:?}", world.revoking);
}

#[test]
fn an_odd_member_does_not_spoil_metadata() {
    let mut world = World::new(issuer_options());
    let odd = metadata().with("", "nonsense");
    assert_eq!(world.engine.discovered(&odd), Ok(()));
}

#[test]
fn a_class_that_is_missing_is_none_of_those_asked_for() {
    for asked in ["gold ", " gold", "gold  silver"] {
        let transaction = transaction().with("acrValues", asked);
        for claims in [claims(), claims().with("acr", ""), claims().with("acr", 1)] {
            assert_eq!(
                check(&claims, Some(&ISSUER.into()), "spa", &transaction, START.wall_ms),
                Err("acr"),
                "{asked:?} {claims:?}"
            );
        }
    }
}

#[test]
fn a_backend_s_401_is_no_session_whatever_its_words() {
    for body in [r#"{"error":"unauthorized"}"#, r#"{"error":"unauthenticated"}"#, r#"{"error":"invalid_token"}"#] {
        let mut world = World::discovered(session_options());
        world.restore(Way::Session);
        world.answer(renewed("access-1", None));
        world.renew();
        world.answer(answered(401, token_answer(body)));
        assert_eq!(world.sign_out_reason(), Some(Reason::LoginRequired), "{body}");
    }
}

#[test]
fn an_id_token_that_was_not_checked_names_nobody() {
    let mut world = World::discovered(issuer_options());
    let body = json!({ "access_token": "a", "id_token": jwt(&json!({ "iss": "https://evil.test", "sub": "x", "aud": "other", "exp": 1 })) });
    let exchange = answered(200, token_answer(&body.to_string()));
    let plain = transaction().with("scope", "orders");
    let bad = Json(json!({ "iss": "https://evil.test", "sub": "x", "aud": "other", "exp": 1 }));
    let began = world.engine.sign_outs();
    if world.engine.check_answer(&exchange, &plain, &bad, world.now).is_ok() {
        world.sign_in(exchange, began).expect("signed in");
        assert_eq!(world.user(), None);
    }
}

#[test]
fn lists_print_without_their_texts() {
    let answer = TokenAnswer { access_token: Member::List(vec!["canary".into()]), ..TokenAnswer::default() };
    assert!(!format!("{answer:?}").contains("canary"), "{answer:?}");
}

#[test]
fn a_way_that_is_not_set_up_is_not_gone() {
    for way in [Way::Session, Way::Silent, Way::Callback] {
        let mut world = World::new(bare_options());
        world.restore(way);
        assert!(world.running.is_empty(), "{way:?}: {:?}", world.running);
    }
}

#[test]
fn a_push_takes_a_201() {
    let world = World::discovered(issuer_options());
    let answer = Json(json!({ "request_uri": "urn:x" }));
    for status in [400, 403, 500] {
        assert!(world.engine.pushed(&answered(status, Some(TokenAnswer::default())), &answer).is_err(), "{status}");
    }
    let _ = Work::Silent;
}

#[test]
fn a_sign_in_outlives_a_session_that_ends_meanwhile_but_no_sign_out() {
    let mut world = World::signed_in_as(issuer_options(), "user-1", true);
    let began = world.engine.sign_outs();
    world.renew();
    world.answer(refused_with("invalid_grant"));
    assert!(!world.engine.signed_in());
    assert_eq!(world.sign_in(identified_renewal("access-2", Some("refresh-2"), "user-1"), began), Ok(()));
    assert_eq!(world.user(), Some("user-1"));

    let began = world.engine.sign_outs();
    world.signed_out_elsewhere(Some(ISSUER), None);
    let over = world.sign_in(identified_renewal("access-3", Some("refresh-3"), "user-1"), began);
    assert_eq!(over.expect_err("signed out elsewhere").code, "signed_out");
    // Nor one that began while nobody was signed in.
    let began = world.engine.sign_outs();
    world.signed_out_elsewhere(Some(ISSUER), None);
    assert!(world.sign_in(identified_renewal("access-3", Some("refresh-3"), "user-1"), began).is_err());
}

#[test]
fn a_refresh_token_that_may_be_used_up_is_waited_for() {
    let mut world = World::signed_in_as(issuer_options(), "user-1", true);
    world.renew();
    let began = world.engine.sign_outs();
    assert_eq!(world.sign_in(identified_renewal("access-2", None, "user-1"), began), Ok(()));
    assert_eq!(world.aborted, []);
    world.answer(renewed("access-3", Some("refresh-3")));
    world.renew();
    assert!(world.body().contains("refresh_token=refresh-3&"), "{}", world.body());
}

#[test]
fn who_has_to_stay_the_same_has_to_be_named() {
    let mut world = World::discovered(issuer_options());
    let plain = transaction().with("scope", "orders").with("subject", "user-1");
    let nobody = Json(serde_json::Value::Null);
    let fault = world.engine.check_answer(&renewed("access-1", None), &plain, &nobody, world.now);
    assert_eq!(fault.expect_err("nobody").code, "id_token_invalid");
}

#[test]
fn a_frame_that_names_nobody_brings_no_tokens_into_a_session_of_somebody() {
    let mut world = World::discovered(silent_options());
    world.restore(Way::Silent);
    world.answer(identified_renewal("access-1", None, "user-1"));
    world.renew();
    world.answer(renewed("access-2", None));
    assert_eq!((world.user(), world.access_token().as_deref()), (Some("user-1"), Some("access-1")));
}

#[test]
fn only_the_tab_that_signs_out_ends_the_backend_s_session() {
    let mut world = World::discovered(session_options());
    world.restore(Way::Session);
    world.answer(identified_renewal("access-1", None, "user-1"));
    world.signed_out_elsewhere(Some(ISSUER), None);
    assert_eq!(world.sign_out_reason(), Some(Reason::Elsewhere));
    assert!(!world.revoking.iter().any(|(_, work)| *work == Work::EndSession), "{:?}", world.revoking);
}

#[test]
fn a_page_without_an_origin_has_nowhere_to_return_to() {
    let world = World::discovered(issuer_options());
    let nowhere = transaction().with("page", "about:srcdoc").with("returnTo", "javascript:alert(1)");
    assert!(world.engine.authorization_request(&nowhere).is_err());
}
