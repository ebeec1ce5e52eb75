//! Binding of PCC rules to QoS flows (TS 23.503 §6.1.3.2.4), and what a later decision makes of it.

use tern_types::{Ambr, Arp, Qfi};

use crate::qos::{DEFAULT_QFI, FlowFilter, QosFlow, ServiceRule};

/// Highest QFI (TS 24.501 §9.11.4.12).
const QFI_MAX: u8 = 63;
/// Highest number of a service rule: the QoS rule identifier is one more (TS 24.501 §9.11.4.13).
const RULE_NUMBER_MAX: u8 = 254;
/// A QoS rule precedence that no rule of the network has (TS 24.501 §9.11.4.13).
const RESERVED_PRECEDENCE: u8 = 80;

/// What a PCC rule asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// PCC rule identity.
    pub name: String,
    /// Lower values are looked at first.
    pub precedence: u32,
    /// 5QI of its flow.
    pub five_qi: u8,
    /// ARP of its flow.
    pub arp: Arp,
    /// 1 to [`FILTERS_PER_RULE_MAX`].
    pub filters: Vec<FlowFilter>,
    /// Maximum bit rate.
    pub mbr: Option<Ambr>,
    /// Guaranteed bit rate.
    pub gbr: Option<Ambr>,
    /// Uplink packets pass.
    pub uplink_open: bool,
    /// Downlink packets pass.
    pub downlink_open: bool,
}

/// Binds services, in their order, to QoS flows (TS 23.503 §6.1.3.2.4): one flow for each 5QI and ARP, the
/// default flow first. What was bound `before` keeps its identities. Services beyond the QFIs that there are
/// stay in the default flow; those beyond the numbers of rules are not enforced.
pub fn bind(default: (u8, Arp), services: Vec<Service>, before: &[QosFlow]) -> Vec<QosFlow> {
    let default_qfi = before.first().map_or(DEFAULT_QFI, |flow| flow.qfi);
    let known: Vec<(&QosFlow, &ServiceRule)> =
        before.iter().flat_map(|flow| flow.rules.iter().map(move |rule| (flow, rule))).collect();
    let same = |service: &Service| known.iter().find(|(_, rule)| rule.name == service.name);
    let kept: Vec<Option<u8>> =
        services.iter().map(|s| same(s).map(|(_, rule)| rule.nas_precedence)).collect();
    let precedences = nas_precedences(&services, &kept);
    let named = |number: &u8| services.iter().filter_map(&same).any(|(_, rule)| rule.number == *number);
    let mut free: Vec<u8> = (1..=RULE_NUMBER_MAX).rev().filter(|number| !named(number)).collect();
    let mut flows = vec![QosFlow { qfi: default_qfi, five_qi: default.0, arp: default.1, rules: Vec::new() }];
    for (service, nas_precedence) in services.iter().zip(precedences) {
        let number = same(service).map(|(_, rule)| rule.number).or_else(|| free.pop());
        let (Some(number), Some(nas_precedence)) = (number, nas_precedence) else {
            tracing::warn!(rule = service.name, "PCC rule not enforced: no number is left");
            continue;
        };
        let at = flow_of(&mut flows, service, before);
        flows[at].rules.push(ServiceRule {
            number,
            nas_precedence,
            name: service.name.clone(),
            precedence: service.precedence,
            filters: service.filters.clone(),
            mbr: service.mbr,
            gbr: service.gbr,
            uplink_open: service.uplink_open,
            downlink_open: service.downlink_open,
        });
    }
    flows
}

/// The flow of a service: one that there is, one as before, or a new one.
fn flow_of(flows: &mut Vec<QosFlow>, service: &Service, before: &[QosFlow]) -> usize {
    let fits = |flow: &QosFlow| {
        // A guaranteed rate has a flow of its own kind.
        let kind = flow.rules.first().is_none_or(|rule| rule.gbr.is_some() == service.gbr.is_some());
        flow.five_qi == service.five_qi && flow.arp == service.arp && kind
    };
    let default_fits = fits(&flows[0]) && service.gbr.is_none();
    if default_fits {
        return 0;
    }
    if let Some(at) = flows.iter().skip(1).position(&fits) {
        return at + 1;
    }
    let taken = |qfi: Qfi, flows: &[QosFlow]| flows.iter().any(|flow| flow.qfi == qfi);
    let earlier = before.iter().skip(1).find(|flow| fits(flow) && !taken(flow.qfi, flows));
    // Not one that a service still to be bound has.
    let any = || (1..=QFI_MAX).filter_map(Qfi::new).find(|&qfi| !taken(qfi, flows) && !taken(qfi, before));
    let qfi = earlier.map(|flow| flow.qfi).or_else(any);
    let Some(qfi) = qfi else { return 0 };
    flows.push(QosFlow { qfi, five_qi: service.five_qi, arp: service.arp, rules: Vec::new() });
    flows.len() - 1
}

/// QoS rule precedences of services in their order (TS 24.501 §9.11.4.13): those kept stay where the order
/// allows it, new ones are as near to the service's own as there is room.
fn nas_precedences(services: &[Service], kept: &[Option<u8>]) -> Vec<Option<u8>> {
    const LAST: u8 = u8::MAX - 1;
    let mut precedences = Vec::with_capacity(services.len());
    let mut floor = 0u8;
    for (index, service) in services.iter().enumerate() {
        let stays = kept[index].filter(|&precedence| precedence > floor);
        let precedence = stays.or_else(|| {
            let later = kept[index + 1..].iter().flatten().filter(|&&later| later > floor).min();
            let room = later.map_or(LAST, |later| later - 1);
            // As many further ones may follow.
            let behind = u8::try_from(services.len() - index - 1).unwrap_or(u8::MAX);
            let ceiling = room.min(LAST.saturating_sub(behind));
            let lowest = floor.checked_add(1).filter(|&lowest| lowest <= LAST)?;
            let wanted = u8::try_from(service.precedence).unwrap_or(LAST);
            let precedence = wanted.clamp(lowest, ceiling.max(lowest));
            // Reserved for derived rules.
            Some(if precedence == RESERVED_PRECEDENCE { precedence + 1 } else { precedence })
        });
        floor = precedence.unwrap_or(floor);
        precedences.push(precedence);
    }
    precedences
}

/// What becomes of the flows and rules of a session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FlowChanges {
    /// Flows that there were not.
    pub new_flows: Vec<QosFlow>,
    /// Flows of which 5QI, ARP or bit rates change.
    pub changed_flows: Vec<QosFlow>,
    /// Flows that there are no longer.
    pub gone_flows: Vec<Qfi>,
    /// Rules that there were not.
    pub new_rules: Vec<(Qfi, ServiceRule)>,
    /// Rules that are another from now on, before and after.
    pub changed_rules: Vec<((Qfi, ServiceRule), (Qfi, ServiceRule))>,
    /// Numbers of rules that there are no longer.
    pub gone_rules: Vec<u8>,
}

impl FlowChanges {
    /// From `before` to `after`.
    pub fn between(before: &[QosFlow], after: &[QosFlow]) -> Self {
        let mut changes = Self::default();
        let rules = |flows: &[QosFlow]| -> Vec<(Qfi, ServiceRule)> {
            flows.iter().flat_map(|flow| flow.rules.iter().map(|rule| (flow.qfi, rule.clone()))).collect()
        };
        for flow in after {
            match before.iter().find(|old| old.qfi == flow.qfi) {
                None => changes.new_flows.push(flow.clone()),
                Some(old) if old.parameters() != flow.parameters() => {
                    changes.changed_flows.push(flow.clone())
                }
                Some(_) => {}
            }
        }
        let gone = before.iter().filter(|old| !after.iter().any(|flow| flow.qfi == old.qfi));
        changes.gone_flows = gone.map(|flow| flow.qfi).collect();
        let (old, new) = (rules(before), rules(after));
        for rule in &new {
            match old.iter().find(|(_, old)| old.number == rule.1.number) {
                None => changes.new_rules.push(rule.clone()),
                Some(old) if old != rule => changes.changed_rules.push((old.clone(), rule.clone())),
                Some(_) => {}
            }
        }
        let gone = old.iter().filter(|(_, old)| !new.iter().any(|(_, rule)| rule.number == old.number));
        changes.gone_rules = gone.map(|(_, rule)| rule.number).collect();
        changes
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The same without these flows, which the access network has refused: it has them not, or as they were.
    pub fn without(&self, refused: &[Qfi]) -> Self {
        let mut changes = self.clone();
        changes.new_flows.retain(|flow| !refused.contains(&flow.qfi));
        changes.changed_flows.retain(|flow| !refused.contains(&flow.qfi));
        changes.gone_flows.retain(|qfi| !refused.contains(qfi));
        changes
    }

    /// Whether flows change, which the access network knows.
    pub fn has_flows(&self) -> bool {
        !(self.new_flows.is_empty() && self.changed_flows.is_empty() && self.gone_flows.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use tern_types::BitRate;

    use super::*;
    use crate::qos::DEFAULT_QOS;

    fn service(name: &str, precedence: u32, five_qi: u8) -> Service {
        Service {
            name: name.to_owned(),
            precedence,
            five_qi,
            arp: DEFAULT_QOS.1,
            filters: vec!["permit out ip from any to assigned".parse().unwrap()],
            mbr: None,
            gbr: None,
            uplink_open: true,
            downlink_open: true,
        }
    }

    fn guaranteed(name: &str, precedence: u32, mbps: u64) -> Service {
        let rate = BitRate::from_bps(mbps * 1_000_000);
        let gbr = Some(Ambr { uplink: rate, downlink: rate });
        Service { gbr, mbr: gbr, ..service(name, precedence, 1) }
    }

    fn seen(flows: &[QosFlow]) -> Vec<(u8, u8, Vec<u8>)> {
        let numbers = |flow: &QosFlow| flow.rules.iter().map(|rule| rule.number).collect();
        flows.iter().map(|flow| (flow.qfi.get(), flow.five_qi, numbers(flow))).collect()
    }

    #[test]
    fn rules_with_the_same_5qi_and_arp_share_a_flow() {
        let flows = bind(DEFAULT_QOS, vec![service("a", 1, 9), service("b", 2, 5), service("c", 3, 5)], &[]);
        assert_eq!(seen(&flows), [(1, 9, vec![1]), (2, 5, vec![2, 3])]);
    }

    #[test]
    fn guaranteed_rates_of_a_flow_are_the_sum_of_its_rules() {
        let flows =
            bind(DEFAULT_QOS, vec![guaranteed("a", 1, 2), guaranteed("b", 2, 3), service("c", 3, 1)], &[]);
        assert_eq!(seen(&flows), [(1, 9, vec![]), (2, 1, vec![1, 2]), (3, 1, vec![3])]);
        assert_eq!(flows[1].gbr().unwrap().guaranteed.uplink.bps(), 5_000_000);
        assert_eq!((flows[0].gbr(), flows[2].gbr()), (None, None));
    }

    #[test]
    fn when_a_rule_comes_between_two_then_those_keep_their_identities() {
        let before = bind(DEFAULT_QOS, vec![service("a", 10, 9), service("c", 30, 5)], &[]);
        let services = vec![service("a", 10, 9), service("b", 20, 7), service("c", 30, 5)];
        let after = bind(DEFAULT_QOS, services, &before);
        assert_eq!(seen(&after), [(1, 9, vec![1]), (3, 7, vec![3]), (2, 5, vec![2])]);
        let changes = FlowChanges::between(&before, &after);
        assert_eq!((changes.new_flows.len(), changes.new_rules.len()), (1, 1));
        assert!(changes.changed_rules.is_empty() && changes.gone_rules.is_empty());
        let precedences: Vec<u8> =
            after.iter().flat_map(|flow| &flow.rules).map(|rule| rule.nas_precedence).collect();
        assert_eq!(precedences, [10, 20, 30]);
        // And when it goes, it goes alone.
        let changes = FlowChanges::between(&after, &before);
        assert_eq!((changes.gone_rules, changes.gone_flows.len()), (vec![3], 1));
        assert!(changes.changed_rules.is_empty());
    }

    #[test]
    fn when_there_is_no_room_between_two_then_the_later_one_moves() {
        let before = bind(DEFAULT_QOS, vec![service("a", 10, 9), service("c", 11, 9)], &[]);
        let services = vec![service("a", 10, 9), service("b", 10, 9), service("c", 11, 9)];
        let after = bind(DEFAULT_QOS, services, &before);
        let precedences: Vec<u8> = after[0].rules.iter().map(|rule| rule.nas_precedence).collect();
        assert_eq!(precedences, [10, 11, 12]);
        assert_eq!(FlowChanges::between(&before, &after).changed_rules.len(), 1);
    }

    #[test]
    fn the_reserved_precedence_is_no_rules() {
        let flows = bind(DEFAULT_QOS, vec![service("a", 80, 9), service("b", 9000, 9)], &[]);
        let precedences: Vec<u8> = flows[0].rules.iter().map(|rule| rule.nas_precedence).collect();
        assert_eq!(precedences, [81, 254]);
    }
}
