//! Operations both ways.

use bytes::Bytes;
use tern_sbi::common::{NfType, ServiceName};
use tern_sbi::namf_comm::{
    N1MessageContainer, N1N2MessageTransfer, N1N2MessageTransferReqData, N2InfoContainer,
};
use tern_sbi::nausf_auth::{Confirm5gAka, ConfirmationData};
use tern_sbi::nnrf_disc::SearchNfInstances;
use tern_sbi::nnrf_nfm::{NotificationData, NotificationEventType, StatusNotify};
use tern_sbi::nsmf_pdusession::{PostSmContexts, SmContextCreateError, SmContextUpdateData, UpdateSmContext};
use tern_sbi::nudm_sdm::{DataSetName, GetDataSets};
use tern_sbi::{
    Body, Operation, OperationError, PathParams, ProblemDetails, Related, Reply, Request, Response, cause,
};
use tern_types::PduSessionId;

fn both_ways<O: Operation + PartialEq + std::fmt::Debug>(operation: O) -> Request {
    let request = operation.to_request();
    let params = PathParams::matching(O::PATH, &request.path).expect("the template matches");
    assert_eq!(O::from_request(&params, &request).expect("read back"), operation);
    request
}

#[test]
fn paths_and_queries_are_written_and_read() {
    let confirmation = ConfirmationData::new(tern_sbi::common::Secret::new([7; 16]));
    let request = both_ways(Confirm5gAka::new("a/b".into(), confirmation));
    assert_eq!(request.path, "/nausf-auth/v1/ue-authentications/a%2Fb/5g-aka-confirmation");

    let search = SearchNfInstances {
        service_names: Some(vec![ServiceName::NudmSdm, ServiceName::NudmUecm]),
        snssais: Some(vec![tern_types::Snssai::new(1, Some(0x010203))]),
        limit: Some(3),
        ..SearchNfInstances::new(NfType::Udm, NfType::Amf)
    };
    let query = both_ways(search).query;
    assert!(query.contains(&("service-names".into(), "nudm-sdm,nudm-uecm".into())));
    assert!(query.contains(&("snssais".into(), "[{\"sst\":1,\"sd\":\"010203\"}]".into())));
}

#[test]
fn when_a_query_parameter_is_absent_or_wrong_then_the_cause_says_so() {
    let mut request = both_ways(GetDataSets::new("imsi-00101".parse().unwrap(), vec![DataSetName::Am]));
    let params = PathParams(vec!["imsi-00101".into()]);
    request.query.push(("plmn-id".into(), "1".into()));
    let refusal = GetDataSets::from_request(&params, &request).unwrap_err();
    assert_eq!(refusal.cause.as_deref(), Some(cause::OPTIONAL_QUERY_PARAM_INCORRECT));
    assert_eq!(refusal.invalid_params[0].param, "plmn-id");
    request.query.clear();
    let refusal = GetDataSets::from_request(&params, &request).unwrap_err();
    assert_eq!(refusal.cause.as_deref(), Some(cause::MANDATORY_QUERY_PARAM_MISSING));
    let refusal = GetDataSets::from_request(&PathParams(vec!["x".into()]), &request).unwrap_err();
    assert_eq!(refusal.cause.as_deref(), Some(cause::MANDATORY_IE_INCORRECT));
}

#[test]
fn binary_parts_travel_beside_their_references() {
    let update = UpdateSmContext {
        n1_sm_msg: Some(Bytes::from_static(b"nas")),
        n2_sm_info: Some(Bytes::from_static(b"ngap")),
        ..UpdateSmContext::new("7".into(), SmContextUpdateData::default())
    };
    let request = update.to_request();
    assert_eq!(request.body.parts().len(), 2);
    let read = UpdateSmContext::from_request(&PathParams(vec!["7".into()]), &request).unwrap();
    assert_eq!((read.n1_sm_msg, read.n2_sm_info), (update.n1_sm_msg, update.n2_sm_info));

    let session = PduSessionId::new(1).unwrap();
    let ie = tern_sbi::namf_comm::NgapIeType::PduResSetupReq;
    let data = N1N2MessageTransferReqData {
        n1_message_container: Some(N1MessageContainer::sm()),
        n2_info_container: Some(N2InfoContainer::sm(session, ie, None)),
        ..N1N2MessageTransferReqData::default()
    };
    let transfer = N1N2MessageTransfer {
        n1_sm_msg: Some(Bytes::from_static(b"nas")),
        n2_sm_info: Some(Bytes::from_static(b"ngap")),
        ..N1N2MessageTransfer::new("imsi-00101".into(), data)
    };
    let request = transfer.to_request();
    let read = N1N2MessageTransfer::from_request(&PathParams(vec!["x".into()]), &request).unwrap();
    assert_eq!((read.n1_sm_msg, read.n2_sm_info), (transfer.n1_sm_msg, transfer.n2_sm_info));
}

#[test]
fn when_a_reference_has_no_part_then_the_request_is_refused() {
    let json = "{\"n1SmMsg\": {\"contentId\": \"x\"}}";
    let request = Request {
        body: Body::Json(json.into()),
        ..UpdateSmContext::new("7".into(), SmContextUpdateData::default()).to_request()
    };
    let refusal = UpdateSmContext::from_request(&PathParams(vec!["7".into()]), &request).unwrap_err();
    assert_eq!(refusal.cause.as_deref(), Some(cause::INVALID_MSG_FORMAT));
}

#[test]
fn answers_travel_both_ways() {
    let reply = UpdateSmContext::to_reply(Ok(Response { status: 204, ..Response::ok(Related::default()) }));
    assert_eq!(reply, Reply::empty(204));
    assert_eq!(UpdateSmContext::from_reply(reply).unwrap().body, Related::default());

    let error = SmContextCreateError::new(ProblemDetails::new(403, "DNN_DENIED"));
    let body = Related { n1_sm_msg: Some(Bytes::from_static(b"reject")), ..Related::from(error) };
    let reply = PostSmContexts::to_reply(Err(OperationError::Refused { status: 403, body }));
    let refusal = PostSmContexts::from_reply(reply).unwrap_err();
    assert_eq!((refusal.status(), refusal.cause()), (Some(403), Some("DNN_DENIED")));
    let OperationError::Refused { body, .. } = refusal else { panic!("{refusal}") };
    assert_eq!(body.n1_sm_msg.as_deref(), Some(&b"reject"[..]));

    let reply = ProblemDetails::new(503, "NF_CONGESTION").into_reply();
    let refusal = PostSmContexts::from_reply(reply).unwrap_err();
    assert!(matches!(refusal, OperationError::Problem(_)));
    assert_eq!(refusal.cause(), Some("NF_CONGESTION"));
    assert_eq!(PostSmContexts::from_reply(Reply::empty(502)).unwrap_err().status(), Some(502));
    assert!(matches!(PostSmContexts::from_reply(Reply::empty(201)), Err(OperationError::Malformed(_))));
}

#[test]
fn callbacks_keep_the_path_that_the_subscriber_chose() {
    let event = NotificationEventType::NfDeregistered;
    let data = NotificationData::new(event, "http://nrf/nnrf-nfm/v1/nf-instances/x".into());
    let notify = StatusNotify::new(StatusNotify::callback_path("a b"), data);
    both_ways(notify.clone());
    assert_eq!(notify.key().as_deref(), Some("a b"));
    let foreign = StatusNotify { path: "/elsewhere?x=1".into(), ..notify };
    assert_eq!(foreign.to_request().path, "/elsewhere?x=1");
    assert_eq!(foreign.key(), None);
}
