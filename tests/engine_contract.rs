//! What the engine tells is what `index.d.ts` says, name by name and type by type.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::*;
use serde_json::Value;
use tokenward::engine::config::KEYS;
use tokenward::engine::event::{Event, Reason, ScopeDetail, SignedOutDetail, Status, StepUpDetail, Why};
use tokenward::engine::failure::{Cause, Exchange};
use tokenward::engine::oauth::response::{Member, TokenAnswer};

const TYPES: &str = include_str!("../src/js/index.d.ts");
const ERRORS: &str = include_str!("../src/js/errors.js");
const OPTIONS: &str = include_str!("../src/js/options.js");
const README: &str = include_str!("../README.md");

/// The types without their comments.
fn types() -> String {
    without_comments(TYPES)
}

fn without_comments(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("/*") {
        code += before;
        rest = after.split_once("*/").expect("a comment's end").1;
    }
    code + rest
}

/// What stands between a declaration's start and its end.
fn declaration(start: &str, end: &str) -> String {
    let types = types();
    let (_, after) = types.split_once(start).unwrap_or_else(|| panic!("no {start}"));
    after.split_once(end).expect("its end").0.to_owned()
}

fn interface(name: &str) -> String {
    declaration(&format!("export interface {name} {{"), "\n}")
}

/// The strings of a union.
fn union(name: &str) -> Vec<String> {
    strings(&declaration(&format!("export type {name} ="), ";"))
}

fn strings(union: &str) -> Vec<String> {
    union.split('|').filter_map(|part| part.trim().strip_prefix('"')?.strip_suffix('"').map(Into::into)).collect()
}

/// Splits at a character that is in no braces.
fn split(text: &str, at: char) -> Vec<&str> {
    let mut depth = 0;
    let parts = text.split(|char| {
        depth += match char {
            '{' | '<' | '(' => 1,
            '}' | '>' | ')' => -1,
            _ => 0,
        };
        char == at && depth == 0
    });
    parts.map(str::trim).filter(|part| !part.is_empty()).collect()
}

fn members(body: &str) -> Vec<(&str, &str)> {
    let members = split(body, ';').into_iter();
    members.map(|member| member.split_once(':').expect("a type")).map(|(name, of)| (name, of.trim())).collect()
}

fn assert_is(value: &Value, of: &str, what: &str) {
    let fits = split(of, '|').into_iter().any(|of| match of {
        "null" => value.is_null(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "SignOutReason" | "FailureCause" => value.as_str().is_some_and(|text| union(of).iter().any(|one| one == text)),
        _ if of.starts_with('"') => value.as_str() == Some(of.trim_matches('"')),
        _ if of.starts_with("readonly ") => value.as_array().is_some_and(|list| {
            let of = of.trim_start_matches("readonly ").trim_end_matches("[]");
            list.iter().for_each(|item| assert_is(item, of, what));
            true
        }),
        _ if of.starts_with('{') => value.as_object().is_some_and(|_| {
            assert_has(value, of.trim_matches(['{', '}']), what);
            true
        }),
        other => panic!("{what}: {other}"),
    });
    assert!(fits, "{what}: {value} is no {of}");
}

fn assert_has(value: &Value, body: &str, what: &str) {
    let members = members(body);
    let mut expected: Vec<_> = members.iter().map(|(name, _)| *name).collect();
    let mut names: Vec<_> = value.as_object().expect("an object").keys().map(String::as_str).collect();
    expected.sort_unstable();
    names.sort_unstable();
    assert_eq!(names, expected, "{what}");
    for (name, of) in members {
        assert_is(&value[name], of, &format!("{what}.{name}"));
    }
}

fn assert_event(event: &Event) {
    let (name, detail) = event.record();
    let map = interface("TokenWardEventMap");
    let (_, of) = *members(&map).iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("no {name}"));
    let detail_of = of.trim_start_matches("TokenWardEvent<").trim_end_matches('>');
    assert_has(&serde_json::from_str(&json(detail)).expect("JSON"), &interface(detail_of), name);
}

fn assert_snapshot(world: &World) {
    let record = world.engine.snapshot(world.now).record();
    assert_has(&serde_json::from_str(&json(record)).expect("JSON"), &interface("Snapshot"), "snapshot");
}

#[test]
fn events_and_snapshots_are_as_declared() {
    let mut world = World::new(options());
    assert_snapshot(&world);
    world.set_tokens(TokenAnswer { scope: text("orders"), ..response("access-1", Some("refresh-1")) });
    assert_snapshot(&world);
    for exchange in [
        network_failure(),
        delayed(429, 1_000),
        answered(400, Some(error_response("temporarily_unavailable"))),
        answered(200, Some(TokenAnswer { expires_in: Member::Absent, ..response("access-2", None) })),
    ] {
        world.renew();
        world.pass_until_refresh(MINUTE);
        world.answer(exchange);
        assert_snapshot(&world);
    }
    let stamp = world.engine.stamp();
    for challenge in [
        "Bearer error=insufficient_scope",
        "Bearer error=insufficient_scope, scope=a",
        "Bearer error=insufficient_user_authentication",
        "Bearer error=insufficient_user_authentication, acr_values=a, max_age=1",
    ] {
        world.refused(world.request(), stamp, &refusal(401, challenge));
    }
    world.renew();
    world.answer(refused_with("invalid_grant"));
    assert_snapshot(&world);
    let mut seen: Vec<_> = world.events.iter().map(|event| event.record().0).collect();
    world.events.iter().for_each(assert_event);

    let map = interface("TokenWardEventMap");
    let mut declared: Vec<_> = members(&map).into_iter().map(|(name, _)| name).collect();
    seen.sort_unstable();
    seen.dedup();
    declared.sort_unstable();
    assert_eq!(seen, declared);
}

#[test]
fn names_are_the_declared_ones() {
    let reasons = [
        Reason::SignOut,
        Reason::RefreshRejected,
        Reason::LoginRequired,
        Reason::Misconfigured,
        Reason::Expired,
        Reason::Outage,
        Reason::Elsewhere,
        Reason::UserChanged,
    ];
    let causes = [
        Cause::Network,
        Cause::Timeout,
        Cause::TooLarge,
        Cause::Malformed,
        Cause::ServerError,
        Cause::RateLimited,
        Cause::OauthError,
        Cause::Callback,
    ];
    assert_eq!(reasons.map(Reason::name).to_vec(), union("SignOutReason"));
    assert_eq!(causes.map(Cause::name).to_vec(), union("FailureCause"));

    let snapshot = interface("Snapshot");
    let type_of =
        |name: &str| members(&snapshot).into_iter().find(|(known, _)| *known == name).expect(name).1.to_owned();
    let statuses = [Status::SignedOut, Status::Fresh, Status::Due, Status::Expired];
    assert_eq!(statuses.map(Status::name).to_vec(), strings(&type_of("status")));
    let whys = [Why::Schedule, Why::ServerRequest, Why::Retry, Why::RetryAfter, Why::RequestsWaiting];
    let next = type_of("nextRefresh");
    let (_, why) = next.split_once("why:").expect("a reason");
    assert_eq!(whys.map(Why::name).to_vec(), strings(why.split(['}', ';']).next().expect("its end")));
}

/// The codes of a `TokenWardError` that have a message, in order.
fn messages() -> Vec<String> {
    let (_, after) = ERRORS.split_once("const MESSAGES = {").expect("the messages");
    let (list, _) = after.split_once("\n}").expect("their end");
    let lines = list.lines().filter_map(|line| line.trim().split_once(": "));
    lines.map(|(code, _)| code.into()).collect()
}

/// These are `TypeError`s, whose messages name what is wrong.
const TYPE_ERRORS: [&str; 2] = ["invalid_option", "invalid_token_response"];

#[test]
fn every_error_code_has_a_message() {
    let declared = union("ErrorCode");
    let (type_errors, others) = declared.split_at(TYPE_ERRORS.len());
    assert_eq!(type_errors, TYPE_ERRORS);
    assert_eq!(others, messages());
    // Both say which of them may succeed later.
    let (_, documented) = TYPES.split_once("export type ErrorCode =").expect("the codes");
    let documented: Vec<_> = documented.split("/**").filter(|part| part.contains("Retryable.")).collect();
    let retryable: Vec<_> = documented.iter().map(|part| part.split('"').nth(1).expect("a code")).collect();
    assert!(ERRORS.contains("this.retryable = /_unavailable$/.test(code);"), "they are told otherwise by now");
    let named: Vec<_> = others.iter().filter(|code| code.ends_with("_unavailable")).collect();
    assert_eq!(named, retryable);
}

#[test]
fn the_codes_of_the_engine_are_declared() {
    let sources = [
        include_str!("../src/engine/begin.rs"),
        include_str!("../src/engine/sign_in.rs"),
        include_str!("../src/engine/oauth/authorization.rs"),
        include_str!("../src/engine/oauth/server.rs"),
    ];
    let declared = union("ErrorCode");
    let mut found = 0;
    for source in sources {
        for start in ["Fault::new(\"", "fault(\"", "is_final { \"", "} else { \""] {
            for part in source.split(start).skip(1) {
                let code = part.split('"').next().expect("its end");
                assert!(declared.iter().any(|known| known == code), "{code}");
                found += 1;
            }
        }
    }
    assert!(found > 12, "{found}: they are written otherwise by now");
}

#[test]
fn the_readme_lists_every_error_code() {
    let (_, table) = README.split_once("| `code` | When |").expect("the table");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with("| `"));
    let rows: Vec<_> = rows.map(|row| (row.split('`').nth(1).expect("a code"), row.ends_with("| `true` |"))).collect();
    let mut listed: Vec<_> = rows.iter().map(|(code, _)| *code).collect();
    let mut declared = union("ErrorCode");
    listed.sort_unstable();
    declared.sort_unstable();
    assert!(listed.len() > 5 && listed.iter().all(|code| declared.iter().any(|known| known == code)), "{listed:?}");
    // It may know less than that for as long as it says nothing of signing in.
    if README.contains("handleCallback()") {
        assert_eq!(listed, declared);
    }
    for (code, is_retryable) in rows {
        assert_eq!(is_retryable, code.ends_with("_unavailable"), "{code}");
    }
}

#[test]
fn urls_cross_over_in_one_order() {
    let (_, endpoints) = OPTIONS.split_once("const ENDPOINTS = {").expect("the endpoints");
    let (endpoints, _) = endpoints.split_once('}').expect("their end");
    let endpoints = endpoints.split(',').filter_map(|line| line.trim().split_once(':'));
    let mut names: Vec<_> = endpoints.map(|(name, _)| format!("endpoints.{name}")).collect();
    let (_, after) = OPTIONS.split_once("urls: [").expect("the URLs");
    let (list, _) = after.split_once("],").expect("their end");
    let mut others = list.split(",\n").map(|name| name.trim().trim_start_matches("options."));
    assert!(others.next().is_some_and(|first| first.starts_with("...Object.keys(ENDPOINTS)")));
    names.extend(others.filter_map(|name| name.split(' ').next()).filter(|name| !name.is_empty()).map(Into::into));
    assert_eq!(names, KEYS);
}

#[test]
fn a_detail_is_what_was_meant() {
    let event = Event::SignedOut(SignedOutDetail { reason: Reason::Outage, error: Some("server_error".into()) });
    assert_eq!(json(event.record().1), r#"{"reason":"outage","error":"server_error"}"#);
    let event =
        Event::StepUp(StepUpDetail { resource: API.into(), acr_values: Some("a b".into()), max_age: Some(5.0) });
    assert_eq!(json(event.record().1), r#"{"resource":"https://api.test/v1/","acrValues":"a b","maxAge":5.0}"#);
    let event = Event::InsufficientScope(ScopeDetail { resource: API.into(), scope: None });
    assert_eq!(json(event.record().1), r#"{"resource":"https://api.test/v1/","scope":null}"#);

    let mut world = World::signed_in(options());
    world.renew();
    world.answer(answered(503, None));
    let retry_at = world.engine.snapshot(world.now).next_refresh.expect("another try").at;
    let (name, detail) = world.events[0].record();
    assert_eq!(name, "refreshfailed");
    let detail: Value = serde_json::from_str(&json(detail)).expect("JSON");
    let expected = serde_json::json!({
        "cause": "server_error", "status": 503.0, "error": null, "attempt": 1.0, "retryable": true, "retryAt": retry_at,
    });
    assert_eq!(detail, expected);
}

#[test]
fn a_snapshot_is_what_was_meant() {
    let mut world = World::new(options());
    world.set_tokens(TokenAnswer { scope: text("orders"), ..response("access-1", Some("refresh-1")) });
    world.renew();
    world.answer(Exchange::Failed(Cause::Timeout));
    let next = world.engine.snapshot(world.now).next_refresh.expect("another try");
    let snapshot: Value = serde_json::from_str(&json(world.engine.snapshot(world.now).record())).expect("JSON");
    let now = START.wall_ms as f64;
    let expected = serde_json::json!({
        "status": "fresh",
        "generation": 1.0,
        "expiresAt": now + 300_000.0,
        "scope": "orders",
        "canRefresh": true,
        "refreshing": false,
        "online": true,
        "nextRefresh": { "at": next.at, "why": "retry" },
        "waiting": 1.0,
        "failures": 1.0,
        "outcomes": [{ "at": now, "outcome": "timeout", "status": null, "error": null }],
    });
    assert_eq!(snapshot, expected);
}
