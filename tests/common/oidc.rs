//! An issuer, its metadata, a transaction and an ID token, as objects made of JSON.

use serde_json::{Value, json};
use tokenward::engine::Work;
use tokenward::engine::failure::Exchange;
use tokenward::engine::oauth::fault::Fault;
use tokenward::engine::oauth::id_token::Identity;
use tokenward::engine::oauth::object::Object;
use tokenward::engine::oauth::pkce::base64url;
use tokenward::engine::oauth::response::{Member, TokenAnswer};
use tokenward::engine::revocation::SignOutId;
use tokenward::engine::session::{WaiterId, Way};
use tokenward::engine::token::{JwtTimes, Secret};

use super::{Options, START, World, answered, options, response, text, with_url};

pub const ISSUER: &str = "https://id.test";
pub const PAGE: &str = "https://app.test/orders?page=2";
pub const REDIRECT_URI: &str = "https://app.test/callback";
pub const NOW_S: f64 = (START.wall_ms / 1_000) as f64;

/// An object as the shell would hand it over, made of JSON instead of JavaScript.
#[derive(Clone, Debug, PartialEq)]
pub struct Json(pub Value);

impl Object for Json {
    fn get(&self, name: &str) -> Member {
        self.0.get(name).map_or(Member::Absent, member)
    }
}

impl Json {
    pub fn with(&self, name: &str, value: impl Into<Value>) -> Self {
        let mut copy = self.clone();
        copy.0[name] = value.into();
        copy
    }

    pub fn without(&self, name: &str) -> Self {
        let mut copy = self.clone();
        copy.0.as_object_mut().expect("an object").remove(name).expect("it is there");
        copy
    }
}

/// As `convert.rs` reads a value of JavaScript.
fn member(value: &Value) -> Member {
    match value {
        Value::Null => Member::Absent,
        Value::String(string) => text(string),
        Value::Number(number) => Member::Number(number.as_f64().expect("a number")),
        Value::Bool(true) => Member::True,
        Value::Array(list) => Member::List(list.iter().map(|one| one.as_str().unwrap_or_default().into()).collect()),
        Value::Bool(false) | Value::Object(_) => Member::Other,
    }
}

/// As `convert.rs` reads a body; `None` if it is no JSON object.
pub fn token_answer(body: &str) -> Option<TokenAnswer> {
    let body = serde_json::from_str(body).ok().map(Json).filter(|body: &Json| body.0.is_object())?;
    let jwt = body.text("access_token").and_then(|token| claims_of(&token)).map_or_else(JwtTimes::default, |claims| {
        JwtTimes { expires_at_s: claims.number("exp"), issued_at_s: claims.number("iat") }
    });
    let identity = body.text("id_token").and_then(|token| {
        let claims = claims_of(&token).unwrap_or(Json(Value::Null));
        Identity::new(Secret::new(token), &claims)
    });
    Some(TokenAnswer {
        access_token: body.get("access_token"),
        token_type: body.get("token_type"),
        expires_in: body.get("expires_in"),
        refresh_in: body.get("refresh_in"),
        refresh_token: body.get("refresh_token"),
        scope: body.get("scope"),
        error: body.get("error"),
        version: body.get("version"),
        jwt,
        identity,
    })
}

/// A JWT without a signature that counts.
pub fn jwt(claims: &Value) -> String {
    let part = |value: &Value| base64url(value.to_string().as_bytes());
    format!("{}.{}.c2lnbmF0dXJl", part(&json!({ "alg": "RS256", "kid": "key-1" })), part(claims))
}

/// The claims of a JWT; `None` if it is none.
fn claims_of(token: &str) -> Option<Json> {
    let parts: Vec<_> = token.split('.').collect();
    let [_, claims, _] = parts[..] else { return None };
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut bits = 0_u32;
    let mut bytes = Vec::new();
    for (at, letter) in claims.chars().enumerate() {
        bits = bits << 6 | ALPHABET.find(letter)? as u32;
        if at % 4 > 0 {
            bytes.push((bits >> (6 - at % 4 * 2)) as u8);
        }
    }
    serde_json::from_slice(&bytes).ok().map(Json)
}

/// RFC 8414 section 2 and what builds on it.
pub fn metadata() -> Json {
    Json(json!({
        "issuer": ISSUER,
        "authorization_endpoint": "https://id.test/authorize",
        "token_endpoint": "https://id.test/token",
        "revocation_endpoint": "https://id.test/revoke",
        "jwks_uri": "https://id.test/jwks",
        "end_session_endpoint": "https://id.test/logout",
        "pushed_authorization_request_endpoint": "https://id.test/par",
        "scopes_supported": ["openid"],
    }))
}

/// As the shell begins and keeps it.
pub fn transaction() -> Json {
    Json(json!({
        "mode": "redirect",
        "scope": "openid",
        "page": PAGE,
        "returnTo": PAGE,
        "extraParams": [],
        "state": "r-state-1",
        "nonce": "nonce-1",
        "verifier": "verifier-1",
        "challenge": "challenge-1",
        "issuer": ISSUER,
        "redirectUri": REDIRECT_URI,
        "at": START.wall_ms,
    }))
}

/// The claims of a good ID token for that transaction.
pub fn claims() -> Json {
    Json(json!({
        "iss": ISSUER,
        "sub": "user-1",
        "aud": "spa",
        "exp": NOW_S + 300.0,
        "iat": NOW_S,
        "nonce": "nonce-1",
    }))
}

/// The authorization server's answer to that transaction.
pub fn code_answer() -> Json {
    Json(json!({ "state": "r-state-1", "code": "code-1" }))
}

/// A ward that signs in by the issuer's metadata, and has not fetched them.
pub fn issuer_options() -> Options {
    let options = Options { issuer: Some(ISSUER.into()), page: Some("https://app.test/".into()), ..options() };
    let options = with_url(with_url(options, "endpoints.token", ""), "endpoints.revocation", "");
    with_url(with_url(options, "issuer", "https://id.test/"), "redirectUri", REDIRECT_URI)
}

/// The same, and a backend of the page's own that knows the session by a cookie.
pub fn session_options() -> Options {
    let options = with_url(issuer_options(), "session.url", "https://app.test/session");
    with_url(options, "session.signOutUrl", "https://app.test/session/end")
}

/// The same as the first, and hidden frames.
pub fn silent_options() -> Options {
    Options { restores_silently: true, ..issuer_options() }
}

/// Who an ID token says is signed in.
pub fn identity(subject: &str) -> Identity {
    let claims = json!({ "iss": ISSUER, "sub": subject, "sid": format!("sid-of-{subject}") });
    Identity::new(Secret::new(jwt(&claims)), &Json(claims)).expect("it says who")
}

/// A token response with an ID token.
pub fn identified(access: &str, refresh: Option<&str>, subject: &str) -> TokenAnswer {
    TokenAnswer { identity: Some(identity(subject)), ..response(access, refresh) }
}

pub fn identified_renewal(access: &str, refresh: Option<&str>, subject: &str) -> Exchange {
    answered(200, Some(identified(access, refresh, subject)))
}

/// Decodes a form as a server does.
pub fn decode(form: &str) -> Vec<(String, String)> {
    let text = |part: &str| {
        let mut bytes = part.bytes();
        let mut out = Vec::new();
        while let Some(byte) = bytes.next() {
            out.push(match byte {
                b'+' => b' ',
                b'%' => {
                    let digits = [bytes.next().expect("a digit"), bytes.next().expect("a digit")];
                    u8::from_str_radix(std::str::from_utf8(&digits).expect("ASCII"), 16).expect("hexadecimal")
                }
                _ => byte,
            });
        }
        String::from_utf8(out).expect("UTF-8")
    };
    let fields = form.split('&').map(|field| field.split_once('=').expect("a value"));
    fields.map(|(name, value)| (text(name), text(value))).collect()
}

impl World {
    /// The issuer's metadata have come.
    pub fn discovered(options: Options) -> Self {
        let mut world = Self::new(options);
        world.engine.discovered(&metadata()).expect("good metadata");
        world
    }

    /// Signed in for five minutes as this user, with `access-1` and, where it is renewable, `refresh-1`.
    pub fn signed_in_as(options: Options, subject: &str, renewable: bool) -> Self {
        let mut world = Self::discovered(options);
        let refresh = renewable.then_some("refresh-1");
        let began = world.engine.sign_outs();
        world.sign_in(identified_renewal("access-1", refresh, subject), began).expect("signed in");
        assert_eq!(world.event_names(), ["signedin"]);
        world
    }

    pub fn sign_in(&mut self, exchange: Exchange, began: SignOutId) -> Result<(), Fault> {
        let result = self.engine.sign_in(&exchange, began, self.now, self.now);
        self.drain();
        result
    }

    pub fn restore(&mut self, way: Way) -> WaiterId {
        let waiter = self.engine.restore(way, self.now);
        self.drain();
        waiter
    }

    pub fn signed_out_elsewhere(&mut self, issuer: Option<&str>, session: Option<&str>) {
        self.engine.signed_out_elsewhere(issuer, session, self.now);
        self.drain();
    }

    /// The one piece of IO under way, which is no sign-out's.
    pub fn work(&self) -> &Work {
        self.flight();
        &self.running[0].1
    }

    pub fn user(&self) -> Option<&str> {
        self.engine.identity().map(|identity| identity.subject.as_str())
    }
}

/// A request to the backend with this body.
pub fn session_work(body: &str) -> Work {
    Work::Session { body: Secret::new(body.into()) }
}
