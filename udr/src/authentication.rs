//! Authentication data: TS 29.505 §5.2.2, §5.2.3.

use tern_sbi::common::PatchItem;
use tern_sbi::nudr_dr::{
    AuthenticationSubscription, CreateAuthenticationStatus, DeleteAuthenticationStatus,
    ModifyAuthSubscription, QueryAuthSubscription, QueryAuthenticationStatus,
};
use tern_sbi::{ProblemDetails, Response};
use tern_sbi_transport::Routes;
use tern_store::{Condition, StoreError};

use crate::Udr;
use crate::repository::{Refused, authentication_status_key, broken, refuse, sqn_key};
use crate::subscriber::Subscriber;

/// Operations of one patch.
const PATCH_LEN_MAX: usize = 16;

pub(crate) fn routes(udr: &Udr, routes: Routes) -> Routes {
    let (a, b, c, d, e) = (udr.clone(), udr.clone(), udr.clone(), udr.clone(), udr.clone());
    routes
        .on(move |_, op: QueryAuthSubscription| query(a.clone(), op))
        .on(move |_, op: ModifyAuthSubscription| modify(b.clone(), op))
        .on(move |_, op: CreateAuthenticationStatus| create_status(c.clone(), op))
        .on(move |_, op: QueryAuthenticationStatus| query_status(d.clone(), op))
        .on(move |_, op: DeleteAuthenticationStatus| delete_status(e.clone(), op))
}

async fn query(udr: Udr, op: QueryAuthSubscription) -> Result<Response<AuthenticationSubscription>, Refused> {
    let subscriber = udr.repository.known(&op.ue_id).await?;
    let given = given_sqn(&udr, &subscriber).await?;
    document(&subscriber, &given).map(Response::ok)
}

/// Advances the sequence number. The patch is applied to the version that it was read from: of
/// two consumers that read one number, the second finds its `test` refused with 409. The answer
/// is sent when the store has the write, so that no number is given out twice.
async fn modify(
    udr: Udr,
    op: ModifyAuthSubscription,
) -> Result<Response<Option<tern_sbi::common::PatchResult>>, Refused> {
    let subscriber = udr.repository.known(&op.ue_id).await?;
    let given = given_sqn(&udr, &subscriber).await?;
    let before = document(&subscriber, &given)?;
    let after = patched(&before, &op.patch)?;
    let (old, new) = (sqn_of(&before), sqn_of(&after));
    if (AuthenticationSubscription { sequence_number: None, ..after })
        != (AuthenticationSubscription { sequence_number: None, ..before })
    {
        let problem = ProblemDetails::new(403, "MODIFICATION_NOT_ALLOWED");
        return Err(Refused::Problem(problem.with_detail("only sequenceNumber may change")));
    }
    if new <= old {
        let problem = ProblemDetails::new(403, "MODIFICATION_NOT_ALLOWED");
        return Err(Refused::Problem(problem.with_detail("a sequence number is never given out again")));
    }
    let written = udr.repository.write(&sqn_key(&op.ue_id), given.condition, &hex::encode(new)).await;
    match written {
        Ok(_) => {
            udr.env.counters.add("udr.sqn_advanced", 1);
            Ok(Response { status: 204, location: None, max_age: None, body: None })
        }
        Err(StoreError::Conflict { .. }) => Err(conflict("another consumer took this sequence number")),
        Err(error) => Err(broken(error)),
    }
}

async fn create_status(udr: Udr, op: CreateAuthenticationStatus) -> Result<Response<()>, Refused> {
    udr.repository.require(&op.ue_id).await?;
    let key = authentication_status_key(&op.ue_id, &op.serving_network_name);
    udr.repository.write(&key, Condition::Any, &op.event).await.map_err(broken)?;
    Ok(Response::no_content())
}

async fn query_status(
    udr: Udr,
    op: QueryAuthenticationStatus,
) -> Result<Response<tern_sbi::nudm_ueau::AuthEvent>, Refused> {
    let key = authentication_status_key(&op.ue_id, &op.serving_network_name);
    let found = udr.repository.read(&key).await.map_err(broken)?;
    found.map(|(event, _)| Response::ok(event)).ok_or_else(|| refuse(404, "DATA_NOT_FOUND"))
}

async fn delete_status(udr: Udr, op: DeleteAuthenticationStatus) -> Result<Response<()>, Refused> {
    let key = authentication_status_key(&op.ue_id, &op.serving_network_name);
    let found = udr.repository.erase(&key).await.map_err(broken)?;
    if found { Ok(Response::no_content()) } else { Err(refuse(404, "DATA_NOT_FOUND")) }
}

/// The greatest number given out, and what must hold for the next one to be written.
struct Given {
    sqn: [u8; 6],
    condition: Condition,
}

/// The stored number, or the record's if it is greater: an operator may move it ahead.
async fn given_sqn(udr: &Udr, subscriber: &Subscriber) -> Result<Given, Refused> {
    let provisioned = parse_sqn(&subscriber.authentication.sqn).unwrap_or([0; 6]);
    let key = sqn_key(&subscriber.supi);
    let stored = udr.repository.read::<String>(&key).await.map_err(broken)?;
    Ok(match stored {
        None => Given { sqn: provisioned, condition: Condition::Absent },
        Some((text, version)) => {
            let sqn = parse_sqn(&text)
                .ok_or_else(|| broken(StoreError::Engine(format!("{key}: not a sequence number"))))?;
            Given { sqn: sqn.max(provisioned), condition: Condition::Version(version) }
        }
    })
}

fn parse_sqn(text: &str) -> Option<[u8; 6]> {
    let mut octets = [0; 6];
    hex::decode_to_slice(text, &mut octets).ok().map(|()| octets)
}

fn document(subscriber: &Subscriber, given: &Given) -> Result<AuthenticationSubscription, Refused> {
    subscriber.authentication_subscription(given.sqn).ok_or_else(|| {
        tracing::error!(supi = %subscriber.supi, "the record's keys do not fit together");
        refuse(500, "SYSTEM_FAILURE")
    })
}

/// Big-endian, so that arrays compare as the numbers do.
fn sqn_of(document: &AuthenticationSubscription) -> [u8; 6] {
    document.sequence_number.as_ref().and_then(|number| number.sqn.as_ref()).map_or([0; 6], |octets| octets.0)
}

/// The document after the patch (RFC 6902). A `test` that fails is 409.
fn patched(
    document: &AuthenticationSubscription,
    patch: &[PatchItem],
) -> Result<AuthenticationSubscription, Refused> {
    let invalid =
        |reason: String| Refused::Problem(ProblemDetails::invalid("MANDATORY_IE_INCORRECT", "patch", reason));
    if patch.len() > PATCH_LEN_MAX {
        return Err(invalid(format!("more than {PATCH_LEN_MAX} operations")));
    }
    let mut value = serde_json::to_value(document).map_err(|error| invalid(error.to_string()))?;
    tern_nf::patch::apply(&mut value, patch).map_err(Refused::Problem)?;
    serde_json::from_value(value).map_err(|error| invalid(error.to_string()))
}

fn conflict(detail: &str) -> Refused {
    Refused::Problem(ProblemDetails { status: Some(409), ..ProblemDetails::default() }.with_detail(detail))
}
