//! Requests (`application/x-www-form-urlencoded`) of a public client.

use crate::engine::oauth::object::Object;
use crate::engine::oauth::response::Member;
use crate::engine::token::Secret;

/// The refresh request (RFC 6749 section 6).
pub fn refresh(client_id: &str, refresh_token: &str) -> Secret {
    let mut form = Form::default();
    form.add("grant_type", "refresh_token");
    form.add("refresh_token", refresh_token);
    form.add("client_id", client_id);
    form.done()
}

/// The revocation request (RFC 7009 section 2.1).
pub fn revocation(client_id: &str, token: &str, hint: &str) -> Secret {
    let mut form = Form::default();
    form.add("token", token);
    form.add("token_type_hint", hint);
    form.add("client_id", client_id);
    form.done()
}

/// A form that is being filled in.
#[derive(Default)]
pub struct Form(String);

impl Form {
    /// Adds a field.
    #[inline(never)]
    pub fn add(&mut self, name: &str, value: &str) {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.encode(name);
        self.0.push('=');
        self.encode(value);
    }

    /// Adds a member of an object: once for each string of a list, and not at all where there is none.
    #[inline(never)]
    pub fn add_text(&mut self, name: &str, object: &impl Object, member: &str) {
        match object.get(member) {
            Member::Number(number) => self.add(name, &decimal(number as u64)),
            Member::Text(text) => self.add(name, text.expose()),
            Member::List(list) => {
                for text in list {
                    self.add(name, &text);
                }
            }
            _ => {}
        }
    }

    /// The form.
    pub fn done(self) -> Secret {
        Secret::new(self.0)
    }

    /// The URL of a request by GET with this form. The endpoint may have a query of its own (RFC 6749 section 3.1).
    pub fn url(endpoint: &str, form: &Secret) -> Secret {
        let form = form.expose();
        let mut url = String::with_capacity(endpoint.len() + 1 + form.len());
        url.push_str(endpoint);
        url.push(if endpoint.bytes().any(|byte| byte == b'?') { '&' } else { '?' });
        url.push_str(form);
        Secret::new(url)
    }

    /// The urlencoded serializer of the WHATWG URL standard.
    fn encode(&mut self, value: &str) {
        // Room for the worst case, so that growing happens once.
        self.0.reserve(value.len() * 3 + 2);
        for byte in value.bytes() {
            match byte {
                b'*' | b'-' | b'.' | b'_' => self.0.push(char::from(byte)),
                _ if byte.is_ascii_alphanumeric() => self.0.push(char::from(byte)),
                b' ' => self.0.push('+'),
                _ => {
                    self.0.push('%');
                    self.0.push(hex(byte >> 4));
                    self.0.push(hex(byte & 15));
                }
            }
        }
    }
}

fn hex(nibble: u8) -> char {
    char::from_digit(u32::from(nibble), 16).unwrap_or('0').to_ascii_uppercase()
}

/// A whole number; formatting a float would bring 10 kB of tables along.
pub(super) fn decimal(mut number: u64) -> String {
    let mut text = String::new();
    loop {
        text.insert(0, char::from(b'0' + (number % 10) as u8));
        number /= 10;
        if number == 0 {
            return text;
        }
    }
}
