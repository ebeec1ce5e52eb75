//! Data types that several services share: TS 29.571 and the enumerations of TS 29.510.

mod date_time;
mod enums;
mod location;
mod octets;
mod patch;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tern_types::{Arp, Dnn, PlmnId};

pub use crate::{InvalidParam, ProblemDetails, RefToBinaryData};
pub use date_time::DateTime;
pub use enums::{
    AccessType, CoreNetworkType, NfType, OdbPacketServices, PduSessionType, PresenceState, RatType,
    ServiceName, SscMode, UriScheme,
};
pub use location::{
    Area, GNbId, GlobalRanNodeId, Ncgi, NgRanTargetId, NrCellId, NrLocation, RestrictionType,
    ServiceAreaRestriction, UserLocation,
};
pub use octets::{Base64, Octets, Secret, SecretText};
pub use patch::{ChangeItem, ChangeType, NotifyItem, PatchItem, PatchOperation, PatchResult, ReportItem};

/// TS29571_CommonData NfInstanceId.
pub type NfInstanceId = uuid::Uuid;

/// TS29571_CommonData SupportedFeatures: hexadecimal digits, the last one features 1 to 4.
pub type SupportedFeatures = String;

/// TS29571_CommonData 5Qi: 0 to 255.
pub type FiveQi = u8;

/// A PLMN as a path segment: MCC and MNC without separator (TS29505_Subscription_Data
/// VarPlmnId).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VarPlmnId(pub PlmnId);

impl fmt::Display for VarPlmnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.0.mcc(), self.0.mnc())
    }
}

impl FromStr for VarPlmnId {
    type Err = tern_types::ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (mcc, mnc) = text.split_at_checked(3).unwrap_or((text, ""));
        PlmnId::new(mcc, mnc).map(Self)
    }
}

/// An absolute URI, as text. [`Location::parse`](crate::Location::parse) splits it.
pub type Uri = String;

/// TS29571_CommonData RfspIndex: indices to RAT/frequency selection priority.
pub const RFSP_INDICES: std::ops::RangeInclusive<u16> = 1..=256;

crate::model::model! {
    /// TS29571_CommonData PlmnIdNid; without `nid` the JSON of a [`PlmnId`].
    pub struct PlmnIdNid {
        required {
            #[serde(flatten)]
            plmn_id: PlmnId,
        }
        optional { nid: String, }
    }
}

crate::model::model! {
    /// TS29571_CommonData SubscribedDefaultQos.
    pub struct SubscribedDefaultQos {
        required {
            #[serde(rename = "5qi")]
            five_qi: FiveQi,
            arp: Arp,
        }
        optional { priority_level: u8, }
    }
}

crate::model::model! {
    /// TS29571_CommonData UpSecurity.
    pub struct UpSecurity {
        required {
            up_integr: UpSecurityPolicy,
            up_confid: UpSecurityPolicy,
        }
    }
}

crate::model::open_enum! {
    /// TS29571_CommonData UpIntegrity and UpConfidentiality.
    pub enum UpSecurityPolicy {
        Required = "REQUIRED",
        Preferred = "PREFERRED",
        NotNeeded = "NOT_NEEDED",
    }
}

crate::model::model! {
    /// TS29571_CommonData NgApCause: `group` 0 radio network, 1 transport, 2 NAS, 3 protocol,
    /// 4 miscellaneous; `value` as the group's enumeration in TS 38.413 counts.
    pub struct NgApCause {
        required {
            group: u32,
            value: u32,
        }
    }
}

crate::model::model! {
    /// TS29571_CommonData BackupAmfInfo.
    pub struct BackupAmfInfo {
        required { backup_amf: String, }
        lists { guami_list: tern_types::Guami, }
    }
}

crate::model::model! {
    /// TS29571_CommonData IpAddr and TS29503_Nudm_SDM IpAddress: one of the three.
    pub struct IpAddr {
        optional {
            ipv4_addr: Ipv4Addr,
            ipv6_addr: Ipv6Addr,
            ipv6_prefix: String,
        }
    }
}

crate::model::model! {
    /// TS29571_CommonData Link.
    pub struct Link {
        optional { href: Uri, }
    }
}

/// TS29571_CommonData LinksValueSchema.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum LinksValue {
    /// One link.
    One(Link),
    /// Several of one relation.
    Many(Vec<Link>),
}

/// `_links` of a 3gppHal+json body, by relation.
pub type Links = BTreeMap<String, LinksValue>;

impl LinksValue {
    /// One link to `href`.
    pub fn to(href: Uri) -> Self {
        Self::One(Link { href: Some(href) })
    }

    /// Where the first link leads.
    pub fn href(&self) -> Option<&str> {
        match self {
            Self::One(link) => link.href.as_deref(),
            Self::Many(links) => links.first()?.href.as_deref(),
        }
    }
}

/// A DNN, or `*` for any other (TS29571_CommonData Dnn, WildcardDnn).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DnnOrWildcard {
    /// This data network.
    Dnn(Dnn),
    /// Any that is not named beside it.
    Wildcard,
}

impl DnnOrWildcard {
    /// The DNN, unless the wildcard.
    pub fn dnn(&self) -> Option<&Dnn> {
        match self {
            Self::Dnn(dnn) => Some(dnn),
            Self::Wildcard => None,
        }
    }

    /// Whether `dnn` is meant.
    pub fn covers(&self, dnn: &Dnn) -> bool {
        self.dnn().is_none_or(|own| own == dnn)
    }
}

impl From<Dnn> for DnnOrWildcard {
    fn from(dnn: Dnn) -> Self {
        Self::Dnn(dnn)
    }
}

impl fmt::Display for DnnOrWildcard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.dnn().map_or("*", Dnn::as_str))
    }
}

impl FromStr for DnnOrWildcard {
    type Err = tern_types::ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "*" { Ok(Self::Wildcard) } else { text.parse().map(Self::Dnn) }
    }
}

impl TryFrom<String> for DnnOrWildcard {
    type Error = tern_types::ParseError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<DnnOrWildcard> for String {
    fn from(dnn: DnnOrWildcard) -> Self {
        dnn.to_string()
    }
}
