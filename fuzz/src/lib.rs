//! The host tests' own functions, for libFuzzer.
#![allow(unused_imports, reason = "some are only for what proptest runs")]

#[path = "../../tests/engine_fuzz.rs"]
pub mod parsers;
#[path = "../../tests/engine_state.rs"]
pub mod state;
