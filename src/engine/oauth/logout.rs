//! OpenID Connect RP-Initiated Logout 1.0.

use crate::engine::oauth::authorization::Client;
use crate::engine::oauth::id_token::Identity;
use crate::engine::oauth::request::Form;
use crate::engine::token::Secret;

/// The logout request (section 2), a URL to go to.
pub fn url(endpoint: &str, client: &Client, identity: Option<&Identity>) -> Secret {
    let mut form = Form::default();
    form.add("client_id", &client.id);
    if let Some(identity) = identity {
        form.add("id_token_hint", identity.token.expose());
    }
    if let Some(uri) = &client.post_logout_redirect_uri {
        form.add("post_logout_redirect_uri", uri);
    }
    Form::url(endpoint, &form.done())
}
