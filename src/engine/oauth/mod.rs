//! Wire formats of OAuth 2.0.

pub mod request;
pub mod response;
