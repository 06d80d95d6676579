//! The exported handle.

use std::rc::Rc;

use wasm_bindgen::prelude::*;

use super::convert;
use super::driver::Driver;
use super::host::Host;
use crate::engine::event::Reason;
use crate::engine::session::Permit;
use crate::engine::{Refused, Request, Ticket};

/// One ward. Every call is synchronous and short; what takes time comes back through the [`Host`].
#[wasm_bindgen]
pub struct Core {
    pub(super) driver: Rc<Driver>,
}

#[wasm_bindgen]
impl Core {
    /// Reads the options.
    ///
    /// # Errors
    /// `invalid_option`, as an array: see [`Core::step`].
    #[wasm_bindgen(constructor)]
    pub fn new(options: &JsValue, seed: f64, host: Host) -> Result<Core, JsValue> {
        let setup = convert::options(options)?;
        Ok(Core { driver: Driver::new(setup, seed.to_bits(), host) })
    }

    /// The rule that a parsed URL falls under, for [`Self::authorize`]; -1 if none.
    #[wasm_bindgen(js_name = findRule)]
    pub fn find_rule(&self, href: &str) -> i32 {
        self.driver.engine().find_rule(href).map_or(-1, |rule| rule as i32)
    }

    /// 0: send it as it is. 1: send it with [`Self::authorization`]. 2: [`Self::wait`] first. 3: its session is over.
    ///
    /// `flags`: 1 own `Authorization`, 2 `no-cors`, 4 a body that cannot be sent twice. `after`: it needs a newer token
    /// than this stamp; negative if any will do.
    pub fn authorize(&self, rule: u32, method: &str, flags: u32, after: f64) -> u32 {
        let now = self.driver.now();
        let after = convert::stamp_from_js(after);
        let permit = self.driver.engine().authorize(request(rule, flags), method, after, now);
        let epoch = self.driver.engine().stamp().epoch;
        self.driver.drain_if_any();
        match permit {
            // A listener ended the session in which this was said.
            _ if epoch != self.driver.engine().stamp().epoch => 3,
            Permit::Anonymous => 0,
            Permit::Go => 1,
            Permit::Wait => 2,
            Permit::Over => 3,
        }
    }

    /// The `Authorization` header's value.
    pub fn authorization(&self) -> JsValue {
        self.driver.authorization()
    }

    /// Which token [`Self::authorization`] is.
    pub fn stamp(&self) -> f64 {
        convert::stamp_to_js(self.driver.engine().stamp())
    }

    /// A request that went out with the token of `stamp` was refused; `answer` has `status`, `challenge` and
    /// `redirectedTo`; `done` is the sum of what this said of it before. 0: the answer is the app's. 1: authorise it anew,
    /// after `stamp`, and repeat it. 2: repeat it with the nonce.
    pub fn refused(&self, rule: u32, method: &str, flags: u32, stamp: f64, done: u32, answer: &JsValue) -> u32 {
        let Some(stamp) = convert::stamp_from_js(stamp) else { return 0 };
        let now = self.driver.now();
        let refused = Refused {
            status: convert::status(answer),
            challenge: convert::text(answer, "challenge"),
            redirected_to: convert::text(answer, "redirectedTo"),
            replayed: done & 1 != 0,
            nonced: done & 2 != 0,
        };
        let repeat = self.driver.engine().refused(request(rule, flags), method, stamp, &refused, now);
        self.driver.drain();
        repeat as u32
    }

    /// A piece of IO ended. `how`: 0 answered, 1 network failure, 2 too large, 3 callback rejected, 4 callback resolved.
    /// `answer` has `status`, `retryAfter`, `date` and `body`.
    pub fn replied(&self, epoch: u32, number: u32, how: u8, answer: &JsValue) {
        let now = self.driver.now();
        let exchange = convert::exchange(&self.driver.host, how, answer, now);
        self.driver.engine().answered(Ticket { epoch, number }, &exchange, now);
        self.driver.drain();
    }
}

/// What JavaScript asks for by [`Core::step`].
impl Core {
    /// Whether there is a session.
    pub fn signed_in(&self) -> bool {
        self.driver.engine().signed_in()
    }

    /// Waits for a token newer than `after`; the host's `settle` ends it. `since` is when the request began to wait.
    pub fn wait(&self, after: f64, since: f64) -> u32 {
        let waiter = self.driver.engine().wait(convert::stamp_from_js(after), since as u64);
        self.driver.drain();
        waiter
    }

    /// Ends a wait that nobody cares for any more.
    pub fn cancel(&self, waiter: u32) {
        self.driver.engine().cancel(waiter);
        self.driver.drain();
    }

    /// Takes a token response; `age_ms` is how long ago its request was sent; negative
    /// counts as now.
    ///
    /// # Errors
    /// `invalid_token_response`, as an array: see [`Core::step`].
    pub fn set_tokens(&self, response: &JsValue, age_ms: f64) -> Result<(), JsValue> {
        let grant = convert::grant(&self.driver.host, response)?;
        let now = self.driver.now();
        let taken = self.driver.engine().set_tokens(grant, now.minus(age_ms as u64), now);
        self.driver.drain();
        taken.map_err(convert::malformed)
    }

    /// Renews, and waits for it like [`Self::wait`]; `undefined` if there is nothing to renew with.
    pub fn renew(&self) -> Option<u32> {
        let now = self.driver.now();
        let waiter = self.driver.engine().renew(now);
        self.driver.drain();
        waiter
    }

    /// Signs out; the host's `signedOut` tells what the server confirmed.
    pub fn sign_out(&self) -> u32 {
        let now = self.driver.now();
        let id = self.driver.engine().sign_out(Reason::SignOut, now);
        self.driver.drain();
        id
    }

    /// See `Snapshot` in `index.d.ts`.
    pub fn snapshot(&self) -> JsValue {
        let now = self.driver.now();
        let snapshot = self.driver.engine().snapshot(now);
        convert::to_js(snapshot.record())
    }

    /// Wipes everything and stops every timer and listener.
    pub fn close(&self) {
        self.driver.close();
    }
}

fn request(rule: u32, flags: u32) -> Request {
    Request { rule, own_authorization: flags & 1 != 0, no_cors: flags & 2 != 0, one_shot: flags & 4 != 0 }
}
