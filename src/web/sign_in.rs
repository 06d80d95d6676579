//! The exported handle, as far as sign-in, restoring and the server's logout go.

use js_sys::Uint8Array;
use wasm_bindgen::prelude::*;

use super::convert::{self, fault, get};
use super::handler::Core;
use crate::engine::Ticket;
use crate::engine::event::Value;
use crate::engine::failure::{Outcome, outcome};
use crate::engine::oauth::dpop::jwk;
use crate::engine::oauth::fault::Fault;
use crate::engine::oauth::id_token::at_hash;
use crate::engine::oauth::pkce::base64url;
use crate::engine::oauth::server::Endpoint;
use crate::engine::session::Way;
use crate::engine::tabs::Signal;
use crate::engine::token::Secret;

/// All but the last, which says more.
const SIGNALS: [Signal; 3] = [Signal::SignedIn, Signal::Refreshed, Signal::Locked];

#[wasm_bindgen]
impl Core {
    /// Whatever is not called for each request, by number; `steps.js` has the names. One function, since each that is exported costs a
    /// quarter of a kilobyte.
    ///
    /// # Errors
    /// An array of a code of `index.d.ts`, what it is about, and the HTTP status.
    pub fn step(&self, step: u8, a: &JsValue, b: &JsValue, c: &JsValue) -> Result<JsValue, JsValue> {
        let (first, second) = (a.as_f64().unwrap_or_default(), b.as_f64().unwrap_or_default());
        match step {
            0 => return Ok(self.signed_in().into()),
            1 => return Ok(self.wait(first, second).into()),
            2 => self.cancel(first as u32),
            3 => self.set_tokens(a, second)?,
            4 => return Ok(self.renew().into()),
            5 => return Ok(self.sign_out().into()),
            6 => return Ok(self.snapshot()),
            7 => self.close(),
            _ => return self.sign_in_step(step, a, b, c),
        }
        Ok(JsValue::UNDEFINED)
    }
}

impl Core {
    fn sign_in_step(&self, step: u8, a: &JsValue, b: &JsValue, c: &JsValue) -> Result<JsValue, JsValue> {
        let done = self.take_step(step, a, b, c);
        self.driver.drain();
        done.map(convert::value_to_js).map_err(fault)
    }

    fn take_step(&self, step: u8, a: &JsValue, b: &JsValue, c: &JsValue) -> Result<Value, Fault> {
        let now = self.driver.now();
        let number = a.as_f64().unwrap_or_default();
        // The app may hear of the network before this does; and what is lent is what is left when the app has heard all.
        if step == 23 || step == 31 {
            self.driver.wake();
        }
        // Before the engine is borrowed: it calls into JavaScript.
        let exchange = convert::exchange(&self.driver.host, 0, a, now);
        let mut engine = self.driver.engine();
        let found: Result<Option<Secret>, Fault> = match step {
            // The URL of an endpoint, by its place in `Endpoint`.
            8 => {
                let endpoint = Endpoint::ALL.get(number as usize).copied().unwrap_or(Endpoint::Token);
                engine.endpoint(endpoint).map(Some)
            }
            // The bytes `a` in base64url, and as `at_hash`.
            9 => Ok(Some(Secret::new(base64url(&bytes(a))))),
            10 => Ok(Some(Secret::new(at_hash(&bytes(a))))),
            // The authorization request of the transaction `a`.
            11 => engine.authorization_request(a).map(Some),
            // Where to push it; nothing: nowhere.
            12 => engine.push_to(a),
            // What stands for it, by the answer `a` to the push.
            13 => engine.pushed(&exchange, &get(a, "body")).map(Some),
            // The URL for the request `a`.
            14 => engine.authorization_url(&Secret::new(text(a))).map(Some),
            // The token request for the answer `b` to the transaction `a`.
            15 => engine.code_request(a, b, now).map(Some),
            // Judges the answer `a` to the token request of the transaction `b`, all but the signature of its ID token,
            // whose claims are `c`.
            16 => engine.check_answer(&exchange, b, c, now).map(|()| None),
            // Takes the tokens of the answer `a`, of a sign-in that began after `b` sign-outs; `c` is how long ago, in
            // milliseconds, the token request was sent.
            17 => {
                let began = b.as_f64().map_or(u32::MAX, |began| began as u32);
                let sent = now.minus(c.as_f64().unwrap_or_default() as u64);
                engine.sign_in(&exchange, began, sent, now).map(|()| None)
            }
            // Where to go to end the session at the server; nothing if it has no such place.
            18 => Ok(engine.logout_url()),
            // Another tab told the signal `b`, by its place in `Signal`. Or the server signed out: `a` has `iss` and `sid` then.
            19 => {
                match SIGNALS.get(b.as_f64().unwrap_or_default() as usize) {
                    Some(signal) => engine.heard(*signal, now),
                    None => {
                        let (issuer, session) = (convert::text(a, "iss"), convert::text(a, "sid"));
                        engine.signed_out_elsewhere(issuer.as_deref(), session.as_deref(), now);
                    }
                }
                Ok(None)
            }
            // The lock was granted, 28: lost or let go, to the ticket of the epoch `a` and the number `b`; with `c` there
            // is none to be had. 29: its request waited for the server's metadata and goes now.
            27..=29 => {
                let ticket = Ticket { epoch: number as u32, number: b.as_f64().unwrap_or_default() as u32 };
                if step == 27 {
                    engine.granted(ticket, now)
                } else if step == 28 {
                    self.driver.unlocked();
                    engine.lock_lost(ticket, c.is_truthy(), now)
                } else {
                    engine.sent(ticket, now)
                }
                Ok(None)
            }
            // The ID token; nothing if there is none.
            24 => Ok(engine.identity().map(|identity| identity.token.clone())),
            // Where the server's metadata are, 1 by RFC 8414; nothing: they are not needed.
            20 => Ok(engine.metadata_url(number == 1.0).map(Secret::new)),
            // Takes the metadata `a`, URLs parsed.
            21 => engine.discovered(a).map(|()| None),
            // Which of the keys `b` verifies a JWS with the header `a`, and how; nothing: fetch the keys and ask again with
            // `c`.
            22 => {
                let found = engine.key(a, &convert::items(b), c.is_truthy(), now)?;
                let Some((at, how)) = found else { return Ok(Value::Null) };
                return Ok(Value::List(vec![Value::Number(at as f64), Value::Name(how)]));
            }
            // Looks for a session: 0 at the backend, 1 in a hidden frame. Gives a waiter.
            23 => {
                let way = if number == 0.0 { Way::Session } else { Way::Silent };
                return Ok(Value::Number(engine.restore(way, now).into()));
            }
            // Whether a request of the method `b` to the URL `a` may carry a token.
            30 => return Ok(Value::Flag(engine.covers(&text(a), &text(b)))),
            // The access token for somebody else's requests, newer than `a`; nothing if that is of no session any more.
            31 => {
                let loan = engine.lend(convert::stamp_from_js(number), now);
                return Ok(loan.map_or(Value::Null, convert::loan_to_value));
            }
            // What is to be signed for a proof of possession, as `a` asks.
            32 => Ok(Some(engine.proof(a, now))),
            // The nonce `b` came with the answer from the URL `a`.
            33 => {
                engine.keep_nonce(&text(a), &text(b));
                Ok(None)
            }
            // The public key `a`, whose hash is its thumbprint.
            34 => Ok(Some(Secret::new(jwk(a)))),
            // Whether the answer `a` of the token endpoint wants a nonce in the proof.
            35 => return Ok(Value::Flag(outcome(&exchange) == Outcome::UseDpopNonce)),
            // How often somebody signed out.
            26 => return Ok(Value::Number(engine.sign_outs().into())),
            // The time limit of one request, in milliseconds.
            _ => return Ok(Value::Number(engine.timeout_ms() as f64)),
        };
        Ok(found?.map_or(Value::Null, |secret| Value::Text(secret.expose().into())))
    }
}

fn text(value: &JsValue) -> String {
    value.as_string().unwrap_or_default()
}

fn bytes(value: &JsValue) -> Vec<u8> {
    value.unchecked_ref::<Uint8Array>().to_vec()
}
