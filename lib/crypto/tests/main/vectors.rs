//! Test data of TS 33.401 annex C, TS 35.208, TS 35.218, TS 35.223, TS 35.233.

use crate::{hex, hex_n};
use tern_crypto::{
    CipheringAlgorithm, Direction, IntegrityAlgorithm, Milenage, Sqn, SubscriberKey, Tuak, TuakParameters,
    nea, nea_bits, nia, nia_bits, nia_verify,
};

fn rows(text: &str) -> Vec<Vec<&str>> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split(' ').collect()).collect()
}

struct Inputs {
    key: [u8; 16],
    count: u32,
    bearer: u8,
    direction: Direction,
    bits: usize,
}

fn inputs(row: &[&str]) -> Inputs {
    Inputs {
        key: hex_n(row[2]),
        count: u32::from_be_bytes(hex_n(row[3])),
        bearer: hex(row[4])[0],
        direction: if row[5] == "1" { Direction::Downlink } else { Direction::Uplink },
        bits: row[6].parse().expect("number"),
    }
}

#[test]
fn ciphering() {
    let rows = rows(include_str!("vectors/nea.txt"));
    assert_eq!(rows.len(), 17);
    for row in rows {
        let i = inputs(&row);
        let algorithm: CipheringAlgorithm = row[0].to_uppercase().parse().expect("algorithm");
        let (plaintext, ciphertext) = (hex(row[7]), hex(row[8]));
        // The data gives the bits after the message as zeros in both texts.
        let mut data = plaintext.clone();
        nea_bits(algorithm, &i.key, i.count, i.bearer, i.direction, &mut data, i.bits);
        assert_eq!(data, ciphertext, "{} set {}", row[0], row[1]);
        nea_bits(algorithm, &i.key, i.count, i.bearer, i.direction, &mut data, i.bits);
        assert_eq!(data, plaintext, "{} set {}", row[0], row[1]);
        // Whole octets by the function of octets.
        let whole = i.bits / 8;
        nea(algorithm, &i.key, i.count, i.bearer, i.direction, &mut data[..whole]);
        assert_eq!(data[..whole], ciphertext[..whole], "{} set {}", row[0], row[1]);
    }
}

#[test]
fn integrity() {
    let rows = rows(include_str!("vectors/nia.txt"));
    assert_eq!(rows.len(), 19);
    for row in rows {
        let i = inputs(&row);
        let algorithm: IntegrityAlgorithm = row[0].to_uppercase().parse().expect("algorithm");
        let (message, mac) = (hex(row[7]), hex_n(row[8]));
        let got = nia_bits(algorithm, &i.key, i.count, i.bearer, i.direction, &message, i.bits);
        assert_eq!(got, mac, "{} set {}", row[0], row[1]);
        if i.bits.is_multiple_of(8) {
            let message = &message[..i.bits / 8];
            let got = nia(algorithm, &i.key, i.count, i.bearer, i.direction, message);
            assert_eq!(got, mac, "{} set {}", row[0], row[1]);
            let verify =
                |count, mac| nia_verify(algorithm, &i.key, count, i.bearer, i.direction, message, mac);
            assert!(verify(i.count, mac));
            assert!(!verify(i.count + 1, mac));
            assert!(!verify(i.count, [mac[0], mac[1], mac[2], mac[3] ^ 1]));
        }
    }
}

#[test]
fn null_algorithms_change_nothing() {
    let (key, mut data) = ([7; 16], *b"in clear");
    nea(CipheringAlgorithm::Nea0, &key, 1, 1, Direction::Uplink, &mut data);
    assert_eq!(&data, b"in clear");
    assert_eq!(nia(IntegrityAlgorithm::Nia0, &key, 1, 1, Direction::Uplink, &data), [0; 4]);
}

#[test]
fn milenage() {
    let rows = rows(include_str!("vectors/milenage.txt"));
    assert_eq!(rows.len(), 20);
    for row in rows {
        let set = row[0];
        let (k, rand, op) = (hex_n(row[1]), hex_n(row[2]), hex_n(row[5]));
        let (sqn, amf) = (Sqn::from_bytes(hex_n(row[3])), hex_n(row[4]));
        let milenage = Milenage::from_op(&k, &op);
        assert_eq!(Milenage::opc(&k, &op), hex_n(row[6]), "OPc of set {set}");
        assert_eq!(milenage.f1(&rand, sqn, amf), hex_n(row[7]), "f1 of set {set}");
        assert_eq!(milenage.f1_star(&rand, sqn, amf), hex_n(row[8]), "f1* of set {set}");
        let f2345 = milenage.f2345(&rand);
        assert_eq!(*f2345.res, hex(row[9]), "f2 of set {set}");
        assert_eq!(f2345.ak, hex_n(row[10]), "f5 of set {set}");
        assert_eq!(f2345.ck.as_bytes(), &hex_n(row[11]), "f3 of set {set}");
        assert_eq!(f2345.ik.as_bytes(), &hex_n(row[12]), "f4 of set {set}");
        assert_eq!(milenage.f5_star(&rand), hex_n(row[13]), "f5* of set {set}");
    }
}

#[test]
fn tuak() {
    let rows = rows(include_str!("vectors/tuak.txt"));
    assert_eq!(rows.len(), 6);
    for row in rows {
        let set = row[0];
        let k = SubscriberKey::from_slice(&hex(row[2])).expect("length of K");
        let (rand, amf) = (hex_n(row[5]), hex_n(row[7]));
        let sqn = Sqn::from_bytes(hex_n(row[6]));
        let parameters = TuakParameters {
            mac: row[8].len() / 2,
            res: row[10].len() / 2,
            ck: row[11].len() / 2,
            ik: row[12].len() / 2,
            iterations: row[1].parse().expect("number"),
        };
        let tuak = Tuak::from_top(k, hex_n(row[3]), parameters).expect("valid parameters");
        assert_eq!(tuak.topc(), &hex_n(row[4]), "TOPc of set {set}");
        assert_eq!(tuak.f1(&rand, sqn, amf), hex(row[8]), "f1 of set {set}");
        assert_eq!(tuak.f1_star(&rand, sqn, amf), hex(row[9]), "f1* of set {set}");
        let [res, ck, ik, ak] = tuak.f2345_octets(&rand);
        assert_eq!(*res, hex(row[10]), "f2 of set {set}");
        assert_eq!(*ck, hex(row[11]), "f3 of set {set}");
        assert_eq!(*ik, hex(row[12]), "f4 of set {set}");
        assert_eq!(*ak, hex(row[13]), "f5 of set {set}");
        assert_eq!(tuak.f5_star(&rand), hex_n(row[14]), "f5* of set {set}");
    }
}
