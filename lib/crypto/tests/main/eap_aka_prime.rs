//! EAP-AKA': the test vectors of RFC 9048 appendix D, and both sides end to end.

use crate::{hex, hex_n};
use tern_crypto::*;

const IDENTITY: &str = "0555444333222111";
const NETWORK: &str = "5G:mnc093.mcc208.3gppnetwork.org";

fn rows() -> Vec<Vec<&'static str>> {
    let lines = include_str!("vectors/eap-aka-prime.txt").lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split(' ').collect()).collect()
}

#[test]
fn the_keys_are_those_of_the_test_vectors() {
    let rows = rows();
    assert_eq!(rows.len(), 4);
    for row in rows {
        let (case, network) = (row[0], row[1]);
        let (autn, ik, ck) = (Autn(hex_n(row[2])), Ik::from(hex_n(row[3])), Ck::from(hex_n(row[4])));
        let (ck_prime, ik_prime) = ck_ik_prime(&ck, &ik, network, &autn.concealed_sqn());
        assert_eq!(ck_prime.as_bytes(), &hex_n(row[5]), "CK' of case {case}");
        assert_eq!(ik_prime.as_bytes(), &hex_n(row[6]), "IK' of case {case}");
        let keys = EapAkaPrimeKeys::derive(&ck_prime, &ik_prime, IDENTITY);
        assert_eq!(keys.k_encr.as_bytes(), &hex_n(row[7]), "K_encr of case {case}");
        assert_eq!(keys.k_aut.as_bytes(), &hex_n(row[8]), "K_aut of case {case}");
        assert_eq!(keys.k_re.as_bytes(), &hex_n(row[9]), "K_re of case {case}");
        assert_eq!(keys.msk.as_bytes(), &hex_n(row[10]), "MSK of case {case}");
        assert_eq!(keys.emsk.as_bytes(), &hex_n(row[11]), "EMSK of case {case}");
        // TS 33.501 §6.1.3.1
        assert_eq!(keys.k_ausf().as_bytes()[..], hex(row[11])[..32], "K_AUSF of case {case}");
    }
}

/// Set 19 of TS 35.208, from which the RFC's cases 1 and 2 were made.
fn milenage() -> AuthenticationFunctions {
    let (k, opc) = ("5122250214c33e723a5dd523fc145fc0", "981d464c7c52eb6e5036234984ad0bcf");
    AuthenticationFunctions::milenage(&hex_n(k), &hex_n(opc))
}

#[test]
fn the_vector_is_that_of_the_test_vectors() {
    let rand = hex_n("81e92b6c0ee0e12ebceba8d92a99dfa5");
    let sqn = Sqn::from_bytes(hex_n("16f3b3f70fc2"));
    let vector = EapAkaPrimeVector::generate(&milenage(), sqn, [0xc3, 0xab], rand, "WLAN");
    assert_eq!(vector.autn.0, hex_n("bb52e91c747ac3ab2a5c23d15ee351d5"));
    assert_eq!(*vector.xres, hex("28d7b0f2a2ec3de5"));
    assert_eq!(vector.ck_prime.as_bytes(), &hex_n("0093962d0dd84aa5684b045c9edffa04"));
    assert_eq!(vector.ik_prime.as_bytes(), &hex_n("ccfc230ca74fcc96c0a5d61164f5a76c"));
}

#[test]
fn when_the_challenge_is_fresh_then_usim_and_home_network_have_the_same_keys() {
    let tuak = || AuthenticationFunctions::tuak(SubscriberKey::Bits256([0x31; 32]), [0x7c; 32]);
    for functions in [milenage as fn() -> AuthenticationFunctions, tuak] {
        let mut usim = Usim::new(functions(), SqnArray::default());
        let sqn = Sqn::new(32).expect("48 bits");
        let vector = EapAkaPrimeVector::generate(&functions(), sqn, AMF_5G, [1; 16], NETWORK);
        assert!((4..=16).contains(&vector.xres.len()));
        let answer = usim.authenticate_eap(&[1; 16], &vector.autn, NETWORK).expect("accepted");
        assert_eq!((answer.res, &answer.ck_prime), (vector.xres, &vector.ck_prime));
        let keys = EapAkaPrimeKeys::derive(&vector.ck_prime, &vector.ik_prime, "208930000000001");
        let theirs = EapAkaPrimeKeys::derive(&answer.ck_prime, &answer.ik_prime, "208930000000001");
        assert_eq!((keys.k_ausf(), keys.k_aut.clone()), (theirs.k_ausf(), theirs.k_aut));
        // Another subscriber has other keys, and so has another network.
        let other = EapAkaPrimeKeys::derive(&vector.ck_prime, &vector.ik_prime, "208930000000002");
        assert_ne!(keys.k_ausf(), other.k_ausf());
        assert!(
            usim.authenticate_eap(&[1; 16], &vector.autn, NETWORK).is_err(),
            "a number is accepted twice"
        );
    }
}
