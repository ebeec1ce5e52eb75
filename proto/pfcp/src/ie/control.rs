//! Cause, features, flags and what else steers the procedures.

use std::fmt;

use crate::error::{DecodeError, Fault};
use crate::ie::{BarId, FarId, PdrId, QerId, UrrId, flags};
use crate::wire::{Cursor, Value};

/// Cause (TS 29.244 §8.2.1). Kept as its number: a peer may send one that we do not know.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Cause(pub u8);

macro_rules! causes {
    ($($name:ident = $value:literal, $text:literal;)*) => {
        impl Cause {
            $(#[doc = $text] pub const $name: Self = Self($value);)*

            /// The cause in words.
            pub fn text(self) -> &'static str {
                match self.0 {
                    $($value => $text,)*
                    _ => "unknown cause",
                }
            }
        }
    };
}

causes! {
    REQUEST_ACCEPTED = 1, "Request accepted";
    MORE_USAGE_REPORT_TO_SEND = 2, "More usage report to send";
    REQUEST_PARTIALLY_ACCEPTED = 3, "Request partially accepted";
    REQUEST_REJECTED = 64, "Request rejected";
    SESSION_CONTEXT_NOT_FOUND = 65, "Session context not found";
    MANDATORY_IE_MISSING = 66, "Mandatory IE missing";
    CONDITIONAL_IE_MISSING = 67, "Conditional IE missing";
    INVALID_LENGTH = 68, "Invalid length";
    MANDATORY_IE_INCORRECT = 69, "Mandatory IE incorrect";
    INVALID_FORWARDING_POLICY = 70, "Invalid forwarding policy";
    INVALID_F_TEID_ALLOCATION_OPTION = 71, "Invalid F-TEID allocation option";
    NO_ESTABLISHED_PFCP_ASSOCIATION = 72, "No established PFCP association";
    RULE_CREATION_MODIFICATION_FAILURE = 73, "Rule creation or modification failure";
    PFCP_ENTITY_IN_CONGESTION = 74, "PFCP entity in congestion";
    NO_RESOURCES_AVAILABLE = 75, "No resources available";
    SERVICE_NOT_SUPPORTED = 76, "Service not supported";
    SYSTEM_FAILURE = 77, "System failure";
    REDIRECTION_REQUESTED = 78, "Redirection requested";
    ALL_DYNAMIC_ADDRESSES_ARE_OCCUPIED = 79, "All dynamic addresses are occupied";
    UNKNOWN_PRE_DEFINED_RULE = 80, "Unknown pre-defined rule";
    UNKNOWN_APPLICATION_ID = 81, "Unknown application ID";
}

impl Cause {
    /// Whether the request did what it asked for, at least in part.
    pub fn is_accepted(self) -> bool {
        matches!(self.0, 1..=63)
    }
}

impl Default for Cause {
    /// Request accepted.
    fn default() -> Self {
        Self::REQUEST_ACCEPTED
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (#{})", self.text(), self.0)
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cause({self})")
    }
}

impl Value for Cause {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        cursor.u8().map(Self)
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(self.0);
    }
}

flags! {
    /// UP Function Features (TS 29.244 §8.2.25).
    UpFunctionFeatures(u64) read 1 write 2 {
        /// Downlink data buffering in the CP function.
        BUCP = 0;
        /// Downlink Data Notification Delay.
        DDND = 1;
        /// DL Buffering Duration.
        DLBD = 2;
        /// Traffic steering.
        TRST = 3;
        /// F-TEIDs are allocated by the UP function.
        FTUP = 4;
        /// PFD management.
        PFDM = 5;
        /// Header enrichment of uplink traffic.
        HEEU = 6;
        /// Traffic redirection enforcement.
        TREU = 7;
        /// Sending of End Marker packets.
        EMPU = 8;
        /// PDI optimised signalling (traffic endpoints).
        PDIU = 9;
        /// UL and DL buffering control.
        UDBC = 10;
        /// Quota Action.
        QUOAC = 11;
        /// Trace.
        TRACE = 12;
        /// Framed routing.
        FRRT = 13;
        /// PFD contents with property.
        PFDE = 14;
        /// Enhanced PFCP association release.
        EPFAR = 15;
        /// Deferred PDR activation or deactivation.
        DPDRA = 16;
        /// Activation and deactivation of predefined PDRs.
        ADPDP = 17;
        /// UE IP addresses are allocated by the UP function.
        UEIP = 18;
        /// PFCP sessions controlled by an SMF set.
        SSET = 19;
        /// Measurement of number of packets.
        MNOP = 20;
        /// Multiple instances of Traffic Endpoint IDs.
        MTE = 21;
        /// PFCP messages bundling.
        BUNDL = 22;
        /// 5G VN group communication.
        GCOM = 23;
        /// Quota Validity Time.
        VTIME = 26;
    }

    /// CP Function Features (TS 29.244 §8.2.58).
    CpFunctionFeatures(u64) read 1 write 1 {
        /// Load control.
        LOAD = 0;
        /// Overload control.
        OVRL = 1;
        /// Enhanced PFCP association release.
        EPFAR = 2;
        /// PFCP sessions controlled by an SMF set.
        SSET = 3;
        /// PFCP messages bundling.
        BUNDL = 4;
        /// Multiple associations to one node ID.
        MPAS = 5;
        /// Additional usage reports in the session deletion response.
        ARDR = 6;
        /// UE IP address usage reporting.
        UIAUR = 7;
    }

    /// Apply Action (TS 29.244 §8.2.26).
    ApplyAction(u16) read 1 write 2 {
        /// Drop the packets.
        DROP = 0;
        /// Forward the packets.
        FORW = 1;
        /// Buffer the packets.
        BUFF = 2;
        /// Notify the CP function about the first buffered packet.
        NOCP = 3;
        /// Duplicate the packets.
        DUPL = 4;
        /// IP multicast accept.
        IPMA = 5;
        /// IP multicast deny.
        IPMD = 6;
        /// Duplicate for redundant transmission.
        DFRT = 7;
        /// Eliminate duplicates of redundant transmission.
        EDRT = 8;
        /// Notify about the first buffered downlink packet of a flow.
        BDPN = 9;
        /// Notify about the first discarded downlink packet of a flow.
        DDPN = 10;
    }

    /// PFCPSMReq-Flags (TS 29.244 §8.2.31).
    PfcpSmReqFlags(u8) read 1 write 1 {
        /// Drop the buffered packets.
        DROBU = 0;
        /// Send End Marker packets to the old tunnel.
        SNDEM = 1;
        /// Query all URRs.
        QAURR = 2;
    }

    /// PFCPSRRsp-Flags (TS 29.244 §8.2.32).
    PfcpSrRspFlags(u8) read 1 write 1 {
        /// Drop the buffered packets.
        DROBU = 0;
    }

    /// PFCPSRReq-Flags (TS 29.244 §8.2.119).
    PfcpSrReqFlags(u8) read 1 write 1 {
        /// The session is deleted by the UP function.
        PSDBU = 0;
    }

    /// PFCPSEReq-Flags (TS 29.244 §8.2.136).
    PfcpSeReqFlags(u8) read 1 write 1 {
        /// The session is one that the UP function has lost.
        RESTI = 0;
        /// Stop measuring usage where charging pauses.
        SUMPC = 1;
    }

    /// Report Type of a session report (TS 29.244 §8.2.21).
    ReportType(u8) read 1 write 1 {
        /// Downlink Data Report.
        DLDR = 0;
        /// Usage Report.
        USAR = 1;
        /// Error Indication Report.
        ERIR = 2;
        /// User Plane Inactivity Report.
        UPIR = 3;
        /// TSC Management Information Report.
        TMIR = 4;
        /// Session Report.
        SESR = 5;
        /// UP Initiated Session Request.
        UISR = 6;
    }

    /// Node Report Type (TS 29.244 §8.2.69).
    NodeReportType(u8) read 1 write 1 {
        /// User Plane Path Failure Report.
        UPFR = 0;
        /// User Plane Path Recovery Report.
        UPRR = 1;
        /// Clock Drift Report.
        CKDR = 2;
        /// GTP-U Path QoS Report.
        GPQR = 3;
    }

    /// PFCP Association Release Request (TS 29.244 §8.2.77).
    AssociationReleaseRequestFlags(u8) read 1 write 1 {
        /// The UP function asks for the release of the association.
        SARR = 0;
        /// Non-zero usage reports are sent for each affected session.
        URSS = 1;
    }

    /// OCI Flags (TS 29.244 §8.2.76).
    OciFlags(u8) read 1 write 1 {
        /// The overload concerns this node ID.
        AOCI = 0;
    }
}

/// A duration of TS 29.244 §8.2.35: units of 2 s, 1 min, 10 min, 1 h or 10 h, or for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timer(pub u8);

impl Timer {
    /// The shortest encoding of at least `seconds`.
    pub fn from_seconds(seconds: u32) -> Self {
        for (code, unit) in [(0u8, 2u32), (1, 60), (2, 600), (3, 3600), (4, 36_000)] {
            let count = seconds.div_ceil(unit);
            if count <= 31 {
                return Self(code << 5 | count as u8);
            }
        }
        Self(7 << 5)
    }

    /// The duration in seconds; `None` is infinite.
    pub fn seconds(self) -> Option<u32> {
        let count = u32::from(self.0 & 0x1F);
        match self.0 >> 5 {
            0 => Some(count * 2),
            2 => Some(count * 600),
            3 => Some(count * 3600),
            4 => Some(count * 36_000),
            7 => None,
            _ => Some(count * 60),
        }
    }
}

impl Value for Timer {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        cursor.u8().map(Self)
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(self.0);
    }
}

/// The rule that could not be created or changed (TS 29.244 §8.2.80).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailedRuleId {
    /// A PDR.
    Pdr(PdrId),
    /// A FAR.
    Far(FarId),
    /// A QER.
    Qer(QerId),
    /// A URR.
    Urr(UrrId),
    /// A BAR.
    Bar(BarId),
}

impl Default for FailedRuleId {
    fn default() -> Self {
        Self::Pdr(PdrId(0))
    }
}

impl Value for FailedRuleId {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        Ok(match cursor.u8()? & 0x0F {
            0 => Self::Pdr(Value::read(cursor)?),
            1 => Self::Far(Value::read(cursor)?),
            2 => Self::Qer(Value::read(cursor)?),
            3 => Self::Urr(Value::read(cursor)?),
            4 => Self::Bar(Value::read(cursor)?),
            _ => return Err(cursor.error(Fault::Value)),
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Pdr(id) => {
                out.push(0);
                id.write(out);
            }
            Self::Far(id) => {
                out.push(1);
                id.write(out);
            }
            Self::Qer(id) => {
                out.push(2);
                id.write(out);
            }
            Self::Urr(id) => {
                out.push(3);
                id.write(out);
            }
            Self::Bar(id) => {
                out.push(4);
                id.write(out);
            }
        }
    }
}

/// An IE that a rule was refused for, with the value received (TS 29.244 §8.2.185).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OffendingIeInformation {
    /// The type of the IE.
    pub ie_type: u16,
    /// Its value as received.
    pub value: Vec<u8>,
}

impl Value for OffendingIeInformation {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        Ok(Self { ie_type: cursor.u16()?, value: cursor.rest().to_vec() })
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.ie_type.to_be_bytes());
        out.extend_from_slice(&self.value);
    }
}
