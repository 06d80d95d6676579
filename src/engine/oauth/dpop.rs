//! Demonstrating Proof of Possession (RFC 9449): what is signed, and the nonces that servers want in it.

use crate::engine::oauth::object::Object;
use crate::engine::oauth::pkce::base64url;
use crate::engine::oauth::request::decimal;
use crate::engine::resource::origin;

/// Origins whose nonces are kept. An app has a handful.
const MAX_ORIGINS: usize = 32;

/// No nonce is longer; it goes into a header of each request.
const MAX_NONCE: usize = 256;

/// The newest nonce of each origin (section 8.2).
#[derive(Debug, Default)]
pub struct Nonces(Vec<(String, String)>);

impl Nonces {
    /// What came in `DPoP-Nonce` with the answer from a URL. What is no nonce (section 8.1) is passed over.
    pub fn keep(&mut self, url: &str, nonce: &str) {
        let is_nonce = |byte| matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E);
        let Some(origin) = origin(url) else { return };
        if nonce.is_empty() || nonce.len() > MAX_NONCE || !nonce.bytes().all(is_nonce) {
            return;
        }
        self.0.retain(|(known, _)| known != origin);
        if self.0.len() == MAX_ORIGINS {
            self.0.remove(0);
        }
        self.0.push((origin.into(), nonce.into()));
    }

    /// The nonce for a request to a URL.
    pub fn get(&self, url: &str) -> Option<&str> {
        let origin = origin(url)?;
        self.0.iter().find(|(known, _)| known == origin).map(|(_, nonce)| nonce.as_str())
    }
}

/// What is signed with ES256 to make the proof for a request (section 4.2). `asked` has the `method` and the `url`, `jti`
/// (random), `x` and `y` of the public key, and `ath` where an access token goes along.
pub fn proof(asked: &impl Object, nonces: &Nonces, issued_ms: u64) -> String {
    let mut header = Json::default();
    header.add("typ", "dpop+jwt");
    header.add("alg", "ES256");
    header.add_raw("jwk", &jwk(asked));
    let url = asked.text("url").unwrap_or_default();
    // Section 4.2: without query and fragment.
    let end = url.bytes().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(url.len());
    let mut claims = Json::default();
    claims.add("jti", &asked.text("jti").unwrap_or_default());
    claims.add("htm", &normalized(asked.text("method").unwrap_or_default()));
    claims.add("htu", url.get(..end).unwrap_or_default());
    claims.add_raw("iat", &decimal(issued_ms / 1000));
    if let Some(ath) = asked.text("ath") {
        claims.add("ath", &ath);
    }
    if let Some(nonce) = nonces.get(&url) {
        claims.add("nonce", nonce);
    }
    let mut input = base64url(header.done().as_bytes());
    input.push('.');
    input.push_str(&base64url(claims.done().as_bytes()));
    input
}

/// A method as `fetch` sends it (Fetch standard, "normalize a method").
fn normalized(method: String) -> String {
    let upper = method.to_ascii_uppercase();
    if matches!(&*upper, "DELETE" | "GET" | "HEAD" | "OPTIONS" | "POST" | "PUT") { upper } else { method }
}

/// A public key, its members in the order of RFC 7638: the hash of this is its thumbprint.
pub fn jwk(key: &impl Object) -> String {
    let mut jwk = Json::default();
    jwk.add("crv", "P-256");
    jwk.add("kty", "EC");
    for name in ["x", "y"] {
        jwk.add(name, &key.text(name).unwrap_or_default());
    }
    jwk.done()
}

/// A JSON object that is being filled in.
#[derive(Default)]
struct Json(String);

impl Json {
    #[inline(never)]
    fn add_raw(&mut self, name: &str, value: &str) {
        self.0.push_str(if self.0.is_empty() { "{\"" } else { ",\"" });
        self.0.push_str(name);
        self.0.push_str("\":");
        self.0.push_str(value);
    }

    #[inline(never)]
    fn add(&mut self, name: &str, value: &str) {
        let mut text = String::from("\"");
        // No URL, method or nonce has a character that would have to be escaped.
        for byte in value.bytes().filter(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\')) {
            text.push(char::from(byte));
        }
        text.push('"');
        self.add_raw(name, &text);
    }

    fn done(mut self) -> String {
        self.0.push('}');
        self.0
    }
}
