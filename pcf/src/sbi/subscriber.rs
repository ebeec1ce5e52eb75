//! Nudr_DataRepository, policy data: a subscriber's categories (TS 29.519).

use tern_nf::Target;
use tern_sbi::common::{NfType, ServiceName};
use tern_sbi::nudr_dr::{ReadAmPolicyData, ReadSmPolicyData, SmPolicyData};
use tern_sbi::{Call, Operation, OperationError};
use tern_types::{Dnn, Duration, Snssai, Supi};

use super::Context;

/// Waiting for the UDR; a decision without categories is better than none.
const TIMEOUT: Duration = Duration::from_secs(2);

/// For access and mobility; none where the UDR has no data or does not answer.
pub(super) async fn access_categories(context: &Context, supi: &Supi) -> Vec<String> {
    let data = ask(context, supi, &ReadAmPolicyData::new(supi.clone())).await;
    data.map(|data| data.subsc_cats).unwrap_or_default()
}

/// For sessions of a slice and DNN; none where the UDR has no data or does not answer.
pub(super) async fn session_categories(
    context: &Context,
    supi: &Supi,
    slice: Snssai,
    dnn: &Dnn,
) -> Vec<String> {
    let op = ReadSmPolicyData {
        snssai: Some(slice),
        dnn: Some(dnn.clone()),
        ..ReadSmPolicyData::new(supi.clone())
    };
    let data = ask(context, supi, &op).await;
    data.map(|data| categories_of(&data, slice, dnn)).unwrap_or_default()
}

/// Those of a slice and DNN.
pub(super) fn categories_of(data: &SmPolicyData, slice: Snssai, dnn: &Dnn) -> Vec<String> {
    let in_slice = data.sm_policy_snssai_data.values().filter(|data| data.snssai == slice);
    let mut by_dnn = in_slice.flat_map(|data| data.sm_policy_dnn_data.values());
    by_dnn.find(|data| data.dnn == *dnn).map(|data| data.subsc_cats.clone()).unwrap_or_default()
}

async fn ask<O: Operation>(context: &Context, supi: &Supi, op: &O) -> Option<O::Answer> {
    let udr = Target::service(NfType::Udr, ServiceName::NudrDr);
    let call = Call { timeout: Some(TIMEOUT), ..Call::default() };
    match context.consumer.call(&udr, &call, op).await {
        Ok(response) => Some(response.body),
        Err(error) if OperationError::status(&error) == Some(404) => None,
        Err(error) => {
            context.env.counters.add("pcf.udr.failed", 1);
            tracing::warn!(%supi, %error, "no policy data: deciding without");
            None
        }
    }
}
