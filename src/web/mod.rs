//! The browser shell. It executes what the engine decides, and decides nothing itself.

mod convert;
mod driver;
mod handler;
mod host;
mod lifecycle;
mod sign_in;
mod timer;

pub use handler::Core;
pub use host::Host;
