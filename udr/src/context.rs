//! Context data: what the serving network functions have registered (TS 29.505 §5.2.12 and
//! following).

use tern_sbi::common::PatchResult;
use tern_sbi::nudm_sdm::SdmSubscription;
use tern_sbi::nudm_uecm::{Amf3GppAccessRegistration, SmfRegistration};
use tern_sbi::nudr_dr::{
    AmfContext3gpp, CreateAmfContext3gpp, CreateOrUpdateSmfRegistration, CreateSdmSubscription,
    DeleteSmfRegistration, QueryAmfContext3gpp, QuerySdmSubscriptions, QuerySmfRegList, QuerySmfRegistration,
    RemoveSdmSubscription, UpdateSdmSubscription,
};
use tern_sbi::{PathParams, ProblemDetails, Response};
use tern_sbi_transport::Routes;
use tern_store::{Condition, StoreError};
use tern_types::Supi;

use crate::Udr;
use crate::repository::{Refused, amf_key, broken, refuse, sdm_prefix, smf_key, smf_prefix};

/// SDM subscriptions of one subscriber; the next is refused.
const SDM_SUBSCRIPTIONS_MAX: usize = 64;
/// Attempts to patch a document that another consumer changes at the same time.
const PATCH_ATTEMPTS: usize = 4;

/// A handler by operation: `on!(routes, udr, handler)`.
macro_rules! on {
    ($routes:expr, $udr:expr, $($handler:ident),+ $(,)?) => {{
        let routes = $routes;
        $(let routes = {
            let udr = $udr.clone();
            routes.on(move |_, op| $handler(udr.clone(), op))
        };)+
        routes
    }};
}

pub(crate) fn routes(udr: &Udr, routes: Routes) -> Routes {
    on!(
        routes, udr, query_amf, create_amf, patch_amf, list_smf, query_smf, put_smf, delete_smf, list_sdm,
        create_sdm, update_sdm, remove_sdm,
    )
}

async fn query_amf(
    udr: Udr,
    op: QueryAmfContext3gpp,
) -> Result<Response<Amf3GppAccessRegistration>, Refused> {
    read(&udr, &amf_key(&op.ue_id)).await.map(Response::ok)
}

async fn create_amf(
    udr: Udr,
    op: CreateAmfContext3gpp,
) -> Result<Response<Option<Amf3GppAccessRegistration>>, Refused> {
    udr.repository.require(&op.ue_id).await?;
    let supi = op.ue_id;
    let path = PathParams::fill(<CreateAmfContext3gpp as tern_sbi::Operation>::PATH, &[&supi.to_string()]);
    replace(&udr, &amf_key(&supi), &path, op.registration).await
}

async fn patch_amf(udr: Udr, op: AmfContext3gpp) -> Result<Response<Option<PatchResult>>, Refused> {
    let key = amf_key(&op.ue_id);
    for _ in 0..PATCH_ATTEMPTS {
        let found = udr.repository.read::<serde_json::Value>(&key).await.map_err(broken)?;
        let (mut document, version) = found.ok_or_else(|| refuse(404, "DATA_NOT_FOUND"))?;
        tern_nf::patch::apply(&mut document, &op.patch).map_err(Refused::Problem)?;
        // The document must still be one.
        let document: Amf3GppAccessRegistration = serde_json::from_value(document).map_err(invalid)?;
        match udr.repository.write(&key, Condition::Version(version), &document).await {
            Ok(_) => return Ok(Response { status: 204, location: None, max_age: None, body: None }),
            Err(StoreError::Conflict { .. }) => {}
            Err(error) => return Err(broken(error)),
        }
    }
    Err(refuse(503, "NF_CONGESTION"))
}

async fn list_smf(udr: Udr, op: QuerySmfRegList) -> Result<Response<Vec<SmfRegistration>>, Refused> {
    list(&udr, &op.ue_id, &smf_prefix(&op.ue_id)).await
}

async fn query_smf(udr: Udr, op: QuerySmfRegistration) -> Result<Response<SmfRegistration>, Refused> {
    read(&udr, &smf_key(&op.ue_id, op.pdu_session_id)).await.map(Response::ok)
}

async fn put_smf(
    udr: Udr,
    op: CreateOrUpdateSmfRegistration,
) -> Result<Response<Option<SmfRegistration>>, Refused> {
    udr.repository.require(&op.ue_id).await?;
    let supi = op.ue_id;
    let session = op.pdu_session_id.to_string();
    let template = <CreateOrUpdateSmfRegistration as tern_sbi::Operation>::PATH;
    let path = PathParams::fill(template, &[&supi.to_string(), &session]);
    replace(&udr, &smf_key(&supi, op.pdu_session_id), &path, op.registration).await
}

async fn delete_smf(udr: Udr, op: DeleteSmfRegistration) -> Result<Response<()>, Refused> {
    erase(&udr, &smf_key(&op.ue_id, op.pdu_session_id)).await
}

async fn list_sdm(udr: Udr, op: QuerySdmSubscriptions) -> Result<Response<Vec<SdmSubscription>>, Refused> {
    list(&udr, &op.ue_id, &sdm_prefix(&op.ue_id)).await
}

async fn create_sdm(udr: Udr, op: CreateSdmSubscription) -> Result<Response<SdmSubscription>, Refused> {
    udr.repository.require(&op.ue_id).await?;
    let supi = op.ue_id;
    let prefix = sdm_prefix(&supi);
    let others: Vec<SdmSubscription> = udr.repository.read_all(&prefix).await.map_err(broken)?;
    if others.len() >= SDM_SUBSCRIPTIONS_MAX {
        let problem = ProblemDetails::new(403, "INSUFFICIENT_RESOURCES")
            .with_detail(format_args!("at most {SDM_SUBSCRIPTIONS_MAX} subscriptions of one subscriber"));
        return Err(Refused::Problem(problem));
    }
    let mut subscription = op.subscription;
    let id = subscription.subscription_id.take().unwrap_or_else(|| udr.env.entropy.uuid().to_string());
    subscription.subscription_id = Some(id.clone());
    udr.repository.write(&format!("{prefix}{id}"), Condition::Any, &subscription).await.map_err(broken)?;
    let template = <UpdateSdmSubscription as tern_sbi::Operation>::PATH;
    let path = PathParams::fill(template, &[&supi.to_string(), &id]);
    Ok(Response::created(format!("{}{path}", udr.repository.api_root()), subscription))
}

async fn update_sdm(udr: Udr, op: UpdateSdmSubscription) -> Result<Response<()>, Refused> {
    let key = format!("{}{}", sdm_prefix(&op.ue_id), op.subs_id);
    match udr.repository.write(&key, Condition::Present, &op.subscription).await {
        Ok(_) => Ok(Response::no_content()),
        Err(StoreError::Conflict { .. }) => Err(refuse(404, "SUBSCRIPTION_NOT_FOUND")),
        Err(error) => Err(broken(error)),
    }
}

async fn remove_sdm(udr: Udr, op: RemoveSdmSubscription) -> Result<Response<()>, Refused> {
    erase(&udr, &format!("{}{}", sdm_prefix(&op.ue_id), op.subs_id)).await
}

/// All documents of one kind. Of a subscriber who was removed they stay until consumers have heard of it.
async fn list<T: serde::de::DeserializeOwned>(
    udr: &Udr,
    supi: &Supi,
    prefix: &str,
) -> Result<Response<Vec<T>>, Refused> {
    let found = udr.repository.read_all(prefix).await.map_err(broken)?;
    if found.is_empty() {
        udr.repository.require(supi).await?;
    }
    Ok(Response::ok(found))
}

async fn read<T: serde::de::DeserializeOwned>(udr: &Udr, key: &str) -> Result<T, Refused> {
    let found = udr.repository.read(key).await.map_err(broken)?;
    found.map(|(document, _)| document).ok_or_else(|| refuse(404, "DATA_NOT_FOUND"))
}

async fn erase(udr: &Udr, key: &str) -> Result<Response<()>, Refused> {
    let found = udr.repository.erase(key).await.map_err(broken)?;
    if found { Ok(Response::no_content()) } else { Err(refuse(404, "DATA_NOT_FOUND")) }
}

/// Writes a document: 201 with its URI if there was none, else 204.
async fn replace<T: serde::Serialize>(
    udr: &Udr,
    key: &str,
    path: &str,
    document: T,
) -> Result<Response<Option<T>>, Refused> {
    match udr.repository.write(key, Condition::Absent, &document).await {
        Ok(_) => {
            let location = format!("{}{path}", udr.repository.api_root());
            Ok(Response::created(location, Some(document)))
        }
        Err(StoreError::Conflict { .. }) => {
            udr.repository.write(key, Condition::Any, &document).await.map_err(broken)?;
            Ok(Response { status: 204, location: None, max_age: None, body: None })
        }
        Err(error) => Err(broken(error)),
    }
}

fn invalid(reason: impl std::fmt::Display) -> Refused {
    Refused::Problem(ProblemDetails::invalid("MANDATORY_IE_INCORRECT", "patch", reason))
}
