//! EAP-AKA', the peer (RFC 4187, RFC 9048, TS 24.501 §5.4.1.2, TS 33.501 §6.1.3.1).

use tern_crypto::{Autn, EapAkaPrimeKeys, KAusf, Usim, UsimRefusal, k_amf, k_seaf};
use tern_eap::{AkaPrime, Attributes, Body, Code, KDF_CK_PRIME, Packet, Subtype, UNABLE_TO_PROCESS, header};
use tern_nas::NgKsi;
use tern_nas::nas_5gs::{
    NasAuthenticationResponse, NasAuthenticationResult, NasEapMessage, NasSecurityModeCommand,
};

use super::{Misdeed, Moment, Ue};
use crate::error::SimError;

const CLAUSE: &str = "TS 24.501 §5.4.1.2";

/// An EAP request and the UE's response to it.
#[derive(Debug)]
pub(super) struct Exchange {
    request: Vec<u8>,
    response: Vec<u8>,
    /// EAP-Success has come.
    succeeded: bool,
}

/// What the peer says, and what it finds.
struct Answer {
    packet: Packet,
    keys: Option<EapAkaPrimeKeys>,
    /// What the network does wrong, and by which clause.
    wrong: Option<(&'static str, String)>,
    counted: Option<&'static str>,
}

impl Ue {
    pub(super) async fn on_eap_request(
        &mut self,
        ksi: NgKsi,
        abba: &[u8],
        request: &[u8],
    ) -> Result<(), SimError> {
        if let Some(exchange) = self.eap.as_ref().filter(|exchange| exchange.request == request) {
            // A retransmission, which may have another ngKSI: the USIM is not asked again.
            let response = exchange.response.clone();
            if let Some((fresh, _)) = &mut self.fresh {
                *fresh = ksi;
            }
            return self.respond_eap(response).await;
        }
        let network = self.gnb.config().plmn.serving_network_name();
        let misdeed = [Misdeed::WrongRes, Misdeed::MacFailure];
        let misdeed = misdeed.into_iter().find(|what| self.does(Moment::AuthenticationResponse, *what));
        let subscriber = &mut self.subscriber;
        let answer = answer(&mut subscriber.usim, subscriber.supi.imsi(), &network, request, misdeed);
        if let Some((clause, what)) = &answer.wrong {
            self.failure(clause, what);
        }
        if let Some(name) = answer.counted {
            self.journal.count(name);
        }
        let response = answer.packet.encode(answer.keys.as_ref().map(|keys| &keys.k_aut));
        if let Some(keys) = &answer.keys {
            let key: KAusf = keys.k_ausf();
            let key = k_amf(&k_seaf(&key, &network), self.subscriber.supi.imsi(), abba);
            self.fresh = Some((ksi, key));
        }
        self.eap = Some(Exchange { request: request.to_vec(), response: response.clone(), succeeded: false });
        self.respond_eap(response).await
    }

    async fn respond_eap(&mut self, response: Vec<u8>) -> Result<(), SimError> {
        let response = NasAuthenticationResponse::new().with_eap_message(NasEapMessage::new(response));
        self.answer(Moment::AuthenticationResponse, response).await
    }

    /// A security mode that follows EAP brings its success.
    pub(super) fn check_eap_success(&mut self, command: &NasSecurityModeCommand) {
        let message = command.eap_message.as_ref().map(|ie| &ie.value[..]);
        let Some(exchange) = &mut self.eap else {
            if message.is_some() {
                self.failure(CLAUSE, "an EAP message in SECURITY MODE COMMAND without an EAP session");
            }
            return;
        };
        let identifier = exchange.request.get(1).copied().unwrap_or_default();
        match message {
            Some(message) if header(message) == Ok((Code::Success, identifier)) => {
                exchange.succeeded = true;
                self.journal.count("ue.eap_success");
            }
            None if exchange.succeeded => {}
            _ => self.failure(CLAUSE, "SECURITY MODE COMMAND after EAP without its EAP-Success"),
        }
    }

    pub(super) fn on_authentication_result(&mut self, result: &NasAuthenticationResult) {
        let message = &result.eap_message.value;
        let identifier = self.eap.as_ref().and_then(|exchange| exchange.request.get(1)).copied();
        match (header(message), &mut self.eap) {
            (Ok((Code::Success, id)), Some(exchange)) if Some(id) == identifier => exchange.succeeded = true,
            (Ok((Code::Failure, id)), Some(_)) if Some(id) == identifier => {
                self.journal.count("ue.eap_failure");
                self.eap = None;
                self.fresh = None;
            }
            _ => self.failure(CLAUSE, "AUTHENTICATION RESULT that does not end the EAP session"),
        }
    }

    /// Where the network rejects an EAP session, it says so in EAP as well.
    pub(super) fn check_eap_failure(&mut self, message: Option<&NasEapMessage>) {
        let Some(exchange) = self.eap.take() else { return };
        let identifier = exchange.request.get(1).copied().unwrap_or_default();
        let failed = message.is_some_and(|ie| header(&ie.value) == Ok((Code::Failure, identifier)));
        if !failed {
            self.failure(CLAUSE, "AUTHENTICATION REJECT after EAP without EAP-Failure");
        }
    }
}

/// The peer's answer to any octets in the place of an EAP request.
fn answer(
    usim: &mut Usim,
    identity: &str,
    network: &str,
    request: &[u8],
    misdeed: Option<Misdeed>,
) -> Answer {
    let identifier = request.get(1).copied().unwrap_or_default();
    let unable = |clause, what: String| {
        let attributes = Attributes { client_error: Some(UNABLE_TO_PROCESS), ..Attributes::default() };
        Answer::plain(identifier, Subtype::ClientError, attributes).because(clause, what)
    };
    let packet = match Packet::decode(request) {
        Ok(packet) => packet,
        Err(error) => return unable("RFC 4187 §6.3.1", error.to_string()),
    };
    let (Code::Request, Body::AkaPrime(aka)) = (packet.code, &packet.body) else {
        return unable("TS 33.501 §6.1.3.1", format!("no request of EAP-AKA': {packet:?}"));
    };
    match aka.subtype {
        Subtype::Challenge => challenge(usim, identity, network, (&packet, request), aka, misdeed),
        Subtype::Notification if aka.attributes.notification.is_some() => {
            Answer::plain(identifier, Subtype::Notification, Attributes::default())
                .counted("ue.eap_notification")
        }
        other => unable("TS 33.501 §6.1.3.1", format!("a request of subtype {other:?}")),
    }
}

fn challenge(
    usim: &mut Usim,
    identity: &str,
    network: &str,
    (packet, request): (&Packet, &[u8]),
    aka: &AkaPrime,
    misdeed: Option<Misdeed>,
) -> Answer {
    let id = packet.identifier;
    let Attributes { rand, autn, kdfs, network_name, .. } = &aka.attributes;
    let (Some(rand), Some(autn), Some(name), Some(_)) = (rand, autn, network_name, aka.mac_at) else {
        let attributes = Attributes { client_error: Some(UNABLE_TO_PROCESS), ..Attributes::default() };
        return Answer::plain(id, Subtype::ClientError, attributes).because(
            "RFC 9048 §3",
            "AKA'-Challenge without AT_RAND, AT_AUTN, AT_KDF_INPUT or AT_MAC".into(),
        );
    };
    let reject = || Answer::plain(id, Subtype::AuthenticationReject, Attributes::default());
    if kdfs.first() != Some(&KDF_CK_PRIME) {
        // RFC 9048 §3.2
        if kdfs.contains(&KDF_CK_PRIME) {
            let attributes = Attributes { kdfs: vec![KDF_CK_PRIME], ..Attributes::default() };
            return Answer::plain(id, Subtype::Challenge, attributes).counted("ue.eap_kdf_negotiated");
        }
        return reject().because("RFC 9048 §3.2", format!("no function of {kdfs:?} derives keys here"));
    }
    if name != network {
        let what = format!("the network name is {name}, not {network}");
        return reject().because("RFC 9048 §3.1", what);
    }
    if misdeed == Some(Misdeed::MacFailure) {
        return reject();
    }
    let answer = match usim.authenticate_eap(rand, &Autn(*autn), network) {
        Ok(answer) => answer,
        Err(UsimRefusal::MacFailure) => {
            return reject().because("TS 33.501 §6.1.3.1", "the MAC of AUTN is wrong".into());
        }
        Err(UsimRefusal::Non5gAuthentication) => {
            return reject().because("TS 33.501 §6.1.3.1", "the AMF separation bit of AUTN is 0".into());
        }
        Err(UsimRefusal::SynchFailure(auts)) => {
            let attributes = Attributes { auts: Some(auts.0), kdfs: kdfs.clone(), ..Attributes::default() };
            return Answer::plain(id, Subtype::SynchronizationFailure, attributes)
                .counted("ue.synch_failure");
        }
    };
    let keys = EapAkaPrimeKeys::derive(&answer.ck_prime, &answer.ik_prime, identity);
    if !packet.is_authentic(request, &keys.k_aut) {
        let attributes = Attributes { client_error: Some(UNABLE_TO_PROCESS), ..Attributes::default() };
        return Answer::plain(id, Subtype::ClientError, attributes)
            .because("RFC 9048 §3.4.2", "AT_MAC is not that of the UE's own K_aut".into());
    }
    let mut res = answer.res.to_vec();
    if misdeed == Some(Misdeed::WrongRes) {
        res[0] ^= 0xff;
    }
    let attributes = Attributes { res: Some(res), ..Attributes::default() };
    Answer { keys: Some(keys), ..Answer::plain(id, Subtype::Challenge, attributes) }
}

impl Answer {
    fn plain(identifier: u8, subtype: Subtype, attributes: Attributes) -> Self {
        let packet = Packet::aka_prime(Code::Response, identifier, subtype, attributes);
        Self { packet, keys: None, wrong: None, counted: None }
    }

    fn because(self, clause: &'static str, what: String) -> Self {
        Self { wrong: Some((clause, what)), ..self }
    }

    fn counted(self, name: &'static str) -> Self {
        Self { counted: Some(name), ..self }
    }
}

#[cfg(test)]
mod tests {
    use tern_crypto::{AMF_5G, AuthenticationFunctions, EapAkaPrimeVector, Sqn, SqnArray};

    use super::*;

    const IDENTITY: &str = "001010000000001";
    const NETWORK: &str = "5G:mnc001.mcc001.3gppnetwork.org";

    fn functions() -> AuthenticationFunctions {
        AuthenticationFunctions::milenage(&[0x46; 16], &[0xcd; 16])
    }

    fn usim() -> Usim {
        Usim::new(functions(), SqnArray::default())
    }

    /// A right challenge, changed, of a network with keys for `identity`.
    fn request(identity: &str, amf: [u8; 2], change: impl FnOnce(&mut Attributes)) -> Vec<u8> {
        let vector = EapAkaPrimeVector::generate(&functions(), Sqn::new(32).unwrap(), amf, [7; 16], NETWORK);
        let keys = EapAkaPrimeKeys::derive(&vector.ck_prime, &vector.ik_prime, identity);
        let mut attributes = Attributes {
            rand: Some(vector.rand),
            autn: Some(vector.autn.0),
            kdfs: vec![KDF_CK_PRIME],
            network_name: Some(NETWORK.into()),
            ..Attributes::default()
        };
        change(&mut attributes);
        Packet::aka_prime(Code::Request, 5, Subtype::Challenge, attributes).encode(Some(&keys.k_aut))
    }

    fn said(answer: &Answer) -> (Subtype, Option<&'static str>) {
        let Body::AkaPrime(aka) = &answer.packet.body else { panic!("{:?}", answer.packet) };
        assert_eq!((answer.packet.code, answer.packet.identifier), (Code::Response, 5));
        (aka.subtype, answer.wrong.as_ref().map(|(clause, _)| *clause))
    }

    #[test]
    fn when_the_challenge_is_right_then_res_and_the_keys() {
        let answer = answer(&mut usim(), IDENTITY, NETWORK, &request(IDENTITY, AMF_5G, |_| ()), None);
        assert_eq!(said(&answer), (Subtype::Challenge, None));
        let keys = answer.keys.unwrap();
        let octets = answer.packet.encode(Some(&keys.k_aut));
        assert!(Packet::decode(&octets).unwrap().is_authentic(&octets, &keys.k_aut));
    }

    /// Each wrong of the network, what the peer says to it, and the clause.
    #[test]
    fn each_wrong_of_the_network_is_named_and_gives_no_key() {
        use Subtype::{AuthenticationReject, ClientError};
        let wrong = |change: fn(&mut Attributes)| request(IDENTITY, AMF_5G, change);
        let mut mac = request(IDENTITY, AMF_5G, |_| ());
        *mac.last_mut().unwrap() ^= 1;
        let cases: [(Vec<u8>, Subtype, &str); 11] = [
            (wrong(|a| a.rand = None), ClientError, "RFC 9048 §3"),
            (wrong(|a| a.network_name = None), ClientError, "RFC 9048 §3"),
            (wrong(|a| a.kdfs.clear()), AuthenticationReject, "RFC 9048 §3.2"),
            (wrong(|a| a.kdfs = vec![2]), AuthenticationReject, "RFC 9048 §3.2"),
            (wrong(|a| a.network_name = Some("5G:x".into())), AuthenticationReject, "RFC 9048 §3.1"),
            (wrong(|a| a.autn = Some([0; 16])), AuthenticationReject, "TS 33.501 §6.1.3.1"),
            (request(IDENTITY, [0, 0], |_| ()), AuthenticationReject, "TS 33.501 §6.1.3.1"),
            (mac, ClientError, "RFC 9048 §3.4.2"),
            // Keys of another subscriber.
            (request("001010000000002", AMF_5G, |_| ()), ClientError, "RFC 9048 §3.4.2"),
            (vec![1, 5, 0, 8, 50, 5, 0, 0], ClientError, "TS 33.501 §6.1.3.1"),
            (vec![1, 5, 0, 9, 50, 1, 0, 0], ClientError, "RFC 4187 §6.3.1"),
        ];
        for (octets, subtype, clause) in cases {
            let answer = answer(&mut usim(), IDENTITY, NETWORK, &octets, None);
            assert_eq!(said(&answer), (subtype, Some(clause)), "{octets:?}");
            assert!(answer.keys.is_none());
        }
    }

    /// RFC 9048 §3.2: another function first, then the one that the peer has asked for in front.
    #[test]
    fn when_another_function_is_preferred_then_the_peer_asks_for_its_own() {
        let mut usim = usim();
        let first = request(IDENTITY, AMF_5G, |a| a.kdfs = vec![2, 1]);
        let negotiating = answer(&mut usim, IDENTITY, NETWORK, &first, None);
        assert_eq!(negotiating.packet.encode(None)[4..], [50, 1, 0, 0, 24, 1, 0, 1]);
        assert!(negotiating.keys.is_none() && negotiating.wrong.is_none());
        let second = request(IDENTITY, AMF_5G, |a| a.kdfs = vec![1, 2, 1]);
        assert!(answer(&mut usim, IDENTITY, NETWORK, &second, None).keys.is_some());
        // The number is not fresh any more.
        let third = answer(&mut usim, IDENTITY, NETWORK, &second, None);
        assert_eq!(said(&third), (Subtype::SynchronizationFailure, None));
        let Body::AkaPrime(aka) = third.packet.body else { unreachable!() };
        assert!(aka.attributes.auts.is_some());
        assert_eq!(aka.attributes.kdfs, [1, 2, 1]);
    }

    #[test]
    fn a_notification_is_acknowledged() {
        let answer =
            answer(&mut usim(), IDENTITY, NETWORK, &[1, 5, 0, 12, 50, 12, 0, 0, 12, 1, 0x40, 0], None);
        assert_eq!(said(&answer), (Subtype::Notification, None));
        assert_eq!(answer.packet.encode(None), [2, 5, 0, 8, 50, 12, 0, 0]);
    }
}
