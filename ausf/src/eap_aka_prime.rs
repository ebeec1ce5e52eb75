//! EAP-AKA', the server: RFC 4187 §6.3, §9, RFC 9048 §3, TS 33.501 §6.1.3.1.
//!
//! One function is offered for key derivation, no identity is asked for and no result indication
//! given: a session is one challenge, or two where the USIM is out of step.

use serde::{Deserialize, Serialize};
use tern_crypto::{CkPrime, EapAkaPrimeKeys, IkPrime, KAusf, KAut};
use tern_eap::{Attributes, Body, Code, GENERAL_FAILURE, KDF_CK_PRIME, Packet, Subtype, header};
use tern_sbi::common::{Base64, Octets, SecretText};
use tern_sbi::nudm_ueau::AvEapAkaPrime;
use tern_types::Supi;

use crate::context::Progress;

/// A session between its first challenge and the end of its lifetime.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EapAkaPrime {
    rand: Octets<16>,
    xres: SecretText,
    k_aut: KAut,
    k_ausf: KAusf,
    /// The request that awaits its response.
    request: Base64,
    /// The USIM was out of step once.
    resynchronised: bool,
}

/// What a response leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The outstanding request is sent again: this was no response to it.
    Again,
    /// The peer is told that it failed, and why it did: its response ends the session.
    Notified(&'static str),
    /// EAP-Success.
    Succeeded(Vec<u8>),
    /// EAP-Failure.
    Failed(Vec<u8>),
    /// The USIM is out of step: the home network is to make another challenge.
    OutOfStep {
        /// Of the challenge.
        rand: [u8; 16],
        /// AUTS.
        auts: [u8; 14],
    },
}

impl EapAkaPrime {
    /// The session that begins with this vector; `None` if it is not usable.
    pub(crate) fn challenge(supi: &Supi, network: &str, vector: &AvEapAkaPrime) -> Option<Self> {
        Self::of(supi, network, vector, 0, false)
    }

    /// The session with another challenge, after a synchronisation failure.
    pub(crate) fn renewed(&self, supi: &Supi, network: &str, vector: &AvEapAkaPrime) -> Option<Self> {
        Self::of(supi, network, vector, self.identifier().wrapping_add(1), true)
    }

    fn of(
        supi: &Supi,
        network: &str,
        vector: &AvEapAkaPrime,
        identifier: u8,
        resynchronised: bool,
    ) -> Option<Self> {
        let res_octets = octets(vector.xres.expose())?.len();
        if !(4..=16).contains(&res_octets) {
            return None;
        }
        let ck_prime = CkPrime::from(*vector.ck_prime.expose());
        let ik_prime = IkPrime::from(*vector.ik_prime.expose());
        let keys = EapAkaPrimeKeys::derive(&ck_prime, &ik_prime, supi.imsi());
        let attributes = Attributes {
            rand: Some(vector.rand.0),
            autn: Some(vector.autn.0),
            kdfs: vec![KDF_CK_PRIME],
            network_name: Some(network.to_owned()),
            ..Attributes::default()
        };
        let request = Packet::aka_prime(Code::Request, identifier, Subtype::Challenge, attributes);
        let request = Base64(request.encode(Some(&keys.k_aut)));
        let (rand, xres, k_ausf) = (vector.rand, vector.xres.clone(), keys.k_ausf());
        Some(Self { rand, xres, k_aut: keys.k_aut, k_ausf, request, resynchronised })
    }

    /// The request that awaits its response.
    pub(crate) fn request(&self) -> &Base64 {
        &self.request
    }

    /// K_AUSF.
    pub(crate) fn k_ausf(&self) -> &KAusf {
        &self.k_ausf
    }

    fn identifier(&self) -> u8 {
        self.request.0.get(1).copied().unwrap_or_default()
    }

    /// Takes a response. The first one that can be judged decides; the right one may be repeated,
    /// since its reply may have been lost.
    pub(crate) fn on_response(&mut self, octets: &[u8], progress: &mut Progress) -> Outcome {
        let identifier = self.identifier();
        if header(octets) != Ok((Code::Response, identifier)) {
            // RFC 3748 §4.1
            return Outcome::Again;
        }
        let failed = Outcome::Failed(Packet::result(Code::Failure, identifier).encode(None));
        let succeeded = Outcome::Succeeded(Packet::result(Code::Success, identifier).encode(None));
        match progress {
            Progress::Failed => return failed,
            Progress::Succeeded => return if self.is_right(octets) { succeeded } else { failed },
            Progress::Challenged => {}
        }
        let packet = match Packet::decode(octets) {
            Ok(packet) => packet,
            Err(error) => {
                tracing::debug!(%error, "EAP response");
                return self.notify(progress, "malformed");
            }
        };
        let aka = match packet.body {
            Body::AkaPrime(aka) => aka,
            Body::Nak => {
                *progress = Progress::Failed;
                return failed;
            }
            Body::None | Body::Other(_) => return self.notify(progress, "of another method"),
        };
        match (aka.subtype, aka.attributes.auts) {
            (Subtype::Challenge, _) if self.is_right(octets) => {
                *progress = Progress::Succeeded;
                succeeded
            }
            // Of one function offered, a peer that asks for any other one, or for that one, is wrong
            // (RFC 9048 §3.2).
            (Subtype::Challenge, _) => self.notify(progress, "AT_MAC or AT_RES is wrong"),
            // RFC 4187 §6.3.3
            (Subtype::AuthenticationReject | Subtype::ClientError, _) => {
                *progress = Progress::Failed;
                failed
            }
            (Subtype::SynchronizationFailure, Some(auts)) if !self.resynchronised => {
                Outcome::OutOfStep { rand: self.rand.0, auts }
            }
            (Subtype::SynchronizationFailure, _) => self.notify(progress, "out of step again, or no AT_AUTS"),
            _ => self.notify(progress, "of a subtype that is not expected"),
        }
    }

    /// EAP-Request/AKA'-Notification: a response was wrong (RFC 4187 §6.3.2).
    pub(crate) fn notify(&mut self, progress: &mut Progress, why: &'static str) -> Outcome {
        *progress = Progress::Failed;
        let attributes = Attributes { notification: Some(GENERAL_FAILURE), ..Attributes::default() };
        let identifier = self.identifier().wrapping_add(1);
        let request = Packet::aka_prime(Code::Request, identifier, Subtype::Notification, attributes);
        self.request = Base64(request.encode(None));
        Outcome::Notified(why)
    }

    /// Whether these octets answer the challenge: AT_MAC and AT_RES, compared in constant time.
    fn is_right(&self, response: &[u8]) -> bool {
        let Ok(packet) = Packet::decode(response) else { return false };
        let (Body::AkaPrime(aka), Some(xres)) = (&packet.body, octets(self.xres.expose())) else {
            return false;
        };
        let res = aka.attributes.res.as_deref().unwrap_or_default();
        let right = aka.subtype == Subtype::Challenge && tern_crypto::equal(res, &xres);
        packet.is_authentic(response, &self.k_aut) && right
    }
}

fn octets(hexadecimal: &str) -> Option<Vec<u8>> {
    let digit = |b: &u8| char::from(*b).to_digit(16).map(|digit| digit as u8);
    let pairs = hexadecimal.as_bytes().chunks(2);
    pairs.map(|pair| Some(digit(pair.first()?)? << 4 | digit(pair.get(1)?)?)).collect()
}

#[cfg(test)]
mod tests {
    use tern_crypto::{AMF_5G, AuthenticationFunctions, EapAkaPrimeVector, Sqn};
    use tern_eap::UNABLE_TO_PROCESS;
    use tern_sbi::common::Secret;
    use tern_sbi::nudm_ueau::AvType;

    use super::*;

    const NETWORK: &str = "5G:mnc001.mcc001.3gppnetwork.org";

    fn supi() -> Supi {
        "imsi-001010000000001".parse().unwrap()
    }

    fn vector(rand: u8) -> (AvEapAkaPrime, KAut) {
        let functions = AuthenticationFunctions::milenage(&[0x46; 16], &[0xcd; 16]);
        let sqn = Sqn::new(32).unwrap();
        let vector = EapAkaPrimeVector::generate(&functions, sqn, AMF_5G, [rand; 16], NETWORK);
        let xres = vector.xres.iter().map(|octet| format!("{octet:02x}")).collect();
        let keys = EapAkaPrimeKeys::derive(&vector.ck_prime, &vector.ik_prime, "001010000000001");
        let av = AvEapAkaPrime::new(
            AvType::EapAkaPrime,
            Octets(vector.rand),
            SecretText::new(xres),
            Octets(vector.autn.0),
            Secret::new(*vector.ck_prime.as_bytes()),
            Secret::new(*vector.ik_prime.as_bytes()),
        );
        (av, keys.k_aut)
    }

    struct Session {
        eap: EapAkaPrime,
        progress: Progress,
        res: Vec<u8>,
        k_aut: KAut,
    }

    fn session() -> Session {
        let (vector, k_aut) = vector(1);
        let eap = EapAkaPrime::challenge(&supi(), NETWORK, &vector).unwrap();
        let res = octets(vector.xres.expose()).unwrap();
        Session { eap, progress: Progress::Challenged, res, k_aut }
    }

    impl Session {
        fn say(&mut self, octets: &[u8]) -> Outcome {
            self.eap.on_response(octets, &mut self.progress)
        }

        fn packet(&self, subtype: Subtype, attributes: Attributes) -> Packet {
            Packet::aka_prime(Code::Response, self.eap.identifier(), subtype, attributes)
        }

        fn right(&self) -> Vec<u8> {
            let attributes = Attributes { res: Some(self.res.clone()), ..Attributes::default() };
            self.packet(Subtype::Challenge, attributes).encode(Some(&self.k_aut))
        }

        /// The session has failed: the peer is told, and its response ends it.
        fn ends_with_a_notification(mut self) {
            let request = Packet::decode(&self.eap.request.0).unwrap();
            let Body::AkaPrime(aka) = request.body else { panic!("{request:?}") };
            assert_eq!((aka.subtype, aka.attributes.notification), (Subtype::Notification, Some(16384)));
            assert_eq!((aka.mac_at, self.progress), (None, Progress::Failed));
            let late = self.right();
            assert_eq!(self.say(&late), Outcome::Failed(vec![4, 1, 0, 4]));
            assert_eq!(self.progress, Progress::Failed);
        }
    }

    #[test]
    fn when_the_response_is_right_then_success_also_repeated() {
        let mut session = session();
        let right = session.right();
        for _ in 0..2 {
            assert_eq!(session.say(&right), Outcome::Succeeded(vec![3, 0, 0, 4]));
            assert_eq!(session.progress, Progress::Succeeded);
        }
        let mut other = right.clone();
        other[12] ^= 1;
        assert_eq!(session.say(&other), Outcome::Failed(vec![4, 0, 0, 4]));
        assert_eq!(session.progress, Progress::Succeeded);
    }

    /// RFC 4187 §6.3.2.
    #[test]
    fn when_a_response_is_wrong_then_a_notification_and_failure() {
        let wrong_res = Attributes { res: Some(vec![0; 8]), ..Attributes::default() };
        let no_res = Attributes::default();
        let kdf = Attributes { kdfs: vec![2], ..Attributes::default() };
        let first_kdf = Attributes { kdfs: vec![1], ..Attributes::default() };
        for attributes in [wrong_res, no_res, kdf, first_kdf] {
            for signed in [true, false] {
                let mut session = session();
                let key = signed.then(|| session.k_aut.clone());
                let packet = session.packet(Subtype::Challenge, attributes.clone()).encode(key.as_ref());
                assert!(matches!(session.say(&packet), Outcome::Notified(_)));
                session.ends_with_a_notification();
            }
        }
        let mut unsigned = session();
        let mut right = unsigned.right();
        *right.last_mut().unwrap() ^= 1;
        assert!(matches!(unsigned.say(&right), Outcome::Notified(_)));
        unsigned.ends_with_a_notification();
        for subtype in [Subtype::Identity, Subtype::Notification, Subtype::Reauthentication] {
            let mut session = session();
            let packet = session.packet(subtype, Attributes::default()).encode(None);
            assert!(matches!(session.say(&packet), Outcome::Notified(_)));
            session.ends_with_a_notification();
        }
        for octets in [vec![2, 0, 0, 5, 13], vec![2, 0, 0, 8, 50, 3, 0, 0], vec![2, 0, 0, 6, 50, 1]] {
            let mut session = session();
            assert!(matches!(session.say(&octets), Outcome::Notified(_)), "{octets:?}");
            session.ends_with_a_notification();
        }
    }

    /// RFC 4187 §6.3.3.
    #[test]
    fn when_the_peer_refuses_then_failure_at_once() {
        let error = Attributes { client_error: Some(UNABLE_TO_PROCESS), ..Attributes::default() };
        for packet in [
            session().packet(Subtype::AuthenticationReject, Attributes::default()),
            session().packet(Subtype::ClientError, error),
            Packet { code: Code::Response, identifier: 0, body: Body::Nak },
        ] {
            let mut session = session();
            assert_eq!(session.say(&packet.encode(None)), Outcome::Failed(vec![4, 0, 0, 4]));
            assert_eq!(session.progress, Progress::Failed);
            let late = session.right();
            assert_eq!(session.say(&late), Outcome::Failed(vec![4, 0, 0, 4]));
        }
    }

    #[test]
    fn when_the_usim_is_out_of_step_then_one_other_challenge() {
        let mut session = session();
        let auts = Attributes { auts: Some([9; 14]), ..Attributes::default() };
        let failure = session.packet(Subtype::SynchronizationFailure, auts.clone()).encode(None);
        let expected = Outcome::OutOfStep { rand: [1; 16], auts: [9; 14] };
        // Until the home network has answered it may be asked again.
        for _ in 0..2 {
            assert_eq!(session.say(&failure), expected);
            assert_eq!(session.progress, Progress::Challenged);
        }
        let (other, k_aut) = vector(2);
        session.eap = session.eap.renewed(&supi(), NETWORK, &other).unwrap();
        assert_eq!(session.eap.identifier(), 1);
        // The failure of before, late, brings the new challenge again.
        assert_eq!(session.say(&failure), Outcome::Again);
        let mut second = Session { res: octets(other.xres.expose()).unwrap(), k_aut, ..session };
        let mut third =
            Session { eap: second.eap.clone(), res: Vec::new(), k_aut: second.k_aut.clone(), ..second };
        let right = second.right();
        assert_eq!(second.say(&right), Outcome::Succeeded(vec![3, 1, 0, 4]));
        let failure = third.packet(Subtype::SynchronizationFailure, auts).encode(None);
        assert!(matches!(third.say(&failure), Outcome::Notified(_)));
    }

    /// RFC 3748 §4.1.
    #[test]
    fn when_it_is_no_response_to_the_request_then_the_request_again() {
        let mut session = session();
        let mut right = session.right();
        right[1] = 7;
        let request = session.eap.request.0.clone();
        for octets in [&right[..], &request, &[], &[2, 0, 0, 9, 50], &[3, 0, 0, 4]] {
            assert_eq!(session.say(octets), Outcome::Again);
            assert_eq!((session.progress, &session.eap.request.0), (Progress::Challenged, &request));
        }
    }

    #[test]
    fn when_xres_cannot_be_then_there_is_no_session() {
        for xres in ["", "zz", "000", "000000", &"00".repeat(17)] {
            let vector = AvEapAkaPrime { xres: SecretText::new(xres.to_owned()), ..vector(1).0 };
            assert_eq!(EapAkaPrime::challenge(&supi(), NETWORK, &vector), None, "{xres}");
        }
    }
}
