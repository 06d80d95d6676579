//! The authorization request and its answer: authorization code with PKCE (RFC 6749 section 4.1, RFC 7636, RFC 9207,
//! OpenID Connect Core section 3.1.2).
//!
//! A transaction is what a sign-in was begun with, kept until its answer comes: `SignInOptions` in the names of
//! `index.d.ts`, and beside them `state`, `nonce`, `verifier`, `challenge`, `issuer`, `redirectUri`, `page` (the URL of
//! the page it began in), `jkt` (the thumbprint of its key, with DPoP), `at` (when, wall clock) and `subject` (the user, where it has to stay the same).

use crate::engine::oauth::fault::Fault;
use crate::engine::oauth::object::Object;
use crate::engine::oauth::request::Form;
use crate::engine::oauth::response::error_code;
use crate::engine::oauth::server::Server;
use crate::engine::resource::origin;
use crate::engine::token::Secret;

/// The client at this server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// RFC 6749 section 2.2
    pub id: String,
    /// After RP-initiated logout.
    pub post_logout_redirect_uri: Option<String>,
}

/// How long a transaction is good for.
const LIFETIME_MS: f64 = 600_000.0;

/// Options and the parameters they become.
const OPTIONAL: [(&str, &str); 7] = [
    ("scope", "scope"),
    ("prompt", "prompt"),
    ("loginHint", "login_hint"),
    ("maxAge", "max_age"),
    ("acrValues", "acr_values"),
    ("uiLocales", "ui_locales"),
    ("resource", "resource"),
];

/// Parameters that have rules of their own, so that `extraParams` may not hold them.
const OWN: &str = "client_id response_type redirect_uri scope state nonce code_challenge code_challenge_method prompt \
    login_hint max_age acr_values ui_locales resource request request_uri response_mode dpop_jkt";

/// The authorization request of a transaction, `application/x-www-form-urlencoded`.
///
/// # Errors
/// `invalid_option` with the option and its rule.
pub fn request(client: &Client, server: &Server, transaction: &impl Object) -> Result<Secret, Fault> {
    let invalid = |rule| Err(Fault::new("invalid_option", rule));
    let Some(redirect_uri) = transaction.text("redirectUri") else {
        return invalid("redirectUri must be set to sign in");
    };
    let openid = is_openid(transaction);
    if openid && server.issuer.is_none() {
        return invalid("issuer must be set for the scope openid");
    }
    let origin_of = |name| transaction.text(name).as_deref().and_then(origin).map(String::from);
    let page = origin_of("page");
    if page.is_none() || origin_of("returnTo") != page {
        return invalid("returnTo must be on the page's own origin");
    }
    let mut form = Form::default();
    form.add("client_id", &client.id);
    form.add("response_type", "code");
    form.add("redirect_uri", &redirect_uri);
    form.add("code_challenge_method", "S256");
    form.add_text("code_challenge", transaction, "challenge");
    form.add_text("state", transaction, "state");
    // RFC 9449 section 10
    form.add_text("dpop_jkt", transaction, "jkt");
    if openid {
        form.add_text("nonce", transaction, "nonce");
    }
    for (option, name) in OPTIONAL {
        form.add_text(name, transaction, option);
    }
    let extra = transaction.texts("extraParams");
    for pair in extra.chunks_exact(2) {
        if let [name, value] = pair {
            if has_word(OWN, name) {
                return invalid("extraParams must not hold a parameter that is set otherwise");
            }
            form.add(name, value);
        }
    }
    Ok(form.done())
}

/// Whether there has to be an ID token.
pub fn is_openid(transaction: &impl Object) -> bool {
    has_word(&transaction.text("scope").unwrap_or_default(), "openid")
}

/// Whether a list of words, separated by spaces, holds this one.
pub fn has_word(list: &str, word: &str) -> bool {
    // Byte by byte: string splitting would bring a searcher along.
    !word.is_empty() && list.as_bytes().split(|byte| *byte == b' ').any(|one| one == word.as_bytes())
}

/// The answer of the authorization server to a transaction; gives the token request for its code (RFC 6749 section
/// 4.1.3, RFC 7636 section 4.5, RFC 8707 section 2.2).
///
/// # Errors
/// `state_mismatch`, `transaction_expired`, `issuer_mismatch`, `authorization_failed` with the server's error.
pub fn answered(
    client: &Client,
    server: &Server,
    transaction: &impl Object,
    answer: &impl Object,
    wall_ms: u64,
) -> Result<Secret, Fault> {
    let fault = |code| Err(Fault::new(code, ""));
    if !transaction.has("state") || answer.get("state") != transaction.get("state") {
        return fault("state_mismatch");
    }
    // Below zero: the clock was set back since, perhaps to the right time.
    let age = wall_ms as f64 - transaction.number("at").unwrap_or(0.0);
    if !(..LIFETIME_MS).contains(&age) {
        return fault("transaction_expired");
    }
    // RFC 9207 section 2.4. The transaction is bound to the issuer that was asked.
    let asked = server.issuer.as_deref().unwrap_or_default();
    let is_bound = transaction.text("issuer").unwrap_or_default() == asked
        && (answer.is("iss", asked) || asked.is_empty() || !answer.has("iss") && !server.names_itself);
    if !is_bound {
        return fault("issuer_mismatch");
    }
    if answer.has("error") || !answer.has("code") {
        return Err(Fault::new("authorization_failed", &error_code(&answer.get("error")).unwrap_or_default()));
    }
    let mut form = Form::default();
    form.add("grant_type", "authorization_code");
    form.add("client_id", &client.id);
    form.add_text("redirect_uri", transaction, "redirectUri");
    form.add_text("code", answer, "code");
    form.add_text("code_verifier", transaction, "verifier");
    form.add_text("resource", transaction, "resource");
    Ok(form.done())
}
