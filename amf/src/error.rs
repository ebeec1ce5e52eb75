//! Refusals: what a UE is told, with the cause of TS 24.501 §9.11.3.2.

use serde::{Deserialize, Serialize};
use tern_nas::nas_5gs::GmmCause;

/// Why the network says no to a registration or another 5GMM procedure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// The SUPI is unknown or barred.
    #[error("unknown or barred subscriber")]
    IllegalUe,
    /// The subscription forbids 5GS.
    #[error("5GS services not allowed")]
    ServicesNotAllowed,
    /// No context for the identity that the UE gave.
    #[error("no context for the UE's identity")]
    IdentityUnknown,
    /// The context is gone on the network's side.
    #[error("implicitly deregistered")]
    ImplicitlyDeregistered,
    /// The network is not served, or the operator has barred the subscriber in it.
    #[error("PLMN not allowed")]
    PlmnNotAllowed,
    /// The subscription allows other core networks alone.
    #[error("N1 mode not allowed")]
    N1ModeNotAllowed,
    /// The tracking area is not served.
    #[error("tracking area not served")]
    NoSuitableCells,
    /// The UE has no service where it is.
    #[error("restricted service area")]
    RestrictedServiceArea,
    /// Too much to do, or a function that is needed does not answer.
    #[error("congestion")]
    Congestion,
    /// No algorithm that both sides may use.
    #[error("UE security capabilities do not fit")]
    SecurityCapabilitiesMismatch,
    /// The UE refused the security mode.
    #[error("security mode rejected")]
    SecurityModeRejected,
    /// No slice can be allowed.
    #[error("no network slices available")]
    NoNetworkSlicesAvailable,
    /// The home network does not let this network serve.
    #[error("serving network not authorized")]
    ServingNetworkNotAuthorized,
    /// A mandatory IE is wrong.
    #[error("invalid mandatory information")]
    InvalidMandatoryInformation,
    /// Anything else about the protocol.
    #[error("protocol error")]
    ProtocolError,
}

impl Refusal {
    /// One 5GMM cause each (TS 24.501 §9.11.3.2).
    pub fn cause(self) -> GmmCause {
        match self {
            Self::IllegalUe => GmmCause::IllegalUe,                         // #3
            Self::ServicesNotAllowed => GmmCause::FiveGsServicesNotAllowed, // #7
            Self::IdentityUnknown => GmmCause::UeIdentityCannotBeDerivedByTheNetwork, // #9
            Self::ImplicitlyDeregistered => GmmCause::ImplicitlyDeregistered, // #10
            Self::PlmnNotAllowed => GmmCause::PlmnNotAllowed,               // #11
            Self::NoSuitableCells => GmmCause::NoSuitableCellsInTrackingArea, // #15
            Self::Congestion => GmmCause::Congestion,                       // #22
            Self::SecurityCapabilitiesMismatch => GmmCause::UeSecurityCapabilitiesMismatch, // #23
            Self::N1ModeNotAllowed => GmmCause::N1ModeNotAllowed,           // #27
            Self::RestrictedServiceArea => GmmCause::RestrictedServiceArea, // #28
            Self::SecurityModeRejected => GmmCause::SecurityModeRejectedUnspecified, // #24
            Self::NoNetworkSlicesAvailable => GmmCause::NoNetworkSlicesAvailable, // #62
            Self::ServingNetworkNotAuthorized => GmmCause::ServingNetworkNotAuthorized, // #73
            Self::InvalidMandatoryInformation => GmmCause::InvalidMandatoryInformation, // #96
            Self::ProtocolError => GmmCause::ProtocolErrorUnspecified,      // #111
        }
    }
}
