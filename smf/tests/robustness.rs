//! Any bytes, in any state: no panic, and an answer.

use bytes::Bytes;
use proptest::prelude::*;
use tern_sbi::nsmf_pdusession::N2SmInfoType;

use crate::bench::*;

/// Octets that look like a 5GSM message more often than not.
fn n1_octets() -> impl Strategy<Value = Vec<u8>> {
    let headed = (0u8..16, any::<u8>(), 0xc0u8..0xd8, proptest::collection::vec(any::<u8>(), 0..64));
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..64),
        headed.prop_map(|(id, pti, kind, rest)| [vec![0x2e, id, pti, kind], rest].concat()),
    ]
}

fn kinds() -> impl Strategy<Value = N2SmInfoType> {
    prop_oneof![
        Just(N2SmInfoType::PduResSetupRsp),
        Just(N2SmInfoType::PduResSetupFail),
        Just(N2SmInfoType::PduResRelRsp),
        Just(N2SmInfoType::PduResNty),
        Just(N2SmInfoType::PduResNtyRel),
        Just(N2SmInfoType::PduResModRsp),
        Just(N2SmInfoType::PathSwitchReq),
        Just(N2SmInfoType::PathSwitchSetupFail),
        Just(N2SmInfoType::Other("X".to_owned())),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn any_n1_of_a_create_is_answered(octets in n1_octets()) {
        let mut bench = Bench::new();
        let token = bench.create_with(create_data(1), Bytes::from(octets));
        if bench.smf.sessions() == 0 {
            prop_assert!(bench.created(token).is_err());
            bench.nothing();
        }
    }

    #[test]
    fn any_sequence_of_n1_and_n2_leaves_a_session_that_can_be_replaced(
        messages in proptest::collection::vec((n1_octets(), kinds(), any::<bool>()), 1..8),
    ) {
        let mut bench = Bench::new();
        let reference = bench.establish(1);
        for (octets, kind, n1) in messages {
            if n1 {
                bench.send_n1(&reference, Bytes::from(octets));
            } else {
                bench.send_n2(&reference, kind, Bytes::from(octets));
            }
            bench.pass(tern_types::Duration::from_secs(7));
        }
        bench.ignore();
        bench.create(1);
        bench.pass(tern_types::Duration::from_secs(1000));
        prop_assert!(bench.smf.sessions() <= 2);
    }
}
