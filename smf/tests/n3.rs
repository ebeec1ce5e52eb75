//! Versions of IP on N3: TS 38.414 §5.3, TS 38.413 §9.3.2.4, TS 29.244 §8.2.3, §8.2.56.

use std::net::{Ipv4Addr, Ipv6Addr};

use tern_ngap::transfer::{GtpTunnel, SetupRequest};
use tern_pfcp::{
    FTeid, Message, OuterHeaderCreation, SessionEstablishmentRequest, SessionModificationRequest,
};
use tern_sbi::npcf_sm::SmPolicyDecision;

use crate::bench::*;

const V4: Option<Ipv4Addr> = Some(Ipv4Addr::new(10, 0, 0, 18));
const V6: Option<Ipv6Addr> = Some(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x18));
const GNB4: Option<Ipv4Addr> = Some(Ipv4Addr::new(10, 0, 0, 99));
const GNB6: Option<Ipv6Addr> = Some(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x99));

/// A UPF and a gNB with these addresses.
fn bench(
    (ipv4, ipv6): (Option<Ipv4Addr>, Option<Ipv6Addr>),
    gnb: (Option<Ipv4Addr>, Option<Ipv6Addr>),
) -> Bench {
    let mut bench = Bench::new();
    bench.uplink = GtpTunnel { ipv4, ipv6, ..UPLINK };
    bench.downlink = GtpTunnel { ipv4: gnb.0, ipv6: gnb.1, ..DOWNLINK };
    bench
}

/// Until the UE's access network has been told; the context's reference and what it was told.
fn until_transfer(bench: &mut Bench) -> (String, SetupRequest) {
    let token = bench.create(1);
    bench.subscribe(sm_data(subscription()));
    let reference = bench.context_ref(token);
    bench.police(SmPolicyDecision::default());
    bench.install();
    let transfer = bench.transfer();
    bench.register();
    (reference, SetupRequest::decode(&transfer.n2_sm_info.unwrap()).unwrap())
}

fn created(change: &SessionModificationRequest) -> Option<OuterHeaderCreation> {
    change.update_far[0].update_forwarding_parameters.as_ref()?.outer_header_creation
}

#[test]
fn when_upf_and_gnb_have_a_version_of_ip_in_common_then_packets_go_by_it() {
    let teid = DOWNLINK.teid;
    for (upf, gnb, expected) in [
        ((None, V6), (None, GNB6), (None, GNB6)),
        ((V4, V6), (None, GNB6), (None, GNB6)),
        ((V4, V6), (GNB4, None), (GNB4, None)),
        // The UPF takes either.
        ((V4, V6), (GNB4, GNB6), (GNB4, GNB6)),
        ((V4, None), (GNB4, GNB6), (GNB4, None)),
        ((None, V6), (GNB4, GNB6), (None, GNB6)),
    ] {
        let mut bench = bench(upf, gnb);
        let (reference, told) = until_transfer(&mut bench);
        assert_eq!((told.uplink.ipv4, told.uplink.ipv6), upf);
        let answer = bench.setup_response(&reference);
        let header = created(&bench.modified());
        assert_eq!(header, Some(OuterHeaderCreation::gtpu(teid, expected.0, expected.1)), "{upf:?} {gnb:?}");
        assert_eq!(bench.updated(answer).unwrap().status, 200);
    }
}

#[test]
fn when_upf_and_gnb_have_no_version_of_ip_in_common_then_the_session_is_refused() {
    for (upf, gnb) in [((V4, None), (None, GNB6)), ((None, V6), (GNB4, None))] {
        let mut bench = bench(upf, gnb);
        let (reference, _) = until_transfer(&mut bench);
        let answer = bench.setup_response(&reference);
        assert!(bench.updated(answer).unwrap().body.n1_sm_msg.is_some(), "a reject");
        bench.deleted();
    }
}

/// TS 23.527 §4.3.2: with the tunnels that there were.
#[test]
fn when_a_upf_restarts_then_a_session_over_ipv6_is_restored_with_its_tunnels() {
    let mut bench = bench((V4, V6), (None, GNB6));
    bench.establish(1);
    crate::restoration::restarted(&mut bench);
    let (_, _, message) = bench.n4();
    let Message::SessionEstablishmentRequest(request) = message else { panic!("{message:?}") };
    let SessionEstablishmentRequest { create_pdr, create_far, .. } = &request;
    let f_teid = FTeid::Assigned { teid: UPLINK.teid, ipv4: V4, ipv6: V6 };
    assert_eq!(create_pdr[0].pdi.f_teid, Some(f_teid));
    let header = create_far[1].forwarding_parameters.as_ref().and_then(|to| to.outer_header_creation);
    assert_eq!(header, Some(OuterHeaderCreation::gtpu(DOWNLINK.teid, None, GNB6)));
}
