//! Request bodies (`application/x-www-form-urlencoded`) of a public client.

use crate::engine::token::Secret;

/// The refresh request (RFC 6749 section 6).
pub fn refresh(client_id: &str, refresh_token: &str) -> Secret {
    form(&[("grant_type", "refresh_token"), ("refresh_token", refresh_token), ("client_id", client_id)])
}

/// The revocation request (RFC 7009 section 2.1).
pub fn revocation(client_id: &str, token: &str, hint: &str) -> Secret {
    form(&[("token", token), ("token_type_hint", hint), ("client_id", client_id)])
}

fn form(fields: &[(&str, &str)]) -> Secret {
    // Room for the worst case, so that no half-written copy is left behind by growing.
    let mut room = 0;
    for (name, value) in fields {
        room += name.len() + 2 + value.len() * 3;
    }
    let mut body = String::with_capacity(room);
    for (name, value) in fields {
        if !body.is_empty() {
            body.push('&');
        }
        body.push_str(name);
        body.push('=');
        encode(value, &mut body);
    }
    Secret::new(body)
}

/// The urlencoded serializer of the WHATWG URL standard.
fn encode(value: &str, out: &mut String) {
    for byte in value.bytes() {
        match byte {
            b'*' | b'-' | b'.' | b'_' => out.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => {
                out.push('%');
                out.push(hex(byte >> 4));
                out.push(hex(byte & 15));
            }
        }
    }
}

fn hex(nibble: u8) -> char {
    char::from_digit(u32::from(nibble), 16).unwrap_or('0').to_ascii_uppercase()
}
