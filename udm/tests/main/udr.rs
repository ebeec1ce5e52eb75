//! A UDR that keeps its data in memory and yields between any two requests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tern_nf::{Routes, Transport as _};
use tern_sbi::common::{Octets, PatchOperation, SecretText};
use tern_sbi::nausf_auth::AuthType;
use tern_sbi::nudm_sdm::{
    AccessAndMobilitySubscriptionData, DataSetName, Nssai, SmSubsData, SmfSelectionSubscriptionData,
};
use tern_sbi::nudm_ueau::AuthEvent;
use tern_sbi::nudm_uecm::{Amf3GppAccessRegistration, SmfRegistration};
use tern_sbi::nudr_dr::*;
use tern_sbi::{Call, Operation, OperationError, ProblemDetails, Response};
use tern_sbi_transport::{MemoryTransport, Serving};
use tern_types::{Snssai, Supi};

/// The one subscriber's data.
#[derive(Default)]
pub struct Udr {
    pub sqn: Mutex<u64>,
    pub statuses: Mutex<BTreeMap<String, AuthEvent>>,
    pub amf: Mutex<Option<Amf3GppAccessRegistration>>,
    pub smfs: Mutex<BTreeMap<u8, SmfRegistration>>,
    pub subscriptions: Mutex<Vec<String>>,
    /// Refuses every change of the sequence number.
    pub read_only: Mutex<bool>,
}

type Answer<T> = Result<Response<T>, OperationError>;

fn refuse<T>(status: u16, cause: &str) -> Answer<T> {
    Err(OperationError::Problem(ProblemDetails::new(status, cause)))
}

impl Udr {
    pub async fn serve(self: &Arc<Self>, network: &MemoryTransport) -> Box<dyn Serving> {
        let mut routes = Routes::new();
        routes =
            self.answer(routes, |udr, op: QueryAuthSubscription| udr.known(&op.ue_id, udr.authentication()));
        routes = self.answer(routes, |udr, op: ModifyAuthSubscription| udr.modify(op));
        routes = self.answer(routes, |udr, op: CreateAuthenticationStatus| {
            udr.statuses.lock().unwrap().insert(op.serving_network_name, op.event);
            Ok(Response::no_content())
        });
        routes = self.answer(routes, |udr, op: DeleteAuthenticationStatus| {
            udr.statuses.lock().unwrap().remove(&op.serving_network_name);
            Ok(Response::no_content())
        });
        routes = self.answer(routes, |udr, op: QueryAmData| udr.known(&op.ue_id, am_data()));
        routes = self.answer(routes, |udr, op: QuerySmfSelectData| {
            udr.known(&op.ue_id, SmfSelectionSubscriptionData::default())
        });
        routes =
            self.answer(routes, |_, _: QuerySmData| -> Answer<SmSubsData> { refuse(404, "DATA_NOT_FOUND") });
        routes = self.answer(routes, |udr, op: QueryProvisionedData| {
            let wanted = |name| op.dataset_names.as_ref().unwrap().contains(&name);
            let sets = ProvisionedDataSets {
                am_data: wanted(DataSetName::Am).then(am_data),
                smf_sel_data: wanted(DataSetName::SmfSel).then(SmfSelectionSubscriptionData::default),
                sm_data: None,
            };
            udr.known(&op.ue_id, sets)
        });
        routes = self.answer(routes, |udr, op: QueryAmfContext3gpp| match &*udr.amf.lock().unwrap() {
            Some(amf) => udr.known(&op.ue_id, amf.clone()),
            None => refuse(404, "DATA_NOT_FOUND"),
        });
        routes = self.answer(routes, |udr, op: CreateAmfContext3gpp| {
            udr.known(&op.ue_id, ())?;
            *udr.amf.lock().unwrap() = Some(op.registration);
            Ok(Response { status: 204, ..Response::ok(None) })
        });
        routes = self.answer(routes, |udr, op: QuerySmfRegList| {
            udr.known(&op.ue_id, udr.smfs.lock().unwrap().values().cloned().collect())
        });
        routes = self.answer(routes, |udr, op: QuerySmfRegistration| {
            match udr.smfs.lock().unwrap().get(&op.pdu_session_id.get()) {
                Some(smf) => Ok(Response::ok(smf.clone())),
                None => refuse(404, "DATA_NOT_FOUND"),
            }
        });
        routes = self.answer(routes, |udr, op: CreateOrUpdateSmfRegistration| {
            let before = udr.smfs.lock().unwrap().insert(op.pdu_session_id.get(), op.registration.clone());
            match before {
                None => Ok(Response::created("http://127.0.0.11:8080/x".into(), Some(op.registration))),
                Some(_) => Ok(Response { status: 204, ..Response::ok(None) }),
            }
        });
        routes = self.answer(routes, |udr, op: DeleteSmfRegistration| {
            match udr.smfs.lock().unwrap().remove(&op.pdu_session_id.get()) {
                Some(_) => Ok(Response::no_content()),
                None => refuse(404, "DATA_NOT_FOUND"),
            }
        });
        routes = self.answer(routes, |udr, op: CreateSdmSubscription| {
            udr.subscriptions.lock().unwrap().push("s1".to_owned());
            Ok(Response::created("http://127.0.0.11:8080/nudr-dr/v2/x/s1".into(), op.subscription))
        });
        routes = self.answer(routes, |udr, op: RemoveSdmSubscription| {
            let mut subscriptions = udr.subscriptions.lock().unwrap();
            let before = subscriptions.len();
            subscriptions.retain(|id| *id != op.subs_id);
            if subscriptions.len() < before { Ok(Response::no_content()) } else { refuse(404, "") }
        });
        network.serve("127.0.0.11:8080".parse().unwrap(), Arc::new(routes)).await.unwrap()
    }

    fn answer<O: Operation<Failure = ProblemDetails>>(
        self: &Arc<Self>,
        routes: Routes,
        handler: impl Fn(&Self, O) -> Answer<O::Answer> + Send + Sync + Copy + 'static,
    ) -> Routes {
        let udr = self.clone();
        routes.on(move |_: Call, operation: O| {
            let udr = udr.clone();
            async move {
                tokio::task::yield_now().await;
                let answer = handler(&udr, operation);
                tokio::task::yield_now().await;
                answer
            }
        })
    }

    fn known<T>(&self, supi: &Supi, body: T) -> Answer<T> {
        if *supi == crate::supi() { Ok(Response::ok(body)) } else { refuse(404, "USER_NOT_FOUND") }
    }

    /// Set 1 of TS 35.208.
    pub fn authentication(&self) -> AuthenticationSubscription {
        let key = |text: &str| Some(SecretText::new(text.to_owned()));
        let sqn = self.sqn.lock().unwrap().to_be_bytes();
        AuthenticationSubscription {
            enc_permanent_key: key("465b5ce8b199b49faa5f0a2ee238a6bc"),
            enc_opc_key: key("cd63cb71954a9f4e48a5994e37a02baf"),
            algorithm_id: Some("milenage".to_owned()),
            sequence_number: Some(SequenceNumber {
                sqn: Some(Octets([sqn[2], sqn[3], sqn[4], sqn[5], sqn[6], sqn[7]])),
                ..SequenceNumber::default()
            }),
            ..AuthenticationSubscription::new(AuthType::FiveGAka)
        }
    }

    /// RFC 6902, as far as a sequence number needs it.
    fn modify(&self, op: ModifyAuthSubscription) -> Answer<Option<tern_sbi::common::PatchResult>> {
        let mut sqn = self.sqn.lock().unwrap();
        for item in op.patch {
            assert_eq!(item.path, "/sequenceNumber/sqn");
            let value: Octets<6> = serde_json::from_value(item.value.unwrap()).unwrap();
            let value = value.0.iter().fold(0, |sum, &octet| sum << 8 | u64::from(octet));
            match item.op {
                PatchOperation::Test if *sqn != value || *self.read_only.lock().unwrap() => {
                    return refuse(403, "MODIFICATION_NOT_ALLOWED");
                }
                PatchOperation::Test => {}
                PatchOperation::Replace => *sqn = value,
                other => panic!("{other:?}"),
            }
        }
        Ok(Response { status: 204, ..Response::ok(None) })
    }
}

fn am_data() -> AccessAndMobilitySubscriptionData {
    AccessAndMobilitySubscriptionData {
        nssai: Some(Nssai::new(vec![Snssai::new(1, None)])),
        ..AccessAndMobilitySubscriptionData::default()
    }
}
