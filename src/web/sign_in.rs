//! The exported handle, as far as sign-in, restoring and the server's logout go.

use js_sys::Uint8Array;
use wasm_bindgen::prelude::*;

use super::convert::{self, Js, fault, get, list};
use super::handler::Core;
use crate::engine::event::Value;
use crate::engine::oauth::fault::Fault;
use crate::engine::oauth::id_token::at_hash;
use crate::engine::oauth::pkce::base64url;
use crate::engine::oauth::server::Endpoint;
use crate::engine::session::Way;
use crate::engine::token::Secret;

const ENDPOINTS: [Endpoint; 8] = [
    Endpoint::Token,
    Endpoint::Revocation,
    Endpoint::Session,
    Endpoint::SessionEnd,
    Endpoint::Authorization,
    Endpoint::Pushed,
    Endpoint::Jwks,
    Endpoint::EndSession,
];

#[wasm_bindgen]
impl Core {
    /// The steps of a sign-in, by number; `sign-in.js` has their names. One function, since each that is exported costs a
    /// quarter of a kilobyte.
    ///
    /// # Errors
    /// An array of a code of `index.d.ts`, what it is about, and the HTTP status.
    pub fn step(&self, step: u8, a: &JsValue, b: &JsValue, c: &JsValue) -> Result<JsValue, JsValue> {
        let done = self.take_step(step, a, b, c);
        self.driver.drain();
        done.map(convert::value_to_js).map_err(fault)
    }

    /// The claims of the ID token; `null` if there is none.
    #[wasm_bindgen(getter)]
    pub fn user(&self) -> JsValue {
        self.driver.user()
    }
}

impl Core {
    fn take_step(&self, step: u8, a: &JsValue, b: &JsValue, c: &JsValue) -> Result<Value, Fault> {
        let now = self.driver.now();
        let number = a.as_f64().unwrap_or_default();
        // Before the engine is borrowed: it calls into JavaScript.
        let exchange = convert::exchange(&self.driver.host, 0, a, now);
        let mut engine = self.driver.engine();
        let (a, b, c) = (Js(a), Js(b), Js(c));
        let found: Result<Option<Secret>, Fault> = match step {
            // The URL of an endpoint, by its place in `Endpoint`.
            0 => {
                let endpoint = ENDPOINTS.get(number as usize).copied().unwrap_or(Endpoint::Token);
                engine.endpoint(endpoint).map(Some)
            }
            // The bytes `a` in base64url, and as `at_hash`.
            1 => Ok(Some(Secret::new(base64url(&bytes(a.0))))),
            2 => Ok(Some(Secret::new(at_hash(&bytes(a.0))))),
            // The authorization request of the transaction `a`.
            3 => engine.authorization_request(&a).map(Some),
            // Where to push it; nothing: nowhere.
            4 => engine.push_to(&a),
            // What stands for it, by the answer `a` to the push.
            5 => engine.pushed(&exchange, &Js(&get(a.0, "body"))).map(Some),
            // The URL for the request `a`.
            6 => engine.authorization_url(&Secret::new(a.0.as_string().unwrap_or_default())).map(Some),
            // The token request for the answer `b` to the transaction `a`.
            7 => engine.code_request(&a, &b, now).map(Some),
            // Judges the answer `a` to the token request of the transaction `b`, all but the signature of its ID token,
            // whose claims are `c`.
            8 => engine.check_answer(&exchange, &b, &c, now).map(|()| None),
            // Takes the tokens of the answer `a`, of a sign-in that began at the stamp `b`; `c` is how long ago, in
            // milliseconds, the token request was sent.
            9 => {
                let began = convert::stamp_from_js(b.0.as_f64().unwrap_or_default()).unwrap_or_default();
                let sent = now.minus(c.0.as_f64().unwrap_or_default() as u64);
                engine.sign_in(&exchange, began, sent, now).map(|()| None)
            }
            // Where to go to end the session at the server; nothing if it has no such place.
            10 => Ok(engine.logout_url()),
            // Another tab signed out, or the server did: `a` has `iss` and `sid` then.
            11 => {
                let (issuer, session) = (convert::text(a.0, "iss"), convert::text(a.0, "sid"));
                engine.signed_out_elsewhere(issuer.as_deref(), session.as_deref(), now);
                Ok(None)
            }
            // Where the server's metadata may be.
            12 => return Ok(Value::List(engine.metadata_urls().into_iter().map(Value::Text).collect())),
            // Takes the metadata `a`, URLs parsed.
            13 => engine.discovered(&a).map(|()| None),
            // Which of the keys `b` verifies a JWS with the header `a`, and how; nothing: fetch the keys and ask again with
            // `c`.
            14 => {
                let mut keys = Vec::new();
                for key in list(b.0) {
                    keys.push(key);
                }
                let keys: Vec<Js<'_>> = keys.iter().map(Js).collect();
                let Some((at, how)) = engine.key(&a, &keys, c.0.is_truthy(), now)? else { return Ok(Value::Null) };
                return Ok(Value::List(vec![Value::Number(at as f64), Value::Name(how)]));
            }
            // Looks for a session: 0 at the backend, 1 in a hidden frame. Gives a waiter.
            15 => {
                let way = if number == 0.0 { Way::Session } else { Way::Silent };
                return Ok(Value::Number(engine.restore(way, now).into()));
            }
            // The time limit of one request, in milliseconds.
            _ => return Ok(Value::Number(engine.timeout_ms() as f64)),
        };
        Ok(found?.map_or(Value::Null, |secret| Value::Text(secret.expose().into())))
    }
}

fn bytes(value: &JsValue) -> Vec<u8> {
    value.unchecked_ref::<Uint8Array>().to_vec()
}
