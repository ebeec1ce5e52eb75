//! The NF instances and their heartbeats: TS 29.510 §5.2.2.2 to §5.2.2.4. No I/O.

use std::collections::BTreeMap;

use tern_nf::patch;
use tern_sbi::ProblemDetails;
use tern_sbi::common::{NfInstanceId, NfType, PatchItem, PatchOperation};
use tern_sbi::nnrf_nfm::{NfProfile, NfStatus};
use tern_types::{Duration, Instant};

/// What a registry allows.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// NF instances registered at the same time.
    pub instances_max: usize,
    /// Seconds between heartbeats.
    pub heartbeat_seconds: u32,
    /// Silence after which an NF is suspended.
    pub suspend_after: Duration,
    /// Silence after which it is removed.
    pub remove_after: Duration,
}

/// What happened to an NF instance, with its profile as it is now, or was.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// It is new.
    Registered(Box<NfProfile>),
    /// It is another.
    Changed(Box<NfProfile>),
    /// It is gone.
    Deregistered(Box<NfProfile>),
}

impl Change {
    /// Its profile.
    pub fn profile(&self) -> &NfProfile {
        match self {
            Self::Registered(profile) | Self::Changed(profile) | Self::Deregistered(profile) => profile,
        }
    }
}

/// The outcome of an update.
#[derive(Debug, PartialEq)]
pub struct Updated {
    /// The profile, if the update was more than a heartbeat.
    pub profile: Option<NfProfile>,
    /// What others are told.
    pub change: Option<Change>,
}

/// The NF instances.
#[derive(Debug)]
pub struct Registry {
    limits: Limits,
    instances: BTreeMap<NfInstanceId, Registered>,
}

#[derive(Debug)]
struct Registered {
    profile: NfProfile,
    heard: Instant,
}

impl Registry {
    /// None yet.
    pub fn new(limits: Limits) -> Self {
        Self { limits, instances: BTreeMap::new() }
    }

    /// Takes back an instance known before a restart, which gets the time of one silence to
    /// show that it lives.
    pub fn restore(&mut self, now: Instant, profile: NfProfile) {
        if self.instances.len() < self.limits.instances_max {
            self.instances.insert(profile.nf_instance_id, Registered { profile, heard: now });
        }
    }

    /// NFRegister: the profile as it is kept, and what others are told. A new instance is
    /// [`Change::Registered`], a known one [`Change::Changed`].
    pub fn register(
        &mut self,
        now: Instant,
        id: NfInstanceId,
        mut profile: NfProfile,
    ) -> Result<Change, ProblemDetails> {
        check(id, &profile)?;
        profile.heart_beat_timer = Some(self.limits.heartbeat_seconds);
        let known = self.instances.contains_key(&id);
        if !known && self.instances.len() >= self.limits.instances_max {
            let problem = ProblemDetails::new(500, "INSUFFICIENT_RESOURCES");
            return Err(problem.with_detail("no more NF instances are allowed"));
        }
        self.instances.insert(id, Registered { profile: profile.clone(), heard: now });
        let profile = Box::new(profile);
        Ok(if known { Change::Changed(profile) } else { Change::Registered(profile) })
    }

    /// NFUpdate, of which the heartbeat is a special case.
    pub fn update(
        &mut self,
        now: Instant,
        id: NfInstanceId,
        items: &[PatchItem],
    ) -> Result<Updated, ProblemDetails> {
        let instance = self.instances.get_mut(&id).ok_or_else(not_found)?;
        let mut json = serde_json::to_value(&instance.profile).expect("invariant: profiles are plain JSON");
        if instance.profile.nf_status == NfStatus::Suspended {
            // Whoever speaks lives again.
            json["nfStatus"] = NfStatus::Registered.as_str().into();
        }
        patch::apply(&mut json, items)?;
        let mut profile: NfProfile = serde_json::from_value(json)
            .map_err(|error| ProblemDetails::invalid("MANDATORY_IE_INCORRECT", "", error))?;
        check(id, &profile)?;
        if profile.nf_type != instance.profile.nf_type {
            let problem = ProblemDetails::new(403, "MODIFICATION_NOT_ALLOWED");
            return Err(problem.with_detail("an instance keeps its nfType"));
        }
        profile.heart_beat_timer = Some(self.limits.heartbeat_seconds);
        instance.heard = now;
        let status_changed = profile.nf_status != instance.profile.nf_status;
        let heartbeat = items.iter().all(is_heartbeat);
        instance.profile = profile;
        let changed =
            (status_changed || !heartbeat).then(|| Change::Changed(Box::new(instance.profile.clone())));
        Ok(Updated { profile: (!heartbeat).then(|| instance.profile.clone()), change: changed })
    }

    /// NFDeregister.
    pub fn deregister(&mut self, id: NfInstanceId) -> Result<Change, ProblemDetails> {
        let instance = self.instances.remove(&id).ok_or_else(not_found)?;
        Ok(Change::Deregistered(Box::new(instance.profile)))
    }

    /// One profile.
    pub fn get(&self, id: NfInstanceId) -> Result<&NfProfile, ProblemDetails> {
        self.instances.get(&id).map(|instance| &instance.profile).ok_or_else(not_found)
    }

    /// All profiles, by their identity.
    pub fn profiles(&self) -> impl Iterator<Item = &NfProfile> {
        self.instances.values().map(|instance| &instance.profile)
    }

    /// Instances of a type, or of all.
    pub fn count(&self, nf_type: Option<&NfType>) -> usize {
        self.profiles().filter(|profile| nf_type.is_none_or(|t| profile.nf_type == *t)).count()
    }

    /// Suspends and removes those that were silent for too long.
    pub fn sweep(&mut self, now: Instant) -> Vec<Change> {
        let mut changes = Vec::new();
        let limits = self.limits;
        self.instances.retain(|_, instance| {
            let silence = now.since(instance.heard);
            if silence >= limits.remove_after {
                changes.push(Change::Deregistered(Box::new(instance.profile.clone())));
                return false;
            }
            if silence >= limits.suspend_after && instance.profile.nf_status != NfStatus::Suspended {
                instance.profile.nf_status = NfStatus::Suspended;
                changes.push(Change::Changed(Box::new(instance.profile.clone())));
            }
            true
        });
        changes
    }
}

/// What a profile must say, whoever wrote it.
fn check(id: NfInstanceId, profile: &NfProfile) -> Result<(), ProblemDetails> {
    if profile.nf_instance_id != id {
        let reason = "not the nfInstanceID of the path";
        return Err(ProblemDetails::invalid("MANDATORY_IE_INCORRECT", "/nfInstanceId", reason));
    }
    // The NRF alone suspends (TS 29.510 §6.1.6.3.7).
    if !matches!(profile.nf_status, NfStatus::Registered | NfStatus::Undiscoverable) {
        let reason = "REGISTERED or UNDISCOVERABLE";
        return Err(ProblemDetails::invalid("MANDATORY_IE_INCORRECT", "/nfStatus", reason));
    }
    if profile.fqdn.is_none() && profile.ipv4_addresses.is_empty() && profile.ipv6_addresses.is_empty() {
        let reason = "fqdn, ipv4Addresses or ipv6Addresses";
        return Err(ProblemDetails::invalid("MANDATORY_IE_MISSING", "/ipv4Addresses", reason));
    }
    let octets = serde_json::to_vec(profile).map_or(usize::MAX, |json| json.len());
    if octets > patch::RESOURCE_MAX { Err(patch::too_large()) } else { Ok(()) }
}

/// Nothing but the status and the load.
fn is_heartbeat(item: &PatchItem) -> bool {
    item.op == PatchOperation::Replace
        && matches!(item.path.as_str(), "/nfStatus" | "/load" | "/loadTimeStamp" | "/heartBeatTimer")
}

fn not_found() -> ProblemDetails {
    ProblemDetails::new(404, "RESOURCE_NOT_FOUND").with_detail("no such NF instance")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ID: NfInstanceId = NfInstanceId::from_u128(7);

    fn registry() -> Registry {
        Registry::new(Limits {
            instances_max: 2,
            heartbeat_seconds: 10,
            suspend_after: Duration::from_secs(35),
            remove_after: Duration::from_secs(100),
        })
    }

    fn profile(id: NfInstanceId) -> NfProfile {
        NfProfile {
            ipv4_addresses: vec!["127.0.0.1".parse().unwrap()],
            ..NfProfile::new(id, NfType::Ausf, NfStatus::Registered)
        }
    }

    fn at(seconds: u64) -> Instant {
        Instant::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn when_heartbeats_are_missed_then_the_instance_is_suspended_and_removed() {
        let mut registry = registry();
        registry.register(at(0), ID, profile(ID)).unwrap();
        assert!(registry.sweep(at(34)).is_empty());
        let changes = registry.sweep(at(35));
        assert_eq!(changes[0].profile().nf_status, NfStatus::Suspended);
        assert!(registry.sweep(at(36)).is_empty());
        // A heartbeat brings it back.
        let beat = [PatchItem::replace("/nfStatus", json!("REGISTERED"))];
        let updated = registry.update(at(40), ID, &beat).unwrap();
        assert!(matches!(updated.change, Some(Change::Changed(p)) if p.nf_status == NfStatus::Registered));
        assert_eq!(registry.update(at(41), ID, &beat), Ok(Updated { profile: None, change: None }));
        assert!(matches!(registry.sweep(at(141))[..], [Change::Deregistered(_)]));
        assert_eq!(registry.update(at(142), ID, &beat).unwrap_err().status, Some(404));
    }

    #[test]
    fn when_a_profile_is_patched_then_it_is_told_and_identity_stays() {
        let mut registry = registry();
        registry.register(at(0), ID, profile(ID)).unwrap();
        let updated = registry.update(at(1), ID, &[PatchItem::replace("/priority", json!(3))]).unwrap();
        assert_eq!(updated.profile.unwrap().priority, Some(3));
        for (path, value, status) in [
            ("/nfType", json!("UDM"), 403),
            ("/nfInstanceId", json!(NfInstanceId::nil()), 400),
            ("/priority", json!("x"), 400),
            ("/nfStatus", json!("SUSPENDED"), 400),
        ] {
            let error = registry.update(at(1), ID, &[PatchItem::replace(path, value)]).unwrap_err();
            assert_eq!(error.status, Some(status), "{path}");
        }
        assert_eq!(registry.get(ID).unwrap().priority, Some(3));
    }

    #[test]
    fn when_the_table_is_full_then_only_known_instances_register() {
        let mut registry = registry();
        let other = NfInstanceId::from_u128(8);
        registry.register(at(0), ID, profile(ID)).unwrap();
        assert!(matches!(registry.register(at(0), other, profile(other)), Ok(Change::Registered(_))));
        let third = NfInstanceId::from_u128(9);
        let refused = registry.register(at(0), third, profile(third)).unwrap_err();
        assert_eq!(refused.cause.as_deref(), Some("INSUFFICIENT_RESOURCES"));
        assert!(matches!(registry.register(at(0), ID, profile(ID)), Ok(Change::Changed(_))));
        let large = NfProfile { locality: Some("x".repeat(70_000)), ..profile(ID) };
        assert_eq!(registry.register(at(0), ID, large).unwrap_err().status, Some(413));
    }
}
