//! The core of N2: associations, gNB contexts, and which message goes where.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use bytes::Bytes;
use tern_ngap::ngap::{CauseProtocol, NGAP_PDU};
use tern_ngap::{NgapPduKind, decode};
use tern_types::{Duration, GlobalGnbId, Instant};

use super::amf_configuration_update::{self, Update};
use super::config::Limits;
use super::error_indication::{self, Subject};
use super::message::{GnbId, GnbInfo, N2Command, N2Event, Place, ResetScope, ServedAmf};
use super::unheard::Unheard;
use super::{ng_reset, ng_setup, ran_configuration_update};

/// Stream of messages that concern no UE.
pub(crate) const NON_UE_STREAM: u16 = 0;

/// What happens to the termination. An association keeps its number while it lives.
#[derive(Debug)]
pub enum Input {
    /// An association came up.
    Associated(GnbId, SocketAddr),
    /// A message came.
    Received {
        /// On which association.
        from: GnbId,
        /// On which stream.
        stream: u16,
        /// Payload protocol identifier.
        ppid: u32,
        /// The message.
        pdu: Bytes,
    },
    /// The peer began the association anew (SCTP restart).
    Restarted(GnbId),
    /// An association ended.
    Lost(GnbId, String),
    /// From the AMF.
    Command(N2Command),
    /// The AMF is there, for the first time or again; one that goes on has heard all up to a place.
    AmfAttached(Option<Place>),
    /// The AMF is gone.
    AmfDetached,
    /// The deadline of [`Termination::deadline`] has come.
    Expired,
}

/// What the termination does.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// Send on an association.
    Send {
        /// Which.
        to: GnbId,
        /// Stream; the edge keeps it within those negotiated.
        stream: u16,
        /// The message.
        pdu: Bytes,
    },
    /// Abort an association; no [`Input::Lost`] need follow.
    Abort(GnbId, &'static str),
    /// To the AMF.
    Event(N2Event),
    /// Add one to a counter.
    Count(&'static str),
}

/// One SCTP association.
#[derive(Debug)]
pub(super) struct Association {
    pub(super) peer: SocketAddr,
    pub(super) state: State,
    /// Undecodable messages since the last good one.
    undecodable: u32,
    /// An AMF CONFIGURATION UPDATE that it has not taken yet.
    pub(super) update: Option<Update>,
}

#[derive(Debug)]
pub(super) enum State {
    /// NG SETUP has not come; the association ends at this time.
    AwaitingSetup(Instant),
    /// NG is set up.
    Up(GnbInfo),
}

/// The N2 termination, free of I/O.
#[derive(Debug)]
pub struct Termination {
    pub(super) limits: Limits,
    pub(super) served: Option<ServedAmf>,
    pub(super) associations: BTreeMap<GnbId, Association>,
    pub(super) by_global: BTreeMap<GlobalGnbId, GnbId>,
    /// What no AMF has heard.
    unheard: Unheard,
    /// gNBs whose reset had no room there.
    unheard_resets: Vec<GnbId>,
    /// The last turn that was taken of the AMF.
    turn: u64,
    attached: bool,
    now: Instant,
    outputs: Vec<Output>,
}

impl Termination {
    /// Nothing connected, nothing configured. `life` is another one each time; `outlives` says whether AMFs may come
    /// and go.
    pub fn new(limits: Limits, life: u64, outlives: bool) -> Self {
        Self {
            limits,
            served: None,
            associations: BTreeMap::new(),
            by_global: BTreeMap::new(),
            unheard: Unheard::new(life, outlives),
            unheard_resets: Vec::new(),
            turn: 0,
            attached: false,
            now: Instant::from_micros(0),
            outputs: Vec::new(),
        }
    }

    /// Handles one input; what follows from it, in order.
    pub fn handle(&mut self, now: Instant, input: Input) -> Vec<Output> {
        self.now = now;
        match input {
            Input::Associated(id, peer) => self.associated(id, peer),
            Input::Received { from, stream, ppid, pdu } => self.received(from, stream, ppid, pdu),
            Input::Restarted(id) => self.restarted(id),
            Input::Lost(id, why) => self.lost(id, &why),
            Input::Command(command) => self.command(command),
            Input::AmfAttached(heard) => self.amf_attached(heard),
            Input::AmfDetached => self.attached = false,
            Input::Expired => self.expired(),
        }
        std::mem::take(&mut self.outputs)
    }

    /// When [`Input::Expired`] is wanted.
    pub fn deadline(&self) -> Option<Instant> {
        let waits = self.associations.values().filter_map(|association| match association.state {
            State::AwaitingSetup(deadline) => Some(deadline),
            State::Up(_) => association.update.map(|update| update.again_at),
        });
        waits.min()
    }

    /// The gNBs that have set up NG.
    pub fn gnbs(&self) -> impl Iterator<Item = &GnbInfo> {
        self.associations.values().filter_map(|association| match &association.state {
            State::Up(gnb) => Some(gnb),
            State::AwaitingSetup(_) => None,
        })
    }

    /// How many associations are up, set up or not.
    pub fn associations(&self) -> usize {
        self.associations.len()
    }

    pub(super) fn gnb(&self, id: GnbId) -> Option<&GnbInfo> {
        match &self.associations.get(&id)?.state {
            State::Up(gnb) => Some(gnb),
            State::AwaitingSetup(_) => None,
        }
    }

    /// Who this is, for the log.
    pub(super) fn who(&self, id: GnbId) -> String {
        match (self.gnb(id), self.associations.get(&id)) {
            (Some(gnb), _) => gnb.global.to_string(),
            (None, Some(association)) => association.peer.to_string(),
            (None, None) => format!("association {}", id.0),
        }
    }

    pub(super) fn send(&mut self, to: GnbId, stream: u16, pdu: Result<NGAP_PDU, tern_ngap::CodecError>) {
        let encoded = pdu.map_err(tern_ngap::EncodeError::from).and_then(|pdu| tern_ngap::encode(&pdu));
        match encoded {
            Ok(pdu) => self.outputs.push(Output::Send { to, stream, pdu }),
            // Our own mistake, not the gNB's: the message is not sent.
            Err(error) => {
                tracing::error!(gnb = %self.who(to), %error, "an NGAP message could not be encoded");
                self.count("n2.encode_error");
            }
        }
    }

    /// Tells the AMF, or keeps it for when it is there again.
    pub(super) fn tell(&mut self, event: N2Event) {
        if self.attached {
            self.outputs.push(Output::Event(event.clone()));
        } else if !self.unheard.has_room() {
            match event {
                // What gNBs there are is told when the AMF returns.
                N2Event::GnbUp(_) | N2Event::GnbUpdated(_) | N2Event::GnbDown(_) => {}
                // More than asked, but nothing of it may be forgotten.
                N2Event::Reset { gnb, .. } if !self.unheard_resets.contains(&gnb) => {
                    self.unheard_resets.push(gnb);
                }
                _ => self.count("n2.no_amf"),
            }
            return;
        }
        self.unheard.push(event);
    }

    /// Whether more may come from gNBs: the AMF has heard enough of what came.
    pub(super) fn has_room(&self) -> bool {
        !self.attached || self.unheard.has_room()
    }

    pub(super) fn count(&mut self, name: &'static str) {
        self.outputs.push(Output::Count(name));
    }

    /// The time of the input that is handled.
    pub(super) fn now(&self) -> Instant {
        self.now
    }

    pub(super) fn abort(&mut self, id: GnbId, why: &'static str) {
        tracing::warn!(gnb = %self.who(id), why, "association aborted");
        self.remove(id);
        self.outputs.push(Output::Abort(id, why));
    }

    /// Forgets the gNB of an association, which stays; the AMF is told.
    pub(super) fn take_down(&mut self, id: GnbId) {
        let Some(association) = self.associations.get_mut(&id) else { return };
        let wait = Duration::from_secs(self.limits.setup_wait_s);
        let State::Up(gnb) = std::mem::replace(&mut association.state, State::AwaitingSetup(self.now + wait))
        else {
            return;
        };
        if self.by_global.get(&gnb.global) == Some(&id) {
            self.by_global.remove(&gnb.global);
        }
        association.update = None;
        self.unheard_resets.retain(|known| *known != id);
        self.tell(N2Event::GnbDown(id));
    }

    fn remove(&mut self, id: GnbId) {
        self.take_down(id);
        self.associations.remove(&id);
    }

    fn associated(&mut self, id: GnbId, peer: SocketAddr) {
        tracing::debug!(%peer, "association up");
        let deadline = self.now + Duration::from_secs(self.limits.setup_wait_s);
        let state = State::AwaitingSetup(deadline);
        self.associations.insert(id, Association { peer, state, undecodable: 0, update: None });
    }

    fn lost(&mut self, id: GnbId, why: &str) {
        match self.gnb(id) {
            Some(gnb) => tracing::info!(gnb = %gnb.global, why, "gNB down"),
            None => tracing::debug!(gnb = %self.who(id), why, "association down"),
        }
        self.remove(id);
    }

    /// The gNB has lost its state: it will set up NG again.
    fn restarted(&mut self, id: GnbId) {
        tracing::info!(gnb = %self.who(id), "association restarted by the gNB");
        self.take_down(id);
    }

    fn expired(&mut self) {
        let late = self.associations.iter().filter_map(|(id, association)| match association.state {
            State::AwaitingSetup(deadline) if deadline <= self.now => Some(*id),
            _ => None,
        });
        for id in late.collect::<Vec<_>>() {
            self.count("n2.no_setup");
            self.abort(id, "no NG SETUP REQUEST in time");
        }
        amf_configuration_update::expire(self);
    }

    fn amf_attached(&mut self, heard: Option<Place>) {
        self.attached = true;
        let gnbs = self.gnbs().cloned().collect();
        let before = self.unheard.len();
        let (goes_on, heard) = (heard.is_some(), self.unheard.go_on(heard));
        if !goes_on {
            self.turn = 0;
        }
        let again = self.unheard.events().cloned().map(Output::Event);
        tracing::info!(unheard = before, told = self.unheard.len(), "an AMF is attached");
        self.outputs.push(Output::Event(N2Event::Attached { gnbs, heard, turn: self.turn }));
        self.outputs.extend(again);
        for gnb in std::mem::take(&mut self.unheard_resets) {
            self.tell(N2Event::Reset { gnb, ues: ResetScope::All });
        }
    }

    fn command(&mut self, command: N2Command) {
        match command {
            N2Command::Heard(place) => self.unheard.heard(place),
            N2Command::Turn(turn) => self.turn = turn,
            N2Command::Configure(served) => amf_configuration_update::configure(self, served),
            N2Command::Abort { gnb } => {
                if self.associations.contains_key(&gnb) {
                    self.abort(gnb, "on the AMF's request");
                }
            }
            N2Command::Reset { gnb, ues } if self.gnb(gnb).is_some() => ng_reset::start(self, gnb, &ues),
            N2Command::Ngap { gnb, stream, pdu } if self.gnb(gnb).is_some() => {
                self.outputs.push(Output::Send { to: gnb, stream, pdu });
            }
            N2Command::Reset { gnb, .. } | N2Command::Ngap { gnb, .. } => {
                tracing::debug!(gnb = gnb.0, "a message for a gNB that is gone");
                self.count("n2.gnb_gone");
            }
        }
    }

    fn received(&mut self, from: GnbId, stream: u16, ppid: u32, octets: Bytes) {
        if !self.associations.contains_key(&from) {
            return;
        }
        // TS 38.412 §7
        if ppid != tern_ngap::PPID {
            tracing::debug!(gnb = %self.who(from), ppid, "a message of another protocol is discarded");
            self.count("n2.wrong_ppid");
            return;
        }
        match decode(&octets) {
            Ok(pdu) => {
                if let Some(association) = self.associations.get_mut(&from) {
                    association.undecodable = 0;
                }
                self.dispatch(from, stream, &pdu, octets);
            }
            Err(error) => self.undecodable(from, &error),
        }
    }

    /// Transfer syntax error: TS 38.413 §10.2.
    fn undecodable(&mut self, from: GnbId, error: &tern_ngap::DecodeError) {
        tracing::warn!(gnb = %self.who(from), %error, "undecodable NGAP message");
        self.count("n2.undecodable");
        let Some(association) = self.associations.get_mut(&from) else { return };
        association.undecodable += 1;
        if association.undecodable > self.limits.undecodable {
            self.abort(from, "too many undecodable messages");
            return;
        }
        let cause = CauseProtocol::transfer_syntax_error;
        error_indication::send(self, from, Subject::NonUe, cause, None);
    }

    fn dispatch(&mut self, from: GnbId, stream: u16, pdu: &NGAP_PDU, octets: Bytes) {
        use NgapPduKind as K;
        match pdu.kind() {
            K::Initiating_NGSetup => ng_setup::on_ng_setup_request(self, from, pdu),
            K::Initiating_RANConfigurationUpdate => ran_configuration_update::on_update(self, from, pdu),
            kind if self.gnb(from).is_none() => error_indication::before_setup(self, from, pdu, kind),
            K::Initiating_NGReset => ng_reset::on_ng_reset(self, from, pdu),
            K::Successful_NGReset => ng_reset::on_acknowledge(self, from),
            K::Successful_AMFConfigurationUpdate => amf_configuration_update::on_acknowledge(self, from),
            K::Unsuccessful_AMFConfigurationUpdate => {
                amf_configuration_update::on_failure(self, from, pdu);
            }
            K::Initiating_ErrorIndication if !error_indication::concerns_ue(pdu) => {
                error_indication::log(self, from, pdu);
            }
            kind => match destination(&kind) {
                Destination::Core => self.tell(N2Event::Ngap { gnb: from, stream, pdu: octets }),
                Destination::Unsupported => {
                    tracing::debug!(gnb = %self.who(from), ?kind, "a procedure that tern does not use");
                    self.count("n2.unsupported");
                }
                Destination::Nowhere => error_indication::not_for_an_amf(self, from, pdu, &kind),
            },
        }
    }
}

enum Destination {
    /// Concerns a UE.
    Core,
    /// Of criticality ignore, and nothing here needs it.
    Unsupported,
    /// Unknown, or no gNB sends it.
    Nowhere,
}

/// Where a message of a gNB goes that is not about the gNB itself.
fn destination(kind: &NgapPduKind) -> Destination {
    use NgapPduKind as K;
    match kind {
        K::Initiating_InitialUEMessage
        | K::Initiating_UplinkNASTransport
        | K::Initiating_NASNonDeliveryIndication
        | K::Initiating_UEContextReleaseRequest
        | K::Initiating_UERadioCapabilityInfoIndication
        | K::Initiating_PDUSessionResourceNotify
        | K::Initiating_PDUSessionResourceModifyIndication
        | K::Initiating_PathSwitchRequest
        | K::Initiating_HandoverPreparation
        | K::Initiating_HandoverNotification
        | K::Initiating_HandoverCancel
        | K::Initiating_UplinkRANStatusTransfer
        | K::Initiating_UplinkRANEarlyStatusTransfer
        | K::Initiating_LocationReport
        | K::Initiating_LocationReportingFailureIndication
        | K::Initiating_RRCInactiveTransitionReport
        | K::Initiating_CellTrafficTrace
        | K::Initiating_TraceFailureIndication
        | K::Initiating_UplinkUEAssociatedNRPPaTransport
        | K::Initiating_SecondaryRATDataUsageReport
        | K::Initiating_UEContextSuspend
        | K::Initiating_UEContextResume
        | K::Initiating_RetrieveUEInformation
        | K::Initiating_RANCPRelocationIndication
        | K::Initiating_ErrorIndication
        | K::Successful_InitialContextSetup
        | K::Unsuccessful_InitialContextSetup
        | K::Successful_UEContextModification
        | K::Unsuccessful_UEContextModification
        | K::Successful_UEContextRelease
        | K::Successful_UERadioCapabilityCheck
        | K::Successful_PDUSessionResourceSetup
        | K::Successful_PDUSessionResourceModify
        | K::Successful_PDUSessionResourceRelease
        | K::Successful_HandoverResourceAllocation
        | K::Unsuccessful_HandoverResourceAllocation => Destination::Core,
        K::Initiating_UplinkRANConfigurationTransfer
        | K::Initiating_UplinkNonUEAssociatedNRPPaTransport
        | K::Initiating_UplinkRIMInformationTransfer
        | K::Initiating_PWSRestartIndication
        | K::Initiating_PWSFailureIndication
        | K::Initiating_PrivateMessage => Destination::Unsupported,
        _ => Destination::Nowhere,
    }
}
