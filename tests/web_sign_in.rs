//! Sign-in, restoring and sign-outs through the shell, over the same host.
#![cfg(target_arch = "wasm32")]

mod web_host;

use wasm_bindgen::prelude::*;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};
use web_host::*;

wasm_bindgen_test_configure!(run_in_browser);

/// A ward of an issuer, with a backend and hidden frames.
const ISSUER_OPTIONS: &str = r#"{
    "clientId": "spa",
    "issuer": "https://id.test",
    "page": "https://app.test/orders",
    "silent": true,
    "urls": [null, null, null, null, null, null, "https://app.test/session", "https://app.test/session/end",
        "https://app.test/callback", null, null, "https://id.test/"],
    "resources": [{ "name": "resources[0]", "url": "https://api.test/v1/" }]
}"#;

// The numbers of `steps.js`.
const SET_TOKENS: u8 = 3;
const SIGN_OUT: u8 = 5;
const ENDPOINT: u8 = 8;
const BASE64URL: u8 = 9;
const AT_HASH: u8 = 10;
const REQUEST: u8 = 11;
const CODE_REQUEST: u8 = 15;
const CHECK: u8 = 16;
const TAKE: u8 = 17;
const LOGOUT_URL: u8 = 18;
const HEARD: u8 = 19;
const METADATA_URL: u8 = 20;
const DISCOVERED: u8 = 21;
const KEY: u8 = 22;
const RESTORE: u8 = 23;
const ID_TOKEN: u8 = 24;
const TIMEOUT_MS: u8 = 25;
const SIGN_OUTS: u8 = 26;
const GRANTED: u8 = 27;
const UNLOCKED: u8 = 28;

const METADATA: &str = r#"{
    "issuer": "https://id.test",
    "token_endpoint": "https://id.test/token",
    "end_session_endpoint": "https://id.test/logout"
}"#;

const TRANSACTION: &str = r#"{
    "scope": "openid", "page": "https://app.test/", "returnTo": "https://app.test/", "extraParams": ["a", "b c"],
    "state": "s", "nonce": "n", "verifier": "v", "challenge": "c", "issuer": "https://id.test", "at": 1000000,
    "redirectUri": "https://app.test/callback", "resource": ["https://a.test/", "https://b.test/"], "maxAge": 0
}"#;

impl World {
    fn step(&self, step: u8, arguments: &[&str]) -> String {
        let argument = |at: usize| arguments.get(at).map_or(JsValue::UNDEFINED, |text| parse(text));
        json(&match self.core.step(step, &argument(0), &argument(1), &argument(2)) {
            Ok(value) => value,
            Err(error) => error,
        })
    }

    fn of_issuer() -> Self {
        let world = Self::new(ISSUER_OPTIONS);
        assert_eq!(world.step(DISCOVERED, &[METADATA]), "null");
        world
    }
}

#[wasm_bindgen_test]
fn a_sign_in_goes_step_by_step() {
    let world = World::new(ISSUER_OPTIONS);
    assert_eq!(world.step(ENDPOINT, &["0"]), r#"["endpoint_unknown","token_endpoint",null]"#);
    let well_known = |which| world.step(METADATA_URL, &[which]);
    assert_eq!(well_known("0"), r#""https://id.test/.well-known/openid-configuration""#);
    assert_eq!(well_known("1"), r#""https://id.test/.well-known/oauth-authorization-server""#);
    assert_eq!(world.step(DISCOVERED, &["{}"]), r#"["issuer_mismatch","issuer",null]"#);
    assert_eq!(world.step(DISCOVERED, &[METADATA]), "null");
    assert_eq!(world.step(ENDPOINT, &["0"]), r#""https://id.test/token""#);
    assert_eq!(world.step(TIMEOUT_MS, &[]), "15000");
    assert_eq!(
        world.step(REQUEST, &[TRANSACTION]),
        r#""client_id=spa&response_type=code&redirect_uri=https%3A%2F%2Fapp.test%2Fcallback&code_challenge_method=S256&code_challenge=c&state=s&nonce=n&scope=openid&max_age=0&resource=https%3A%2F%2Fa.test%2F&resource=https%3A%2F%2Fb.test%2F&a=b+c""#
    );
    assert_eq!(world.step(REQUEST, &["{}"]), r#"["invalid_option","redirectUri must be set to sign in",null]"#);
    let answer = r#"{ "state": "s", "code": "1" }"#;
    let request = world.step(CODE_REQUEST, &[TRANSACTION, answer]);
    assert!(request.contains("grant_type=authorization_code") && request.contains("code_verifier=v"), "{request}");
    assert_eq!(world.step(CODE_REQUEST, &["{}", answer]), r#"["state_mismatch","",null]"#);

    let answer =
        r#"{ "status": 200, "body": { "access_token": "AT1", "expires_in": 100, "id_token": "an.id.token" } }"#;
    let claims = r#"{ "iss": "https://id.test", "sub": "user-1", "aud": "spa", "exp": 1100, "iat": 1000, "nonce": "n", "auth_time": 1000 }"#;
    assert_eq!(
        world.step(CHECK, &[answer, TRANSACTION, &claims.replace("spa", "x")]),
        r#"["id_token_invalid","aud",null]"#
    );
    assert_eq!(world.step(CHECK, &[answer, TRANSACTION, claims]), "null");
    let refused = r#"{ "status": 400, "body": { "error": "invalid_grant" } }"#;
    assert_eq!(world.step(CHECK, &[refused, TRANSACTION]), r#"["token_request_failed","invalid_grant",400]"#);
    assert_eq!(world.step(ID_TOKEN, &[]), "null");
    // The request was sent 20 s ago.
    assert_eq!(world.step(TAKE, &[answer, &world.step(SIGN_OUTS, &[]), "20000"]), "null");
    assert_eq!(world.calls("emit"), [r#"["emit","signedin",{"generation":1,"expiresAt":1080000,"scope":null}]"#]);
    assert_eq!(world.step(ID_TOKEN, &[]), r#""an.id.token""#);
    assert_eq!(world.step(LOGOUT_URL, &[]), r#""https://id.test/logout?client_id=spa&id_token_hint=an.id.token""#);
    assert_eq!(world.step(TAKE, &[answer, "1", "0"]), r#"["signed_out","",null]"#);
}

#[wasm_bindgen_test]
fn bytes_and_keys_cross_over() {
    let world = World::of_issuer();
    let bytes = js_sys::Uint8Array::from(&[3_u8, 236, 255, 224, 193][..]).into();
    let encoded = |step| world.core.step(step, &bytes, &JsValue::UNDEFINED, &JsValue::UNDEFINED).expect("text");
    assert_eq!(encoded(BASE64URL), "A-z_4ME");
    assert_eq!(encoded(AT_HASH), "A-w");
    let keys = r#"[{ "kty": "EC", "crv": "P-256", "kid": "a" }, { "kty": "RSA", "kid": "b" }]"#;
    assert_eq!(world.step(KEY, &[r#"{ "alg": "RS256", "kid": "b" }"#, keys]), r#"[1,"RSASSA-PKCS1-v1_5 SHA-256"]"#);
    assert_eq!(world.step(KEY, &[r#"{ "alg": "RS256", "kid": "c" }"#, keys, "false"]), "null");
    let unknown = r#"["id_token_invalid","kid",null]"#;
    assert_eq!(world.step(KEY, &[r#"{ "alg": "RS256", "kid": "c" }"#, keys, "true"]), unknown);
    assert_eq!(world.step(KEY, &[r#"{ "alg": "RS256", "crit": [] }"#, keys]), r#"["id_token_invalid","crit",null]"#);
    assert_eq!(world.step(KEY, &["null", "null"]), r#"["id_token_invalid","alg",null]"#);
}

#[wasm_bindgen_test]
fn a_backend_and_a_frame_are_asked_for_a_session() {
    let world = World::of_issuer();
    let waiter = world.step(RESTORE, &["0"]);
    assert_eq!(world.calls("lock"), [r#"["lock",0,3]"#]);
    world.step(GRANTED, &["0", "3"]);
    assert_eq!(world.calls("post"), [r#"["post",0,3,6,"",1048576]"#]);
    world.core.replied(0, 3, 0, &parse(r#"{ "status": 401 }"#));
    assert_eq!(world.calls("settle"), [format!(r#"["settle",{waiter},2,0]"#)]);

    let waiter = world.step(RESTORE, &["1"]);
    assert_eq!(world.calls("silent"), [r#"["silent",0,5]"#]);
    world.core.replied(0, 5, 3, &parse(r#"{ "body": { "error": "login_required" } }"#));
    assert_eq!(world.calls("settle"), [format!(r#"["settle",{waiter},2,0]"#)]);

    let waiter = world.step(RESTORE, &["0"]);
    // The page has no locks: it goes without.
    world.step(UNLOCKED, &["0", "8", "true"]);
    world.core.replied(
        0,
        8,
        0,
        &parse(r#"{ "status": 200, "body": { "access_token": "AT1", "id_token": "an.id.token" } }"#),
    );
    assert_eq!(world.calls("settle"), [format!(r#"["settle",{waiter},0,0]"#)]);
    assert_eq!(world.step(ID_TOKEN, &[]), r#""an.id.token""#);

    assert_eq!(world.step(SIGN_OUT, &[]), "1");
    assert_eq!(world.step(ID_TOKEN, &[]), "null");
    let posts = world.calls("post");
    assert!(posts.iter().any(|post| post.contains(r#",7,"",1048576]"#)), "the backend's sign-out: {posts:?}");
}

/// A backend was asked for a session, under the lock of ticket 3, which is let go at once or later.
fn asked_under_a_lock(unlocks_later: bool) -> World {
    let world = World::of_issuer();
    world.set("unlocksLater", &unlocks_later.into());
    world.step(RESTORE, &["0"]);
    world.step(GRANTED, &["0", "3"]);
    assert_eq!(world.names(), ["lock", "locked", "post"]);
    world
}

const TOKENS: &str = r#"{ "status": 200, "body": { "access_token": "AT1", "expires_in": 100 } }"#;

#[wasm_bindgen_test]
fn the_app_hears_nothing_under_a_lock() {
    let world = asked_under_a_lock(true);
    world.answer(3, TOKENS);
    // The other tabs do.
    assert_eq!(world.names(), ["refreshed", "unlock", "signedin"]);
    assert!(world.core.signed_in());
    world.authorize();
    assert_eq!(world.names(), [""; 0]);
    world.step(UNLOCKED, &["0", "3"]);
    assert_eq!(world.names(), ["emit", "settle"]);

    // Where no lock was, none has to be let go.
    let world = asked_under_a_lock(false);
    world.answer(3, TOKENS);
    assert_eq!(world.names(), ["refreshed", "unlock", "signedin", "emit", "settle"]);
}

#[wasm_bindgen_test]
fn closing_waits_for_no_lock() {
    let world = asked_under_a_lock(true);
    world.answer(3, TOKENS);
    world.names();
    world.core.close();
    assert_eq!(world.names(), ["emit", "settle"]);

    let world = asked_under_a_lock(true);
    world.core.close();
    assert_eq!(world.names(), ["abort", "unlock", "settle"]);
    // It comes all the same.
    world.step(UNLOCKED, &["0", "3"]);
    assert_eq!(world.names(), [""; 0]);
}

#[wasm_bindgen_test]
fn every_request_for_the_lock_goes_out() {
    let world = World::of_issuer();
    world.set("unlocksLater", &true.into());
    world.step(RESTORE, &["0"]);
    assert_eq!(world.calls("lock"), [r#"["lock",0,3]"#]);
    world.set("now", &(1_000_000.0 + 20_000.0).into());
    dispatch(&world.host, "focus");
    assert_eq!(world.names(), ["unlock"]);
    world.step(UNLOCKED, &["0", "3"]);
    assert_eq!(world.calls("steal"), [r#"["steal",0,4]"#]);
    world.step(GRANTED, &["0", "4"]);
    assert_eq!(world.sleep_until("post", 499.0), [""; 0]);
    assert_eq!(world.sleep_until("post", 1.0), [r#"["post",0,4,6,"",1048576]"#]);
}

#[wasm_bindgen_test]
fn a_sign_out_elsewhere_is_heard() {
    let world = World::of_issuer();
    world.step(SET_TOKENS, &[r#"{ "access_token": "AT1", "id_token": "an.id.token" }"#, "0"]);
    assert_eq!(world.step(ID_TOKEN, &[]), "null", "tokens of the app's name nobody");
    world.step(HEARD, &[r#"{ "iss": "https://other.test", "sid": "1" }"#, "3"]);
    assert!(world.core.signed_in());
    world.calls("emit");
    for signal in ["0", "1", "2"] {
        world.step(HEARD, &["{}", signal]);
    }
    assert_eq!(world.calls("emit"), [""; 0]);
    world.step(HEARD, &[r#"{ "iss": "https://id.test", "sid": "1" }"#, "3"]);
    assert_eq!(world.calls("emit"), [r#"["emit","signedout",{"reason":"elsewhere","error":null}]"#]);
}

#[wasm_bindgen_test]
fn tokens_that_break_a_rule_are_refused_by_name() {
    let world = World::of_issuer();
    for (response, message) in [
        ("null", "access_token must be a string of visible ASCII characters"),
        (r#"{ "access_token": 1 }"#, "access_token must be a string of visible ASCII characters"),
        (
            r#"{ "access_token": "AT1", "token_type": "DPoP" }"#,
            "token_type must be Bearer, or DPoP where the option dpop is set",
        ),
    ] {
        let error = format!(r#"["invalid_token_response","{message}",null]"#);
        assert_eq!(world.step(SET_TOKENS, &[response, "0"]), error);
    }
    assert!(!world.core.signed_in());
}
