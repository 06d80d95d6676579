//! What the JavaScript side does for this one: the built-ins it captured when its module was loaded, and the app's ears.

use js_sys::{Array, Uint8Array};
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// The object given to [`Core`](super::Core)'s constructor.
    pub type Host;

    /// `Date.now()`
    #[wasm_bindgen(method)]
    pub fn wall(this: &Host) -> f64;

    /// `performance.now()`
    #[wasm_bindgen(method)]
    pub fn mono(this: &Host) -> f64;

    /// Where the network and the page's life are heard of: the global object and, in a page, the document.
    #[wasm_bindgen(method)]
    pub fn targets(this: &Host) -> Array;

    /// `navigator.onLine`
    #[wasm_bindgen(method)]
    pub fn online(this: &Host) -> bool;

    /// The claims of a JWT, not verified; `undefined` if it is none.
    #[wasm_bindgen(method)]
    pub fn claims(this: &Host, token: &str) -> JsValue;

    /// POSTs a form to an endpoint, by its place in `Endpoint`, overwrites `body`, and comes back with
    /// [`Core::replied`](super::Core::replied).
    #[wasm_bindgen(method)]
    pub fn post(this: &Host, epoch: u32, number: u32, endpoint: u8, body: Uint8Array, max_bytes: u32);

    /// Runs an [`Errand`] for the ticket of these two. `true`: [`Core::step`](super::Core::step) is called when the lock is
    /// free. One function, since each that is imported costs a tenth of a kilobyte.
    #[wasm_bindgen(method)]
    pub fn run(this: &Host, errand: u8, epoch: u32, number: u32) -> bool;

    /// Ends a request's wait. `outcome` is 0 ready, 1 unavailable, 2 signed out, 3 closed; `after` goes back to
    /// [`Core::authorize`](super::Core::authorize).
    #[wasm_bindgen(method)]
    pub fn settle(this: &Host, waiter: u32, outcome: u8, after: f64);

    /// Ends a sign-out, with the hints of what was not confirmed, and whether everybody answered.
    #[wasm_bindgen(method, js_name = signedOut)]
    pub fn signed_out(this: &Host, id: u32, left: Array, reached: bool);

    /// Dispatches an event.
    #[wasm_bindgen(method)]
    pub fn emit(this: &Host, name: &str, detail: JsValue);
}

/// What the JavaScript side is asked to do. The order is its own, and what comes after the last is for the signals.
#[derive(Clone, Copy)]
pub enum Errand {
    /// Ends a piece of IO whose answer is not wanted.
    Abort,
    /// Signs in with `prompt=none` in a hidden frame, and comes back with [`Core::replied`](super::Core::replied).
    Silent,
    /// Calls the app's refresh callback, and comes back with [`Core::replied`](super::Core::replied).
    Refresh,
    /// Asks for the lock.
    Lock,
    /// Steals it.
    Steal,
    /// Lets go of it.
    Unlock,
    /// Calls `restore()`.
    Restore,
    /// Tells the other tabs the first of the signals.
    Signal,
}
