use serde_json::json;
use tern_sbi::common::{NotifyItem, PatchItem, PatchResult};
use tern_sbi::nnrf_disc::SearchResult;
use tern_sbi::nnrf_nfm::{NfProfile, NotificationData, SubscrCond, SubscriptionData, UriList};
use tern_sbi::nnssf_nsselection::{
    AuthorizedNetworkSliceInfo, SliceInfoForPduSession, SliceInfoForRegistration,
};

use super::{ID, Sample, TIME, guami, plmn, sample, snssai, tai};

const NFM: &str = "TS29510_Nnrf_NFManagement";
const COMMON: &str = "TS29571_CommonData";
const NSSF: &str = "TS29531_Nnssf_NSSelection";

fn infos() -> serde_json::Value {
    let ranges = json!([{"plmnId": plmn(), "tacRangeList": [{"start": "000001", "end": "0000ff"}]}]);
    let supis = json!([{"start": "001010000000001", "end": "001019999999999"}]);
    let gpsis = json!([{"start": "1", "end": "9"}]);
    let smf = json!({
        "sNssaiSmfInfoList": [{"sNssai": snssai(), "dnnSmfInfoList": [{"dnn": "internet", "dnaiList": ["edge"]}, {"dnn": "*"}]}],
        "priority": 1, "taiList": [tai()], "taiRangeList": ranges, "accessType": ["3GPP_ACCESS"]
    });
    let upf = json!({
        "sNssaiUpfInfoList": [{"sNssai": snssai(), "dnnUpfInfoList": [{
            "dnn": "internet", "dnaiList": ["edge"], "pduSessionTypes": ["IPV4"],
            "ipv4AddressRanges": [{"start": "10.45.0.1", "end": "10.45.255.254"}]}]}],
        "iwkEpsInd": false, "ueIpAddrInd": true, "priority": 2, "smfServingArea": ["north"],
        "interfaceUpfInfoList": [{"interfaceType": "N3", "endpointFqdn": "upf.example.org", "networkInstance": "n3",
            "ipv4EndpointAddresses": ["192.0.2.1"], "ipv6EndpointAddresses": ["2001:db8::1"]}],
        "pduSessionTypes": ["IPV4"], "taiList": [tai()], "taiRangeList": ranges
    });
    json!({
        "udrInfo": {"groupId": "g", "supiRanges": supis, "gpsiRanges": gpsis, "supportedDataSets": ["SUBSCRIPTION"]},
        "udmInfo": {"groupId": "g", "supiRanges": supis, "gpsiRanges": gpsis, "routingIndicators": ["0000"]},
        "ausfInfo": {"groupId": "g", "supiRanges": [{"pattern": "^imsi-00101"}], "routingIndicators": ["0000"]},
        "amfInfo": {
            "amfSetId": "001", "amfRegionId": "01", "guamiList": [guami()],
            "n2InterfaceAmfInfo": {"amfName": "amf.5gc.mnc001.mcc001.3gppnetwork.org",
                "ipv4EndpointAddress": ["192.0.2.2"], "ipv6EndpointAddress": ["2001:db8::2"]},
            "taiList": [tai()], "taiRangeList": ranges,
            "backupInfoAmfFailure": [guami()], "backupInfoAmfRemoval": [guami()]
        },
        "smfInfo": smf, "smfInfoList": {"a": smf},
        "upfInfo": upf, "upfInfoList": {"a": upf},
        "pcfInfo": {"groupId": "g", "dnnList": ["internet"], "supiRanges": supis, "gpsiRanges": gpsis}
    })
}

fn service() -> serde_json::Value {
    json!({
        "serviceInstanceId": "namf-comm-1", "serviceName": "namf-comm",
        "versions": [{"apiVersionInUri": "v1", "apiFullVersion": "1.2.0", "expiry": TIME}],
        "scheme": "http", "nfServiceStatus": "REGISTERED", "fqdn": "amf.example.org",
        "interPlmnFqdn": "amf.example.org", "apiPrefix": "x", "priority": 0, "capacity": 100, "load": 3,
        "loadTimeStamp": TIME, "recoveryTime": TIME, "supportedFeatures": "0", "oauth2Required": false,
        "ipEndPoints": [{"ipv4Address": "127.0.0.16", "transport": "TCP", "port": 8080}, {"ipv6Address": "2001:db8::3"}],
        "defaultNotificationSubscriptions": [{"notificationType": "N1_MESSAGES", "callbackUri": "http://amf/x",
            "n1MessageClass": "SM", "n2InformationClass": "SM"}],
        "allowedPlmns": [plmn()], "allowedNfTypes": ["SMF"], "allowedNfDomains": ["example.org"],
        "allowedNssais": [snssai()], "sNssais": [snssai()],
        "perPlmnSnssaiList": [{"plmnId": plmn(), "sNssaiList": [snssai()]}],
        "nfServiceSetIdList": ["set1.snnamf-comm.amfi1.5gc.mnc001.mcc001"]
    })
}

fn profile() -> serde_json::Value {
    let mut profile = json!({
        "nfInstanceId": ID, "nfType": "AMF", "nfStatus": "REGISTERED", "nfInstanceName": "amf-1",
        "heartBeatTimer": 10, "fqdn": "amf.example.org", "interPlmnFqdn": "amf.example.org", "priority": 0,
        "capacity": 100, "load": 5, "loadTimeStamp": TIME, "locality": "here", "recoveryTime": TIME,
        "nfServicePersistence": true, "nfProfileChangesSupportInd": true, "nfProfileChangesInd": false, "customInfo": {"ternNode": "00"},
        "plmnList": [plmn()], "sNssais": [snssai()],
        "perPlmnSnssaiList": [{"plmnId": plmn(), "sNssaiList": [snssai()]}],
        "nsiList": ["1"], "ipv4Addresses": ["127.0.0.16"], "ipv6Addresses": ["2001:db8::3"],
        "allowedPlmns": [plmn()], "allowedNfTypes": ["SMF"], "allowedNfDomains": ["example.org"],
        "allowedNssais": [snssai()], "nfServices": [service()], "nfServiceList": {"a": service()},
        "defaultNotificationSubscriptions": [{"notificationType": "N1_MESSAGES", "callbackUri": "http://amf/x"}],
        "nfSetIdList": ["set001.region01.amfset.5gc.mnc001.mcc001"], "servingScope": ["north"]
    });
    profile.as_object_mut().expect("object").extend(infos().as_object().expect("object").clone());
    profile
}

pub fn samples() -> Vec<Sample> {
    let small =
        json!({"nfInstanceId": ID, "nfType": "SMF", "nfStatus": "SUSPENDED", "fqdn": "smf.example.org"});
    let mut all = vec![
        sample::<NfProfile>(NFM, "NFProfile", profile()),
        sample::<UriList>(
            NFM,
            "UriList",
            json!({"_links": {"self": {"href": "http://nrf/a"},
            "item": [{"href": "http://nrf/b"}]}, "totalItemCount": 1}),
        ),
        sample::<SubscriptionData>(
            NFM,
            "SubscriptionData",
            json!({
            "nfStatusNotificationUri": "http://amf/x", "subscriptionId": "7", "reqNfInstanceId": ID,
            "subscrCond": {"nfType": "SMF"}, "validityTime": TIME, "plmnId": plmn(), "reqNfType": "AMF",
            "reqNfFqdn": "amf.example.org", "reqNotifEvents": ["NF_REGISTERED"], "reqSnssais": [snssai()],
            "reqPerPlmnSnssais": [{"plmnId": plmn(), "sNssaiList": [snssai()]}], "reqPlmnList": [plmn()]}),
        ),
        sample::<NotificationData>(
            NFM,
            "NotificationData",
            json!({"event": "NF_REGISTERED",
            "nfInstanceUri": "http://nrf/x", "nfProfile": small}),
        ),
        sample::<NotificationData>(
            NFM,
            "NotificationData",
            json!({"event": "NF_PROFILE_CHANGED",
            "nfInstanceUri": "http://nrf/x", "profileChanges": [{"op": "REPLACE", "path": "/load",
            "from": "/x", "origValue": 1, "newValue": 2}]}),
        ),
        sample::<SearchResult>(
            "TS29510_Nnrf_NFDiscovery",
            "SearchResult",
            json!({"nfInstances": [small],
            "validityPeriod": 60, "searchId": "s", "numNfInstComplete": 1, "nrfSupportedFeatures": "0"}),
        ),
        sample::<PatchItem>(
            COMMON,
            "PatchItem",
            json!({"op": "replace", "path": "/nfStatus",
            "from": "/x", "value": "REGISTERED"}),
        ),
        sample::<PatchResult>(COMMON, "PatchResult", json!({"report": [{"path": "/a", "reason": "no"}]})),
        sample::<NotifyItem>(
            COMMON,
            "NotifyItem",
            json!({"resourceId": "http://udm/x",
            "changes": [{"op": "ADD", "path": "/a", "newValue": null}]}),
        ),
    ];
    for condition in [
        json!({"nfInstanceId": ID}),
        json!({"nfInstanceIdList": [ID]}),
        json!({"nfType": "SMF"}),
        json!({"serviceName": "nudm-sdm"}),
        json!({"guamiList": [guami()]}),
        json!({"amfSetId": "001", "amfRegionId": "01"}),
    ] {
        all.push(sample::<SubscrCond>(NFM, "SubscrCond", condition));
    }
    all.extend(nssf());
    all
}

fn nssf() -> Vec<Sample> {
    let nsi = json!({"nrfId": "http://nrf/nnrf-disc/v1", "nsiId": "1"});
    let allowed = json!({"allowedSnssaiList": [{"allowedSnssai": snssai(), "mappedHomeSnssai": snssai(),
        "nsiInformationList": [nsi]}], "accessType": "3GPP_ACCESS"});
    vec![
        sample::<SliceInfoForRegistration>(
            NSSF,
            "SliceInfoForRegistration",
            json!({
            "allowedNssaiCurrentAccess": allowed, "allowedNssaiOtherAccess": allowed,
            "defaultConfiguredSnssaiInd": false, "requestMapping": false,
            "subscribedNssai": [{"subscribedSnssai": snssai(), "defaultIndication": true}],
            "sNssaiForMapping": [snssai()], "requestedNssai": [snssai()],
            "mappingOfNssai": [{"servingSnssai": snssai(), "homeSnssai": snssai()}]}),
        ),
        sample::<SliceInfoForPduSession>(
            NSSF,
            "SliceInfoForPDUSession",
            json!({
            "sNssai": snssai(), "roamingIndication": "NON_ROAMING", "homeSnssai": snssai()}),
        ),
        sample::<AuthorizedNetworkSliceInfo>(
            NSSF,
            "AuthorizedNetworkSliceInfo",
            json!({
            "targetAmfSet": "001-01-01-001", "nsiInformation": nsi, "supportedFeatures": "0",
            "nrfAmfSet": "http://nrf/nnrf-disc/v1", "allowedNssaiList": [allowed],
            "configuredNssai": [{"configuredSnssai": snssai(), "mappedHomeSnssai": snssai()}],
            "candidateAmfList": [ID], "rejectedNssaiInPlmn": [snssai()], "rejectedNssaiInTa": [snssai()]}),
        ),
    ]
}
