//! Any bytes: no panic, and what decodes survives another round.

use proptest::prelude::*;
use tern_pfcp::Frame;

use crate::vectors;

fn round(bytes: &[u8]) {
    if let Ok(frame) = Frame::decode(bytes) {
        let written = frame.encode().expect("no longer than it was, give or take labels");
        let again = Frame::decode(&written).expect("our own bytes");
        assert_eq!(again.encode().expect("encodes"), written);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_are_refused_or_understood(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        round(&bytes);
    }

    #[test]
    fn any_body_of_a_known_message_is_refused_or_understood(
        kind in prop_oneof![1u8..14, 50u8..58],
        body in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let session = kind >= 50;
        let header = if session { 12 } else { 4 };
        let length = (body.len() + header) as u16;
        let mut bytes = vec![0x20 | u8::from(session), kind];
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.resize(4 + header, 0);
        bytes.extend_from_slice(&body);
        round(&bytes);
    }

    #[test]
    fn a_damaged_message_is_refused_or_understood(
        index in any::<proptest::sample::Index>(),
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<Option<proptest::sample::Index>>(),
    ) {
        let all: Vec<_> = vectors::all().collect();
        let mut bytes = index.get(&all).1.clone();
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        round(&bytes);
    }
}
