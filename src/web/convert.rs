//! Between JavaScript's values and the engine's. Checks types; the rules are the engine's.

use js_sys::{Array, ArrayIntoIter, Date, Reflect};
use serde::Serialize as _;
use serde_wasm_bindgen::Serializer;
use wasm_bindgen::prelude::*;

use super::host::Host;
use crate::engine::config::{self, Setup};
use crate::engine::event::{Record, Value};
use crate::engine::failure::{Answer, Cause, Exchange};
use crate::engine::oauth::fault::Fault;
use crate::engine::oauth::id_token::Identity;
use crate::engine::oauth::object::Object;
use crate::engine::oauth::response::{Grant, Malformed, Member, TokenAnswer};
use crate::engine::requests::Loan;
use crate::engine::schedule::{Moment, retry_after_ms};
use crate::engine::session::Stamp;
use crate::engine::token::{JwtTimes, Secret};

/// Reads the options as `options.js` leaves them: every value has its type, every URL is parsed.
pub(super) fn options(value: &JsValue) -> Result<Setup, JsValue> {
    let resources = items(&get(value, "resources"));
    config::read(value, &resources).map_err(|broken| broken_rule("invalid_option", broken.key, broken.rule))
}

/// The items of a list.
pub(super) fn items(value: &JsValue) -> Vec<JsValue> {
    let mut items = Vec::new();
    for item in list(value) {
        items.push(item);
    }
    items
}

fn list(value: &JsValue) -> ArrayIntoIter {
    value.dyn_ref::<Array>().cloned().unwrap_or_default().into_iter()
}

pub(super) fn get(object: &JsValue, key: &str) -> JsValue {
    Reflect::get(object, &JsValue::from_str(key)).unwrap_or_default()
}

fn broken_rule(code: &'static str, mut key: String, rule: &str) -> JsValue {
    key.push(' ');
    key.push_str(rule);
    fault(Fault { code, detail: key, status: None })
}

/// Reads the argument of `setTokens()`.
pub(super) fn grant(host: &Host, response: &JsValue) -> Result<Grant, JsValue> {
    // What is not an object has no members.
    let answer = token_answer(host, response).unwrap_or_default();
    answer.read().map_err(malformed)
}

/// What is thrown for a token response that cannot be used.
pub(super) fn malformed(malformed: Malformed) -> JsValue {
    broken_rule("invalid_token_response", malformed.member.into(), malformed.rule)
}

/// What came back of a refresh or a revocation.
pub(super) fn exchange(host: &Host, how: u8, answer: &JsValue, now: Moment) -> Exchange {
    let body = &get(answer, "body");
    match how {
        0 => Exchange::Answered(Answer {
            status: status(answer),
            retry_after_ms: text(answer, "retryAfter")
                .and_then(|value| retry_after_ms(&value, Date::parse(&value), date(answer), now)),
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

/// The `Date` of an answer; NaN if it has none that can be read.
fn date(answer: &JsValue) -> f64 {
    Date::parse(&text(answer, "date").unwrap_or_default())
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
        version: member(value, "version"),
        jwt,
        identity: match member(value, "id_token") {
            Member::Text(token) => {
                let claims = host.claims(token.expose());
                Identity::new(token, &claims)
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
                // What is not a string is none of any use.
                texts.push(one.as_string().unwrap_or_default());
            }
            Member::List(texts)
        }
        _ => Member::Other,
    }
}

impl Object for JsValue {
    fn get(&self, name: &str) -> Member {
        member(self, name)
    }
}

/// What the JavaScript side makes an error of: a code of `index.d.ts`, what it is about, and the HTTP status.
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

/// As a token endpoint would answer, and which session's it is; without a token: wait for one newer than `mark`.
pub(super) fn loan_to_value(loan: Loan) -> Value {
    let mut record =
        vec![("session", Value::Number(loan.stamp.epoch.into())), ("mark", Value::Number(stamp_to_js(loan.stamp)))];
    if let Some((access, ms)) = loan.token {
        record.push(("access_token", Value::Text(access.expose().into())));
        record.push(("token_type", Value::Name(access.token_type())));
        record.push(("expires_in", ms.map_or(Value::Null, |ms| Value::Number(ms as f64 / 1000.0))));
    }
    Value::Record(record)
}

/// `None` for a negative number.
pub(super) fn stamp_from_js(stamp: f64) -> Option<Stamp> {
    let epoch = (stamp / GENERATIONS).floor();
    (stamp >= 0.0).then_some(Stamp { epoch: epoch as u32, generation: (stamp - epoch * GENERATIONS) as u32 })
}

const GENERATIONS: f64 = 4_294_967_296.0;
