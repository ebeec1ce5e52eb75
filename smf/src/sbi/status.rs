//! Nsmf_PDUSession_SMContextStatusNotify, sent (TS 29.502 §5.2.2.5).

use tern_nf::Target;
use tern_sbi::nsmf_pdusession::{
    Cause as StatusCause, ResourceStatus, SmContextStatusNotification, SmContextStatusNotify, StatusInfo,
};

use crate::context::PduSession;
use crate::core::Core;
use crate::gsm::Cause;
use crate::io::Awaited;

/// Tells the AMF that the context is no more.
pub fn released(core: &mut Core<'_>, session: &PduSession, cause: Cause) -> Awaited<SmContextStatusNotify> {
    let cause = matches!(cause, Cause::Duplicate { .. }).then_some(StatusCause::RelDueToDuplicateSessionId);
    let status_info = StatusInfo { cause, ..StatusInfo::new(ResourceStatus::Released) };
    let operation = SmContextStatusNotify {
        path: session.status.path.clone(),
        notification: SmContextStatusNotification::new(status_info),
    };
    core.out.request(session.reference, Target::ApiRoot(session.status.api_root.clone()), &operation)
}
