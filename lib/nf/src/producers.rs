//! Producers that have lost what they were asked to keep: they started again, or are gone
//! (TS 23.527 §6.2).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use tern_sbi::common::{DateTime, NfInstanceId, NfType};
use tern_sbi::nnrf_nfm::NfProfile;

use crate::selection;

/// NF instances that are remembered.
const KNOWN_MAX: usize = 1024;
/// Losses that wait to be heard of; the oldest goes first.
const LOSSES_MAX: usize = 1024;

/// A producer whose contexts are gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostProducer {
    /// What it is.
    pub nf_type: NfType,
    /// Where its contexts were.
    pub api_roots: Vec<String>,
}

/// What is known of producers, and what became of them.
#[derive(Debug, Default)]
pub(crate) struct Producers {
    known: BTreeMap<NfInstanceId, (Option<DateTime>, LostProducer)>,
    losses: VecDeque<LostProducer>,
}

impl Producers {
    /// A profile as the NRF has it now; says whether the producer has started again since.
    pub(crate) fn learn(&mut self, profile: &Arc<NfProfile>) -> bool {
        let mut api_roots: Vec<String> = profile
            .services()
            .flat_map(|service| selection::candidates(std::slice::from_ref(profile), &service.service_name))
            .map(|candidate| candidate.api_root)
            .collect();
        api_roots.sort_unstable();
        api_roots.dedup();
        let now = (profile.recovery_time, LostProducer { nf_type: profile.nf_type.clone(), api_roots });
        let id = profile.nf_instance_id;
        match self.known.get(&id) {
            // An answer that was under way may be older than a notification.
            Some((Some(before), _)) if profile.recovery_time.is_none_or(|time| time <= *before) => false,
            None if self.known.len() >= KNOWN_MAX => false,
            _ => {
                let before = self.known.insert(id, now);
                let lost = before.filter(|(time, _)| time.is_some()).map(|(_, producer)| producer);
                self.lost(lost)
            }
        }
    }

    /// The NRF has no such instance any more; says whether it was known.
    pub(crate) fn gone(&mut self, instance_uri: &str) -> bool {
        let id = instance_uri.rsplit('/').next().and_then(|id| id.parse().ok());
        let lost = id.and_then(|id: NfInstanceId| self.known.remove(&id)).map(|(_, producer)| producer);
        self.lost(lost)
    }

    pub(crate) fn next_loss(&mut self) -> Option<LostProducer> {
        self.losses.pop_front()
    }

    fn lost(&mut self, lost: Option<LostProducer>) -> bool {
        let Some(lost) = lost.filter(|producer| !producer.api_roots.is_empty()) else { return false };
        if self.losses.len() >= LOSSES_MAX {
            self.losses.pop_front();
        }
        self.losses.push_back(lost);
        true
    }
}

#[cfg(test)]
mod tests {
    use tern_sbi::common::ServiceName;
    use tern_types::Instant;

    use super::*;
    use crate::profile::ProfileSeed;

    fn smf(started_s: u64) -> Arc<NfProfile> {
        let seed = ProfileSeed::new(NfType::Smf, vec![ServiceName::NsmfPdusession]);
        let started = Instant::from_micros(started_s * 1_000_000);
        Arc::new(seed.profile(uuid::Uuid::from_u128(7), "http://127.0.0.17:8080", started, None))
    }

    #[test]
    fn when_a_producer_has_a_later_recovery_time_then_its_contexts_are_lost_once() {
        let mut producers = Producers::default();
        assert!(!producers.learn(&smf(10)));
        assert!(!producers.learn(&smf(10)));
        assert!(producers.learn(&smf(11)));
        assert!(!producers.learn(&smf(10)), "an older profile is late");
        let lost =
            LostProducer { nf_type: NfType::Smf, api_roots: vec!["http://127.0.0.17:8080".to_owned()] };
        assert_eq!((producers.next_loss(), producers.next_loss()), (Some(lost), None));
    }

    #[test]
    fn when_a_producer_has_deregistered_then_its_contexts_are_lost_if_it_was_known() {
        let mut producers = Producers::default();
        let uri = format!("http://127.0.0.10:8080/nnrf-nfm/v1/nf-instances/{}", uuid::Uuid::from_u128(7));
        assert!(!producers.gone(&uri));
        producers.learn(&smf(10));
        assert!(producers.gone(&uri));
        assert!(!producers.gone(&uri));
        assert!(!producers.learn(&smf(20)), "it is a new one");
    }
}
