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
    let challenges = match header {
        Some(text) => parse(text),
        None if status == 401 => return Refusal::Token,
        None => return Refusal::Other,
    };
    let ours = || challenges.iter().filter(|challenge| matches!(challenge.scheme.as_str(), "bearer" | "dpop"));
    for challenge in ours() {
        match challenge.param("error") {
            Some("insufficient_scope") => {
                return Refusal::Scope { scope: challenge.param("scope").map(Into::into) };
            }
            Some("insufficient_user_authentication") => {
                return Refusal::StepUp {
                    acr_values: challenge.param("acr_values").map(Into::into),
                    max_age_s: challenge.param("max_age").and_then(seconds),
                };
            }
            _ => {}
        }
    }
    let token =
        status == 401 && ours().any(|challenge| matches!(challenge.param("error"), None | Some("invalid_token")));
    if token { Refusal::Token } else { Refusal::Other }
}

fn seconds(text: &str) -> Option<f64> {
    text.parse::<u32>().ok().map(f64::from)
}

/// No header that means something has more.
const MAX_CHALLENGES: usize = 32;

/// Reads a header value. What cannot be read is passed over.
pub fn parse(header: &str) -> Vec<Challenge> {
    let mut cursor = Cursor { rest: header };
    let mut challenges: Vec<Challenge> = Vec::new();
    while cursor.next_item() && challenges.len() < MAX_CHALLENGES {
        let name = cursor.take(is_tchar);
        if name.is_empty() {
            cursor.skip_garbage();
        } else if let Some(value) = cursor.value() {
            let name = name.to_ascii_lowercase();
            if let Some(challenge) = challenges.last_mut()
                && challenge.param(&name).is_none()
            {
                challenge.params.push((name, value));
            }
        } else {
            challenges.push(Challenge {
                scheme: name.to_ascii_lowercase(),
                token68: cursor.token68(),
                params: Vec::new(),
            });
        }
    }
    challenges
}

struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    /// Skips commas and white space; `false` at the end.
    fn next_item(&mut self) -> bool {
        self.rest = self.rest.trim_start_matches([',', ' ', '\t']);
        !self.rest.is_empty()
    }

    fn take(&mut self, is_wanted: fn(u8) -> bool) -> &'a str {
        let end = self.rest.bytes().position(|byte| !is_wanted(byte)).unwrap_or(self.rest.len());
        // Only ASCII is wanted anywhere, so this is a character boundary.
        let (taken, rest) = self.rest.split_at_checked(end).unwrap_or_default();
        self.rest = rest;
        taken
    }

    fn skip_garbage(&mut self) {
        if self.rest.starts_with('"') {
            self.quoted();
        } else {
            let mut chars = self.rest.chars();
            chars.next();
            self.rest = chars.as_str();
        }
    }

    /// `= value`, if that is what comes next.
    fn value(&mut self) -> Option<String> {
        self.rest = skip_space(self.rest).strip_prefix('=').map(skip_space)?;
        if self.rest.starts_with('"') {
            return Some(self.quoted());
        }
        // Wider than a token, for servers that forget the quotes.
        Some(self.take(|byte| !matches!(byte, b',' | b' ' | b'\t' | b'"')).into())
    }

    /// A quoted string, from its first quote; one without an end runs to the end.
    fn quoted(&mut self) -> String {
        let mut value = String::new();
        let mut chars = self.rest.chars();
        chars.next();
        while let Some(char) = chars.next() {
            match char {
                '"' => break,
                '\\' => value.extend(chars.next()),
                _ => value.push(char),
            }
        }
        self.rest = chars.as_str();
        value
    }

    /// A token68 after a scheme and at least one space; it ends at a comma, which tells it from a parameter.
    fn token68(&mut self) -> Option<String> {
        let start = skip_space(self.rest);
        if start.len() == self.rest.len() {
            return None;
        }
        let body = start.trim_start_matches(|char: char| {
            char.is_ascii_alphanumeric() || matches!(char, '-' | '.' | '_' | '~' | '+' | '/')
        });
        let end = body.trim_start_matches('=');
        let after = skip_space(end);
        let token = start.get(..start.len().saturating_sub(end.len()))?;
        if body.len() == start.len() || !(after.is_empty() || after.starts_with(',')) {
            return None;
        }
        self.rest = after;
        Some(token.into())
    }
}

fn skip_space(text: &str) -> &str {
    text.trim_start_matches([' ', '\t'])
}

/// A character of a token (RFC 9110 section 5.6.2).
pub fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
