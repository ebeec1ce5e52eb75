//! The PDU Session Container: TS 38.415 §5.5.2, carried as TS 29.281 §5.2.2.7 says.

/// DL PDU SESSION INFORMATION (PDU type 0) or UL PDU SESSION INFORMATION (type 1), what of it
/// both sides of N3 act upon. Other fields are skipped when read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PduSessionContainer {
    /// UL PDU SESSION INFORMATION.
    pub uplink: bool,
    /// QoS Flow Identifier, 0 to 63.
    pub qfi: u8,
    /// Reflective QoS Indicator; downlink only.
    pub rqi: bool,
    /// Paging Policy Indicator, 0 to 7; downlink only.
    pub ppi: Option<u8>,
}

impl PduSessionContainer {
    /// A packet to the UE.
    #[inline]
    pub fn downlink(qfi: u8) -> Self {
        Self { uplink: false, qfi, rqi: false, ppi: None }
    }

    /// A packet from the UE.
    #[inline]
    pub fn uplink(qfi: u8) -> Self {
        Self { uplink: true, qfi, rqi: false, ppi: None }
    }

    /// Octets of the extension header, its length and the next type included: 4 or 8.
    pub const fn length(&self) -> usize {
        if self.ppi.is_some() { 8 } else { 4 }
    }

    /// From the contents of the extension header, without its length and next type.
    #[inline]
    pub(crate) fn read(content: &[u8]) -> Option<Self> {
        let (&[first, second], rest) = content.split_first_chunk::<2>()?;
        let qfi = second & 0x3F;
        match first >> 4 {
            0 => {
                let ppi = if second & 0x80 != 0 { Some(rest.first()? >> 5) } else { None };
                Some(Self { uplink: false, qfi, rqi: second & 0x40 != 0, ppi })
            }
            1 => Some(Self { uplink: true, qfi, rqi: false, ppi: None }),
            _ => None,
        }
    }

    /// Writes the extension header; `next` is the type of the one after it. `out` has exactly
    /// [`Self::length`] octets.
    #[inline]
    pub(crate) fn write(&self, next: u8, out: &mut [u8]) {
        let pdu_type = u8::from(self.uplink) << 4;
        let flow = self.qfi & 0x3F | u8::from(self.rqi && !self.uplink) << 6;
        match self.ppi {
            None => out.copy_from_slice(&[1, pdu_type, flow, next]),
            Some(ppi) => out.copy_from_slice(&[2, pdu_type, flow | 0x80, (ppi & 7) << 5, 0, 0, 0, next]),
        }
    }
}
