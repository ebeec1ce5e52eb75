//! The subscribers' data at the UDR: Nudr_DataRepository (TS 29.504) as the UDM uses it.

use serde_json::json;
use tern_crypto::Sqn;
use tern_nf::{Consumer, Selection, Target};
use tern_sbi::common::{NfType, Octets, PatchItem, PatchOperation, ServiceName, VarPlmnId};
use tern_sbi::nudm_sdm::{
    AccessAndMobilitySubscriptionData, DataSetName, SdmSubscription, SmSubsData, SmfSelectionSubscriptionData,
};
use tern_sbi::nudm_ueau::AuthEvent;
use tern_sbi::nudm_uecm::{Amf3GppAccessRegistration, SmfRegistration};
use tern_sbi::nudr_dr::{
    AuthenticationSubscription, CreateAmfContext3gpp, CreateAuthenticationStatus,
    CreateOrUpdateSmfRegistration, CreateSdmSubscription, DeleteAuthenticationStatus, DeleteSmfRegistration,
    ModifyAuthSubscription, ProvisionedDataSets, QueryAmData, QueryAmfContext3gpp, QueryAuthSubscription,
    QueryProvisionedData, QuerySdmSubscriptions, QuerySmData, QuerySmfRegList, QuerySmfRegistration,
    QuerySmfSelectData, RemoveSdmSubscription,
};
use tern_sbi::{Call, Location, Operation, ProblemDetails, Response};
use tern_types::{Dnn, PduSessionId, PlmnId, Snssai, Supi};

use crate::refusal::{Refused, of_repository, refuse_with, status};

const SQN: &str = "/sequenceNumber/sqn";

/// Calls the UDR that serves a subscriber.
pub(crate) struct Repository {
    pub(crate) consumer: Consumer,
}

impl Repository {
    pub(crate) async fn authentication_subscription(
        &self,
        call: &Call,
        supi: &Supi,
    ) -> Result<AuthenticationSubscription, Refused> {
        let operation = QueryAuthSubscription { ue_id: supi.clone(), supported_features: None };
        self.read(call, supi, &operation, "USER_NOT_FOUND").await
    }

    /// Stores `to` as the greatest sequence number given out, if that is still `from`; whether
    /// it was. It is durable when this returns.
    pub(crate) async fn replace_sqn(
        &self,
        call: &Call,
        supi: &Supi,
        from: Sqn,
        to: Sqn,
    ) -> Result<bool, Refused> {
        let text = |sqn: Sqn| json!(Octets(sqn.to_bytes()));
        let test =
            PatchItem { value: Some(text(from)), ..PatchItem::new(PatchOperation::Test, SQN.to_owned()) };
        let patch = vec![test, PatchItem::replace(SQN, text(to))];
        match self.call(call, supi, &ModifyAuthSubscription { ue_id: supi.clone(), patch }).await {
            // A report says what of the patch was not done (TS 29.571 PatchResult).
            Ok(response) => Ok(response.body.is_none_or(|result| result.report.is_empty())),
            Err(error) if matches!(status(&error), Some(403 | 409 | 412 | 422)) => Ok(false),
            Err(error) => Err(of_repository(error, "USER_NOT_FOUND")),
        }
    }

    pub(crate) async fn put_authentication_status(
        &self,
        call: &Call,
        supi: &Supi,
        event: AuthEvent,
    ) -> Result<(), Refused> {
        let serving_network_name = event.serving_network_name.clone();
        let operation = CreateAuthenticationStatus { ue_id: supi.clone(), serving_network_name, event };
        self.read(call, supi, &operation, "USER_NOT_FOUND").await
    }

    pub(crate) async fn delete_authentication_status(
        &self,
        call: &Call,
        supi: &Supi,
        serving_network_name: &str,
    ) -> Result<(), Refused> {
        let serving_network_name = serving_network_name.to_owned();
        let operation = DeleteAuthenticationStatus { ue_id: supi.clone(), serving_network_name };
        self.read(call, supi, &operation, "CONTEXT_NOT_FOUND").await
    }

    pub(crate) async fn am_data(
        &self,
        call: &Call,
        supi: &Supi,
        plmn: PlmnId,
    ) -> Result<AccessAndMobilitySubscriptionData, Refused> {
        let (ue_id, serving_plmn_id) = (supi.clone(), VarPlmnId(plmn));
        let operation = QueryAmData { ue_id, serving_plmn_id, supported_features: None };
        self.read(call, supi, &operation, "DATA_NOT_FOUND").await
    }

    pub(crate) async fn smf_selection(
        &self,
        call: &Call,
        supi: &Supi,
        plmn: PlmnId,
    ) -> Result<SmfSelectionSubscriptionData, Refused> {
        let (ue_id, serving_plmn_id) = (supi.clone(), VarPlmnId(plmn));
        let operation = QuerySmfSelectData { ue_id, serving_plmn_id, supported_features: None };
        self.read(call, supi, &operation, "DATA_NOT_FOUND").await
    }

    pub(crate) async fn sm_data(
        &self,
        call: &Call,
        supi: &Supi,
        plmn: PlmnId,
        single_nssai: Option<Snssai>,
        dnn: Option<Dnn>,
    ) -> Result<SmSubsData, Refused> {
        let (ue_id, serving_plmn_id) = (supi.clone(), VarPlmnId(plmn));
        let operation = QuerySmData { ue_id, serving_plmn_id, single_nssai, dnn, supported_features: None };
        self.read(call, supi, &operation, "DATA_NOT_FOUND").await
    }

    /// Several of the above in one request.
    pub(crate) async fn provisioned_data(
        &self,
        call: &Call,
        supi: &Supi,
        plmn: PlmnId,
        names: Vec<DataSetName>,
    ) -> Result<ProvisionedDataSets, Refused> {
        let (ue_id, serving_plmn_id) = (supi.clone(), VarPlmnId(plmn));
        let operation = QueryProvisionedData { ue_id, serving_plmn_id, dataset_names: Some(names) };
        self.read(call, supi, &operation, "DATA_NOT_FOUND").await
    }

    pub(crate) async fn create_sdm_subscription(
        &self,
        call: &Call,
        supi: &Supi,
        subscription: SdmSubscription,
    ) -> Result<(String, SdmSubscription), Refused> {
        let operation = CreateSdmSubscription { ue_id: supi.clone(), subscription };
        let created = self.call(call, supi, &operation).await;
        let created = created.map_err(|error| of_repository(error, "USER_NOT_FOUND"))?;
        let location = created.location.as_deref().and_then(Location::parse);
        let id =
            location.and_then(|location| location.last_segment()).or(created.body.subscription_id.clone());
        let id =
            id.ok_or_else(|| refuse_with(500, "SYSTEM_FAILURE", "the repository names no subscription"))?;
        Ok((id.clone(), SdmSubscription { subscription_id: Some(id), ..created.body }))
    }

    pub(crate) async fn delete_sdm_subscription(
        &self,
        call: &Call,
        supi: &Supi,
        subs_id: &str,
    ) -> Result<(), Refused> {
        let operation = RemoveSdmSubscription { ue_id: supi.clone(), subs_id: subs_id.to_owned() };
        self.read(call, supi, &operation, "SUBSCRIPTION_NOT_FOUND").await
    }

    pub(crate) async fn sdm_subscriptions(
        &self,
        call: &Call,
        supi: &Supi,
    ) -> Result<Vec<SdmSubscription>, Refused> {
        let operation = QuerySdmSubscriptions { ue_id: supi.clone() };
        Ok(self.find(call, supi, &operation).await?.unwrap_or_default())
    }

    pub(crate) async fn amf_registration(
        &self,
        call: &Call,
        supi: &Supi,
    ) -> Result<Option<Amf3GppAccessRegistration>, Refused> {
        let operation = QueryAmfContext3gpp { ue_id: supi.clone(), supported_features: None };
        self.find(call, supi, &operation).await
    }

    pub(crate) async fn put_amf_registration(
        &self,
        call: &Call,
        supi: &Supi,
        registration: Amf3GppAccessRegistration,
    ) -> Result<(), Refused> {
        let operation = CreateAmfContext3gpp { ue_id: supi.clone(), registration };
        self.read(call, supi, &operation, "USER_NOT_FOUND").await.map(|_| ())
    }

    pub(crate) async fn smf_registrations(
        &self,
        call: &Call,
        supi: &Supi,
    ) -> Result<Vec<SmfRegistration>, Refused> {
        let operation = QuerySmfRegList { ue_id: supi.clone(), supported_features: None };
        Ok(self.find(call, supi, &operation).await?.unwrap_or_default())
    }

    pub(crate) async fn smf_registration(
        &self,
        call: &Call,
        supi: &Supi,
        pdu_session_id: PduSessionId,
    ) -> Result<Option<SmfRegistration>, Refused> {
        self.find(call, supi, &QuerySmfRegistration { ue_id: supi.clone(), pdu_session_id }).await
    }

    /// Whether there was none before.
    pub(crate) async fn put_smf_registration(
        &self,
        call: &Call,
        supi: &Supi,
        registration: SmfRegistration,
    ) -> Result<bool, Refused> {
        let pdu_session_id = registration.pdu_session_id;
        let operation = CreateOrUpdateSmfRegistration { ue_id: supi.clone(), pdu_session_id, registration };
        let stored = self.call(call, supi, &operation).await;
        stored.map(|response| response.status == 201).map_err(|error| of_repository(error, "USER_NOT_FOUND"))
    }

    pub(crate) async fn delete_smf_registration(
        &self,
        call: &Call,
        supi: &Supi,
        pdu_session_id: PduSessionId,
    ) -> Result<(), Refused> {
        let operation = DeleteSmfRegistration { ue_id: supi.clone(), pdu_session_id };
        self.read(call, supi, &operation, "CONTEXT_NOT_FOUND").await
    }

    /// The answer's content; a 404 without a cause of its own is `not_found`.
    async fn read<O: Operation<Failure = ProblemDetails>>(
        &self,
        call: &Call,
        supi: &Supi,
        operation: &O,
        not_found: &str,
    ) -> Result<O::Answer, Refused> {
        let answer = self.call(call, supi, operation).await;
        answer.map(|response| response.body).map_err(|error| of_repository(error, not_found))
    }

    /// The answer's content, `None` if the resource does not exist. An unknown subscriber is
    /// an error all the same.
    async fn find<O: Operation<Failure = ProblemDetails>>(
        &self,
        call: &Call,
        supi: &Supi,
        operation: &O,
    ) -> Result<Option<O::Answer>, Refused> {
        match self.call(call, supi, operation).await {
            Ok(response) => Ok(Some(response.body)),
            Err(error) if status(&error) == Some(404) && !crate::refusal::is_unknown_user(&error) => Ok(None),
            Err(error) => Err(of_repository(error, "USER_NOT_FOUND")),
        }
    }

    async fn call<O: Operation<Failure = ProblemDetails>>(
        &self,
        call: &Call,
        supi: &Supi,
        operation: &O,
    ) -> Result<Response<O::Answer>, Refused> {
        let selection = Selection { supi: Some(supi.clone()), ..Selection::default() };
        let target = Target::selected(NfType::Udr, ServiceName::NudrDr, selection);
        self.consumer.call(&target, call, operation).await
    }
}
