//! TS 33.501 §C.4, and what a hostile scheme output meets.

use crate::{hex, hex_n};
use proptest::prelude::*;
use tern_crypto::*;

const PRIVATE_A: &str = "c53c22208b61860b06c62e5406a7b330c2b577aa5558981510d128247d38bd1d";
const PUBLIC_A: &str = "5a8d38864820197c3394b92613b20b91633cbd897119273bf8e4a6f4eec0a650";
const PRIVATE_B: &str = "f1ab1074477ebcc7f554ea1c5fc368b1616730155e0041ac447d6301975fecda";
const PUBLIC_B: &str = "0272da71976234ce833a6907425867b82e074d44ef907dfb4b3e21c1c2256ebcd1";

fn private_a() -> HomeNetworkPrivateKey {
    HomeNetworkPrivateKey::ProfileA(hex_n(PRIVATE_A))
}

fn private_b() -> HomeNetworkPrivateKey {
    HomeNetworkPrivateKey::ProfileB(hex_n(PRIVATE_B))
}

/// Ephemeral private key, plaintext and scheme output of each data set.
const DATA_SETS: [(bool, &str, &str, &str); 4] = [
    (
        true,
        "c80949f13ebe61af4ebdbd293ea4f942696b9e815d7e8f0096bbf6ed7de62256",
        "00012080f6",
        "b2e92f836055a255837debf850b528997ce0201cb82adfe4be1f587d07d8457dcb02352410cddd9e730ef3fa87",
    ),
    (
        true,
        "be9eff3e9f22a4b42a3d236e7a6c500b3f2e7e0c7449988ba800d664bf4fcd97",
        "766572796c6f6e67757365726e616d6531",
        "977d8b2fdaa7b64aa700d04227d5b440630ea4ec50f9082273a26bb678c922228e358a1582adb15322c10e515141d2039a12e1d7783a97f1ac",
    ),
    (
        false,
        "99798858a1dc6a2c68637149a4b1dbfd1fdff5addd62a2142f06699ed7602529",
        "00012080f6",
        "039aab8376597021e855679a9778ea0b67396e68c66df32c0f41e9acca2da9b9d146a33fc2716ac7dae96aa30a4d",
    ),
    (
        false,
        "90a5898bd29ffa3f261e00e980067c70a2b1b992a21f5b4fef6d4df69fe804ad",
        "766572796c6f6e67757365726e616d6531",
        "03759bb22c563d9f4a6b3c1419e543fc2f39d6823f02a9d71162b39399218b244bbe22d8b9f856a52ed381cd7eaf4cf2d5253cddc61a0a7882eb",
    ),
];

#[test]
fn data_sets_of_annex_c() {
    assert_eq!(private_a().public_key(), Ok(HomeNetworkPublicKey::ProfileA(hex_n(PUBLIC_A))));
    assert_eq!(private_b().public_key(), Ok(HomeNetworkPublicKey::ProfileB(hex(PUBLIC_B))));
    for (profile_a, ephemeral, plaintext, output) in DATA_SETS {
        let private = if profile_a { private_a() } else { private_b() };
        let public = private.public_key().expect("valid key");
        let (plaintext, output) = (hex(plaintext), hex(output));
        assert_eq!(public.conceal(&hex_n(ephemeral), &plaintext).expect("concealed"), output);
        assert_eq!(*private.deconceal(&output).expect("de-concealed"), plaintext);
    }
    assert_eq!(bcd_octets("001002086").expect("digits"), hex("00012080f6"));
    assert_eq!(bcd_digits(&hex("00012080f6")).expect("digits"), "001002086");
}

#[test]
fn when_any_octet_changes_then_the_suci_is_refused() {
    for (profile_a, _, _, output) in DATA_SETS {
        let private = if profile_a { private_a() } else { private_b() };
        let output = hex(output);
        for octet in 0..output.len() {
            let mut changed = output.clone();
            changed[octet] ^= 1;
            // The top bit of an X25519 key is ignored, no other bit is.
            assert!(private.deconceal(&changed).is_err(), "octet {octet}");
        }
        for length in 0..output.len() {
            assert!(private.deconceal(&output[..length]).is_err(), "length {length}");
        }
    }
}

#[test]
fn when_the_key_is_another_then_mac_mismatch() {
    let output = hex(DATA_SETS[0].3);
    let other = HomeNetworkPrivateKey::ProfileA([0x42; 32]);
    assert_eq!(other.deconceal(&output), Err(SuciError::Mac));
    assert_eq!(private_b().deconceal(&output), Err(SuciError::Key));
}

#[test]
fn when_the_shared_secret_would_be_zero_then_invalid_key() {
    let mut output = vec![0; 32];
    output.extend([0x55; 13]);
    assert_eq!(private_a().deconceal(&output), Err(SuciError::Key));
}

/// The home network's key may be provisioned in either form of SEC 1.
#[test]
fn profile_b_takes_uncompressed_points() {
    // The point of PRIVATE_B uncompressed: the compressed one says Y is even.
    let uncompressed = hex(concat!(
        "0472da71976234ce833a6907425867b82e074d44ef907dfb4b3e21c1c2256ebcd1",
        "5a7ded52fcbb097a4ed250e036c7b9c8c7004c4eedc4f068cd7bf8d3f900e3b4"
    ));
    let protection =
        |key| SuciProtection { hn_key_id: 2, public_key: Some(HomeNetworkPublicKey::ProfileB(key)) };
    let conceal = |key| protection(key).conceal_msin(&[0x11; 32], "0123456789");
    let output = conceal(uncompressed).expect("concealed");
    assert_eq!(Ok(output.clone()), conceal(hex(PUBLIC_B)));
    let plaintext = private_b().deconceal(&output).expect("de-concealed");
    assert_eq!(bcd_digits(&plaintext).expect("digits"), "0123456789");
    assert_eq!(conceal(vec![4; 65]), Err(SuciError::Key));
}

#[test]
fn digits_that_are_none_are_refused() {
    for text in ["", "12a", "0123456789012345"] {
        assert_eq!(bcd_octets(text), Err(SuciError::Digits));
    }
    for octets in ["", "1f", "1ff1", "a1", "ff", "0123456789012345"] {
        assert_eq!(bcd_digits(&hex(octets)), Err(SuciError::Digits), "{octets}");
    }
    let null = SuciProtection::NULL;
    assert_eq!(null.scheme(), ProtectionScheme::Null);
    assert_eq!(null.conceal_msin(&[0; 32], "001002086"), Ok(hex("00012080f6")));
}

proptest! {
    #[test]
    fn no_scheme_output_panics(output in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = private_a().deconceal(&output);
        let _ = private_b().deconceal(&output);
        let _ = bcd_digits(&output);
    }

    #[test]
    fn digits_go_both_ways(digits in "[0-9]{1,15}") {
        let octets = bcd_octets(&digits).expect("digits");
        prop_assert_eq!(bcd_digits(&octets).expect("digits"), digits);
    }
}
