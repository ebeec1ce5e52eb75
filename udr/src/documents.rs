//! The documents of TS 29.505 and TS 29.519, made from a subscriber's record.

use std::collections::BTreeMap;

use tern_crypto::{Milenage, SubscriberKey, Tuak, TuakParameters};
use tern_sbi::common::{
    Area, CoreNetworkType, DnnOrWildcard, IpAddr, Octets, OdbPacketServices, SecretText,
    ServiceAreaRestriction, SscMode, SubscribedDefaultQos,
};
use tern_sbi::nausf_auth::AuthType;
use tern_sbi::nudm_sdm::{
    AccessAndMobilitySubscriptionData, DnnConfiguration, DnnInfo, Nssai, PduSessionTypes,
    SessionManagementSubscriptionData, SmSubsData, SmfSelectionSubscriptionData, SnssaiInfo, SscModes,
};
use tern_sbi::nudr_dr::{
    AmPolicyData, AuthenticationSubscription, SequenceNumber, SmPolicyData, SmPolicyDnnData,
    SmPolicySnssaiData, SqnScheme,
};
use tern_types::{Dnn, Snssai};

use crate::subscriber::{Algorithm, Barring, Method, Secret, Slice, SubscribedDnn, Subscriber};

/// Bits of IND in a sequence number (TS 33.102 annex C.1.1.1, C.3.2).
const IND_BITS: u8 = 5;

impl Subscriber {
    /// AuthenticationSubscription with the greatest sequence number given out so far.
    ///
    /// `None` if the record's keys do not fit together, which [`Subscriber::check`] refuses.
    pub(crate) fn authentication_subscription(&self, sqn: [u8; 6]) -> Option<AuthenticationSubscription> {
        let authentication = &self.authentication;
        let mut subscription = AuthenticationSubscription::new(match authentication.method {
            Method::FiveGAka => AuthType::FiveGAka,
            Method::EapAkaPrime => AuthType::EapAkaPrime,
        });
        subscription.supi = Some(self.supi.clone());
        subscription.enc_permanent_key = Some(SecretText::new(authentication.k.to_hex()));
        subscription.authentication_management_field = authentication.amf.parse().ok();
        subscription.sequence_number = Some(SequenceNumber {
            sqn_scheme: Some(SqnScheme::NonTimeBased),
            sqn: Some(Octets(sqn)),
            ind_length: Some(IND_BITS),
            ..SequenceNumber::default()
        });
        match authentication.algorithm {
            Algorithm::Milenage => {
                subscription.algorithm_id = Some("milenage".to_owned());
                subscription.enc_opc_key = Some(self.opc()?);
            }
            Algorithm::Tuak => {
                subscription.algorithm_id = Some("tuak".to_owned());
                subscription.enc_topc_key = Some(self.topc()?);
            }
        }
        Some(subscription)
    }

    fn opc(&self) -> Option<SecretText> {
        let octets = |secret: &Secret| <[u8; 16]>::try_from(secret.octets()).ok();
        let authentication = &self.authentication;
        let opc = match (&authentication.opc, &authentication.op) {
            (Some(opc), _) => octets(opc)?,
            (None, Some(op)) => Milenage::opc(&octets(&authentication.k)?, &octets(op)?),
            (None, None) => return None,
        };
        Some(SecretText::new(hex::encode(opc)))
    }

    fn topc(&self) -> Option<SecretText> {
        let octets = |secret: &Secret| <[u8; 32]>::try_from(secret.octets()).ok();
        let authentication = &self.authentication;
        let topc = match (&authentication.opc, &authentication.op) {
            (Some(topc), _) => octets(topc)?,
            (None, Some(top)) => {
                let k = SubscriberKey::from_slice(authentication.k.octets())?;
                *Tuak::from_top(k, octets(top)?, TuakParameters::default())?.topc()
            }
            (None, None) => return None,
        };
        Some(SecretText::new(hex::encode(topc)))
    }

    /// AccessAndMobilitySubscriptionData.
    pub(crate) fn am_data(&self) -> AccessAndMobilitySubscriptionData {
        let slices = |default| self.slices.iter().filter(move |s| s.default == default).map(|s| s.snssai);
        let mut nssai = Nssai::new(slices(true).collect());
        nssai.single_nssais = slices(false).collect();
        AccessAndMobilitySubscriptionData {
            gpsis: self.msisdn.iter().map(|msisdn| format!("msisdn-{msisdn}")).collect(),
            subscribed_ue_ambr: Some(self.ue_ambr),
            nssai: Some(nssai),
            rfsp_index: self.rfsp,
            service_area_restriction: self.service_area.as_ref().map(|area| ServiceAreaRestriction {
                restriction_type: Some(area.restriction.clone()),
                areas: vec![Area { tacs: area.tacs.clone(), area_code: None }],
                max_num_of_tas: None,
            }),
            odb_packet_services: (self.barred == Some(Barring::Services))
                .then_some(OdbPacketServices::AllPacketServices),
            core_network_type_restrictions: (self.barred == Some(Barring::FiveGc))
                .then_some(CoreNetworkType::FiveGc)
                .into_iter()
                .collect(),
            ..AccessAndMobilitySubscriptionData::default()
        }
    }

    /// SmfSelectionSubscriptionData.
    pub(crate) fn smf_selection_data(&self) -> SmfSelectionSubscriptionData {
        let info = |(index, dnn): (usize, &SubscribedDnn)| DnnInfo {
            default_dnn_indicator: Some(index == 0),
            ..DnnInfo::new(DnnOrWildcard::Dnn(dnn.dnn.clone()))
        };
        let slice = |slice: &Slice| {
            let infos = slice.dnns.iter().enumerate().map(info).collect();
            (slice_key(slice.snssai), SnssaiInfo::new(infos))
        };
        SmfSelectionSubscriptionData {
            subscribed_snssai_infos: self.slices.iter().map(slice).collect(),
            ..SmfSelectionSubscriptionData::default()
        }
    }

    /// SessionManagementSubscriptionData of one slice or all, and of one data network or all.
    pub(crate) fn sm_data(&self, snssai: Option<Snssai>, dnn: Option<&Dnn>) -> SmSubsData {
        let wanted = |slice: &&Slice| snssai.is_none_or(|snssai| slice.snssai == snssai);
        let items = self.slices.iter().filter(wanted).map(|slice| {
            let mut data = SessionManagementSubscriptionData::new(slice.snssai);
            let wanted = slice.dnns.iter().filter(|own| dnn.is_none_or(|dnn| own.dnn == *dnn));
            data.dnn_configurations = wanted.map(|own| (own.dnn.to_string(), own.configuration())).collect();
            data
        });
        SmSubsData::Individual(items.collect())
    }

    /// AmPolicyData: the subscriber's categories.
    pub(crate) fn am_policy_data(&self) -> AmPolicyData {
        AmPolicyData { subsc_cats: self.categories.clone() }
    }

    /// SmPolicyData of one slice or all, and of one data network or all.
    pub(crate) fn sm_policy_data(&self, snssai: Option<Snssai>, dnn: Option<&Dnn>) -> SmPolicyData {
        let wanted = |slice: &&Slice| snssai.is_none_or(|snssai| slice.snssai == snssai);
        let slices: BTreeMap<_, _> = self
            .slices
            .iter()
            .filter(wanted)
            .map(|slice| {
                let wanted = slice.dnns.iter().filter(|own| dnn.is_none_or(|dnn| own.dnn == *dnn));
                let mut data = SmPolicySnssaiData::new(slice.snssai);
                data.sm_policy_dnn_data =
                    wanted.map(|own| (own.dnn.to_string(), self.sm_policy_dnn_data(own))).collect();
                (slice_key(slice.snssai), data)
            })
            .collect();
        SmPolicyData::new(slices)
    }

    /// The subscriber's categories, and then those of the data network alone.
    fn sm_policy_dnn_data(&self, own: &SubscribedDnn) -> SmPolicyDnnData {
        let further = own.categories.iter().filter(|category| !self.categories.contains(category));
        SmPolicyDnnData {
            subsc_cats: self.categories.iter().chain(further).cloned().collect(),
            ..SmPolicyDnnData::new(own.dnn.clone())
        }
    }
}

impl SubscribedDnn {
    fn configuration(&self) -> DnnConfiguration {
        let types = PduSessionTypes {
            default_session_type: self.session_types.first().cloned(),
            allowed_session_types: self.session_types.clone(),
        };
        let modes = SscModes::new(SscMode::Mode1);
        DnnConfiguration {
            qos_profile: Some(SubscribedDefaultQos {
                priority_level: Some(self.arp.priority_level),
                ..SubscribedDefaultQos::new(self.five_qi, self.arp)
            }),
            session_ambr: Some(self.session_ambr),
            static_ip_address: self.static_addresses(),
            ..DnnConfiguration::new(types, modes)
        }
    }

    /// One for each version of IP (TS 29.503 `staticIpAddress`).
    fn static_addresses(&self) -> Vec<IpAddr> {
        let v4 = self.ipv4.map(|ipv4| IpAddr { ipv4_addr: Some(ipv4), ..IpAddr::default() });
        let v6 = self.ipv6.map(|ipv6| IpAddr { ipv6_prefix: Some(ipv6.to_string()), ..IpAddr::default() });
        v4.into_iter().chain(v6).collect()
    }
}

/// An S-NSSAI as the key of a map: TS 29.571 §5.4.4.2.
fn slice_key(snssai: Snssai) -> String {
    snssai.to_string()
}
