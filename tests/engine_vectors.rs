//! Published vectors, and hashes computed by another implementation.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::*;
use proptest::collection::vec;
use proptest::prelude::*;
use sha2::{Digest, Sha256, Sha384, Sha512};
use tokenward::engine::oauth::id_token::at_hash;
use tokenward::engine::oauth::pkce::base64url;

#[test]
fn pkce_is_as_in_rfc_7636_appendix_b() {
    let octets = [
        116, 24, 223, 180, 151, 153, 224, 37, 79, 250, 96, 125, 216, 173, 187, 186, 22, 212, 37, 77, 105, 214, 191,
        240, 91, 88, 5, 88, 83, 132, 141, 121,
    ];
    let verifier = base64url(&octets);
    assert_eq!(verifier, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    assert_eq!(base64url(&Sha256::digest(&verifier)), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
}

#[test]
fn base64url_is_as_in_the_rfcs() {
    // RFC 4648 section 10, without its padding.
    let rows = [
        ("", ""),
        ("f", "Zg"),
        ("fo", "Zm8"),
        ("foo", "Zm9v"),
        ("foob", "Zm9vYg"),
        ("fooba", "Zm9vYmE"),
        ("foobar", "Zm9vYmFy"),
    ];
    for (text, encoded) in rows {
        assert_eq!(base64url(text.as_bytes()), encoded);
    }
    // RFC 7515 appendix C, which needs both letters of this alphabet's own.
    assert_eq!(base64url(&[3, 236, 255, 224, 193]), "A-z_4ME");
}

/// As published with the npm package oidc-token-hash.
const ACCESS_TOKEN: &str = "YmJiZTAwYmYtMzgyOC00NzhkLTkyOTItNjJjNDM3MGYzOWIy9sFhvH8K_x8UIHj1osisS57f5DduL-ar_qw5jl3lthwpMjm283aVMQXDmoqqqydDSqJfbhptzw8rUVwkuQbolw";

#[test]
fn at_hash_is_the_left_half_of_the_digest() {
    assert_eq!(at_hash(&Sha256::digest(ACCESS_TOKEN)), "x7vk7f6BvQj0jQHYFIk4ag");
    assert_eq!(at_hash(&Sha384::digest(ACCESS_TOKEN)), "ups_76_7CCye_J1WIyGHKVG7AAs2olYm");
    assert_eq!(at_hash(&Sha512::digest(ACCESS_TOKEN)), "EGEAhGYyfuwDaVTifvrWSoD5MSy_5hZPy6I7Vm-7pTQ");
    assert_eq!(at_hash(&[]), "");
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn base64url_loses_nothing(bytes in vec(any::<u8>(), 0..100)) {
        const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let text = base64url(&bytes);
        let mut bits = Vec::new();
        for letter in text.chars() {
            let value = ALPHABET.find(letter).expect("a letter of the alphabet");
            bits.extend((0..6).rev().map(|bit| (value >> bit & 1) as u8));
        }
        // What is left over of the last letter is zero (RFC 4648 section 3.5), and no letter is.
        let left = bits.split_off(bytes.len() * 8);
        prop_assert!(left.len() < 6 && left.iter().all(|bit| *bit == 0));
        let decoded: Vec<u8> = bits.chunks(8).map(|byte| byte.iter().fold(0, |byte, bit| byte << 1 | bit)).collect();
        prop_assert_eq!(decoded, bytes);
    }
}
