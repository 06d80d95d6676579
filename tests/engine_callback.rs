//! The authorization server's answer: whose it must be, how old, and the token request that follows.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::*;
use proptest::prelude::*;
use serde_json::{Value, json};
use tokenward::engine::failure::{Cause, Exchange};
use tokenward::engine::oauth::fault::Fault;
use tokenward::engine::oauth::response::TokenAnswer;
use tokenward::engine::schedule::Moment;

fn asked(world: &World, transaction: &Json, answer: &Json) -> Result<String, Fault> {
    world.engine.code_request(transaction, answer, world.now).map(|form| form.expose().into())
}

/// The code of the fault of this answer to a good transaction.
fn fault(world: &World, answer: &Json) -> &'static str {
    asked(world, &transaction(), answer).expect_err("a fault").code
}

#[test]
fn the_token_request_is_the_code_with_its_verifier() {
    let world = World::discovered(issuer_options());
    let request = asked(&world, &transaction(), &code_answer().with("code", "a/b c"));
    let mut sent = decode(&request.expect("a request"));
    sent.sort();
    let expected = [
        ("client_id", "spa"),
        ("code", "a/b c"),
        ("code_verifier", "verifier-1"),
        ("grant_type", "authorization_code"),
        ("redirect_uri", "https://app.test/callback"),
    ];
    assert_eq!(sent, expected.map(|(name, value)| (name.to_string(), value.to_string())));

    // RFC 8707 section 2.2; the redirect URI is the one that was sent, not the one that is configured.
    let other = transaction()
        .with("resource", json!(["https://a.test/", "https://b.test/"]))
        .with("redirectUri", "https://app.test/relay");
    let request = asked(&world, &other, &code_answer()).expect("a request");
    assert!(request.contains("&redirect_uri=https%3A%2F%2Fapp.test%2Frelay&"), "{request}");
    assert_eq!(request.matches("resource=https%3A%2F%2F").count(), 2, "{request}");
}

#[test]
fn an_answer_is_to_the_transaction_of_its_state() {
    let world = World::discovered(issuer_options());
    assert!(asked(&world, &transaction(), &code_answer()).is_ok());
    for other in [json!("r-state-2"), json!("R-state-1"), json!("r-state-1 "), json!(""), json!(1), Value::Null] {
        let answer = code_answer().with("state", other.clone());
        assert_eq!(fault(&world, &answer), "state_mismatch", "{other}");
        // Before anything else that is wrong with it is looked at.
        let answer = answer.with("error", "access_denied").with("iss", "https://evil.test");
        assert_eq!(fault(&world, &answer), "state_mismatch", "{other}");
    }
    assert_eq!(fault(&world, &code_answer().without("state")), "state_mismatch");
    // Used up, or never begun: there is no transaction.
    for none in [Json(json!({})), Json(Value::Null), transaction().without("state")] {
        for answer in [code_answer(), code_answer().without("state")] {
            assert_eq!(asked(&world, &none, &answer).expect_err("no transaction").code, "state_mismatch");
        }
    }
}

#[test]
fn a_transaction_is_good_for_ten_minutes() {
    let world = World::discovered(issuer_options());
    let at = |ms: i64| {
        let now = Moment { wall_ms: START.wall_ms.wrapping_add_signed(ms), ..START };
        world.engine.code_request(&transaction(), &code_answer(), now).map_err(|fault| fault.code)
    };
    // Below zero the clock was set back meanwhile.
    for ms in [0, 1, 599_999, -1, -86_400_000, -(START.wall_ms as i64)] {
        assert!(at(ms).is_ok(), "{ms}");
    }
    // Or set forward, which looks the same.
    for ms in [600_000, 600_001, 86_400_000] {
        assert_eq!(at(ms), Err("transaction_expired"), "{ms}");
    }
    for at in [json!("1800000000000"), json!(true), Value::Null] {
        let undated = transaction().with("at", at);
        assert_eq!(asked(&world, &undated, &code_answer()).expect_err("no time").code, "transaction_expired");
    }
}

#[test]
fn after_a_clock_was_set_forward_the_next_sign_in_succeeds() {
    let world = World::discovered(issuer_options());
    let now = START.plus(3 * HOUR);
    let finish = |transaction: &Json| world.engine.code_request(transaction, &code_answer(), now);
    assert_eq!(finish(&transaction()).expect_err("expired").code, "transaction_expired");
    assert!(finish(&transaction().with("at", now.wall_ms)).is_ok());
}

#[test]
fn a_transaction_is_bound_to_the_issuer_that_was_asked() {
    let world = World::discovered(issuer_options());
    for other in [json!("https://other.test"), json!("https://id.test/"), json!(""), Value::Null] {
        let other = transaction().with("issuer", other);
        assert_eq!(asked(&world, &other, &code_answer()).expect_err("mixed up").code, "issuer_mismatch");
    }
    // With endpoints alone there is none on either side.
    let world = World::new(options());
    assert!(asked(&world, &transaction().without("issuer"), &code_answer()).is_ok());
    assert!(asked(&world, &transaction().without("issuer"), &code_answer().with("iss", "https://any.test")).is_ok());
    assert_eq!(fault(&world, &code_answer()), "issuer_mismatch");
}

#[test]
fn who_answers_is_who_was_asked() {
    // RFC 9207 section 2.4.
    let silent = World::discovered(issuer_options());
    let mut naming = World::new(issuer_options());
    let metadata = metadata().with("authorization_response_iss_parameter_supported", true);
    naming.engine.discovered(&metadata).expect("good metadata");

    assert!(asked(&silent, &transaction(), &code_answer()).is_ok());
    assert_eq!(fault(&naming, &code_answer()), "issuer_mismatch", "advertised and missing");
    assert_eq!(fault(&naming, &code_answer().with("error", "access_denied")), "issuer_mismatch");
    for world in [&silent, &naming] {
        assert!(asked(world, &transaction(), &code_answer().with("iss", ISSUER)).is_ok());
        for other in [json!("https://evil.test"), json!("https://id.test/"), json!(""), json!(1), json!([ISSUER])] {
            let answer = code_answer().with("iss", other.clone());
            assert_eq!(fault(world, &answer), "issuer_mismatch", "{other}");
            let answer = answer.with("error", "login_required");
            assert_eq!(fault(world, &answer), "issuer_mismatch", "{other}: nor may it refuse");
        }
    }
}

#[test]
fn an_error_is_told_by_its_code() {
    let world = World::discovered(issuer_options());
    let failed = |detail: &str| Err(Fault::new("authorization_failed", detail));
    for error in ["access_denied", "login_required", "server_error", "invalid_target"] {
        let answer = code_answer().without("code").with("error", error).with("error_description", "<b>no</b>");
        assert_eq!(asked(&world, &transaction(), &answer), failed(error));
        assert_eq!(asked(&world, &transaction(), &answer.with("code", "code-1")), failed(error), "and a code");
    }
    for junk in ["Access Denied", "<script>", "code-1", "", "a\nb", "ünfug", &"a".repeat(49)] {
        let answer = code_answer().with("error", junk);
        assert_eq!(asked(&world, &transaction(), &answer), failed(""), "{junk}: not echoed");
    }
    assert_eq!(asked(&world, &transaction(), &code_answer().with("error", true)), failed(""));
    assert_eq!(asked(&world, &transaction(), &code_answer().without("code")), failed(""), "neither");
}

proptest! {
    #![proptest_config(cases(1_000))]

    #[test]
    fn no_other_state_passes(state: String, code: String, iss in proptest::option::of("[a-z:/.]{0,20}")) {
        let world = World::discovered(issuer_options());
        let mut answer = code_answer().with("state", state.as_str()).with("code", code.as_str());
        if let Some(iss) = &iss {
            answer = answer.with("iss", iss.as_str());
        }
        prop_assume!(state != "r-state-1");
        prop_assert_eq!(fault(&world, &answer), "state_mismatch");
    }

    #[test]
    fn what_a_server_says_is_not_echoed(error: String) {
        let world = World::discovered(issuer_options());
        let fault = asked(&world, &transaction(), &code_answer().with("error", error.as_str())).expect_err("an error");
        prop_assert!(fault.detail.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase()));
        prop_assert!(fault.detail.is_empty() || fault.detail == error);
    }
}

/// What is said of this answer to the token request, whose ID token has good claims.
fn judged(exchange: &Exchange, transaction: &Json, claims: &Json) -> Result<(), Fault> {
    let mut world = World::discovered(issuer_options());
    world.engine.check_answer(exchange, transaction, claims, world.now)
}

#[test]
fn the_token_endpoint_s_answer_is_judged() {
    let fault = |code, detail: &str, status| Err(Fault { code, detail: detail.into(), status });
    let unusable = answered(200, Some(TokenAnswer { token_type: text("mac"), ..response("access-1", None) }));
    let rows = [
        (renewed("access-1", None), Ok(())),
        (refused_with("invalid_grant"), fault("token_request_failed", "invalid_grant", Some(400))),
        (
            answered(401, Some(error_response("invalid_client"))),
            fault("token_request_failed", "invalid_client", Some(401)),
        ),
        (
            answered(200, Some(error_response("invalid_grant"))),
            fault("token_request_failed", "invalid_grant", Some(200)),
        ),
        (answered(500, None), fault("server_unavailable", "", Some(500))),
        (answered(404, None), fault("server_unavailable", "", Some(404))),
        (answered(200, None), fault("server_unavailable", "", Some(200))),
        (answered(200, Some(TokenAnswer::default())), fault("server_unavailable", "", Some(200))),
        (unusable, fault("server_unavailable", "", Some(200))),
        (delayed(429, 1_000), fault("server_unavailable", "", Some(429))),
        (refused_with("Bad Code"), fault("server_unavailable", "", Some(400))),
        (Exchange::Failed(Cause::TooLarge), fault("server_unavailable", "", None)),
    ];
    for (exchange, expected) in rows {
        assert_eq!(judged(&exchange, &transaction(), &claims()), expected, "{exchange:?}");
    }
}

#[test]
fn with_openid_there_has_to_be_an_id_token() {
    let none = Json(Value::Null);
    let missing = judged(&renewed("access-1", None), &transaction(), &none).expect_err("no ID token");
    assert_eq!((missing.code, missing.detail.as_str()), ("id_token_invalid", "iss"));
    assert_eq!(judged(&renewed("access-1", None), &transaction().with("scope", "orders"), &none), Ok(()));
    let wrong = judged(&renewed("access-1", None), &transaction(), &claims().with("nonce", "other"));
    assert_eq!(wrong, Err(Fault::new("id_token_invalid", "nonce")));
}

#[test]
fn an_id_token_that_was_not_asked_for_has_to_be_right_all_the_same() {
    let plain = transaction().with("scope", "orders");
    let judge = |claims: &Json| judged(&renewed("access-1", None), &plain, claims).map_err(|fault| fault.detail);
    assert_eq!(judge(&claims()), Ok(()));
    for (claim, wrong) in [("iss", json!("https://evil.test")), ("aud", json!("other")), ("exp", json!(1))] {
        assert_eq!(judge(&claims().with(claim, wrong)), Err(claim.into()));
    }
}
