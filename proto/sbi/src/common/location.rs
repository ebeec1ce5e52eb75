//! Where a UE is, and where it may be: TS 29.571.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tern_types::{PlmnId, Tac, Tai};

use super::DateTime;
use crate::model::{model, open_enum};

model! {
    /// TS29571_CommonData UserLocation.
    pub struct UserLocation {
        optional { nr_location: NrLocation, }
    }
}

impl From<NrLocation> for UserLocation {
    fn from(location: NrLocation) -> Self {
        Self { nr_location: Some(location) }
    }
}

model! {
    /// TS29571_CommonData NrLocation.
    pub struct NrLocation {
        required {
            tai: Tai,
            ncgi: Ncgi,
        }
        optional {
            /// Minutes.
            age_of_location_information: u16,
            ue_location_timestamp: DateTime,
            global_gnb_id: GlobalRanNodeId,
        }
    }
}

model! {
    /// TS29571_CommonData Ncgi.
    pub struct Ncgi {
        required {
            plmn_id: PlmnId,
            nr_cell_id: NrCellId,
        }
    }
}

/// NR cell identity, 36 bits; nine hexadecimal digits (TS29571_CommonData NrCellId).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NrCellId(u64);

impl NrCellId {
    /// `None` beyond 36 bits.
    pub const fn new(id: u64) -> Option<Self> {
        if id >> 36 == 0 { Some(Self(id)) } else { None }
    }

    /// Its number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for NrCellId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:09x}", self.0)
    }
}

impl FromStr for NrCellId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let valid = text.len() == 9 && text.bytes().all(|b| b.is_ascii_hexdigit());
        match u64::from_str_radix(text, 16) {
            Ok(id) if valid => Ok(Self(id)),
            _ => Err("NR cell identity: expected 9 hexadecimal digits"),
        }
    }
}

impl Serialize for NrCellId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for NrCellId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        tern_types::deserialize_text(deserializer, str::parse)
    }
}

model! {
    /// TS29571_CommonData GlobalRanNodeId, of a gNB.
    pub struct GlobalRanNodeId {
        required { plmn_id: PlmnId, }
        optional { g_nb_id: GNbId, }
    }
}

model! {
    /// TS29571_CommonData GNbId.
    pub struct GNbId {
        required {
            /// 22 to 32.
            bit_length: u8,
            /// 6 to 8 hexadecimal digits.
            #[serde(rename = "gNBValue")]
            g_nb_value: String,
        }
    }
}

model! {
    /// TS29518_Namf_Communication NgRanTargetId.
    pub struct NgRanTargetId {
        required {
            ran_node_id: GlobalRanNodeId,
            tai: Tai,
        }
    }
}

model! {
    /// TS29571_CommonData ServiceAreaRestriction.
    pub struct ServiceAreaRestriction {
        optional {
            restriction_type: RestrictionType,
            #[serde(rename = "maxNumOfTAs")]
            max_num_of_tas: u32,
        }
        lists { areas: Area, }
    }
}

impl ServiceAreaRestriction {
    /// There is service everywhere: no area is forbidden.
    pub fn unrestricted() -> Self {
        Self { restriction_type: Some(RestrictionType::NotAllowedAreas), ..Self::default() }
    }
}

open_enum! {
    /// TS29571_CommonData RestrictionType.
    pub enum RestrictionType {
        AllowedAreas = "ALLOWED_AREAS",
        NotAllowedAreas = "NOT_ALLOWED_AREAS",
    }
}

model! {
    /// TS29571_CommonData Area: either of the two.
    pub struct Area {
        optional { area_code: String, }
        lists { tacs: Tac, }
    }
}
