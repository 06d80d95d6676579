//! A host for the shell: virtual clocks, a virtual timer and no network.
#![allow(dead_code, reason = "each test program uses its own part")]

use js_sys::{Array, Reflect};
use tokenward::web::{Core, Host};
use wasm_bindgen::prelude::*;

#[wasm_bindgen(inline_js = r#"
const natives = { setTimeout, clearTimeout };
const ERRANDS = ["abort", "silent", "refresh", "lock", "steal", "unlock", "restore", "signedin", "refreshed", "locked", "signout"];
let timers, nextTimer, now;

export function makeHost() {
  timers = new Map();
  nextTimer = 1;
  globalThis.setTimeout = (callback, ms) => (timers.set(nextTimer, { callback, ms, due: now() + ms }), nextTimer++);
  globalThis.clearTimeout = (id) => void timers.delete(id);
  const target = new EventTarget();
  const counted = { listeners: 0 };
  for (const [method, step] of [["addEventListener", 1], ["removeEventListener", -1]]) {
    const native = target[method];
    target[method] = (...args) => ((counted.listeners += step), native.apply(target, args));
  }
  const calls = [];
  const record = (name) => (...args) => void calls.push([name, ...args]);
  const host = {
    now: 1_000_000, isOnline: true, unlocksLater: false, calls, target, counted, onEmit: undefined,
    wall() { return this.now; },
    mono() { return this.now - 500_000; },
    online() { return this.isOnline; },
    targets() { return [target]; },
    claims(token) {
      const claims = {
        "a.jwt.token": { exp: 9_000_100, iat: 9_000_000 },
        "an.id.token": { iss: "https://id.test", sub: "user-1", sid: "sid-1" },
      };
      return claims[token];
    },
    post: (epoch, number, endpoint, body, max) =>
      void calls.push(["post", epoch, number, endpoint, new TextDecoder().decode(body), max]),
    run(errand, epoch, number) {
      calls.push([ERRANDS[errand], epoch, number]);
      return ERRANDS[errand] === "unlock" && this.unlocksLater;
    },
    settle: record("settle"),
    signedOut: record("signedOut"),
    emit(name, detail) { calls.push(["emit", name, detail]); this.onEmit?.(name); },
  };
  now = () => host.now;
  return host;
}

/** The delays of the armed timers. */
export const armed = () => [...timers.values()].map(({ ms }) => ms);

/** Lets virtual time pass, firing what comes due on the way, but no further than the first call of this name. */
export function sleep(host, ms, until) {
  const end = host.now + ms;
  while (!host.calls.some(([name]) => name === until)) {
    const [id, timer] = [...timers].sort(([, a], [, b]) => a.due - b.due)[0] ?? [];
    if (!timer || timer.due > end) {
      host.now = end;
      break;
    }
    host.now = Math.max(host.now, timer.due);
    timers.delete(id);
    timer.callback();
  }
}

export const restoreTimers = () => Object.assign(globalThis, natives);
export const json = (value) => JSON.stringify(value) ?? "undefined";
export const parse = (text) => JSON.parse(text);
export const dispatch = (host, name) => void host.target.dispatchEvent(new Event(name));
export const onEmit = (host, callback) => void (host.onEmit = callback);
"#)]
extern "C" {
    #[wasm_bindgen(js_name = makeHost)]
    pub fn make_host() -> JsValue;
    pub fn armed() -> Array;
    pub fn sleep(host: &JsValue, ms: f64, until: &str);
    #[wasm_bindgen(js_name = restoreTimers)]
    pub fn restore_timers();
    pub fn json(value: &JsValue) -> String;
    pub fn parse(text: &str) -> JsValue;
    pub fn dispatch(host: &JsValue, name: &str);
    #[wasm_bindgen(js_name = onEmit)]
    pub fn on_emit(host: &JsValue, callback: &JsValue);
}

/// As `options.js` leaves them; `urls` in the order of the engine's `KEYS`.
pub const OPTIONS: &str = r#"{
    "clientId": "spa",
    "urls": ["https://id.test/token", "https://id.test/revoke"],
    "resources": [{ "name": "resources[0]", "url": "https://api.test/v1/" }]
}"#;

pub const URL: &str = "https://api.test/v1/orders";

pub struct World {
    pub host: JsValue,
    pub core: Core,
}

impl World {
    pub fn new(options: &str) -> Self {
        let host = make_host();
        let core = Core::new(&parse(options), 1.0, host.clone().unchecked_into::<Host>()).expect("options");
        Self { host, core }
    }

    pub fn signed_in(response: &str) -> Self {
        let world = Self::new(OPTIONS);
        world.core.set_tokens(&parse(response), 0.0).expect("tokens");
        world
    }

    pub fn get(&self, name: &str) -> JsValue {
        Reflect::get(&self.host, &name.into()).expect(name)
    }

    pub fn set(&self, name: &str, value: &JsValue) {
        Reflect::set(&self.host, &name.into(), value).expect(name);
    }

    /// What the host was asked for since the last time, as JSON, those of this name.
    pub fn calls(&self, name: &str) -> Vec<String> {
        let calls = self.get("calls").unchecked_into::<Array>();
        let wanted = |call: &JsValue| call.unchecked_ref::<Array>().get(0) == name;
        let found = calls.iter().filter(wanted).map(|call| json(&call)).collect();
        calls.set_length(0);
        found
    }

    /// What the host was asked for since the last time, all of it, by name.
    pub fn names(&self) -> Vec<String> {
        let calls = self.get("calls").unchecked_into::<Array>();
        let name = |call: JsValue| call.unchecked_ref::<Array>().get(0).as_string().expect("a name");
        let found = calls.iter().map(name).collect();
        calls.set_length(0);
        found
    }

    /// Lets time pass until the host is asked for this, at most `ms`.
    pub fn sleep_until(&self, name: &str, ms: f64) -> Vec<String> {
        self.calls(name);
        sleep(&self.host, ms, name);
        self.calls(name)
    }

    pub fn authorize(&self) -> u32 {
        let rule = self.core.find_rule(URL);
        assert!(rule >= 0);
        self.core.authorize(rule as u32, "GET", 0, -1.0)
    }

    pub fn answer(&self, number: u32, answer: &str) {
        self.core.replied(0, number, 0, &parse(answer));
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.core.close();
        assert_eq!(armed().length(), 0, "a timer is left");
        let counted = self.get("counted");
        assert_eq!(Reflect::get(&counted, &"listeners".into()).expect("count"), 0.0, "a listener is left");
        restore_timers();
    }
}
