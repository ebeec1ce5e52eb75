use serde_json::{Value, json};
use tern_sbi::ProblemDetails;
use tern_sbi::namf_comm::{
    N1N2MessageTransferError, N1N2MessageTransferReqData, N1N2MessageTransferRspData,
    N1N2MsgTxfrFailureNotification,
};
use tern_sbi::namf_loc::{ProvideLocInfo, RequestLocInfo};
use tern_sbi::nsmf_pdusession::{
    SmContextCreateData, SmContextCreateError, SmContextCreatedData, SmContextReleaseData,
    SmContextReleasedData, SmContextRetrieveData, SmContextRetrievedData, SmContextStatusNotification,
    SmContextUpdateData, SmContextUpdateError, SmContextUpdatedData,
};

use super::{ID, Sample, TIME, ambr, arp, guami, plmn, sample, snssai, tai, user_location};

const SMF: &str = "TS29502_Nsmf_PDUSession";
const AMF: &str = "TS29518_Namf_Communication";
const LOCATION: &str = "TS29518_Namf_Location";

fn n1() -> Value {
    json!({"contentId": "n1"})
}

fn n2() -> Value {
    json!({"contentId": "n2"})
}

fn problem() -> Value {
    json!({"status": 403, "title": "t", "detail": "d", "cause": "DNN_DENIED",
        "invalidParams": [{"param": "/dnn", "reason": "r"}]})
}

fn backup() -> Value {
    json!([{"backupAmf": "amf2.example.org", "guamiList": [guami()]}])
}

pub fn samples() -> Vec<Sample> {
    let mut all = creation();
    all.extend(update());
    all.extend(end());
    all.extend(transfer());
    all
}

fn creation() -> Vec<Sample> {
    vec![
        sample::<ProblemDetails>("TS29571_CommonData", "ProblemDetails", problem()),
        sample::<SmContextCreateData>(
            SMF,
            "SmContextCreateData",
            json!({
            "servingNfId": ID, "servingNetwork": plmn(), "anType": "3GPP_ACCESS",
            "smContextStatusUri": "http://amf/x", "supi": "imsi-001010000000001", "unauthenticatedSupi": false,
            "pei": "imeisv-1234567890123456", "gpsi": "msisdn-491700000001", "pduSessionId": 1,
            "dnn": "internet", "selectedDnn": "internet", "sNssai": snssai(), "hplmnSnssai": snssai(),
            "guami": guami(), "serviceName": "namf-comm", "requestType": "INITIAL_REQUEST", "n1SmMsg": n1(),
            "additionalAnType": "NON_3GPP_ACCESS", "ratType": "NR", "presenceInLadn": "IN_AREA",
            "ueLocation": user_location(), "ueTimeZone": "+01:00", "hSmfUri": "http://smf/x", "hSmfId": ID,
            "oldPduSessionId": 2, "hoState": "NONE", "pcfId": ID, "pcfGroupId": "g", "nrfUri": "http://nrf/x",
            "supportedFeatures": "0", "selMode": "VERIFIED", "udmGroupId": "g", "routingIndicator": "0000",
            "epsInterworkingInd": "NONE", "n2SmInfo": n2(), "n2SmInfoType": "PATH_SWITCH_REQ",
            "smContextRef": "http://smf/y", "upCnxState": "ACTIVATED", "extendedNasSmTimerInd": false,
            "pduSessionsActivateList": [1], "backupAmfInfo": backup()}),
        ),
        sample::<SmContextCreatedData>(
            SMF,
            "SmContextCreatedData",
            json!({
            "hSmfUri": "http://smf/x", "smfUri": "http://smf/x", "pduSessionId": 1, "sNssai": snssai(),
            "upCnxState": "ACTIVATING", "n2SmInfo": n2(), "n2SmInfoType": "PDU_RES_SETUP_REQ",
            "hoState": "NONE", "gpsi": "msisdn-491700000001", "smfServiceInstanceId": "s",
            "recoveryTime": TIME, "supportedFeatures": "0", "selectedSmfId": ID}),
        ),
        sample::<SmContextCreateError>(
            SMF,
            "SmContextCreateError",
            json!({"error": problem(), "n1SmMsg": n1(),
            "n2SmInfo": n2(), "n2SmInfoType": "PDU_RES_SETUP_FAIL", "recoveryTime": TIME}),
        ),
    ]
}

fn update() -> Vec<Sample> {
    vec![
        sample::<SmContextUpdateData>(
            SMF,
            "SmContextUpdateData",
            json!({
            "pei": "imei-123456789012345", "servingNfId": ID, "guami": guami(), "servingNetwork": plmn(),
            "anType": "3GPP_ACCESS", "anTypeToReactivate": "3GPP_ACCESS", "ratType": "NR",
            "presenceInLadn": "OUT_OF_AREA", "ueLocation": user_location(), "ueTimeZone": "+01:00",
            "upCnxState": "DEACTIVATED", "hoState": "PREPARING", "toBeSwitched": true,
            "failedToBeSwitched": false, "n1SmMsg": n1(), "n2SmInfo": n2(),
            "n2SmInfoType": "PDU_RES_SETUP_RSP", "targetId": {"ranNodeId": {"plmnId": plmn(),
            "gNbId": {"bitLength": 22, "gNBValue": "000001"}}, "tai": tai()}, "targetServingNfId": ID, "smContextStatusUri": "http://amf/x",
            "dataForwarding": false, "release": false, "cause": "REL_DUE_TO_DUPLICATE_SESSION_ID",
            "ngApCause": {"group": 0, "value": 20}, "5gMmCauseValue": 9, "sNssai": snssai(),
            "supportedFeatures": "0", "backupAmfInfo": backup()}),
        ),
        sample::<SmContextUpdatedData>(
            SMF,
            "SmContextUpdatedData",
            json!({
            "upCnxState": "ACTIVATED", "hoState": "PREPARED", "n1SmMsg": n1(), "n2SmInfo": n2(),
            "n2SmInfoType": "PDU_RES_REL_CMD", "dataForwarding": false, "cause": "HO_CANCEL",
            "supportedFeatures": "0"}),
        ),
        sample::<SmContextUpdateError>(
            SMF,
            "SmContextUpdateError",
            json!({"error": problem(), "n1SmMsg": n1(),
            "n2SmInfo": n2(), "n2SmInfoType": "PDU_RES_MOD_FAIL", "upCnxState": "DEACTIVATED",
            "recoveryTime": TIME}),
        ),
    ]
}

fn end() -> Vec<Sample> {
    let context = json!({"pduSessionId": 1, "dnn": "internet", "sNssai": snssai(), "pduSessionType": "IPV4",
        "sessionAmbr": ambr(), "qosFlowsList": [{"qfi": 1, "qosRules": "AA==", "qosFlowDescription": "AA==",
        "defaultQosRuleInd": true}], "selectedDnn": "internet", "pcfId": ID, "selMode": "VERIFIED",
        "smfInstanceId": ID, "ueIpv4Address": "10.45.0.2",
        "upSecurity": {"upIntegr": "REQUIRED", "upConfid": "REQUIRED"}, "recoveryTime": TIME});
    vec![
        sample::<SmContextReleaseData>(
            SMF,
            "SmContextReleaseData",
            json!({
            "cause": "REL_DUE_TO_REACTIVATION", "ngApCause": {"group": 2, "value": 2}, "5gMmCauseValue": 22,
            "ueLocation": user_location(), "ueTimeZone": "+01:00", "vsmfReleaseOnly": false,
            "n2SmInfo": n2(), "n2SmInfoType": "PDU_RES_REL_RSP"}),
        ),
        sample::<SmContextReleasedData>(SMF, "SmContextReleasedData", json!({})),
        sample::<SmContextRetrieveData>(
            SMF,
            "SmContextRetrieveData",
            json!({"servingNetwork": plmn(), "ranUnchangedInd": false}),
        ),
        sample::<SmContextRetrievedData>(
            SMF,
            "SmContextRetrievedData",
            json!({"ueEpsPdnConnection": "", "smContext": context}),
        ),
        sample::<SmContextStatusNotification>(
            SMF,
            "SmContextStatusNotification",
            json!({"statusInfo": {
            "resourceStatus": "RELEASED", "cause": "REL_DUE_TO_UNSPECIFIED_REASON", "anType": "3GPP_ACCESS"}}),
        ),
    ]
}

fn transfer() -> Vec<Sample> {
    vec![
        sample::<N1N2MessageTransferReqData>(
            AMF,
            "N1N2MessageTransferReqData",
            json!({
            "n1MessageContainer": {"n1MessageClass": "SM", "n1MessageContent": n1(), "nfId": ID,
                "serviceInstanceId": "s"},
            "n2InfoContainer": {"n2InformationClass": "SM", "smInfo": {"pduSessionId": 1,
                "n2InfoContent": {"ngapData": n2(), "ngapMessageType": 29, "ngapIeType": "PDU_RES_SETUP_REQ"},
                "sNssai": snssai(), "subjectToHo": false}},
            "skipInd": false, "lastMsgIndication": false, "pduSessionId": 1, "ppi": 0, "arp": arp(), "5qi": 9,
            "n1n2FailureTxfNotifURI": "http://smf/x", "smfReallocationInd": false,
            "areaOfValidity": {"taiList": [tai()]}, "supportedFeatures": "0",
            "targetAccess": "3GPP_ACCESS", "nfId": ID}),
        ),
        sample::<N1N2MessageTransferRspData>(
            AMF,
            "N1N2MessageTransferRspData",
            json!({"cause": "N1_N2_TRANSFER_INITIATED", "supportedFeatures": "0"}),
        ),
        sample::<N1N2MessageTransferError>(
            AMF,
            "N1N2MessageTransferError",
            json!({"error": problem(),
            "errInfo": {"retryAfter": 1, "highestPrioArp": arp(), "maxWaitingTime": 2}}),
        ),
        sample::<N1N2MsgTxfrFailureNotification>(
            AMF,
            "N1N2MsgTxfrFailureNotification",
            json!({"cause": "UE_NOT_RESPONDING", "n1n2MsgDataUri": "http://amf/x"}),
        ),
        sample::<RequestLocInfo>(
            LOCATION,
            "RequestLocInfo",
            json!({"req5gsLoc": true, "reqCurrentLoc": true, "reqRatType": false, "supportedFeatures": "0"}),
        ),
        sample::<ProvideLocInfo>(
            LOCATION,
            "ProvideLocInfo",
            json!({"currentLoc": true, "location": user_location(), "locationAge": 3, "ratType": "NR",
                "supportedFeatures": "0"}),
        ),
    ]
}
