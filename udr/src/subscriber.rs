//! What the operator knows of a subscriber: one record, from which every document of
//! Nudr_DataRepository (TS 29.505, TS 29.519) follows.

use std::fmt;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use tern_sbi::common::{PduSessionType, RFSP_INDICES, RestrictionType};
use tern_types::{
    Ambr, Arp, BitRate, Dnn, Ipv6Prefix, PreemptionCapability, PreemptionVulnerability, Snssai, Supi, Tac,
};
use zeroize::Zeroizing;

/// Most slices of one subscriber: the default configured NSSAI's bound of TS 24.501 §9.11.3.37.
pub const SLICES_MAX: usize = 16;
/// Most data networks of one slice.
pub const DNNS_MAX: usize = 16;
/// Most tracking areas of a service area restriction.
pub const TACS_MAX: usize = 256;
/// Most categories of a subscriber, and of one of its data networks.
pub const CATEGORIES_MAX: usize = 16;
/// Longest category, in octets.
pub const CATEGORY_LEN_MAX: usize = 64;
/// The length of a session's IPv6 prefix (TS 23.501 §5.8.2.2).
const IPV6_PREFIX_LENGTH: u8 = 64;

/// One subscriber.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subscriber {
    /// Whose record this is.
    pub supi: Supi,
    /// What authenticates the subscriber.
    pub authentication: Authentication,
    /// Telephone number without `+`, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub msisdn: Option<String>,
    /// Bound of all sessions without a guaranteed rate together.
    #[serde(default = "default_ue_ambr")]
    pub ue_ambr: Ambr,
    /// Index to RAT/frequency selection priority, 1 to 256, if any (TS 23.501 §5.3.4.3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rfsp: Option<u16>,
    /// Slices, with the data networks reached through each. The first is a default one unless
    /// others say so.
    #[serde(default = "default_slices")]
    pub slices: Vec<Slice>,
    /// Where there is service, if not everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_area: Option<ServiceArea>,
    /// What the operator has barred the subscriber from, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub barred: Option<Barring>,
    /// Categories by which the PCF's policies choose subscribers (`subscCats` of the policy data).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
}

/// What an operator bars a subscriber from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Barring {
    /// All packet oriented services: operator determined barring (TS 23.015).
    #[serde(rename = "services")]
    Services,
    /// The 5G core: other core networks may serve.
    #[serde(rename = "5gc")]
    FiveGc,
}

/// A service area restriction (TS 23.501 §5.3.4.1.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceArea {
    /// `ALLOWED_AREAS` or `NOT_ALLOWED_AREAS`.
    pub restriction: RestrictionType,
    /// Tracking area codes.
    pub tacs: Vec<Tac>,
}

/// Long-term keys and the authentication function that uses them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authentication {
    /// How it authenticates.
    #[serde(default, skip_serializing_if = "is_default")]
    pub method: Method,
    /// Which set of functions.
    #[serde(default)]
    pub algorithm: Algorithm,
    /// K: 16 octets, or 32 for TUAK.
    pub k: Secret,
    /// OPc (MILENAGE, 16 octets) or TOPc (TUAK, 32 octets).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opc: Option<Secret>,
    /// OP (MILENAGE, 16 octets) or TOP (TUAK, 32 octets), where OPc is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub op: Option<Secret>,
    /// Authentication management field: four hexadecimal digits; its first bit is set in 5G.
    #[serde(default = "default_amf_field")]
    pub amf: String,
    /// The sequence number to start behind; twelve hexadecimal digits.
    #[serde(default = "default_sqn")]
    pub sqn: String,
}

/// Authentication method of primary authentication (TS 33.501 §6.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Method {
    /// 5G AKA.
    #[default]
    #[serde(rename = "5g-aka")]
    FiveGAka,
    /// EAP-AKA'.
    #[serde(rename = "eap-aka-prime")]
    EapAkaPrime,
}

/// Authentication and key generation functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// TS 35.206.
    #[default]
    Milenage,
    /// TS 35.231.
    Tuak,
}

/// A subscribed slice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slice {
    /// Which; `1` or `1-010203`.
    #[serde(with = "snssai_text")]
    pub snssai: Snssai,
    /// Whether the network uses it when the UE asks for none.
    #[serde(default = "yes")]
    pub default: bool,
    /// Data networks; the first is the default one.
    #[serde(default = "default_dnns")]
    pub dnns: Vec<SubscribedDnn>,
}

/// A subscribed data network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubscribedDnn {
    /// Its name.
    pub dnn: Dnn,
    /// Bound of one session's flows without a guaranteed rate.
    #[serde(default = "default_session_ambr")]
    pub session_ambr: Ambr,
    /// 5QI of the default QoS flow.
    #[serde(default = "default_5qi")]
    pub five_qi: u8,
    /// Priority of the default QoS flow.
    #[serde(default = "default_arp")]
    pub arp: Arp,
    /// The address that each session gets, instead of one of the pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv4: Option<Ipv4Addr>,
    /// The prefix of 64 bits that each session gets, instead of one of the pool: `2001:db8:45:7::/64`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<Ipv6Prefix>,
    /// Types that a session may have, the default one first.
    #[serde(default = "default_session_types", skip_serializing_if = "are_default_types")]
    pub session_types: Vec<PduSessionType>,
    /// Categories by which the PCF's session policies choose, besides the subscriber's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
}

/// Octets that are never printed. `serde` form: hexadecimal digits.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// The octets.
    pub fn octets(&self) -> &[u8] {
        &self.0
    }

    /// From hexadecimal digits; blanks between them are allowed, as vendors print them.
    pub fn from_hex(text: &str) -> Result<Self, String> {
        let digits = Zeroizing::new(text.split_whitespace().collect::<String>());
        match hex::decode(digits.as_bytes()) {
            Ok(octets) => Ok(Self(Zeroizing::new(octets))),
            Err(_) => Err("expected hexadecimal digits".to_owned()),
        }
    }

    /// As hexadecimal digits: for the document that the UDM reads, and for nothing else.
    pub fn to_hex(&self) -> String {
        hex::encode(&*self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_hex())
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        Self::from_hex(&text).map_err(serde::de::Error::custom)
    }
}

/// What is wrong with a record, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: expected {expected}")]
pub struct RecordError {
    /// The field, as its path in the record.
    pub field: String,
    /// What it should be.
    pub expected: String,
}

impl Subscriber {
    /// Checks what the types alone do not say.
    pub fn check(&self) -> Result<(), RecordError> {
        self.authentication.check()?;
        let msisdn = self.msisdn.as_deref().unwrap_or("00000");
        if !(5..=15).contains(&msisdn.len()) || !msisdn.bytes().all(|b| b.is_ascii_digit()) {
            return Err(wrong("msisdn", "5 to 15 digits"));
        }
        if self.rfsp.is_some_and(|index| !RFSP_INDICES.contains(&index)) {
            return Err(wrong("rfsp", "1 to 256"));
        }
        if self.slices.is_empty() || self.slices.len() > SLICES_MAX {
            return Err(wrong("slices", format!("1 to {SLICES_MAX} slices")));
        }
        if !self.slices.iter().any(|slice| slice.default) {
            return Err(wrong("slices", "at least one default slice"));
        }
        if let Some(area) = &self.service_area {
            let known =
                matches!(area.restriction, RestrictionType::AllowedAreas | RestrictionType::NotAllowedAreas);
            if !known || area.tacs.len() > TACS_MAX {
                let what = format!("ALLOWED_AREAS or NOT_ALLOWED_AREAS, and at most {TACS_MAX} tacs");
                return Err(wrong("service_area", what));
            }
        }
        check_categories("categories", &self.categories)?;
        for (index, slice) in self.slices.iter().enumerate() {
            let at = format!("slices[{index}]");
            if self.slices[..index].iter().any(|other| other.snssai == slice.snssai) {
                return Err(wrong(at, format!("slice {} stands twice", slice.snssai)));
            }
            if slice.dnns.is_empty() || slice.dnns.len() > DNNS_MAX {
                return Err(wrong(format!("{at}.dnns"), format!("1 to {DNNS_MAX} data networks")));
            }
            for (number, dnn) in slice.dnns.iter().enumerate() {
                dnn.check(&format!("{at}.dnns[{number}]"))?;
            }
        }
        Ok(())
    }

    /// The slice, if it is subscribed.
    pub fn slice(&self, snssai: Snssai) -> Option<&Slice> {
        self.slices.iter().find(|slice| slice.snssai == snssai)
    }
}

impl Authentication {
    fn check(&self) -> Result<(), RecordError> {
        let (k_lens, op_len, op_name): (&[usize], _, _) = match self.algorithm {
            Algorithm::Milenage => (&[16], 16, "opc"),
            Algorithm::Tuak => (&[16, 32], 32, "opc (TOPc)"),
        };
        if !k_lens.contains(&self.k.octets().len()) {
            let lengths: Vec<String> = k_lens.iter().map(|octets| (2 * octets).to_string()).collect();
            return Err(wrong("authentication.k", format!("{} hexadecimal digits", lengths.join(" or "))));
        }
        let operator = match (&self.opc, &self.op) {
            (Some(operator), None) | (None, Some(operator)) => operator,
            _ => return Err(wrong("authentication", format!("either {op_name} or op, not both"))),
        };
        if operator.octets().len() != op_len {
            return Err(wrong(
                format!("authentication.{op_name}"),
                format!("{} hexadecimal digits", 2 * op_len),
            ));
        }
        let hexadecimal = |text: &str, len| text.len() == len && text.bytes().all(|b| b.is_ascii_hexdigit());
        if !hexadecimal(&self.amf, 4) {
            return Err(wrong("authentication.amf", "4 hexadecimal digits, such as 8000"));
        }
        // The separation bit: TS 33.501 annex A.1 requires it set in 5G vectors.
        if u8::from_str_radix(&self.amf[..1], 16).is_ok_and(|digit| digit & 8 == 0) {
            return Err(wrong("authentication.amf", "a first bit of 1, such as in 8000"));
        }
        if !hexadecimal(&self.sqn, 12) {
            return Err(wrong("authentication.sqn", "12 hexadecimal digits"));
        }
        Ok(())
    }
}

impl SubscribedDnn {
    fn check(&self, at: &str) -> Result<(), RecordError> {
        if self.five_qi == 0 {
            return Err(wrong(format!("{at}.five_qi"), "1 to 255 (TS 23.501 table 5.7.4-1)"));
        }
        if !(1..=15).contains(&self.arp.priority_level) {
            return Err(wrong(format!("{at}.arp.priorityLevel"), "1 to 15"));
        }
        let is_link =
            |ipv6: Ipv6Prefix| ipv6.length == IPV6_PREFIX_LENGTH && ipv6.address.octets()[8..] == [0; 8];
        if !self.ipv6.is_none_or(is_link) {
            return Err(wrong(format!("{at}.ipv6"), "a prefix of 64 bits such as 2001:db8:45:7::/64"));
        }
        let types = &self.session_types;
        let known = |one: &PduSessionType| default_session_types().contains(one);
        let twice = |(index, one): (usize, &PduSessionType)| types[..index].contains(one);
        if types.is_empty() || !types.iter().all(known) || types.iter().enumerate().any(twice) {
            return Err(wrong(format!("{at}.session_types"), "IPV4, IPV6 or IPV4V6, each at most once"));
        }
        check_categories(&format!("{at}.categories"), &self.categories)
    }
}

fn check_categories(at: &str, categories: &[String]) -> Result<(), RecordError> {
    let fits = |category: &String| !category.is_empty() && category.len() <= CATEGORY_LEN_MAX;
    if categories.len() > CATEGORIES_MAX || !categories.iter().all(fits) {
        let what = format!("at most {CATEGORIES_MAX} names of 1 to {CATEGORY_LEN_MAX} octets");
        return Err(wrong(at, what));
    }
    Ok(())
}

fn wrong(field: impl Into<String>, expected: impl Into<String>) -> RecordError {
    RecordError { field: field.into(), expected: expected.into() }
}

fn is_default(method: &Method) -> bool {
    *method == Method::default()
}

fn yes() -> bool {
    true
}

fn default_amf_field() -> String {
    "8000".to_owned()
}

fn default_sqn() -> String {
    "000000000000".to_owned()
}

fn default_ue_ambr() -> Ambr {
    Ambr { uplink: BitRate::from_bps(1_000_000_000), downlink: BitRate::from_bps(2_000_000_000) }
}

fn default_session_ambr() -> Ambr {
    default_ue_ambr()
}

/// Non-GBR, "video, TCP-based" of TS 23.501 table 5.7.4-1: what default bearers commonly are.
fn default_5qi() -> u8 {
    9
}

fn default_arp() -> Arp {
    Arp {
        priority_level: 8,
        preempt_cap: PreemptionCapability::NotPreempt,
        preempt_vuln: PreemptionVulnerability::NotPreemptable,
    }
}

/// What a data network may have; IPv4 alone, where a UE does not say.
fn default_session_types() -> Vec<PduSessionType> {
    vec![PduSessionType::Ipv4, PduSessionType::Ipv6, PduSessionType::Ipv4v6]
}

fn are_default_types(types: &[PduSessionType]) -> bool {
    *types == default_session_types()
}

fn default_dnns() -> Vec<SubscribedDnn> {
    let dnn = |name| SubscribedDnn {
        dnn: Dnn::new(name).expect("invariant: a valid DNN"),
        session_ambr: default_session_ambr(),
        five_qi: default_5qi(),
        arp: default_arp(),
        ipv4: None,
        categories: Vec::new(),
        ipv6: None,
        session_types: default_session_types(),
    };
    vec![dnn("internet"), dnn("ims")]
}

fn default_slices() -> Vec<Slice> {
    vec![Slice { snssai: Snssai::new(1, None), default: true, dnns: default_dnns() }]
}

mod snssai_text {
    use serde::{Deserialize, Deserializer, Serializer, de};
    use tern_types::Snssai;

    pub(super) fn serialize<S: Serializer>(snssai: &Snssai, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(snssai)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Snssai, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minimal() -> Subscriber {
        serde_json::from_str(
            r#"{"supi":"imsi-001010000000001","authentication":{
                "k":"465b5ce8b199b49faa5f0a2ee238a6bc","opc":"cd63cb71954a9f4e48a5994e37a02baf"}}"#,
        )
        .unwrap()
    }

    #[test]
    fn keys_alone_make_a_subscriber() {
        let subscriber = minimal();
        subscriber.check().unwrap();
        assert_eq!(subscriber.slices[0].dnns[0].dnn.as_str(), "internet");
        let json = serde_json::to_string(&subscriber).unwrap();
        assert_eq!(serde_json::from_str::<Subscriber>(&json).unwrap(), subscriber);
    }

    #[test]
    fn keys_are_not_printed() {
        assert!(!format!("{:?}", minimal()).contains("465b"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let field = |change: fn(&mut Subscriber)| {
            let mut subscriber = minimal();
            change(&mut subscriber);
            subscriber.check().unwrap_err().field
        };
        assert_eq!(field(|s| s.authentication.k = Secret::from_hex("00").unwrap()), "authentication.k");
        assert_eq!(field(|s| s.authentication.opc = None), "authentication");
        assert_eq!(field(|s| s.authentication.amf = "0000".to_owned()), "authentication.amf");
        assert_eq!(field(|s| s.authentication.sqn = "1".to_owned()), "authentication.sqn");
        assert_eq!(field(|s| s.slices[0].default = false), "slices");
        assert_eq!(field(|s| s.slices.push(s.slices[0].clone())), "slices[1]");
        assert_eq!(field(|s| s.slices[0].dnns.clear()), "slices[0].dnns");
        assert_eq!(field(|s| s.slices[0].dnns[0].five_qi = 0), "slices[0].dnns[0].five_qi");
        assert_eq!(field(|s| s.msisdn = Some("+49".to_owned())), "msisdn");
        assert_eq!(field(|s| s.categories.push(String::new())), "categories");
        assert_eq!(
            field(|s| s.slices[0].dnns[1].categories.push("x".repeat(65))),
            "slices[0].dnns[1].categories"
        );
    }
}
