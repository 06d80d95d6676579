//! The authorization request: what is on the wire, and what keeps one from being sent.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::*;
use proptest::prelude::*;
use serde_json::{Value, json};
use tokenward::engine::failure::Exchange;
use tokenward::engine::oauth::fault::Fault;
use tokenward::engine::oauth::response::TokenAnswer;
use tokenward::engine::token::Secret;

/// The request's fields in the order of their names.
fn fields(world: &World, transaction: &Json) -> Vec<(String, String)> {
    let request = world.engine.authorization_request(transaction).expect("a request");
    let mut fields = decode(request.expose());
    fields.sort();
    fields
}

/// The value of a field, which may not be there twice.
fn field(world: &World, transaction: &Json, name: &str) -> Option<String> {
    let mut found = fields(world, transaction).into_iter().filter(|(known, _)| known == name).map(|(_, value)| value);
    let first = found.next();
    assert_eq!(found.next(), None, "{name} twice");
    first
}

/// What is said of the option that is at fault.
fn refusal_of(world: &World, transaction: &Json) -> String {
    let fault = world.engine.authorization_request(transaction).expect_err("it breaks a rule");
    assert_eq!((fault.code, fault.status), ("invalid_option", None));
    fault.detail
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

#[test]
fn the_least_request_is_a_code_request_with_pkce() {
    let world = World::discovered(issuer_options());
    let expected = [
        ("client_id", "spa"),
        ("code_challenge", "challenge-1"),
        ("code_challenge_method", "S256"),
        ("nonce", "nonce-1"),
        ("redirect_uri", "https://app.test/callback"),
        ("response_type", "code"),
        ("scope", "openid"),
        ("state", "r-state-1"),
    ];
    assert_eq!(fields(&world, &transaction()), pairs(&expected));
    let request = world.engine.authorization_request(&transaction()).expect("a request");
    assert!(request.expose().contains("redirect_uri=https%3A%2F%2Fapp.test%2Fcallback"));
    for secret in ["verifier", "orders"] {
        assert!(!request.expose().contains(secret), "{secret} stays here");
    }
}

#[test]
fn each_option_is_its_parameter() {
    let world = World::discovered(issuer_options());
    let rows = [
        ("scope", json!("openid profile"), "scope", "openid profile"),
        ("prompt", json!("select_account"), "prompt", "select_account"),
        ("loginHint", json!("ü+1@a.test&x=y"), "login_hint", "ü+1@a.test&x=y"),
        ("maxAge", json!(0), "max_age", "0"),
        ("maxAge", json!(3_600), "max_age", "3600"),
        ("acrValues", json!("gold silver"), "acr_values", "gold silver"),
        ("uiLocales", json!("de-CH en"), "ui_locales", "de-CH en"),
        ("resource", json!("https://api.test/v1/"), "resource", "https://api.test/v1/"),
        ("resource", json!(["https://api.test/"]), "resource", "https://api.test/"),
    ];
    let least = fields(&world, &transaction()).len();
    for (option, value, name, sent) in rows {
        let transaction = transaction().with(option, value);
        assert_eq!(field(&world, &transaction, name).as_deref(), Some(sent), "{option}");
        assert_eq!(fields(&world, &transaction).len(), least + usize::from(option != "scope"), "{option} and no other");
    }
    let encoded =
        world.engine.authorization_request(&transaction().with("loginHint", "a b&c=ü%+~")).expect("a request");
    assert!(encoded.expose().contains("&login_hint=a+b%26c%3D%C3%BC%25%2B%7E"), "{}", encoded.expose());
}

#[test]
fn a_list_of_resources_is_one_parameter_each() {
    let world = World::discovered(issuer_options());
    let two = transaction().with("resource", json!(["https://a.test/?b&c", "https://b.test/"]));
    let resources: Vec<_> = fields(&world, &two).into_iter().filter(|(name, _)| name == "resource").collect();
    assert_eq!(resources, pairs(&[("resource", "https://a.test/?b&c"), ("resource", "https://b.test/")]));
    assert_eq!(field(&world, &transaction().with("resource", json!([])), "resource"), None);
}

#[test]
fn parameters_of_the_server_s_own_are_passed_on() {
    let world = World::discovered(issuer_options());
    let own = [
        ("audience", "https://api.test"),
        ("kc_idp_hint", "a b"),
        ("id_token_hint", "x"),
        ("Scope", "another name"),
        // Parts of names that have a rule.
        ("login", ""),
        ("hint", ""),
        ("code", ""),
        ("type", ""),
    ];
    let extra: Vec<_> = own.iter().flat_map(|(name, value)| [*name, *value]).collect();
    let sent = fields(&world, &transaction().with("extraParams", extra));
    for pair in pairs(&own) {
        assert!(sent.contains(&pair), "{pair:?}");
    }
    assert_eq!(sent.len(), fields(&world, &transaction()).len() + own.len());
}

#[test]
fn parameters_that_have_a_rule_are_not_to_be_overridden() {
    let world = World::discovered(issuer_options());
    let mut own: Vec<_> = ["request", "request_uri", "response_mode", "response_type", "code_challenge_method"].into();
    own.extend(["client_id", "redirect_uri", "scope", "state", "nonce", "code_challenge", "prompt", "login_hint"]);
    own.extend(["max_age", "acr_values", "ui_locales", "resource"]);
    for name in own {
        for extra in [json!([name, "x"]), json!(["audience", "a", name, ""])] {
            let detail = refusal_of(&world, &transaction().with("extraParams", extra));
            assert!(detail.starts_with("extraParams must not"), "{name}: {detail}");
        }
    }
}

#[test]
fn where_to_go_on_is_of_the_page_s_own_origin() {
    let world = World::discovered(issuer_options());
    for good in
        [PAGE, "https://app.test/", "https://app.test/a/b?c=https://evil.test/#d", "https://app.test/?@evil.test"]
    {
        assert!(world.engine.authorization_request(&transaction().with("returnTo", good)).is_ok(), "{good}");
    }
    let bad = [
        "https://evil.test/",
        "https://app.test.evil.test/",
        "https://evilapp.test/",
        "https://sub.app.test/",
        "https://app.test@evil.test/",
        "https://app.test:x@evil.test/",
        "https://user@app.test/",
        "https://app.test:8443/",
        "https://app.test./",
        "https://app.tes/",
        "http://app.test/",
        "ftp://app.test/",
        "https://evil.test/?https://app.test/",
        "https://evil.test/#https://app.test/",
        "//app.test/",
        "/orders",
        "javascript:alert(1)//https://app.test/",
        "javascript://app.test/%0aalert(1)",
        "data:text/html,https://app.test/",
        "blob:https://app.test/0f1e",
        "about:blank",
        "file:///app.test/",
        "https:",
        ":",
        "",
    ];
    for bad in bad.map(Value::from).into_iter().chain([Value::Null, json!(1), json!([PAGE])]) {
        let detail = refusal_of(&world, &transaction().with("returnTo", bad.clone()));
        assert!(detail.starts_with("returnTo must be"), "{bad}: {detail}");
    }
}

#[test]
fn what_has_to_be_set_is_named() {
    let world = World::discovered(issuer_options());
    assert!(refusal_of(&world, &transaction().without("redirectUri")).starts_with("redirectUri must be set"));

    let endpoints = with_url(options(), "endpoints.authorization", "https://id.test/authorize");
    let world = World::new(endpoints);
    assert!(refusal_of(&world, &transaction()).starts_with("issuer must be set"));
    assert!(world.engine.authorization_request(&transaction().with("scope", "orders")).is_ok());
    assert!(world.engine.authorization_request(&transaction().without("scope")).is_ok());
}

#[test]
fn a_nonce_is_for_an_id_token() {
    let world = World::discovered(issuer_options());
    for (scope, has_nonce) in [
        ("openid", true),
        ("openid profile", true),
        ("profile openid email", true),
        ("email openid", true),
        ("orders", false),
        ("openid2", false),
        ("myopenid", false),
        ("OPENID", false),
        ("", false),
    ] {
        let nonce = field(&world, &transaction().with("scope", scope), "nonce");
        assert_eq!(nonce.is_some(), has_nonce, "{scope:?}");
    }
    assert_eq!(field(&world, &transaction().without("scope"), "nonce"), None);
    assert_eq!(field(&world, &transaction().without("scope"), "scope"), None);
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn every_value_arrives_as_it_was_meant(
        state: String, hint: String, name in "[a-z]{3,9}_x", value: String, resource: String,
    ) {
        let world = World::discovered(issuer_options());
        let transaction = transaction()
            .with("state", state.as_str())
            .with("loginHint", hint.as_str())
            .with("resource", resource.as_str())
            .with("extraParams", json!([name, value]));
        let request = world.engine.authorization_request(&transaction).expect("a request");
        prop_assert!(request.expose().bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#'));
        for (name, expected) in [("state", &state), ("login_hint", &hint), ("resource", &resource), (&name, &value)] {
            let sent = field(&world, &transaction, name);
            prop_assert_eq!(sent.as_ref(), Some(expected));
        }
    }
}

const PAR: &str = "https://id.test/par";

fn push_to(world: &World, transaction: &Json) -> Result<Option<String>, Fault> {
    world.engine.push_to(transaction).map(|url| url.map(|url| url.expose().into()))
}

#[test]
fn a_request_is_pushed_where_that_is_asked_for_or_required() {
    let required = metadata().with("require_pushed_authorization_requests", true);
    let asked = transaction().with("pushed", true);
    let world = World::discovered(issuer_options());
    assert_eq!(push_to(&world, &transaction()), Ok(None));
    assert_eq!(push_to(&world, &transaction().with("pushed", false)), Ok(None));
    assert_eq!(push_to(&world, &asked), Ok(Some(PAR.into())));

    let mut world = World::new(issuer_options());
    world.engine.discovered(&required).expect("good metadata");
    assert_eq!(push_to(&world, &transaction()), Ok(Some(PAR.into())));
    assert_eq!(push_to(&world, &transaction().with("pushed", false)), Ok(Some(PAR.into())));

    let unknown = Err(Fault::new("endpoint_unknown", "pushed_authorization_request_endpoint"));
    let mut world = World::new(issuer_options());
    let lacking = metadata().without("pushed_authorization_request_endpoint");
    world.engine.discovered(&lacking).expect("good metadata");
    assert_eq!(push_to(&world, &transaction()), Ok(None));
    assert_eq!(push_to(&world, &asked), unknown);

    let mut world = World::new(issuer_options());
    let lacking = required.without("pushed_authorization_request_endpoint");
    world.engine.discovered(&lacking).expect("good metadata");
    assert_eq!(push_to(&world, &transaction()), unknown);

    let configured = World::new(with_url(options(), "endpoints.pushedAuthorization", "https://own.test/par"));
    assert_eq!(push_to(&configured, &asked), Ok(Some("https://own.test/par".into())));
}

#[test]
fn a_pushed_request_stands_for_itself() {
    let world = World::discovered(issuer_options());
    let answer = Json(json!({ "request_uri": "urn:ietf:params:oauth:request_uri:a b", "expires_in": 60 }));
    let request = world.engine.pushed(&answered(201, Some(TokenAnswer::default())), &answer).expect("taken");
    let expected = [("client_id", "spa"), ("request_uri", "urn:ietf:params:oauth:request_uri:a b")];
    let mut sent = decode(request.expose());
    sent.sort();
    assert_eq!(sent, pairs(&expected));
}

#[test]
fn a_push_that_was_not_taken_is_told() {
    let world = World::discovered(issuer_options());
    let nothing = Json(json!({}));
    let fault = |code, detail: &str, status| Fault { code, detail: detail.into(), status: Some(status) };
    let rows = [
        (refused_with("invalid_request"), nothing.clone(), fault("token_request_failed", "invalid_request", 400)),
        (
            refused_with("invalid_client"),
            Json(json!({ "request_uri": "urn:x" })),
            fault("token_request_failed", "invalid_client", 400),
        ),
        (answered(500, None), Json(Value::Null), fault("server_unavailable", "", 500)),
        (answered(201, Some(TokenAnswer::default())), nothing.clone(), fault("server_unavailable", "", 201)),
        (refused_with("Not An OAuth Code"), nothing, fault("server_unavailable", "", 400)),
    ];
    for (exchange, answer, expected) in rows {
        assert_eq!(world.engine.pushed(&exchange, &answer), Err(expected));
    }
    let network: Exchange = network_failure();
    assert_eq!(world.engine.pushed(&network, &Json(Value::Null)), Err(Fault::new("server_unavailable", "")));
}

#[test]
fn an_authorization_endpoint_may_have_a_query() {
    let form = Secret::new("a=b&c=d".into());
    for (endpoint, expected) in [
        ("https://id.test/authorize", "https://id.test/authorize?a=b&c=d"),
        ("https://id.test/authorize?p=b2c_1", "https://id.test/authorize?p=b2c_1&a=b&c=d"),
        ("https://id.test/", "https://id.test/?a=b&c=d"),
    ] {
        let world = World::new(with_url(issuer_options(), "endpoints.authorization", endpoint));
        assert_eq!(world.engine.authorization_url(&form).expect("an endpoint").expose(), expected);
    }
    let world = World::new(Options { ..options() });
    let unknown = Err(Fault::new("endpoint_unknown", "authorization_endpoint"));
    assert_eq!(world.engine.authorization_url(&form), unknown);
}
