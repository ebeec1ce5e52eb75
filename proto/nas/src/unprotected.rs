//! Which messages are processed without integrity protection (TS 24.501 §4.4.4).

use oxirush_nas::nas_5gs::{GmmCause, MobileIdentityType, Nas5gmmMessage};

/// Whether a UE processes a message that is not integrity protected, before secure exchange of
/// NAS messages is established (TS 24.501 §4.4.4.2).
pub fn ue_accepts(message: &Nas5gmmMessage) -> bool {
    // Rejections that last are believed only when protected.
    let believed = |cause: Option<GmmCause>| {
        !cause.is_some_and(|cause| {
            matches!(
                cause.as_u8(),
                // #76 and the causes of SNPNs and of disaster roaming.
                76 | 78 | 81 | 82 | 93
            )
        })
    };
    match message {
        Nas5gmmMessage::IdentityRequest(request) => {
            request.identity_type.identity_type() == Some(MobileIdentityType::Suci)
        }
        Nas5gmmMessage::AuthenticationRequest(_)
        | Nas5gmmMessage::AuthenticationResult(_)
        | Nas5gmmMessage::AuthenticationReject(_)
        | Nas5gmmMessage::DeregistrationAcceptUeOriginating(_) => true,
        Nas5gmmMessage::RegistrationReject(reject) => believed(reject.fgmm_cause.cause()),
        Nas5gmmMessage::ServiceReject(reject) => believed(reject.fgmm_cause.cause()),
        _ => false,
    }
}

/// Whether an AMF processes a message that is not integrity protected, or whose check failed,
/// before secure exchange of NAS messages is established (TS 24.501 §4.4.4.3). SERVICE REQUEST is
/// processed too, to be rejected with cause #9 (same clause).
pub fn amf_accepts(message: &Nas5gmmMessage) -> bool {
    matches!(
        message,
        Nas5gmmMessage::RegistrationRequest(_)
            | Nas5gmmMessage::IdentityResponse(_)
            | Nas5gmmMessage::AuthenticationResponse(_)
            | Nas5gmmMessage::AuthenticationFailure(_)
            | Nas5gmmMessage::SecurityModeReject(_)
            | Nas5gmmMessage::DeregistrationRequestUeOriginating(_)
            | Nas5gmmMessage::DeregistrationAcceptUeTerminated(_)
            | Nas5gmmMessage::ServiceRequest(_)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nas_5gs::{
        NasFGmmCause, NasFGsIdentityType, NasIdentityRequest, NasRegistrationComplete, NasRegistrationReject,
    };

    #[test]
    fn only_what_the_clause_lists_is_believed_without_a_mac() {
        let reject = |cause| NasRegistrationReject::new(NasFGmmCause::new(cause)).into();
        assert!(ue_accepts(&reject(3)));
        assert!(!ue_accepts(&reject(76)));
        let identity = |kind| {
            let kind = NasFGsIdentityType::from_identity_type(kind).unwrap();
            ue_accepts(&NasIdentityRequest::new(kind).into())
        };
        assert!(identity(MobileIdentityType::Suci));
        assert!(!identity(MobileIdentityType::Imeisv));
        assert!(!amf_accepts(&NasRegistrationComplete::new().into()));
    }
}
