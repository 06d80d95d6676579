//! tokenward keeps OAuth 2.0 tokens for a single-page app: in wasm memory, renewed before they expire, attached to
//! allow-listed requests only, wiped at the end of the session.
//!
//! The crate has two halves, and a rule between them:
//!
//! - [`engine`] decides and does no IO. It takes inputs and the time, and returns outputs; it runs on any machine, under
//!   virtual time. [`engine::Engine`] is the way in: the allow-list is in [`engine::resource`], the session in
//!   [`engine::session`], what follows a failed refresh in [`engine::failure`], when to refresh in [`engine::schedule`].
//! - `web`, in wasm builds only, does what the engine says and decides nothing. `src/js` does the rest of the IO: the
//!   patched `fetch`, the public classes.

pub mod engine;
#[cfg(target_arch = "wasm32")]
pub mod web;

/// Whatever is freed is overwritten, tokens in transit and forgotten copies among it.
#[cfg(target_arch = "wasm32")]
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<talc::wasm::WasmDynamicTalc> =
    zeroizing_alloc::ZeroAlloc(talc::wasm::new_wasm_dynamic_allocator());
