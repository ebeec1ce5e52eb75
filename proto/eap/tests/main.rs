//! Packets both ways, what is malformed, and any octets at all.

use proptest::prelude::*;
use tern_crypto::KAut;
use tern_eap::*;

const NETWORK: &str = "5G:mnc001.mcc001.3gppnetwork.org";

fn k_aut() -> KAut {
    KAut::from([7; 32])
}

fn challenge() -> Packet {
    let attributes = Attributes {
        rand: Some([1; 16]),
        autn: Some([2; 16]),
        kdfs: vec![KDF_CK_PRIME],
        network_name: Some(NETWORK.into()),
        ..Attributes::default()
    };
    Packet::aka_prime(Code::Request, 5, Subtype::Challenge, attributes)
}

fn response(res: &[u8]) -> Packet {
    let attributes = Attributes { res: Some(res.to_vec()), ..Attributes::default() };
    Packet::aka_prime(Code::Response, 5, Subtype::Challenge, attributes)
}

fn body(packet: &Packet) -> &AkaPrime {
    match &packet.body {
        Body::AkaPrime(body) => body,
        other => panic!("{other:?}"),
    }
}

/// A packet of EAP-AKA' with these attributes.
fn raw(attributes: &[u8]) -> Vec<u8> {
    let mut octets = vec![2, 5, 0, 8 + attributes.len() as u8, 50, 1, 0, 0];
    octets.extend(attributes);
    octets
}

/// RFC 4187 §9.3, RFC 9048 §3.
#[test]
fn a_challenge_has_the_octets_of_the_specification() {
    let octets = challenge().encode(Some(&k_aut()));
    let name = hex::encode(NETWORK);
    let expected = format!(
        "0105006c320100000105{zeros}{rand}0205{zeros}{autn}1801000117090020{name}0b05{zeros}",
        zeros = "0000",
        rand = "01".repeat(16),
        autn = "02".repeat(16)
    );
    assert_eq!(hex::encode(&octets[..octets.len() - 16]), expected);
    let read = Packet::decode(&octets).unwrap();
    assert_eq!(body(&read).attributes, body(&challenge()).attributes);
    assert!(read.is_authentic(&octets, &k_aut()));
}

/// The MAC is that of HMAC-SHA-256 of another library, cut to 128 bits.
#[test]
fn a_mac_is_the_one_of_an_independent_implementation() {
    let octets = response(&[0x28; 8]).encode(Some(&k_aut()));
    let (packet, mac) = octets.split_at(octets.len() - 16);
    assert_eq!(hex::encode(packet), "02050028320100000303004028282828282828280b050000");
    assert_eq!(hex::encode(mac), "3a7d17293f326d91a25e10fc86f7ef13");
}

#[test]
fn when_any_octet_is_changed_then_the_packet_is_not_authentic() {
    for packet in [challenge(), response(&[3; 8])] {
        let octets = packet.encode(Some(&k_aut()));
        assert!(!Packet::decode(&octets).unwrap().is_authentic(&octets, &KAut::from([8; 32])));
        for at in 0..octets.len() {
            let mut changed = octets.clone();
            changed[at] ^= 1;
            let authentic = Packet::decode(&changed).is_ok_and(|read| read.is_authentic(&changed, &k_aut()));
            assert!(!authentic, "octet {at}");
        }
    }
    let bare = challenge().encode(None);
    assert!(!Packet::decode(&bare).unwrap().is_authentic(&bare, &k_aut()));
}

#[test]
fn each_packet_is_read_as_it_was_written() {
    let aka = |subtype, attributes| Packet::aka_prime(Code::Response, 9, subtype, attributes);
    let with = |change: fn(&mut Attributes)| {
        let mut attributes = Attributes::default();
        change(&mut attributes);
        attributes
    };
    let packets = [
        Packet::result(Code::Success, 1),
        Packet::result(Code::Failure, 255),
        Packet { code: Code::Response, identifier: 3, body: Body::Nak },
        Packet { code: Code::Request, identifier: 3, body: Body::Other(13) },
        challenge(),
        response(&[1, 2, 3, 4]),
        response(&[9; 16]),
        response(&[9; 7]),
        aka(Subtype::AuthenticationReject, Attributes::default()),
        aka(Subtype::SynchronizationFailure, with(|a| a.auts = Some([4; 14]))),
        aka(Subtype::ClientError, with(|a| a.client_error = Some(UNABLE_TO_PROCESS))),
        aka(Subtype::Notification, with(|a| a.notification = Some(GENERAL_FAILURE))),
        aka(Subtype::Challenge, with(|a| a.kdfs = vec![1, 2, 1])),
        aka(Subtype::Identity, Attributes::default()),
        aka(Subtype::Reauthentication, Attributes::default()),
    ];
    for packet in packets {
        let octets = packet.encode(None);
        assert_eq!(Packet::decode(&octets).unwrap(), packet);
        assert_eq!(header(&octets).unwrap(), (packet.code, packet.identifier));
    }
}

#[test]
fn what_is_malformed_is_named_with_its_place() {
    let at = |kind| DecodeError::Attribute { kind, offset: 8 };
    let sixteen = [0; 16];
    let res = |bits: u8, octets: &[u8]| [&[3, 1 + octets.len() as u8 / 4, 0, bits], octets].concat();
    let cases: [(Vec<u8>, DecodeError); 20] = [
        (vec![1], at(1)),
        (vec![1, 0], at(1)),
        (vec![1, 0, 0, 0], at(1)),
        (vec![1, 5, 0, 0], at(1)),
        ([&[1, 4, 0, 0], &sixteen[..12]].concat(), at(1)),
        ([&[2, 6, 0, 0], &sixteen[..], &[0; 4]].concat(), at(2)),
        ([&[4, 5, 0, 0], &sixteen[..]].concat(), at(4)),
        ([&[11, 6, 0, 0], &sixteen[..], &[0; 4]].concat(), at(11)),
        (res(60, &sixteen[..8]), at(3)),
        (res(24, &sixteen[..4]), at(3)),
        (res(64, &sixteen[..12]), at(3)),
        (res(64, &sixteen[..4]), at(3)),
        (res(136, &[0; 20]), at(3)),
        (vec![23, 1, 0, 0], at(23)),
        (vec![23, 2, 0, 5, 65, 65, 65, 65], at(23)),
        (vec![23, 2, 0, 2, 0xff, 0xfe, 0, 0], at(23)),
        (vec![24, 2, 0, 1, 0, 0, 0, 0], at(24)),
        (vec![14, 2, 0, 1, 65, 0, 0, 0], DecodeError::Unrecognized(14)),
        (vec![22, 1, 0, 0, 22, 1, 0, 0], DecodeError::Repeated(22)),
        (vec![200, 1, 0, 0, 200, 1, 0, 0], DecodeError::Repeated(200)),
    ];
    for (attributes, error) in cases {
        assert_eq!(Packet::decode(&raw(&attributes)), Err(error), "{attributes:?}");
    }
    let many = [24, 1, 0, 1].repeat(KDFS_MAX + 1);
    let offset = 8 + 4 * KDFS_MAX;
    assert_eq!(Packet::decode(&raw(&many)), Err(DecodeError::Attribute { kind: 24, offset }));
    // What may be skipped is (RFC 4187 §8.1).
    assert!(Packet::decode(&raw(&[135, 1, 0, 0, 3, 2, 0, 32, 1, 2, 3, 4])).is_ok());
}

#[test]
fn when_the_header_is_wrong_then_nothing_is_read() {
    let length = |octets, length| DecodeError::Length { octets, length };
    for (octets, error) in [
        (&[][..], length(0, 0)),
        (&[1, 2, 0], length(3, 0)),
        (&[1, 2, 0, 4], length(4, 4)),
        (&[3, 2, 0, 5, 50], length(5, 5)),
        (&[2, 2, 0, 6, 3], length(5, 6)),
        (&[2, 2, 0, 4, 3], length(5, 4)),
        (&[5, 2, 0, 5, 3], DecodeError::Code(5)),
        (&[1, 2, 0, 5, 50], length(5, 8)),
        (&[1, 2, 0, 7, 50, 1, 0], length(7, 8)),
        (&[1, 2, 0, 8, 50, 3, 0, 0], DecodeError::Subtype(3)),
    ] {
        assert_eq!(Packet::decode(octets), Err(error), "{octets:?}");
    }
    let mut long = vec![2, 1, 6, 0, 3];
    long.resize(0x600, 0);
    assert_eq!(header(&long), Err(length(0x600, 0x600)));
}

#[test]
fn debug_shows_no_res() {
    assert!(!format!("{:?}", response(&[0xab; 8])).contains("171"));
}

proptest! {
    #[test]
    fn any_octets_give_a_packet_or_an_error(octets in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Packet::decode(&octets);
    }

    #[test]
    fn changed_packets_give_a_packet_or_an_error(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
        whole in any::<bool>(),
        of_server in any::<bool>(),
    ) {
        let packet = if of_server { challenge() } else { response(&[3; 8]) };
        let mut octets = packet.encode(Some(&k_aut()));
        for (at, value) in changes {
            let at = at.index(octets.len());
            octets[at] = value;
        }
        if !whole {
            octets.truncate(cut.index(octets.len()) + 1);
            if let Some(length) = octets.get(2..4).map(|_| octets.len() as u16) {
                octets[2..4].copy_from_slice(&length.to_be_bytes());
            }
        }
        if let Ok(read) = Packet::decode(&octets) {
            let again = read.encode(None);
            prop_assert!(again.len() <= octets.len().max(6));
            let _ = read.is_authentic(&octets, &k_aut());
            // What was read is written as something that reads as the same.
            if let (Ok(Packet { body: Body::AkaPrime(second), .. }), Body::AkaPrime(first)) = (Packet::decode(&again), &read.body) {
                prop_assert_eq!(&second.attributes, &first.attributes);
            }
        }
    }
}
