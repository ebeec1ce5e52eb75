//! What the N2 termination and the AMF core say to one another.
//!
//! Plain values: inside one process they travel by channel, between `tern n2` and the AMF
//! over a local stream.

use std::net::SocketAddr;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tern_types::{GlobalGnbId, Guami, PlmnId, Snssai, Tac, Tai};

/// A gNB's association; unique while the N2 termination lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GnbId(pub u32);

/// A gNB that has set up NG (TS 38.413 §8.7.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GnbInfo {
    /// Its association.
    pub id: GnbId,
    /// Global gNB ID.
    pub global: GlobalGnbId,
    /// RAN Node Name.
    pub name: Option<String>,
    /// Supported TA List.
    pub supported_tas: Vec<SupportedTa>,
    /// Default Paging DRX, in radio frames.
    pub default_paging_drx: u16,
    /// Where the association comes from.
    pub peer: Option<SocketAddr>,
}

impl GnbInfo {
    /// The slices that this gNB broadcasts for a tracking area; empty if it does not serve it.
    pub fn slices(&self, tai: Tai) -> impl Iterator<Item = Snssai> + '_ {
        let areas = self.supported_tas.iter().filter(move |ta| ta.tac == tai.tac);
        let plmns = areas.flat_map(|ta| &ta.plmns).filter(move |p| p.plmn == tai.plmn_id);
        plmns.flat_map(|p| p.slices.iter().copied())
    }
}

/// One tracking area of a gNB.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupportedTa {
    /// Tracking area code.
    pub tac: Tac,
    /// Broadcast PLMNs.
    pub plmns: Vec<SupportedPlmn>,
}

/// A PLMN and the slices served for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupportedPlmn {
    /// The network.
    pub plmn: PlmnId,
    /// Its slices.
    pub slices: Vec<Snssai>,
}

/// Which UE-associated connections an NG RESET is about (TS 38.413 §8.7.4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ResetScope {
    /// All of the gNB.
    All,
    /// Those with these AMF UE NGAP IDs and RAN UE NGAP IDs, either of which may be absent.
    Some(Vec<(Option<u64>, Option<u32>)>),
}

/// A place in what an N2 termination tells: behind the event with this number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Which N2 termination; each has another one.
    pub life: u64,
    /// Events up to there. [`N2Event::Attached`] and [`N2Event::Detached`] are not counted.
    pub number: u64,
}

/// N2 termination to AMF.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum N2Event {
    /// The N2 termination is there (again), with all the gNBs it has.
    Attached {
        /// Every gNB that has set up NG.
        gnbs: Vec<GnbInfo>,
        /// What comes next is what was told, or not told, behind this place.
        heard: Place,
        /// The last turn that N2 has taken of the AMF that goes on.
        turn: u64,
    },
    /// A gNB has set up NG.
    GnbUp(GnbInfo),
    /// A gNB has updated its configuration.
    GnbUpdated(GnbInfo),
    /// A gNB's association is gone.
    GnbDown(GnbId),
    /// An NGAP message for the core: its envelope decodes, its direction is right.
    Ngap {
        /// From whom.
        gnb: GnbId,
        /// SCTP stream it came on.
        stream: u16,
        /// The whole PDU.
        pdu: Bytes,
    },
    /// The gNB reset connections; the acknowledgement is the termination's affair.
    Reset {
        /// Which gNB.
        gnb: GnbId,
        /// Which connections.
        ues: ResetScope,
    },
    /// The N2 termination is gone; its gNBs may come back with it.
    Detached,
}

/// AMF to N2 termination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum N2Command {
    /// An NGAP message to send.
    Ngap {
        /// To whom.
        gnb: GnbId,
        /// SCTP stream.
        stream: u16,
        /// The whole PDU.
        pdu: Bytes,
    },
    /// Reset connections of a gNB.
    Reset {
        /// Which gNB.
        gnb: GnbId,
        /// Which connections.
        ues: ResetScope,
    },
    /// The AMF has done all that it was told up to there: what an AMF says first that goes on, and from time to time.
    Heard(Place),
    /// All commands of this turn of the AMF are said: N2 has taken them.
    Turn(u64),
    /// What the AMF serves: the content of NG SETUP RESPONSE.
    Configure(ServedAmf),
    /// Abort a gNB's association.
    Abort {
        /// Which gNB.
        gnb: GnbId,
    },
}

/// What an AMF says of itself in NG SETUP RESPONSE.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServedAmf {
    /// AMF Name.
    pub name: String,
    /// Served GUAMI List.
    pub guamis: Vec<Guami>,
    /// PLMN Support List.
    pub plmns: Vec<SupportedPlmn>,
    /// Tracking areas that the AMF serves.
    pub tais: Vec<Tai>,
    /// Relative AMF Capacity.
    pub relative_capacity: u8,
}
