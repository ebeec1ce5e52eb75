//! A gNB towards the core: N2 (TS 38.413) and N3, strict about what it receives.

mod amf_status;
mod flows;
mod handover;
mod inactivity;
mod keys;
mod link;
mod location;
mod n2_handover;
mod n3;
mod overload;
mod paging;
mod procedures;
mod resources;
mod rrc;
mod rrc_inactive;
mod setup;
mod tunnel;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tern_crypto::{KGnb, ServingCell};
use tern_ngap::capability::SecurityCapability;
use tern_ngap::convert::{self, NrLocation};
use tern_ngap::ngap::*;
use tern_ngap::transfer::SetupRequest;
use tern_ngap::{build_ngap, cause};
use tern_sctp::{AssociationSender, ConnectOptions, SendError};
use tern_types::{Ambr, GlobalGnbId, GnbId, Guami, PlmnId, STmsi5g, ServiceArea, Snssai, Tac, Tai};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::env::SimEnv;
use crate::error::SimError;
use crate::report::Journal;

pub use handover::SessionsMoved;
pub use link::Link;
pub use n2_handover::{Commanded, Forwarding};
pub use n3::N3;
pub use paging::{Page, Pager};
pub(crate) use rrc::MasterKeyUpdate;
pub use setup::ServedAmf;
pub use tunnel::UplinkTunnel;

use handover::{Answer, Refused};
use keys::AsKeys;
use n2_handover::Incoming;
use tunnel::WeakUplink;

/// Messages that may wait for a UE.
const UE_QUEUE: usize = 64;
/// How long the gNB waits for an answer of a procedure of its own.
const ANSWER_TIME: Duration = Duration::from_secs(10);

/// Physical cell identities (TS 38.211 §7.4.2.1).
const PCI_COUNT: u32 = 1008;
/// Carrier of all cells: 3489.42 MHz.
const ARFCN_DL: u32 = 632_628;

/// What a gNB is.
#[derive(Debug, Clone)]
pub struct GnbConfig {
    /// RAN node name, printable characters.
    pub name: String,
    /// Network.
    pub plmn: PlmnId,
    /// Identity, of 22 to 32 bits.
    pub id: GnbId,
    /// Its only tracking area.
    pub tac: Tac,
    /// Slices that it supports there.
    pub slices: Vec<Snssai>,
    /// The AMF's addresses.
    pub amf: Vec<SocketAddr>,
    /// Its own N2 addresses; none lets the host choose.
    pub n2: Vec<IpAddr>,
    /// The AMF's UDP port, where SCTP travels in UDP.
    pub udp_port: u16,
    /// How long nothing may be exchanged with a UE until it is released; none keeps it.
    pub inactivity: Option<Duration>,
}

impl GnbConfig {
    /// The options of its association.
    pub fn connect_options(&self) -> ConnectOptions {
        let mut options = ConnectOptions::new(self.amf.clone());
        options.local = self.n2.clone();
        options.remote_udp_port = self.udp_port;
        options
    }

    /// Its tracking area.
    pub fn tai(&self) -> Tai {
        Tai { plmn_id: self.plmn, tac: self.tac }
    }

    /// Its first cell.
    pub fn location(&self) -> NrLocation {
        let cell = u64::from(self.id.value()) << (36 - u32::from(self.id.bits())) | 1;
        NrLocation { tai: self.tai(), cell_plmn: self.plmn, nr_cell_id: cell }
    }

    /// What keys for this cell are derived from (TS 33.501 §A.11).
    pub(crate) fn cell(&self) -> ServingCell {
        ServingCell { pci: (self.id.value() % PCI_COUNT) as u16, arfcn_dl: ARFCN_DL }
    }

    fn global_id(&self) -> GlobalGnbId {
        GlobalGnbId { plmn_id: self.plmn, gnb_id: self.id }
    }
}

/// What a gNB tells a UE that is connected through it.
#[derive(Debug)]
pub enum FromGnb {
    /// A NAS message.
    Nas(Bytes),
    /// INITIAL CONTEXT SETUP: what AS security starts from.
    ContextSetUp(Box<ContextSetup>),
    /// The gNB hears of other slices or another service area of the UE.
    ContextUpdated {
        /// Allowed NSSAI.
        allowed_nssai: Vec<Snssai>,
        /// Of the Mobility Restriction List.
        service_area: Option<ServiceArea>,
    },
    /// The resources of a session are there.
    SessionSetUp(Box<SessionResources>),
    /// The resources of a session are gone.
    SessionReleased {
        /// PDU session identity.
        psi: u8,
    },
    /// The gNB has given the UE a new key by a handover within its cell (keySetChangeIndicator).
    Rekeyed(KGnb),
    /// The connection is released.
    Released {
        /// The gNB's cause.
        cause: String,
    },
    /// The gNB has lost its AMF.
    Lost(String),
}

/// What an INITIAL CONTEXT SETUP REQUEST said, for the UE to compare.
#[derive(Debug)]
pub struct ContextSetup {
    /// Security Key: K_gNB.
    pub k_gnb: Vec<u8>,
    /// UE Security Capabilities.
    pub capability: SecurityCapability,
    /// Allowed NSSAI.
    pub allowed_nssai: Vec<Snssai>,
    /// GUAMI.
    pub guami: Option<Guami>,
    /// UE Radio Capability.
    pub radio_capability: Option<Bytes>,
    /// Service area of the Mobility Restriction List.
    pub service_area: Option<ServiceArea>,
}

/// A session's resources at the gNB.
#[derive(Debug)]
pub struct SessionResources {
    /// PDU session identity.
    pub psi: u8,
    /// S-NSSAI of the request.
    pub slice: Snssai,
    /// What the SMF asked for.
    pub request: SetupRequest,
    /// UE-AMBR, if the AMF has given one.
    pub ue_ambr: Option<Ambr>,
    /// Where uplink packets go.
    pub uplink: UplinkTunnel,
    /// Downlink packets.
    pub downlink: mpsc::Receiver<Bytes>,
    /// When the request arrived.
    pub at: Instant,
}

/// A gNB. A cheap handle; [`Gnb::stop`] ends it.
#[derive(Clone)]
pub struct Gnb(Arc<Inner>);

struct Inner {
    config: GnbConfig,
    sender: AssociationSender,
    n3: N3,
    journal: Journal,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next_ran_id: u32,
    ues: BTreeMap<u32, UeSlot>,
    listeners: paging::Listeners,
    lost: Option<String>,
    /// Answers nothing any more, as a gNB that has crashed behind a living link.
    mute: bool,
    reset_done: Option<oneshot::Sender<()>>,
    /// PDU sessions that the gNB admits of no UE that comes to it.
    refused: BTreeSet<u8>,
    /// 5QIs of which it admits no QoS flow.
    flows_refused: BTreeSet<u8>,
    /// Why it takes no new keys.
    keys_refused: Option<CauseRadioNetwork>,
    /// The AMF wants less.
    overload: Option<overload::Overload>,
    /// What the AMF says of itself.
    amf: ServedAmf,
    /// GUAMIs that it is about to serve no longer.
    unavailable: Vec<Guami>,
    /// How many changes of what it serves are refused, and when it may try again.
    amf_configuration_refused: (u32, Option<TimeToWait>),
    /// Reports no location that is asked for.
    locations_refused: bool,
}

/// A UE's context at the gNB.
struct UeSlot {
    amf_id: Option<u64>,
    stream: u16,
    core_stream: Option<u16>,
    events: mpsc::Sender<FromGnb>,
    context: bool,
    ue_ambr: Option<Ambr>,
    sessions: BTreeMap<u8, SlotSession>,
    /// When something was exchanged with it last.
    active_at: Instant,
    /// AS security, once it is on.
    keys: Option<AsKeys>,
    capability: SecurityCapability,
    /// The UE has been told to go to another gNB: by what.
    leaving: Option<CauseRadioNetwork>,
    /// Who waits for the AMF's answer about a handover.
    answer: Option<oneshot::Sender<Answer>>,
    /// Who waits for HANDOVER COMMAND.
    commanded: Option<oneshot::Sender<Result<Commanded, Refused>>>,
    /// Who waits for HANDOVER CANCEL ACKNOWLEDGE.
    cancelled: Option<oneshot::Sender<()>>,
    /// The UE is not here yet.
    incoming: Option<Incoming>,
    /// The cell that it is in: how many behind the first.
    cell: u8,
    rrc: rrc_inactive::RrcInactive,
    location_reports: location::LocationReports,
}

/// A session's resources, as the gNB keeps them.
struct SlotSession {
    teid: u32,
    slice: Snssai,
    request: SetupRequest,
    uplink: WeakUplink,
}

impl Gnb {
    /// Connects to the AMF and sets up NG.
    pub async fn connect(
        config: GnbConfig,
        env: &SimEnv,
        n3: N3,
        journal: Journal,
    ) -> Result<Self, SimError> {
        let began = Instant::now();
        let association = env.sctp.connect(config.connect_options()).await?;
        let (sender, mut receiver) = association.into_split();
        let amf = setup::set_up(&config, &sender, &mut receiver, &journal).await?;
        journal.step(&config.name, "NG setup", began, began.elapsed());
        let state = Mutex::new(State { amf, ..State::default() });
        let gnb = Self(Arc::new(Inner { config, sender, n3, journal, state }));
        tokio::spawn(procedures::receive(gnb.clone(), receiver));
        Ok(gnb)
    }

    /// What it is.
    pub fn config(&self) -> &GnbConfig {
        &self.0.config
    }

    /// What the AMF says of itself, in NG SETUP RESPONSE or later.
    pub fn amf(&self) -> ServedAmf {
        self.state().amf.clone()
    }

    /// Its N3 end.
    pub fn n3(&self) -> &N3 {
        &self.0.n3
    }

    /// Whether it still has its AMF.
    pub fn is_up(&self) -> bool {
        self.state().lost.is_none()
    }

    /// UEs connected through it.
    pub fn connected(&self) -> usize {
        self.state().ues.len()
    }

    /// Connects a UE: INITIAL UE MESSAGE (TS 38.413 §8.6.1).
    pub async fn open(
        &self,
        nas: Bytes,
        s_tmsi: Option<STmsi5g>,
        cause: RRCEstablishmentCause,
    ) -> Result<Link, SimError> {
        self.admit_connection(cause)?;
        self.select_amf(s_tmsi)?;
        let (sink, events) = mpsc::channel(UE_QUEUE);
        let (ran_id, stream) = self.add_ue(sink)?;
        let location = convert::user_location(self.0.config.location());
        let pdu = match s_tmsi {
            Some(id) => build_ngap!(
                InitiatingMessage,
                InitialUEMessage,
                InitialUEMessage,
                RAN_UE_NGAP_ID(ran_id),
                NAS_PDU(nas.to_vec()),
                UserLocationInformation(location),
                RRCEstablishmentCause(cause),
                FiveG_S_TMSI(convert::s_tmsi(id)),
                UEContextRequest(UEContextRequest::requested),
            ),
            None => build_ngap!(
                InitiatingMessage,
                InitialUEMessage,
                InitialUEMessage,
                RAN_UE_NGAP_ID(ran_id),
                NAS_PDU(nas.to_vec()),
                UserLocationInformation(location),
                RRCEstablishmentCause(cause),
                UEContextRequest(UEContextRequest::requested),
            ),
        };
        self.send(&pdu?, stream).await?;
        self.watch_inactivity(ran_id);
        Ok(Link { gnb: self.clone(), ran_id, events })
    }

    fn add_ue(&self, events: mpsc::Sender<FromGnb>) -> Result<(u32, u16), SimError> {
        let streams = self.0.sender.info().outbound_streams;
        let mut state = self.state();
        if let Some(why) = &state.lost {
            return Err(SimError::GnbLost(why.clone()));
        }
        let ran_id = loop {
            state.next_ran_id = state.next_ran_id.wrapping_add(1);
            if !state.ues.contains_key(&state.next_ran_id) {
                break state.next_ran_id;
            }
        };
        // Stream 0 is for messages of no UE (TS 38.412 §7), where there is another.
        let stream = if streams > 1 { 1 + (ran_id % u32::from(streams - 1)) as u16 } else { 0 };
        let slot = UeSlot {
            amf_id: None,
            stream,
            core_stream: None,
            events,
            context: false,
            ue_ambr: None,
            sessions: BTreeMap::new(),
            active_at: Instant::now(),
            keys: None,
            capability: SecurityCapability::default(),
            leaving: None,
            answer: None,
            commanded: None,
            cancelled: None,
            incoming: None,
            cell: 0,
            rrc: rrc_inactive::RrcInactive::default(),
            location_reports: location::LocationReports::default(),
        };
        state.ues.insert(ran_id, slot);
        Ok((ran_id, stream))
    }

    /// Resets all UEs or some, by RAN UE NGAP ID (TS 38.413 §8.7.4.2.2), and awaits the
    /// acknowledgement. Their connections are gone then.
    pub async fn reset(&self, ran_ids: Option<&[u32]>) -> Result<(), SimError> {
        let (done, acknowledged) = oneshot::channel();
        let kind = {
            let mut state = self.state();
            state.reset_done = Some(done);
            match ran_ids {
                None => ResetType::nG_Interface(ResetAll::reset_all),
                Some(ids) => {
                    let item = |&id: &u32| {
                        let amf_id = state.ues.get(&id).and_then(|ue| ue.amf_id).map(AMFUENGAPID);
                        UEAssociatedLogicalNGConnectionItem::new(amf_id, Some(RANUENGAPID(id)), None)
                    };
                    let list = UEAssociatedLogicalNGConnectionList(ids.iter().map(item).collect());
                    ResetType::partOfNG_Interface(list)
                }
            }
        };
        let pdu = build_ngap!(
            InitiatingMessage,
            NGReset,
            NGReset,
            Cause(cause::misc(CauseMisc::om_intervention)),
            ResetType(kind),
        )?;
        self.send(&pdu, 0).await?;
        let waited = tokio::time::timeout(ANSWER_TIME, acknowledged).await;
        if !matches!(waited, Ok(Ok(()))) {
            return Err(SimError::Timeout { waiting_for: "NG RESET ACKNOWLEDGE", timer: "10 s" });
        }
        self.forget(ran_ids, "NG Reset of the gNB");
        Ok(())
    }

    /// Ends the association in order; its UEs are told.
    pub fn stop(&self) {
        self.0.sender.shutdown();
    }

    /// Ends the association at once, as a gNB does that dies.
    pub fn abort(&self) {
        self.0.sender.abort("the gNB dies");
    }

    /// Admits these PDU sessions of no UE that is handed over to it.
    pub fn refuse_sessions(&self, sessions: &[u8]) {
        self.state().refused = sessions.iter().copied().collect();
    }

    /// Takes no new keys for its UEs, with this cause.
    pub fn refuse_keys(&self, why: Option<CauseRadioNetwork>) {
        self.state().keys_refused = why;
    }

    /// Answers nothing from now on, while the association stays.
    pub fn mute(&self) {
        self.state().mute = true;
    }

    /// Sends octets that need not be NGAP, on any stream: for tests of the core.
    pub async fn send_octets(&self, octets: Bytes, stream: u16) -> Result<(), SimError> {
        Ok(self.0.sender.send(octets, stream, tern_ngap::PPID, false).await?)
    }

    async fn send(&self, pdu: &NGAP_PDU, stream: u16) -> Result<(), SimError> {
        if self.state().mute {
            return Ok(());
        }
        tracing::debug!(gnb = %self, "sends {pdu}");
        let octets = tern_ngap::encode(pdu)?;
        match self.0.sender.send(octets, stream, tern_ngap::PPID, false).await {
            Err(SendError::Closed) => Err(SimError::GnbLost(SendError::Closed.to_string())),
            sent => Ok(sent?),
        }
    }

    /// The AMF's identity of a UE, and the UE's stream.
    fn ids(&self, ran_id: u32) -> Result<(u64, u16), SimError> {
        let state = self.state();
        if let Some(why) = &state.lost {
            return Err(SimError::GnbLost(why.clone()));
        }
        let ue = state.ues.get(&ran_id);
        let ids = ue.and_then(|ue| Some((ue.amf_id?, ue.stream)));
        ids.ok_or_else(|| SimError::State("the AMF has not answered the UE's first message".into()))
    }

    /// Sends what answers a message of the core; a lost association is noticed elsewhere.
    async fn answer(&self, pdu: Result<NGAP_PDU, tern_ngap::CodecError>, stream: u16) {
        match pdu {
            Ok(pdu) => {
                if let Err(error) = self.send(&pdu, stream).await {
                    tracing::debug!(gnb = %self, %error, "an answer was not sent");
                }
            }
            Err(error) => self.0.journal.error(self, error),
        }
    }

    /// Forgets UEs, and tells them.
    fn forget(&self, ran_ids: Option<&[u32]>, why: &str) {
        let gone: Vec<UeSlot> = {
            let mut state = self.state();
            match ran_ids {
                None => std::mem::take(&mut state.ues).into_values().collect(),
                Some(ids) => ids.iter().filter_map(|id| state.ues.remove(id)).collect(),
            }
        };
        for ue in gone {
            self.drop_ue(&ue, why);
        }
    }

    fn close_tunnels(&self, ue: &UeSlot) {
        let forwarding = ue.incoming.iter().flat_map(Incoming::forwarding).map(|tunnel| tunnel.teid);
        ue.sessions
            .values()
            .map(|session| session.teid)
            .chain(forwarding)
            .for_each(|teid| self.0.n3.close(teid));
    }

    fn drop_ue(&self, ue: &UeSlot, cause: &str) {
        self.close_tunnels(ue);
        // It is not here any more, or not yet.
        if ue.leaving.is_some() || ue.incoming.is_some() {
            return;
        }
        if ue.events.try_send(FromGnb::Released { cause: cause.to_owned() }).is_err() {
            self.0.journal.count("gnb.event_dropped");
        }
    }

    fn failure(&self, clause: &'static str, what: impl fmt::Display) {
        self.0.journal.failure(self, clause, what);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Gnb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.config.name)
    }
}

impl fmt::Debug for Gnb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Gnb").field(&self.0.config.name).finish()
    }
}
