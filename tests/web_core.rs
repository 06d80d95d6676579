//! The shell in a browser, over a host with virtual clocks, a virtual timer and no network.
#![cfg(target_arch = "wasm32")]

mod web_host;

use std::rc::Rc;

use js_sys::Object;
use tokenward::web::{Core, Host};
use wasm_bindgen::prelude::*;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};
use web_host::*;

wasm_bindgen_test_configure!(run_in_browser);

const SEND_AS_IS: u32 = 0;
const SEND: u32 = 1;
const WAIT: u32 = 2;

#[wasm_bindgen_test]
fn a_broken_rule_is_named() {
    let host = make_host();
    let bad = parse(r#"{ "resources": [{ "name": "resources[0]", "url": "http://api.test/" }] }"#);
    let error = Core::new(&bad, 1.0, host.unchecked_into::<Host>()).err().expect("a broken rule");
    let message = "resources[0].url must be https: (http: is for loopback hosts, or with dangerouslyAllowHttp)";
    assert_eq!(json(&error), format!(r#"["invalid_option","{message}",null]"#));
    restore_timers();
}

#[wasm_bindgen_test]
fn a_matching_request_gets_the_header_and_no_other_does() {
    let world = World::signed_in(r#"{ "access_token": "AT1", "refresh_token": "RT1", "expires_in": 3600 }"#);
    assert_eq!(world.core.find_rule("https://api.test.evil.test/v1/orders"), -1);
    assert_eq!(world.authorize(), SEND);
    assert_eq!(world.core.authorization(), "Bearer AT1");
    for (flags, why) in [(1, "own Authorization"), (2, "no-cors")] {
        assert_eq!(world.core.authorize(world.core.find_rule(URL) as u32, "GET", flags, -1.0), SEND_AS_IS, "{why}");
    }
}

#[wasm_bindgen_test]
fn a_refresh_is_one_form_to_the_token_endpoint_and_settles_who_waits() {
    let world = World::signed_in(r#"{ "access_token": "AT1", "refresh_token": "R/1", "expires_in": "100" }"#);
    // The tab was throttled: no timer fired.
    world.set("now", &(1_000_000.0 + 100_000.0).into());
    assert_eq!((world.authorize(), world.authorize()), (WAIT, WAIT));
    let waiter = world.core.wait(-1.0, 600_000.0);
    assert_eq!(
        world.calls("post"),
        [r#"["post",0,1,0,"grant_type=refresh_token&refresh_token=R%2F1&client_id=spa",1048576]"#]
    );
    world.answer(1, r#"{ "status": 200, "body": { "access_token": "AT2", "expires_in": 100 } }"#);
    assert_eq!(world.calls("settle"), [format!(r#"["settle",{waiter},0,0]"#)]);
    assert_eq!(world.authorize(), SEND);
    assert_eq!(world.core.authorization(), "Bearer AT2");
    // An answer that comes again changes nothing.
    world.answer(1, r#"{ "status": 400, "body": { "error": "invalid_grant" } }"#);
    assert!(world.core.signed_in());
}

#[wasm_bindgen_test]
fn a_month_is_slept_in_slices() {
    let world = World::signed_in(r#"{ "access_token": "AT1", "refresh_token": "RT1", "expires_in": 2592000 }"#);
    assert_eq!(json(&armed()), "[60000]");
    assert_eq!(world.sleep_until("post", 20.0 * 86_400_000.0).len(), 0, "refreshed before two thirds of its life");
    assert_eq!(json(&armed()), "[60000]");
    assert_eq!(world.sleep_until("post", 7.5 * 86_400_000.0).len(), 1);
}

#[wasm_bindgen_test]
fn waking_up_is_noticed_before_the_timer() {
    for event in ["visibilitychange", "pageshow", "online", "focus", "resume"] {
        let world = World::signed_in(r#"{ "access_token": "AT1", "refresh_token": "RT1", "expires_in": 3600 }"#);
        world.set("now", &(1_000_000.0 + 3_590_000.0).into());
        dispatch(&world.host, event);
        assert_eq!(world.calls("post").len(), 1, "{event}");
    }
}

#[wasm_bindgen_test]
fn nothing_is_sent_while_offline() {
    let world = World::signed_in(r#"{ "access_token": "AT1", "refresh_token": "RT1", "expires_in": 100 }"#);
    world.set("isOnline", &false.into());
    dispatch(&world.host, "offline");
    assert_eq!(world.sleep_until("post", 500_000.0).len(), 0);
    world.set("isOnline", &true.into());
    dispatch(&world.host, "online");
    assert_eq!(world.calls("post").len(), 1);
}

#[wasm_bindgen_test]
fn a_request_that_takes_too_long_is_aborted_and_tried_again() {
    let world = World::signed_in(r#"{ "access_token": "AT1", "refresh_token": "RT1", "expires_in": 100 }"#);
    assert_eq!(world.sleep_until("post", 76_000.0).len(), 1);
    assert_eq!(world.sleep_until("abort", 14_999.0).len(), 0);
    assert_eq!(world.sleep_until("abort", 1.0), [r#"["abort",0,1]"#]);
    // Nobody waits.
    assert_eq!(world.sleep_until("post", 8_000.0).len(), 1);
}

#[wasm_bindgen_test]
fn events_are_plain_objects_with_null_for_nothing() {
    let world = World::signed_in(r#"{ "access_token": "AT1", "refresh_token": "RT1", "expires_in": 100 }"#);
    assert_eq!(world.calls("emit"), [r#"["emit","signedin",{"generation":1,"expiresAt":1100000,"scope":null}]"#]);
    world.sleep_until("post", 76_000.0);
    world.answer(1, r#"{ "status": 400, "body": { "error": "invalid_grant", "error_description": "no" } }"#);
    let events = world.calls("emit");
    assert_eq!(
        events,
        [
            r#"["emit","refreshfailed",{"cause":"oauth_error","status":400,"error":"invalid_grant","attempt":1,"retryable":false,"retryAt":null}]"#,
            r#"["emit","signedout",{"reason":"refresh_rejected","error":"invalid_grant"}]"#,
        ]
    );
    assert_eq!(world.authorize(), SEND_AS_IS);
    assert!(world.core.authorization().is_undefined());
}

#[wasm_bindgen_test]
fn a_retry_after_is_read_in_both_forms() {
    let rows = [
        (r#""30""#, 30_000.0),
        (r#""Thu, 01 Jan 1970 00:20:00 GMT""#, 120_000.0),
        (r#""Thu, 01 Jan 1970 00:20:00 GMT", "date": null"#, 120_000.0),
        // By a server three hours ahead.
        (r#""Thu, 01 Jan 1970 03:20:00 GMT", "date": "Thu, 01 Jan 1970 03:18:30 GMT""#, 90_000.0),
    ];
    for (value, earliest_ms) in rows {
        let world = World::signed_in(r#"{ "access_token": "AT1", "refresh_token": "RT1", "expires_in": 100 }"#);
        world.set("now", &1_080_000.0.into());
        dispatch(&world.host, "focus");
        world.answer(1, &format!(r#"{{ "status": 429, "retryAfter": {value} }}"#));
        assert_eq!(world.sleep_until("post", earliest_ms - 1.0).len(), 0, "{value}");
        assert_eq!(world.sleep_until("post", 1_001.0).len(), 1, "{value}");
    }
}

#[wasm_bindgen_test]
fn a_jwt_without_expires_in_lives_as_long_as_it_says() {
    let world = World::signed_in(r#"{ "access_token": "a.jwt.token", "refresh_token": "RT1" }"#);
    assert!(world.calls("emit")[0].contains(r#""expiresAt":1100000"#));
}

#[wasm_bindgen_test]
fn what_the_callback_returns_is_read_like_an_answer() {
    let options = r#"{ "calls": true, "resources": [{ "name": "resources[0]", "url": "https://api.test/v1/" }] }"#;
    let cases = [
        (4, r#"{ "body": { "access_token": "AT2", "expires_in": 100 } }"#, true),
        (4, r#"{ "body": "not an object" }"#, true),
        (4, r#"{ "body": null }"#, false),
        (3, r#"{ "body": { "message": "offline" } }"#, true),
        (3, r#"{ "body": { "error": "invalid_grant" } }"#, false),
    ];
    for (how, answer, goes_on) in cases {
        let world = World::new(options);
        world.core.set_tokens(&parse(r#"{ "access_token": "AT1", "expires_in": 100 }"#), 0.0).expect("tokens");
        assert_eq!(world.sleep_until("refresh", 76_000.0), [r#"["refresh",0,1]"#]);
        world.core.replied(0, 1, how, &parse(answer));
        assert_eq!(world.core.signed_in(), goes_on, "{how} {answer}");
    }
}

#[wasm_bindgen_test]
fn signing_out_revokes_and_says_what_was_not_confirmed() {
    let world = World::signed_in(r#"{ "access_token": "AT1", "refresh_token": "RT1", "expires_in": 100 }"#);
    let id = world.core.sign_out();
    assert_eq!(world.authorize(), SEND_AS_IS);
    let posts = world.calls("post");
    assert!(posts[0].contains(r#",1,"token=RT1&token_type_hint=refresh_token&client_id=spa""#), "{posts:?}");
    assert!(posts[1].contains(r#",1,"token=AT1&token_type_hint=access_token&client_id=spa""#), "{posts:?}");
    world.core.replied(1, 1, 0, &parse(r#"{ "status": 200 }"#));
    world.core.replied(1, 2, 1, &JsValue::UNDEFINED);
    assert_eq!(world.calls("signedOut"), [format!(r#"["signedOut",{id},["access_token"],false]"#)]);
}

#[wasm_bindgen_test]
fn a_listener_may_call_back() {
    let world = World::signed_in(r#"{ "access_token": "AT1", "refresh_token": "RT1", "expires_in": 100 }"#);
    let world = Rc::new(world);
    let weak = Rc::downgrade(&world);
    let callback = Closure::<dyn Fn(String)>::new(move |name: String| {
        let world = weak.upgrade().expect("the world");
        world.core.snapshot();
        if name == "refreshed" {
            world.core.sign_out();
        }
    });
    on_emit(&world.host, callback.as_ref());
    world.sleep_until("post", 76_000.0);
    world.answer(1, r#"{ "status": 200, "body": { "access_token": "AT2", "expires_in": 100 } }"#);
    assert!(!world.core.signed_in());
    let names: Vec<String> = world.calls("emit").iter().map(|call| call[8..].into()).collect();
    assert!(names[0].starts_with("\"refreshed\"") && names[1].starts_with("\"signedout\""), "{names:?}");
    on_emit(&world.host, &JsValue::UNDEFINED);
}

#[wasm_bindgen_test]
fn a_snapshot_explains_itself() {
    let world = World::new(OPTIONS);
    let keys = Object::keys(&world.core.snapshot().unchecked_into::<Object>());
    assert_eq!(
        json(&keys),
        r#"["status","generation","expiresAt","scope","canRefresh","refreshing","online","nextRefresh","waiting","failures","outcomes"]"#
    );
    assert!(json(&world.core.snapshot()).contains(r#""status":"signed_out""#));
}
