//! The authorization server's metadata: where they are, whose they are, and what is taken of them.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::*;
use serde_json::{Value, json};
use tokenward::engine::oauth::fault::Fault;
use tokenward::engine::oauth::server::Endpoint;

const ENDPOINTS: [(Endpoint, &str, &str); 6] = [
    (Endpoint::Token, "token_endpoint", "endpoints.token"),
    (Endpoint::Revocation, "revocation_endpoint", "endpoints.revocation"),
    (Endpoint::Authorization, "authorization_endpoint", "endpoints.authorization"),
    (Endpoint::Pushed, "pushed_authorization_request_endpoint", "endpoints.pushedAuthorization"),
    (Endpoint::Jwks, "jwks_uri", "endpoints.jwks"),
    (Endpoint::EndSession, "end_session_endpoint", "endpoints.endSession"),
];

fn at_issuer(issuer: &str) -> Options {
    Options { issuer: Some(issuer.into()), ..issuer_options() }
}

fn url(world: &World, endpoint: Endpoint) -> Option<String> {
    world.engine.endpoint(endpoint).ok().map(|url| url.expose().into())
}

fn metadata_urls(options: Options) -> Vec<String> {
    let world = World::new(options);
    [false, true].into_iter().filter_map(|by_rfc8414| world.engine.metadata_url(by_rfc8414)).collect()
}

fn invalid(member: &str) -> Result<(), Fault> {
    Err(Fault::new("metadata_invalid", member))
}

#[test]
fn metadata_are_where_the_specifications_have_them() {
    // OpenID Connect Discovery section 4.1 appends, RFC 8414 section 3.1 inserts.
    let rows = [
        ("https://id.test", "https://id.test", ""),
        ("https://id.test/", "https://id.test", ""),
        ("https://id.test:8443", "https://id.test:8443", ""),
        ("https://id.test/realms/a", "https://id.test", "/realms/a"),
        ("https://id.test/realms/a/", "https://id.test", "/realms/a"),
        ("https://id.test:8443/a/b/c", "https://id.test:8443", "/a/b/c"),
        ("http://localhost:4000/a", "http://localhost:4000", "/a"),
    ];
    for (issuer, origin, path) in rows {
        let expected = [
            format!("{origin}{path}/.well-known/openid-configuration"),
            format!("{origin}/.well-known/oauth-authorization-server{path}"),
        ];
        assert_eq!(metadata_urls(at_issuer(issuer)), expected, "{issuer}");
    }
}

#[test]
fn who_has_the_token_endpoint_asks_for_no_metadata() {
    let configured = with_url(issuer_options(), "endpoints.token", "https://id.test/token");
    for options in [configured, options(), callback_options(), bare_options()] {
        assert!(metadata_urls(options).is_empty());
    }
    let others = with_url(issuer_options(), "endpoints.jwks", "https://id.test/keys");
    assert_eq!(metadata_urls(others).len(), 2);
}

#[test]
fn every_endpoint_is_taken() {
    let mut world = World::new(issuer_options());
    for (endpoint, member, _) in ENDPOINTS {
        assert_eq!(world.engine.endpoint(endpoint), Err(Fault::new("endpoint_unknown", member)));
    }
    assert_eq!(world.engine.discovered(&metadata()), Ok(()));
    for (endpoint, member, _) in ENDPOINTS {
        assert_eq!(url(&world, endpoint).as_deref(), metadata().0[member].as_str(), "{member}");
    }
    assert_eq!(url(&world, Endpoint::Session), None);
    assert_eq!(url(&world, Endpoint::SessionEnd), None);
}

#[test]
fn the_issuer_is_compared_to_the_letter() {
    let others = [
        json!("https://id.test/"),
        json!("https://ID.test"),
        json!("HTTPS://id.test"),
        json!("https://id.test:443"),
        json!("https://id.test.evil.test"),
        json!("http://id.test"),
        json!(" https://id.test"),
        json!(""),
        json!(["https://id.test"]),
        json!(1),
        json!(true),
        Value::Null,
    ];
    for other in others {
        let mut world = World::new(issuer_options());
        let found = world.engine.discovered(&metadata().with("issuer", other.clone()));
        assert_eq!(found.expect_err("another issuer").code, "issuer_mismatch", "{other}");
        assert_eq!(url(&world, Endpoint::Token), None, "{other}: nothing was taken");
    }
    let mut world = World::new(at_issuer("https://id.test/"));
    assert_eq!(world.engine.discovered(&metadata()).expect_err("another").code, "issuer_mismatch");
    assert_eq!(world.engine.discovered(&metadata().with("issuer", "https://id.test/")), Ok(()));

    let mut without = World::new(options());
    assert_eq!(without.engine.discovered(&metadata()).expect_err("not asked for").code, "issuer_mismatch");
    assert_eq!(without.engine.discovered(&metadata().without("issuer")).expect_err("nor this").code, "issuer_mismatch");
}

#[test]
fn an_endpoint_that_is_not_secure_is_refused_by_name() {
    let bad = ["http://id.test/x", "ftp://id.test/x", "https://user@id.test/x", "https://id.test/x#y", "", "token"];
    for (_, member, _) in ENDPOINTS {
        for url in bad {
            let mut world = World::new(issuer_options());
            assert_eq!(world.engine.discovered(&metadata().with(member, url)), invalid(member), "{url}");
        }
        let mut loopback = World::new(issuer_options());
        assert_eq!(loopback.engine.discovered(&metadata().with(member, "http://localhost:4000/x")), Ok(()));
        let mut lax = World::new(Options { allow_http: true, ..issuer_options() });
        assert_eq!(lax.engine.discovered(&metadata().with(member, "http://id.test/x")), Ok(()));
    }
}

#[test]
fn nothing_is_taken_where_one_thing_is_bad() {
    for (_, member, _) in ENDPOINTS {
        let mut world = World::new(issuer_options());
        let demanding = metadata()
            .with("require_pushed_authorization_requests", true)
            .with("authorization_response_iss_parameter_supported", true);
        assert_eq!(world.engine.discovered(&demanding.with(member, "http://evil.test/x")), invalid(member));
        for (endpoint, ..) in ENDPOINTS {
            assert_eq!(url(&world, endpoint), None, "{member}");
        }
        assert_eq!(world.engine.push_to(&transaction()), Ok(None), "{member}");
        assert_eq!(world.engine.discovered(&metadata()), Ok(()), "{member}: it may be good the next time");
    }
}

#[test]
fn the_token_endpoint_is_the_one_that_has_to_be_there() {
    let unreadable = [json!(1), json!(["https://id.test/x"]), json!({}), json!(false), Value::Null];
    for (endpoint, member, _) in ENDPOINTS {
        for metadata in
            unreadable.iter().map(|value| metadata().with(member, value.clone())).chain([metadata().without(member)])
        {
            let mut world = World::new(issuer_options());
            let found = world.engine.discovered(&metadata);
            if endpoint == Endpoint::Token {
                assert_eq!(found, invalid(member));
            } else {
                assert_eq!(found, Ok(()));
                assert_eq!(world.engine.endpoint(endpoint), Err(Fault::new("endpoint_unknown", member)));
            }
        }
    }
}

#[test]
fn what_is_configured_goes_before_what_is_found() {
    for (endpoint, member, key) in ENDPOINTS {
        for found in ["https://id.test/other", "http://evil.test/x"] {
            let mut world = World::new(with_url(issuer_options(), key, "https://own.test/x"));
            assert_eq!(world.engine.discovered(&metadata().with(member, found)), Ok(()), "{key}");
            assert_eq!(url(&world, endpoint).as_deref(), Some("https://own.test/x"), "{key}");
        }
        let mut world = World::new(with_url(issuer_options(), key, "https://own.test/x"));
        assert_eq!(world.engine.discovered(&metadata().without(member)), Ok(()), "{key}");
        assert_eq!(url(&world, endpoint).as_deref(), Some("https://own.test/x"), "{key}");
    }
}

#[test]
fn a_second_reading_moves_no_endpoint() {
    let mut world = World::discovered(issuer_options());
    let moved = metadata().with("token_endpoint", "https://evil.test/token");
    assert_eq!(world.engine.discovered(&moved), Ok(()));
    assert_eq!(url(&world, Endpoint::Token).as_deref(), Some("https://id.test/token"));
}
