//! Which key verifies an ID token, and when the server's keys are fetched again.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::*;
use serde_json::{Value, json};
use tokenward::engine::oauth::fault::Fault;
use tokenward::engine::oauth::jws::{NoKey, key};

const NO_KEYS: [Json; 0] = [];
const RS256: &str = "RSASSA-PKCS1-v1_5 SHA-256";
const ES256: &str = "ECDSA SHA-256 P-256";
const ED25519: &str = "Ed25519 SHA-512";

/// The keys of RFC 7515 appendices A.2.1 (its modulus cut short) and A.3.1, and of RFC 8037 appendix A.2.
fn keys() -> [Json; 3] {
    [
        Json(json!({ "kty": "RSA", "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddx", "e": "AQAB" })),
        Json(json!({
            "kty": "EC",
            "crv": "P-256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        })),
        Json(json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" })),
    ]
}

fn header(alg: &str) -> Json {
    Json(json!({ "alg": alg }))
}

#[test]
fn the_keys_of_the_rfcs_are_found() {
    for (alg, found) in [("RS256", (0, RS256)), ("ES256", (1, ES256)), ("EdDSA", (2, ED25519))] {
        assert_eq!(key(&header(alg), &keys()), Ok(found));
    }
}

#[test]
fn every_algorithm_has_its_parameters() {
    let rows = [
        ("RS256", "RSA", "", "RSASSA-PKCS1-v1_5 SHA-256"),
        ("RS384", "RSA", "", "RSASSA-PKCS1-v1_5 SHA-384"),
        ("RS512", "RSA", "", "RSASSA-PKCS1-v1_5 SHA-512"),
        ("PS256", "RSA", "", "RSA-PSS SHA-256 32"),
        ("PS384", "RSA", "", "RSA-PSS SHA-384 48"),
        ("PS512", "RSA", "", "RSA-PSS SHA-512 64"),
        ("ES256", "EC", "P-256", "ECDSA SHA-256 P-256"),
        ("ES384", "EC", "P-384", "ECDSA SHA-384 P-384"),
        ("EdDSA", "OKP", "Ed25519", "Ed25519 SHA-512"),
    ];
    let every_key = rows.map(|(_, kty, crv, _)| Json(json!({ "kty": kty, "crv": crv })));
    for (at, (alg, kty, crv, parameters)) in rows.into_iter().enumerate() {
        assert_eq!(key(&header(alg), &every_key[at..=at]), Ok((0, parameters)), "{alg}");
        for other in &every_key {
            let fits = other.0["kty"] == kty && (crv.is_empty() || other.0["crv"] == crv);
            let expected = if fits { Ok((0, parameters)) } else { Err(NoKey::Unknown) };
            assert_eq!(key(&header(alg), std::slice::from_ref(other)), expected, "{alg} {other:?}");
        }
    }
}

#[test]
fn nothing_else_verifies_whatever_the_keys() {
    let secret = Json(json!({ "kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ" }));
    let mut all: Vec<_> = keys().into();
    all.push(secret);
    let algs = [
        "none", "None", "NONE", "HS256", "HS384", "HS512", "ES512", "ES256K", "rs256", "RS256 ", "RSA-OAEP", "dir", "",
    ];
    let others = [json!(1), json!(["RS256"]), json!({ "alg": "RS256" }), json!(true), Value::Null];
    for alg in algs.map(Value::from).into_iter().chain(others) {
        assert_eq!(key(&Json(json!({ "alg": alg })), &all), Err(NoKey::Never("alg")), "{alg}");
    }
    for header in [Json(json!({})), Json(Value::Null), Json(json!([])), Json(json!("RS256"))] {
        assert_eq!(key(&header, &all), Err(NoKey::Never("alg")), "{header:?}");
    }
}

#[test]
fn what_is_critical_is_not_understood() {
    // RFC 7515 section 4.1.11.
    for crit in [json!(["exp"]), json!(["b64"]), json!([]), json!("exp"), json!({}), json!(false), json!(1)] {
        assert_eq!(key(&header("RS256").with("crit", crit.clone()), &keys()), Err(NoKey::Never("crit")), "{crit}");
    }
}

#[test]
fn a_key_has_to_fit_in_every_member_it_has() {
    let good = Json(json!({ "kty": "EC", "crv": "P-256", "kid": "key-1", "use": "sig", "alg": "ES256" }));
    let header = header("ES256").with("kid", "key-1");
    assert_eq!(key(&header, std::slice::from_ref(&good)), Ok((0, ES256)));
    for (member, bad) in [
        ("kty", vec![json!("RSA"), json!("ec"), json!(1)]),
        ("crv", vec![json!("P-384"), json!("p-256"), json!("secp256k1"), json!(["P-256"])]),
        ("kid", vec![json!("key-2"), json!("KEY-1"), json!(""), json!(1)]),
        ("use", vec![json!("enc"), json!("Sig"), json!(["sig"])]),
        ("alg", vec![json!("ES384"), json!("RS256"), json!("none"), json!(1)]),
    ] {
        for bad in bad {
            let other = good.with(member, bad.clone());
            assert_eq!(key(&header, std::slice::from_ref(&other)), Err(NoKey::Unknown), "{member} {bad}");
            assert_eq!(key(&header, &[other.clone(), good.clone()]), Ok((1, ES256)), "{member} {bad}: passed over");
            assert_eq!(key(&header, &[good.clone(), other]), Ok((0, ES256)), "{member} {bad}: passed over");
        }
        let without = good.without(member);
        let is_needed = matches!(member, "kty" | "crv" | "kid");
        assert_eq!(key(&header, &[without]).is_err(), is_needed, "without {member}");
    }
    // A number is no string of the same digits.
    assert_eq!(key(&header.with("kid", 1), &[good.with("kid", "1")]), Err(NoKey::Unknown));
    assert_eq!(key(&header, &NO_KEYS), Err(NoKey::Unknown));
}

#[test]
fn two_keys_that_fit_are_told_apart_by_kid() {
    let rsa = |kid: &str| Json(json!({ "kty": "RSA", "kid": kid }));
    let both = [rsa("a"), rsa("b")];
    assert_eq!(key(&header("RS256"), &both), Err(NoKey::Unknown));
    assert_eq!(key(&header("RS256").with("kid", "a"), &both), Ok((0, RS256)));
    assert_eq!(key(&header("RS256").with("kid", "b"), &both), Ok((1, RS256)));
    assert_eq!(key(&header("RS256").with("kid", "a"), &[rsa("a"), rsa("a")]), Err(NoKey::Unknown), "the same twice");
    // One that is for something else does not count.
    assert_eq!(key(&header("RS256"), &[rsa("a"), rsa("b").with("use", "enc")]), Ok((0, RS256)));
    assert_eq!(key(&header("RS256"), &[rsa("a").with("alg", "PS256"), rsa("b")]), Ok((1, RS256)));
}

fn unknown_key() -> Fault {
    Fault::new("id_token_invalid", "kid")
}

#[test]
fn an_unknown_key_has_the_keys_fetched_once() {
    let mut world = World::discovered(issuer_options());
    let header = header("RS256").with("kid", "new");
    let old = [keys()[0].with("kid", "old")];
    let new = [old[0].clone(), keys()[0].with("kid", "new")];
    assert_eq!(world.engine.key(&header, &NO_KEYS, false, world.now), Ok(None), "never fetched");
    assert_eq!(world.engine.key(&header, &new, true, world.now), Ok(Some((1, RS256))));
    assert_eq!(world.engine.key(&header, &new, false, world.now), Ok(Some((1, RS256))), "no fetch is needed");

    // The server rotates its keys: fetched again, but not twice in half a minute.
    let newer = header.with("kid", "newer");
    assert_eq!(world.engine.key(&newer, &new, false, world.now), Err(unknown_key()));
    world.pass(30 * SECOND - 1);
    assert_eq!(world.engine.key(&newer, &new, false, world.now), Err(unknown_key()));
    world.pass(1);
    assert_eq!(world.engine.key(&newer, &new, false, world.now), Ok(None));
    assert_eq!(world.engine.key(&newer, &new, true, world.now), Err(unknown_key()), "it is not there either");
    world.pass(30 * SECOND - 1);
    assert_eq!(world.engine.key(&newer, &new, false, world.now), Err(unknown_key()));
    world.pass(1);
    assert_eq!(world.engine.key(&newer, &new, false, world.now), Ok(None));
}

#[test]
fn a_header_that_nothing_can_be_done_about_fetches_nothing() {
    let mut world = World::discovered(issuer_options());
    for (header, member) in
        [(header("none"), "alg"), (header("HS256"), "alg"), (header("RS256").with("crit", json!(["x"])), "crit")]
    {
        let found = world.engine.key(&header, &NO_KEYS, false, world.now);
        assert_eq!(found, Err(Fault::new("id_token_invalid", member)));
    }
    assert_eq!(world.engine.key(&header("RS256"), &NO_KEYS, false, world.now), Ok(None), "no fetch was counted");
}

#[test]
fn two_keys_that_fit_may_be_an_old_set() {
    let mut world = World::discovered(issuer_options());
    let both = [keys()[0].with("kid", "a"), keys()[0].with("kid", "b")];
    assert_eq!(world.engine.key(&header("RS256"), &both, false, world.now), Ok(None));
    assert_eq!(world.engine.key(&header("RS256"), &both, true, world.now), Err(unknown_key()));
}
