//! `tern config key`: a home network's key pair for concealed SUPIs (TS 33.501 annex C).

use anyhow::{Result, bail};
use tern_crypto::{HomeNetworkPrivateKey, HomeNetworkPublicKey, ProtectionScheme};
use tern_types::Random;

/// Private keys drawn until one is of the curve: for profile B one in 2^32 is not.
const DRAWS_MAX: u32 = 8;

/// A new pair, as it stands in the core's file and as it goes to the SIMs.
pub fn made(scheme: ProtectionScheme, id: u8, random: &mut Random) -> Result<String> {
    for _ in 0..DRAWS_MAX {
        let octets = random.array();
        let (letter, private) = match scheme {
            ProtectionScheme::ProfileA => ('A', HomeNetworkPrivateKey::ProfileA(octets)),
            ProtectionScheme::ProfileB => ('B', HomeNetworkPrivateKey::ProfileB(octets)),
            ProtectionScheme::Null => bail!("the null scheme has no key"),
        };
        let public = match private.public_key() {
            Ok(HomeNetworkPublicKey::ProfileA(octets)) => digits(&octets),
            Ok(HomeNetworkPublicKey::ProfileB(octets)) => digits(&octets),
            Err(_) => continue,
        };
        let private = digits(&octets);
        return Ok(format!(
            "# For the SIMs: profile {letter}, home network public key identifier {id}, public key\n\
             # {public}\n\
             # For the core's file, or the UDM's; whoever has it can read the subscribers' identities:\n\
             home_network_keys:\n  - {{ id: {id}, scheme: {letter}, private_key: \"{private}\" }}\n"
        ));
    }
    bail!("no key of the curve was drawn")
}

fn digits(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use tern_crypto::SuciProtection;
    use tern_udm::HomeNetworkKeys;

    use super::*;
    use crate::core_config::CoreConfig;

    /// What is printed is a part of the core's file, and its public key conceals for it.
    #[test]
    fn a_pair_conceals_and_reveals() {
        let mut random = Random::from_seed([7; 32]);
        for (scheme, letter) in [(ProtectionScheme::ProfileA, "1"), (ProtectionScheme::ProfileB, "2")] {
            let text = made(scheme, 9, &mut random).unwrap();
            let config: CoreConfig = tern_config::parse("core.yaml", &text).unwrap();
            let keys = HomeNetworkKeys::new(&config.home_network_keys, false).unwrap();
            let public = text.lines().nth(1).unwrap().trim_start_matches("# ");
            let public: Vec<u8> = (0..public.len() / 2)
                .map(|at| u8::from_str_radix(&public[2 * at..2 * at + 2], 16).unwrap())
                .collect();
            let public = match scheme {
                ProtectionScheme::ProfileA => HomeNetworkPublicKey::ProfileA(public.try_into().unwrap()),
                _ => HomeNetworkPublicKey::ProfileB(public),
            };
            let protection = SuciProtection { hn_key_id: 9, public_key: Some(public) };
            let output = digits(&protection.conceal_msin(&random.array(), "0000000001").unwrap());
            let supi = keys.supi(&format!("suci-0-001-01-0-{letter}-9-{output}")).unwrap();
            assert_eq!(supi.to_string(), "imsi-001010000000001");
        }
        assert!(made(ProtectionScheme::Null, 0, &mut random).is_err());
    }
}
