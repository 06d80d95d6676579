//! Identity servers differ: answers as they send them (the tokens are made up), each through whole renewals.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::*;
use serde_json::{Value, json};
use tokenward::engine::event::{Event, Reason};
use tokenward::engine::failure::{Answer, Cause, Exchange};
use tokenward::engine::session::{Permit, Settled};

/// The answer as it comes now.
fn body(template: &str, world: &World) -> String {
    let now_s = (world.now.wall_ms / 1_000) as f64;
    let id_token = jwt(&json!({ "iss": ISSUER, "sub": "user-1", "iat": now_s, "at": world.now.wall_ms }));
    let access_token = jwt(&json!({ "iss": ISSUER, "aud": "api", "iat": now_s, "exp": now_s + 900.0 }));
    template.replace("@ID@", &id_token).replace("@AT@", &access_token)
}

fn answer(status: u16, template: &str, world: &World) -> Exchange {
    answered(status, token_answer(&body(template, world)))
}

fn refresh_token_of(world: &World) -> String {
    let fields = decode(world.body());
    fields.into_iter().find(|(name, _)| name == "refresh_token").expect("a refresh token").1
}

/// Signed in by what a code brought.
fn signed_in(server: &Server) -> World {
    let mut world = World::discovered(issuer_options());
    let (exchange, began) = (answer(200, server.first, &world), world.engine.sign_outs());
    world.sign_in(exchange, began).unwrap_or_else(|fault| panic!("{}: {fault:?}", server.name));
    world
}

fn assert_has_tokens(world: &World, server: &Server, round: usize) {
    let snapshot = world.engine.snapshot(world.now);
    let expires_at = world.now.wall_ms as f64 + server.lifetime_s * 1_000.0;
    let off = (snapshot.expires_at.expect("an end") - expires_at).abs();
    assert!(off <= 1_000.0, "{}: {off} ms off", server.name);
    let scope = server.scopes[round.min(2) - 1];
    assert_eq!(snapshot.scope.as_deref(), scope, "{}", server.name);
    assert_eq!(snapshot.generation as usize, round, "{}", server.name);
    assert_eq!(world.user(), Some("user-1"), "{}", server.name);
}

#[test]
fn every_server_s_tokens_are_renewed() {
    for server in &SERVERS {
        let mut world = signed_in(server);
        assert_has_tokens(&world, server, 1);
        for (at, token) in server.refresh_tokens.into_iter().enumerate() {
            let after = world.pass_until_refresh(DAY).expect(server.name) as f64;
            let share = after / 1_000.0 / server.lifetime_s;
            assert!((0.5..0.95).contains(&share), "{}: renewed after {share} of its life", server.name);
            assert_eq!(world.get(), Permit::Go, "{}: requests do not wait", server.name);
            assert_eq!(refresh_token_of(&world), token, "{}", server.name);
            let exchange = answer(200, server.second, &world);
            world.answer(exchange);
            assert_has_tokens(&world, server, at + 2);
        }
        assert_eq!(world.event_names(), ["signedin", "refreshed", "refreshed", "refreshed"], "{}", server.name);
    }
}

#[test]
fn every_server_s_rejection_ends_the_session() {
    for server in &SERVERS {
        let mut world = signed_in(server);
        world.sleep(2 * DAY);
        let waiter = world.must_wait(None);
        let (status, rejection) = server.rejection;
        let code =
            serde_json::from_str::<Value>(rejection).expect("JSON")["error"].as_str().expect("a code").to_owned();
        let exchange = answer(status, rejection, &world);
        world.answer(exchange);
        let reason = if code == "invalid_grant" { Reason::RefreshRejected } else { Reason::LoginRequired };
        assert_eq!(world.sign_out_reason(), Some(reason), "{}", server.name);
        assert_eq!(world.settled_as(waiter), Some(Settled::SignedOut), "{}", server.name);
        let [.., Event::RefreshFailed(failed), Event::SignedOut(ended)] = &world.events[..] else {
            panic!("{}: {:?}", server.name, world.events)
        };
        assert_eq!((failed.status, failed.error.as_ref()), (Some(status), Some(&code)), "{}", server.name);
        assert_eq!(ended.error.as_ref(), Some(&code), "{}", server.name);
        let rejection: Value = serde_json::from_str(rejection).expect("JSON");
        for member in rejection.as_object().expect("an object").iter().filter(|(name, _)| *name != "error") {
            let said = member.1.as_str().unwrap_or("AADSTS");
            assert!(!format!("{:?}", world.events).contains(said), "{}: {said} is passed on", server.name);
        }
        world.pass(DAY);
        assert_eq!(world.started.len(), 1, "{}: not asked again", server.name);
    }
}

#[test]
fn an_outage_of_any_server_passes() {
    // What stands in front of servers answers as well, in HTML or in words of its own.
    let troubles = [
        (502, "<html><head><title>502 Bad Gateway</title></head></html>", Cause::ServerError, None),
        (503, "upstream connect error or disconnect/reset before headers", Cause::ServerError, None),
        (504, "", Cause::ServerError, None),
        (500, r#"{"error":"server_error"}"#, Cause::ServerError, Some("server_error")),
        (
            500,
            r#"{"error":"unknown_error","error_description":"For more on this error consult the log"}"#,
            Cause::ServerError,
            Some("unknown_error"),
        ),
        (
            400,
            r#"{"error":"temporarily_unavailable","error_codes":[90033],"trace_id":"0f1e"}"#,
            Cause::ServerError,
            Some("temporarily_unavailable"),
        ),
        (403, "<!DOCTYPE html><title>Access denied | Cloudflare</title>", Cause::Malformed, None),
        (404, r#"{"error":"Unable to find matching target resource method"}"#, Cause::Malformed, None),
        (404, r#"{"error":"Realm does not exist"}"#, Cause::Malformed, None),
        (400, "", Cause::Malformed, None),
        (400, r#""invalid_grant""#, Cause::Malformed, None),
        (400, r#"["invalid_grant"]"#, Cause::Malformed, None),
        (400, r#"{"error":{"code":400,"message":"Bad Request","status":"INVALID_ARGUMENT"}}"#, Cause::Malformed, None),
        (
            400,
            r#"{"errorCode":"E0000021","errorSummary":"Bad request.","errorLink":"E0000021","errorId":"oae1","errorCauses":[]}"#,
            Cause::Malformed,
            None,
        ),
        (
            401,
            r#"{"errorCode":"invalid_client","errorSummary":"Invalid value for 'client_id' parameter.","errorCauses":[]}"#,
            Cause::Malformed,
            None,
        ),
        (401, r#"{"error":"Unauthorized"}"#, Cause::Malformed, None),
        (
            429,
            r#"{"errorCode":"E0000047","errorSummary":"API call exceeded rate limit due to too many requests.","errorCauses":[]}"#,
            Cause::RateLimited,
            None,
        ),
        (
            429,
            r#"{"error":"too_many_requests","error_description":"Global limit has been reached"}"#,
            Cause::RateLimited,
            Some("too_many_requests"),
        ),
        (200, "<html>Sign in to Wi-Fi</html>", Cause::Malformed, None),
        (200, "", Cause::Malformed, None),
        (200, "null", Cause::Malformed, None),
        (200, r#"{"access_token":null,"token_type":"Bearer"}"#, Cause::Malformed, None),
        (200, r#"{"access_token":"x","token_type":"DPoP"}"#, Cause::Malformed, None),
    ];
    for (status, body, cause, error) in troubles {
        let mut world = signed_in(&SERVERS[2]);
        world.sleep(HOUR);
        let waiter = world.must_wait(None);
        world.events.clear();
        world.answer(answered(status, token_answer(body)));
        let [Event::RefreshFailed(failed)] = &world.events[..] else { panic!("{status} {body}: {:?}", world.events) };
        assert_eq!((failed.cause, failed.error.as_deref(), failed.retryable), (cause, error, true), "{status} {body}");
        assert!(world.engine.signed_in(), "{status} {body}");
        world.pass_until_refresh(MINUTE).expect("another try");
        assert_eq!(refresh_token_of(&world), SERVERS[2].refresh_tokens[0], "{status} {body}");
        let exchange = answer(200, SERVERS[2].second, &world);
        world.answer(exchange);
        assert!(matches!(world.settled_as(waiter), Some(Settled::Ready(_))), "{status} {body}");
    }
}

#[test]
fn a_server_that_says_when_is_asked_then() {
    let mut world = signed_in(&SERVERS[5]);
    world.sleep(HOUR);
    world.must_wait(None);
    let body = token_answer(r#"{"errorCode":"E0000047","errorSummary":"API call exceeded rate limit"}"#);
    world.answer(Exchange::Answered(Answer { status: 429, retry_after_ms: Some(20 * SECOND), body }));
    let after = world.pass_until_refresh(MINUTE).expect("another try");
    assert!((20 * SECOND..=21 * SECOND).contains(&after), "{after}");
}

#[test]
fn a_code_that_is_refused_signs_nobody_in() {
    for (status, body, code, detail) in [
        (
            400,
            r#"{"error":"invalid_grant","error_description":"Code not valid"}"#,
            "token_request_failed",
            "invalid_grant",
        ),
        (
            403,
            r#"{"error":"invalid_grant","error_description":"Invalid authorization code"}"#,
            "token_request_failed",
            "invalid_grant",
        ),
        (
            401,
            r#"{"error":"unauthorized_client","error_description":"Invalid client or Invalid client credentials"}"#,
            "token_request_failed",
            "unauthorized_client",
        ),
        (
            400,
            r#"{"error":"invalid_request","error_codes":[9002326],"error_description":"AADSTS9002326: Cross-origin token redemption is permitted only for the 'Single-Page Application' client-type."}"#,
            "token_request_failed",
            "invalid_request",
        ),
        (502, "<html></html>", "server_unavailable", ""),
        (401, r#"{"errorCode":"invalid_client","errorSummary":"x"}"#, "server_unavailable", ""),
        (200, "{}", "server_unavailable", ""),
    ] {
        let mut world = World::discovered(issuer_options());
        let (exchange, began) = (answered(status, token_answer(body)), world.engine.sign_outs());
        let fault = world.engine.check_answer(&exchange, &transaction(), &claims(), world.now).expect_err(body);
        assert_eq!((fault.code, fault.detail.as_str(), fault.status), (code, detail, Some(status)), "{body}");
        assert_eq!(world.sign_in(exchange, began).expect_err(body).code, "server_unavailable");
        assert!(!world.engine.signed_in(), "{body}");
    }
}

#[test]
fn lifetimes_are_read_in_every_form() {
    for (member, lifetime_s) in [
        (r#""expires_in":3599"#, Some(3_599.0)),
        (r#""expires_in":"3599""#, Some(3_599.0)),
        (r#""expires_in":"3599.0""#, Some(3_599.0)),
        (r#""expires_in":" 3599 ""#, Some(3_599.0)),
        (r#""expires_in":3599.5"#, Some(3_599.5)),
        (r#""expires_in":1e3"#, Some(1_000.0)),
        (r#""expires_in":1e300"#, Some(315_360_000.0)),
        (r#""expires_in":3599,"refresh_expires_in":1800,"ext_expires_in":7200"#, Some(3_599.0)),
        // The JWT knows, where the answer does not.
        (r#""expires_in":0"#, Some(900.0)),
        (r#""expires_in":-1"#, Some(900.0)),
        (r#""expires_in":"0""#, Some(900.0)),
        (r#""expires_in":"soon""#, Some(900.0)),
        (r#""expires_in":"1e3""#, Some(900.0)),
        (r#""expires_in":"""#, Some(900.0)),
        (r#""expires_in":null"#, Some(900.0)),
        (r#""expires_in":true"#, Some(900.0)),
        (r#""expires_in":[3599]"#, Some(900.0)),
        (r#""expires_on":"1800003599""#, Some(900.0)),
    ] {
        let mut world = World::discovered(issuer_options());
        let template = format!(r#"{{"access_token":"@AT@","token_type":"Bearer",{member}}}"#);
        let (exchange, began) = (answer(200, &template, &world), world.engine.sign_outs());
        world.sign_in(exchange, began).expect(member);
        let expires_at = world.engine.snapshot(world.now).expires_at;
        let expected = lifetime_s.map(|seconds: f64| START.wall_ms as f64 + seconds * 1_000.0);
        assert_eq!(expires_at, expected, "{member}");
    }
    let mut world = World::discovered(issuer_options());
    let (exchange, began) = (answer(200, r#"{"access_token":"opaque"}"#, &world), world.engine.sign_outs());
    world.sign_in(exchange, began).expect("signed in");
    assert_eq!(world.engine.snapshot(world.now).expires_at, None, "nobody knows");
    world.pass(DAY);
    assert_eq!(world.get(), Permit::Go);
}

#[test]
fn entra_says_when_it_would_like_to_be_asked() {
    let mut world = World::discovered(issuer_options());
    let body = r#"{"token_type":"Bearer","expires_in":"86399","refresh_in":"43199","access_token":"@AT@","refresh_token":"1.A"}"#;
    let (exchange, began) = (answer(200, body, &world), world.engine.sign_outs());
    world.sign_in(exchange, began).expect("signed in");
    let after = world.pass_until_refresh(2 * DAY).expect("renewed");
    assert!((43_199_000..=43_199_000 + 86_399_000 / 5).contains(&after), "{after}");
}

#[test]
fn a_type_of_token_is_bearer_in_any_case() {
    for (token_type, is_good) in [
        ("Bearer", true),
        ("bearer", true),
        ("BEARER", true),
        ("bEaReR", true),
        ("DPoP", false),
        ("MAC", false),
        ("N_A", false),
        ("Bearer ", false),
    ] {
        let mut world = signed_in(&SERVERS[0]);
        world.renew();
        let body =
            format!(r#"{{"access_token":"@AT@","token_type":"{token_type}","refresh_token":"next","expires_in":60}}"#);
        let exchange = answer(200, &body, &world);
        world.answer(exchange);
        assert_eq!(world.engine.stamp().generation, if is_good { 2 } else { 1 }, "{token_type}");
        // The last refresh token may be used up, so that the new one counts in any case.
        world.pass_until_refresh(HOUR).expect("another");
        assert_eq!(refresh_token_of(&world), "next", "{token_type}");
    }
}

/// NiFi has a JWT and nothing to renew it with but itself, at an endpoint that slides. The app's callback calls it.
#[test]
fn a_jwt_that_slides_is_the_app_s_to_renew() {
    let token = |at_s: f64| {
        token_answer(&json!({ "access_token": jwt(&json!({ "sub": "user-1", "exp": at_s + 43_200.0 })) }).to_string())
    };
    let mut world = World::new(callback_options());
    world.set_tokens(token(NOW_S).expect("an object"));
    assert_eq!(world.engine.snapshot(world.now).expires_at, Some((NOW_S + 43_200.0) * 1_000.0));
    for _ in 0..4 {
        let after = world.pass_until_refresh(DAY).expect("renewed") / 1_000;
        assert!((25_000..43_200).contains(&after), "{after}");
        world.answer(Exchange::CallbackRejected(token_answer(r#"{"message":"502"}"#)));
        world.pass_until_refresh(MINUTE).expect("another try");
        let now_s = (world.now.wall_ms / 1_000) as f64;
        world.answer(Exchange::CallbackResolved(token(now_s)));
        assert_eq!(world.get(), Permit::Go);
    }
    assert_eq!(world.user(), None, "an access token names nobody");
    world.renew();
    world.answer(Exchange::CallbackResolved(None));
    assert_eq!(world.sign_out_reason(), Some(Reason::LoginRequired), "the endpoint said 401");
}

/// A refresh token whose lifetime is absolute is refused some day, however often it was used.
#[test]
fn an_absolute_lifetime_ends_where_the_server_says() {
    let server = &SERVERS[0];
    let mut world = signed_in(server);
    let ends = world.now.plus(8 * HOUR);
    let mut renewals = 0;
    while world.engine.signed_in() {
        world.pass_until_refresh(DAY).expect("a renewal");
        let exchange = if ends.reached(world.now) {
            answer(400, server.rejection.1, &world)
        } else {
            renewals += 1;
            answer(200, server.second, &world)
        };
        world.answer(exchange);
    }
    assert!((8..=14).contains(&renewals), "{renewals}");
    assert_eq!(world.sign_out_reason(), Some(Reason::RefreshRejected));
}

/// One that slides lives as long as the page, asleep for less than its lifetime, and not longer.
#[test]
fn a_sliding_lifetime_lasts_while_it_is_used() {
    let server = &SERVERS[2];
    let sliding = 1_800 * SECOND;
    for (asleep, survives) in [(25 * MINUTE, true), (2 * HOUR, false)] {
        let mut world = signed_in(server);
        let mut used = world.now;
        for round in 0..40 {
            if round == 20 {
                world.sleep(asleep);
                world.tick();
            }
            if world.running.is_empty() {
                world.pass_until_refresh(DAY).expect("a renewal");
            }
            let exchange = if used.elapsed_ms(world.now) < sliding {
                used = world.now;
                answer(200, server.second, &world)
            } else {
                answer(400, server.rejection.1, &world)
            };
            world.answer(exchange);
            if !world.engine.signed_in() {
                break;
            }
        }
        assert_eq!(world.engine.signed_in(), survives, "asleep for {asleep}");
        assert_eq!(world.sign_out_reason(), (!survives).then_some(Reason::RefreshRejected));
    }
}
