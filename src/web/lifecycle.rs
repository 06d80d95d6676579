//! The events after which a clock may have jumped or the network may be back.

use js_sys::Array;
use wasm_bindgen::prelude::*;
use web_sys::EventTarget;

/// Each is dispatched on one of the host's targets; listening on both hurts nobody.
const EVENTS: [&str; 6] = ["online", "offline", "pageshow", "focus", "visibilitychange", "resume"];

/// Listens until it is dropped.
pub(super) struct Lifecycle {
    callback: Closure<dyn Fn()>,
    targets: Array,
}

impl Lifecycle {
    pub(super) fn listen(targets: Array, callback: impl Fn() + 'static) -> Self {
        let lifecycle = Self { callback: Closure::new(callback), targets };
        lifecycle.each(EventTarget::add_event_listener_with_callback);
        lifecycle
    }

    fn each(&self, call: fn(&EventTarget, &str, &js_sys::Function) -> Result<(), JsValue>) {
        for target in self.targets.iter() {
            for event in EVENTS {
                // Neither adding nor removing a listener fails on an event target.
                let _ = call(target.unchecked_ref(), event, self.callback.as_ref().unchecked_ref());
            }
        }
    }
}

impl Drop for Lifecycle {
    fn drop(&mut self) {
        self.each(EventTarget::remove_event_listener_with_callback);
    }
}
