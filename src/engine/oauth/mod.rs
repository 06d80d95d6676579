//! Wire formats of OAuth 2.0 and OpenID Connect.

pub mod authorization;
pub mod dpop;
pub mod fault;
pub mod id_token;
pub mod jws;
pub mod logout;
pub mod object;
pub mod pkce;
pub mod request;
pub mod response;
pub mod server;
