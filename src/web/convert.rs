//! Between JavaScript's values and the engine's. Checks types; the rules are the engine's.

use js_sys::{Array, ArrayIntoIter, Date, Reflect};
use serde::Serialize as _;
use serde_wasm_bindgen::Serializer;
use wasm_bindgen::prelude::*;

use super::host::Host;
use crate::engine::config::{KEYS, Options, Resource, Setup};
use crate::engine::event::{Record, Value};
use crate::engine::failure::{Answer, Cause, Exchange};
use crate::engine::oauth::fault::Fault;
use crate::engine::oauth::id_token::Identity;
use crate::engine::oauth::object::Object;
use crate::engine::oauth::response::{Grant, Member, TokenAnswer};
use crate::engine::schedule::{Moment, retry_after_ms};
use crate::engine::session::Stamp;
use crate::engine::token::{JwtTimes, Secret};

/// Reads the options as `options.js` leaves them: every value has its type, every URL is parsed.
pub(super) fn options(value: &JsValue) -> Result<Setup, JsValue> {
    let mut urls = [const { None }; KEYS.len()];
    for (url, given) in urls.iter_mut().zip(list(&get(value, "urls"))) {
        *url = given.as_string();
    }
    let mut resources = Vec::new();
    for entry in list(&get(value, "resources")) {
        resources.push(resource(&entry));
    }
    let options = Options {
        client_id: text(value, "clientId"),
        issuer: text(value, "issuer"),
        urls,
        page: text(value, "page"),
        restores_silently: get(value, "silent").is_truthy(),
        resources,
        has_refresh_callback: get(value, "refresh").is_function(),
        wait_s: get(value, "waitSeconds").as_f64(),
        request_timeout_s: get(value, "requestTimeoutSeconds").as_f64(),
        max_outage_s: get(value, "maxOutageSeconds").as_f64(),
        allow_http: get(value, "dangerouslyAllowHttp").is_truthy(),
    };
    options.read().map_err(|broken| broken_rule(broken.key, broken.rule))
}

fn resource(entry: &JsValue) -> Resource {
    let given = get(entry, "methods");
    let mut methods = Vec::new();
    for method in list(&given) {
        // What is not a string is not a method.
        methods.push(method.as_string().unwrap_or_default());
    }
    Resource {
        name: text(entry, "name").unwrap_or_default(),
        url: text(entry, "url").unwrap_or_default(),
        methods: (!given.is_undefined()).then_some(methods),
    }
}

pub(super) fn list(value: &JsValue) -> ArrayIntoIter {
    value.dyn_ref::<Array>().cloned().unwrap_or_default().into_iter()
}

pub(super) fn get(object: &JsValue, key: &str) -> JsValue {
    Reflect::get(object, &JsValue::from_str(key)).unwrap_or_default()
}

/// What the JavaScript side makes a `TypeError` of.
fn broken_rule(mut key: String, rule: &str) -> JsValue {
    key.push(' ');
    key.push_str(rule);
    JsValue::from_str(&key)
}

/// Reads the argument of `setTokens()`.
pub(super) fn grant(host: &Host, response: &JsValue) -> Result<Grant, JsValue> {
    // What is not an object has no members.
    let answer = token_answer(host, response).unwrap_or_default();
    answer.read().map_err(|malformed| broken_rule(malformed.member.into(), malformed.rule))
}

/// What came back of a refresh or a revocation.
pub(super) fn exchange(host: &Host, how: u8, answer: &JsValue, now: Moment) -> Exchange {
    let body = &get(answer, "body");
    match how {
        0 => Exchange::Answered(Answer {
            status: status(answer),
            retry_after_ms: text(answer, "retryAfter")
                .and_then(|value| retry_after_ms(&value, Date::parse(&value), now)),
            body: token_answer(host, body),
        }),
        1 => Exchange::Failed(Cause::Network),
        2 => Exchange::Failed(Cause::TooLarge),
        3 => Exchange::CallbackRejected(token_answer(host, body)),
        _ if body.is_null() || body.is_undefined() => Exchange::CallbackResolved(None),
        // What is not an object has no members.
        _ => Exchange::CallbackResolved(Some(token_answer(host, body).unwrap_or_default())),
    }
}

/// The `status` of an answer.
pub(super) fn status(answer: &JsValue) -> u16 {
    get(answer, "status").as_f64().unwrap_or_default() as u16
}

/// A member that is a string.
pub(super) fn text(object: &JsValue, name: &str) -> Option<String> {
    get(object, name).as_string()
}

/// `None` if it is not an object.
fn token_answer(host: &Host, value: &JsValue) -> Option<TokenAnswer> {
    if !value.is_object() || Array::is_array(value) {
        return None;
    }
    let access_token = member(value, "access_token");
    let jwt = match &access_token {
        Member::Text(token) => jwt_times(host, token),
        _ => JwtTimes::default(),
    };
    Some(TokenAnswer {
        access_token,
        token_type: member(value, "token_type"),
        expires_in: member(value, "expires_in"),
        refresh_in: member(value, "refresh_in"),
        refresh_token: member(value, "refresh_token"),
        scope: member(value, "scope"),
        error: member(value, "error"),
        jwt,
        identity: match member(value, "id_token") {
            Member::Text(token) => {
                let claims = host.claims(token.expose());
                Identity::new(token, &Js(&claims))
            }
            _ => None,
        },
    })
}

fn jwt_times(host: &Host, token: &Secret) -> JwtTimes {
    let claims = host.claims(token.expose());
    JwtTimes { expires_at_s: get(&claims, "exp").as_f64(), issued_at_s: get(&claims, "iat").as_f64() }
}

fn member(object: &JsValue, name: &str) -> Member {
    let value = get(object, name);
    if value.is_null() || value.is_undefined() {
        return Member::Absent;
    }
    match (value.as_string(), value.as_f64()) {
        (Some(text), _) => Member::Text(Secret::new(text)),
        (_, Some(number)) => Member::Number(number),
        _ if value.is_truthy() && !value.is_object() => Member::True,
        _ if Array::is_array(&value) => {
            let mut texts = Vec::new();
            for one in list(&value) {
                texts.extend(one.as_string());
            }
            Member::List(texts)
        }
        _ => Member::Other,
    }
}

/// A JavaScript object.
pub(super) struct Js<'a>(pub(super) &'a JsValue);

impl Object for Js<'_> {
    fn get(&self, name: &str) -> Member {
        member(self.0, name)
    }
}

/// What the JavaScript side makes a `TokenWardError` of.
pub(super) fn fault(fault: Fault) -> JsValue {
    let status = fault.status.map_or(JsValue::NULL, JsValue::from);
    Array::of3(&JsValue::from_str(fault.code), &JsValue::from_str(&fault.detail), &status).into()
}

/// An object of JavaScript.
pub(super) fn to_js(record: Record) -> JsValue {
    value_to_js(Value::Record(record))
}

pub(super) fn value_to_js(value: Value) -> JsValue {
    let to = Serializer::new().serialize_maps_as_objects(true).serialize_missing_as_null(true);
    value.serialize(&to).unwrap_or_default()
}

/// Two counters in a number that is exact up to 2^53: sessions above, token sets below.
pub(super) fn stamp_to_js(stamp: Stamp) -> f64 {
    f64::from(stamp.epoch) * GENERATIONS + f64::from(stamp.generation)
}

/// `None` for a negative number.
pub(super) fn stamp_from_js(stamp: f64) -> Option<Stamp> {
    let epoch = (stamp / GENERATIONS).floor();
    (stamp >= 0.0).then_some(Stamp { epoch: epoch as u32, generation: (stamp - epoch * GENERATIONS) as u32 })
}

const GENERATIONS: f64 = 4_294_967_296.0;
