//! What a UE is made of: its USIM, its capabilities and how it conceals its identity.

use tern_crypto::{
    AuthenticationFunctions, HomeNetworkPublicKey, Milenage, Sqn, SqnArray, SubscriberKey, SuciProtection,
    Usim,
};
use tern_nas::Suci;
use tern_types::{Imei, PlmnId, Random, Snssai, Supi};

use super::Trick;
use crate::config::UeGroup;
use crate::error::SimError;

/// One UE.
#[derive(Debug)]
pub struct Subscriber {
    /// Its permanent identity.
    pub supi: Supi,
    /// Its home network: the MNC's length is not in the SUPI.
    pub plmn: PlmnId,
    /// Its equipment.
    pub imeisv: Imei,
    /// Its USIM.
    pub usim: Usim,
    /// How its identity is concealed.
    pub protection: SuciProtection,
    /// Routing indicator, 1 to 4 digits.
    pub routing_indicator: String,
    /// The value of its UE security capability: 5G-EA and 5G-IA (TS 24.501 §9.11.3.54).
    pub capability: [u8; 2],
    /// Slices that it asks for.
    pub requested_nssai: Vec<Snssai>,
    /// What it does wrong.
    pub tricks: Vec<Trick>,
}

impl Subscriber {
    /// The `index`-th UE of a group.
    pub fn new(group: &UeGroup, index: u32, plmn: PlmnId) -> Result<Self, SimError> {
        let wrong = |what: &str| SimError::State(format!("{}: {what}", group.supi));
        let first = group.supi.imsi();
        let number = first.parse::<u64>().ok().and_then(|n| n.checked_add(u64::from(index)));
        let number = number.ok_or_else(|| wrong("SUPIs beyond the last"))?;
        let width = first.len();
        let supi =
            Supi::from_imsi(&format!("{number:0width$}")).map_err(|_| wrong("SUPIs beyond the last"))?;
        let sqn = match &group.sqn {
            None => SqnArray::default(),
            Some(text) => SqnArray::at(text.parse::<Sqn>().map_err(|_| wrong("sqn: 12 hexadecimal digits"))?),
        };
        let bits =
            |codes: &[u8]| codes.iter().filter(|&&code| code < 8).fold(0, |octet, code| octet | 0x80 >> code);
        Ok(Self {
            supi,
            plmn,
            imeisv: Imei::from_digits(&group.imeisv).map_err(|_| wrong("imeisv: 16 digits"))?,
            usim: Usim::new(functions(group).map_err(wrong)?, sqn),
            protection: protection(group).map_err(wrong)?,
            routing_indicator: group.suci.routing_indicator.clone(),
            capability: [bits(&group.nea), bits(&group.nia)],
            requested_nssai: group.requested_nssai.clone(),
            tricks: group.tricks.clone(),
        })
    }

    /// A fresh SUCI (TS 33.501 §6.12.2).
    pub fn suci(&self, random: &mut Random) -> Result<Suci, SimError> {
        let home = format!("{}{}", self.plmn.mcc(), self.plmn.mnc());
        let msin = self.supi.imsi().strip_prefix(&home);
        let msin = msin.ok_or_else(|| SimError::State(format!("{} is not of {}", self.supi, self.plmn)))?;
        // An ephemeral key of profile B is out of range once in 2^32 draws.
        for _ in 0..4 {
            if let Ok(scheme_output) = self.protection.conceal_msin(&random.array(), msin) {
                return Ok(Suci {
                    plmn_id: self.plmn,
                    routing_indicator: self.routing_indicator.clone(),
                    scheme: self.protection.scheme().code(),
                    key_id: self.protection.hn_key_id,
                    scheme_output,
                });
            }
        }
        Err(SimError::State(format!("{} cannot be concealed: check the public key", self.supi)))
    }
}

fn octets<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut octets = [0; N];
    hex::decode_to_slice(text, &mut octets).ok().map(|()| octets)
}

fn functions(group: &UeGroup) -> Result<AuthenticationFunctions, &'static str> {
    let key = hex::decode(&group.k).ok().and_then(|k| SubscriberKey::from_slice(&k));
    let key = key.ok_or("k: 32 or 64 hexadecimal digits")?;
    if let Some(topc) = &group.topc {
        let topc = octets(topc).ok_or("topc: 64 hexadecimal digits")?;
        return Ok(AuthenticationFunctions::tuak(key, topc));
    }
    let SubscriberKey::Bits128(k) = &key else {
        return Err("k: 32 hexadecimal digits for Milenage");
    };
    let opc = match (&group.opc, &group.op) {
        (Some(opc), _) => octets(opc).ok_or("opc: 32 hexadecimal digits")?,
        (None, Some(op)) => Milenage::opc(k, &octets(op).ok_or("op: 32 hexadecimal digits")?),
        (None, None) => return Err("opc, op or topc is needed"),
    };
    Ok(AuthenticationFunctions::milenage(k, &opc))
}

fn protection(group: &UeGroup) -> Result<SuciProtection, &'static str> {
    let suci = &group.suci;
    let public_key = match (&suci.profile_a, &suci.profile_b) {
        (None, None) => None,
        (Some(key), None) => {
            let key = octets(key).ok_or("suci.profile_a: 64 hexadecimal digits")?;
            Some(HomeNetworkPublicKey::ProfileA(key))
        }
        (None, Some(key)) => {
            let key = hex::decode(key).map_err(|_| "suci.profile_b: hexadecimal digits")?;
            Some(HomeNetworkPublicKey::ProfileB(key))
        }
        (Some(_), Some(_)) => return Err("suci: profile_a or profile_b, not both"),
    };
    let hn_key_id = if public_key.is_some() { suci.key_id } else { 0 };
    Ok(SuciProtection { hn_key_id, public_key })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group() -> UeGroup {
        UeGroup::new(
            "imsi-001010000000009".parse().unwrap(),
            "465b5ce8b199b49faa5f0a2ee238a6bc",
            "cd63cb71954a9f4e48a5994e37a02baf",
        )
    }

    #[test]
    fn subscribers_follow_one_another() {
        let plmn = PlmnId::new("001", "01").unwrap();
        let ue = Subscriber::new(&group(), 2, plmn).unwrap();
        assert_eq!(ue.supi.imsi(), "001010000000011");
        assert_eq!(ue.capability, [0xf0, 0x70]);
        let suci = ue.suci(&mut Random::from_seed([1; 32])).unwrap();
        assert_eq!(suci.to_string(), "suci-0-001-01-0-0-0-0000000011");
        let other = PlmnId::new("999", "01").unwrap();
        assert!(Subscriber::new(&group(), 0, other).unwrap().suci(&mut Random::from_seed([1; 32])).is_err());
    }

    #[test]
    fn what_is_no_key_is_named() {
        let mut group = group();
        group.k = "00".into();
        let plmn = PlmnId::new("001", "01").unwrap();
        assert!(Subscriber::new(&group, 0, plmn).unwrap_err().to_string().contains("k: 32"));
    }
}
