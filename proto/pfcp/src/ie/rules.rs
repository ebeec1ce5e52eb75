//! What rules say: SDF filters, gates, rates, markings.

use crate::error::{DecodeError, Fault};
use crate::wire::{Cursor, Value};

/// SDF Filter (TS 29.244 §8.2.5).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SdfFilter {
    /// Flow Description: an IPFilterRule as TS 29.212 §5.4.2 restricts it.
    pub flow_description: Option<String>,
    /// ToS or traffic class, then its mask.
    pub tos_traffic_class: Option<[u8; 2]>,
    /// IPsec security parameter index.
    pub security_parameter_index: Option<u32>,
    /// IPv6 flow label, 20 bits.
    pub flow_label: Option<u32>,
    /// SDF Filter ID, by which another rule of the session refers to this filter.
    pub filter_id: Option<u32>,
}

impl SdfFilter {
    /// With a flow description alone.
    pub fn flow(description: &str) -> Self {
        Self { flow_description: Some(description.to_owned()), ..Self::default() }
    }
}

impl Value for SdfFilter {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        let flags = cursor.u8()?;
        cursor.u8()?;
        let mut filter = Self::default();
        if flags & 1 != 0 {
            let length = usize::from(cursor.u16()?);
            let text = std::str::from_utf8(cursor.take(length)?);
            let text = text.map_err(|_| cursor.error(Fault::Value))?;
            filter.flow_description = Some(text.to_owned());
        }
        filter.tos_traffic_class = (flags & 2 != 0).then(|| cursor.array()).transpose()?;
        filter.security_parameter_index = (flags & 4 != 0).then(|| cursor.u32()).transpose()?;
        filter.flow_label = (flags & 8 != 0).then(|| cursor.u24()).transpose()?;
        filter.filter_id = (flags & 16 != 0).then(|| cursor.u32()).transpose()?;
        Ok(filter)
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(
            u8::from(self.flow_description.is_some())
                | u8::from(self.tos_traffic_class.is_some()) << 1
                | u8::from(self.security_parameter_index.is_some()) << 2
                | u8::from(self.flow_label.is_some()) << 3
                | u8::from(self.filter_id.is_some()) << 4,
        );
        out.push(0);
        if let Some(text) = &self.flow_description {
            let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(text.as_bytes());
        }
        if let Some(class) = self.tos_traffic_class {
            out.extend_from_slice(&class);
        }
        if let Some(index) = self.security_parameter_index {
            out.extend_from_slice(&index.to_be_bytes());
        }
        if let Some(label) = self.flow_label {
            out.extend_from_slice(&label.to_be_bytes()[1..]);
        }
        if let Some(id) = self.filter_id {
            out.extend_from_slice(&id.to_be_bytes());
        }
    }
}

/// Gate Status (TS 29.244 §8.2.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GateStatus {
    /// The uplink gate is closed.
    pub uplink_closed: bool,
    /// The downlink gate is closed.
    pub downlink_closed: bool,
}

impl Value for GateStatus {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        let gates = cursor.u8()?;
        let closed = |gate: u8| match gate {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(cursor.error(Fault::Value)),
        };
        Ok(Self { uplink_closed: closed(gates >> 2 & 3)?, downlink_closed: closed(gates & 3)? })
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.uplink_closed) << 2 | u8::from(self.downlink_closed));
    }
}

/// MBR (TS 29.244 §8.2.8) or GBR (§8.2.9), in kilobits (1000 bits) a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BitRate {
    /// Uplink, at most 40 bits wide.
    pub uplink_kbps: u64,
    /// Downlink, at most 40 bits wide.
    pub downlink_kbps: u64,
}

const KBPS_MAX: u64 = 0xFF_FFFF_FFFF;

impl Value for BitRate {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        Ok(Self { uplink_kbps: cursor.u40()?, downlink_kbps: cursor.u40()? })
    }

    fn write(&self, out: &mut Vec<u8>) {
        for rate in [self.uplink_kbps, self.downlink_kbps] {
            out.extend_from_slice(&rate.min(KBPS_MAX).to_be_bytes()[3..]);
        }
    }
}

/// RQI (TS 29.244 §8.2.88): whether reflective QoS is indicated to the UE.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rqi(pub bool);

impl Value for Rqi {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        Ok(Self(cursor.u8()? & 1 != 0))
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.0));
    }
}

/// Transport Level Marking (TS 29.244 §8.2.12): ToS or traffic class, then its mask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransportLevelMarking(pub [u8; 2]);

impl Value for TransportLevelMarking {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        cursor.array().map(Self)
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
}

/// DL Flow Level Marking (TS 29.244 §8.2.66).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DlFlowLevelMarking {
    /// ToS or traffic class, then its mask.
    pub tos_traffic_class: Option<[u8; 2]>,
    /// Service Class Indicator.
    pub service_class_indicator: Option<[u8; 2]>,
}

impl Value for DlFlowLevelMarking {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        let flags = cursor.u8()?;
        Ok(Self {
            tos_traffic_class: (flags & 1 != 0).then(|| cursor.array()).transpose()?,
            service_class_indicator: (flags & 2 != 0).then(|| cursor.array()).transpose()?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(
            u8::from(self.tos_traffic_class.is_some())
                | u8::from(self.service_class_indicator.is_some()) << 1,
        );
        for pair in [self.tos_traffic_class, self.service_class_indicator].into_iter().flatten() {
            out.extend_from_slice(&pair);
        }
    }
}

/// Downlink Data Service Information (TS 29.244 §8.2.27).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DownlinkDataServiceInformation {
    /// Paging policy indication: the DSCP of the packet.
    pub paging_policy_indication: Option<u8>,
    /// QFI of the packet.
    pub qfi: Option<u8>,
}

impl Value for DownlinkDataServiceInformation {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        let flags = cursor.u8()?;
        let mut six_bits =
            |bit: u8| (flags & bit != 0).then(|| cursor.u8().map(|octet| octet & 0x3F)).transpose();
        Ok(Self { paging_policy_indication: six_bits(1)?, qfi: six_bits(2)? })
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.paging_policy_indication.is_some()) | u8::from(self.qfi.is_some()) << 1);
        out.extend(self.paging_policy_indication);
        out.extend(self.qfi);
    }
}
