//! Nudm_SubscriberDataManagement: TS 29.503 §5.2, §6.1.

use tern_sbi::common::AccessType;
use tern_sbi::nudm_sdm::{
    AccessAndMobilitySubscriptionData, AmfInfo, DataSetName, GetAmData, GetDataSets, GetNssai, GetSmData,
    GetSmfSelectData, GetUeContextInSmfData, Nssai, PduSession, SdmSubscription, SmSubsData,
    SmfSelectionSubscriptionData, Subscribe, SubscriptionDataSets, UeContextInAmfData, UeContextInSmfData,
    Unsubscribe,
};
use tern_sbi::{Call, PathParams, Response};
use tern_types::{PlmnId, Supi};

use crate::Udm;
use crate::refusal::{Refused, is_unknown_user, refuse, status};

/// Most data sets of one request; there are fewer names.
const DATA_SETS_MAX: usize = 16;

impl Udm {
    /// TS 29.503 §5.2.2.2.3.
    pub(crate) async fn am_data(
        &self,
        call: Call,
        operation: GetAmData,
    ) -> Result<Response<AccessAndMobilitySubscriptionData>, Refused> {
        let plmn = self.plmn_or_home(operation.plmn_id);
        Ok(Response::ok(self.repository.am_data(&call, &operation.supi, plmn).await?))
    }

    /// TS 29.503 §5.2.2.2.2.
    pub(crate) async fn nssai(&self, call: Call, operation: GetNssai) -> Result<Response<Nssai>, Refused> {
        let plmn = self.plmn_or_home(operation.plmn_id);
        let am_data = self.repository.am_data(&call, &operation.supi, plmn).await?;
        am_data.nssai.map(Response::ok).ok_or_else(|| refuse(404, "DATA_NOT_FOUND"))
    }

    /// TS 29.503 §5.2.2.2.4.
    pub(crate) async fn smf_select_data(
        &self,
        call: Call,
        operation: GetSmfSelectData,
    ) -> Result<Response<SmfSelectionSubscriptionData>, Refused> {
        let plmn = self.plmn_or_home(operation.plmn_id);
        Ok(Response::ok(self.repository.smf_selection(&call, &operation.supi, plmn).await?))
    }

    /// TS 29.503 §5.2.2.2.5.
    pub(crate) async fn sm_data(
        &self,
        call: Call,
        operation: GetSmData,
    ) -> Result<Response<SmSubsData>, Refused> {
        let plmn = self.plmn_or_home(operation.plmn_id);
        let GetSmData { supi, single_nssai, dnn, .. } = operation;
        Ok(Response::ok(self.repository.sm_data(&call, &supi, plmn, single_nssai, dnn).await?))
    }

    /// TS 29.503 §5.2.2.2.6.
    pub(crate) async fn ue_context_in_smf_data(
        &self,
        call: Call,
        operation: GetUeContextInSmfData,
    ) -> Result<Response<UeContextInSmfData>, Refused> {
        Ok(Response::ok(self.sessions(&call, &operation.supi).await?))
    }

    /// Several at once: TS 29.503 §5.2.2.2.8. A set that does not exist is left out.
    pub(crate) async fn data_sets(
        &self,
        call: Call,
        operation: GetDataSets,
    ) -> Result<Response<SubscriptionDataSets>, Refused> {
        let GetDataSets { supi, dataset_names: names, plmn_id, .. } = operation;
        if names.is_empty() || names.len() > DATA_SETS_MAX {
            return Err(refuse(400, "MANDATORY_QUERY_PARAM_INCORRECT"));
        }
        let plmn = self.plmn_or_home(plmn_id);
        let wanted = |name: &DataSetName| names.contains(name);
        let provisioned =
            |name: &DataSetName| matches!(name, DataSetName::Am | DataSetName::SmfSel | DataSetName::Sm);
        let provisioned: Vec<DataSetName> = names.iter().filter(|name| provisioned(name)).cloned().collect();
        let (provisioned, uec_smf, uec_amf) = tokio::join!(
            when(!provisioned.is_empty(), self.repository.provisioned_data(&call, &supi, plmn, provisioned)),
            when(wanted(&DataSetName::UecSmf), self.sessions(&call, &supi)),
            when(wanted(&DataSetName::UecAmf), self.serving_amf(&call, &supi)),
        );
        let provisioned = provisioned?.unwrap_or_default();
        Ok(Response::ok(SubscriptionDataSets {
            am_data: provisioned.am_data,
            smf_sel_data: provisioned.smf_sel_data,
            sm_data: provisioned.sm_data,
            uec_smf_data: uec_smf?,
            uec_amf_data: uec_amf?,
        }))
    }

    /// Nudm_SDM_Subscribe: TS 29.503 §5.2.2.3.
    pub(crate) async fn subscribe(
        &self,
        call: Call,
        operation: Subscribe,
    ) -> Result<Response<SdmSubscription>, Refused> {
        let Subscribe { ue_id: supi, subscription } = operation;
        if subscription.monitored_resource_uris.is_empty() {
            return Err(refuse(400, "MANDATORY_IE_INCORRECT"));
        }
        let (id, subscription) = self.repository.create_sdm_subscription(&call, &supi, subscription).await?;
        let path = PathParams::fill("/nudm-sdm/v2/{ueId}/sdm-subscriptions/{id}", &[&supi.to_string(), &id]);
        Ok(Response::created(format!("{}{path}", self.api_root), subscription))
    }

    /// Nudm_SDM_Unsubscribe: TS 29.503 §5.2.2.4.
    pub(crate) async fn unsubscribe(
        &self,
        call: Call,
        operation: Unsubscribe,
    ) -> Result<Response<()>, Refused> {
        let Unsubscribe { ue_id, subscription_id } = operation;
        self.repository.delete_sdm_subscription(&call, &ue_id, &subscription_id).await?;
        Ok(Response::no_content())
    }

    fn plmn_or_home(&self, plmn: Option<PlmnId>) -> PlmnId {
        plmn.unwrap_or(self.plmn)
    }

    async fn sessions(&self, call: &Call, supi: &Supi) -> Result<UeContextInSmfData, Refused> {
        let registrations = self.repository.smf_registrations(call, supi).await?;
        let session = |registration: tern_sbi::nudm_uecm::SmfRegistration| {
            let dnn = registration.dnn?;
            let session = PduSession {
                single_nssai: Some(registration.single_nssai),
                ..PduSession::new(dnn, registration.smf_instance_id, registration.plmn_id)
            };
            Some((registration.pdu_session_id.to_string(), session))
        };
        Ok(UeContextInSmfData { pdu_sessions: registrations.into_iter().filter_map(session).collect() })
    }

    async fn serving_amf(&self, call: &Call, supi: &Supi) -> Result<UeContextInAmfData, Refused> {
        let registration = self.repository.amf_registration(call, supi).await?;
        let info = registration.filter(|r| r.purge_flag != Some(true)).map(|registration| AmfInfo {
            access_type: Some(AccessType::ThreeGpp),
            ..AmfInfo::new(registration.amf_instance_id, registration.guami)
        });
        Ok(UeContextInAmfData { amf_info: info.into_iter().collect() })
    }
}

/// The data if it is wanted and exists.
async fn when<T>(wanted: bool, data: impl Future<Output = Result<T, Refused>>) -> Result<Option<T>, Refused> {
    if !wanted {
        return Ok(None);
    }
    match data.await {
        Ok(data) => Ok(Some(data)),
        Err(error) if status(&error) == Some(404) && !is_unknown_user(&error) => Ok(None),
        Err(error) => Err(error),
    }
}
