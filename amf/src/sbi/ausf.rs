//! Nausf_UEAuthentication, consumed: TS 29.509.

use tern_nf::{Selection, Target};
use tern_sbi::common::{Base64, NfType, Secret, ServiceName};
use tern_sbi::nausf_auth::{Confirm5gAka, ConfirmationData, EapAuthMethod, EapSession};
use tern_sbi::{Location, Operation, PathParams};
use tern_types::Supi;

use crate::Amf;
use crate::io::Awaited;
use crate::ue::UeContext;

/// An AUSF for a SUPI or SUCI.
pub(crate) fn target(identity: &str) -> Target {
    let supi = identity.parse::<Supi>().ok();
    let selection = Selection { supi, ..Selection::default() };
    Target::selected(NfType::Ausf, ServiceName::NausfAuth, selection)
}

/// Hands RES* to the AUSF that gave the vector; `None` if its URI makes no sense.
pub(crate) fn confirm(
    ue: &mut UeContext,
    amf: &mut Amf,
    confirmation: &Location,
    res_star: [u8; 16],
) -> Option<Awaited<Confirm5gAka>> {
    let params = PathParams::matching(Confirm5gAka::PATH, &confirmation.path)?;
    let operation = Confirm5gAka {
        auth_ctx_id: params.0.into_iter().next()?,
        confirmation: ConfirmationData::new(Secret::new(res_star)),
    };
    Some(amf.request(ue.id, Target::ApiRoot(confirmation.api_root.clone()), &operation))
}

/// Hands the UE's packet to the AUSF that has the EAP session; `None` if its URI makes no sense.
pub(crate) fn pass_on(
    ue: &mut UeContext,
    amf: &mut Amf,
    uri: &Location,
    packet: &[u8],
) -> Option<Awaited<EapAuthMethod>> {
    let params = PathParams::matching(EapAuthMethod::PATH, &uri.path)?;
    let session = EapSession::new(Base64(packet.to_vec()));
    let operation = EapAuthMethod { auth_ctx_id: params.0.into_iter().next()?, session };
    Some(amf.request(ue.id, Target::ApiRoot(uri.api_root.clone()), &operation))
}
