//! Base64url (RFC 7515 appendix C) and PKCE (RFC 7636), S256 only.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Without padding. 32 random bytes make a code verifier (RFC 7636 section 4.1), the SHA-256 of its text the
/// `S256` challenge (section 4.2).
pub fn base64url(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().saturating_mul(4).div_ceil(3));
    let (mut bits, mut held) = (0_u32, 0_u32);
    for byte in bytes {
        bits = bits << 8 | u32::from(*byte);
        held += 8;
        while held >= 6 {
            held -= 6;
            push(&mut text, bits >> held);
        }
    }
    if held > 0 {
        push(&mut text, bits << (6 - held));
    }
    text
}

fn push(text: &mut String, sextet: u32) {
    text.push(ALPHABET.get((sextet & 63) as usize).map_or('A', |letter| char::from(*letter)));
}
