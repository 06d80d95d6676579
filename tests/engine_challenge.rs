//! `WWW-Authenticate`: what is in it, and what it asks for.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use std::collections::HashSet;
use std::hint::black_box;
use std::time::{Duration, Instant};

use common::cases;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use tokenward::engine::challenge::{Challenge, Refusal, is_tchar, parse, refusal};

fn challenge(scheme: &str, params: &[(&str, &str)]) -> Challenge {
    let params = params.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Challenge { scheme: scheme.into(), token68: None, params }
}

fn with_token68(scheme: &str, token68: &str) -> Challenge {
    Challenge { token68: Some(token68.into()), ..challenge(scheme, &[]) }
}

#[test]
fn challenges_as_servers_write_them() {
    let bearer = |params| challenge("bearer", params);
    let rows = [
        // RFC 9110 section 11.6.1
        (
            r#"Basic realm="simple", Newauth realm="apps", type=1, title="Login to \"apps\"""#,
            vec![
                challenge("basic", &[("realm", "simple")]),
                challenge("newauth", &[("realm", "apps"), ("type", "1"), ("title", "Login to \"apps\"")]),
            ],
        ),
        // RFC 6750 section 3
        (r#"Bearer realm="example""#, vec![bearer(&[("realm", "example")])]),
        (
            r#"Bearer realm="example", error="invalid_token", error_description="The access token expired""#,
            vec![bearer(&[
                ("realm", "example"),
                ("error", "invalid_token"),
                ("error_description", "The access token expired"),
            ])],
        ),
        // RFC 9449 section 7.1
        (
            r#"DPoP error="invalid_token", error_description="Invalid DPoP key binding", algs="ES256""#,
            vec![challenge(
                "dpop",
                &[("error", "invalid_token"), ("error_description", "Invalid DPoP key binding"), ("algs", "ES256")],
            )],
        ),
        // RFC 9470 section 3
        (
            r#"Bearer error="insufficient_user_authentication", acr_values="myACR", max_age="5""#,
            vec![bearer(&[("error", "insufficient_user_authentication"), ("acr_values", "myACR"), ("max_age", "5")])],
        ),
        // The Fetch standard joins headers with a comma.
        (
            r#"Negotiate, Basic YWJj==, Bearer error="invalid_token", Negotiate"#,
            vec![
                challenge("negotiate", &[]),
                with_token68("basic", "YWJj=="),
                bearer(&[("error", "invalid_token")]),
                challenge("negotiate", &[]),
            ],
        ),
        ("Bearer", vec![bearer(&[])]),
        ("  bEaReR\t", vec![bearer(&[])]),
        ("Bearer ,", vec![bearer(&[])]),
        ("Bearer,Basic", vec![bearer(&[]), challenge("basic", &[])]),
        ("Bearer , Basic", vec![bearer(&[]), challenge("basic", &[])]),
        ("Basic a+/~-._Z9=", vec![with_token68("basic", "a+/~-._Z9=")]),
        ("Basic abc , Bearer", vec![with_token68("basic", "abc"), bearer(&[])]),
        ("Bearer   realm = \"a\" ,\tERROR\t=\tb", vec![bearer(&[("realm", "a"), ("error", "b")])]),
        ("Bearer a=\"1, Basic b=\\\"2\\\\\", c=3", vec![bearer(&[("a", "1, Basic b=\"2\\"), ("c", "3")])]),
        ("Bearer a=\"\"", vec![bearer(&[("a", "")])]),
        ("Bearer a=\"\u{fc}\u{1f512}\"", vec![bearer(&[("a", "\u{fc}\u{1f512}")])]),
        (",, ,Bearer a=1,, ,b=2,", vec![bearer(&[("a", "1"), ("b", "2")])]),
        // A parameter where a scheme is expected belongs to the challenge before it.
        ("Bearer, error=\"invalid_token\"", vec![bearer(&[("error", "invalid_token")])]),
        // Of a repeated one the first counts.
        ("Bearer a=1, A=2, a=3", vec![bearer(&[("a", "1")])]),
        ("Bearer a=1, Bearer a=2", vec![bearer(&[("a", "1")]), bearer(&[("a", "2")])]),
    ];
    for (header, expected) in rows {
        assert_eq!(parse(header), expected, "{header}");
    }
}

#[test]
fn what_servers_get_wrong_is_understood_where_it_can_be() {
    let bearer = |params| challenge("bearer", params);
    let rows = [
        ("Bearer realm=\"a\" error=\"invalid_token\"", vec![bearer(&[("realm", "a"), ("error", "invalid_token")])]),
        ("Bearer realm=\"a\"error=\"b\"", vec![bearer(&[("realm", "a"), ("error", "b")])]),
        ("Bearer realm=https://a.test/b, error=c", vec![bearer(&[("realm", "https://a.test/b"), ("error", "c")])]),
        ("Bearer error=\u{fc}, b=c", vec![bearer(&[("error", "\u{fc}"), ("b", "c")])]),
        ("Bearer error=\"invalid_token", vec![bearer(&[("error", "invalid_token")])]),
        ("Bearer error=\"a\\", vec![bearer(&[("error", "a")])]),
        ("Bearer error=", vec![with_token68("bearer", "error=")]),
        ("Bearer error= , realm=a", vec![bearer(&[("realm", "a")])]),
        ("Bearer \"garbage, Basic\", a=b", vec![bearer(&[("a", "b")])]),
        ("Bearer \"", vec![bearer(&[])]),
        ("\"Basic\" Bearer", vec![bearer(&[])]),
        ("@Bearer (a=b)", vec![bearer(&[("a", "b)")])]),
        ("\u{1f512}Bearer", vec![bearer(&[])]),
        ("= Bearer", vec![bearer(&[])]),
        ("a=b, Bearer", vec![bearer(&[])]),
        ("", vec![]),
        (" ,\t,", vec![]),
        ("\"", vec![]),
        ("=", vec![]),
    ];
    for (header, expected) in rows {
        let parsed = parse(header);
        let names: Vec<_> = parsed.iter().map(|challenge| (&challenge.scheme, &challenge.params)).collect();
        let expected: Vec<_> = expected.iter().map(|challenge| (&challenge.scheme, &challenge.params)).collect();
        assert_eq!(names, expected, "{header}");
    }
}

#[test]
fn a_parameter_is_found_by_its_name_in_lower_case() {
    let parsed = parse("Bearer ReAlM=\"X\"");
    assert_eq!(parsed[0].param("realm"), Some("X"));
    assert_eq!(parsed[0].param("error"), None);
}

#[test]
fn what_a_refusal_asks_for() {
    let scope = |scope: Option<&str>| Refusal::Scope { scope: scope.map(Into::into) };
    let step_up = |acr: Option<&str>, max_age_s| Refusal::StepUp { acr_values: acr.map(Into::into), max_age_s };
    let (token, other) = (Refusal::Token, Refusal::Other);
    let rows = [
        (None, token.clone(), other.clone()),
        (Some(""), other.clone(), other.clone()),
        (Some("Bearer"), token.clone(), other.clone()),
        (Some("bearer realm=\"a\""), token.clone(), other.clone()),
        (Some("DPoP algs=\"ES256\""), token.clone(), other.clone()),
        (Some("Bearer error=\"invalid_token\""), token.clone(), other.clone()),
        (Some("DPoP error=\"invalid_token\""), token.clone(), other.clone()),
        (Some("Basic realm=\"a\", Bearer error=invalid_token"), token.clone(), other.clone()),
        (Some("Bearer error=\"invalid_request\", DPoP"), token.clone(), other.clone()),
        (Some("Basic realm=\"a\""), other.clone(), other.clone()),
        (Some("Negotiate"), other.clone(), other.clone()),
        (Some("Basic error=\"invalid_token\""), other.clone(), other.clone()),
        (Some("Basic error=\"insufficient_scope\""), other.clone(), other.clone()),
        (Some("Bearerx error=\"invalid_token\""), other.clone(), other.clone()),
        (Some("Bearer error=\"invalid_request\""), other.clone(), other.clone()),
        (Some("Bearer error=\"Invalid_Token\""), other.clone(), other.clone()),
        (Some("Basic realm=\"Bearer error=invalid_token\""), other.clone(), other.clone()),
        (Some("Bearer error=\"insufficient_scope\""), scope(None), scope(None)),
        (Some("Basic, Bearer error=insufficient_scope, scope=\"a b\""), scope(Some("a b")), scope(Some("a b"))),
        (Some("Bearer, DPoP error=\"insufficient_scope\""), scope(None), scope(None)),
        (
            Some("Bearer error=\"insufficient_user_authentication\", acr_values=\"a b\", max_age=\"0\""),
            step_up(Some("a b"), Some(0.0)),
            step_up(Some("a b"), Some(0.0)),
        ),
        (
            Some("Bearer level=9, error=\"insufficient_user_authentication\", max_age=5"),
            step_up(None, Some(5.0)),
            step_up(None, Some(5.0)),
        ),
        (
            Some("Bearer error=\"insufficient_user_authentication\", max_age=soon"),
            step_up(None, None),
            step_up(None, None),
        ),
        (Some("Bearer error=insufficient_user_authentication, max_age=-1"), step_up(None, None), step_up(None, None)),
    ];
    for (header, unauthorized, forbidden) in rows {
        assert_eq!(refusal(401, header), unauthorized, "401 {header:?}");
        assert_eq!(refusal(403, header), forbidden, "403 {header:?}");
    }
}

#[test]
fn the_characters_of_a_token_are_rfc_9110_s() {
    let tchars: String = (0..=255).filter(|byte| is_tchar(*byte)).map(char::from).collect();
    assert_eq!(tchars, "!#$%&'*+-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ^_`abcdefghijklmnopqrstuvwxyz|~");
}

#[test]
fn a_long_header_takes_no_longer_than_its_length() {
    let patterns = [
        "\"",
        "\\",
        "\"\\",
        "a=\"",
        "a",
        "=",
        "a=",
        ",",
        " ",
        "a ",
        "a=b,",
        "Bearer ",
        "Bearer a=b, ",
        "x=\"y\", ",
        "@",
        "\u{fc}",
        "a==, ",
        "a b=c ",
        "\t=\t",
        "a/",
    ];
    let begun = Instant::now();
    for pattern in patterns {
        for start in ["", "Bearer ", "Bearer a=\"", "Bearer a="] {
            // The quote is what no token68 may end with.
            let header = start.to_owned() + &pattern.repeat(50_000 / pattern.len()) + "\"";
            black_box((parse(&header), refusal(401, Some(&header))));
        }
    }
    // It takes a fraction of that; what grows with the square of the length would take minutes.
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
}

fn token() -> impl Strategy<Value = String> {
    "[a-z0-9!#$%&'*+.^_`|~-]{1,8}"
}

fn any_challenge() -> impl Strategy<Value = Challenge> {
    let value = prop_oneof![token(), "[ -~\t\u{e4}\u{1f512}]{0,10}"];
    let params = vec((token(), value), 0..4).prop_map(|params| {
        let mut seen = HashSet::new();
        params.into_iter().filter(|(name, _)| seen.insert(name.clone())).collect()
    });
    let params = params.prop_map(|params| (None, params));
    let token68 = "[A-Za-z0-9._~+/-]{1,10}={0,2}".prop_map(|token68| (Some(token68), Vec::new()));
    (token(), prop_oneof![3 => params, 1 => token68]).prop_map(|(scheme, (token68, params))| Challenge {
        scheme,
        token68,
        params,
    })
}

/// What `refusal` should say, by way of `parse`.
fn naive_refusal(status: u16, header: &str) -> Refusal {
    let mut challenges = parse(header);
    challenges.retain(|challenge| matches!(&*challenge.scheme, "bearer" | "dpop"));
    for challenge in &challenges {
        let param = |name| challenge.param(name).map(String::from);
        match challenge.param("error") {
            Some("insufficient_scope") => return Refusal::Scope { scope: param("scope") },
            Some("use_dpop_nonce") if status == 401 => return Refusal::Nonce,
            Some("insufficient_user_authentication") => {
                let max_age_s = param("max_age").and_then(|text| text.parse().ok());
                return Refusal::StepUp { acr_values: param("acr_values"), max_age_s };
            }
            _ => {}
        }
    }
    let is_about_the_token = |challenge: &Challenge| matches!(challenge.param("error"), None | Some("invalid_token"));
    if status == 401 && challenges.iter().any(is_about_the_token) { Refusal::Token } else { Refusal::Other }
}

/// A header that looks like one of ours.
fn likely_header() -> impl Strategy<Value = String> {
    let param = prop_oneof![
        4 => select(vec![
            "error=invalid_token", "error=insufficient_scope", "error=\"insufficient_user_authentication\"", "ERROR=x",
            "error=\"\"",
        ]),
        2 => select(vec!["scope=\"a b\"", "Scope=c", "acr_values=gold", "max_age=7", "max_age=x", "realm=\"Bearer\""]),
    ];
    let scheme = select(vec!["Bearer", "bearer", "DPoP", "Basic", "Bearerx", "Negotiate abc=="]);
    let challenge = (scheme, vec(param, 0..4)).prop_map(|(scheme, params)| format!("{scheme} {}", params.join(", ")));
    vec(challenge, 0..4).prop_map(|challenges| challenges.join(", "))
}

/// Choices of a printer: spacing, quoting, case.
type Style = Vec<(bool, &'static str, &'static str)>;

fn style() -> impl Strategy<Value = Style> {
    vec((any::<bool>(), select(vec!["", " ", "\t", " \t "]), select(vec![",", ", ", " ,", " , ,\t", ",,"])), 64)
}

fn print(challenges: &[Challenge], style: &Style) -> String {
    let mut choices = style.iter().cycle();
    let mut text = String::new();
    for challenge in challenges {
        let (upper, _, comma) = choices.next().expect("endless");
        if !text.is_empty() {
            text += comma;
        }
        text += &if *upper { challenge.scheme.to_ascii_uppercase() } else { challenge.scheme.clone() };
        if let Some(token68) = &challenge.token68 {
            text = text + "  " + token68;
        }
        for (at, (name, value)) in challenge.params.iter().enumerate() {
            let (quoted, space, comma) = choices.next().expect("endless");
            text += if at == 0 { " " } else { comma };
            text += &if *quoted { name.to_ascii_uppercase() } else { name.clone() };
            text = text + space + "=" + space;
            if *quoted || value.is_empty() || !value.bytes().all(is_tchar) {
                text = text + "\"" + &value.replace('\\', "\\\\").replace('"', "\\\"") + "\"";
            } else {
                text += value;
            }
        }
    }
    text
}

proptest! {
    #![proptest_config(cases(3_000))]

    #[test]
    fn what_is_printed_is_read(challenges in vec(any_challenge(), 0..6), style in style()) {
        let header = print(&challenges, &style);
        prop_assert_eq!(parse(&header), challenges, "{}", header);
    }

    #[test]
    fn a_refusal_is_what_its_challenges_say(status in select(vec![401, 403]), header in likely_header()) {
        prop_assert_eq!(refusal(status, Some(&header)), naive_refusal(status, &header), "{}", header);
    }

    #[test]
    fn anything_is_read_somehow(header: String, status: u16) {
        for challenge in parse(&header) {
            prop_assert!(!challenge.scheme.is_empty() && challenge.scheme.bytes().all(is_tchar));
            prop_assert!(challenge.params.iter().all(|(name, _)| *name == name.to_ascii_lowercase()));
        }
        prop_assert!(status == 401 || refusal(status, Some(&header)) != Refusal::Token);
    }

    #[test]
    fn anything_like_a_header_is_read_somehow(
        parts in vec(select(vec![
            "Bearer", "DPoP", "error", "=", "\"", "\\", ",", " ", "\t", "invalid_token", "abc==", "\u{fc}", "\0", "@",
        ]), 0..40),
        lead in option::of(".{0,3}"),
    ) {
        let header = lead.unwrap_or_default() + &parts.concat();
        let parsed = parse(&header);
        prop_assert!(parsed.len() <= header.len());
        let names: usize = parsed.iter().map(|challenge| challenge.scheme.len() + challenge.params.len()).sum();
        prop_assert!(names <= header.len(), "nothing is made up");
        for challenge in &parsed {
            let mut seen = HashSet::new();
            prop_assert!(challenge.params.iter().all(|(name, _)| seen.insert(name)), "each parameter once");
        }
    }
}
