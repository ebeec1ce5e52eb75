//! Authentication vectors: TS 33.501 §6.1.3, TS 33.102 §6.3.5.

use tern_crypto::{
    AMF_5G, AuthenticationFunctions, Auts, AutsError, EapAkaPrimeVector, Sqn, SubscriberKey, resynchronise,
};
use tern_sbi::common::{Octets, Secret, SecretText};
use tern_sbi::nudm_ueau::{
    AuthType, AuthenticationVector, Av5gHeAka, AvEapAkaPrime, AvType, ResynchronizationInfo,
};
use tern_sbi::nudr_dr::AuthenticationSubscription;

use zeroize::Zeroizing;

use crate::suci::octets;

/// Set in AMF for 5G (TS 33.501 annex A.1, TS 33.102 annex H).
const SEPARATION_BIT: u8 = 0x80;

/// A subscriber's keys, its authentication method, and the greatest sequence number given out so far.
#[derive(Debug)]
pub struct Credentials {
    method: Method,
    functions: AuthenticationFunctions,
    amf: [u8; 2],
    sqn: Sqn,
}

/// The methods that vectors are made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    FiveGAka,
    EapAkaPrime,
}

/// What keeps a subscription from giving vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// An attribute is absent or has another form.
    #[error("authentication subscription: {0}")]
    Unusable(&'static str),
    /// No sequence number is left.
    #[error("the sequence numbers are used up")]
    SqnExhausted,
    /// The subscriber authenticates in another way.
    #[error("the authentication method is not supported")]
    UnsupportedMethod,
}

impl Credentials {
    /// Reads TS29505_Subscription_Data AuthenticationSubscription.
    ///
    /// # Errors
    /// Names the attribute that is no use.
    pub fn read(subscription: &AuthenticationSubscription) -> Result<Self, CredentialsError> {
        use CredentialsError::Unusable;
        let method = match &subscription.authentication_method {
            AuthType::FiveGAka => Method::FiveGAka,
            AuthType::EapAkaPrime => Method::EapAkaPrime,
            _ => return Err(CredentialsError::UnsupportedMethod),
        };
        let key = |text: Option<&tern_sbi::common::SecretText>| {
            text.and_then(|text| octets(text.expose())).map(Zeroizing::new)
        };
        let k = key(subscription.enc_permanent_key.as_ref());
        let k = k.and_then(|k| SubscriberKey::from_slice(&k)).ok_or(Unusable("encPermanentKey"))?;
        let tuak =
            subscription.algorithm_id.as_deref().map_or(
                subscription.enc_opc_key.is_none() && subscription.enc_topc_key.is_some(),
                |algorithm| algorithm.eq_ignore_ascii_case("tuak"),
            );
        let functions = if tuak {
            let topc =
                key(subscription.enc_topc_key.as_ref()).and_then(|topc| topc.as_slice().try_into().ok());
            AuthenticationFunctions::tuak(k, topc.ok_or(Unusable("encTopcKey"))?)
        } else {
            let opc = key(subscription.enc_opc_key.as_ref()).and_then(|opc| opc.as_slice().try_into().ok());
            let opc = opc.ok_or(Unusable("encOpcKey"))?;
            let k = k.as_bytes().try_into().map_err(|_| Unusable("encPermanentKey"))?;
            AuthenticationFunctions::milenage(&k, &opc)
        };
        let amf = subscription.authentication_management_field.map_or(AMF_5G, |amf| amf.0);
        let number = subscription.sequence_number.as_ref().ok_or(Unusable("sequenceNumber"))?;
        let sqn = Sqn::from_bytes(number.sqn.ok_or(Unusable("sequenceNumber"))?.0);
        Ok(Self { method, functions, amf: [amf[0] | SEPARATION_BIT, amf[1]], sqn })
    }

    /// The greatest sequence number given out.
    pub fn sqn(&self) -> Sqn {
        self.sqn
    }

    /// The next sequence number to give out.
    ///
    /// # Errors
    /// When none is left.
    pub fn next_sqn(&self) -> Result<Sqn, CredentialsError> {
        self.sqn.next().ok_or(CredentialsError::SqnExhausted)
    }

    /// The next sequence number after a synchronisation failure: behind SQN_MS, or behind our
    /// own if that is greater (TS 33.102 §6.3.5). It never goes back, also where the USIM refuses
    /// ours for being too far ahead: a number is not given out twice.
    ///
    /// # Errors
    /// If AUTS is not the USIM's: inner; when no number is left: outer.
    pub fn resynchronised(
        &self,
        info: &ResynchronizationInfo,
    ) -> Result<Result<Sqn, AutsError>, CredentialsError> {
        let sqn_ms = match resynchronise(&self.functions, &info.rand.0, &Auts(info.auts.0)) {
            Ok(sqn_ms) => sqn_ms,
            Err(error) => return Ok(Err(error)),
        };
        self.sqn.max(sqn_ms).next().map(Ok).ok_or(CredentialsError::SqnExhausted)
    }

    /// The method that the home network chooses for the subscriber (TS 33.501 §6.1.2).
    pub fn auth_type(&self) -> AuthType {
        match self.method {
            Method::FiveGAka => AuthType::FiveGAka,
            Method::EapAkaPrime => AuthType::EapAkaPrime,
        }
    }

    /// The vector of a sequence number that is stored as given out.
    pub fn vector(&self, sqn: Sqn, rand: [u8; 16], serving_network_name: &str) -> AuthenticationVector {
        match self.method {
            Method::FiveGAka => {
                let vector = tern_crypto::AuthenticationVector::generate(
                    &self.functions,
                    sqn,
                    self.amf,
                    rand,
                    serving_network_name,
                );
                AuthenticationVector::Av5gHeAka(Av5gHeAka::new(
                    AvType::FiveGHeAka,
                    Octets(vector.rand),
                    Secret::new(*vector.xres_star.as_bytes()),
                    Octets(vector.autn.0),
                    Secret::new(*vector.k_ausf.as_bytes()),
                ))
            }
            Method::EapAkaPrime => {
                let vector =
                    EapAkaPrimeVector::generate(&self.functions, sqn, self.amf, rand, serving_network_name);
                let xres = vector.xres.iter().map(|octet| format!("{octet:02x}")).collect();
                AuthenticationVector::AvEapAkaPrime(AvEapAkaPrime::new(
                    AvType::EapAkaPrime,
                    Octets(vector.rand),
                    SecretText::new(xres),
                    Octets(vector.autn.0),
                    Secret::new(*vector.ck_prime.as_bytes()),
                    Secret::new(*vector.ik_prime.as_bytes()),
                ))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tern_crypto::{Autn, SqnArray, Usim, UsimRefusal};
    use tern_sbi::nudr_dr::SequenceNumber;

    use super::*;

    const NETWORK: &str = "5G:mnc001.mcc001.3gppnetwork.org";

    fn subscription(sqn: u64) -> AuthenticationSubscription {
        let sqn = Sqn::new(sqn).unwrap();
        AuthenticationSubscription {
            enc_permanent_key: Some(SecretText::new("465b5ce8b199b49faa5f0a2ee238a6bc".to_owned())),
            enc_opc_key: Some(SecretText::new("cd63cb71954a9f4e48a5994e37a02baf".to_owned())),
            sequence_number: Some(SequenceNumber {
                sqn: Some(Octets(sqn.to_bytes())),
                ..SequenceNumber::default()
            }),
            ..AuthenticationSubscription::new(AuthType::FiveGAka)
        }
    }

    fn five_g_aka(vector: AuthenticationVector) -> Av5gHeAka {
        match vector {
            AuthenticationVector::Av5gHeAka(vector) => vector,
            other => panic!("{other:?}"),
        }
    }

    fn usim(sqn_ms: u64) -> Usim {
        let credentials = Credentials::read(&subscription(0)).unwrap();
        Usim::new(credentials.functions, SqnArray::at(Sqn::new(sqn_ms).unwrap()))
    }

    #[test]
    fn a_usim_accepts_the_vector() {
        let credentials = Credentials::read(&subscription(0)).unwrap();
        let vector = five_g_aka(credentials.vector(credentials.next_sqn().unwrap(), [7; 16], NETWORK));
        let answer = usim(0).authenticate(&[7; 16], &Autn(vector.autn.0), NETWORK).unwrap();
        assert_eq!(answer.res_star.as_bytes(), vector.xres_star.expose());
        assert_eq!(answer.k_ausf.as_bytes(), vector.kausf.expose());
    }

    /// TS 33.501 §6.1.3.1.
    #[test]
    fn when_the_method_is_eap_aka_prime_then_the_vector_has_its_keys() {
        let subscription =
            AuthenticationSubscription { authentication_method: AuthType::EapAkaPrime, ..subscription(0) };
        let credentials = Credentials::read(&subscription).unwrap();
        assert_eq!(credentials.auth_type(), AuthType::EapAkaPrime);
        let vector = credentials.vector(credentials.next_sqn().unwrap(), [7; 16], NETWORK);
        let AuthenticationVector::AvEapAkaPrime(vector) = vector else { panic!("{vector:?}") };
        let answer = usim(0).authenticate_eap(&[7; 16], &Autn(vector.autn.0), NETWORK).unwrap();
        assert_eq!(octets(vector.xres.expose()).unwrap(), *answer.res);
        assert_eq!(vector.ck_prime.expose(), answer.ck_prime.as_bytes());
        assert_eq!(vector.ik_prime.expose(), answer.ik_prime.as_bytes());
    }

    #[test]
    fn when_the_method_is_another_then_there_is_no_vector() {
        let subscription =
            AuthenticationSubscription { authentication_method: AuthType::EapTls, ..subscription(0) };
        assert_eq!(Credentials::read(&subscription).unwrap_err(), CredentialsError::UnsupportedMethod);
    }

    #[test]
    fn each_attribute_that_is_no_use_is_named() {
        let named = |change: fn(&mut AuthenticationSubscription)| {
            let mut subscription = subscription(0);
            change(&mut subscription);
            Credentials::read(&subscription).unwrap_err().to_string()
        };
        assert!(named(|s| s.enc_permanent_key = None).ends_with("encPermanentKey"));
        assert!(named(|s| s.enc_opc_key = Some(SecretText::new("00".into()))).ends_with("encOpcKey"));
        assert!(named(|s| s.algorithm_id = Some("TUAK".into())).ends_with("encTopcKey"));
        assert!(named(|s| s.sequence_number = None).ends_with("sequenceNumber"));
        assert_eq!(
            Credentials::read(&subscription(u64::MAX >> 16)).unwrap().next_sqn(),
            Err(CredentialsError::SqnExhausted)
        );
    }

    /// TS 33.102 §6.3.5.
    #[test]
    fn when_the_usim_is_ahead_then_the_next_number_is_behind_sqn_ms() {
        let (credentials, mut usim) = (Credentials::read(&subscription(64)).unwrap(), usim(5000 << 5));
        let info = synch_failure(&credentials, &mut usim);
        let sqn = credentials.resynchronised(&info).unwrap().unwrap();
        assert_eq!(sqn.seq(), 5001);
        let vector = five_g_aka(credentials.vector(sqn, [8; 16], NETWORK));
        assert!(usim.authenticate(&[8; 16], &Autn(vector.autn.0), NETWORK).is_ok());
    }

    /// A USIM that refuses an old number again does not bring our own back.
    #[test]
    fn when_we_are_ahead_already_then_our_number_goes_on() {
        let (old, mut usim) = (Credentials::read(&subscription(64)).unwrap(), usim(5000 << 5));
        let info = synch_failure(&old, &mut usim);
        let ahead = Credentials::read(&subscription(9000 << 5)).unwrap();
        assert_eq!(ahead.resynchronised(&info).unwrap().unwrap().seq(), 9001);
    }

    #[test]
    fn when_auts_is_anothers_then_it_is_refused() {
        let credentials = Credentials::read(&subscription(64)).unwrap();
        let mut info = synch_failure(&credentials, &mut usim(5000 << 5));
        info.auts.0[13] ^= 1;
        assert_eq!(credentials.resynchronised(&info), Ok(Err(AutsError)));
    }

    fn synch_failure(credentials: &Credentials, usim: &mut Usim) -> ResynchronizationInfo {
        let vector = five_g_aka(credentials.vector(credentials.next_sqn().unwrap(), [7; 16], NETWORK));
        match usim.authenticate(&[7; 16], &Autn(vector.autn.0), NETWORK) {
            Err(UsimRefusal::SynchFailure(auts)) => {
                ResynchronizationInfo::new(Octets([7; 16]), Octets(auts.0))
            }
            other => panic!("{other:?} in place of a synch failure"),
        }
    }
}
