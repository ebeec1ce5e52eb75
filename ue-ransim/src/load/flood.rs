//! Gnbs and UEs in numbers that a core must survive, and messages that it must.

use std::time::Duration;

use bytes::Bytes;
use tern_nas::nas_5gs::{
    Nas5gsMessage, NasFGsRegistrationType, NasRegistrationRequest, NasUeSecurityCapability, RegistrationType,
};
use tern_nas::{MobileIdentity, Suci, registration};
use tern_ngap::ngap::RRCEstablishmentCause;
use tern_sctp::Association;
use tern_types::Random;

use crate::env::SimEnv;
use crate::error::SimError;
use crate::gnb::{Gnb, GnbConfig, Link};

/// Opens associations that never set up NG. They end when they are dropped.
pub async fn open_associations(
    config: &GnbConfig,
    env: &SimEnv,
    count: usize,
) -> Result<Vec<Association>, SimError> {
    let mut open = Vec::with_capacity(count);
    for _ in 0..count {
        open.push(env.sctp.connect(config.connect_options()).await?);
    }
    Ok(open)
}

/// Sends registration requests of UEs that never answer, one each interval. Their SUCIs are
/// random, of the null scheme.
pub async fn registration_flood(
    gnb: &Gnb,
    count: u32,
    interval: Duration,
    random: &mut Random,
) -> Result<Vec<Link>, SimError> {
    let mut links = Vec::new();
    for _ in 0..count {
        let digits = random.array::<5>().map(|octet| ((octet % 10) << 4) | (octet / 16 % 10));
        let suci = Suci {
            plmn_id: gnb.config().plmn,
            routing_indicator: "0".into(),
            scheme: 0,
            key_id: 0,
            // An MSIN of a 3-digit MNC has 9 digits.
            scheme_output: if gnb.config().plmn.mnc().len() == 3 {
                let [a, b, c, d, e] = digits;
                vec![a, b, c, d, e | 0xf0]
            } else {
                digits.to_vec()
            },
        };
        let request = NasRegistrationRequest::new(
            NasFGsRegistrationType::from_registration_type(RegistrationType::InitialRegistration),
            registration::ngksi(None),
            MobileIdentity::Suci(suci).to_ie()?,
        )
        .with_ue_security_capability(NasUeSecurityCapability::new(vec![0xf0, 0x70]));
        let octets = Nas5gsMessage::new_5gmm(request).encode().map_err(tern_nas::EncodeError::from)?;
        links.push(gnb.open(Bytes::from(octets), None, RRCEstablishmentCause::mo_Signalling).await?);
        if !interval.is_zero() {
            tokio::time::sleep(interval).await;
        }
    }
    Ok(links)
}

/// Sends random octets as NGAP messages, on stream 0.
pub async fn garbage(gnb: &Gnb, count: u32, random: &mut Random) -> Result<(), SimError> {
    for _ in 0..count {
        let length = 1 + (random.u32() % 300) as usize;
        let mut octets = vec![0; length];
        random.fill(&mut octets);
        gnb.send_octets(Bytes::from(octets), 0).await?;
    }
    Ok(())
}
