//! The numbers of attribute names.

/// Attribute names of the models; a name's number is its place here. The first 24 take one octet.
///
/// A name that is missing travels as text: nothing depends on completeness but the length of a
/// message, and a test asks for what the samples have.
#[rustfmt::skip]
pub const NAMES: [&str; 518] = [
    "mcc", "mnc", "plmnId", "sst", "sd", "tai", "tac", "supi", "dnn", "sNssai", "pduSessionId", "contentId",
    "nrLocation", "ncgi", "nrCellId", "uplink", "downlink", "status", "cause", "error", "guami", "amfId",
    "arp", "5qi", "3gppChargingCharacteristics", "3gppPsDataOffStatus", "5gAuthData", "5gMmCauseValue",
    "5gQosProfile", "_links", "accessType", "accessTypes", "activeTime", "adcSupport", "additionalAnType",
    "additionalSnssaiData", "adminDeregSubWithdrawn", "ageOfLocationInformation", "akmaAllowed", "akmaInd",
    "algorithmId", "allowedNfDomains", "allowedNfTypes", "allowedNssaiCurrentAccess", "allowedNssaiList",
    "allowedNssaiOtherAccess", "allowedNssais", "allowedPlmns", "allowedServices", "allowedSessionTypes",
    "allowedSnssai", "allowedSnssaiList", "allowedSnssais", "allowedSscModes", "amData", "amfInfo",
    "amfInstanceId", "amfName", "amfRegionId", "amfServiceNameDereg", "amfSetId", "anType",
    "anTypeToReactivate", "apiFullVersion", "apiPrefix", "apiVersionInUri", "appId", "areaCode",
    "areaOfValidity", "areas", "ausfInfo", "ausfInstanceId", "authDefQos", "authProfIndex",
    "authRemovalInd", "authResult", "authSessAmbr", "authType", "authenticationManagementField",
    "authenticationMethod", "authenticationVector", "autn", "auts", "avType", "averWindow", "backupAmf",
    "backupAmfInfo", "backupInfoAmfFailure", "backupInfoAmfRemoval", "bitLength", "callbackReference",
    "callbackUri", "candidateAmfList", "capacity", "changes", "chargingcharacteristics", "configuredNssai",
    "configuredSnssai", "context", "coreNetworkTypeRestrictions", "dataForwarding", "defQosFlowIndication",
    "defaultConfiguredSnssaiInd", "defaultDnnIndicator", "defaultIndication",
    "defaultNotificationSubscriptions", "defaultQosRuleInd", "defaultSessionType", "defaultSingleNssais",
    "defaultSscMode", "deregCallbackUri", "deregReason", "detail", "difSign", "dnaiList", "dnnBarred",
    "dnnConfigurations", "dnnInfos", "dnnList", "dnnSelMode", "dnnSmfInfoList", "dnnUpfInfoList", "drFlag",
    "emergencyRegistrationInd", "emergencyServices", "encOpcKey", "encPermanentKey", "encTopcKey", "end",
    "endpointFqdn", "epsInterworkingInd", "errInfo", "event", "expires", "expiry", "extendedNasSmTimerInd",
    "failedToBeSwitched", "failureCode", "flowDescription", "flowDirection", "flowInfos", "flowLabel",
    "flowStatus", "forbiddenAreas", "fqdn", "from", "gNBValue", "gNbId", "gbrDl", "gbrUl", "globalGnbId",
    "gpsi", "gpsiRanges", "gpsis", "group", "groupId", "groupIds", "guamiList", "hSmfId", "hSmfUri",
    "heartBeatTimer", "highestPrioArp", "hoState", "homeSnssai", "hplmnSnssai", "href", "hxresStar",
    "immediateReport", "implicitUnsubscribe", "imsSignallingPrio", "imsVoPs", "indLength",
    "individualSmSubsData", "initialRegistrationInd", "interGrpIds", "interPlmnFqdn", "interfaceType",
    "interfaceUpfInfoList", "internalGroupIds", "invalidParams", "invalidSupi", "ipDomain", "ipEndPoints",
    "ipv4Addr", "ipv4Address", "ipv4AddressRanges", "ipv4Addresses", "ipv4EndpointAddress",
    "ipv4EndpointAddresses", "ipv6Addr", "ipv6Address", "ipv6AddressPrefix", "ipv6Addresses",
    "ipv6EndpointAddress", "ipv6EndpointAddresses", "ipv6Prefix", "iwkEpsInd", "kausf", "kseaf",
    "lastIndexes", "lastMsgIndication", "lboRoamingAllowed", "load", "loadTimeStamp", "locality",
    "mappedHomeSnssai", "mappingOfNssai", "maxDataBurstVol", "maxNumOfTAs", "maxWaitingTime", "maxbrDl",
    "maxbrUl", "mcsPriority", "micoAllowed", "monitoredResourceUris", "mpsPriority", "n1MessageClass",
    "n1MessageContainer", "n1MessageContent", "n1SmMsg", "n1n2FailureTxfNotifURI", "n1n2MsgDataUri",
    "n2InfoContainer", "n2InfoContent", "n2InformationClass", "n2InterfaceAmfInfo", "n2SmInfo",
    "n2SmInfoType", "networkInstance", "newSmfInstanceId", "newValue", "nfId", "nfInstanceId",
    "nfInstanceIdList", "nfInstanceName", "nfInstanceUri", "nfInstances", "nfProfile",
    "nfProfileChangesInd", "nfProfileChangesSupportInd", "nfServiceList", "nfServicePersistence",
    "nfServiceSetIdList", "nfServiceStatus", "nfServices", "nfSetIdList", "nfStatus",
    "nfStatusNotificationUri", "nfType", "ngApCause", "ngapData", "ngapIeType", "ngapMessageType", "nid",
    "noEeSubscriptionInd", "notificationType", "notificationUri", "notifyItems", "nrfAmfSet", "nrfId",
    "nrfSupportedFeatures", "nrfUri", "nsiId", "nsiInformation", "nsiInformationList", "nsiList", "nssai",
    "nssaiInclusionAllowed", "numNfInstComplete", "numOfPackFilter", "oauth2Required", "offline",
    "oldPduSessionId", "online", "op", "origValue", "packFiltId", "packetFilterUsage", "param", "path",
    "pattern", "pccRuleId", "pccRuleIds", "pccRules", "pcfGroupId", "pcfId", "pcfInfo",
    "pcscfRestorationCallbackUri", "pduSessRelCause", "pduSessionType", "pduSessionTypes", "pduSessions",
    "pduSessionsActivateList", "pei", "perPlmnSnssaiList", "plmnList", "policy", "policyCtrlReqTriggers",
    "port", "ppi", "precedence", "preemptCap", "preemptVuln", "presenceInLadn", "priority", "priorityLevel",
    "profileChanges", "protectionParameterId", "provisioningTime", "purgeFlag", "qfi", "qnc", "qosDecs",
    "qosFlowDescription", "qosFlowsList", "qosId", "qosRules", "ranUnchangedInd", "rand", "ratRestrictions",
    "ratType", "ratTypes", "reRegistrationRequired", "reason", "recoveryTime", "refQosData",
    "refQosIndication", "refTcData", "reflectiveQoSTimer", "reflectiveQos", "registrationReason",
    "registrationTime", "rejectedNssaiInPlmn", "rejectedNssaiInTa", "relCause", "relIpv4Address", "release",
    "repPolicyCtrlReqTriggers", "report", "reqNfFqdn", "reqNfInstanceId", "reqNfType", "reqNotifEvents",
    "reqPerPlmnSnssais", "reqPlmnList", "reqSnssais", "request", "requestMapping", "requestType",
    "requestedNssai", "requiredAuthnAuthz", "resStar", "resourceId", "resourceStatus", "resourceUri",
    "restrictionType", "resynchronizationInfo", "retryAfter", "revalidationTime", "rfsp", "rfspIndex",
    "roamingIndication", "routingId", "routingIndicator", "routingIndicators", "ruleReports", "ruleStatus",
    "sNssaiForMapping", "sNssaiList", "sNssaiSmfInfoList", "sNssaiUpfInfoList", "sNssais", "sameSmfInd",
    "scheme", "searchId", "selMode", "selectedDnn", "selectedSmfId", "sequenceNumber", "servAreaRes",
    "servNfId", "servNfInstId", "serviceAreaRestriction", "serviceInstanceId", "serviceName",
    "servingNetwork", "servingNetworkName", "servingNfId", "servingPlmn", "servingScope", "servingSnssai",
    "serviveName", "sessRuleId", "sessRules", "sessionAmbr", "sharedSmSubsDataIds", "singleNssai",
    "singleNssais", "skipInd", "sliceInfo", "smContext", "smContextRef", "smContextStatusUri", "smData",
    "smInfo", "smPolicyDecision", "smPolicyDnnData", "smPolicySnssaiData", "smfId", "smfInfo",
    "smfInfoList", "smfInstanceId", "smfList", "smfReallocationInd", "smfRegistrationList", "smfSelData",
    "smfServiceInstanceId", "smfServingArea", "smfSetId", "smfUri", "snssai", "spi", "sqn", "sqnScheme",
    "sscModes", "start", "staticIpAddress", "statusInfo", "subjectToHo", "subsDefQos", "subsRegTimer",
    "subsSessAmbr", "subscCats", "subscrCond", "subscribedDnnList", "subscribedNssai", "subscribedSnssai",
    "subscribedSnssaiInfos", "subscribedUeAmbr", "subscriptionId", "success", "supiOrSuci", "supiRanges",
    "suppFeat", "supportedDataSets", "supportedFeatures", "tacRangeList", "tacs", "taiList", "taiRangeList",
    "targetAccess", "targetAmfSet", "targetRfsp", "targetServingNfId", "targetSnssais", "tcId", "timeStamp",
    "timeZone", "title", "toBeSwitched", "tosTrafficClass", "totalItemCount", "traffContDecs", "transport",
    "triggers", "udmGroupId", "udmInfo", "udrInfo", "ueAmbr", "ueEpsPdnConnection", "ueIpAddrInd",
    "ueIpv4Address", "ueLocation", "ueLocationTimestamp", "ueTimeZone", "ueUsageType", "uecAmfData",
    "uecSmfData", "unauthenticatedSupi", "uniqueSubscription", "upCnxState", "upConfid", "upIntegr",
    "upSecurity", "upfInfo", "upfInfoList", "urrpIndicator", "userLoc", "userLocationInfo",
    "userLocationInfoTime", "validityPeriod", "validityTime", "value", "versions", "vsmfReleaseOnly",
    "xresStar", "customInfo", "eapPayload", "kSeaf", "xres", "ckPrime", "ikPrime", "targetId", "ranNodeId",
    "odbPacketServices", "originalCallbackReference", "amPolicyData", "smPolicyData", "ueId", "notifId",
    "delResources",
    "req5gsLoc", "reqCurrentLoc", "reqRatType", "currentLoc", "locationAge", "failureCause",
    "ueCampingRep",
];

/// Places of [`SLOTS`]: a power of two, about twice the names.
const SLOT_COUNT: usize = 1024;

/// Open addressing over [`NAMES`]: number plus one, 0 where free.
static SLOTS: [u16; SLOT_COUNT] = fill();

/// The number of a name.
pub(super) fn number(name: &str) -> Option<u16> {
    let mut slot = hash(name.as_bytes());
    loop {
        let number = SLOTS[slot].checked_sub(1)?;
        if NAMES[usize::from(number)] == name {
            return Some(number);
        }
        slot = (slot + 1) % SLOT_COUNT;
    }
}

/// The name with a number.
pub(super) fn name(number: u64) -> Option<&'static str> {
    usize::try_from(number).ok().and_then(|number| NAMES.get(number)).copied()
}

/// Of the length and four of the octets, which tell nearly all names apart.
const fn hash(name: &[u8]) -> usize {
    let len = name.len();
    if len == 0 {
        return 0;
    }
    let picked = [name[0], name[len / 2], name[len - 1], name[len * 3 / 4]];
    let mixed = u32::from_le_bytes(picked) ^ (len as u32).wrapping_mul(0x9e37_79b9);
    (mixed.wrapping_mul(0x85eb_ca6b) >> 22) as usize
}

const fn fill() -> [u16; SLOT_COUNT] {
    let mut slots = [0; SLOT_COUNT];
    let mut number = 0;
    while number < NAMES.len() {
        let mut slot = hash(NAMES[number].as_bytes());
        while slots[slot] != 0 {
            slot = (slot + 1) % SLOT_COUNT;
        }
        number += 1;
        slots[slot] = number as u16;
    }
    slots
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_its_number_and_no_other() {
        for (place, text) in NAMES.iter().enumerate() {
            assert_eq!(number(text).map(usize::from), Some(place), "{text} twice");
            assert_eq!(name(place as u64), Some(*text));
        }
        assert_eq!(name(NAMES.len() as u64), None);
        for unknown in ["", "x", "supI", "supisupi"] {
            assert_eq!(number(unknown), None, "{unknown}");
        }
    }
}
