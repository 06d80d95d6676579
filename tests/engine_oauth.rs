//! Wire formats: what is sent to the authorization server, and how its answer is read.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::*;
use proptest::prelude::*;
use tokenward::engine::oauth::request;
use tokenward::engine::oauth::response::{Member, TokenAnswer};
use tokenward::engine::token::{JwtTimes, lifetime_ms};

#[test]
fn bodies_are_urlencoded_as_the_url_standard_has_it() {
    let rows = [
        ("spa", "abc", "grant_type=refresh_token&refresh_token=abc&client_id=spa"),
        ("a b", "a+b/c=", "grant_type=refresh_token&refresh_token=a%2Bb%2Fc%3D&client_id=a+b"),
        (
            "https://a.test/?b#c",
            "*-._",
            "grant_type=refresh_token&refresh_token=*-._&client_id=https%3A%2F%2Fa.test%2F%3Fb%23c",
        ),
        ("ü", "&client_id=evil", "grant_type=refresh_token&refresh_token=%26client_id%3Devil&client_id=%C3%BC"),
        ("~!'()", "%00\n", "grant_type=refresh_token&refresh_token=%2500%0A&client_id=%7E%21%27%28%29"),
    ];
    for (client_id, token, body) in rows {
        assert_eq!(request::refresh(client_id, token).expose(), body);
    }
    let body = request::revocation("s p", "a&b", "refresh_token");
    assert_eq!(body.expose(), "token=a%26b&token_type_hint=refresh_token&client_id=s+p");
}

proptest! {
    #![proptest_config(cases(1_000))]

    #[test]
    fn bodies_arrive_as_they_were_meant(client_id: String, token: String) {
        let body = request::refresh(&client_id, &token);
        prop_assert!(body.expose().bytes().all(|byte| byte.is_ascii_graphic()));
        let fields = [("grant_type", "refresh_token"), ("refresh_token", &token), ("client_id", &client_id)];
        let fields: Vec<_> = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        prop_assert_eq!(decode(body.expose()), fields);
    }

    #[test]
    fn any_answer_is_read_or_refused(access: String, refresh: String, expires_in: String, error: String, number: f64) {
        let answer = TokenAnswer {
            expires_in: text(&expires_in),
            refresh_in: Member::Number(number),
            error: text(&error),
            ..response(&access, Some(&refresh))
        };
        let visible = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        let readable = visible(&access) && (refresh.is_empty() || visible(&refresh));
        prop_assert_eq!(answer.read().is_ok(), readable);
        let is_code = !error.is_empty() && error.len() <= 48 && error.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase());
        prop_assert_eq!(answer.error_code(), is_code.then_some(error));
    }
}

#[test]
fn a_token_response_is_read_as_rfc_6749_has_it() {
    let answer = TokenAnswer { scope: text("a b"), refresh_in: text("120"), ..response("access", Some("refresh")) };
    let grant = answer.read().expect("a token response");
    assert_eq!(grant.access.authorization().expose(), "Bearer access");
    assert!(grant.refresh.is_some());
    assert_eq!(grant.expires_in_ms, Some(300_000));
    assert_eq!(grant.refresh_in_ms, Some(120_000));
    assert_eq!(grant.scope.as_deref(), Some("a b"));

    let least = TokenAnswer { access_token: text("x"), ..TokenAnswer::default() };
    let grant = least.read().expect("a token response");
    assert_eq!((grant.refresh, grant.expires_in_ms, grant.refresh_in_ms, grant.scope), (None, None, None, None));
}

#[test]
fn members_that_break_a_rule_are_named() {
    let good = || response("access", Some("refresh"));
    let access = |access_token| (TokenAnswer { access_token, ..good() }, Some("access_token"));
    let token_type = |token_type, broken: bool| (TokenAnswer { token_type, ..good() }, broken.then_some("token_type"));
    let refresh =
        |refresh_token, broken: bool| (TokenAnswer { refresh_token, ..good() }, broken.then_some("refresh_token"));
    let rows = [
        (good(), None),
        access(Member::Absent),
        access(Member::Number(1.0)),
        access(Member::Other),
        access(text("")),
        access(text("a b")),
        access(text("a\r\nX: y")),
        access(text("\u{7f}")),
        access(text("ü")),
        token_type(Member::Absent, false),
        token_type(text("bearer"), false),
        token_type(text("BEARER"), false),
        token_type(text("DPoP"), false),
        token_type(text("mac"), true),
        token_type(text(""), true),
        token_type(Member::Number(1.0), true),
        token_type(Member::Other, true),
        refresh(Member::Absent, false),
        refresh(text(""), false),
        refresh(text("!~"), false),
        refresh(text("a b"), true),
        refresh(text("ü"), true),
        refresh(Member::Number(1.0), true),
        refresh(Member::Other, true),
        (TokenAnswer { scope: Member::Other, refresh_in: Member::Other, expires_in: Member::Other, ..good() }, None),
    ];
    for (answer, broken) in rows {
        let what = format!("{answer:?}");
        let malformed = answer.read().err();
        assert_eq!(malformed.map(|malformed| malformed.member), broken, "{what}");
        assert!(malformed.is_none_or(|malformed| malformed.rule.starts_with("must ")), "{what}");
    }
}

#[test]
fn an_error_code_is_a_code_or_nothing_the_server_said() {
    let rows = [
        (text("invalid_grant"), Some("invalid_grant")),
        (text("unmet_authentication_requirements"), Some("unmet_authentication_requirements")),
        (text("AADSTS70008"), None),
        // As long as the opaque tokens of oidc-provider.
        (text("V1StGXR8_Z5jdHi6B-myT0123456789abcdefghijkl"), None),
        (text(""), None),
        (text("two words"), None),
        (text("a\nb"), None),
        (text("ünfug"), None),
        (text("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJl"), None),
        (Member::Absent, None),
        (Member::Number(1.0), None),
        (Member::Other, None),
    ];
    for (error, code) in rows {
        let answer = TokenAnswer { error, ..response("access", None) };
        assert_eq!(answer.error_code().as_deref(), code, "{answer:?}");
    }
}

#[test]
fn lifetimes_of_jwts() {
    let rows = [
        (Some(1_600.0), Some(1_000.0), Some(600_000)),
        (Some(1_600.5), Some(1_000.0), Some(600_500)),
        (Some(1_600.0), None, Some(100_000)),
        (Some(1_400.0), None, None),
        (Some(1_000.0), Some(1_000.0), None),
        (Some(f64::NAN), Some(1_000.0), None),
        (Some(1_000.0), Some(f64::NAN), None),
        (Some(f64::INFINITY), Some(f64::INFINITY), None),
        (Some(1e300), Some(0.0), Some(315_360_000_000)),
        (None, Some(1_000.0), None),
        (None, None, None),
    ];
    for (expires_at_s, issued_at_s, lifetime) in rows {
        let times = JwtTimes { expires_at_s, issued_at_s };
        assert_eq!(times.lifetime_ms(1_500_000), lifetime, "{times:?}");
    }
    assert_eq!(lifetime_ms(-0.0), None);
    assert_eq!(lifetime_ms(0.5), Some(500));
}
