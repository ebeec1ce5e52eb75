//! What a UE does wrong on purpose, for tests of the core.

use serde::Deserialize;

/// At this moment, do this instead of what the specification says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trick {
    /// When.
    pub at: Moment,
    /// What.
    #[serde(rename = "do")]
    pub what: Misdeed,
}

/// A message that the UE sends or answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// IDENTITY RESPONSE.
    IdentityResponse,
    /// AUTHENTICATION RESPONSE.
    AuthenticationResponse,
    /// SECURITY MODE COMPLETE.
    SecurityModeComplete,
    /// REGISTRATION COMPLETE.
    RegistrationComplete,
    /// PDU SESSION ESTABLISHMENT REQUEST.
    SessionRequest,
    /// PDU SESSION RELEASE COMPLETE.
    SessionReleaseComplete,
    /// DEREGISTRATION REQUEST.
    DeregistrationRequest,
}

/// A way to be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Misdeed {
    /// Sends nothing.
    Silence,
    /// Sends it with a wrong MAC.
    WrongMac,
    /// Sends it twice, octet for octet.
    Replay,
    /// Sends it in clear.
    Plain,
    /// Sends octets that are no NAS message instead.
    Garbage,
    /// Sends a wrong RES*, or RES in EAP; AUTHENTICATION RESPONSE alone.
    WrongRes,
    /// Sends AUTHENTICATION FAILURE with "MAC failure" once, or AKA'-Authentication-Reject in EAP;
    /// AUTHENTICATION RESPONSE alone.
    MacFailure,
    /// Sends SECURITY MODE REJECT; SECURITY MODE COMPLETE alone.
    Reject,
}
