use serde_json::{Value, json};
use tern_sbi::{npcf_am, npcf_sm};

use super::{
    ID, Sample, TIME, ambr, arp, guami, plmn, sample, service_area_restriction, snssai, user_location,
};

const AM: &str = "TS29507_Npcf_AMPolicyControl";
const SM: &str = "TS29512_Npcf_SMPolicyControl";

pub fn samples() -> Vec<Sample> {
    let mut all = access();
    all.extend(session());
    all
}

fn access() -> Vec<Sample> {
    let request = json!({
        "notificationUri": "http://amf/x", "suppFeat": "0", "supi": "imsi-001010000000001",
        "gpsi": "msisdn-491700000001", "accessType": "3GPP_ACCESS", "pei": "imei-123456789012345",
        "userLoc": user_location(), "timeZone": "+01:00", "servingPlmn": plmn(), "ratType": "NR",
        "servAreaRes": service_area_restriction(), "rfsp": 1, "ueAmbr": ambr(), "guami": guami(),
        "serviveName": "namf-comm", "accessTypes": ["3GPP_ACCESS"], "ratTypes": ["NR"],
        "groupIds": ["00000001-001-01-01"], "allowedSnssais": [snssai()], "targetSnssais": [snssai()]});
    vec![
        sample::<npcf_am::PolicyAssociationRequest>(AM, "PolicyAssociationRequest", request.clone()),
        sample::<npcf_am::PolicyAssociation>(
            AM,
            "PolicyAssociation",
            json!({
            "suppFeat": "0", "request": request, "servAreaRes": service_area_restriction(), "rfsp": 1,
            "targetRfsp": 2, "ueAmbr": ambr(), "triggers": ["LOC_CH"]}),
        ),
        sample::<npcf_am::PolicyAssociationUpdateRequest>(
            AM,
            "PolicyAssociationUpdateRequest",
            json!({
            "notificationUri": "http://amf/x", "servAreaRes": service_area_restriction(), "rfsp": 1,
            "ueAmbr": ambr(), "userLoc": user_location(), "guami": guami(), "triggers": ["RFSP_CH"],
            "allowedSnssais": [snssai()], "targetSnssais": [snssai()], "accessTypes": ["3GPP_ACCESS"],
            "ratTypes": ["NR"]}),
        ),
        sample::<npcf_am::PolicyUpdate>(
            AM,
            "PolicyUpdate",
            json!({"resourceUri": "http://pcf/x",
            "servAreaRes": service_area_restriction(), "rfsp": 1, "targetRfsp": 2, "ueAmbr": ambr(),
            "triggers": ["UE_AMBR_CH"]}),
        ),
        sample::<npcf_am::TerminationNotification>(
            AM,
            "TerminationNotification",
            json!({"resourceUri": "http://pcf/x", "cause": "UE_SUBSCRIPTION"}),
        ),
    ]
}

fn session() -> Vec<Sample> {
    let qos = json!({"5qi": 9, "arp": arp(), "priorityLevel": 80});
    let context = json!({
        "supi": "imsi-001010000000001", "pduSessionId": 1, "pduSessionType": "IPV4", "dnn": "internet",
        "notificationUri": "http://smf/x", "sliceInfo": snssai(), "gpsi": "msisdn-491700000001",
        "invalidSupi": false, "chargingcharacteristics": "0800", "dnnSelMode": "VERIFIED",
        "accessType": "3GPP_ACCESS", "ratType": "NR", "servingNetwork": plmn(),
        "userLocationInfo": user_location(), "ueTimeZone": "+01:00", "pei": "imei-123456789012345",
        "ipv4Address": "10.45.0.2", "ipv6AddressPrefix": "2001:db8::/64", "ipDomain": "d",
        "subsSessAmbr": ambr(), "authProfIndex": "a", "subsDefQos": qos, "numOfPackFilter": 16,
        "online": false, "offline": false, "3gppPsDataOffStatus": false, "refQosIndication": false,
        "servNfId": {"servNfInstId": ID, "guami": guami()}, "suppFeat": "0", "smfId": ID,
        "recoveryTime": TIME, "interGrpIds": ["00000001-001-01-01"]});
    let update = json!({
        "accessType": "3GPP_ACCESS", "ratType": "NR", "servingNetwork": plmn(),
        "userLocationInfo": user_location(), "ueTimeZone": "+01:00", "relIpv4Address": "10.45.0.2",
        "ipv4Address": "10.45.0.3", "subsSessAmbr": ambr(), "authProfIndex": "a", "subsDefQos": qos,
        "numOfPackFilter": 16, "userLocationInfoTime": TIME, "refQosIndication": false,
        "servNfId": {"guami": guami()}, "repPolicyCtrlReqTriggers": ["SE_AMBR_CH"],
        "ruleReports": reports()});
    vec![
        sample::<npcf_sm::SmPolicyContextData>(SM, "SmPolicyContextData", context.clone()),
        sample::<npcf_sm::SmPolicyDecision>(SM, "SmPolicyDecision", decision()),
        sample::<npcf_sm::SmPolicyControl>(
            SM,
            "SmPolicyControl",
            json!({"context": context, "policy": decision()}),
        ),
        sample::<npcf_sm::SmPolicyUpdateContextData>(SM, "SmPolicyUpdateContextData", update),
        sample::<npcf_sm::SmPolicyDeleteData>(
            SM,
            "SmPolicyDeleteData",
            json!({
            "userLocationInfo": user_location(), "ueTimeZone": "+01:00", "servingNetwork": plmn(),
            "userLocationInfoTime": TIME, "pduSessRelCause": "RULE_ERROR"}),
        ),
        sample::<npcf_sm::SmPolicyNotification>(
            SM,
            "SmPolicyNotification",
            json!({"resourceUri": "http://pcf/x", "smPolicyDecision": decision()}),
        ),
        sample::<npcf_sm::TerminationNotification>(
            SM,
            "TerminationNotification",
            json!({"resourceUri": "http://pcf/x", "cause": "REACTIVATION_REQUESTED"}),
        ),
        sample::<npcf_sm::SmPolicyUpdateReport>(SM, "UeCampingRep", camping()),
        sample::<npcf_sm::PartialSuccessReport>(
            SM,
            "PartialSuccessReport",
            json!({"failureCause": "PCC_RULE_EVENT", "ueCampingRep": camping(), "ruleReports": reports()}),
        ),
        sample::<npcf_sm::ErrorReport>(
            SM,
            "ErrorReport",
            json!({"error": {"status": 400, "cause": "RULE_PERMANENT_ERROR"}, "ruleReports": reports()}),
        ),
    ]
}

fn reports() -> Value {
    json!([
        {"pccRuleIds": ["a"], "ruleStatus": "INACTIVE", "failureCode": "RES_LIM"},
        {"pccRuleIds": ["b", "c"], "ruleStatus": "ACTIVE", "failureCode": "MAX_NR_QoS_FLOW"},
    ])
}

fn camping() -> Value {
    json!({"accessType": "3GPP_ACCESS", "ratType": "NR", "servNfId": {"guami": guami()},
        "servingNetwork": plmn(), "userLocationInfo": user_location(), "ueTimeZone": "+01:00"})
}

fn decision() -> Value {
    let rates = json!({"maxbrUl": "1 Mbps", "maxbrDl": "2 Mbps", "gbrUl": "500 Kbps", "gbrDl": "1 Mbps"});
    let mut default =
        json!({"5qi": 9, "arp": arp(), "priorityLevel": 80, "averWindow": 2000, "maxDataBurstVol": 1000});
    default.as_object_mut().expect("object").extend(rates.as_object().expect("object").clone());
    let mut data = default.clone();
    data.as_object_mut().expect("object").extend(
        json!({"qosId": "q", "qnc": false, "reflectiveQos": false, "defQosFlowIndication": false})
            .as_object()
            .expect("object")
            .clone(),
    );
    json!({
        "reflectiveQoSTimer": 1, "revalidationTime": TIME, "offline": false, "online": false,
        "relCause": "UNSPECIFIED", "suppFeat": "0", "policyCtrlReqTriggers": ["SE_AMBR_CH"],
        "sessRules": {"s": {"sessRuleId": "s", "authSessAmbr": ambr(), "authDefQos": default}},
        "pccRules": {"p": {"pccRuleId": "p", "appId": "a", "precedence": 100, "refQosData": ["q"],
            "refTcData": ["t"], "flowInfos": [{"flowDescription": "permit out ip from any to assigned",
            "packFiltId": "1", "packetFilterUsage": true, "tosTrafficClass": "00fc", "spi": "00000001",
            "flowLabel": "000001", "flowDirection": "BIDIRECTIONAL"}]}, "gone": null},
        "qosDecs": {"q": data},
        "traffContDecs": {"t": {"tcId": "t", "flowStatus": "ENABLED"}}
    })
}
