//! Every service operation over HTTP/2 and in the direct form: the same requests reach the same
//! handler, the same replies come back.

use std::collections::BTreeSet;
use std::marker::PhantomData;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use serde_json::{Value, json};
use tern_sbi::{
    Body, Call, Content, Headers, Method, Operation, Part, PartKind, PathParams, ProblemDetails, Reply,
    Request, direct,
};
use tern_sbi_transport::http::Tcp;
use tern_sbi_transport::{Http, HttpLimits, Routes, Service, Transport};
use tern_types::Duration;

use crate::samples::{self, Sample};
use crate::service::serve;

const ID: &str = "f4b2a6c0-0d0e-4a6b-9a3e-5d3f0c1b2a39";

/// All operations, with the model of their request's content.
macro_rules! for_each_operation {
    ($run:ident) => {{
        use tern_sbi::*;
        $run! {
            namf_comm::N1N2MessageTransfer, namf_comm::N1N2MessageTransferReqData;
            namf_comm::N1N2TransferFailureNotify, namf_comm::N1N2MsgTxfrFailureNotification;
            namf_loc::ProvideLocationInfo, namf_loc::RequestLocInfo;
            nausf_auth::Authenticate, nausf_auth::AuthenticationInfo;
            nausf_auth::Confirm5gAka, nausf_auth::ConfirmationData;
            nausf_auth::DeleteAuth, ();
            nausf_auth::EapAuthMethod, nausf_auth::EapSession;
            nausf_auth::DeleteEapAuth, ();
            nnrf_disc::SearchNfInstances, ();
            nnrf_nfm::RegisterNfInstance, nnrf_nfm::NfProfile;
            nnrf_nfm::UpdateNfInstance, Vec<common::PatchItem>;
            nnrf_nfm::DeregisterNfInstance, ();
            nnrf_nfm::GetNfInstance, ();
            nnrf_nfm::ListNfInstances, ();
            nnrf_nfm::CreateSubscription, nnrf_nfm::SubscriptionData;
            nnrf_nfm::UpdateSubscription, Vec<common::PatchItem>;
            nnrf_nfm::RemoveSubscription, ();
            nnrf_nfm::StatusNotify, nnrf_nfm::NotificationData;
            nnssf_nsselection::GetSliceSelectionInfo, ();
            npcf_am::CreateAmPolicy, npcf_am::PolicyAssociationRequest;
            npcf_am::ReadAmPolicy, ();
            npcf_am::UpdateAmPolicy, npcf_am::PolicyAssociationUpdateRequest;
            npcf_am::DeleteAmPolicy, ();
            npcf_am::AmPolicyUpdateNotify, npcf_am::PolicyUpdate;
            npcf_am::AmPolicyTerminateNotify, npcf_am::TerminationNotification;
            npcf_sm::CreateSmPolicy, npcf_sm::SmPolicyContextData;
            npcf_sm::GetSmPolicy, ();
            npcf_sm::UpdateSmPolicy, npcf_sm::SmPolicyUpdateContextData;
            npcf_sm::DeleteSmPolicy, npcf_sm::SmPolicyDeleteData;
            npcf_sm::SmPolicyUpdateNotify, npcf_sm::SmPolicyNotification;
            npcf_sm::SmPolicyTerminateNotify, npcf_sm::TerminationNotification;
            nsmf_pdusession::PostSmContexts, nsmf_pdusession::SmContextCreateData;
            nsmf_pdusession::UpdateSmContext, nsmf_pdusession::SmContextUpdateData;
            nsmf_pdusession::ReleaseSmContext, nsmf_pdusession::SmContextReleaseData;
            nsmf_pdusession::RetrieveSmContext, nsmf_pdusession::SmContextRetrieveData;
            nsmf_pdusession::SmContextStatusNotify, nsmf_pdusession::SmContextStatusNotification;
            nudm_sdm::GetDataSets, ();
            nudm_sdm::GetAmData, ();
            nudm_sdm::GetNssai, ();
            nudm_sdm::GetSmfSelectData, ();
            nudm_sdm::GetUeContextInSmfData, ();
            nudm_sdm::GetSmData, ();
            nudm_sdm::Subscribe, nudm_sdm::SdmSubscription;
            nudm_sdm::Unsubscribe, ();
            nudm_sdm::DataChangeNotify, nudm_sdm::ModificationNotification;
            nudm_ueau::GenerateAuthData, nudm_ueau::AuthenticationInfoRequest;
            nudm_ueau::ConfirmAuth, nudm_ueau::AuthEvent;
            nudm_ueau::DeleteAuth, nudm_ueau::AuthEvent;
            nudm_uecm::RegisterAmf3gpp, nudm_uecm::Amf3GppAccessRegistration;
            nudm_uecm::UpdateAmf3gpp, nudm_uecm::Amf3GppAccessRegistrationModification;
            nudm_uecm::GetAmf3gpp, ();
            nudm_uecm::RegisterSmf, nudm_uecm::SmfRegistration;
            nudm_uecm::DeregisterSmf, ();
            nudm_uecm::GetSmfRegistration, ();
            nudm_uecm::ListSmfRegistrations, ();
            nudm_uecm::DeregistrationNotify, nudm_uecm::DeregistrationData;
            nudr_dr::QueryAuthSubscription, ();
            nudr_dr::ModifyAuthSubscription, Vec<common::PatchItem>;
            nudr_dr::CreateAuthenticationStatus, nudm_ueau::AuthEvent;
            nudr_dr::QueryAuthenticationStatus, ();
            nudr_dr::DeleteAuthenticationStatus, ();
            nudr_dr::QueryAmfContext3gpp, ();
            nudr_dr::CreateAmfContext3gpp, nudm_uecm::Amf3GppAccessRegistration;
            nudr_dr::AmfContext3gpp, Vec<common::PatchItem>;
            nudr_dr::QuerySmfRegList, ();
            nudr_dr::QuerySmfRegistration, ();
            nudr_dr::CreateOrUpdateSmfRegistration, nudm_uecm::SmfRegistration;
            nudr_dr::DeleteSmfRegistration, ();
            nudr_dr::QuerySdmSubscriptions, ();
            nudr_dr::CreateSdmSubscription, nudm_sdm::SdmSubscription;
            nudr_dr::UpdateSdmSubscription, nudm_sdm::SdmSubscription;
            nudr_dr::RemoveSdmSubscription, ();
            nudr_dr::SubscribeToSubscriptionData, nudr_dr::SubscriptionDataSubscriptions;
            nudr_dr::UnsubscribeFromSubscriptionData, ();
            nudr_dr::SubscriptionDataChange, nudr_dr::DataChangeNotify;
            nudr_dr::SubscribeToPolicyData, nudr_dr::PolicyDataSubscription;
            nudr_dr::UnsubscribeFromPolicyData, ();
            nudr_dr::PolicyDataChange, Vec<nudr_dr::PolicyDataChangeNotification>;
            nudr_dr::ReadAmPolicyData, ();
            nudr_dr::ReadSmPolicyData, ();
            nudr_dr::QueryProvisionedData, ();
            nudr_dr::QueryAmData, ();
            nudr_dr::QuerySmfSelectData, ();
            nudr_dr::QuerySmData, ();
        }
    }};
}

#[test]
fn when_an_operation_is_defined_then_it_is_tested_both_ways() {
    macro_rules! names {
        ($($op:ty, $model:ty;)+) => { [$(<$op as Operation>::NAME),+] };
    }
    let tested: BTreeSet<&str> = for_each_operation!(names).into();
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto/sbi/src");
    let mut defined = BTreeSet::new();
    collect_names(&sources, &mut defined);
    assert!(defined.len() > 70, "{defined:?}");
    assert_eq!(defined.iter().map(String::as_str).collect::<BTreeSet<_>>(), tested);
}

/// The names in `pub struct Operation("Name"): …` of all sources.
fn collect_names(directory: &Path, names: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect_names(&path, names);
            continue;
        }
        let source = std::fs::read_to_string(&path).unwrap();
        // Documentation shows an example of the macro.
        for line in source.lines().filter(|line| !line.trim_start().starts_with("//")) {
            let Some((_, rest)) = line.split_once("pub struct ") else { continue };
            let Some((_, rest)) = rest.split_once("(\"") else { continue };
            names.extend(rest.split_once("\")").map(|(name, _)| name.to_owned()));
        }
    }
}

#[tokio::test]
async fn every_operation_is_the_same_both_ways() {
    let samples = samples::all();
    let http: Arc<dyn Transport> = Arc::new(Http::tcp(Tcp::default(), HttpLimits::default(), "TEST"));
    macro_rules! run {
        ($($op:ty, $model:ty;)+) => {
            $(both_ways(&http, &samples, &Typed::<$op>(PhantomData), std::any::type_name::<$model>()).await;)+
        };
    }
    for_each_operation!(run);
}

/// An operation without its types.
trait Tested: Sync {
    fn name(&self) -> &'static str;
    fn method(&self) -> Method;
    fn template(&self) -> &'static str;
    fn answer(&self) -> &'static str;
    fn failure(&self) -> &'static str;
    /// Routes whose handler keeps what it is asked.
    fn routes(&self, handler: Arc<Handler>) -> Routes;
    /// Reads a request and writes it again.
    fn request(&self, request: &Request) -> Result<Request, ProblemDetails>;
    /// Reads a reply and writes it again.
    fn reply(&self, reply: Reply) -> Reply;
}

struct Typed<O>(PhantomData<fn() -> O>);

impl<O: Operation> Tested for Typed<O> {
    fn name(&self) -> &'static str {
        O::NAME
    }

    fn method(&self) -> Method {
        O::METHOD
    }

    fn template(&self) -> &'static str {
        O::PATH
    }

    fn answer(&self) -> &'static str {
        std::any::type_name::<O::Answer>()
    }

    fn failure(&self) -> &'static str {
        std::any::type_name::<O::Failure>()
    }

    fn routes(&self, handler: Arc<Handler>) -> Routes {
        Routes::new().on_reply::<O, _, _>(move |call, op| {
            *handler.asked.lock().unwrap() = Some((call, op.into_request()));
            std::future::ready(handler.reply.lock().unwrap().clone())
        })
    }

    fn request(&self, request: &Request) -> Result<Request, ProblemDetails> {
        let params = PathParams::matching(O::PATH, &request.path).unwrap();
        O::from_request(&params, request).map(O::into_request)
    }

    fn reply(&self, reply: Reply) -> Reply {
        O::to_reply(O::from_reply(reply))
    }
}

/// What a handler was asked, as its operation writes it, and what it is to answer.
struct Handler {
    asked: Mutex<Option<(Call, Request)>>,
    reply: Mutex<Reply>,
}

/// One handler behind HTTP, and behind the direct form.
struct Bench<'a> {
    operation: &'a dyn Tested,
    handler: Arc<Handler>,
    routes: Routes,
    http: &'a Arc<dyn Transport>,
    root: String,
}

/// What came of a request: what the handler was asked, if it was, and the reply.
type Outcome = (Option<(Call, Request)>, Reply);

impl Bench<'_> {
    async fn over_http(&self, request: &Request) -> Outcome {
        let call = Call::default();
        let reply = self.http.send(&self.root, &call, request.clone()).await.unwrap();
        (self.handler.asked.lock().unwrap().take(), reply)
    }

    async fn direct(&self, request: &Request) -> Outcome {
        let mut octets = Vec::new();
        direct::write_request(request, &mut octets);
        let received = direct::read_request(octets.into()).unwrap();
        let reply = self.routes.handle(received).await;
        let mut octets = Vec::new();
        direct::write_reply(&reply, &mut octets);
        let reply = direct::read_reply(octets.into()).unwrap();
        (self.handler.asked.lock().unwrap().take(), reply)
    }

    /// Sends a request both ways.
    async fn compare(&self, request: &Request) -> Outcome {
        let (http, direct) = (self.over_http(request).await, self.direct(request).await);
        let what = || format!("{} asked {:?}", self.operation.name(), request.body);
        assert_eq!(http.0, direct.0, "{}", what());
        assert_eq!(without_positions(&http.1), without_positions(&direct.1), "{}", what());
        direct
    }

    /// A request with this content, as the operation writes it.
    fn request(&self, content: Option<&Value>) -> Request {
        let path: Vec<&str> = self.operation.template().split('/').map(segment).collect();
        let sent = Request {
            method: self.operation.method(),
            query: QUERY.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            path: path.join("/"),
            headers: Headers::default(),
            body: content.map_or(Body::Empty, body_of),
        };
        let written = self.operation.request(&sent);
        let written = written.unwrap_or_else(|problem| panic!("{}: {problem:?}", self.operation.name()));
        let headers = Headers {
            max_response_time: Some(Duration::from_millis(1500)),
            priority: Some(7),
            if_match: Some("\"a\"".into()),
            if_none_match: Some("\"b\"".into()),
        };
        Request { headers, ..written }
    }
}

async fn both_ways(http: &Arc<dyn Transport>, samples: &[Sample], operation: &dyn Tested, model: &str) {
    let handler = Arc::new(Handler { asked: Mutex::default(), reply: Mutex::new(Reply::empty(204)) });
    let (_serving, root) = serve(&**http, operation.routes(handler.clone())).await;
    let routes = operation.routes(handler.clone());
    let bench = Bench { operation, handler, routes, http, root };
    let bodies = bodies(samples, model);
    for body in &bodies {
        requests(&bench, body.as_ref()).await;
        if let Some(content) = body {
            refusals(&bench, content).await;
        }
    }
    replies(&bench, samples, bodies[0].as_ref()).await;
}

/// The operation arrives with all its parameters and attributes, and the call's header fields.
async fn requests(bench: &Bench<'_>, content: Option<&Value>) {
    let request = bench.request(content);
    let (asked, _) = bench.compare(&request).await;
    let (call, asked) = asked.unwrap_or_else(|| panic!("{} did not arrive", bench.operation.name()));
    assert_eq!(asked, Request { headers: Headers::default(), ..request });
    assert_eq!((call.timeout, call.priority), (Some(Duration::from_millis(1500)), Some(7)));
}

/// Wrong content is refused in the same words: each attribute absent and of other types, other
/// values in the object's place, and text that is not JSON.
async fn refusals(bench: &Bench<'_>, content: &Value) {
    let mut wrong = vec![json!([]), json!([1, 2, 3]), json!("x"), json!(7), Value::Null];
    let others = [json!([[]]), json!({"x": [1]}), json!("\u{1}"), json!(-1), json!(1.5), Value::Null];
    if let Value::Object(object) = content {
        for name in object.keys() {
            let mut less = object.clone();
            less.shift_remove(name);
            wrong.push(less.into());
            for other in &others {
                let mut changed = object.clone();
                changed[name] = other.clone();
                wrong.push(changed.into());
            }
        }
    }
    let right = bench.request(Some(content));
    let mut refused = 0;
    for content in wrong {
        let body = with_content(&right.body, Content::of(content));
        let (_, reply) = bench.compare(&Request { body, ..right.clone() }).await;
        refused += usize::from(reply.status == 400);
    }
    assert!(refused > 2, "{}", bench.operation.name());
    let body = with_content(&right.body, "{\"a\":".into());
    let (asked, reply) = bench.compare(&Request { body, ..right.clone() }).await;
    assert_eq!((asked, reply.status), (None, 400));
}

/// Answers, failures and problems arrive with all that they hold.
async fn replies(bench: &Bench<'_>, samples: &[Sample], content: Option<&Value>) {
    let operation = bench.operation;
    let mut replies = Vec::new();
    for answer in bodies(samples, operation.answer()) {
        let body = answer.as_ref().map_or(Body::Empty, body_of);
        let location = Some("http://127.0.0.1:8080/a/1".to_owned());
        let max_age = Some(Duration::from_secs(60));
        replies.push(operation.reply(Reply { body: body.clone(), ..Reply::empty(200) }));
        replies.push(operation.reply(Reply { location, max_age, body, ..Reply::empty(201) }));
    }
    for failure in bodies(samples, operation.failure()) {
        let body = failure.as_ref().map_or(Body::Empty, body_of);
        replies.push(operation.reply(Reply { body, ..Reply::empty(403) }));
    }
    let problem = |problem: ProblemDetails| operation.reply(problem.into_reply());
    replies.push(problem(ProblemDetails::invalid("MANDATORY_IE_MISSING", "/supi", "absent")));
    replies.push(Reply {
        retry_after: Some(Duration::from_secs(3)),
        etag: Some("\"e\"".into()),
        ..problem(ProblemDetails::new(503, "NF_CONGESTION"))
    });
    let request = bench.request(content);
    for reply in replies {
        *bench.handler.reply.lock().unwrap() = reply.clone();
        let (_, http) = bench.over_http(&request).await;
        let (_, direct) = bench.direct(&request).await;
        assert_eq!(http, reply, "{}", operation.name());
        assert_eq!(direct, reply, "{}", operation.name());
        assert_eq!(operation.reply(direct), operation.reply(http), "{}", operation.name());
    }
}

/// Bodies of a type by its name: of the model in it, all samples.
fn bodies(samples: &[Sample], name: &str) -> Vec<Option<Value>> {
    if name == "()" {
        return vec![None];
    }
    let of = |name: &str| -> Vec<Value> {
        samples.iter().filter(|sample| sample.model == name).map(|sample| sample.body.clone()).collect()
    };
    let exact = of(name);
    let inner = name.rsplit('<').next().unwrap_or(name).trim_end_matches('>');
    let mut all: Vec<Option<Value>> = match exact.as_slice() {
        [] if name.starts_with("alloc::vec::Vec<") => {
            of(inner).into_iter().map(|item| json!([item])).map(Some).collect()
        }
        [] => of(inner).into_iter().map(Some).collect(),
        exact => exact.iter().cloned().map(Some).collect(),
    };
    assert!(!all.is_empty(), "there is no sample of {name}");
    if name.starts_with("core::option::Option<") {
        all.push(None);
    }
    all
}

/// The body that holds JSON text, with the binary parts that it refers to.
fn body_of(content: &Value) -> Body {
    let text = content.to_string();
    let part =
        |id: &str, kind, data: &'static [u8]| Part { id: id.into(), kind, data: Bytes::from_static(data) };
    let parts: Vec<Part> =
        [part("n1", PartKind::Nas, b"\x2e\x01\x01\xc1\r\n"), part("n2", PartKind::Ngap, b"\x00\xff")]
            .into_iter()
            .filter(|part| text.contains(&format!("{{\"contentId\":\"{}\"}}", part.id)))
            .collect();
    if parts.is_empty() { Body::Json(text.into()) } else { Body::Related { json: text.into(), parts } }
}

fn with_content(body: &Body, content: Content) -> Body {
    match body {
        Body::Empty | Body::Json(_) => Body::Json(content),
        Body::Hal(_) => Body::Hal(content),
        Body::Problem(_) => Body::Problem(content),
        Body::MergePatch(_) => Body::MergePatch(content),
        Body::JsonPatch(_) => Body::JsonPatch(content),
        Body::Related { parts, .. } => Body::Related { json: content, parts: parts.clone() },
    }
}

/// A reply whose texts do not say where in the content the fault is: that differs.
fn without_positions(reply: &Reply) -> (Reply, Option<ProblemDetails>) {
    let cut = |text: &mut Option<String>| {
        if let Some(text) = text {
            for place in [" at line ", " at offset "] {
                text.truncate(text.find(place).unwrap_or(text.len()));
            }
        }
    };
    let mut problem = reply.body.problem();
    if let Some(problem) = &mut problem {
        cut(&mut problem.detail);
        problem.invalid_params.iter_mut().for_each(|param| cut(&mut param.reason));
    }
    match problem {
        Some(problem) if reply.status >= 400 => (Reply { body: Body::Empty, ..reply.clone() }, Some(problem)),
        _ => (reply.clone(), None),
    }
}

/// A value for a segment of a path template.
fn segment(template: &str) -> &str {
    match template {
        "{supi}" | "{ueId}" | "{supiOrSuci}" | "{ueContextId}" => "imsi-001010000000001",
        "{nfInstanceID}" => ID,
        "{pduSessionId}" => "5",
        "{servingPlmnId}" => "00101",
        variable if variable.starts_with('{') => "a%2Fb%20c",
        fixed => fixed,
    }
}

/// A value for every query parameter; an operation takes its own.
const QUERY: [(&str, &str); 36] = [
    ("target-nf-type", "SMF"),
    ("requester-nf-type", "AMF"),
    ("service-names", "nudm-sdm,nudm-uecm"),
    ("requester-nf-instance-id", ID),
    ("target-nf-instance-id", ID),
    ("target-plmn-list", "[{\"mcc\":\"001\",\"mnc\":\"01\"}]"),
    ("requester-plmn-list", "[{\"mcc\":\"001\",\"mnc\":\"01\"}]"),
    ("snssais", "[{\"sst\":1,\"sd\":\"010203\"}]"),
    ("dnn", "internet"),
    ("smf-serving-area", "north & south = é"),
    ("tai", "{\"plmnId\":{\"mcc\":\"001\",\"mnc\":\"01\"},\"tac\":\"000001\"}"),
    ("amf-region-id", "01"),
    ("amf-set-id", "001"),
    ("guami", "{\"plmnId\":{\"mcc\":\"001\",\"mnc\":\"01\"},\"amfId\":\"010040\"}"),
    ("supi", "imsi-001010000000001"),
    ("routing-indicator", "0000"),
    ("group-id-list", "a,b"),
    ("target-nf-set-id", "set"),
    ("access-type", "3GPP_ACCESS"),
    ("pdu-session-types", "IPV4,NEW_TYPE"),
    ("preferred-locality", "here"),
    ("limit", "3"),
    ("requester-features", "0"),
    ("nf-type", "AMF"),
    ("page-number", "1"),
    ("page-size", "10"),
    ("nf-id", ID),
    ("slice-info-request-for-registration", "{\"requestMapping\":true}"),
    ("home-plmn-id", "{\"mcc\":\"001\",\"mnc\":\"01\"}"),
    ("supported-features", "0"),
    ("dataset-names", "AM,SM"),
    ("plmn-id", "{\"mcc\":\"001\",\"mnc\":\"01\"}"),
    ("single-nssai", "{\"sst\":1}"),
    ("smf-set-id", "set"),
    ("smf-instance-id", ID),
    ("snssai", "{\"sst\":1}"),
];
