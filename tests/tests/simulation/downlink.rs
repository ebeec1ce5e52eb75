//! Downlink data for idle UEs, where the UPF has no data path: what its N4 would say of packets that wait,
//! and what the SMF makes of them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tern_datagrams::{Datagram, Datagrams as _};
use tern_pfcp::{
    ApplyAction, DownlinkDataReport, Frame, Message, PdrId, PfcpSmReqFlags, ReportType, SessionReportRequest,
};

use super::Simulation;

/// Where a report comes from, beside the UPF's own port.
const PORT: u16 = 9805;

/// The UPF's half of one session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Half {
    /// What becomes of downlink packets.
    pub action: Option<ApplyAction>,
    /// How often waiting packets were to be dropped.
    pub dropped: u32,
}

#[derive(Default)]
struct Seen {
    /// By the SMF's SEID, in the order in which they were established.
    sessions: Vec<u64>,
    /// The SMF's SEID, by ours.
    by_seid: BTreeMap<u64, u64>,
    halves: BTreeMap<u64, Half>,
}

/// Looks at N4, and speaks on it.
pub struct Downlink {
    seen: Arc<Mutex<Seen>>,
    endpoint: Arc<dyn Datagram>,
    smf: SocketAddr,
    sequence: u32,
}

impl Downlink {
    /// Looks at N4 from now on.
    pub async fn watch(sim: &Simulation) -> Self {
        let upf = SocketAddr::new(sim.setup.upf.n4.address, PORT);
        let smf = SocketAddr::new(sim.setup.smf.n4.address, sim.setup.smf.n4.port);
        let endpoint = sim.network.datagrams.bind(upf).await.expect("a free port");
        let seen = Arc::<Mutex<Seen>>::default();
        let looked = Arc::clone(&seen);
        sim.on_datagram(move |_, _, data| {
            if let Ok(frame) = Frame::decode(data) {
                lock(&looked).note(&frame);
            }
            true
        });
        Self { seen, endpoint, smf, sequence: 1 }
    }

    /// Sessions that were established so far.
    pub fn sessions(&self) -> usize {
        lock(&self.seen).sessions.len()
    }

    /// The UPF's half of the session that was established as this one.
    pub fn half(&self, number: usize) -> Half {
        let seen = lock(&self.seen);
        let seid = seen.sessions.get(number).expect("an established session");
        seen.halves.get(seid).copied().unwrap_or_default()
    }

    /// A first packet waits for the UE: the UPF tells (TS 29.244 §7.5.8.1).
    pub async fn packet_waits(&mut self, number: usize) {
        let seid = *lock(&self.seen).sessions.get(number).expect("an established session");
        let report = DownlinkDataReport { pdr_ids: vec![PdrId(2)], ..DownlinkDataReport::default() };
        let message = SessionReportRequest {
            report_type: ReportType::DLDR,
            downlink_data_report: Some(report),
            ..SessionReportRequest::default()
        };
        self.sequence += 1;
        let frame = Frame::session(seid, self.sequence, message.into());
        let octets = frame.encode().expect("a report");
        self.endpoint.send_to(&octets, self.smf).await.expect("sent");
    }
}

impl Seen {
    fn note(&mut self, frame: &Frame) {
        match &frame.message {
            Message::SessionEstablishmentRequest(request) => {
                let seid = request.cp_f_seid.seid;
                if !self.sessions.contains(&seid) {
                    self.sessions.push(seid);
                }
            }
            Message::SessionEstablishmentResponse(response) => {
                if let (Some(ours), Some(smf)) = (&response.up_f_seid, frame.seid) {
                    self.by_seid.insert(ours.seid, smf);
                }
            }
            Message::SessionModificationRequest(request) => {
                // An answer that was lost has told nobody which session it is.
                let Some(smf) = frame.seid.and_then(|ours| self.by_seid.get(&ours)).copied() else { return };
                let half = self.halves.entry(smf).or_default();
                if let Some(action) = request.update_far.first().and_then(|far| far.apply_action) {
                    half.action = Some(action);
                }
                half.dropped += u32::from(request.flags.is_some_and(|f| f.contains(PfcpSmReqFlags::DROBU)));
            }
            _ => {}
        }
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
