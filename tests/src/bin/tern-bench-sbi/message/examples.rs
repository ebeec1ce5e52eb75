//! What the messages hold: as much as the core's own have.

use anyhow::Result;
use serde_json::json;
use tern_sbi::npcf_sm::{CreateSmPolicy, SmPolicyContextData, SmPolicyDecision};
use tern_sbi::nudm_ueau::{AuthenticationInfoRequest, AuthenticationInfoResult, GenerateAuthData};

use super::Exchanged;

const INSTANCE: &str = "9a7c3c4e-5d0e-4b8f-8f3d-0d2f7f6f1a10";

impl Exchanged for GenerateAuthData {
    type Content = AuthenticationInfoRequest;
    type Reply = AuthenticationInfoResult;

    fn example() -> Result<Self> {
        let request = serde_json::from_value(json!({
            "servingNetworkName": "5G:mnc001.mcc001.3gppnetwork.org", "ausfInstanceId": INSTANCE,
        }))?;
        Ok(Self { supi_or_suci: "suci-0-001-01-0000-0-0-0000000001".to_owned(), request })
    }

    fn content(&self) -> &Self::Content {
        &self.request
    }

    fn answer() -> Result<Self::Reply> {
        Ok(serde_json::from_value(json!({
            "authType": "5G_AKA", "supi": "imsi-001010000000001",
            "authenticationVector": {
                "avType": "5G_HE_AKA", "rand": "23553cbe9637a89d218ae64dae47bf35",
                "xresStar": "55f328b43577b9b94a9ffac354dfafb3", "autn": "aa689c64837055f328b43577b9b94a9f",
                "kausf": "5d42b3c4a5d9e8f70123456789abcdef5d42b3c4a5d9e8f70123456789abcdef",
            },
        }))?)
    }
}

impl Exchanged for CreateSmPolicy {
    type Content = SmPolicyContextData;
    type Reply = SmPolicyDecision;

    fn example() -> Result<Self> {
        let context = serde_json::from_value(json!({
            "supi": "imsi-001010000000001", "pduSessionId": 1, "pduSessionType": "IPV4", "dnn": "internet",
            "notificationUri": "http://127.0.0.17:8080/nsmf-callback/v1/sm-policies/1",
            "sliceInfo": {"sst": 1}, "accessType": "3GPP_ACCESS", "ratType": "NR",
            "servingNetwork": {"mcc": "001", "mnc": "01"}, "ipv4Address": "10.45.0.2",
            "subsSessAmbr": {"uplink": "1 Gbps", "downlink": "1 Gbps"},
            "subsDefQos": {"5qi": 9, "arp": {"priorityLevel": 8, "preemptCap": "NOT_PREEMPT",
                "preemptVuln": "PREEMPTABLE"}, "priorityLevel": 80},
            "suppFeat": "0", "smfId": INSTANCE,
        }))?;
        Ok(Self { context })
    }

    fn content(&self) -> &Self::Content {
        &self.context
    }

    fn answer() -> Result<Self::Reply> {
        let arp = json!({"priorityLevel": 8, "preemptCap": "NOT_PREEMPT", "preemptVuln": "PREEMPTABLE"});
        Ok(serde_json::from_value(json!({
            "sessRules": {"1": {"sessRuleId": "1",
                "authSessAmbr": {"uplink": "1 Gbps", "downlink": "1 Gbps"},
                "authDefQos": {"5qi": 9, "arp": arp, "priorityLevel": 80}}},
            "pccRules": {"default": {"pccRuleId": "default", "precedence": 255,
                "flowInfos": [{"flowDescription": "permit out ip from any to any",
                    "flowDirection": "BIDIRECTIONAL"}],
                "refQosData": ["default"], "refTcData": ["default"]}},
            "qosDecs": {"default": {"qosId": "default", "5qi": 9, "arp": arp, "defQosFlowIndication": true}},
            "traffContDecs": {"default": {"tcId": "default", "flowStatus": "ENABLED"}},
            "suppFeat": "0",
        }))?)
    }
}
