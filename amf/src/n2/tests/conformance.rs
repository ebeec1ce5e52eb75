//! N2 as a whole, over in-memory SCTP.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use tern_nf::{Env, Shutdown, SimNetwork};
use tern_ngap::NgapPduKind as K;
use tern_sctp::LostCause;
use tern_sctp::mem::MemFaults;

use super::super::message::{GnbId, N2Command, N2Event};
use super::super::{Config, Limits, N2Handle, start};
use super::gnb::{CORE, Gnb, Setup, encode, env, initial_ue_message, paused, served};

fn config() -> Config {
    let limits = Limits { associations_per_peer: 2000, ..Limits::default() };
    Config { addresses: vec![CORE], limits, ..Config::default() }
}

fn host(last: u8) -> Vec<IpAddr> {
    vec![IpAddr::from([192, 0, 2, last])]
}

async fn attached(n2: &mut N2Handle) {
    let Some(N2Event::Attached { gnbs, .. }) = n2.events.recv().await else { panic!("not attached") };
    assert_eq!(gnbs, []);
}

#[test]
fn a_gnb_sets_up_and_its_ue_speaks_with_the_amf() {
    paused(async {
        let (env, network) = env();
        network
            .sctp
            .set_faults(MemFaults { loss_per_mille: 100, ..MemFaults::delayed(Duration::from_millis(5)) });
        let (_trigger, shutdown) = Shutdown::new();
        let mut n2 =
            start(&config(), served(), None, &Default::default(), &env, shutdown).await.expect("starts");
        attached(&mut n2).await;
        let host = network.sctp.endpoint(host(11));
        let mut gnb = Gnb::connect(&host, 0).await;
        gnb.send(0, Setup::new(1, 32).request()).await;
        assert_eq!(gnb.receive().await.1.kind(), K::Successful_NGSetup);
        let Some(N2Event::GnbUp(info)) = n2.events.recv().await else { panic!("a gNB") };
        let pdu = initial_ue_message(1);
        gnb.send(3, pdu.clone()).await;
        let expected = N2Event::Ngap { gnb: info.id, stream: 3, pdu: pdu.clone() };
        assert_eq!(n2.events.recv().await, Some(expected));
        n2.commands.send(N2Command::Ngap { gnb: info.id, stream: 3, pdu }).await.expect("sends");
        let (stream, back) = gnb.receive().await;
        assert_eq!((stream, back.kind()), (3, K::Initiating_InitialUEMessage));
        gnb.0.shutdown();
        assert_eq!(n2.events.recv().await, Some(N2Event::GnbDown(info.id)));
    });
}

#[test]
fn when_a_gnb_restarts_then_it_is_down_and_up_again() {
    paused(async {
        let (env, network) = env();
        let (_trigger, shutdown) = Shutdown::new();
        let mut n2 =
            start(&config(), served(), None, &Default::default(), &env, shutdown).await.expect("starts");
        attached(&mut n2).await;
        let host = network.sctp.endpoint(host(11));
        for round in 0..3 {
            let mut gnb = Gnb::connect(&host, 9487).await;
            if round > 0 {
                assert!(matches!(n2.events.recv().await, Some(N2Event::GnbDown(_))));
            }
            gnb.send(0, Setup::new(1, 32).request()).await;
            assert_eq!(gnb.receive().await.1.kind(), K::Successful_NGSetup);
            assert!(matches!(n2.events.recv().await, Some(N2Event::GnbUp(_))));
            host.crash();
        }
    });
}

#[test]
fn when_a_gnb_opens_a_thousand_associations_then_others_are_served() {
    paused(async {
        let (env, network) = env();
        let limits = Limits { associations_per_peer: 64, setup_wait_s: 30, ..Limits::default() };
        let (_trigger, shutdown) = Shutdown::new();
        let config = Config { limits, ..config() };
        let mut n2 =
            start(&config, served(), None, &Default::default(), &env, shutdown).await.expect("starts");
        attached(&mut n2).await;
        let flooder = network.sctp.endpoint(host(66));
        let mut open = Vec::new();
        let mut refused = 0;
        for _ in 0..1000 {
            let options = tern_sctp::ConnectOptions::new(vec![(CORE, tern_ngap::PORT).into()]);
            match tern_sctp::SctpBackend::connect(&*flooder, options).await {
                Ok(association) => open.push(association),
                Err(_) => refused += 1,
            }
        }
        assert_eq!((open.len(), refused), (64, 936));
        assert_eq!(env.sctp.counters().refused_peer_limit.get(), 936);
        let honest = network.sctp.endpoint(host(11));
        let mut gnb = Gnb::connect(&honest, 0).await;
        gnb.send(0, Setup::new(1, 32).request()).await;
        assert_eq!(gnb.receive().await.1.kind(), K::Successful_NGSetup);
        // None of them sets up NG: they are aborted in the end.
        for association in open {
            assert_eq!(Gnb(association).lost().await, LostCause::AbortedByPeer);
        }
        assert_eq!(env.counters.get("n2.no_setup"), 64);
    });
}

#[test]
fn a_thousand_gnbs_set_up() {
    paused(async {
        let (env, network) = env();
        let (_trigger, shutdown) = Shutdown::new();
        let mut n2 =
            start(&config(), served(), None, &Default::default(), &env, shutdown).await.expect("starts");
        attached(&mut n2).await;
        let host = network.sctp.endpoint(host(11));
        let mut gnbs = Vec::new();
        for number in 0..1000 {
            let mut gnb = Gnb::connect(&host, 0).await;
            gnb.send(0, Setup::new(number, 32).request()).await;
            assert_eq!(gnb.receive().await.1.kind(), K::Successful_NGSetup);
            assert!(matches!(n2.events.recv().await, Some(N2Event::GnbUp(_))));
            gnbs.push(gnb);
        }
    });
}

/// The AMF takes nothing; a gNB floods. Nothing grows, nothing is lost, commands still pass.
#[test]
fn when_the_amf_is_behind_then_gnbs_wait() {
    paused(async {
        const FLOOD: u32 = 20_000;
        let (env, network) = env();
        let (_trigger, shutdown) = Shutdown::new();
        let mut n2 =
            start(&config(), served(), None, &Default::default(), &env, shutdown).await.expect("starts");
        attached(&mut n2).await;
        let host = network.sctp.endpoint(host(11));
        let mut gnb = Gnb::connect(&host, 0).await;
        gnb.send(0, Setup::new(1, 32).request()).await;
        gnb.receive().await;
        let Some(N2Event::GnbUp(info)) = n2.events.recv().await else { panic!("a gNB") };
        let sender = gnb.0.sender();
        let flood = tokio::spawn(async move {
            for number in 0..FLOOD {
                let pdu = initial_ue_message(number);
                sender.send(pdu, 1, tern_ngap::PPID, false).await.expect("send");
            }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        for _ in 0..5000 {
            let pdu = initial_ue_message(0);
            let command = N2Command::Ngap { gnb: info.id, stream: 2, pdu };
            n2.commands.send(command).await.expect("sends");
        }
        for number in 0..FLOOD {
            let expected = N2Event::Ngap { gnb: info.id, stream: 1, pdu: initial_ue_message(number) };
            assert_eq!(n2.events.recv().await, Some(expected));
        }
        flood.await.expect("sent");
        for _ in 0..5000 {
            assert_eq!(gnb.receive().await.0, 2);
        }
    });
}

/// What may wait for the gNB of [`with_small_buffers`], in the stack and before it.
const SEND_OCTETS: usize = 65_536;

/// N2, and a gNB that has set up and for which little may wait.
async fn with_small_buffers(env: &Env, network: &SimNetwork, shutdown: Shutdown) -> (N2Handle, Gnb, GnbId) {
    let limits = Limits { send_octets: SEND_OCTETS, ..config().limits };
    let mut n2 = start(&Config { limits, ..config() }, served(), None, &Default::default(), env, shutdown)
        .await
        .expect("starts");
    attached(&mut n2).await;
    let host = network.sctp.endpoint(host(11));
    let mut gnb = Gnb::connect(&host, 0).await;
    gnb.send(0, Setup::new(1, 32).request()).await;
    let Some(N2Event::GnbUp(info)) = n2.events.recv().await else { panic!("a gNB") };
    assert_eq!(gnb.receive().await.1.kind(), K::Successful_NGSetup);
    (n2, gnb, info.id)
}

#[test]
fn when_a_burst_is_more_than_the_stack_takes_then_the_rest_waits_in_order() {
    paused(async {
        let (env, network) = env();
        let (_trigger, shutdown) = Shutdown::new();
        let (n2, mut gnb, id) = with_small_buffers(&env, &network, shutdown).await;
        let burst: Vec<Bytes> = (0..1500).map(initial_ue_message).collect();
        let octets: usize = burst.iter().map(Bytes::len).sum();
        assert!((SEND_OCTETS..2 * SEND_OCTETS).contains(&octets), "{octets} octets");
        for pdu in &burst {
            let command = N2Command::Ngap { gnb: id, stream: 1, pdu: pdu.clone() };
            n2.commands.send(command).await.expect("sends");
        }
        for pdu in burst {
            let (stream, received) = gnb.receive().await;
            assert_eq!((stream, encode(&received)), (1, pdu));
        }
        assert_eq!(env.counters.get("n2.send_failed"), 0);
    });
}

#[test]
fn when_a_gnb_does_not_read_then_it_is_aborted_and_nobody_else() {
    paused(async {
        let (env, network) = env();
        let (_trigger, shutdown) = Shutdown::new();
        let (mut n2, mut gnb, id) = with_small_buffers(&env, &network, shutdown).await;
        for _ in 0..20 {
            let command = N2Command::Ngap { gnb: id, stream: 1, pdu: Bytes::from(vec![0; 60_000]) };
            n2.commands.send(command).await.expect("sends");
        }
        assert_eq!(n2.events.recv().await, Some(N2Event::GnbDown(id)));
        assert_eq!(env.counters.get("n2.send_failed"), 1);
        assert_eq!(gnb.lost().await, LostCause::AbortedByPeer);
    });
}

#[test]
fn when_garbage_comes_then_the_association_ends_and_n2_goes_on() {
    paused(async {
        let (env, network) = env();
        let (_trigger, shutdown) = Shutdown::new();
        let mut n2 =
            start(&config(), served(), None, &Default::default(), &env, shutdown).await.expect("starts");
        attached(&mut n2).await;
        let host = network.sctp.endpoint(host(11));
        let mut gnb = Gnb::connect(&host, 0).await;
        for _ in 0..65 {
            gnb.send(0, Bytes::from(vec![0xaa; 200])).await;
        }
        assert_eq!(gnb.lost().await, LostCause::AbortedByPeer);
        let mut gnb = Gnb::connect(&host, 0).await;
        gnb.send(0, Setup::new(1, 32).request()).await;
        assert_eq!(gnb.receive().await.1.kind(), K::Successful_NGSetup);
    });
}

#[test]
fn when_n2_stops_then_associations_end_in_order() {
    paused(async {
        let (env, network) = env();
        let (trigger, shutdown) = Shutdown::new();
        let mut n2 =
            start(&config(), served(), None, &Default::default(), &env, shutdown).await.expect("starts");
        attached(&mut n2).await;
        let host = network.sctp.endpoint(host(11));
        let mut gnb = Gnb::connect(&host, 0).await;
        gnb.send(0, Setup::new(1, 32).request()).await;
        gnb.receive().await;
        trigger.shut_down();
        assert_eq!(gnb.lost().await, LostCause::Shutdown);
    });
}
