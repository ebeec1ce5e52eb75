//! Nnssf_NSSelection, consumed: TS 29.531.

use tern_nf::Target;
use tern_sbi::common::{NfType, ServiceName};
use tern_sbi::nnssf_nsselection::{GetSliceSelectionInfo, SliceInfoForRegistration, SubscribedSnssai};
use tern_types::Snssai;

use crate::Amf;
use crate::io::Awaited;
use crate::ue::UeContext;

/// Asks which of the requested slices the network serves, and where.
pub(crate) fn select(
    ue: &mut UeContext,
    amf: &mut Amf,
    requested: Option<&[Snssai]>,
) -> Awaited<GetSliceSelectionInfo> {
    let subscription = ue.subscription.as_ref();
    let subscribed = |slices: &[Snssai], default| -> Vec<SubscribedSnssai> {
        let one =
            |&slice| SubscribedSnssai { default_indication: Some(default), ..SubscribedSnssai::new(slice) };
        slices.iter().map(one).collect()
    };
    let mut subscribed_nssai = subscription.map(|s| subscribed(&s.default_slices, true)).unwrap_or_default();
    subscribed_nssai.extend(subscription.map(|s| subscribed(&s.slices, false)).unwrap_or_default());
    let registration = SliceInfoForRegistration {
        subscribed_nssai,
        requested_nssai: requested.unwrap_or_default().to_vec(),
        ..SliceInfoForRegistration::default()
    };
    let operation = GetSliceSelectionInfo {
        nf_type: NfType::Amf,
        nf_id: amf.nf_instance_id,
        registration: Some(registration),
        pdu_session: None,
        home_plmn_id: None,
        tai: ue.location.map(|location| location.tai),
        supported_features: None,
    };
    amf.request(ue.id, Target::service(NfType::Nssf, ServiceName::NnssfNsselection), &operation)
}
