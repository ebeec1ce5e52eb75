//! Who is told of which changes: TS 29.510 §5.2.2.5, §5.2.2.6. No I/O.

use std::collections::BTreeMap;

use tern_sbi::common::{DateTime, PatchItem, PatchOperation};
use tern_sbi::nnrf_nfm::{
    NfProfile, NotificationData, NotificationEventType, StatusNotify, SubscrCond, SubscriptionData,
};
use tern_sbi::{Location, ProblemDetails};
use tern_types::{Duration, Instant};

use crate::registry::Change;

/// Octets of a notification URI.
const URI_MAX: usize = 2048;

/// The subscriptions.
#[derive(Debug)]
pub struct Subscriptions {
    count_max: usize,
    validity_max: Duration,
    by_id: BTreeMap<String, SubscriptionData>,
}

/// A notification to send.
#[derive(Debug, Clone, PartialEq)]
pub struct Notification {
    /// The subscription it is sent for.
    pub subscription_id: String,
    /// apiRoot of the subscriber.
    pub api_root: String,
    /// What is sent.
    pub notify: StatusNotify,
}

impl Subscriptions {
    /// None yet.
    pub fn new(count_max: usize, validity_max: Duration) -> Self {
        Self { count_max, validity_max, by_id: BTreeMap::new() }
    }

    /// Takes back a subscription known before a restart.
    pub fn restore(&mut self, data: SubscriptionData) {
        if let Some(id) = data.subscription_id.clone()
            && self.by_id.len() < self.count_max
        {
            self.by_id.insert(id, data);
        }
    }

    /// NFStatusSubscribe: the subscription as it is kept. One that is there already, with the
    /// same URI, condition and requester, keeps its identity; a new one gets `id`.
    pub fn create(
        &mut self,
        now: Instant,
        id: String,
        mut data: SubscriptionData,
    ) -> Result<SubscriptionData, ProblemDetails> {
        let uri = &data.nf_status_notification_uri;
        if uri.len() > URI_MAX || Location::parse(uri).is_none() {
            let param = "/nfStatusNotificationUri";
            return Err(ProblemDetails::invalid("MANDATORY_IE_INCORRECT", param, "an absolute http URI"));
        }
        let same = self.by_id.iter().find(|(_, there)| {
            there.nf_status_notification_uri == data.nf_status_notification_uri
                && there.subscr_cond == data.subscr_cond
                && there.req_nf_instance_id == data.req_nf_instance_id
        });
        let id = match same {
            Some((id, _)) => id.clone(),
            None if self.by_id.len() >= self.count_max => {
                let problem = ProblemDetails::new(500, "INSUFFICIENT_RESOURCES");
                return Err(problem.with_detail("no more subscriptions are allowed"));
            }
            None => id,
        };
        data.subscription_id = Some(id.clone());
        data.validity_time = Some(self.validity(now, data.validity_time));
        self.by_id.insert(id, data.clone());
        Ok(data)
    }

    /// The update of a subscription: its validity alone can change (TS 29.510 §5.2.2.5.6).
    pub fn update(
        &mut self,
        now: Instant,
        id: &str,
        items: &[PatchItem],
    ) -> Result<SubscriptionData, ProblemDetails> {
        let wrong = |path: &str, reason| ProblemDetails::invalid("MANDATORY_IE_INCORRECT", path, reason);
        let [item] = items else { return Err(wrong("", "one operation, on /validityTime")) };
        if item.path != "/validityTime" || !matches!(item.op, PatchOperation::Replace | PatchOperation::Add) {
            return Err(wrong(&item.path, "only /validityTime can be replaced"));
        }
        let text = item.value.as_ref().and_then(|value| value.as_str());
        let asked = text.and_then(|text| text.parse::<DateTime>().ok());
        let asked = asked.ok_or_else(|| wrong(&item.path, "a date and time"))?;
        let validity = self.validity(now, Some(asked));
        let data = self.by_id.get_mut(id).ok_or_else(not_found)?;
        data.validity_time = Some(validity);
        Ok(data.clone())
    }

    /// NFStatusUnsubscribe.
    pub fn remove(&mut self, id: &str) -> Result<(), ProblemDetails> {
        self.by_id.remove(id).map(|_| ()).ok_or_else(not_found)
    }

    /// Removes what is no longer valid; their identities.
    pub fn sweep(&mut self, now: Instant) -> Vec<String> {
        let ended = |data: &SubscriptionData| data.validity_time.is_some_and(|time| time.0 <= now);
        let ids: Vec<String> =
            self.by_id.iter().filter(|(_, data)| ended(data)).map(|(id, _)| id.clone()).collect();
        for id in &ids {
            self.by_id.remove(id);
        }
        ids
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.by_id.len()
    }

    /// Who is told of `change`; the instance's resource is below `api_root`.
    pub fn notifications(&self, now: Instant, api_root: &str, change: &Change) -> Vec<Notification> {
        let profile = change.profile();
        let (event, told) = match change {
            Change::Registered(_) => (NotificationEventType::NfRegistered, Some(profile.clone())),
            Change::Changed(_) => (NotificationEventType::NfProfileChanged, Some(profile.clone())),
            Change::Deregistered(_) => (NotificationEventType::NfDeregistered, None),
        };
        let uri = format!("{api_root}/nnrf-nfm/v1/nf-instances/{}", profile.nf_instance_id);
        let notification = NotificationData { nf_profile: told, ..NotificationData::new(event.clone(), uri) };
        let wanted = |data: &SubscriptionData| {
            data.validity_time.is_none_or(|time| time.0 > now)
                && (data.req_notif_events.is_empty() || data.req_notif_events.contains(&event))
                && data.req_nf_instance_id != Some(profile.nf_instance_id)
                && data.subscr_cond.as_ref().is_none_or(|condition| holds(condition, profile))
        };
        self.by_id
            .iter()
            .filter(|(_, data)| wanted(data))
            .filter_map(|(id, data)| {
                let to = Location::parse(&data.nf_status_notification_uri)?;
                let notify = StatusNotify { path: to.path, notification: notification.clone() };
                Some(Notification { subscription_id: id.clone(), api_root: to.api_root, notify })
            })
            .collect()
    }

    fn validity(&self, now: Instant, asked: Option<DateTime>) -> DateTime {
        let latest = now + self.validity_max;
        asked.filter(|time| time.0 > now && time.0 < latest).unwrap_or(DateTime(latest))
    }
}

fn holds(condition: &SubscrCond, profile: &NfProfile) -> bool {
    let amf = profile.amf_info.as_ref();
    match condition {
        SubscrCond::NfInstanceId { nf_instance_id } => profile.nf_instance_id == *nf_instance_id,
        SubscrCond::NfInstanceIdList { nf_instance_id_list } => {
            nf_instance_id_list.contains(&profile.nf_instance_id)
        }
        SubscrCond::NfType { nf_type } => profile.nf_type == *nf_type,
        SubscrCond::ServiceName { service_name } => {
            profile.services().any(|service| service.service_name == *service_name)
        }
        SubscrCond::GuamiList { guami_list } => {
            amf.is_some_and(|amf| amf.guami_list.iter().any(|guami| guami_list.contains(guami)))
        }
        SubscrCond::Amf { amf_set_id, amf_region_id } => amf.is_some_and(|amf| {
            amf_set_id.as_ref().is_none_or(|set| amf.amf_set_id.eq_ignore_ascii_case(set))
                && amf_region_id.as_ref().is_none_or(|region| amf.amf_region_id.eq_ignore_ascii_case(region))
        }),
    }
}

fn not_found() -> ProblemDetails {
    ProblemDetails::new(404, "SUBSCRIPTION_NOT_FOUND").with_detail("no such subscription")
}

#[cfg(test)]
mod tests {
    use tern_sbi::common::{NfInstanceId, NfType};
    use tern_sbi::nnrf_nfm::NfStatus;

    use super::*;

    fn now() -> Instant {
        Instant::from_micros(1_000_000_000_000)
    }

    fn subscription(n: u16, nf_type: NfType) -> SubscriptionData {
        SubscriptionData {
            subscr_cond: Some(SubscrCond::NfType { nf_type }),
            ..SubscriptionData::new(format!("http://10.0.0.1:8080/callbacks/v1/nf-status/{n}"))
        }
    }

    fn change(nf_type: NfType) -> Change {
        let id = NfInstanceId::from_u128(1);
        Change::Registered(Box::new(NfProfile::new(id, nf_type, NfStatus::Registered)))
    }

    #[test]
    fn only_who_asked_for_the_type_is_told_and_only_while_valid() {
        let mut subscriptions = Subscriptions::new(8, Duration::from_secs(60));
        subscriptions.create(now(), "a".into(), subscription(1, NfType::Udm)).unwrap();
        let told = subscriptions.notifications(now(), "http://nrf", &change(NfType::Udm));
        assert_eq!(told[0].api_root, "http://10.0.0.1:8080");
        assert_eq!(told[0].notify.path, "/callbacks/v1/nf-status/1");
        let uri = format!("http://nrf/nnrf-nfm/v1/nf-instances/{}", NfInstanceId::from_u128(1));
        assert_eq!(told[0].notify.notification.nf_instance_uri, uri);
        assert!(subscriptions.notifications(now(), "http://nrf", &change(NfType::Udr)).is_empty());
        let later = now() + Duration::from_secs(60);
        assert!(subscriptions.notifications(later, "http://nrf", &change(NfType::Udm)).is_empty());
        assert_eq!(subscriptions.sweep(later), ["a"]);
    }

    #[test]
    fn the_same_subscription_twice_is_one_and_the_table_is_bounded() {
        let mut subscriptions = Subscriptions::new(1, Duration::from_secs(60));
        subscriptions.create(now(), "a".into(), subscription(1, NfType::Udm)).unwrap();
        let again = subscriptions.create(now(), "b".into(), subscription(1, NfType::Udm)).unwrap();
        assert_eq!(again.subscription_id.as_deref(), Some("a"));
        let full = subscriptions.create(now(), "c".into(), subscription(2, NfType::Udm)).unwrap_err();
        assert_eq!(full.cause.as_deref(), Some("INSUFFICIENT_RESOURCES"));
        let relative = SubscriptionData::new("/callback".into());
        assert_eq!(subscriptions.create(now(), "d".into(), relative).unwrap_err().status, Some(400));
    }

    #[test]
    fn validity_is_prolonged_up_to_the_limit() {
        let mut subscriptions = Subscriptions::new(1, Duration::from_secs(60));
        subscriptions.create(now(), "a".into(), subscription(1, NfType::Udm)).unwrap();
        let prolong = |to: Instant| [PatchItem::replace("/validityTime", DateTime(to).to_string().into())];
        let short = now() + Duration::from_secs(30);
        let data = subscriptions.update(now(), "a", &prolong(short)).unwrap();
        assert_eq!(data.validity_time, Some(DateTime(short)));
        let data = subscriptions.update(now(), "a", &prolong(now() + Duration::from_secs(3600))).unwrap();
        assert_eq!(data.validity_time, Some(DateTime(now() + Duration::from_secs(60))));
        assert_eq!(subscriptions.update(now(), "b", &prolong(short)).unwrap_err().status, Some(404));
        let wrong = [PatchItem::replace("/subscriptionId", "x".into())];
        assert_eq!(subscriptions.update(now(), "a", &wrong).unwrap_err().status, Some(400));
    }
}
