//! What a UE finds wrong in what it is given.

use tern_nas::nas_5gs::{
    NasFGsMobileIdentity, NasFGsTrackingAreaIdentityList, NasPduSessionEstablishmentAccept,
    NasRegistrationAccept, NasServiceAreaList, PduSessionTypeValue, RegistrationResult,
};
use tern_nas::session::{self, PcoAnswer, UsableQos};
use tern_nas::{MobileIdentity, registration};
use tern_ngap::capability::SecurityCapability;
use tern_ngap::transfer::SessionType;

use super::{SessionRequest, Ue};
use crate::gnb::{ContextSetup, SessionResources};

const ACCEPT: &str = "TS 24.501 §5.5.1.2.4";
const SESSION: &str = "TS 24.501 §6.4.1.3";

impl Ue {
    pub(super) fn check_context_setup(&self, setup: &ContextSetup) {
        let own = SecurityCapability::from_nas(&self.subscriber.capability).without_null();
        if setup.capability != own {
            self.failure(
                "TS 38.413 §9.3.1.86",
                format_args!("UE Security Capabilities {:02x?}, but the UE has {own:02x?}", setup.capability),
            );
        }
        match (&self.context, self.k_gnb_count) {
            (Some(context), Some(count)) => {
                if !tern_crypto::equal(context.k_gnb(count).as_bytes(), &setup.k_gnb) {
                    self.failure(
                        "TS 33.501 §6.8.1.1.2",
                        format_args!("K_gNB is not the UE's own, of uplink NAS COUNT {count}"),
                    );
                }
            }
            _ => self.failure("TS 33.501 §6.8.1.1.2", "a Security Key before there are NAS keys"),
        }
    }

    pub(super) fn check_registration_accept(&self, accept: &NasRegistrationAccept) {
        let result = accept.fgs_registration_result.result_value();
        if !matches!(
            result,
            Some(RegistrationResult::ThreeGppAccess | RegistrationResult::ThreeGppAccessAndNon3GppAccess)
        ) {
            self.failure(ACCEPT, format_args!("5GS registration result {result:?} over 3GPP access"));
        }
        if accept.fg_guti.is_none() && self.guti.is_none() {
            self.failure(ACCEPT, "REGISTRATION ACCEPT without 5G-GUTI for a UE that has none");
        }
        if accept.tai_list.is_none() {
            self.failure(ACCEPT, "REGISTRATION ACCEPT without TAI list");
        }
        if accept.t3512_value.is_none() {
            self.failure("TS 24.501 §8.2.7.16", "REGISTRATION ACCEPT over 3GPP access without T3512 value");
        }
        self.check_allowed_nssai(accept);
        if !self.secure {
            self.failure("TS 24.501 §4.4.4.2", "REGISTRATION ACCEPT before secure exchange");
        }
    }

    fn check_allowed_nssai(&self, accept: &NasRegistrationAccept) {
        let Some(allowed) = &accept.allowed_nssai else {
            self.failure(ACCEPT, "REGISTRATION ACCEPT without allowed NSSAI");
            return;
        };
        let allowed = registration::nssai_of(allowed);
        let requested = &self.subscriber.requested_nssai;
        for slice in &allowed {
            // Without any requested one in common the network may fall back to the default ones
            // (TS 23.501 §5.15.5.2.1).
            let any = allowed.iter().any(|slice| requested.contains(slice));
            if any && !requested.contains(slice) {
                self.failure(ACCEPT, format_args!("slice {slice} is allowed, but was not requested"));
            }
            if !self.gnb.config().slices.contains(slice) {
                self.failure(
                    "TS 23.501 §5.15.4.1.1",
                    format_args!("slice {slice} is allowed, but the tracking area has not got it"),
                );
            }
        }
        match &self.context_set_up {
            None => self.failure(
                "TS 38.413 §8.6.1.2",
                "no INITIAL CONTEXT SETUP, although UE Context Request was in INITIAL UE MESSAGE",
            ),
            Some(ngap) if *ngap != allowed => self.failure(
                "TS 23.501 §5.15.5.2.1",
                format_args!("Allowed NSSAI {ngap:?} for the gNB, but {allowed:?} for the UE"),
            ),
            Some(_) => {}
        }
    }

    pub(super) fn take_guti(&mut self, ie: &NasFGsMobileIdentity, clause: &'static str) {
        match MobileIdentity::of(ie) {
            Ok(MobileIdentity::Guti(guti)) => {
                if guti.guami.plmn_id != self.gnb.config().plmn {
                    self.failure(clause, format_args!("a 5G-GUTI of {}", guti.guami.plmn_id));
                }
                if !self.gnb.amf().guamis.contains(&guti.guami) {
                    self.failure(
                        clause,
                        format_args!("a 5G-GUTI of an AMF that does not serve here: {guti}"),
                    );
                }
                self.guti = Some(guti);
            }
            Ok(_) => self.failure(clause, "another identity in the place of the 5G-GUTI"),
            Err(error) => self.failure(clause, error),
        }
    }

    pub(super) fn take_tais(&mut self, list: &NasFGsTrackingAreaIdentityList, clause: &'static str) {
        match registration::tais(list) {
            Ok(tais) => {
                let here = self.gnb.config().tai();
                if !tais.contains(&here) {
                    self.failure(clause, format_args!("the TAI list has not got the UE's own {here}"));
                }
                self.tais = tais;
            }
            Err(error) => self.failure(clause, error),
        }
    }

    /// Takes the service area that the UE is told, which its gNB must have been told as well.
    pub(super) fn take_service_area(&mut self, list: Option<&NasServiceAreaList>) {
        self.service_area = match list.map(registration::service_area_of) {
            None => None,
            // Nothing is restricted any more.
            Some(Ok(area)) if !area.allowed && area.tais.is_empty() => None,
            Some(Ok(area)) => Some(area),
            Some(Err(error)) => {
                self.failure("TS 24.501 §9.11.3.49", error);
                None
            }
        };
        if let Some(theirs) = self.area_of_gnb.take()
            && theirs != self.service_area
        {
            self.failure(
                "TS 23.501 §5.3.4.1.2",
                format_args!("service area {theirs:?} for the gNB, {:?} for the UE", self.service_area),
            );
        }
    }

    /// Compares what the UE was given with what it asked for and with what the gNB was given.
    pub(super) fn check_session(
        &self,
        asked: &SessionRequest,
        accept: &NasPduSessionEstablishmentAccept,
        resources: &SessionResources,
    ) -> Option<(UsableQos, PcoAnswer)> {
        self.check_session_type(asked, accept, resources);
        let slice = accept.s_nssai.as_ref().map(registration::snssai_of);
        match slice {
            None => self.failure(SESSION, "PDU SESSION ESTABLISHMENT ACCEPT without S-NSSAI"),
            Some(Err(error)) => self.failure(SESSION, error),
            Some(Ok(slice)) => {
                if asked.slice.is_some_and(|asked| asked != slice) {
                    self.failure(
                        SESSION,
                        format_args!("the session is of slice {slice}, which was not asked for"),
                    );
                }
                if slice != resources.slice {
                    self.failure(
                        SESSION,
                        format_args!("slice {slice} for the UE, {} for the gNB", resources.slice),
                    );
                }
            }
        }
        match accept.dnn.as_ref().map(session::dnn_of) {
            None => self.failure(SESSION, "PDU SESSION ESTABLISHMENT ACCEPT without DNN"),
            Some(Err(error)) => self.failure(SESSION, error),
            Some(Ok(dnn)) if asked.dnn.as_ref().is_some_and(|asked| *asked != dnn) => {
                self.failure(SESSION, format_args!("the session is of DNN {dnn}, which was not asked for"));
            }
            Some(Ok(_)) => {}
        }
        match session::session_ambr_of(&accept.session_ambr) {
            Err(error) => self.failure("TS 24.501 §9.11.4.14", error),
            Ok(ambr) => {
                if ambr.downlink.bps() == 0 || ambr.uplink.bps() == 0 {
                    self.failure("TS 24.501 §9.11.4.14", "a Session-AMBR of 0");
                }
                // 16 bits of a unit may round the gNB's value down.
                let near = |ue: u64, gnb: u64| ue <= gnb && gnb - ue <= gnb / 1000 + 1000;
                if resources.request.ambr.is_some_and(|gnb| {
                    !near(ambr.downlink.bps(), gnb.downlink.bps())
                        || !near(ambr.uplink.bps(), gnb.uplink.bps())
                }) {
                    self.failure("TS 23.501 §5.7.1.8", "Session-AMBR for the UE and for the gNB differ");
                }
            }
        }
        let pco = self.check_pco(asked, accept);
        let qos = self.check_session_qos(accept, resources)?;
        Some((qos, pco))
    }

    fn check_session_type(
        &self,
        asked: &SessionRequest,
        accept: &NasPduSessionEstablishmentAccept,
        resources: &SessionResources,
    ) {
        let selected = accept.selected_pdu_session_type.session_type();
        let cause = accept.fgsm_cause.as_ref().map(|cause| cause.value);
        let right = match (asked.kind, selected) {
            // Without a cause the other version may be had by a second session.
            (PduSessionTypeValue::Ipv4v6, Some(PduSessionTypeValue::Ipv4)) => {
                matches!(cause, None | Some(50))
            }
            (PduSessionTypeValue::Ipv4v6, Some(PduSessionTypeValue::Ipv6)) => {
                matches!(cause, None | Some(51))
            }
            (asked, Some(selected)) => asked == selected,
            (_, None) => false,
        };
        if !right {
            self.failure(
                SESSION,
                format_args!(
                    "session type {selected:?} with cause {cause:?}, {:?} was asked for",
                    asked.kind
                ),
            );
        }
        let same = matches!(
            (selected, resources.request.session_type),
            (Some(PduSessionTypeValue::Ipv4), SessionType::Ipv4)
                | (Some(PduSessionTypeValue::Ipv6), SessionType::Ipv6)
                | (Some(PduSessionTypeValue::Ipv4v6), SessionType::Ipv4v6)
                | (Some(PduSessionTypeValue::Ethernet), SessionType::Ethernet)
                | (Some(PduSessionTypeValue::Unstructured), SessionType::Unstructured)
        );
        if !same {
            self.failure("TS 23.502 §4.3.2.2.1", "session types for the UE and for the gNB differ");
        }
        let address = accept.pdu_address.as_ref();
        let ipv4 = address.and_then(|address| address.ipv4());
        match selected {
            Some(PduSessionTypeValue::Ipv4 | PduSessionTypeValue::Ipv4v6) if ipv4.is_none() => {
                self.failure(SESSION, "an IPv4 session without an IPv4 address in PDU address");
            }
            Some(PduSessionTypeValue::Ipv4 | PduSessionTypeValue::Ipv4v6) if ipv4 == Some([0; 4]) => {
                self.failure(SESSION, "the IPv4 address 0.0.0.0, although DHCPv4 was not asked for");
            }
            _ => {}
        }
        let interface = address.and_then(|address| address.ipv6_interface_id());
        let has_ipv6 = matches!(selected, Some(PduSessionTypeValue::Ipv6 | PduSessionTypeValue::Ipv4v6));
        if has_ipv6 && interface.is_none_or(|interface| interface == [0; 8]) {
            self.failure(SESSION, "an IPv6 session without an interface identifier in PDU address");
        }
        if address.and_then(|address| address.session_type()) != selected {
            self.failure("TS 24.501 §9.11.4.10", "the PDU address is of another type than the session");
        }
    }

    fn check_pco(&self, asked: &SessionRequest, accept: &NasPduSessionEstablishmentAccept) -> PcoAnswer {
        const CLAUSE: &str = "TS 24.501 §6.2.4.2";
        let has_ipv4 = accept.pdu_address.as_ref().is_some_and(|address| address.ipv4().is_some());
        let Some(pco) = &accept.extended_protocol_configuration_options else {
            if has_ipv4 && (asked.pco.dns_ipv4 || asked.pco.mtu_ipv4) {
                self.failure(CLAUSE, "no extended protocol configuration options, although the UE asked");
            }
            return PcoAnswer::default();
        };
        let answer = match session::pco_answer_of(pco) {
            Ok(answer) => answer,
            Err(error) => {
                self.failure("TS 24.501 §9.11.4.6", error);
                return PcoAnswer::default();
            }
        };
        if has_ipv4 && asked.pco.dns_ipv4 && answer.dns_ipv4.is_empty() {
            self.failure(CLAUSE, "no DNS server, although the UE asked for one");
        }
        if has_ipv4 && asked.pco.mtu_ipv4 && answer.mtu_ipv4.is_none_or(|mtu| mtu < 576) {
            self.failure(CLAUSE, format_args!("IPv4 link MTU {:?}, although the UE asked", answer.mtu_ipv4));
        }
        answer
    }

    fn check_session_qos(
        &self,
        accept: &NasPduSessionEstablishmentAccept,
        resources: &SessionResources,
    ) -> Option<UsableQos> {
        let descriptions = accept.authorized_qos_flow_descriptions.as_ref();
        let qos = match session::check_qos(&accept.authorized_qos_rules, descriptions) {
            Ok(qos) => qos,
            Err(faults) => {
                faults.iter().for_each(|fault| self.failure(fault.clause, &fault.detail));
                return None;
            }
        };
        let flows = &resources.request.flows;
        for (qfi, five_qi) in &qos.flows {
            match flows.iter().find(|flow| flow.qfi == *qfi) {
                None => self.failure(
                    "TS 23.501 §5.7.1.5",
                    format_args!("QFI {} of the UE's QoS rules is none of the gNB's", qfi.get()),
                ),
                Some(flow) if flow.five_qi.is_some() && *five_qi != flow.five_qi => self.failure(
                    "TS 23.501 §5.7.1.5",
                    format_args!(
                        "5QI {five_qi:?} of QFI {} for the UE, {:?} for the gNB",
                        qfi.get(),
                        flow.five_qi
                    ),
                ),
                Some(_) => {}
            }
        }
        Some(qos)
    }
}
