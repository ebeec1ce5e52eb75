//! Causes (TS 38.413 §9.3.1.2) as plain values, and what a receiver answers to a faulty message
//! (TS 38.413 §10.3).

use std::fmt;

use oxirush_ngap::ngap::{
    Cause, CauseMisc, CauseNas, CauseProtocol, CauseRadioNetwork, CauseTransport, CriticalityDiagnostics,
    NGAP_PDU,
};
use oxirush_ngap::{Decode as _, Deviation, aper};
use serde::{Deserialize, Serialize};

use crate::DecodeError;

/// A cause as TS 29.571 NgApCause has it: group 0 radio network, 1 transport, 2 NAS, 3 protocol,
/// 4 miscellaneous; and the value of that group's enumeration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NgapCause {
    /// 0 to 4.
    pub group: u8,
    /// Index in the group's enumeration.
    pub value: u8,
}

impl NgapCause {
    /// From the IE; a group of a later release reads as protocol, unspecified.
    pub fn of(cause: &Cause) -> Self {
        let (group, value) = match cause {
            Cause::radioNetwork(cause) => (0, *cause as u8),
            Cause::transport(cause) => (1, *cause as u8),
            Cause::nas(cause) => (2, *cause as u8),
            Cause::protocol(cause) => (3, *cause as u8),
            Cause::misc(cause) => (4, *cause as u8),
            Cause::choice_Extensions(_) => (3, CauseProtocol::unspecified as u8),
        };
        Self { group, value }
    }

    /// The IE; refused for a group or value that the enumerations have not.
    pub fn to_ie(self) -> Result<Cause, DecodeError> {
        // Number of root values of each enumeration, which sets its width in APER.
        let root: u8 = match self.group {
            0 => 45,
            1 => 2,
            2 => 4,
            3 => 7,
            4 => 6,
            _ => return Err(DecodeError::value("Cause", format_args!("group {}", self.group))),
        };
        let root_bits = u32::from(8 - (root - 1).leading_zeros() as u8);
        // Choice index (3 bits), extension bit, then the value: root width, or a normally small
        // number of 7 bits with a leading zero (X.691 §14, §11.6).
        let (bits, width) = if self.value < root {
            (u32::from(self.group) << (1 + root_bits) | u32::from(self.value), 4 + root_bits)
        } else {
            let extended = u32::from(self.value - root) & 0x3f;
            (u32::from(self.group) << 8 | 1 << 7 | extended, 11)
        };
        let octets = ((bits as u16) << (16 - width)).to_be_bytes();
        let octets = &octets[..width.div_ceil(8) as usize];
        let mut reader = aper::Reader::new(octets);
        Cause::decode(&mut reader).map_err(|error| DecodeError::of("Cause", &error))
    }
}

impl fmt::Display for NgapCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_ie() {
            Ok(cause) => f.write_str(&describe(&cause)),
            Err(_) => write!(f, "cause {}/{}", self.group, self.value),
        }
    }
}

/// A cause for people: `radio network: user inactivity`.
pub fn describe(cause: &Cause) -> String {
    let (group, value) = match cause {
        Cause::radioNetwork(cause) => ("radio network", format!("{cause:?}")),
        Cause::transport(cause) => ("transport", format!("{cause:?}")),
        Cause::nas(cause) => ("NAS", format!("{cause:?}")),
        Cause::protocol(cause) => ("protocol", format!("{cause:?}")),
        Cause::misc(cause) => ("misc", format!("{cause:?}")),
        Cause::choice_Extensions(_) => return "a cause of a later release".into(),
    };
    format!("{group}: {}", value.replace('_', " "))
}

/// Shorthand for a radio network cause.
pub fn radio_network(cause: CauseRadioNetwork) -> Cause {
    Cause::radioNetwork(cause)
}

/// Shorthand for a transport cause.
pub fn transport(cause: CauseTransport) -> Cause {
    Cause::transport(cause)
}

/// Shorthand for a NAS cause.
pub fn nas(cause: CauseNas) -> Cause {
    Cause::nas(cause)
}

/// Shorthand for a protocol cause.
pub fn protocol(cause: CauseProtocol) -> Cause {
    Cause::protocol(cause)
}

/// Shorthand for a miscellaneous cause.
pub fn misc(cause: CauseMisc) -> Cause {
    Cause::misc(cause)
}

/// What TS 38.413 §10.3 makes of a received message.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// Go on.
    Accept,
    /// Go on, and tell the sender what was not understood (criticality "ignore and notify").
    Notify(Fault),
    /// Do not go on: answer with the procedure's failure message if it has one, else with an
    /// ERROR INDICATION.
    Reject(Fault),
    /// Do not go on and answer nothing: an unknown procedure of criticality "ignore".
    Ignore,
}

/// The cause and the diagnostics to answer with.
#[derive(Debug, Clone)]
pub struct Fault {
    /// Protocol cause.
    pub cause: CauseProtocol,
    /// Every deviation, for logs.
    pub deviations: Vec<String>,
    /// For the procedure's own response or failure message.
    pub response: CriticalityDiagnostics,
    /// For an ERROR INDICATION.
    pub error_indication: CriticalityDiagnostics,
}

/// Compares a message with its object set and decides by criticality (TS 38.413 §10.3.4, §10.3.5,
/// §10.3.6). An undecodable or unknown IE of criticality ignore does not stop the procedure.
pub fn judge(pdu: &NGAP_PDU) -> Result<Verdict, DecodeError> {
    use oxirush_ngap::ngap::Criticality;

    let deviations = pdu.check().map_err(|error| DecodeError::of("NGAP-PDU", &error))?;
    let mut worst: Option<(bool, CauseProtocol)> = None;
    for deviation in &deviations {
        if let Deviation::UnknownProcedure { criticality: Criticality::ignore, .. } = deviation {
            return Ok(Verdict::Ignore);
        }
        let Some(cause) = deviation.cause() else { continue };
        // §10.3.4.2: an IE that is not comprehended is treated by the criticality it came with.
        let stops = match deviation {
            Deviation::UndecodableIe { criticality, .. }
            | Deviation::OutsideRoot { criticality, .. }
            | Deviation::UnexpectedIe { criticality, .. }
            | Deviation::MissingIe { criticality, .. }
            | Deviation::UnknownProcedure { criticality, .. } => match criticality {
                Criticality::reject => true,
                Criticality::notify => false,
                Criticality::ignore => continue,
            },
            _ => true,
        };
        if worst.is_none_or(|(stopped, _)| stops && !stopped) {
            worst = Some((stops, cause));
        }
    }
    let Some((stops, cause)) = worst else { return Ok(Verdict::Accept) };
    let fault = Fault {
        cause,
        deviations: deviations.iter().map(ToString::to_string).collect(),
        response: pdu.criticality_diagnostics_for_response(&deviations),
        error_indication: pdu.criticality_diagnostics(&deviations),
    };
    Ok(if stops { Verdict::Reject(fault) } else { Verdict::Notify(fault) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{build_ngap, ngap::*};

    #[test]
    fn every_cause_round_trips_through_its_numbers() {
        for (group, values) in [(0u8, 65u8), (1, 2), (2, 8), (3, 7), (4, 6)] {
            for value in 0..values {
                let cause = NgapCause { group, value };
                assert_eq!(NgapCause::of(&cause.to_ie().unwrap()), cause, "{cause:?}");
            }
        }
        assert!(NgapCause { group: 5, value: 0 }.to_ie().is_err());
        let cause = radio_network(CauseRadioNetwork::user_inactivity);
        assert_eq!(describe(&cause), "radio network: user inactivity");
    }

    /// TS 38.413 §10.3.5: a mandatory IE of criticality reject is missing.
    #[test]
    fn when_a_mandatory_ie_is_missing_then_the_message_is_rejected() {
        let pdu = build_ngap!(InitiatingMessage, NGSetup, NGSetupRequest, DefaultPagingDRX(PagingDRX::v128),)
            .unwrap();
        let Verdict::Reject(fault) = judge(&pdu).unwrap() else { panic!("accepted") };
        assert_eq!(fault.cause, CauseProtocol::abstract_syntax_error_reject);
        assert_eq!(fault.response.ies_criticality_diagnostics.unwrap().0.len(), 2);
    }
}
