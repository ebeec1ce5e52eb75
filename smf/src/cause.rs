//! Why the network says no to the UE: 5GSM causes (TS 24.501 §9.11.4.2), and what the AMF is told
//! with them (TS 29.502 §6.1.7.3).

use serde::{Deserialize, Serialize};

macro_rules! gsm_causes {
    ($($(#[$doc:meta])* $name:ident = $value:literal,)*) => {
        /// 5GSM cause (TS 24.501 §9.11.4.2), those that this SMF sends.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[repr(u8)]
        pub enum GsmCause {
            $($(#[$doc])* $name = $value,)*
        }

        impl GsmCause {
            /// The cause's number.
            pub const fn value(self) -> u8 {
                self as u8
            }
        }
    };
}

gsm_causes! {
    /// Insufficient resources.
    InsufficientResources = 26,
    /// Missing or unknown DNN.
    MissingOrUnknownDnn = 27,
    /// Unknown PDU session type.
    UnknownPduSessionType = 28,
    /// User authentication or authorization failed.
    UserAuthenticationFailed = 29,
    /// Request rejected, unspecified.
    RequestRejected = 31,
    /// Service option not supported.
    ServiceOptionNotSupported = 32,
    /// Requested service option not subscribed.
    ServiceOptionNotSubscribed = 33,
    /// PTI already in use.
    PtiAlreadyInUse = 35,
    /// Regular deactivation.
    RegularDeactivation = 36,
    /// 5GS QoS not accepted.
    QosNotAccepted = 37,
    /// Network failure.
    NetworkFailure = 38,
    /// Reactivation requested.
    ReactivationRequested = 39,
    /// Invalid PDU session identity.
    InvalidPduSessionIdentity = 43,
    /// PTI mismatch.
    PtiMismatch = 47,
    /// PDU session type IPv4 only allowed.
    Ipv4OnlyAllowed = 50,
    /// PDU session type IPv6 only allowed.
    Ipv6OnlyAllowed = 51,
    /// PDU session does not exist.
    PduSessionDoesNotExist = 54,
    /// PDU session type IPv4v6 only allowed.
    Ipv4v6OnlyAllowed = 57,
    /// Insufficient resources for specific slice and DNN.
    InsufficientResourcesForSliceAndDnn = 67,
    /// Not supported SSC mode.
    NotSupportedSscMode = 68,
    /// Insufficient resources for specific slice.
    InsufficientResourcesForSlice = 69,
    /// Missing or unknown DNN in a slice.
    MissingOrUnknownDnnInSlice = 70,
    /// Invalid PTI value.
    InvalidPtiValue = 81,
    /// Maximum data rate per UE for user-plane integrity protection is too low.
    IntegrityProtectionRateTooLow = 82,
    /// Semantically incorrect message.
    SemanticallyIncorrectMessage = 95,
    /// Invalid mandatory information.
    InvalidMandatoryInformation = 96,
    /// Message type non-existent or not implemented.
    MessageTypeNonExistent = 97,
    /// Message type not compatible with the protocol state.
    MessageTypeNotCompatible = 98,
    /// Message not compatible with the protocol state.
    MessageNotCompatible = 101,
    /// Protocol error, unspecified.
    ProtocolError = 111,
}

/// Why an establishment is refused: one 5GSM cause, one status and one application error each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// The SM container is missing or cannot be read.
    InvalidRequest(GsmCause),
    /// The subscriber may not use the slice.
    SnssaiDenied,
    /// The subscriber may not use the DNN.
    DnnDenied,
    /// This SMF does not serve the DNN at all.
    DnnNotSupported,
    /// This SMF does not serve the DNN in the slice.
    DnnNotSupportedInSlice,
    /// Another type than IPv4 was asked for, which alone is served or subscribed.
    Ipv4Only,
    /// Another type than IPv6 was asked for, which alone is served or subscribed.
    Ipv6Only,
    /// One version was asked for, and the subscription allows both together alone.
    Ipv4v6Only,
    /// A type that this SMF does not serve, or that is not subscribed.
    PduSessionType,
    /// Not SSC mode 1.
    SscMode,
    /// The UE's integrity protection is slower than the subscription's policy needs.
    IntegrityProtectionRate,
    /// The subscriber is unknown.
    Subscriber,
    /// The UDM has no answer.
    SubscriptionUnavailable,
    /// The policy control function refused.
    Policy,
    /// The policy control function has no answer.
    PolicyUnavailable,
    /// No address is free, or the static one is in use.
    Address,
    /// No UPF serves DNN and slice, or each is full.
    NoUpf,
    /// The UPF refused or did not answer.
    Upf,
    /// The access network could not set up its resources.
    AccessNetwork,
    /// This SMF holds all sessions it may.
    SessionLimit,
    /// An emergency session; not served.
    Emergency,
}

impl Refusal {
    /// What the UE is told.
    pub const fn cause(self) -> GsmCause {
        match self {
            Self::InvalidRequest(cause) => cause,
            Self::SnssaiDenied => GsmCause::ServiceOptionNotSubscribed, // #33
            Self::DnnDenied | Self::DnnNotSupported => GsmCause::MissingOrUnknownDnn, // #27
            Self::DnnNotSupportedInSlice => GsmCause::MissingOrUnknownDnnInSlice, // #70
            Self::Ipv4Only => GsmCause::Ipv4OnlyAllowed,                // #50
            Self::Ipv6Only => GsmCause::Ipv6OnlyAllowed,                // #51
            Self::Ipv4v6Only => GsmCause::Ipv4v6OnlyAllowed,            // #57
            Self::PduSessionType => GsmCause::UnknownPduSessionType,    // #28
            Self::SscMode => GsmCause::NotSupportedSscMode,             // #68
            Self::IntegrityProtectionRate => GsmCause::IntegrityProtectionRateTooLow, // #82
            Self::Subscriber | Self::Policy => GsmCause::UserAuthenticationFailed, // #29
            Self::SubscriptionUnavailable | Self::PolicyUnavailable => GsmCause::NetworkFailure, // #38
            Self::Address => GsmCause::InsufficientResourcesForSliceAndDnn, // #67
            Self::NoUpf => GsmCause::InsufficientResourcesForSlice,     // #69
            Self::Upf | Self::AccessNetwork | Self::SessionLimit => GsmCause::InsufficientResources, // #26
            Self::Emergency => GsmCause::ServiceOptionNotSupported,     // #32
        }
    }

    /// HTTP status code and application error that the AMF is told.
    pub const fn problem(self) -> (u16, &'static str) {
        match self {
            Self::InvalidRequest(_) => (403, "N1_SM_ERROR"),
            Self::SnssaiDenied => (403, "SNSSAI_DENIED"),
            Self::DnnDenied => (403, "DNN_DENIED"),
            Self::DnnNotSupported | Self::DnnNotSupportedInSlice => (403, "DNN_NOT_SUPPORTED"),
            Self::Ipv4Only => (403, "PDUTYPE_NOT_SUPPORTED"),
            Self::Ipv6Only | Self::Ipv4v6Only => (403, "PDUTYPE_DENIED"),
            Self::PduSessionType => (403, "PDUTYPE_NOT_SUPPORTED"),
            Self::SscMode => (403, "SSC_NOT_SUPPORTED"),
            Self::IntegrityProtectionRate => (403, "INTEGRITY_PROTECTED_MDR_NOT_ACCEPTABLE"),
            Self::Subscriber | Self::Policy => (403, "SUBSCRIPTION_DENIED"),
            Self::SubscriptionUnavailable | Self::PolicyUnavailable => (504, "PEER_NOT_RESPONDING"),
            Self::Address => (500, "INSUFFICIENT_RESOURCES_SLICE_DNN"),
            Self::NoUpf => (500, "INSUFFICIENT_RESOURCES_SLICE"),
            Self::Upf => (504, "UPF_NOT_RESPONDING"),
            Self::AccessNetwork => (403, "N2_SM_ERROR"),
            Self::SessionLimit => (500, "INSUFFICIENT_RESOURCES"),
            Self::Emergency => (403, "REQUEST_NOT_SUPPORTED"),
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (5GSM cause #{})", self.problem().1, self.cause().value())
    }
}
