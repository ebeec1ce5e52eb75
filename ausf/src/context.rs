//! One authentication of one UE: TS 33.501 §6.1.3.2, the AUSF's part.

use serde::{Deserialize, Serialize};
use tern_crypto::{HresStar, KAusf, KSeaf, ResStar, hres_star, k_seaf};
use tern_sbi::nausf_auth::{AuthResult, Av5gAka};
use tern_sbi::nudm_ueau::Av5gHeAka;
use tern_types::Supi;

/// What is kept between the challenge and the end of its lifetime.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthContext {
    /// Of this form; raised with each change that an older program cannot read.
    version: u8,
    /// Whom the UDM named.
    pub supi: Supi,
    /// The network that asked.
    pub serving_network_name: String,
    xres_star: ResStar,
    k_ausf: KAusf,
    progress: Progress,
    /// The authentication event at the UDM, once there is one.
    pub auth_event_id: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Progress {
    Challenged,
    Succeeded,
    Failed,
}

impl AuthContext {
    const VERSION: u8 = 1;

    /// The context of a vector and the challenge that the serving network gets of it
    /// (TS 33.501 §6.1.3.2.0 steps 3 to 5).
    pub fn challenge(supi: Supi, serving_network_name: String, vector: &Av5gHeAka) -> (Self, Av5gAka) {
        let xres_star = ResStar::from(*vector.xres_star.expose());
        let hxres_star: HresStar = hres_star(&vector.rand.0, &xres_star);
        let challenge =
            Av5gAka::new(vector.rand, tern_sbi::common::Octets(*hxres_star.as_bytes()), vector.autn);
        let context = Self {
            version: Self::VERSION,
            supi,
            serving_network_name,
            xres_star,
            k_ausf: KAusf::from(*vector.kausf.expose()),
            progress: Progress::Challenged,
            auth_event_id: None,
        };
        (context, challenge)
    }

    /// Compares RES* with XRES*, in constant time. The first answer decides: a wrong RES* ends
    /// the context, so that nobody tries a second one; the right one may be repeated, since its
    /// reply may have been lost.
    pub fn confirm(&mut self, res_star: &ResStar) -> AuthResult {
        let right = self.xres_star == *res_star;
        match self.progress {
            Progress::Challenged if right => self.progress = Progress::Succeeded,
            Progress::Challenged => self.progress = Progress::Failed,
            Progress::Succeeded | Progress::Failed => {}
        }
        if right && self.succeeded() {
            AuthResult::AuthenticationSuccess
        } else {
            AuthResult::AuthenticationFailure
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

    /// The anchor key for the serving network.
    pub fn k_seaf(&self) -> KSeaf {
        k_seaf(&self.k_ausf, &self.serving_network_name)
    }

    /// Reads what [`AuthContext::write`] wrote; `None` for anything else.
    pub fn read(octets: &[u8]) -> Option<Self> {
        let context: Self = serde_json::from_slice(octets).ok()?;
        (context.version == Self::VERSION).then_some(context)
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
        assert_eq!(context.confirm(&[2; 16].into()), AuthResult::AuthenticationSuccess);
        assert_eq!(context.confirm(&[2; 16].into()), AuthResult::AuthenticationSuccess);
        assert_eq!(context.confirm(&[9; 16].into()), AuthResult::AuthenticationFailure);
        assert!(context.succeeded());
    }

    #[test]
    fn when_res_star_is_wrong_then_the_right_one_comes_too_late() {
        let mut context = challenged();
        assert_eq!(context.confirm(&[9; 16].into()), AuthResult::AuthenticationFailure);
        assert_eq!(context.confirm(&[2; 16].into()), AuthResult::AuthenticationFailure);
        assert!(!context.succeeded());
    }

    #[test]
    fn a_context_is_read_as_it_was_written() {
        let mut context = challenged();
        context.auth_event_id = Some("7".to_owned());
        assert_eq!(AuthContext::read(&context.write()), Some(context.clone()));
        context.version = 2;
        assert_eq!(AuthContext::read(&context.write()), None);
        assert_eq!(AuthContext::read(b"{"), None);
        assert!(!format!("{context:?}").contains("0404"));
    }

    /// The form of version 1, as a program of that version left it in the store.
    #[test]
    fn version_1_is_read() {
        let golden = concat!(
            r#"{"version":1,"supi":"imsi-001010000000001","#,
            r#""serving_network_name":"5G:mnc001.mcc001.3gppnetwork.org","#,
            r#""xres_star":"02020202020202020202020202020202","#,
            r#""k_ausf":"0404040404040404040404040404040404040404040404040404040404040404","#,
            r#""progress":"Challenged","auth_event_id":null}"#
        );
        assert_eq!(AuthContext::read(golden.as_bytes()), Some(challenged()));
        assert_eq!(challenged().write(), golden);
    }
}
