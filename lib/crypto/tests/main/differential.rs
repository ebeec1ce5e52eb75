//! The same inputs through `oxirush-security`.

use oxirush_security as other;
use oxirush_security::nas_5gs as five;
use proptest::prelude::*;
use tern_crypto::*;

fn direction(bit: bool) -> (Direction, other::Direction) {
    if bit {
        (Direction::Downlink, other::Direction::Downlink)
    } else {
        (Direction::Uplink, other::Direction::Uplink)
    }
}

proptest! {
    #[test]
    fn nea_and_nia(
        code in 0u8..4,
        key: [u8; 16],
        count: u32,
        bearer in 0u8..32,
        bit: bool,
        data in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let (mine, theirs) = direction(bit);
        let their_bearer = other::Bearer::new(bearer).expect("5 bits");
        let mut ciphered = data.clone();
        let algorithm = CipheringAlgorithm::try_from(code).expect("known");
        nea(algorithm, &key, count, bearer, mine, &mut ciphered);
        let mut expected = data.clone();
        let their_key = five::KNasEnc::from_slice(&key).expect("length");
        let algorithm = other::CipheringAlgorithm::try_from(code).expect("known");
        other::nea_cipher(&their_key, count, their_bearer, theirs, &mut expected, algorithm);
        prop_assert_eq!(ciphered, expected);

        let algorithm = IntegrityAlgorithm::try_from(code).expect("known");
        let mac = nia(algorithm, &key, count, bearer, mine, &data);
        let their_key = five::KNasInt::from_slice(&key).expect("length");
        let algorithm = other::IntegrityAlgorithm::try_from(code).expect("known");
        let expected = other::nia_mac(&their_key, count, their_bearer, theirs, &data, algorithm);
        prop_assert_eq!(u32::from_be_bytes(mac), expected);
    }

    #[test]
    fn partial_octets(
        code in 1u8..4,
        key: [u8; 16],
        count: u32,
        data in proptest::collection::vec(any::<u8>(), 1..60),
        short in 0usize..16,
    ) {
        let bits = (data.len() * 8).saturating_sub(short);
        let bearer = other::Bearer::new(3).expect("5 bits");
        let theirs = other::Direction::Uplink;
        let algorithm = IntegrityAlgorithm::try_from(code).expect("known");
        let mac = nia_bits(algorithm, &key, count, 3, Direction::Uplink, &data, bits);
        let their_key = five::KNasInt::from_slice(&key).expect("length");
        let algorithm = other::IntegrityAlgorithm::try_from(code).expect("known");
        let expected =
            other::nia_mac_bits(&their_key, count, bearer, theirs, &data, bits as u64, algorithm);
        prop_assert_eq!(u32::from_be_bytes(mac), expected.expect("within the data"));

        let mut ciphered = data.clone();
        let algorithm = CipheringAlgorithm::try_from(code).expect("known");
        nea_bits(algorithm, &key, count, 3, Direction::Uplink, &mut ciphered, bits);
        let mut expected = data;
        let their_key = five::KNasEnc::from_slice(&key).expect("length");
        let algorithm = other::CipheringAlgorithm::try_from(code).expect("known");
        other::nea_cipher_bits(
            &their_key, count, bearer, theirs, &mut expected, bits as u64, algorithm,
        ).expect("within the data");
        prop_assert_eq!(ciphered, expected);
    }

    #[test]
    fn aka_and_keys(
        k: [u8; 16],
        opc: [u8; 16],
        rand: [u8; 16],
        sqn in 0u64..1 << 48,
        count: u32,
        code in 1u8..4,
        pci in 0u16..1008,
        arfcn in 0u32..3_279_165,
    ) {
        const NETWORK: &str = "5G:mnc001.mcc001.3gppnetwork.org";
        let functions = AuthenticationFunctions::milenage(&k, &opc);
        let sqn = Sqn::new(sqn).expect("48 bits");
        let vector = AuthenticationVector::generate(&functions, sqn, AMF_5G, rand, NETWORK);

        use other::milenage as m;
        let subscriber = m::Milenage::new(&m::K::new(&k), &m::Opc::new(&opc));
        let their_rand = other::Rand::new(&rand);
        let their_sqn = m::Sqn::try_from(sqn.value()).expect("48 bits");
        let av = subscriber.authentication_vector(&their_rand, &their_sqn, &m::Amf::new(&AMF_5G));
        let name = NETWORK.as_bytes();
        assert_eq!(&vector.autn.0, av.autn().as_octets());
        let xres = av.xres_star(name).expect("name");
        assert_eq!(vector.xres_star.as_bytes(), xres.as_octets());
        assert_eq!(
            hres_star(&rand, &vector.xres_star).as_bytes(),
            five::compute_hxres_star(&their_rand, &xres).as_octets()
        );
        let kausf = five::derive_kausf(av.ck(), av.ik(), name, av.autn()).expect("name");
        assert_eq!(vector.k_ausf.as_bytes(), kausf.as_octets());
        let kseaf = five::derive_kseaf(&kausf, name).expect("name");
        let supi = five::Supi::imsi("001010000000001").expect("IMSI");
        let kamf = five::derive_kamf(&kseaf, &supi, &[0, 0]).expect("ABBA");
        let amf_key = k_amf(&k_seaf(&vector.k_ausf, NETWORK), "imsi-001010000000001", &[0, 0]);
        assert_eq!(amf_key.as_bytes(), kamf.as_octets());

        let theirs = other::CipheringAlgorithm::try_from(code).expect("known");
        let mine = CipheringAlgorithm::try_from(code).expect("known");
        assert_eq!(
            nas_ciphering_key(&amf_key, mine).as_bytes(),
            five::derive_knas_enc(&kamf, theirs).as_octets()
        );
        let theirs = other::IntegrityAlgorithm::try_from(code).expect("known");
        let mine = IntegrityAlgorithm::try_from(code).expect("known");
        assert_eq!(
            nas_integrity_key(&amf_key, mine).as_bytes(),
            five::derive_knas_int(&kamf, theirs).as_octets()
        );
        let count = count & 0xff_ffff;
        let their_count = other::NasCount::new(count).expect("24 bits");
        let kgnb = five::derive_kgnb(&kamf, their_count);
        let gnb = gnb_key(&amf_key, count, AccessType::ThreeGpp);
        assert_eq!(gnb.as_bytes(), kgnb.as_octets());
        let nh = next_hop(&amf_key, gnb.as_bytes());
        let their_nh = five::derive_nh(&kamf, &kgnb);
        assert_eq!(nh.as_bytes(), their_nh.as_octets());
        let star = five::derive_kng_ran_star(&their_nh, pci, arfcn).expect("in range");
        let cell = ServingCell { pci, arfcn_dl: arfcn };
        assert_eq!(ng_ran_star(nh.as_bytes(), cell).as_bytes(), star.as_octets());
        assert_eq!(
            amf_key_after_mobility(&amf_key, Direction::Downlink, count).as_bytes(),
            five::derive_kamf_prime_handover(&kamf, their_count).as_octets()
        );
    }

    #[test]
    fn suci(
        profile_b: bool,
        private: [u8; 32],
        ephemeral: [u8; 32],
        digits in "[0-9]{5,10}",
    ) {
        let private = if profile_b {
            HomeNetworkPrivateKey::ProfileB(private)
        } else {
            HomeNetworkPrivateKey::ProfileA(private)
        };
        let Ok(public) = private.public_key() else { return Ok(()) };
        let protection = SuciProtection { hn_key_id: 9, public_key: Some(public) };
        let Ok(output) = protection.conceal_msin(&ephemeral, &digits) else { return Ok(()) };
        let theirs = match &private {
            HomeNetworkPrivateKey::ProfileA(octets) => five::HomeNetworkPrivateKey::profile_a(octets),
            HomeNetworkPrivateKey::ProfileB(octets) => {
                five::HomeNetworkPrivateKey::profile_b(octets).expect("valid")
            }
        };
        let mut identity = vec![0x01, 0x00, 0xf1, 0x10, 0xf0, 0xff, private.scheme().code(), 9];
        identity.extend(&output);
        let suci = five::Suci::from_nas_octets(&identity).expect("a SUCI");
        let supi = suci.deconceal(Some(&theirs)).expect("de-concealed");
        prop_assert_eq!(supi.to_string(), format!("imsi-00101{digits}"));
        let plaintext = private.deconceal(&output).expect("de-concealed");
        prop_assert_eq!(bcd_digits(&plaintext).expect("digits"), digits);
    }
}
