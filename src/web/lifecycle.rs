//! The events after which a clock may have jumped or the network may be back.

use js_sys::Reflect;
use wasm_bindgen::prelude::*;
use web_sys::EventTarget;

const ON_GLOBAL: [&str; 4] = ["online", "offline", "pageshow", "focus"];
const ON_DOCUMENT: [&str; 2] = ["visibilitychange", "resume"];

/// Listens until it is dropped.
pub(super) struct Lifecycle {
    callback: Closure<dyn Fn()>,
    listening: Vec<(EventTarget, &'static str)>,
}

impl Lifecycle {
    pub(super) fn listen(callback: impl Fn() + 'static) -> Self {
        let callback = Closure::<dyn Fn()>::new(callback);
        let global = js_sys::global();
        // A worker has no document.
        let document = Reflect::get(&global, &JsValue::from_str("document")).unwrap_or_default();
        let mut listening = Vec::new();
        for (target, names) in [(global.into(), &ON_GLOBAL[..]), (document, &ON_DOCUMENT[..])] {
            let target: JsValue = target;
            let Ok(target) = target.dyn_into::<EventTarget>() else { continue };
            for name in names {
                let listener = callback.as_ref().unchecked_ref();
                if target.add_event_listener_with_callback(name, listener).is_ok() {
                    listening.push((target.clone(), *name));
                }
            }
        }
        Self { callback, listening }
    }
}

impl Drop for Lifecycle {
    fn drop(&mut self) {
        for (target, name) in &self.listening {
            // Removing a listener fails for no target that took it.
            let _ = target.remove_event_listener_with_callback(name, self.callback.as_ref().unchecked_ref());
        }
    }
}
