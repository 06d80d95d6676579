//! The options: their defaults, and the key that an error names.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::*;
use tokenward::engine::config::{Options, Resource, Setup};
use tokenward::engine::session::Sources;

fn read(options: &Options) -> Setup {
    options.clone().read().expect("good options")
}

fn by_grant() -> Sources {
    Sources { client_id: Some("spa".into()), ..Sources::default() }
}

fn by_callback() -> Sources {
    Sources { callback: true, ..Sources::default() }
}

#[test]
fn defaults_are_the_documented_ones() {
    let setup = read(&Options::default());
    assert_eq!(setup.config.wait_ms, 30_000);
    assert_eq!(setup.config.request_timeout_ms, 15_000);
    assert_eq!(setup.config.max_outage_ms, None);
    assert_eq!(setup.config.sources, Sources::default());
    assert_eq!(setup.revoke_as, None);
    assert_eq!(setup.resources.find_rule(API), None);

    let documented = include_str!("../src/js/index.d.ts");
    for (key, default) in [("waitSeconds?", "Default 30."), ("requestTimeoutSeconds?", "Default 15.")] {
        let (before, _) = documented.split_once(key).expect("documented");
        assert!(before.lines().rev().nth(1).is_some_and(|line| line.contains(default)), "{key}");
    }
}

#[test]
fn what_is_set_is_taken() {
    let setup =
        read(&Options { wait_s: Some(1.5), request_timeout_s: Some(300.0), max_outage_s: Some(3_600.0), ..options() });
    assert_eq!(setup.config.wait_ms, 1_500);
    assert_eq!(setup.config.request_timeout_ms, 300_000);
    assert_eq!(setup.config.max_outage_ms, Some(3_600_000));
    assert_eq!(setup.config.sources, by_grant());
    assert_eq!(setup.revoke_as.as_deref(), Some("spa"));
    assert!(setup.resources.find_rule(API).is_some());
}

#[test]
fn where_tokens_come_from() {
    let both = Options { has_refresh_callback: true, ..with_url(options(), "endpoints.token", "") };
    let rows = [
        (options(), by_grant(), Some("spa")),
        (callback_options(), by_callback(), None),
        (bare_options(), Sources::default(), None),
        (both, by_callback(), Some("spa")),
        (with_url(options(), "endpoints.revocation", ""), by_grant(), None),
        (Options { client_id: Some("spa".into()), ..bare_options() }, Sources::default(), None),
    ];
    for (options, source, revoke_as) in rows {
        let setup = read(&options);
        assert_eq!(setup.config.sources, source, "{options:?}");
        assert_eq!(setup.revoke_as.as_deref(), revoke_as, "{options:?}");
    }
}

#[test]
fn an_error_names_the_key_that_breaks_a_rule() {
    let mut rows = vec![
        (Options { client_id: None, ..options() }, "clientId"),
        (Options { client_id: None, ..with_url(options(), "endpoints.token", "") }, "clientId"),
        (Options { has_refresh_callback: true, ..options() }, "refresh"),
        (Options { resources: vec![resource(API), resource("ftp://a.test/")], ..options() }, "entry ftp://a.test/.url"),
        (Options { resources: vec![resource(API), resource(API)], ..options() }, "entry https://api.test/v1/.url"),
    ];
    for url in ["http://id.test/", "ftp://id.test/", "https://user@id.test/", "https://id.test/#x", "token"] {
        rows.push((with_url(options(), "endpoints.token", url), "endpoints.token"));
        rows.push((with_url(options(), "endpoints.revocation", url), "endpoints.revocation"));
    }
    for methods in [vec![], vec![String::new()], vec!["GET".into(), "a b".into()]] {
        let resources = vec![Resource { methods: Some(methods), ..resource(API) }];
        rows.push((Options { resources, ..options() }, "entry https://api.test/v1/.methods"));
    }
    for seconds in [f64::NAN, f64::INFINITY, -1.0, 0.0, 0.999] {
        rows.push((Options { wait_s: Some(seconds), ..options() }, "waitSeconds"));
        rows.push((Options { request_timeout_s: Some(seconds), ..options() }, "requestTimeoutSeconds"));
        rows.push((Options { max_outage_s: Some(seconds), ..options() }, "maxOutageSeconds"));
    }
    rows.push((Options { wait_s: Some(600.1), ..options() }, "waitSeconds"));
    rows.push((Options { request_timeout_s: Some(300.1), ..options() }, "requestTimeoutSeconds"));
    rows.push((Options { max_outage_s: Some(1e10), ..options() }, "maxOutageSeconds"));
    for (options, key) in rows {
        let broken = options.clone().read().expect_err(key);
        assert_eq!(broken.key, key, "{options:?}");
        assert!(broken.rule.starts_with("must "), "{}", broken.rule);
    }
}

#[test]
fn http_is_accepted_everywhere_or_for_loopback_only() {
    let at = |server: &str, resource_url: &str| {
        let options = Options { resources: vec![resource(resource_url)], ..options() };
        let options = with_url(options, "endpoints.token", &format!("{server}/token"));
        with_url(options, "endpoints.revocation", &format!("{server}/revoke"))
    };
    let insecure = at("http://id.test", "http://api.test/");
    assert_eq!(insecure.clone().read().expect_err("insecure").key, "endpoints.token");
    let setup = read(&Options { allow_http: true, ..insecure });
    assert!(setup.resources.find_rule("http://api.test/x").is_some());

    let setup = read(&at("http://localhost:4000", "http://127.0.0.1:5000/"));
    assert!(setup.resources.find_rule("http://127.0.0.1:5000/x").is_some());
}
