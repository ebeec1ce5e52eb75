//! Enumerations of TS 29.571 and TS 29.510.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::model::open_enum;

/// TS29571_CommonData AccessType.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum AccessType {
    /// 3GPP access.
    #[serde(rename = "3GPP_ACCESS")]
    ThreeGpp,
    /// Non-3GPP access.
    #[serde(rename = "NON_3GPP_ACCESS")]
    NonThreeGpp,
}

impl fmt::Display for AccessType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ThreeGpp => "3GPP_ACCESS",
            Self::NonThreeGpp => "NON_3GPP_ACCESS",
        })
    }
}

impl FromStr for AccessType {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "3GPP_ACCESS" => Ok(Self::ThreeGpp),
            "NON_3GPP_ACCESS" => Ok(Self::NonThreeGpp),
            _ => Err("expected 3GPP_ACCESS or NON_3GPP_ACCESS"),
        }
    }
}

open_enum! {
    /// TS29571_CommonData RatType.
    pub enum RatType {
        Nr = "NR",
        Eutra = "EUTRA",
        Wlan = "WLAN",
        Virtual = "VIRTUAL",
        NrU = "NR_U",
        NrRedcap = "NR_REDCAP",
        TrustedN3ga = "TRUSTED_N3GA",
    }
}

open_enum! {
    /// TS29571_CommonData PduSessionType.
    pub enum PduSessionType {
        Ipv4 = "IPV4",
        Ipv6 = "IPV6",
        Ipv4v6 = "IPV4V6",
        Unstructured = "UNSTRUCTURED",
        Ethernet = "ETHERNET",
    }
}

open_enum! {
    /// TS29571_CommonData SscMode.
    pub enum SscMode {
        Mode1 = "SSC_MODE_1",
        Mode2 = "SSC_MODE_2",
        Mode3 = "SSC_MODE_3",
    }
}

open_enum! {
    /// TS29571_CommonData CoreNetworkType.
    pub enum CoreNetworkType {
        FiveGc = "5GC",
        Epc = "EPC",
    }
}

open_enum! {
    /// TS29571_CommonData OdbPacketServices: operator determined barring of packet oriented services.
    pub enum OdbPacketServices {
        AllPacketServices = "ALL_PACKET_SERVICES",
        RoamerAccessHplmnAp = "ROAMER_ACCESS_HPLMN_AP",
        RoamerAccessVplmnAp = "ROAMER_ACCESS_VPLMN_AP",
    }
}

open_enum! {
    /// TS29571_CommonData PresenceState.
    pub enum PresenceState {
        InArea = "IN_AREA",
        OutOfArea = "OUT_OF_AREA",
        Unknown = "UNKNOWN",
        Inactive = "INACTIVE",
    }
}

open_enum! {
    /// TS29571_CommonData UriScheme.
    pub enum UriScheme {
        Http = "http",
        Https = "https",
    }
}

open_enum! {
    /// TS29510_Nnrf_NFManagement NFType.
    pub enum NfType {
        Nrf = "NRF",
        Udm = "UDM",
        Amf = "AMF",
        Smf = "SMF",
        Ausf = "AUSF",
        Nef = "NEF",
        Pcf = "PCF",
        Smsf = "SMSF",
        Nssf = "NSSF",
        Udr = "UDR",
        Lmf = "LMF",
        Gmlc = "GMLC",
        FiveGEir = "5G_EIR",
        Sepp = "SEPP",
        Upf = "UPF",
        N3iwf = "N3IWF",
        Af = "AF",
        Udsf = "UDSF",
        Bsf = "BSF",
        Chf = "CHF",
        Nwdaf = "NWDAF",
        Scp = "SCP",
    }
}

open_enum! {
    /// TS29510_Nnrf_NFManagement ServiceName.
    pub enum ServiceName {
        NnrfNfm = "nnrf-nfm",
        NnrfDisc = "nnrf-disc",
        NnrfOauth2 = "nnrf-oauth2",
        NudmSdm = "nudm-sdm",
        NudmUecm = "nudm-uecm",
        NudmUeau = "nudm-ueau",
        NamfComm = "namf-comm",
        NamfEvts = "namf-evts",
        NamfMt = "namf-mt",
        NamfLoc = "namf-loc",
        NsmfPdusession = "nsmf-pdusession",
        NsmfEventExposure = "nsmf-event-exposure",
        NausfAuth = "nausf-auth",
        NpcfAmPolicyControl = "npcf-am-policy-control",
        NpcfSmpolicycontrol = "npcf-smpolicycontrol",
        NpcfPolicyauthorization = "npcf-policyauthorization",
        NpcfUePolicyControl = "npcf-ue-policy-control",
        NnssfNsselection = "nnssf-nsselection",
        NnssfNssaiavailability = "nnssf-nssaiavailability",
        NudrDr = "nudr-dr",
        NbsfManagement = "nbsf-management",
    }
}
