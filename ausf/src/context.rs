//! One authentication of one UE: TS 33.501 §6.1.3, the AUSF's part.

use serde::{Deserialize, Serialize};
use tern_crypto::{HresStar, KAusf, KSeaf, ResStar, hres_star, k_seaf};
use tern_sbi::common::Base64;
use tern_sbi::nausf_auth::{AuthResult, AuthType, Av5gAka};
use tern_sbi::nudm_ueau::{Av5gHeAka, AvEapAkaPrime};
use tern_types::Supi;

use crate::eap_aka_prime::{EapAkaPrime, Outcome};

/// What is kept between the challenge and the end of its lifetime.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthContext {
    /// Of this form; raised with each change that an older program cannot read.
    version: u8,
    /// Whom the UDM named.
    pub supi: Supi,
    /// The network that asked.
    pub serving_network_name: String,
    #[serde(flatten)]
    method: Method,
    progress: Progress,
    /// The authentication event at the UDM, once there is one.
    pub auth_event_id: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum Method {
    FiveGAka { xres_star: ResStar, k_ausf: KAusf },
    EapAkaPrime(EapAkaPrime),
}

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Progress {
    /// Nobody has answered yet.
    Challenged,
    /// The UE has answered rightly.
    Succeeded,
    /// It has not.
    Failed,
}

impl AuthContext {
    const VERSION: u8 = 2;

    fn new(supi: Supi, serving_network_name: String, method: Method) -> Self {
        let (version, progress) = (Self::VERSION, Progress::Challenged);
        Self { version, supi, serving_network_name, method, progress, auth_event_id: None }
    }

    /// The context of a vector and the challenge that the serving network gets of it
    /// (TS 33.501 §6.1.3.2.0 steps 3 to 5).
    pub fn challenge(supi: Supi, serving_network_name: String, vector: &Av5gHeAka) -> (Self, Av5gAka) {
        let xres_star = ResStar::from(*vector.xres_star.expose());
        let hxres_star: HresStar = hres_star(&vector.rand.0, &xres_star);
        let challenge =
            Av5gAka::new(vector.rand, tern_sbi::common::Octets(*hxres_star.as_bytes()), vector.autn);
        let k_ausf = KAusf::from(*vector.kausf.expose());
        (Self::new(supi, serving_network_name, Method::FiveGAka { xres_star, k_ausf }), challenge)
    }

    /// The context of an EAP session; `None` if the vector is not usable.
    pub(crate) fn eap(supi: Supi, serving_network_name: String, vector: &AvEapAkaPrime) -> Option<Self> {
        let session = EapAkaPrime::challenge(&supi, &serving_network_name, vector)?;
        Some(Self::new(supi, serving_network_name, Method::EapAkaPrime(session)))
    }

    /// Compares RES* with XRES*, in constant time; `None` if the method is another one. The first
    /// answer decides: a wrong RES* ends the context, so that nobody tries a second one; the right one
    /// may be repeated, since its reply may have been lost.
    pub fn confirm(&mut self, res_star: &ResStar) -> Option<AuthResult> {
        let Method::FiveGAka { xres_star, .. } = &self.method else { return None };
        let right = *xres_star == *res_star;
        match self.progress {
            Progress::Challenged if right => self.progress = Progress::Succeeded,
            Progress::Challenged => self.progress = Progress::Failed,
            Progress::Succeeded | Progress::Failed => {}
        }
        Some(if right && self.succeeded() {
            AuthResult::AuthenticationSuccess
        } else {
            AuthResult::AuthenticationFailure
        })
    }

    /// Takes the UE's packet; `None` if the method is another one.
    pub(crate) fn on_eap_response(&mut self, octets: &[u8]) -> Option<Outcome> {
        let Method::EapAkaPrime(session) = &mut self.method else { return None };
        Some(session.on_response(octets, &mut self.progress))
    }

    /// Goes on after a synchronisation failure, with another vector or without.
    pub(crate) fn renew_eap(&mut self, vector: Option<&AvEapAkaPrime>) -> Outcome {
        let Method::EapAkaPrime(session) = &mut self.method else { return Outcome::Again };
        match vector.and_then(|vector| session.renewed(&self.supi, &self.serving_network_name, vector)) {
            Some(renewed) => {
                *session = renewed;
                Outcome::Again
            }
            None => session.notify(&mut self.progress, "AUTS is wrong"),
        }
    }

    /// The packet that awaits the UE's.
    pub(crate) fn eap_request(&self) -> Option<&Base64> {
        match &self.method {
            Method::EapAkaPrime(session) => Some(session.request()),
            Method::FiveGAka { .. } => None,
        }
    }

    /// The method.
    pub fn auth_type(&self) -> AuthType {
        match &self.method {
            Method::FiveGAka { .. } => AuthType::FiveGAka,
            Method::EapAkaPrime(_) => AuthType::EapAkaPrime,
        }
    }

    /// Whether the UE has answered rightly.
    pub fn succeeded(&self) -> bool {
        self.progress == Progress::Succeeded
    }

    /// Whether nobody has answered yet.
    pub fn is_pending(&self) -> bool {
        self.progress == Progress::Challenged
    }

    /// K_AUSF.
    pub(crate) fn k_ausf(&self) -> &KAusf {
        match &self.method {
            Method::FiveGAka { k_ausf, .. } => k_ausf,
            Method::EapAkaPrime(session) => session.k_ausf(),
        }
    }

    /// The anchor key for the serving network.
    pub fn k_seaf(&self) -> KSeaf {
        k_seaf(self.k_ausf(), &self.serving_network_name)
    }

    /// Reads what [`AuthContext::write`] wrote; `None` for anything else.
    pub fn read(octets: &[u8]) -> Option<Self> {
        let context: Self = serde_json::from_slice(octets).ok()?;
        (1..=Self::VERSION).contains(&context.version).then_some(context)
    }

    /// For the store.
    pub fn write(&self) -> bytes::Bytes {
        serde_json::to_vec(self).expect("invariant: a context is plain JSON").into()
    }
}

#[cfg(test)]
mod tests {
    use tern_sbi::common::{Octets, Secret};
    use tern_sbi::nudm_ueau::AvType;

    use super::*;

    fn challenged() -> AuthContext {
        let vector = Av5gHeAka::new(
            AvType::FiveGHeAka,
            Octets([1; 16]),
            Secret::new([2; 16]),
            Octets([3; 16]),
            Secret::new([4; 32]),
        );
        let network = "5G:mnc001.mcc001.3gppnetwork.org".to_owned();
        let supi = "imsi-001010000000001".parse().unwrap();
        let (context, challenge) = AuthContext::challenge(supi, network, &vector);
        assert_eq!(challenge.rand, vector.rand);
        // The serving network sees the hash alone: TS 33.501 §A.5.
        assert_ne!(challenge.hxres_star.0, [2; 16]);
        context
    }

    #[test]
    fn when_res_star_is_right_then_success_also_repeated() {
        let mut context = challenged();
        assert_eq!(context.confirm(&[2; 16].into()), Some(AuthResult::AuthenticationSuccess));
        assert_eq!(context.confirm(&[2; 16].into()), Some(AuthResult::AuthenticationSuccess));
        assert_eq!(context.confirm(&[9; 16].into()), Some(AuthResult::AuthenticationFailure));
        assert!(context.succeeded());
    }

    #[test]
    fn when_res_star_is_wrong_then_the_right_one_comes_too_late() {
        let mut context = challenged();
        assert_eq!(context.confirm(&[9; 16].into()), Some(AuthResult::AuthenticationFailure));
        assert_eq!(context.confirm(&[2; 16].into()), Some(AuthResult::AuthenticationFailure));
        assert!(!context.succeeded());
    }

    #[test]
    fn a_context_is_read_as_it_was_written() {
        let mut context = challenged();
        context.auth_event_id = Some("7".to_owned());
        assert_eq!(AuthContext::read(&context.write()), Some(context.clone()));
        context.version = 3;
        assert_eq!(AuthContext::read(&context.write()), None);
        assert_eq!(AuthContext::read(b"{"), None);
        assert!(!format!("{context:?}").contains("0404"));
    }

    /// The forms as programs of either version left them in the store.
    #[test]
    fn versions_1_and_2_are_read() {
        let golden = concat!(
            r#"{"version":2,"supi":"imsi-001010000000001","#,
            r#""serving_network_name":"5G:mnc001.mcc001.3gppnetwork.org","#,
            r#""xres_star":"02020202020202020202020202020202","#,
            r#""k_ausf":"0404040404040404040404040404040404040404040404040404040404040404","#,
            r#""progress":"Challenged","auth_event_id":null}"#
        );
        assert_eq!(AuthContext::read(golden.as_bytes()), Some(challenged()));
        assert_eq!(challenged().write(), golden);
        let before = golden.replace(r#""version":2"#, r#""version":1"#);
        let before = AuthContext::read(before.as_bytes());
        assert_eq!(before, Some(AuthContext { version: 1, ..challenged() }));
    }

    fn eap_challenged() -> AuthContext {
        let vector = AvEapAkaPrime::new(
            AvType::EapAkaPrime,
            Octets([1; 16]),
            tern_sbi::common::SecretText::new("0202020202020202".to_owned()),
            Octets([3; 16]),
            Secret::new([4; 16]),
            Secret::new([5; 16]),
        );
        let supi = "imsi-001010000000001".parse().unwrap();
        AuthContext::eap(supi, "5G:x".to_owned(), &vector).unwrap()
    }

    #[test]
    fn an_eap_session_is_read_as_it_was_written() {
        let context = eap_challenged();
        let text = String::from_utf8(context.write().to_vec()).unwrap();
        assert!(text.starts_with(
            r#"{"version":2,"supi":"imsi-001010000000001","serving_network_name":"5G:x","rand":"0101"#
        ));
        assert_eq!(AuthContext::read(text.as_bytes()), Some(context.clone()));
        assert!(!format!("{context:?}").contains("0202020202"));
        assert_eq!(context.auth_type(), AuthType::EapAkaPrime);
    }

    /// The answer to one method's challenge decides nothing about the other's.
    #[test]
    fn when_the_method_is_another_then_nothing_is_confirmed() {
        let (mut aka, mut eap) = (challenged(), eap_challenged());
        assert_eq!(aka.on_eap_response(&[2, 0, 0, 5, 3]), None);
        assert_eq!(eap.confirm(&[2; 16].into()), None);
        assert!(aka.is_pending() && eap.is_pending());
        assert_eq!((aka.eap_request(), aka.auth_type()), (None, AuthType::FiveGAka));
    }
}
