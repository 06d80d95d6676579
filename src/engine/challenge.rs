//! `WWW-Authenticate` (RFC 9110 section 11.6.1) and what its challenges mean (RFC 6750 section 3, RFC 9449 section 7.1,
//! RFC 9470 section 3).

/// One challenge. Scheme and parameter names are in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Challenge {
    /// `bearer`, `dpop`, `basic`, …
    pub scheme: String,
    /// What stands there in place of parameters.
    pub token68: Option<String>,
    /// In order; of a repeated one the first counts.
    pub params: Vec<(String, String)>,
}

impl Challenge {
    /// A parameter's value.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// What a refusal asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    /// The token is not good: another one may be.
    Token,
    /// `use_dpop_nonce` (RFC 9449 section 9): the same token is good, with the nonce that came along.
    Nonce,
    /// `insufficient_scope`: a new token of the same grant would not help.
    Scope {
        /// The scope it takes.
        scope: Option<String>,
    },
    /// `insufficient_user_authentication`.
    StepUp {
        /// `acr_values`
        acr_values: Option<String>,
        /// `max_age` in seconds
        max_age_s: Option<f64>,
    },
    /// Not about the token.
    Other,
}

/// Reads the refusal of a request that carried a token. `header` is the field's value, several joined by commas as
/// `Headers.get` does; `None` if there is none or CORS hides it, which a 401 must not be punished for.
pub fn refusal(status: u16, header: Option<&str>) -> Refusal {
    let Some(header) = header else {
        return if status == 401 { Refusal::Token } else { Refusal::Other };
    };
    let mut token = false;
    let mut challenge = Ours::default();
    let mut cursor = Cursor { text: header, at: 0 };
    loop {
        let item = cursor.next_item();
        if matches!(item, Some(Item::Scheme(..)) | None) {
            match challenge.error.as_deref().filter(|_| challenge.ours) {
                Some("insufficient_scope") => return Refusal::Scope { scope: challenge.scope },
                Some("insufficient_user_authentication") => {
                    let max_age_s = challenge.max_age.and_then(|text| digits(&text)).map(|seconds| seconds as f64);
                    return Refusal::StepUp { acr_values: challenge.acr_values, max_age_s };
                }
                Some("use_dpop_nonce") if status == 401 => return Refusal::Nonce,
                None | Some("invalid_token") => token |= challenge.ours && status == 401,
                Some(_) => {}
            }
        }
        match item {
            Some(Item::Scheme(name, _)) => {
                let ours = name.eq_ignore_ascii_case("bearer") || name.eq_ignore_ascii_case("dpop");
                challenge = Ours { ours, ..Ours::default() };
            }
            Some(Item::Param(name, value)) => challenge.keep(name, value),
            None => return if token { Refusal::Token } else { Refusal::Other },
        }
    }
}

/// What counts of a challenge, if its scheme is one of ours.
#[derive(Default)]
struct Ours {
    ours: bool,
    error: Option<String>,
    scope: Option<String>,
    acr_values: Option<String>,
    max_age: Option<String>,
}

impl Ours {
    fn keep(&mut self, name: &str, value: String) {
        let place = match () {
            () if name.eq_ignore_ascii_case("error") => &mut self.error,
            () if name.eq_ignore_ascii_case("scope") => &mut self.scope,
            () if name.eq_ignore_ascii_case("acr_values") => &mut self.acr_values,
            () if name.eq_ignore_ascii_case("max_age") => &mut self.max_age,
            () => return,
        };
        place.get_or_insert(value);
    }
}

/// Reads a header value into its challenges. What cannot be read is passed over.
pub fn parse(header: &str) -> Vec<Challenge> {
    let mut challenges: Vec<Challenge> = Vec::new();
    let mut cursor = Cursor { text: header, at: 0 };
    while let Some(item) = cursor.next_item() {
        match (item, challenges.last_mut()) {
            (Item::Scheme(scheme, token68), _) => challenges.push(Challenge {
                scheme: scheme.to_ascii_lowercase(),
                token68: token68.map(Into::into),
                params: Vec::new(),
            }),
            (Item::Param(name, value), Some(challenge)) => {
                let name = name.to_ascii_lowercase();
                if challenge.param(&name).is_none() {
                    challenge.params.push((name, value));
                }
            }
            (Item::Param(..), None) => {}
        }
    }
    challenges
}

enum Item<'a> {
    Scheme(&'a str, Option<&'a str>),
    Param(&'a str, String),
}

struct Cursor<'a> {
    text: &'a str,
    /// In bytes, at a character's first.
    at: usize,
}

impl<'a> Cursor<'a> {
    fn next_item(&mut self) -> Option<Item<'a>> {
        loop {
            self.take(|byte| matches!(byte, b',' | b' ' | b'\t'));
            let name = self.take(is_tchar);
            if !name.is_empty() {
                return Some(match self.value() {
                    Some(value) => Item::Param(name, value),
                    None => Item::Scheme(name, self.token68()),
                });
            }
            // Garbage.
            match self.peek()? {
                b'"' => drop(self.quoted()),
                _ => self.skip_char(),
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, is_wanted: fn(u8) -> bool) -> &'a str {
        let start = self.at;
        while self.peek().is_some_and(is_wanted) {
            self.at += 1;
        }
        self.since(start)
    }

    fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn skip_space(&mut self) {
        self.take(|byte| matches!(byte, b' ' | b'\t'));
    }

    fn skip_char(&mut self) {
        self.at += 1;
        self.take(|byte| matches!(byte, 0x80..=0xBF));
    }

    /// `= value`, if that is what comes next.
    fn value(&mut self) -> Option<String> {
        let start = self.at;
        self.skip_space();
        if self.peek() != Some(b'=') {
            self.at = start;
            return None;
        }
        self.at += 1;
        self.skip_space();
        if self.peek() == Some(b'"') {
            return Some(self.quoted());
        }
        // Wider than a token, for servers that forget the quotes.
        Some(self.take(|byte| !matches!(byte, b',' | b' ' | b'\t' | b'"')).into())
    }

    /// A quoted string, from its first quote; one without an end runs to the end.
    fn quoted(&mut self) -> String {
        let mut value = String::new();
        self.at += 1;
        loop {
            value.push_str(self.take(|byte| !matches!(byte, b'"' | b'\\')));
            let end = self.peek();
            if end.is_some() {
                self.at += 1;
            }
            if end != Some(b'\\') {
                return value;
            }
            let start = self.at;
            if self.peek().is_some() {
                self.skip_char();
            }
            value.push_str(self.since(start));
        }
    }

    /// A token68 after a scheme and at least one space; it ends at a comma, which tells it from a parameter.
    fn token68(&mut self) -> Option<&'a str> {
        let before = self.at;
        self.skip_space();
        let start = self.at;
        if start == before {
            return None;
        }
        let body = self.take(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-'..=b'/' | b'_' | b'~' | b'+'));
        self.take(|byte| byte == b'=');
        let token = self.since(start);
        self.skip_space();
        let ends = matches!(self.peek(), None | Some(b','));
        if !body.is_empty() && ends {
            return Some(token);
        }
        self.at = before;
        None
    }
}

/// A character of a token (RFC 9110 section 5.6.2).
pub fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}

/// A whole number; what does not fit is as large as can be. `str::parse` costs twice the bytes.
pub(super) fn digits(text: &str) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.bytes().try_fold(0_u64, |number, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        Some(number.saturating_mul(10).saturating_add(digit.into()))
    })
}
