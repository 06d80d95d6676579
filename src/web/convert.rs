//! Between JavaScript's values and the engine's. Checks types; the rules are the engine's.

use js_sys::{Array, Date, Function, Object, Reflect, TypeError};
use wasm_bindgen::prelude::*;
use web_sys::Url;

use super::host::Host;
use crate::engine::config::{Broken, Options, Resource, Setup, entry_key};
use crate::engine::failure::{Answer, Cause, Exchange};
use crate::engine::oauth::response::{Grant, Member, TokenAnswer};
use crate::engine::schedule::{Moment, retry_after_ms};
use crate::engine::session::Stamp;
use crate::engine::token::{JwtTimes, Secret, jwt_payload};

const OPTIONS: [&str; 9] = [
    "clientId",
    "endpoints",
    "resources",
    "refresh",
    "waitSeconds",
    "requestTimeoutSeconds",
    "maxOutageSeconds",
    "dangerouslyAllowHttp",
    "wasm",
];

/// Reads the options of `TokenWard.create()`.
pub(super) fn options(value: &JsValue) -> Result<Setup, JsValue> {
    read_options(value).and_then(Options::read).map_err(|broken| type_error("invalid_option", &broken))
}

fn read_options(value: &JsValue) -> Result<Options, Broken> {
    let options = Reader::new(value, "", &OPTIONS)?;
    let endpoints = options.get("endpoints");
    let endpoints = match endpoints.is_undefined() {
        true => None,
        false => Some(Reader::new(&endpoints, "endpoints", &["token", "revocation"])?),
    };
    let endpoint = |key| match &endpoints {
        Some(endpoints) => endpoints.url(key),
        None => Ok(None),
    };
    let refresh = options.get("refresh");
    if !refresh.is_undefined() && !refresh.is_instance_of::<Function>() {
        return Err(Broken::new("refresh", "must be a function"));
    }
    let list = options.get("resources");
    if !Array::is_array(&list) {
        return Err(Broken::new("resources", "must be an array"));
    }
    let mut resources = Vec::new();
    for (at, entry) in Array::from(&list).iter().enumerate() {
        resources.push(read_resource(&entry, at)?);
    }
    Ok(Options {
        client_id: options.text("clientId")?,
        token_endpoint: endpoint("token")?,
        revocation_endpoint: endpoint("revocation")?,
        resources,
        has_refresh_callback: !refresh.is_undefined(),
        wait_s: options.number("waitSeconds")?,
        request_timeout_s: options.number("requestTimeoutSeconds")?,
        max_outage_s: options.number("maxOutageSeconds")?,
        allow_http: options.flag("dangerouslyAllowHttp")?,
    })
}

fn read_resource(entry: &JsValue, at: usize) -> Result<Resource, Broken> {
    let path = entry_key(at, "");
    let entry = Reader::new(entry, path.trim_end_matches('.'), &["url", "methods"])?;
    let list = entry.get("methods");
    let methods = if list.is_undefined() {
        None
    } else if Array::is_array(&list) {
        // What is not a string is not a method.
        Some(Array::from(&list).iter().map(|method| method.as_string().unwrap_or_default()).collect())
    } else {
        return Err(entry.broken("methods", "must be an array"));
    };
    let url = entry.url("url")?.ok_or_else(|| entry.broken("url", "must be set"))?;
    Ok(Resource { url, methods })
}

/// An object whose keys are all known.
struct Reader<'a> {
    object: &'a JsValue,
    path: &'a str,
}

impl<'a> Reader<'a> {
    fn new(object: &'a JsValue, path: &'a str, known: &[&str]) -> Result<Self, Broken> {
        let Some(keys) = object.dyn_ref::<Object>().filter(|object| !object.is_function()).map(Object::keys) else {
            return Err(Broken::new(if path.is_empty() { "options" } else { path }, "must be an object"));
        };
        let reader = Self { object, path };
        for key in keys.iter().filter_map(|key| key.as_string()) {
            if !known.contains(&key.as_str()) {
                return Err(reader.broken(&key, "is not a known option"));
            }
        }
        Ok(reader)
    }

    fn broken(&self, key: &str, rule: &'static str) -> Broken {
        let mut name = String::from(self.path);
        if !name.is_empty() {
            name.push('.');
        }
        name.push_str(key);
        Broken::new(name, rule)
    }

    fn get(&self, key: &str) -> JsValue {
        get(self.object, key)
    }

    fn optional<T>(&self, key: &str, read: fn(&JsValue) -> Option<T>, rule: &'static str) -> Result<Option<T>, Broken> {
        let value = self.get(key);
        if value.is_undefined() {
            return Ok(None);
        }
        read(&value).map(Some).ok_or_else(|| self.broken(key, rule))
    }

    fn text(&self, key: &str) -> Result<Option<String>, Broken> {
        let read = |value: &JsValue| value.as_string().filter(|text| !text.is_empty());
        self.optional(key, read, "must be a string that is not empty")
    }

    fn number(&self, key: &str) -> Result<Option<f64>, Broken> {
        self.optional(key, JsValue::as_f64, "must be a number")
    }

    fn flag(&self, key: &str) -> Result<bool, Broken> {
        Ok(self.optional(key, JsValue::as_bool, "must be true or false")?.unwrap_or(false))
    }

    fn url(&self, key: &str) -> Result<Option<String>, Broken> {
        let read = |value: &JsValue| Url::new(&value.as_string()?).ok().map(|url| url.href());
        self.optional(key, read, "must be an absolute https: URL")
    }
}

fn get(object: &JsValue, key: &str) -> JsValue {
    Reflect::get(object, &JsValue::from_str(key)).unwrap_or_default()
}

/// A `TypeError` with a `code`, as `index.d.ts` promises it.
fn type_error(code: &str, broken: &Broken) -> JsValue {
    let mut message = broken.key.clone();
    message.push(' ');
    message.push_str(broken.rule);
    let error = TypeError::new(&message);
    // A new error is extensible.
    let _ = Reflect::set(&error, &JsValue::from_str("code"), &JsValue::from_str(code));
    error.into()
}

/// Reads the argument of `setTokens()`.
pub(super) fn grant(host: &Host, response: &JsValue) -> Result<Grant, JsValue> {
    let broken = match token_answer(host, response) {
        None => Broken::new("response", "must be an object"),
        Some(answer) => match answer.read() {
            Ok(grant) => return Ok(grant),
            Err(malformed) => Broken::new(malformed.member, malformed.rule),
        },
    };
    Err(type_error("invalid_token_response", &broken))
}

/// What came back of a refresh or a revocation.
pub(super) fn exchange(
    host: &Host,
    status: u16,
    retry_after: Option<String>,
    dpop_nonce: Option<String>,
    body: &JsValue,
    how: u8,
    now: Moment,
) -> Exchange {
    match how {
        0 => Exchange::Answered(Answer {
            status,
            retry_after_ms: retry_after.and_then(|value| retry_after_ms(&value, Date::parse(&value), now)),
            dpop_nonce,
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
    })
}

fn jwt_times(host: &Host, token: &Secret) -> JwtTimes {
    let claims = match jwt_payload(token) {
        Some(payload) => host.parse(payload.expose()),
        None => JsValue::UNDEFINED,
    };
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
        _ => Member::Other,
    }
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
