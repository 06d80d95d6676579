//! Proof of possession: what is signed, the servers' nonces, and tokens of the wrong type.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::*;
use proptest::prelude::*;
use serde_json::{Value, json};
use tokenward::engine::event::Reason;
use tokenward::engine::oauth::dpop::{Nonces, jwk, proof};
use tokenward::engine::oauth::response::{Member, TOKEN_TYPE, TokenAnswer};
use tokenward::engine::session::Settled;
use tokenward::engine::{Refused, Repeat, Request};

const X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
const Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";

fn asked(method: &str, url: &str) -> Json {
    Json(json!({ "x": X, "y": Y, "jti": "random", "method": method, "url": url }))
}

/// The header and the claims.
fn read(input: &str) -> (Value, Value) {
    let (header, claims) = input.split_once('.').expect("two parts");
    let json = |part| serde_json::from_slice(&unbase64url(part)).expect("JSON");
    (json(header), json(claims))
}

fn unbase64url(text: &str) -> Vec<u8> {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for letter in text.bytes() {
        bits = bits << 6 | alphabet.iter().position(|known| *known == letter).expect("base64url") as u32;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    bytes
}

fn bound() -> Options {
    Options { dpop: true, ..options() }
}

fn bound_response(access: &str, refresh: Option<&str>) -> TokenAnswer {
    TokenAnswer { token_type: text("DPoP"), ..response(access, refresh) }
}

fn signed_in() -> World {
    let mut world = World::new(bound());
    world.set_tokens(bound_response("access-1", Some("refresh-1")));
    world.events.clear();
    world
}

#[test]
fn a_proof_says_what_rfc_9449_asks_for() {
    let mut nonces = Nonces::default();
    let url = "https://api.test/v1/orders?page=2#top";
    let (header, claims) = read(&proof(&asked("post", url), &nonces, 1_700_000_000_999));
    let key = json!({ "kty": "EC", "crv": "P-256", "x": X, "y": Y });
    assert_eq!(header, json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": key }));
    let htu = "https://api.test/v1/orders";
    assert_eq!(claims, json!({ "jti": "random", "htm": "POST", "htu": htu, "iat": 1_700_000_000 }));

    nonces.keep("https://api.test/other", "n-1");
    let (_, claims) = read(&proof(&asked("patch", url).with("ath", "hash"), &nonces, 0));
    let expected = json!({ "jti": "random", "htm": "patch", "htu": htu, "iat": 0, "ath": "hash", "nonce": "n-1" });
    assert_eq!(claims, expected);
}

#[test]
fn a_thumbprint_is_made_of_the_required_members_in_their_order() {
    assert_eq!(jwk(&asked("GET", "https://api.test/")), format!(r#"{{"crv":"P-256","kty":"EC","x":"{X}","y":"{Y}"}}"#));
}

#[test]
fn each_origin_has_its_newest_nonce() {
    let mut nonces = Nonces::default();
    nonces.keep("https://api.test/v1", "one");
    nonces.keep("https://id.test/token", "two");
    nonces.keep("https://api.test/v2?x", "three");
    assert_eq!(nonces.get("https://api.test/"), Some("three"));
    assert_eq!(nonces.get("https://id.test/"), Some("two"));
    assert_eq!(nonces.get("https://api.test:8443/"), None);
    assert_eq!(nonces.get("http://api.test/"), None);
    for none in ["", "with space", "quo\"te", "back\\slash", "ümlaut", "line\n", &"x".repeat(257)] {
        nonces.keep("https://api.test/", none);
        assert_eq!(nonces.get("https://api.test/"), Some("three"), "{none:?}");
    }
    for number in 0..100 {
        nonces.keep(&format!("https://{number}.test/"), "n");
    }
    let kept = (0..100).filter(|number| nonces.get(&format!("https://{number}.test/")).is_some()).count();
    assert_eq!(kept, 32);
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn a_proof_is_json_whatever_is_in_it(method: String, url: String, nonce: String) {
        let mut nonces = Nonces::default();
        nonces.keep("https://api.test", &nonce);
        let url = format!("https://api.test/{url}");
        let (_, claims) = read(&proof(&asked(&method, &url), &nonces, 5_000));
        prop_assert!(claims["htu"].as_str().is_some_and(|htu| !htu.contains(['?', '#'])));
    }
}

#[test]
fn a_bound_token_goes_by_its_own_scheme() {
    let mut world = signed_in();
    let header = world.engine.authorization().expect("signed in");
    assert_eq!(header.expose(), "DPoP access-1");
    let (access, _) = world.engine.lend(None, world.now).and_then(|loan| loan.token).expect("there is one");
    assert_eq!((access.token_type(), access.is_bound()), ("DPoP", true));
    world.drain();
}

#[test]
fn tokens_of_the_wrong_type_are_refused_and_nothing_is_lost() {
    for (options, wrong, right) in [
        (bound(), response("wrong", Some("refresh-2")), bound_response("access-1", Some("refresh-1"))),
        (options(), bound_response("wrong", Some("refresh-2")), response("access-1", Some("refresh-1"))),
    ] {
        let mut world = World::new(options);
        assert_eq!(world.engine.set_tokens(grant(wrong.clone()), world.now, world.now), Err(TOKEN_TYPE));
        assert!(!world.engine.signed_in());
        world.set_tokens(right.clone());
        world.events.clear();
        assert_eq!(world.engine.set_tokens(grant(wrong.clone()), world.now, world.now), Err(TOKEN_TYPE));

        let waiter = world.renew().expect("something to renew with");
        world.answer(answered(200, Some(wrong)));
        assert_eq!(world.event_names(), ["refreshfailed"]);
        assert_eq!(world.settled_as(waiter), None);
        assert_eq!(world.access_token().as_deref(), Some("access-1"));
        // The server has used up the first one.
        world.pass_until_refresh(MINUTE).expect("another try");
        assert!(world.body().contains("refresh_token=refresh-2&"));
        world.answer(answered(200, Some(TokenAnswer { access_token: text("access-2"), ..right })));
        assert!(matches!(world.settled_as(waiter), Some(Settled::Ready(_))));
    }
}

#[test]
fn a_sign_in_that_brings_a_token_of_the_wrong_type_fails() {
    let mut world = World::discovered(Options { dpop: true, ..issuer_options() });
    let exchange = answered(200, Some(response("access-1", None)));
    let fault = world.engine.check_answer(&exchange, &transaction(), &claims(), world.now).expect_err("a downgrade");
    assert_eq!(fault.code, "token_type_mismatch");
}

#[test]
fn proofs_are_dated_by_the_clock_of_the_authorization_server() {
    let mut world = World::discovered(Options { dpop: true, ..issuer_options() });
    let iat = |world: &World| read(world.engine.proof(&asked("GET", API), world.now).expose()).1["iat"].as_f64();
    assert_eq!(iat(&world), Some(NOW_S));
    let exchange = answered(200, Some(bound_response("access-1", None)));
    let ahead = claims().with("iat", NOW_S + 7_200.0).with("exp", NOW_S + 7_500.0);
    world.engine.check_answer(&exchange, &transaction(), &ahead, world.now).expect("a good ID token");
    assert_eq!(iat(&world), Some(NOW_S + 7_200.0));
    let behind = claims().with("iat", NOW_S - 86_400.0).with("exp", NOW_S - 86_100.0);
    world.engine.check_answer(&exchange, &transaction(), &behind, world.now).expect("a good ID token");
    assert_eq!(iat(&world), Some(NOW_S - 86_400.0));
}

#[test]
fn the_authorization_request_is_bound_to_the_key() {
    let world = World::discovered(Options { dpop: true, ..issuer_options() });
    let request = |transaction: &Json| world.engine.authorization_request(transaction).expect("a request");
    assert!(request(&transaction().with("jkt", "thumb-print")).expose().contains("&dpop_jkt=thumb-print&"));
    assert!(!request(&transaction()).expose().contains("dpop_jkt"));
    let forged = transaction().with("extraParams", json!(["dpop_jkt", "mine"]));
    assert_eq!(world.engine.authorization_request(&forged).expect_err("ours").code, "invalid_option");
}

#[test]
fn a_resource_gets_its_nonce_once() {
    let mut world = signed_in();
    let stamp = world.engine.stamp();
    let wants = refusal(401, r#"DPoP error="use_dpop_nonce", error_description="...""#);
    let refused = |world: &mut World, request: Request, answer: &Refused| {
        let repeat = world.engine.refused(request, "GET", stamp, answer, world.now);
        world.drain();
        repeat
    };
    let request = world.request();
    assert_eq!(refused(&mut world, request, &wants), Repeat::No, "none came along");
    world.engine.keep_nonce("https://other.test/", "n-0");
    assert_eq!(refused(&mut world, request, &wants), Repeat::No, "nor of this origin");
    world.engine.keep_nonce(API, "n-1");
    assert_eq!(refused(&mut world, request, &wants), Repeat::Nonced);
    assert_eq!(refused(&mut world, request, &Refused { replayed: true, ..wants.clone() }), Repeat::Nonced);
    assert_eq!(refused(&mut world, request, &Refused { nonced: true, ..wants.clone() }), Repeat::No, "once");
    assert_eq!(refused(&mut world, Request { one_shot: true, ..request }, &wants), Repeat::No);
    let elsewhere = Refused { redirected_to: Some("https://evil.test/".into()), ..wants.clone() };
    assert_eq!(refused(&mut world, request, &elsewhere), Repeat::No);
    assert!(world.started.is_empty(), "that is no reason to renew");

    // What is wrong with the token after that is another matter.
    let invalid = Refused { nonced: true, ..refusal(401, r#"DPoP error="invalid_token""#) };
    assert_eq!(refused(&mut world, request, &invalid), Repeat::Newer);
    assert_eq!(world.started.len(), 1);

    world.engine.sign_out(Reason::SignOut, world.now);
    world.drain();
    assert_eq!(refused(&mut world, request, &wants), Repeat::No, "its session is over");
}

#[test]
fn a_borrower_takes_what_it_is_lent() {
    for response in [response("lent", None), bound_response("lent", None)] {
        let mut world = World::new(Options { borrows: true, ..callback_options() });
        world.set_tokens(TokenAnswer { refresh_token: Member::Absent, ..response });
        assert_eq!(world.access_token().as_deref(), Some("lent"));
    }
}
