//! 5G AKA end to end: vector, USIM, resynchronisation, key chain.

use crate::{hex, hex_n};
use tern_crypto::*;

const NETWORK: &str = "5G:mnc093.mcc208.3gppnetwork.org";

/// Set 1 of TS 35.208.
fn milenage() -> AuthenticationFunctions {
    AuthenticationFunctions::milenage(
        &hex_n("465b5ce8b199b49faa5f0a2ee238a6bc"),
        &hex_n("cd63cb71954a9f4e48a5994e37a02baf"),
    )
}

fn tuak() -> AuthenticationFunctions {
    AuthenticationFunctions::tuak(SubscriberKey::Bits256([0x31; 32]), [0x7c; 32])
}

/// TS 33.501 annex A has no test data. These values come from HMAC-SHA-256 of
/// another library over the inputs of annex A, from set 1 of TS 35.208.
#[test]
fn the_key_chain_has_the_values_of_an_independent_derivation() {
    let rand = hex_n("23553cbe9637a89d218ae64dae47bf35");
    let sqn = Sqn::from_bytes(hex_n("ff9bb4d0b607"));
    let vector = AuthenticationVector::generate(&milenage(), sqn, [0xb9, 0xb9], rand, NETWORK);
    assert_eq!(vector.autn.0, hex_n("55f328b43577b9b94a9ffac354dfafb3"));
    assert_eq!(
        vector.k_ausf.as_bytes(),
        &hex_n("f2e35260f85194d4f891504d02111e56689ac23dd393bee3abbcc5bfbc013ef9")
    );
    assert_eq!(vector.xres_star.as_bytes(), &hex_n("5cc9527f4d21c43bee83a15443acf1c4"));
    let hxres_star = hres_star(&rand, &vector.xres_star);
    assert_eq!(hxres_star.as_bytes(), &hex_n("6970075e3c8245fdc2073003cf166279"));
    let k_seaf = k_seaf(&vector.k_ausf, NETWORK);
    assert_eq!(k_seaf.as_bytes(), &hex_n("cfddde483bd1318a412e98870f556410905be4fb7500abed93ee16af71bbb3fa"));
    let amf_key = k_amf(&k_seaf, "imsi-208930000000001", &[0, 0]);
    assert_eq!(amf_key, k_amf(&k_seaf, "208930000000001", &[0, 0]));
    assert_eq!(
        amf_key.as_bytes(),
        &hex_n("9d63b519775a92ca861ca6a50d848fa8ebf160ea7b73735a85b33737e73c55b4")
    );
    let enc = nas_ciphering_key(&amf_key, CipheringAlgorithm::Nea2);
    assert_eq!(enc.as_bytes(), &hex_n("f47ae570afde775373d1b313d2176f54"));
    let int = nas_integrity_key(&amf_key, IntegrityAlgorithm::Nia2);
    assert_eq!(int.as_bytes(), &hex_n("28ddb5356880149b9fee22f2367522a4"));
    assert_eq!(
        gnb_key(&amf_key, 0, AccessType::ThreeGpp).as_bytes(),
        &hex_n("c18166e13cfde1dea842c708f6e0b3372b6896664df4e865c0c78bd270852005")
    );
}

#[test]
fn when_the_challenge_is_fresh_then_usim_and_home_network_agree() {
    for functions in [milenage as fn() -> AuthenticationFunctions, tuak] {
        let mut usim = Usim::new(functions(), SqnArray::default());
        let mut sqn = Sqn::default();
        for round in 0..40u8 {
            sqn = sqn.next().expect("not used up");
            let rand = [round; 16];
            let vector = AuthenticationVector::generate(&functions(), sqn, AMF_5G, rand, NETWORK);
            let answer = usim.authenticate(&rand, &vector.autn, NETWORK).expect("accepted");
            assert_eq!(answer.res_star, vector.xres_star);
            assert_eq!(answer.k_ausf, vector.k_ausf);
        }
    }
}

#[test]
fn when_the_network_name_differs_then_res_star_differs() {
    let mut usim = Usim::new(milenage(), SqnArray::default());
    let sqn = Sqn::new(32).expect("48 bits");
    let vector = AuthenticationVector::generate(&milenage(), sqn, AMF_5G, [1; 16], NETWORK);
    let other = "5G:mnc001.mcc001.3gppnetwork.org";
    let answer = usim.authenticate(&[1; 16], &vector.autn, other).expect("accepted");
    assert_ne!(answer.res_star, vector.xres_star);
    assert_ne!(answer.k_ausf, vector.k_ausf);
}

#[test]
fn when_autn_is_changed_then_mac_failure() {
    let sqn = Sqn::new(32).expect("48 bits");
    let vector = AuthenticationVector::generate(&milenage(), sqn, AMF_5G, [1; 16], NETWORK);
    for octet in 0..16 {
        let mut usim = Usim::new(milenage(), SqnArray::default());
        let mut autn = vector.autn;
        autn.0[octet] ^= 1;
        let refusal = usim.authenticate(&[1; 16], &autn, NETWORK).expect_err("refused");
        assert_eq!(refusal, UsimRefusal::MacFailure, "octet {octet}");
        // A refused challenge leaves the numbers as they were.
        assert!(usim.authenticate(&[1; 16], &vector.autn, NETWORK).is_ok());
    }
}

#[test]
fn when_the_separation_bit_is_0_then_non_5g_authentication_unacceptable() {
    let sqn = Sqn::new(32).expect("48 bits");
    let vector = AuthenticationVector::generate(&milenage(), sqn, [0x7f, 0xff], [1; 16], NETWORK);
    let mut usim = Usim::new(milenage(), SqnArray::default());
    let refusal = usim.authenticate(&[1; 16], &vector.autn, NETWORK).expect_err("refused");
    assert_eq!(refusal, UsimRefusal::Non5gAuthentication);
}

/// TS 33.102 §6.3.5.
#[test]
fn when_sqn_is_old_then_auts_brings_the_home_network_to_sqn_ms() {
    for functions in [milenage as fn() -> AuthenticationFunctions, tuak] {
        let sqn_ms = Sqn::new(1000 << 5 | 3).expect("48 bits");
        let mut usim = Usim::new(functions(), SqnArray::at(sqn_ms));
        let rand = [9; 16];
        let old = Sqn::new(7 << 5).expect("48 bits");
        let vector = AuthenticationVector::generate(&functions(), old, AMF_5G, rand, NETWORK);
        let refusal = usim.authenticate(&rand, &vector.autn, NETWORK).expect_err("refused");
        let UsimRefusal::SynchFailure(auts) = refusal else {
            panic!("{refusal:?} in place of a synch failure");
        };
        assert_eq!(resynchronise(&functions(), &rand, &auts), Ok(sqn_ms));
        assert_eq!(resynchronise(&functions(), &[8; 16], &auts), Err(AutsError));
        for octet in 0..14 {
            let mut changed = auts;
            changed.0[octet] ^= 0x40;
            assert_eq!(resynchronise(&functions(), &rand, &changed), Err(AutsError));
        }
        let next = sqn_ms.next().expect("not used up");
        let vector = AuthenticationVector::generate(&functions(), next, AMF_5G, rand, NETWORK);
        assert!(usim.authenticate(&rand, &vector.autn, NETWORK).is_ok());
    }
}

#[test]
fn tuak_refuses_lengths_that_5g_has_not() {
    let with = |parameters| Tuak::new(SubscriberKey::Bits128([1; 16]), [2; 32], parameters);
    let p = TuakParameters::default();
    assert!(with(TuakParameters { res: 5, ..p }).is_none());
    assert!(with(TuakParameters { iterations: 0, ..p }).is_none());
    let long = with(TuakParameters { ck: 32, ..p }).expect("TUAK itself has it");
    assert!(AuthenticationFunctions::tuak_with(long).is_none());
    assert!(SubscriberKey::from_slice(&hex("00")).is_none());
}
