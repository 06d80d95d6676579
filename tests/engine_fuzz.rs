//! What reads a stranger's words, from bytes: one function for each, with what must hold whatever they are. Here proptest
//! makes the bytes; `fuzz/` has the same functions under libFuzzer.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::*;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tokenward::engine::challenge::{Challenge, Refusal, is_tchar, parse, refusal};
use tokenward::engine::failure::{Outcome, outcome};
use tokenward::engine::oauth::authorization::is_openid;
use tokenward::engine::oauth::id_token::check;
use tokenward::engine::oauth::jws::key;
use tokenward::engine::oauth::object::Object;
use tokenward::engine::oauth::pkce;
use tokenward::engine::oauth::server::Endpoint;
use tokenward::engine::resource::Resources;
use tokenward::engine::schedule::{Moment, retry_after_ms};

/// Bytes, read as whatever is asked for; zeros when there are no more.
struct Source<'a>(&'a [u8]);

impl Source<'_> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    fn up_to(&mut self, max: usize) -> usize {
        usize::from(self.byte()) % (max + 1)
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.up_to(from.len() - 1)]
    }

    fn number(&mut self) -> u64 {
        (0..8).fold(0, |number, _| number << 8 | u64::from(self.byte()))
    }

    /// All that is left.
    fn rest(&mut self) -> String {
        String::from_utf8_lossy(std::mem::take(&mut self.0)).into_owned()
    }

    fn text(&mut self) -> String {
        let (text, rest) = self.0.split_at(self.up_to(24).min(self.0.len().saturating_sub(1)));
        self.0 = rest;
        String::from_utf8_lossy(text).into_owned()
    }

    /// What somebody might send in place of a good value.
    fn instead_of(&mut self, good: &Value) -> Value {
        let spoilt = good.as_str().unwrap_or_default();
        match self.up_to(60) {
            0 => Value::Null,
            1 => json!(self.text()),
            2 => json!(format!("{spoilt}{}", self.text())),
            3 => json!(self.byte() as f64 * 100.0 - 12_800.0 + good.as_f64().unwrap_or_default()),
            4 => json!(f64::from_bits(self.number())),
            5 => json!(true),
            6 => json!([good]),
            7 => json!([good, self.text()]),
            8 => json!({ "a": good }),
            _ => good.clone(),
        }
    }

    /// The object, some of its members spoilt or gone.
    fn object(&mut self, good: &Value) -> Json {
        let members = good.as_object().expect("an object").iter();
        let spoilt: Map<_, _> = members.map(|(name, value)| (name.clone(), self.instead_of(value))).collect();
        Json(spoilt.into())
    }
}

/// As RFC 9110 section 11.6.1 has it.
fn print(challenges: &[Challenge]) -> String {
    let quoted = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"");
    let one = |challenge: &Challenge| {
        let params = challenge.params.iter().map(|(name, value)| format!("{name}=\"{}\"", quoted(value)));
        let list: Vec<_> = challenge.token68.iter().cloned().chain(params).collect();
        format!("{} {}", challenge.scheme, list.join(", "))
    };
    challenges.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// `WWW-Authenticate`.
pub fn challenge(data: &[u8]) {
    let mut source = Source(data);
    let status = source.pick(&[401, 403, 200, 0, u16::MAX]);
    let header = source.rest();
    let challenges = parse(&header);
    for Challenge { scheme, params, .. } in &challenges {
        assert!(!scheme.is_empty() && scheme.bytes().all(is_tchar) && *scheme == scheme.to_ascii_lowercase());
        assert!(params.iter().all(|(name, _)| name.bytes().all(is_tchar) && *name == name.to_ascii_lowercase()));
    }
    // A token68 is followed by a comma; what has parameters as well cannot be printed so.
    let is_plain = |challenge: &Challenge| challenge.token68.is_none() || challenge.params.is_empty();
    if challenges.iter().all(is_plain) {
        let printed = print(&challenges);
        assert_eq!(parse(&printed), challenges, "{header:?} became {printed:?}");
    }
    let is_ours = |challenge: &Challenge| ["bearer", "dpop"].contains(&&*challenge.scheme);
    let refusal = refusal(status, Some(&header));
    assert!(refusal == Refusal::Other || challenges.iter().any(is_ours), "{header:?}: {refusal:?}");
    assert!(refusal != Refusal::Token || status == 401);
}

/// The token endpoint's answer.
pub fn token_answer(data: &[u8]) {
    let mut source = Source(data);
    let status = source.pick(&[200, 201, 400, 401, 403, 404, 408, 429, 500, 503]);
    let access = jwt(&source.object(&json!({ "exp": NOW_S + 300.0, "iat": NOW_S })).0);
    let id_token = jwt(&source.object(&claims().0).0);
    let body = source.object(&json!({
        "access_token": access,
        "token_type": "Bearer",
        "expires_in": 300,
        "refresh_in": "200",
        "refresh_token": "refresh-1",
        "scope": "openid",
        "error": "invalid_grant",
        "id_token": id_token,
    }));
    // As servers send it, or anything at all.
    let text = if source.byte() < 250 { body.0.to_string() } else { source.rest() };
    let Some(answer) = common::token_answer(&text) else { return };
    let is_code = |code: &str| !code.is_empty() && code.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase());
    assert!(answer.error_code().is_none_or(|code| is_code(&code)), "{text}");
    let grant = answer.read();
    if let Ok(grant) = &grant {
        let ten_years = 3_650 * DAY;
        let lifetimes = [grant.expires_in_ms, grant.refresh_in_ms, grant.jwt.lifetime_ms(START.wall_ms)];
        assert!(lifetimes.into_iter().flatten().all(|ms| ms <= ten_years), "{text}");
        assert!(grant.access.authorization().expose().bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '));
    }
    let outcome = outcome(&answered(status, Some(answer.clone())));
    let is_grant = grant.is_ok() && answer.error_code().is_none() && (200..300).contains(&status);
    assert_eq!(matches!(outcome, Outcome::Accepted(_)), is_grant, "{status} {text}");
    assert!(!matches!(outcome, Outcome::Final(_)) || answer.error_code().is_some() && status < 429, "{status} {text}");

    // Whatever it is, a session outlives it or ends, and is never left hanging.
    let (mut world, waiter) = World::refreshing(options());
    world.answer(answered(status, Some(answer)));
    assert!(world.engine.signed_in() || world.settled_as(waiter).is_some());
    world.pass(HOUR);
    assert!(world.settled_as(waiter).is_some());
}

/// `Retry-After`, and the clocks it is read by.
pub fn retry_after(data: &[u8]) {
    let mut source = Source(data);
    let now = Moment { wall_ms: source.number(), mono_ms: source.number() };
    let [date, server] = [(); 2].map(|()| f64::from_bits(source.number()));
    let value = source.rest();
    let ms = retry_after_ms(&value, date, server, now);
    assert!(ms.is_none_or(|ms| ms <= 10 * MINUTE));
    if let Ok(seconds) = value.trim_ascii().parse::<u64>()
        && !value.contains('+')
    {
        assert_eq!(ms, Some(seconds.saturating_mul(1_000).min(10 * MINUTE)));
    } else if !server.is_nan() {
        let elsewhere = Moment { wall_ms: !now.wall_ms, ..now };
        assert_eq!(ms, retry_after_ms(&value, date, server, elsewhere), "the client's clock counted");
    }
}

/// The allow-list: a line for each entry, the last for the URL that is asked for.
pub fn allow_list(data: &[u8]) {
    let mut source = Source(data);
    let allow_http = source.byte() & 1 == 1;
    // A browser's parser leaves nothing else in a URL, and a slash after every host.
    let text: String = source.rest().chars().filter(|letter| letter.is_ascii_graphic() || *letter == '\n').collect();
    let is_parsed = |url: &&str| url.split('/').nth(2).is_none_or(|host| !host.contains(['?', '#']));
    let mut resources = Resources::default();
    let mut added = Vec::new();
    let (entries, url) = text.rsplit_once('\n').unwrap_or(("https://api.test/v1/\nhttps://api.test/", &text));
    if !is_parsed(&url) {
        return;
    }
    for entry in entries.split('\n').filter(is_parsed) {
        if resources.add(entry, None, allow_http).is_ok() {
            added.push(entry.strip_suffix('/').unwrap_or(entry));
            assert!(entry.starts_with("https://") || entry.starts_with("http://"), "{entry:?}");
            // Dots before a semicolon are never matched, not even where they are listed.
            let is_odd = entry.contains(['%', ';']);
            assert!(is_odd || resources.find_rule(entry).is_some(), "{entry:?} is not on its own list");
        }
    }
    // The rule once more, in words: the same up to the end of a segment.
    let path = &url[..url.find(['?', '#']).unwrap_or(url.len())];
    let covers = |entry: &&str| path.strip_prefix(*entry).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let is_listed = added.iter().any(covers);
    let rule = resources.find_rule(url);
    assert!(rule.is_none() || is_listed, "{url:?} is not on {added:?}");
    if is_listed && !path.contains(['%', ';']) && path.splitn(4, '/').count() == 4 {
        assert!(rule.and_then(|rule| resources.url(rule, "GET")).is_some(), "{url:?} is on {added:?}");
    }
}

/// The authorization server's answer to a transaction.
pub fn callback(data: &[u8]) {
    let mut source = Source(data);
    let mut world = World::new(issuer_options());
    let named = source.byte() & 1 == 1;
    let metadata = metadata().with("authorization_response_iss_parameter_supported", named);
    world.engine.discovered(&metadata).expect("good metadata");
    let transaction = source.object(&transaction().0);
    let good = json!({ "state": "r-state-1", "code": "code-1", "iss": ISSUER, "error": "access_denied" });
    let answer = source.object(&good);
    match world.engine.code_request(&transaction, &answer, world.now) {
        Ok(form) => {
            assert!(transaction.has("state") && transaction.0["state"] == answer.0["state"]);
            assert!(transaction.is("issuer", ISSUER) && answer.has("code") && !answer.has("error"));
            assert!(answer.is("iss", ISSUER) || !named && !answer.has("iss"));
            assert!(transaction.number("at").is_some_and(|at| START.wall_ms as f64 - at < 600_000.0));
            assert!(form.expose().bytes().all(|byte| byte.is_ascii_graphic()));
        }
        Err(fault) => assert!(fault.detail.is_empty() || answer.is("error", &fault.detail), "{fault:?}"),
    }
}

/// The authorization server's metadata.
pub fn server_metadata(data: &[u8]) {
    let mut source = Source(data);
    let metadata = source.object(&metadata().0);
    let mut world = World::new(issuer_options());
    let result = world.engine.discovered(&metadata);
    assert!(result.is_err() || metadata.is("issuer", ISSUER), "another issuer's");
    for endpoint in Endpoint::ALL.into_iter().filter(|endpoint| !endpoint.name().is_empty()) {
        let url = world.engine.endpoint(endpoint).ok();
        let Some(url) = url.as_ref().map(|url| url.expose()) else { continue };
        assert!(result.is_ok(), "taken from metadata that were refused");
        assert!(metadata.is(endpoint.name(), url));
        assert!(url.starts_with("https://") || url.starts_with("http://"), "{url:?}");
    }
    assert!(result.is_err() || world.engine.endpoint(Endpoint::Token).is_ok());
}

/// The claims of an ID token.
pub fn id_token(data: &[u8]) {
    let mut source = Source(data);
    let wall_ms = if source.byte() & 1 == 1 { source.number() } else { START.wall_ms };
    let asked =
        transaction().with("maxAge", 300).with("acrValues", "gold").with("subject", "user-1").with("atHash", "h");
    let transaction = source.object(&asked.0);
    let good = claims().with("azp", "spa").with("auth_time", NOW_S).with("acr", "gold").with("at_hash", "h");
    let claims = source.object(&good.0);
    if check(&claims, Some(&ISSUER.into()), "spa", &transaction, wall_ms).is_err() {
        return;
    }
    assert!(claims.is("iss", ISSUER) && claims.texts("aud").iter().any(|audience| audience == "spa"));
    assert!(claims.text("sub").is_some_and(|subject| !subject.is_empty()));
    let (exp, iat) = (claims.number("exp").expect("exp"), claims.number("iat").expect("iat"));
    let is_answer = transaction.has("nonce") && claims.0["nonce"] == transaction.0["nonce"];
    assert!(is_answer || !is_openid(&transaction), "a replay");
    assert!(if is_answer { iat < exp } else { wall_ms as f64 / 1_000.0 - exp < 60.0 }, "expired");
    assert!(!transaction.has("subject") || claims.0["sub"] == transaction.0["subject"]);
    assert!(!claims.has("at_hash") || claims.0["at_hash"] == transaction.0["atHash"]);
    assert!(transaction.number("maxAge").is_none() || claims.number("auth_time").is_some());
}

/// Which key verifies a JWS.
pub fn jws_key(data: &[u8]) {
    let mut source = Source(data);
    let alg = source.pick(&["RS256", "PS512", "ES256", "EdDSA", "ES384", "HS256", "none"]);
    let (kty, crv) = source.pick(&[("RSA", ""), ("EC", "P-256"), ("EC", "P-384"), ("OKP", "Ed25519"), ("oct", "")]);
    let header = source.object(&json!({ "alg": alg, "kid": "a", "crit": null }));
    let good = json!({ "kty": kty, "crv": crv, "use": "sig", "alg": alg, "kid": "a" });
    let keys: Vec<_> = (0..source.up_to(4)).map(|_| source.object(&good)).collect();
    let Ok((at, parameters)) = key(&header, &keys) else { return };
    let found = &keys[at];
    let types = [("RS", "RSA"), ("PS", "RSA"), ("ES", "EC"), ("Ed", "OKP")];
    let alg = header.text("alg").expect("an algorithm");
    assert!(types.iter().any(|(prefix, kty)| alg.starts_with(prefix) && found.is("kty", kty)), "{alg} {found:?}");
    assert!(!header.has("crit") && !parameters.is_empty());
    assert!(!header.has("kid") || header.0["kid"] == found.0["kid"]);
}

/// Base64url loses nothing.
pub fn base64url(data: &[u8]) {
    let text = pkce::base64url(data);
    assert_eq!(text.len(), (data.len() * 4).div_ceil(3));
    assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
    let value = |letter: u8| match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'-' => 62,
        _ => 63,
    };
    let bits = text.bytes().flat_map(|letter| (0..6).rev().map(move |bit| value(letter) >> bit & 1));
    let bits: Vec<_> = bits.collect();
    let decoded: Vec<_> = bits.chunks_exact(8).map(|byte| byte.iter().fold(0, |all, bit| all << 1 | bit)).collect();
    assert_eq!(decoded, data);
}

proptest! {
    #![proptest_config(cases(1_000))]

    #[test]
    fn strangers_words_break_nothing(data in vec(any::<u8>(), 0..400)) {
        for read in [challenge, token_answer, retry_after, callback, server_metadata, id_token, jws_key, base64url] {
            read(&data);
        }
    }

    #[test]
    fn no_url_slips_through(
        entries in vec("https?://(api\\.test|localhost)(:1)?/[a-b/%2F.;]{0,6}\n", 0..4),
        url in "https?://(api\\.test|localhost)(:1)?/[a-b/%2F.;?#]{0,9}",
    ) {
        allow_list((String::from("0") + &entries.concat() + &url).as_bytes());
    }

    #[test]
    fn no_challenge_is_made_up(header in "((Bearer|DPoP|x) |(error|a) ?= ?|\"|\\\\|,|invalid_token|==| |ü){0,20}") {
        challenge((String::from("0") + &header).as_bytes());
    }
}
