//! The text form of a SUCI (TS 29.571 Suci, TS 23.003 §28.7.3) and its
//! de-concealment (TS 33.501 §6.12.5).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tern_crypto::{HomeNetworkPrivateKey, ProtectionScheme, SuciError, bcd_digits};
use tern_sbi::common::Secret;
use tern_types::{PlmnId, Supi};

/// Longest text taken: a username of an NAI, concealed, in hexadecimal, and the fixed parts.
const TEXT_LEN_MAX: usize = 1024;

/// A home network's key pair in the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HomeNetworkKey {
    /// Home network public key identifier, 1 to 255, as provisioned in the USIMs.
    pub id: u8,
    /// `A` or `B`.
    pub scheme: ProtectionScheme,
    /// 32 octets, hexadecimal.
    pub private_key: Secret<32>,
}

/// The subscription identifier de-concealing function: private keys by identifier.
#[derive(Debug, Default)]
pub struct HomeNetworkKeys {
    keys: BTreeMap<u8, HomeNetworkPrivateKey>,
    null_scheme: bool,
}

impl HomeNetworkKeys {
    /// From the configuration. `null_scheme` says whether a SUPI in clear is taken.
    ///
    /// # Errors
    /// Names the key that is not one of its curve, or whose identifier is taken or 0.
    pub fn new(configured: &[HomeNetworkKey], null_scheme: bool) -> anyhow::Result<Self> {
        let mut keys = BTreeMap::new();
        for key in configured {
            let octets = *key.private_key.expose();
            let private = match key.scheme {
                ProtectionScheme::ProfileA => HomeNetworkPrivateKey::ProfileA(octets),
                ProtectionScheme::ProfileB => HomeNetworkPrivateKey::ProfileB(octets),
                ProtectionScheme::Null => {
                    anyhow::bail!("home network key {}: the null scheme has none", key.id)
                }
            };
            anyhow::ensure!(key.id != 0, "home network key identifier 0 belongs to the null scheme");
            anyhow::ensure!(private.public_key().is_ok(), "home network key {}: not of its curve", key.id);
            anyhow::ensure!(keys.insert(key.id, private).is_none(), "home network key {} twice", key.id);
        }
        Ok(Self { keys, null_scheme })
    }

    /// The SUPI of a text that is a SUPI or a SUCI.
    ///
    /// # Errors
    /// Why there is none.
    pub fn supi(&self, supi_or_suci: &str) -> Result<Supi, NoSupi> {
        if supi_or_suci.len() > TEXT_LEN_MAX {
            return Err(NoSupi::Malformed);
        }
        match supi_or_suci.strip_prefix("suci-") {
            Some(suci) => self.deconceal(suci),
            None => supi_or_suci.parse().map_err(|_| NoSupi::Malformed),
        }
    }

    /// `suci` without its prefix: type, MCC, MNC, routing indicator, scheme, key, output.
    fn deconceal(&self, suci: &str) -> Result<Supi, NoSupi> {
        let mut parts = suci.splitn(7, '-');
        let mut part = || parts.next().ok_or(NoSupi::Malformed);
        if part()? != "0" {
            return Err(NoSupi::UnsupportedType);
        }
        let plmn = PlmnId::new(part()?, part()?).map_err(|_| NoSupi::Malformed)?;
        let routing_indicator = part()?;
        let valid = (1..=4).contains(&routing_indicator.len())
            && routing_indicator.bytes().all(|b| b.is_ascii_digit());
        if !valid {
            return Err(NoSupi::Malformed);
        }
        let scheme = u8::from_str_radix(part()?, 16).map_err(|_| NoSupi::Malformed)?;
        let id: u8 = part()?.parse().map_err(|_| NoSupi::Malformed)?;
        let output = part()?;
        let msin = match ProtectionScheme::try_from(scheme) {
            Ok(ProtectionScheme::Null) if self.null_scheme => output.to_owned(),
            Ok(ProtectionScheme::Null) | Err(_) => return Err(NoSupi::UnsupportedScheme),
            Ok(scheme) => self.msin(scheme, id, output)?,
        };
        let imsi = format!("{}{}{msin}", plmn.mcc(), plmn.mnc());
        // A correct MAC over something else than digits is a wrong output, not a wrong format.
        Supi::from_imsi(&imsi).map_err(|_| NoSupi::SchemeOutput(SuciError::Digits))
    }

    fn msin(&self, scheme: ProtectionScheme, id: u8, output: &str) -> Result<String, NoSupi> {
        let key = self.keys.get(&id).filter(|key| key.scheme() == scheme).ok_or(NoSupi::UnknownKey(id))?;
        let output = octets(output).ok_or(NoSupi::SchemeOutput(SuciError::Length))?;
        let plaintext = key.deconceal(&output).map_err(NoSupi::SchemeOutput)?;
        bcd_digits(&plaintext).map_err(NoSupi::SchemeOutput)
    }
}

/// Why an identity has no SUPI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSupi {
    /// Neither a SUPI nor a SUCI.
    #[error("neither a SUPI nor a SUCI of type IMSI")]
    Malformed,
    /// A SUCI of another type than IMSI.
    #[error("a SUCI of a type that is not supported")]
    UnsupportedType,
    /// A protection scheme that is unknown, or the null scheme where it is not allowed.
    #[error("protection scheme not supported")]
    UnsupportedScheme,
    /// No key of this scheme has this identifier.
    #[error("no home network key {0} of this scheme")]
    UnknownKey(u8),
    /// The scheme output was not made with our key, or was changed.
    #[error("scheme output: {0}")]
    SchemeOutput(SuciError),
}

/// Octets of a hexadecimal text.
pub(crate) fn octets(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    text.as_bytes().chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys of TS 33.501 §C.4.
    fn keys() -> HomeNetworkKeys {
        let key = |id, scheme, text: &str| HomeNetworkKey {
            id,
            scheme,
            private_key: serde_json::from_value(text.into()).unwrap(),
        };
        let a = "c53c22208b61860b06c62e5406a7b330c2b577aa5558981510d128247d38bd1d";
        let b = "f1ab1074477ebcc7f554ea1c5fc368b1616730155e0041ac447d6301975fecda";
        let keys = [key(1, ProtectionScheme::ProfileA, a), key(2, ProtectionScheme::ProfileB, b)];
        HomeNetworkKeys::new(&keys, true).unwrap()
    }

    const OUTPUT_A: &str = concat!(
        "b2e92f836055a255837debf850b528997ce0201cb82adfe4be1f587d07d8457d",
        "cb02352410cddd9e730ef3fa87"
    );
    const OUTPUT_B: &str = concat!(
        "039aab8376597021e855679a9778ea0b67396e68c66df32c0f41e9acca2da9b9d1",
        "46a33fc2716ac7dae96aa30a4d"
    );

    #[test]
    fn each_scheme_of_annex_c_gives_its_supi() {
        let supi: Supi = "imsi-274012001002086".parse().unwrap();
        for suci in [
            "imsi-274012001002086".to_owned(),
            "suci-0-274-012-0-0-0-001002086".to_owned(),
            format!("suci-0-274-012-0-1-1-{OUTPUT_A}"),
            format!("suci-0-274-012-0123-2-2-{}", OUTPUT_B.to_uppercase()),
        ] {
            assert_eq!(keys().supi(&suci), Ok(supi.clone()), "{suci}");
        }
    }

    #[test]
    fn each_wrong_suci_is_refused_with_its_reason() {
        let refusal = |suci: &str| keys().supi(suci).unwrap_err();
        assert_eq!(refusal("nai-a@b"), NoSupi::Malformed);
        assert_eq!(refusal("suci-0-274-012-0-1"), NoSupi::Malformed);
        assert_eq!(refusal("suci-0-274-012-01234-0-0-001002086"), NoSupi::Malformed);
        assert_eq!(refusal("suci-1-a-0-0-0-b"), NoSupi::UnsupportedType);
        assert_eq!(refusal("suci-0-274-012-0-3-1-00"), NoSupi::UnsupportedScheme);
        assert_eq!(refusal(&format!("suci-0-274-012-0-1-9-{OUTPUT_A}")), NoSupi::UnknownKey(9));
        assert_eq!(refusal(&format!("suci-0-274-012-0-1-2-{OUTPUT_A}")), NoSupi::UnknownKey(2));
        let changed = OUTPUT_A.replace("fa87", "fa86");
        let refused = refusal(&format!("suci-0-274-012-0-1-1-{changed}"));
        assert_eq!(refused, NoSupi::SchemeOutput(SuciError::Mac));
        assert_eq!(refusal("suci-0-274-012-0-1-1-0"), NoSupi::SchemeOutput(SuciError::Length));
        assert_eq!(refusal("suci-0-274-012-0-0-0-12a"), NoSupi::SchemeOutput(SuciError::Digits));
        assert_eq!(refusal(&format!("suci-0-274-012-0-1-1-{}", "0".repeat(2000))), NoSupi::Malformed);
    }

    #[test]
    fn when_the_null_scheme_is_not_allowed_then_it_is_unsupported() {
        let keys = HomeNetworkKeys::new(&[], false).unwrap();
        assert_eq!(keys.supi("suci-0-274-012-0-0-0-001002086"), Err(NoSupi::UnsupportedScheme));
    }
}
