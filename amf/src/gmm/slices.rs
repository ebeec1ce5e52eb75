//! Which slices a UE may use: TS 24.501 §5.5.1.2.4, TS 23.501 §5.15.5.2.1.

use tern_types::Snssai;

use crate::Amf;
use crate::ue::{Subscription, UeContext};

/// S-NSSAIs in an allowed NSSAI (TS 24.501 §9.11.3.37).
pub const ALLOWED_MAX: usize = 8;

/// Why a requested slice is rejected (TS 24.501 §9.11.3.46).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SliceRejection {
    /// Not available in the current PLMN.
    Plmn,
    /// Not available in the current registration area.
    RegistrationArea,
}

/// The outcome for a UE.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Slices {
    /// Allowed NSSAI; empty if the UE cannot be served.
    pub allowed: Vec<Snssai>,
    /// Rejected NSSAI.
    pub rejected: Vec<(SliceRejection, Snssai)>,
}

/// Selects among the requested slices those that are subscribed and served here. No requested
/// NSSAI, or none of it allowed, means the default subscribed ones.
pub(crate) fn select(
    subscription: &Subscription,
    requested: Option<&[Snssai]>,
    served: impl Fn(Snssai) -> bool,
) -> Slices {
    let mut slices = Slices::default();
    for &slice in requested.unwrap_or_default() {
        if !subscription.has_slice(slice) {
            slices.rejected.push((SliceRejection::Plmn, slice));
        } else if !served(slice) {
            slices.rejected.push((SliceRejection::RegistrationArea, slice));
        } else if !slices.allowed.contains(&slice) {
            slices.allowed.push(slice);
        }
    }
    if slices.allowed.is_empty() {
        slices.allowed = subscription.default_slices.iter().copied().filter(|&s| served(s)).collect();
    }
    slices.allowed.truncate(ALLOWED_MAX);
    slices.rejected.truncate(ALLOWED_MAX);
    slices
}

/// The same for a UE where it is: what this AMF and its gNB serve there.
pub(crate) fn served(ue: &UeContext, amf: &Amf, requested: Option<&[Snssai]>) -> Slices {
    let (Some(subscription), Some(location)) = (&ue.subscription, ue.location) else {
        return Slices::default();
    };
    let gnb = ue.n2.as_ref().and_then(|n2| amf.gnbs.get(&n2.gnb));
    let served = |slice| {
        amf.config.slices(location.tai).any(|s| s == slice)
            && gnb.is_none_or(|gnb| gnb.slices(location.tai).any(|s| s == slice))
    };
    select(subscription, requested, served)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(sst: u8) -> Snssai {
        Snssai::new(sst, None)
    }

    fn subscription() -> Subscription {
        Subscription { default_slices: vec![slice(1)], slices: vec![slice(2)], ..Subscription::default() }
    }

    #[test]
    fn when_nothing_is_requested_then_the_default_slices_are_allowed() {
        let slices = select(&subscription(), None, |_| true);
        assert_eq!(slices, Slices { allowed: vec![slice(1)], rejected: vec![] });
    }

    #[test]
    fn when_a_slice_is_not_subscribed_then_it_is_rejected_and_the_default_taken() {
        let slices = select(&subscription(), Some(&[slice(9)]), |_| true);
        assert_eq!(slices.allowed, [slice(1)]);
        assert_eq!(slices.rejected, [(SliceRejection::Plmn, slice(9))]);
    }

    #[test]
    fn when_no_slice_is_served_here_then_none_is_allowed() {
        let slices = select(&subscription(), Some(&[slice(2)]), |_| false);
        assert!(slices.allowed.is_empty());
        assert_eq!(slices.rejected, [(SliceRejection::RegistrationArea, slice(2))]);
    }
}
