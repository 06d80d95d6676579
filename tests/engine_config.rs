//! The options: their defaults, and the key that an error names.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::*;
use tokenward::engine::config::{KEYS, Setup};
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
        (Options { dpop: true, exposes: true, ..options() }, "dangerouslyExposeAccessToken"),
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

#[test]
fn an_issuer_takes_the_place_of_endpoints() {
    let setup = read(&issuer_options());
    assert_eq!(setup.config.sources, by_grant());
    assert_eq!(setup.revoke_as.as_deref(), Some("spa"), "its metadata may name an endpoint");
    assert_eq!(setup.server.issuer.as_deref(), Some(ISSUER));
    assert_eq!((setup.client.id.as_str(), setup.client.post_logout_redirect_uri), ("spa", None));

    let configured = with_url(issuer_options(), "endpoints.token", "https://id.test/token");
    assert_eq!(read(&configured).revoke_as, None, "no metadata are asked for");
    let bye = with_url(issuer_options(), "postLogoutRedirectUri", "https://app.test/bye");
    assert_eq!(read(&bye).client.post_logout_redirect_uri.as_deref(), Some("https://app.test/bye"));
}

#[test]
fn every_way_is_a_source() {
    let sources = |options: &Options| read(options).config.sources;
    assert_eq!(sources(&session_options()), Sources { session: true, ..by_grant() });
    assert_eq!(sources(&silent_options()), Sources { silent: true, ..by_grant() });
    let backend = Options { page: Some("https://app.test/".into()), ..bare_options() };
    let backend = with_url(backend, "session.url", "https://app.test/session");
    assert_eq!(sources(&backend), Sources { session: true, ..Sources::default() });
    let with_callback = Options { has_refresh_callback: true, ..backend };
    assert_eq!(sources(&with_callback), Sources { session: true, ..by_callback() });
}

#[test]
fn an_error_names_the_option_of_a_sign_in_that_breaks_a_rule() {
    let mut rows = vec![
        (Options { client_id: None, ..issuer_options() }, "clientId"),
        (Options { has_refresh_callback: true, ..issuer_options() }, "refresh"),
        (Options { restores_silently: true, ..bare_options() }, "restore"),
        (Options { restores_silently: true, ..callback_options() }, "restore"),
        (with_url(issuer_options(), "issuer", "https://id.test/?tenant=a"), "issuer"),
    ];
    for key in KEYS {
        for url in ["http://id.test/x", "ftp://id.test/x", "https://user@id.test/x", "https://id.test/x#y", "x"] {
            let mut options = session_options();
            options.urls[KEYS.iter().position(|known| *known == key).expect("it is one")] = Some(url.into());
            rows.push((options, key));
        }
        let is_server_s = key.starts_with("endpoints.");
        if is_server_s {
            let alone = with_url(bare_options(), key, "https://id.test/x");
            rows.push((alone, "clientId"));
        }
    }
    for key in ["session.url", "session.signOutUrl"] {
        for url in ["https://api.test/session", "https://app.test.evil.test/session", "https://app.test:8443/session"] {
            rows.push((with_url(session_options(), key, url), key));
        }
        rows.push((Options { page: None, ..with_url(bare_options(), key, "https://app.test/session") }, key));
    }
    for (options, key) in rows {
        let broken = options.clone().read().expect_err(key);
        assert_eq!(broken.key, key, "{options:?}");
        assert!(broken.rule.starts_with("must "), "{}", broken.rule);
    }
}

#[test]
fn urls_of_a_sign_in_may_be_loopback_s() {
    for key in KEYS.iter().filter(|key| !key.starts_with("session.")) {
        read(&with_url(issuer_options(), key, "http://localhost:4000/x"));
        read(&Options { allow_http: true, ..with_url(issuer_options(), key, "http://id.test/x") });
    }
    let page = Options { page: Some("http://127.0.0.1:5000/a".into()), ..issuer_options() };
    read(&with_url(page, "session.url", "http://127.0.0.1:5000/session?a=b"));
}
