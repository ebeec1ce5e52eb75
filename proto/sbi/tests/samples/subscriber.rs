use serde_json::json;
use tern_sbi::nausf_auth::{
    AuthenticationInfo, ConfirmationData, ConfirmationDataResponse, EapSession, UeAuthenticationCtx,
};
use tern_sbi::nudm_sdm::{
    AccessAndMobilitySubscriptionData, ModificationNotification, Nssai, SdmSubscription, SmSubsData,
    SmfSelectionSubscriptionData, SubscriptionDataSets, UeContextInAmfData, UeContextInSmfData,
};
use tern_sbi::nudm_ueau::{AuthEvent, AuthenticationInfoRequest, AuthenticationInfoResult};
use tern_sbi::nudm_uecm::{
    Amf3GppAccessRegistration, Amf3GppAccessRegistrationModification, DeregistrationData, SmfRegistration,
    SmfRegistrationInfo,
};
use tern_sbi::nudr_dr::{
    AmPolicyData, AuthenticationSubscription, DataChangeNotify, PolicyDataChangeNotification,
    PolicyDataSubscription, ProvisionedDataSets, SmPolicyData, SubscriptionDataSubscriptions,
};

use super::{ID, Sample, TIME, ambr, arp, guami, plmn, sample, service_area_restriction, snssai};

const AUSF: &str = "TS29509_Nausf_UEAuthentication";
const UEAU: &str = "TS29503_Nudm_UEAU";
const SDM: &str = "TS29503_Nudm_SDM";
const UECM: &str = "TS29503_Nudm_UECM";
const UDR: &str = "TS29505_Subscription_Data";
const POLICY: &str = "TS29519_Policy_Data";

const SNN: &str = "5G:mnc001.mcc001.3gppnetwork.org";
const SUPI: &str = "imsi-001010000000001";
const O16: &str = "00112233445566778899aabbccddeeff";

pub fn samples() -> Vec<Sample> {
    let mut all = authentication();
    all.extend(subscription());
    all.extend(registration());
    all.extend(notification());
    all
}

fn authentication() -> Vec<Sample> {
    let key = O16.repeat(2);
    let resync = json!({"rand": O16, "auts": &O16[..28]});
    vec![
        sample::<AuthenticationInfo>(
            AUSF,
            "AuthenticationInfo",
            json!({"supiOrSuci": "suci-0-001-01-0000-0-0-0000000001",
            "servingNetworkName": SNN, "resynchronizationInfo": resync, "pei": "imeisv-1234567890123456",
            "udmGroupId": "g", "routingIndicator": "0000", "supportedFeatures": "0"}),
        ),
        sample::<UeAuthenticationCtx>(
            AUSF,
            "UEAuthenticationCtx",
            json!({"authType": "5G_AKA",
            "5gAuthData": {"rand": O16, "hxresStar": O16, "autn": O16},
            "_links": {"5g-aka": {"href": "http://ausf/x"}}, "servingNetworkName": SNN}),
        ),
        sample::<UeAuthenticationCtx>(
            AUSF,
            "UEAuthenticationCtx",
            json!({"authType": "EAP_AKA_PRIME", "5gAuthData": "AQUACDIBAAA=",
            "_links": {"eap-session": {"href": "http://ausf/x"}}, "servingNetworkName": SNN}),
        ),
        sample::<EapSession>(
            AUSF,
            "EapSession",
            json!({"eapPayload": "AQUACDIBAAA=", "_links": {"eap-session": {"href": "http://ausf/x"}},
            "authResult": "AUTHENTICATION_ONGOING", "supportedFeatures": "0"}),
        ),
        sample::<EapSession>(
            AUSF,
            "EapSession",
            json!({"eapPayload": "AwUABA==", "kSeaf": key, "authResult": "AUTHENTICATION_SUCCESS", "supi": SUPI}),
        ),
        sample::<ConfirmationData>(
            AUSF,
            "ConfirmationData",
            json!({"resStar": O16, "supportedFeatures": "0"}),
        ),
        sample::<ConfirmationDataResponse>(
            AUSF,
            "ConfirmationDataResponse",
            json!({
            "authResult": "AUTHENTICATION_SUCCESS", "supi": SUPI, "kseaf": key}),
        ),
        sample::<AuthenticationInfoRequest>(
            UEAU,
            "AuthenticationInfoRequest",
            json!({"servingNetworkName": SNN,
            "ausfInstanceId": ID, "resynchronizationInfo": resync, "supportedFeatures": "0"}),
        ),
        sample::<AuthenticationInfoResult>(
            UEAU,
            "AuthenticationInfoResult",
            json!({"authType": "5G_AKA",
            "authenticationVector": {"avType": "5G_HE_AKA", "rand": O16, "xresStar": O16, "autn": O16, "kausf": key},
            "supi": SUPI, "akmaInd": false, "routingId": "0000", "supportedFeatures": "0"}),
        ),
        sample::<AuthenticationInfoResult>(
            UEAU,
            "AuthenticationInfoResult",
            json!({"authType": "EAP_AKA_PRIME",
            "authenticationVector": {"avType": "EAP_AKA_PRIME", "rand": O16, "xres": &O16[..16], "autn": O16,
                "ckPrime": O16, "ikPrime": O16},
            "supi": SUPI}),
        ),
        sample::<AuthEvent>(
            UEAU,
            "AuthEvent",
            json!({"nfInstanceId": ID, "success": true, "timeStamp": TIME,
            "authType": "5G_AKA", "servingNetworkName": SNN, "authRemovalInd": false}),
        ),
        sample::<AuthenticationSubscription>(
            UDR,
            "AuthenticationSubscription",
            json!({
            "authenticationMethod": "5G_AKA", "encPermanentKey": O16, "protectionParameterId": "none",
            "sequenceNumber": {"sqnScheme": "GENERAL", "sqn": "000000000020", "indLength": 5,
                "difSign": "POSITIVE", "lastIndexes": {"ausf": 0}},
            "authenticationManagementField": "8000", "algorithmId": "milenage", "encOpcKey": O16,
            "encTopcKey": O16, "supi": SUPI, "akmaAllowed": false, "routingId": "0000"}),
        ),
    ]
}

fn subscription() -> Vec<Sample> {
    let nssai = json!({"defaultSingleNssais": [snssai()], "supportedFeatures": "0", "provisioningTime": TIME,
        "singleNssais": [{"sst": 2}], "additionalSnssaiData": {"1-010203": {"requiredAuthnAuthz": false}}});
    let am = json!({
        "supportedFeatures": "0", "subscribedUeAmbr": ambr(), "nssai": nssai,
        "serviceAreaRestriction": service_area_restriction(), "rfspIndex": 1, "subsRegTimer": 3600,
        "ueUsageType": 1, "mpsPriority": false, "mcsPriority": false, "activeTime": 10, "micoAllowed": false,
        "routingIndicator": "0000", "nssaiInclusionAllowed": true, "odbPacketServices": "ALL_PACKET_SERVICES", "gpsis": ["msisdn-491700000001"],
        "internalGroupIds": ["00000001-001-01-01"], "ratRestrictions": ["EUTRA"],
        "forbiddenAreas": [{"tacs": ["000002"]}], "coreNetworkTypeRestrictions": ["EPC"],
        "subscribedDnnList": ["internet", "*"]});
    let select = json!({"supportedFeatures": "0", "subscribedSnssaiInfos": {"1-010203": {"dnnInfos": [{
        "dnn": "internet", "defaultDnnIndicator": true, "lboRoamingAllowed": true, "iwkEpsInd": false,
        "dnnBarred": false, "sameSmfInd": false, "smfList": [ID]}, {"dnn": "*"}]}}});
    let session = json!({"singleNssai": snssai(), "supportedFeatures": "0", "internalGroupIds": ["00000001-001-01-01"],
        "dnnConfigurations": {"internet": {
            "pduSessionTypes": {"defaultSessionType": "IPV4", "allowedSessionTypes": ["IPV4V6"]},
            "sscModes": {"defaultSscMode": "SSC_MODE_1", "allowedSscModes": ["SSC_MODE_2"]},
            "iwkEpsInd": false, "5gQosProfile": {"5qi": 9, "arp": arp(), "priorityLevel": 80},
            "sessionAmbr": ambr(), "3gppChargingCharacteristics": "0800",
            "upSecurity": {"upIntegr": "PREFERRED", "upConfid": "NOT_NEEDED"},
            "staticIpAddress": [{"ipv4Addr": "10.45.0.9"}]}}});
    let in_smf = json!({"pduSessions": {"1": {"dnn": "internet", "smfInstanceId": ID, "plmnId": plmn(),
        "singleNssai": snssai()}}});
    let in_amf = json!({"amfInfo": [{"amfInstanceId": ID, "guami": guami(), "accessType": "3GPP_ACCESS"}]});
    let subscription = json!({"nfInstanceId": ID, "callbackReference": "http://amf/x",
        "monitoredResourceUris": ["http://udm/nudm-sdm/v2/imsi-001010000000001/am-data"],
        "implicitUnsubscribe": true, "expires": TIME, "singleNssai": snssai(), "dnn": "internet",
        "subscriptionId": "7", "plmnId": plmn(), "immediateReport": false, "supportedFeatures": "0",
        "uniqueSubscription": true});
    vec![
        sample::<Nssai>(SDM, "Nssai", nssai.clone()),
        sample::<AccessAndMobilitySubscriptionData>(SDM, "AccessAndMobilitySubscriptionData", am.clone()),
        sample::<SmfSelectionSubscriptionData>(SDM, "SmfSelectionSubscriptionData", select.clone()),
        sample::<SmSubsData>(SDM, "SmSubsData", json!([session])),
        sample::<SmSubsData>(
            SDM,
            "SmSubsData",
            json!({"sharedSmSubsDataIds": ["00101-a"],
            "individualSmSubsData": [session]}),
        ),
        sample::<UeContextInSmfData>(SDM, "UeContextInSmfData", in_smf.clone()),
        sample::<UeContextInAmfData>(SDM, "UeContextInAmfData", in_amf.clone()),
        sample::<SubscriptionDataSets>(
            SDM,
            "SubscriptionDataSets",
            json!({"amData": am, "smfSelData": select,
            "uecAmfData": in_amf, "uecSmfData": in_smf, "smData": [session]}),
        ),
        sample::<SdmSubscription>(SDM, "SdmSubscription", subscription),
        sample::<ModificationNotification>(
            SDM,
            "ModificationNotification",
            json!({"notifyItems": [{
            "resourceId": "http://udm/x", "changes": [{"op": "REPLACE", "path": "/a", "newValue": 1}]}]}),
        ),
        sample::<ProvisionedDataSets>(
            UDR,
            "ProvisionedDataSets",
            json!({"amData": am, "smfSelData": select, "smData": [session]}),
        ),
        sample::<AmPolicyData>("TS29519_Policy_Data", "AmPolicyData", json!({"subscCats": ["gold"]})),
        sample::<SmPolicyData>(
            POLICY,
            "SmPolicyData",
            json!({"suppFeat": "0",
            "smPolicySnssaiData": {"1-010203": {"snssai": snssai(), "smPolicyDnnData": {"internet": {
            "dnn": "internet", "gbrUl": "1 Mbps", "gbrDl": "1 Mbps", "adcSupport": false, "offline": false,
            "online": false, "mpsPriority": false, "imsSignallingPrio": false,
            "allowedServices": ["a"], "subscCats": ["gold"]}}}}}),
        ),
    ]
}

fn notification() -> Vec<Sample> {
    let am_data = "/nudr-dr/v2/subscription-data/imsi-001010000000001/00101/provisioned-data/am-data";
    let by_dnn = json!({"internet": {"dnn": "internet", "subscCats": ["gold"]}});
    let slices = json!({"1-010203": {"snssai": snssai(), "smPolicyDnnData": by_dnn}});
    vec![
        sample::<SubscriptionDataSubscriptions>(
            UDR,
            "SubscriptionDataSubscriptions",
            json!({"callbackReference": "http://udm/x", "monitoredResourceUris": [am_data], "ueId": SUPI,
            "originalCallbackReference": "http://amf/x", "expiry": TIME, "subscriptionId": "7",
            "uniqueSubscription": true, "supportedFeatures": "0"}),
        ),
        sample::<DataChangeNotify>(
            UDR,
            "DataChangeNotify",
            json!({"ueId": SUPI, "originalCallbackReference": ["http://amf/x"], "notifyItems": [{
            "resourceId": am_data,
            "changes": [{"op": "REPLACE", "path": "", "newValue": {"subscribedUeAmbr": ambr()}},
                {"op": "REMOVE", "path": ""}]}]}),
        ),
        sample::<PolicyDataSubscription>(
            POLICY,
            "PolicyDataSubscription",
            json!({"notificationUri": "http://pcf/x", "notifId": "7", "expiry": TIME, "supportedFeatures": "0",
            "monitoredResourceUris": ["/nudr-dr/v2/policy-data/ues/imsi-001010000000001/am-data"]}),
        ),
        sample::<PolicyDataChangeNotification>(
            POLICY,
            "PolicyDataChangeNotification",
            json!({"amPolicyData": {"subscCats": ["gold"]}, "smPolicyData": {"smPolicySnssaiData": slices},
            "ueId": SUPI, "notifId": "7",
            "delResources": ["/nudr-dr/v2/policy-data/ues/imsi-001010000000001/am-data"]}),
        ),
    ]
}

fn registration() -> Vec<Sample> {
    let backup = json!([{"backupAmf": "amf2.example.org", "guamiList": [guami()]}]);
    let smf = json!({"smfInstanceId": ID, "pduSessionId": 1, "singleNssai": snssai(), "plmnId": plmn(),
        "smfSetId": "set1.smfset.5gc.mnc001.mcc001", "supportedFeatures": "0", "dnn": "internet",
        "emergencyServices": false, "pcscfRestorationCallbackUri": "http://smf/p",
        "deregCallbackUri": "http://smf/x", "registrationReason": "SMF_CONTEXT_TRANSFERRED",
        "registrationTime": TIME, "pcfId": ID});
    vec![
        sample::<Amf3GppAccessRegistration>(
            UECM,
            "Amf3GppAccessRegistration",
            json!({"amfInstanceId": ID,
            "deregCallbackUri": "http://amf/x", "guami": guami(), "ratType": "NR", "supportedFeatures": "0",
            "purgeFlag": false, "pei": "imei-123456789012345", "imsVoPs": "HOMOGENEOUS_SUPPORT",
            "amfServiceNameDereg": "namf-comm", "pcscfRestorationCallbackUri": "http://amf/p",
            "initialRegistrationInd": true, "emergencyRegistrationInd": false, "drFlag": false,
            "urrpIndicator": false, "registrationTime": TIME, "noEeSubscriptionInd": true, "supi": SUPI,
            "reRegistrationRequired": false, "adminDeregSubWithdrawn": false, "backupAmfInfo": backup}),
        ),
        sample::<Amf3GppAccessRegistrationModification>(
            UECM,
            "Amf3GppAccessRegistrationModification",
            json!({"guami": guami(), "purgeFlag": true, "pei": "imei-123456789012345",
            "imsVoPs": "HOMOGENEOUS_NON_SUPPORT", "backupAmfInfo": backup}),
        ),
        sample::<SmfRegistration>(UECM, "SmfRegistration", smf.clone()),
        sample::<Vec<SmfRegistration>>(UDR, "SmfRegList", json!([smf])),
        sample::<SmfRegistrationInfo>(UECM, "SmfRegistrationInfo", json!({"smfRegistrationList": [smf]})),
        sample::<DeregistrationData>(
            UECM,
            "DeregistrationData",
            json!({"deregReason": "SUBSCRIPTION_WITHDRAWN",
            "accessType": "3GPP_ACCESS", "pduSessionId": 1, "newSmfInstanceId": ID}),
        ),
    ]
}
