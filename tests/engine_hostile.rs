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
    let began = world.engine.stamp();
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
