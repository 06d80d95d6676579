//! What an ID token claims (OpenID Connect Core section 3.1.3.7), rule by rule.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use tokenward::engine::oauth::id_token::{Identity, check};
use tokenward::engine::token::Secret;

fn checked(claims: &Json, transaction: &Json) -> Result<(), &'static str> {
    check(claims, Some(&ISSUER.into()), "spa", transaction, START.wall_ms)
}

/// A transaction that asked for everything that is checked.
fn demanding() -> Json {
    transaction()
        .with("maxAge", 300)
        .with("acrValues", "gold silver")
        .with("subject", "user-1")
        .with("atHash", "hash-1")
}

/// The claims that satisfy it.
fn satisfying() -> Json {
    claims().with("azp", "spa").with("auth_time", NOW_S - 10.0).with("acr", "silver").with("at_hash", "hash-1")
}

/// Of the claims that satisfy, one is another: whether that is refused, and for this one.
fn assert_refused(claim: &'static str, value: Value) {
    let claims = satisfying().with(claim, value.clone());
    assert_eq!(checked(&claims, &demanding()), Err(claim), "{claim}: {value}");
}

fn assert_accepted(claim: &'static str, value: Value) {
    let claims = satisfying().with(claim, value.clone());
    assert_eq!(checked(&claims, &demanding()), Ok(()), "{claim}: {value}");
}

#[test]
fn a_good_token_is_accepted() {
    assert_eq!(checked(&claims(), &transaction()), Ok(()));
    assert_eq!(checked(&satisfying(), &demanding()), Ok(()));
    let more = satisfying().with("name", "U").with("nbf", 0).with("amr", json!(["pwd"])).with("sid", "s");
    assert_eq!(checked(&more, &demanding()), Ok(()));
}

#[test]
fn what_is_required_has_to_be_there() {
    for claim in ["iss", "sub", "aud", "exp", "iat", "nonce"] {
        assert_eq!(checked(&claims().without(claim), &transaction()), Err(claim));
    }
    for claim in ["auth_time", "acr"] {
        assert_eq!(checked(&satisfying().without(claim), &demanding()), Err(claim));
    }
    for claim in ["azp", "at_hash"] {
        assert_eq!(checked(&satisfying().without(claim), &demanding()), Ok(()), "{claim}");
    }
    for none in [Json(Value::Null), Json(json!({})), Json(json!([])), Json(json!("token"))] {
        assert_eq!(checked(&none, &transaction()), Err("iss"));
    }
}

#[test]
fn a_claim_of_the_wrong_type_is_refused() {
    for claim in ["iss", "sub", "aud", "azp", "exp", "iat", "nonce", "auth_time", "acr", "at_hash"] {
        let right = satisfying().0[claim].clone();
        for wrong in [json!(true), json!(false), json!({}), json!({ "a": right }), json!([]), json!([1])] {
            assert_refused(claim, wrong);
        }
        if right.is_number() {
            assert_refused(claim, json!(right.to_string()));
            assert_refused(claim, json!([right]));
        } else {
            assert_refused(claim, json!(1));
            if claim != "aud" {
                assert_refused(claim, json!([right]));
            }
        }
    }
}

#[test]
fn the_issuer_is_the_one_that_was_asked() {
    for other in
        ["https://id.test/", "https://ID.test", "https://id.test.evil.test", "https://evil.test", "id.test", ""]
    {
        assert_refused("iss", json!(other));
    }
    assert_eq!(check(&claims(), None, "spa", &transaction(), START.wall_ms), Err("iss"), "none was asked");
    let nobody = claims().without("iss");
    assert_eq!(check(&nobody, None, "spa", &transaction(), START.wall_ms), Err("iss"), "none was asked");
}

#[test]
fn the_user_stays_the_same_where_that_was_asked_for() {
    for other in ["user-2", "USER-1", "user-1 ", ""] {
        assert_refused("sub", json!(other));
    }
    let anyone = transaction();
    assert_eq!(checked(&claims().with("sub", "user-2"), &anyone), Ok(()));
    assert_eq!(checked(&claims().with("sub", ""), &anyone), Err("sub"));
}

#[test]
fn the_audience_holds_this_client_alone_or_authorizes_it() {
    assert_accepted("aud", json!(["spa"]));
    assert_accepted("aud", json!(["spa", "api"]));
    assert_accepted("aud", json!(["api", "spa"]));
    for other in
        [json!("api"), json!("SPA"), json!("spa "), json!("spa api"), json!(""), json!(["api"]), json!(["api", "x"])]
    {
        assert_refused("aud", other);
    }
    for other in ["api", "SPA", ""] {
        assert_refused("azp", json!(other));
    }
    let several = claims().with("aud", json!(["spa", "api"]));
    assert_eq!(checked(&several, &transaction()), Err("azp"), "several, and nobody says who may");
    assert_eq!(checked(&several.with("azp", "api"), &transaction()), Err("azp"));
    let odd = claims().with("aud", json!(["spa", 1]));
    assert_eq!(checked(&odd, &transaction()), Err("azp"), "whatever the other one is");
    assert_eq!(checked(&several.with("azp", "spa"), &transaction()), Ok(()));
    assert_eq!(checked(&claims().with("aud", json!(["spa"])), &transaction()), Ok(()));
}

#[test]
fn a_token_with_our_nonce_is_judged_by_the_clock_that_issued_it() {
    for (claim, good, bad) in [
        ("exp", vec![0.001, 1.0, 1e9, 1e300], vec![0.0, -1.0, -59.0, -3_600.0, -NOW_S, -1e300]),
        // With `max_age` 300, and a minute between one server's machines.
        ("auth_time", vec![0.0, 59.0, -300.0, -359.0], vec![61.0, 3_600.0, -361.0, -86_400.0, -NOW_S]),
    ] {
        for seconds in good {
            assert_accepted(claim, json!(NOW_S + seconds));
        }
        for seconds in bad {
            assert_refused(claim, json!(NOW_S + seconds));
        }
    }
    let at = |wall_ms, claims: &Json| check(claims, Some(&ISSUER.into()), "spa", &demanding(), wall_ms);
    for off in [0, MINUTE, 3 * HOUR, 400 * DAY] {
        for wall_ms in [START.wall_ms + off, START.wall_ms - off] {
            assert_eq!(at(wall_ms, &satisfying()), Ok(()), "{wall_ms}");
            assert_eq!(at(wall_ms, &satisfying().with("exp", NOW_S - 1.0)), Err("exp"), "before it was issued");
            assert_eq!(at(wall_ms, &satisfying().with("auth_time", NOW_S - 361.0)), Err("auth_time"));
            assert!(at(wall_ms, &satisfying().without("iat")).is_err(), "{wall_ms}");
        }
    }
}

#[test]
fn without_our_nonce_clocks_may_be_a_minute_apart() {
    // Not asked for, it comes without one; with `max_age` 300.
    let plain = demanding().with("scope", "orders");
    let judge = |claims: Json, wall_ms| check(&claims, Some(&ISSUER.into()), "spa", &plain, wall_ms);
    for nonce in [Value::Null, json!("nonce-2")] {
        let claims = satisfying().with("nonce", nonce);
        for (claim, good, bad) in [
            ("exp", vec![1.0, 0.0, -1.0, -59.0, 1e9, 1e300], vec![-61.0, -3_600.0, -NOW_S, -1e300]),
            ("iat", vec![0.0, 59.0, -59.0, -61.0, -86_400.0, -NOW_S], vec![61.0, 3_600.0, 1e300]),
            ("auth_time", vec![0.0, 59.0, -300.0, -359.0], vec![61.0, 3_600.0, -361.0, -86_400.0, -NOW_S]),
        ] {
            for seconds in good {
                assert_eq!(judge(claims.with(claim, NOW_S + seconds), START.wall_ms), Ok(()), "{claim} {seconds}");
            }
            for seconds in bad {
                let judged = judge(claims.with(claim, NOW_S + seconds), START.wall_ms);
                assert_eq!(judged, Err(claim), "{claim} {seconds}");
            }
        }
        // A clock counts milliseconds.
        let claims = claims.with("auth_time", NOW_S);
        assert_eq!(judge(claims.clone(), START.wall_ms + 359_999), Ok(()));
        assert_eq!(judge(claims.clone(), START.wall_ms + 360_000), Err("exp"));
        assert_eq!(judge(claims.clone(), START.wall_ms - 60_000), Ok(()));
        assert_eq!(judge(claims, START.wall_ms - 60_001), Err("iat"));
    }
    // With the scope openid it is refused anyway, by whatever clock.
    let stale = satisfying().without("nonce");
    assert_eq!(check(&stale, Some(&ISSUER.into()), "spa", &demanding(), START.wall_ms + 3 * HOUR), Err("exp"));
    assert_eq!(checked(&stale, &demanding()), Err("nonce"));
}

#[test]
fn how_long_ago_the_user_took_part_counts_where_it_was_asked() {
    let with = |max_age: Option<u64>, auth_time: Option<f64>| {
        let transaction = max_age.map_or(transaction(), |max_age| transaction().with("maxAge", max_age));
        checked(&auth_time.map_or(claims(), |at| claims().with("auth_time", NOW_S + at)), &transaction)
    };
    assert_eq!(with(None, None), Ok(()));
    assert_eq!(with(None, Some(-1e6)), Ok(()));
    assert_eq!(with(Some(0), None), Err("auth_time"));
    assert_eq!(with(Some(0), Some(-59.0)), Ok(()));
    assert_eq!(with(Some(0), Some(-61.0)), Err("auth_time"));
    assert_eq!(with(Some(86_400), Some(-86_459.0)), Ok(()));
    assert_eq!(with(Some(86_400), Some(-86_461.0)), Err("auth_time"));
}

#[test]
fn the_class_is_one_of_those_that_were_asked_for() {
    assert_accepted("acr", json!("gold"));
    for other in ["bronze", "gold silver", "Gold", "gol", "gold ", ""] {
        assert_refused("acr", json!(other));
    }
    for acr in ["urn:mace:incommon:iap:silver", "0", "https://refeds.org/profile/mfa"] {
        let asked = transaction().with("acrValues", acr);
        assert_eq!(checked(&claims().with("acr", acr), &asked), Ok(()));
        assert_eq!(checked(&claims(), &asked), Err("acr"));
    }
    assert_eq!(checked(&claims().with("acr", "whatever"), &transaction()), Ok(()), "not asked for");
}

#[test]
fn the_nonce_is_the_one_that_was_sent() {
    for other in ["nonce-2", "NONCE-1", "nonce-1 ", ""] {
        assert_refused("nonce", json!(other));
    }
    assert_eq!(checked(&claims(), &transaction().without("nonce")), Err("nonce"));
    assert_eq!(checked(&claims().without("nonce"), &transaction().without("nonce")), Err("nonce"), "missing in both");
    let null = transaction().with("nonce", Value::Null);
    assert_eq!(checked(&claims().with("nonce", Value::Null), &null), Err("nonce"), "null in both");
}

#[test]
fn the_hash_is_the_access_token_s_if_there_is_one() {
    for other in ["hash-2", "HASH-1", ""] {
        assert_refused("at_hash", json!(other));
    }
    assert_eq!(checked(&claims(), &transaction()), Ok(()), "RFC 6749's answer alone needs none");
    assert_eq!(checked(&claims().with("at_hash", "hash-1"), &transaction()), Err("at_hash"), "nothing to compare with");
}

#[test]
fn who_it_is_takes_an_issuer_and_a_subject() {
    let identity = |claims: &Json| Identity::new(Secret::new("id-token".into()), claims);
    let known = identity(&claims().with("sid", "sid-1")).expect("it says who");
    assert_eq!((known.issuer.as_str(), known.subject.as_str()), (ISSUER, "user-1"));
    assert_eq!(known.session.as_deref(), Some("sid-1"));
    assert_eq!(known.token.expose(), "id-token");
    assert_eq!(identity(&claims().without("iss")), None);
    assert_eq!(identity(&claims().with("sub", 1)), None);
    assert_eq!(identity(&Json(Value::Null)), None);
    // OpenID Connect Core section 2: both together name a user.
    assert!(known.is(&identity(&claims()).expect("it says who")), "in another session");
    assert!(!known.is(&identity(&claims().with("sub", "user-2")).expect("it says who")));
    assert!(!known.is(&identity(&claims().with("iss", "https://other.test")).expect("it says who")));
}

/// Any JSON.
fn values() -> impl Strategy<Value = Value> {
    let scalars = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e12..1e12).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[ -~]{0,12}".prop_map(Value::from),
    ];
    scalars.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![vec(inner.clone(), 0..3).prop_map(Value::from), inner.prop_map(|value| json!({ "a": value })),]
    })
}

/// What is nearly the right value.
fn near(claim: &'static str) -> BoxedStrategy<Value> {
    match satisfying().0[claim].clone() {
        Value::String(right) => {
            let changed = (0..right.len(), "[ -~]").prop_map({
                let right = right.clone();
                move |(at, letter)| [&right[..at], &letter, &right[at + 1..]].concat()
            });
            let cut = (0..right.len()).prop_map({
                let right = right.clone();
                move |at| right[..at].to_owned()
            });
            prop_oneof![changed, cut, "[ -~]".prop_map(move |letter| right.clone() + &letter)]
                .prop_map(Value::from)
                .boxed()
        }
        _ => prop_oneof![-1e4..1e4_f64, -100.0..100.0_f64].prop_map(|seconds| json!(NOW_S + seconds)).boxed(),
    }
}

/// The rules once more, written otherwise.
fn is_acceptable(claim: &str, value: &Value) -> bool {
    let distance = value.as_f64().map(|at| at - NOW_S);
    match claim {
        "exp" => distance.is_some_and(|distance| distance > 0.0),
        "iat" => distance.is_some(),
        "auth_time" => distance.is_some_and(|distance| (-360.0..=60.0).contains(&distance)),
        "acr" => value == "gold" || value == "silver",
        "aud" => value == "spa" || value.as_array().is_some_and(|list| list.contains(&json!("spa"))),
        _ => *value == satisfying().0[claim],
    }
}

proptest! {
    #![proptest_config(cases(4_000))]

    #[test]
    fn any_single_claim_that_is_changed_is_noticed(
        (claim, value) in select(vec!["iss", "sub", "aud", "azp", "exp", "iat", "nonce", "auth_time", "acr", "at_hash"])
            .prop_flat_map(|claim| (Just(claim), prop_oneof![values(), near(claim)])),
    ) {
        let expected = match value.as_f64().filter(|_| claim == "iat").map(|at| at - NOW_S) {
            // The other times are judged by it.
            Some(300.0..) => Err("exp"),
            Some(..-70.0) => Err("auth_time"),
            _ if is_acceptable(claim, &value) => Ok(()),
            _ => Err(claim),
        };
        prop_assert_eq!(checked(&satisfying().with(claim, value), &demanding()), expected);
    }
}
