//! `tern n2` and the AMF, apart from one another: each may go and come.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tern_nf::{Env, Shutdown, SimNetwork, Trigger};
use tern_ngap::NgapPduKind as K;
use tokio::task::JoinHandle;

use super::super::message::{N2Command, N2Event, Place};
use super::super::{Config, N2Handle, run, start};
use super::gnb::{CORE, Gnb, Setup, env, initial_ue_message, served};

/// A local socket's path of this test alone.
fn path() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("tern-n2-{}-{number}.sock", std::process::id()))
}

struct Apart {
    config: Config,
    env: Env,
    network: SimNetwork,
}

impl Apart {
    fn new() -> Self {
        let (mut env, network) = env();
        env.locals = tern_nf::Locals::Kernel;
        let config = Config { addresses: vec![CORE], bridge: Some(path()), ..Config::default() };
        Self { config, env, network }
    }

    async fn n2(&self) -> (Trigger, JoinHandle<anyhow::Result<()>>) {
        let (trigger, shutdown) = Shutdown::new();
        let mut env = self.env.clone();
        env.readiness = tern_nf::Ready::default();
        let ready = env.readiness.clone();
        let running = tokio::spawn(run(self.config.clone(), env, shutdown));
        ready.wait().await;
        (trigger, running)
    }

    async fn amf(&self) -> (Trigger, N2Handle) {
        self.amf_after(None).await
    }

    /// One that goes on where another one was lost.
    async fn amf_after(&self, heard: Option<Place>) -> (Trigger, N2Handle) {
        let (trigger, shutdown) = Shutdown::new();
        (
            trigger,
            start(&self.config, served(), heard, &Default::default(), &self.env, shutdown)
                .await
                .expect("starts"),
        )
    }

    /// Connects once N2 listens, which needs an AMF.
    async fn gnb(&self, number: u32) -> Gnb {
        let host = self.network.sctp.endpoint(vec![IpAddr::from([192, 0, 2, 11])]);
        let options = tern_sctp::ConnectOptions::new(vec![(CORE, tern_ngap::PORT).into()]);
        let association = loop {
            match tern_sctp::SctpBackend::connect(&*host, options.clone()).await {
                Ok(association) => break association,
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        };
        let mut gnb = Gnb(association);
        gnb.send(0, Setup::new(number, 32).request()).await;
        assert_eq!(gnb.receive().await.1.kind(), K::Successful_NGSetup);
        gnb
    }
}

async fn event(n2: &mut N2Handle) -> N2Event {
    tokio::time::timeout(Duration::from_secs(20), n2.events.recv()).await.expect("in time").expect("an event")
}

/// The first event: no gNB is there. Where the AMF goes on.
async fn attached(n2: &mut N2Handle) -> Place {
    let N2Event::Attached { gnbs, heard, .. } = event(n2).await else { panic!("not attached") };
    assert_eq!(gnbs, []);
    heard
}

/// Real time: local sockets are the kernel's.
fn real(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("runtime").block_on(test);
}

#[test]
fn when_the_amf_dies_then_n2_keeps_the_gnbs_and_tells_the_next_amf() {
    real(async {
        let it = Apart::new();
        let (_n2, _running) = it.n2().await;
        let (first_trigger, mut first) = it.amf().await;
        attached(&mut first).await;
        let mut gnb = it.gnb(1).await;
        let N2Event::GnbUp(info) = event(&mut first).await else { panic!("a gNB") };
        drop((first_trigger, first));
        let another = it.gnb(2).await;
        let (_trigger, mut second) = it.amf().await;
        let N2Event::Attached { gnbs, .. } = event(&mut second).await else { panic!("attached") };
        assert_eq!(gnbs.len(), 2);
        assert_eq!(gnbs[0], info);
        let pdu = initial_ue_message(4);
        gnb.send(2, pdu.clone()).await;
        assert_eq!(event(&mut second).await, N2Event::Ngap { gnb: info.id, stream: 2, pdu: pdu.clone() });
        second.commands.send(N2Command::Ngap { gnb: info.id, stream: 2, pdu }).await.expect("sends");
        assert_eq!(gnb.receive().await.0, 2);
        drop(another);
        assert!(matches!(event(&mut second).await, N2Event::GnbDown(id) if id == gnbs[1].id));
    });
}

/// What it had read and not done, what was on its way, and what came while it was away.
#[test]
fn when_the_amf_dies_then_the_next_one_hears_what_it_has_not_and_says_what_it_has_said() {
    real(async {
        let it = Apart::new();
        let (_n2, _running) = it.n2().await;
        let (first_trigger, mut first) = it.amf().await;
        let mut heard = attached(&mut first).await;
        let mut gnb = it.gnb(1).await;
        let N2Event::GnbUp(info) = event(&mut first).await else { panic!("a gNB") };
        heard.number += 1;
        let message = |ran_id| N2Event::Ngap { gnb: info.id, stream: 1, pdu: initial_ue_message(ran_id) };
        for ran_id in 1..=3 {
            gnb.send(1, initial_ue_message(ran_id)).await;
        }
        for ran_id in 1..=2 {
            assert_eq!(event(&mut first).await, message(ran_id));
        }
        heard.number += 1;
        // It dies behind the first of them, with an answer on its way.
        let pdu = initial_ue_message(9);
        first.commands.send(N2Command::Ngap { gnb: info.id, stream: 1, pdu }).await.expect("sends");
        assert_eq!(gnb.receive().await.0, 1);
        drop((first_trigger, first));
        gnb.send(1, initial_ue_message(4)).await;
        let (_trigger, mut second) = it.amf_after(Some(heard)).await;
        let N2Event::Attached { gnbs, heard: from, .. } = event(&mut second).await else {
            panic!("attached")
        };
        assert_eq!((gnbs, from), (vec![info.clone()], heard));
        for ran_id in 2..=4 {
            assert_eq!(event(&mut second).await, message(ran_id));
        }
    });
}

#[test]
fn when_n2_dies_then_the_amf_is_told_and_finds_the_next_one() {
    real(async {
        let it = Apart::new();
        let (_trigger, mut amf) = it.amf().await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        let (n2, running) = it.n2().await;
        attached(&mut amf).await;
        let _gnb = it.gnb(1).await;
        assert!(matches!(event(&mut amf).await, N2Event::GnbUp(_)));
        n2.shut_down();
        running.await.expect("ends").expect("well");
        // Its gNB may be told gone before.
        while event(&mut amf).await != N2Event::Detached {}
        amf.commands
            .send(N2Command::Abort { gnb: super::super::message::GnbId(0) })
            .await
            .expect("to nobody");
        let (_n2, _running) = it.n2().await;
        attached(&mut amf).await;
        let _gnb = it.gnb(1).await;
        assert!(matches!(event(&mut amf).await, N2Event::GnbUp(_)));
    });
}

#[test]
fn when_a_second_amf_comes_then_it_waits_for_the_end_of_the_first() {
    real(async {
        let it = Apart::new();
        let (_n2, _running) = it.n2().await;
        let (trigger, mut first) = it.amf().await;
        event(&mut first).await;
        let (_second_trigger, mut second) = it.amf().await;
        let waiting = tokio::time::timeout(Duration::from_millis(300), second.events.recv());
        assert!(waiting.await.is_err(), "nothing while the first is there");
        drop((trigger, first));
        attached(&mut second).await;
    });
}

#[test]
fn when_n2_runs_already_then_another_is_refused() {
    real(async {
        let it = Apart::new();
        let (_n2, _running) = it.n2().await;
        let (_trigger, shutdown) = Shutdown::new();
        let second = run(it.config.clone(), it.env.clone(), shutdown).await;
        assert!(second.is_err_and(|error| format!("{error:#}").contains("bridge")));
    });
}
