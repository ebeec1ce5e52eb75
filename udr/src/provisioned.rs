//! Provisioned data and policy data: TS 29.505 §5.2, TS 29.519 §5.2.

use tern_sbi::Response;
use tern_sbi::nudm_sdm::DataSetName;
use tern_sbi::nudr_dr::{
    ProvisionedDataSets, QueryAmData, QueryProvisionedData, QuerySmData, QuerySmfSelectData,
    ReadAmPolicyData, ReadSmPolicyData,
};
use tern_sbi_transport::Routes;

use crate::Udr;
use crate::repository::refuse;

/// Answers each read with the document made from the subscriber's record.
macro_rules! answer {
    ($routes:expr, $udr:expr, $operation:ty, |$subscriber:ident, $op:ident| $document:expr) => {{
        let udr = $udr.clone();
        $routes.on(move |_, $op: $operation| {
            let udr = udr.clone();
            async move {
                let $subscriber = udr.repository.known(&$op.ue_id).await?;
                $document.map(Response::ok)
            }
        })
    }};
}

pub(crate) fn routes(udr: &Udr, routes: Routes) -> Routes {
    let routes = answer!(routes, udr, QueryProvisionedData, |subscriber, op| {
        let wanted = |name: DataSetName| op.dataset_names.as_ref().is_none_or(|names| names.contains(&name));
        Ok(ProvisionedDataSets {
            am_data: wanted(DataSetName::Am).then(|| subscriber.am_data()),
            smf_sel_data: wanted(DataSetName::SmfSel).then(|| subscriber.smf_selection_data()),
            sm_data: wanted(DataSetName::Sm).then(|| subscriber.sm_data(None, None)),
        })
    });
    let routes = answer!(routes, udr, QueryAmData, |subscriber, op| Ok(subscriber.am_data()));
    let routes =
        answer!(routes, udr, QuerySmfSelectData, |subscriber, op| Ok(subscriber.smf_selection_data()));
    let routes = answer!(routes, udr, QuerySmData, |subscriber, op| {
        let known = op.single_nssai.is_none_or(|snssai| subscriber.slice(snssai).is_some());
        let data = subscriber.sm_data(op.single_nssai, op.dnn.as_ref());
        if known { Ok(data) } else { Err(refuse(404, "DATA_NOT_FOUND")) }
    });
    let routes = answer!(routes, udr, ReadAmPolicyData, |subscriber, op| Ok(subscriber.am_policy_data()));
    answer!(routes, udr, ReadSmPolicyData, |subscriber, op| {
        Ok(subscriber.sm_policy_data(op.snssai, op.dnn.as_ref()))
    })
}
