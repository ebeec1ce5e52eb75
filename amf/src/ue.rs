//! What the AMF knows of a UE: plain values, so that a context can be stored or handed over
//! between any two inputs.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tern_crypto::NextHopChain;
use tern_nas::security::NasSecurityContext;
use tern_ngap::convert::NrLocation;
use tern_sbi::Location;
use tern_sbi::npcf_am::{RequestTrigger, UpdateAmPolicy};
use tern_sbi::nudm_sdm::GetDataSets;
use tern_types::{Ambr, Dnn, Guti5g, Imei, Instant, PduSessionId, ServiceArea, Snssai, Supi, Tai};

use crate::admission::{self, Waiting};
use crate::error::Refusal;
use crate::gmm::deregistration::Reason;
use crate::gmm::subscription_change::Changes;
use crate::gmm::{Paging, Procedure};
use crate::io::Awaited;
use crate::n2::message::GnbId;
use crate::ngap::handover::Handover;
use crate::ngap::location_reporting::Presence;
use crate::ngap::modify_indication::ModifyIndication;
use crate::ngap::rrc_inactive::RrcState;
use crate::ngap::ue_context_modification::Rekeying;
use crate::sbi::Locating;
use crate::session::Session;

/// Version of the serialised form of [`UeContext`].
pub const SCHEMA_VERSION: u32 = 2;

/// A context within this AMF; never used twice while the AMF lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UeId(pub u64);

/// Main states, network side: TS 24.501 §5.1.3.2.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum GmmState {
    /// 5GMM-DEREGISTERED.
    Deregistered,
    /// 5GMM-COMMON-PROCEDURE-INITIATED.
    CommonProcedureInitiated,
    /// 5GMM-REGISTERED.
    Registered,
    /// 5GMM-DEREGISTERED-INITIATED.
    DeregisteredInitiated,
}

/// A UE context.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UeContext {
    /// Its key.
    pub id: UeId,
    /// Authenticated permanent identity; `None` until authentication has succeeded.
    pub supi: Option<Supi>,
    /// Who it said it is, for logs: a SUCI or a 5G-GUTI.
    pub claimed: Option<String>,
    /// Permanent equipment identity.
    pub pei: Option<Imei>,
    /// The temporary identity last given.
    pub guti: Option<Guti5g>,
    /// The one before, valid until the UE confirms the new one (TS 24.501 §5.5.1.2.4).
    pub old_guti: Option<Guti5g>,
    /// Those before it, each of which the UE may still have, the newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub older_gutis: Vec<Guti5g>,
    /// Current 5G NAS security context.
    pub security: Option<NasSecurityContext>,
    /// The context before the one that security mode control takes into use.
    pub previous_security: Option<NasSecurityContext>,
    /// UE security capability, octet for octet as the UE sent it.
    pub capability: Bytes,
    /// The NG connection; `None` in CM-IDLE.
    pub n2: Option<Connection>,
    /// Whether the UE is registered over 3GPP access.
    pub registered: bool,
    /// The procedure that is running.
    pub procedure: Option<Procedure>,
    /// Subscription data; `None` until fetched.
    pub subscription: Option<Subscription>,
    /// Allowed NSSAI.
    pub allowed: Vec<Snssai>,
    /// Tracking areas of the registration area.
    pub registration_area: Vec<Tai>,
    /// Those of the registration area before, until the UE confirms the new one (TS 24.501 §5.5.1.3.8 a).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub old_registration_area: Vec<Tai>,
    /// PDU sessions by identity.
    pub sessions: BTreeMap<PduSessionId, Session>,
    /// Requests for further sessions that wait for their turn, by identity.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub waiting: BTreeMap<PduSessionId, Waiting>,
    /// Individual AM policy association.
    pub am_policy: Option<Location>,
    /// Where there is service, as the PCF has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_area: Option<ServiceArea>,
    /// UE-AMBR, as the PCF has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_ambr: Option<Ambr>,
    /// RFSP index, as the PCF has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_rfsp: Option<u16>,
    /// Changes of which the PCF wants to hear.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policy_triggers: Vec<RequestTrigger>,
    /// The PCF has been told of changes, and decides anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_update: Option<Awaited<UpdateAmPolicy>>,
    /// What has changed and the UE has yet to hear of.
    #[serde(default, skip_serializing_if = "Changes::is_empty")]
    pub changes: Changes,
    /// The UDM is asked for data that have changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_data: Option<Awaited<GetDataSets>>,
    /// Subscription to changes at the UDM.
    pub sdm_subscription: Option<Location>,
    /// Whether the UDM holds this AMF's registration.
    pub at_udm: bool,
    /// UE radio capability, returned in each later Initial Context Setup.
    pub radio_capability: Option<Bytes>,
    /// Its move to another gNB, while that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handover: Option<Handover>,
    /// Where the UE was last seen.
    pub location: Option<NrLocation>,
    /// When it was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub located_at: Option<Instant>,
    /// Which areas of interest it is in, by their place in the configuration.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub presence: BTreeMap<u8, Presence>,
    /// Who waits for its current location.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locating: Option<Locating>,
    /// It wants to leave, and a procedure is to be completed before (TS 24.501 §5.5.1.3.8 g).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub leaving: bool,
    /// What time does to a UE in CM-IDLE.
    pub reachability: Option<Reachability>,
    /// What it is paged for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paging: Option<Paging>,
    /// Why the network is to deregister it once it has answered a page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deregistering: Option<Reason>,
    /// The DRX cycle that it asked for, in radio frames.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paging_drx: Option<u16>,
    /// UE radio capability for paging, as a gNB told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub radio_capability_for_paging: Option<Bytes>,
    /// Cells to page it in first, as the last gNB told them: Recommended Cells for Paging in aligned PER.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recommended_cells: Option<Bytes>,
    /// The deadline that the core holds for this context.
    pub(crate) armed: Option<Instant>,
}

/// What happens next to a UE that is not heard of (TS 24.501 §5.3.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reachability {
    /// Mobile reachable timer: T3512 and four minutes.
    MobileReachable(Instant),
    /// Implicit de-registration timer.
    ImplicitDeregistration(Instant),
    /// Deregistered; the security context is kept until then.
    Retained(Instant),
}

impl Reachability {
    /// When it happens.
    pub fn deadline(self) -> Instant {
        let (Self::MobileReachable(at) | Self::ImplicitDeregistration(at) | Self::Retained(at)) = self;
        at
    }
}

/// Progress of the UE context at the gNB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContextSetup {
    /// INITIAL CONTEXT SETUP REQUEST not sent.
    None,
    /// Sent, no answer yet.
    Requested,
    /// The gNB has the context.
    Done,
}

/// A UE-associated logical NG connection.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Connection {
    /// The gNB.
    pub gnb: GnbId,
    /// SCTP stream, kept from the first message.
    pub stream: u16,
    /// 32 bits, the gNB's.
    pub ran_ue_ngap_id: u32,
    /// 40 bits, ours.
    pub amf_ue_ngap_id: u64,
    /// Whether NAS messages are exchanged securely (TS 24.501 §4.4.2.5).
    pub secured: bool,
    /// Whether the gNB says that the UE asked for it with priority.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub priority: bool,
    /// The uplink NAS COUNT that K_gNB is derived from (TS 33.501 §6.8.1.1.2).
    pub k_gnb_count: u32,
    /// UE context at the gNB.
    pub context: ContextSetup,
    /// The newest NH, from the first K_gNB on (TS 33.501 §6.9.2.1.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_hop: Option<NextHopChain>,
    /// The gNB has an allowed NSSAI or a service area of before: the next message for the UE brings others.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub outdated: bool,
    /// The gNB has a UE-AMBR of before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ambr_outdated: bool,
    /// The gNB has an RFSP index of before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rfsp_outdated: bool,
    /// A UE CONTEXT MODIFICATION REQUEST without keys awaits its answer, until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modifying: Option<Instant>,
    /// The gNB has the AS keys of an older K_AMF.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rekeying: Option<Rekeying>,
    /// The UE's RRC state.
    #[serde(default, skip_serializing_if = "RrcState::is_connected")]
    pub rrc: RrcState,
    /// The UE Identity Index Value that the gNB has been told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_index: Option<u16>,
    /// NAS messages that the gNB has not delivered because it hands the UE over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undelivered: Vec<Bytes>,
    /// What the gNB has changed of sessions and waits to have confirmed, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub indications: Vec<ModifyIndication>,
    /// Session messages held until the gNB has the context.
    pub held: Vec<HeldMessage>,
}

/// A downlink session message that waits for Initial Context Setup.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HeldMessage {
    /// Its session.
    pub session: PduSessionId,
    /// 5GSM message.
    pub n1: Option<Bytes>,
    /// N2 SM information and what it is.
    pub n2: Option<(N2SmKind, Bytes)>,
}

/// N2 SM information that the AMF relays towards a gNB (TS 29.502 N2SmInfoType, TS 29.518
/// NgapIeType).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum N2SmKind {
    /// PDU Session Resource Setup Request Transfer.
    SetupRequest,
    /// PDU Session Resource Modify Request Transfer.
    ModifyRequest,
    /// PDU Session Resource Release Command Transfer.
    ReleaseCommand,
}

/// S-NSSAIs in a configured NSSAI (TS 24.501 §9.11.3.37).
const CONFIGURED_MAX: usize = 16;

/// What the AMF uses of a subscription.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// UE-AMBR.
    pub ambr: Option<Ambr>,
    /// RFSP index, 1 to 256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rfsp: Option<u16>,
    /// Default S-NSSAIs.
    pub default_slices: Vec<Snssai>,
    /// The other subscribed S-NSSAIs.
    pub slices: Vec<Snssai>,
    /// DNNs by slice.
    pub dnns: Vec<(Snssai, Vec<SubscribedDnn>)>,
    /// Where there is service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_area: Option<ServiceArea>,
    /// Why the UE may not be served at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub barred: Option<Refusal>,
}

/// A DNN of a slice's subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscribedDnn {
    /// `None` is the wildcard DNN.
    pub dnn: Option<Dnn>,
    /// Whether it is taken where the UE names none.
    pub default: bool,
}

impl Subscription {
    /// Whether the slice is subscribed.
    pub fn has_slice(&self, slice: Snssai) -> bool {
        self.default_slices.contains(&slice) || self.slices.contains(&slice)
    }

    /// Every subscribed slice, the default ones first.
    pub fn configured(&self) -> Vec<Snssai> {
        self.default_slices.iter().chain(&self.slices).copied().take(CONFIGURED_MAX).collect()
    }

    fn dnns_of(&self, slice: Snssai) -> &[SubscribedDnn] {
        self.dnns.iter().find(|(s, _)| *s == slice).map_or(&[], |(_, dnns)| dnns)
    }

    /// Whether the DNN may be used in the slice.
    pub fn allows_dnn(&self, slice: Snssai, dnn: &Dnn) -> bool {
        self.dnns_of(slice).iter().any(|d| d.dnn.as_ref().is_none_or(|d| d == dnn))
    }

    /// The DNN for a UE that names none: the default one, else the only one.
    pub fn default_dnn(&self, slice: Snssai) -> Option<&Dnn> {
        let dnns = self.dnns_of(slice);
        let default = dnns.iter().find(|d| d.default && d.dnn.is_some());
        let named = || dnns.iter().find(|d| d.dnn.is_some());
        default.or_else(named).and_then(|d| d.dnn.as_ref())
    }
}

impl UeContext {
    /// A context of which nothing is known.
    pub fn new(id: UeId) -> Self {
        Self {
            id,
            supi: None,
            claimed: None,
            pei: None,
            guti: None,
            old_guti: None,
            older_gutis: Vec::new(),
            security: None,
            previous_security: None,
            capability: Bytes::new(),
            n2: None,
            registered: false,
            procedure: None,
            subscription: None,
            allowed: Vec::new(),
            registration_area: Vec::new(),
            old_registration_area: Vec::new(),
            sessions: BTreeMap::new(),
            waiting: BTreeMap::new(),
            am_policy: None,
            policy_area: None,
            policy_ambr: None,
            policy_rfsp: None,
            policy_triggers: Vec::new(),
            policy_update: None,
            changes: Changes::default(),
            changed_data: None,
            sdm_subscription: None,
            at_udm: false,
            radio_capability: None,
            handover: None,
            location: None,
            located_at: None,
            presence: BTreeMap::new(),
            locating: None,
            leaving: false,
            reachability: None,
            paging: None,
            deregistering: None,
            paging_drx: None,
            radio_capability_for_paging: None,
            recommended_cells: None,
            armed: None,
        }
    }

    /// UE-AMBR in force: the PCF's, else the subscribed one.
    pub fn ambr(&self) -> Option<Ambr> {
        self.policy_ambr.or(self.subscription.as_ref().and_then(|subscription| subscription.ambr))
    }

    /// RFSP index in force: the PCF's, else the subscribed one (TS 23.501 §5.3.4.3).
    pub fn rfsp(&self) -> Option<u16> {
        self.policy_rfsp.or(self.subscription.as_ref().and_then(|subscription| subscription.rfsp))
    }

    /// Its main state.
    pub fn state(&self) -> GmmState {
        match &self.procedure {
            Some(Procedure::Deregistration(_)) => GmmState::DeregisteredInitiated,
            Some(Procedure::Registration(_)) => GmmState::CommonProcedureInitiated,
            _ if self.registered => GmmState::Registered,
            _ => GmmState::Deregistered,
        }
    }

    /// Who this is, for logs.
    pub fn name(&self) -> String {
        match (&self.supi, &self.claimed) {
            (Some(supi), _) => supi.to_string(),
            (None, Some(claimed)) => claimed.clone(),
            (None, None) => format!("ue-{}", self.id.0),
        }
    }

    /// The next time at which something happens to it.
    pub fn deadline(&self) -> Option<Instant> {
        let procedure = self.procedure.as_ref().and_then(Procedure::deadline);
        let reachability = self.reachability.map(Reachability::deadline);
        let paging = self.paging.as_ref().and_then(Paging::deadline);
        let handover = self.handover.as_ref().map(Handover::deadline);
        let rekeying = self.n2.as_ref().and_then(|n2| n2.rekeying).map(Rekeying::deadline);
        let modifying = self.n2.as_ref().and_then(|n2| n2.modifying);
        let locating = self.locating.as_ref().map(Locating::deadline);
        let waiting = admission::deadline(self);
        let deadlines = [procedure, reachability, paging, handover, rekeying, modifying, locating, waiting];
        deadlines.into_iter().flatten().min()
    }

    /// Whether nothing would be lost with it.
    pub(crate) fn is_over(&self) -> bool {
        let idle = self.n2.is_none() && self.procedure.is_none() && self.sessions.is_empty();
        idle && self.waiting.is_empty() && !self.registered && self.reachability.is_none()
    }
}
