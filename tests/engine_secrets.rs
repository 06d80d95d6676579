//! No token is in what can be printed, logged or told.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use std::fmt::Debug;

use common::*;
use tokenward::engine::event::{Event, Reason};
use tokenward::engine::failure::{Answer, Cause, Exchange, outcome};
use tokenward::engine::oauth::id_token::Identity;
use tokenward::engine::oauth::object::Object;
use tokenward::engine::oauth::request::{self, Form};
use tokenward::engine::oauth::response::{Member, TokenAnswer};
use tokenward::engine::session::Way;
use tokenward::engine::token::{AccessToken, RefreshToken, Secret};
use tokenward::engine::{Output, Ticket, Work};

/// In every secret of these tests; base64 and percent-encoding leave it as it is.
const CANARY: &str = "canarycanary";

fn secret(name: &str) -> String {
    format!("{name}.{CANARY}.0123456789.0123456789.0123456789")
}

fn canary_response() -> TokenAnswer {
    response(&secret("access"), Some(&secret("refresh")))
}

fn canary_identity(subject: &str) -> Identity {
    let claims = claims().with("sub", subject).with("sid", "sid-1");
    Identity::new(Secret::new(secret("id-token")), &claims).expect("it says who")
}

fn canary_sign_in(subject: &str) -> Exchange {
    answered(200, Some(TokenAnswer { identity: Some(canary_identity(subject)), ..canary_response() }))
}

fn assert_hidden(what: &dyn Debug) {
    for text in [format!("{what:?}"), format!("{what:#?}")] {
        assert!(!text.contains(CANARY), "{text}");
    }
}

#[test]
fn what_holds_a_secret_prints_without_it() {
    let text = Secret::new(secret("text"));
    assert_hidden(&text);
    assert_hidden(&AccessToken::new(&text, false));
    assert_hidden(&RefreshToken::new(&text));
    assert_hidden(&AccessToken::new(&text, false).map(|token| token.authorization()));
    assert_hidden(&Member::Text(text.clone()));
    assert_hidden(&canary_response());
    assert_hidden(&canary_response().read());
    assert_hidden(&error_response(&secret("echo")).error_code());
    assert_hidden(&TokenAnswer { refresh_token: Member::Other, ..canary_response() }.read());
    for exchange in [
        answered(200, Some(canary_response())),
        answered(400, Some(error_response(&secret("echo")))),
        Exchange::CallbackResolved(Some(canary_response())),
        Exchange::CallbackRejected(Some(error_response(&secret("echo")))),
    ] {
        assert_hidden(&exchange);
        assert_hidden(&exchange.error());
        assert_hidden(&outcome(&exchange));
    }
    let ticket = Ticket { epoch: 0, number: 0 };
    let body = request::refresh("spa", text.expose());
    assert!(body.expose().contains(CANARY), "the canary would be seen");
    assert_hidden(&Output::Start(ticket, Work::Refresh { body: body.clone() }));
    assert_hidden(&Output::Start(ticket, Work::Revoke { body }));
    let grant = canary_response().read().expect("a token response");
    assert_hidden(&grant);
    assert!(format!("{grant:?}").contains("[redacted]"));
}

#[test]
fn what_a_sign_in_holds_prints_without_it() {
    let identity = canary_identity("user-1");
    assert!(identity.token.expose().contains(CANARY), "the canary would be seen");
    assert_hidden(&identity);
    assert_hidden(&canary_sign_in("user-1"));
    assert_hidden(&outcome(&canary_sign_in("user-1")));

    let mut form = Form::default();
    form.add("code", &secret("code"));
    form.add_text("code_verifier", &Json(serde_json::json!({ "verifier": secret("verifier") })), "verifier");
    let form = form.done();
    assert!(form.expose().contains(CANARY), "the canary would be seen");
    assert_hidden(&form);
    assert_hidden(&Form::url("https://id.test/logout", &form));

    let mut world = World::discovered(session_options());
    let transaction = transaction()
        .with("state", secret("state"))
        .with("verifier", secret("verifier"))
        .with("nonce", secret("nonce"))
        .with("challenge", secret("challenge"));
    assert_hidden(&transaction.get("verifier"));
    let request = world.engine.authorization_request(&transaction).expect("a request");
    assert!(request.expose().contains(CANARY), "the canary would be seen");
    assert_hidden(&request);
    assert_hidden(&world.engine.authorization_url(&request));
    assert_hidden(&world.engine.push_to(&transaction));
    let answer = code_answer().with("state", secret("state")).with("code", secret("code"));
    let request = world.engine.code_request(&transaction, &answer, START).expect("a request");
    assert!(request.expose().contains("code=code.canary"), "the canary would be seen");
    assert_hidden(&request);

    // What is wrong with one says no more.
    assert_hidden(&world.engine.code_request(&transaction, &answer.with("state", secret("other")), START));
    assert_hidden(&world.engine.code_request(&transaction, &answer.with("error", secret("error")), START));
    assert_hidden(&world.engine.code_request(&transaction, &answer.with("iss", secret("iss")), START));
    assert_hidden(&world.engine.discovered(&metadata().with("issuer", secret("issuer"))));
    assert_hidden(&world.engine.discovered(&metadata().with("jwks_uri", secret("url"))));
    assert_hidden(&world.engine.authorization_request(&transaction.with("returnTo", secret("url"))));
    let bad = claims().with("nonce", secret("nonce"));
    assert_hidden(&world.engine.check_answer(&canary_sign_in("user-1"), &transaction.with("nonce", "x"), &bad, START));
    let echo = answered(400, Some(error_response(&secret("echo"))));
    assert_hidden(&world.engine.check_answer(&echo, &transaction, &bad, START));
    assert_hidden(&world.engine.pushed(&echo, &Json(serde_json::Value::Null)));
    let header = Json(serde_json::json!({ "alg": "RS256", "kid": secret("kid") }));
    assert_hidden(&world.engine.key(&header, std::slice::from_ref(&header), true, START));
}

/// Looks at all that can be seen of a ward after every step.
struct Watched(World);

impl Watched {
    fn step<T>(&mut self, step: impl FnOnce(&mut World) -> T) {
        let world = &mut self.0;
        step(world);
        assert_hidden(&world.engine);
        assert_hidden(&(&world.running, &world.revoking, &world.settled, &world.aborted, &world.signed_out));
        for event in &world.events {
            assert_hidden(event);
            let text = json(event.record().1);
            assert!(!text.contains(CANARY), "{text}");
        }
        let snapshot = world.engine.snapshot(world.now);
        assert_hidden(&snapshot);
        let text = json(snapshot.record());
        assert!(!text.contains(CANARY), "{text}");
    }
}

#[test]
fn nothing_of_a_whole_session_shows_a_token() {
    let echo = || answered(500, Some(error_response(&secret("echo"))));
    let hostile = Exchange::Answered(Answer {
        status: 200,
        body: Some(TokenAnswer { access_token: text("not visible"), ..canary_response() }),
        ..Answer::default()
    });
    let failures = [
        echo(),
        hostile,
        delayed(429, 2_000),
        Exchange::Failed(Cause::TooLarge),
        Exchange::CallbackRejected(Some(TokenAnswer { error: Member::Other, ..canary_response() })),
        answered(404, Some(canary_response())),
    ];
    let mut watched = Watched(World::new(options()));
    watched.step(|world| world.set_tokens(canary_response()));
    assert!(watched.0.access_token().is_some_and(|token| token.contains(CANARY)), "the canary would be seen");
    watched.step(|world| world.renew());
    for failure in failures {
        watched.step(|world| world.answer(failure));
        watched.step(|world| world.pass_until_refresh(MINUTE).expect("another try"));
    }
    watched.step(|world| world.answer(answered(200, Some(canary_response()))));
    watched.step(|world| {
        let stamp = world.engine.stamp();
        assert!(world.unauthorized(stamp, false));
    });
    watched.step(|world| world.pass(20 * SECOND));
    watched.step(|world| world.sign_out());
    watched.step(|world| world.pass(MINUTE));
    assert_eq!(watched.0.events.iter().filter(|event| matches!(event, Event::SignedOut(_))).count(), 1);

    watched.step(|world| world.set_tokens(canary_response()));
    watched.step(|world| world.renew());
    watched.step(|world| world.answer(refused_with(&secret("echo"))));
    assert!(watched.0.engine.signed_in(), "that was no error code");
    watched.step(World::close);
}

#[test]
fn nothing_of_a_sign_in_and_its_end_shows_a_token() {
    let options = with_url(session_options(), "postLogoutRedirectUri", "https://app.test/bye");
    let mut watched = Watched(World::discovered(options));
    watched.step(|world| world.restore(Way::Session));
    watched.step(|world| world.answer(answered(401, Some(error_response(&secret("echo"))))));
    watched.step(|world| world.restore(Way::Session));
    watched.step(|world| world.answer(canary_sign_in("user-1")));
    watched.step(|world| {
        let began = world.engine.sign_outs();
        world.sign_in(canary_sign_in("user-1"), began).expect("signed in");
    });
    assert!(watched.0.engine.identity().is_some_and(|known| known.token.expose().contains(CANARY)));
    watched.step(|world| assert_hidden(&world.engine.logout_url()));
    watched.step(|world| assert_hidden(&world.engine.identity()));
    watched.step(World::renew);
    watched.step(|world| world.answer(canary_sign_in("user-2")));
    assert_eq!(watched.0.sign_out_reason(), Some(Reason::UserChanged));
    watched.step(|world| {
        let began = world.engine.sign_outs();
        world.sign_in(canary_sign_in("user-2"), began).expect("signed in");
    });
    watched.step(|world| world.signed_out_elsewhere(Some(ISSUER), Some("sid-1")));
    watched.step(|world| world.pass(MINUTE));
    watched.step(World::close);
}

#[test]
fn secrets_are_compared_by_their_text() {
    let (one, other) = (Secret::new(secret("one")), Secret::new(secret("other")));
    assert_eq!(one, one.clone());
    assert_ne!(one, other);
    assert_eq!(one.expose(), secret("one"));
}
