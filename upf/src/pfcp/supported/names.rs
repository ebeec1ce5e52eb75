//! Predefined rules and applications.

use tern_pfcp::*;
use tern_types::Duration;

use crate::config::{ApplicationConfig, Config, PredefinedAction, PredefinedRule, RatesKbps};
use crate::path::{DropReason, Verdict};
use crate::testing::*;

const TO_N6: Verdict = Verdict::ToNetwork(0);
const TO_GNB: Verdict = Verdict::ToAccess(GNB);
const CLOSED: Verdict = Verdict::Drop(DropReason::GateClosed);
const NO_RULE: Verdict = Verdict::Drop(DropReason::NoRule);

fn rule(name: &str) -> PredefinedRule {
    PredefinedRule {
        name: name.to_owned(),
        flows: Vec::new(),
        application: None,
        closed: false,
        qfi: None,
        mbr_kbps: None,
        action: None,
    }
}

fn names(config: &mut Config) {
    let dns = "permit out 17 from any 53 to assigned".to_owned();
    let chat = "permit out 17 from any 7000 to assigned".to_owned();
    config.predefined_rules = vec![
        PredefinedRule { flows: vec![dns.clone()], qfi: Some(5), ..rule("voice") },
        PredefinedRule { application: Some("chat".to_owned()), closed: true, ..rule("no-chat") },
        PredefinedRule { flows: vec![dns], action: Some(PredefinedAction::Forward), ..rule("dns") },
        PredefinedRule {
            mbr_kbps: Some(RatesKbps { uplink: 0, downlink: 0 }),
            action: Some(PredefinedAction::Drop),
            ..rule("nothing")
        },
    ];
    config.applications = vec![ApplicationConfig { id: "chat".to_owned(), flows: vec![chat] }];
    config.validate().expect("a sound configuration");
}

fn name(text: &str) -> PredefinedRulesName {
    PredefinedRulesName(text.as_bytes().to_vec())
}

fn to_ue(port: u16) -> Vec<u8> {
    udp(SERVER, UE, (port, 4000), 60)
}

/// TS 29.244 §5.19.
#[test]
fn when_a_predefined_rule_is_active_then_it_holds_beside_the_others_until_it_is_not() {
    let mut bench = Bench::with(names);
    let mut request = establishment();
    let mut pdr = downlink_pdr(3, 10, 2);
    pdr.qer_ids.clear();
    pdr.activate_predefined_rules = vec![name("voice"), name("no-chat")];
    request.create_pdr.push(pdr);
    let (seid, _) = bench.session_of(request);
    let qfi = |bench: &mut Bench, port| bench.downlink(&to_ue(port)).1[14];
    assert_eq!([qfi(&mut bench, 53), qfi(&mut bench, 54)], [5, 9]);
    assert_eq!(bench.downlink(&to_ue(7000)).0, CLOSED);
    let change = |activate: &[&str], deactivate: &[&str]| SessionModificationRequest {
        update_pdr: vec![UpdatePdr {
            pdr_id: PdrId(3),
            activate_predefined_rules: activate.iter().map(|text| name(text)).collect(),
            deactivate_predefined_rules: deactivate.iter().map(|text| name(text)).collect(),
            ..Default::default()
        }],
        ..Default::default()
    };
    assert_eq!(bench.modify(seid, change(&[], &["no-chat"])).cause, Cause::REQUEST_ACCEPTED);
    assert_eq!((bench.downlink(&to_ue(7000)).0, qfi(&mut bench, 53)), (TO_GNB, 5));
    // Neither an unknown one nor one that is not active: and nothing changes.
    for (activate, deactivate, ie) in [(&["what"][..], &[][..], 106), (&["no-chat"], &["no-chat"], 107)] {
        let refused = bench.modify(seid, change(activate, deactivate));
        assert_eq!(refused.cause, Cause::UNKNOWN_PRE_DEFINED_RULE);
        assert_eq!(refused.offending_ie, Some(OffendingIe(ie)));
        assert_eq!(refused.failed_rule_id, Some(FailedRuleId::Pdr(PdrId(3))));
        assert_eq!(bench.downlink(&to_ue(7000)).0, TO_GNB);
    }
    assert_eq!(bench.modify(seid, change(&["no-chat"], &["voice"])).cause, Cause::REQUEST_ACCEPTED);
    assert_eq!((bench.downlink(&to_ue(7000)).0, qfi(&mut bench, 53)), (CLOSED, 9));
}

#[test]
fn when_a_predefined_rule_says_what_to_do_then_the_pdr_needs_no_far() {
    let mut bench = Bench::with(names);
    let mut request = establishment();
    request.create_pdr[0].far_id = None;
    request.create_pdr[0].activate_predefined_rules = vec![name("dns")];
    let (_, teid) = bench.session_of(request.clone());
    let up =
        |bench: &mut Bench, port| bench.uplink(&gtpu(teid, Some(9), &udp(UE, SERVER, (4000, port), 60))).0;
    assert_eq!([up(&mut bench, 53), up(&mut bench, 54)], [TO_N6, NO_RULE]);
    // Where downlink packets go, no predefined rule can say.
    request.create_pdr[1].far_id = None;
    request.create_pdr[1].activate_predefined_rules = vec![name("dns")];
    assert_eq!(bench.establish(request.clone()).cause, Cause::CONDITIONAL_IE_MISSING);
    request.create_pdr[1].activate_predefined_rules = vec![name("nothing")];
    bench.session_of(request);
    assert_eq!(bench.downlink(&to_ue(1)).0, Verdict::Drop(DropReason::FarDrop));
}

#[test]
fn when_an_smf_creates_a_qer_with_the_id_of_a_predefined_one_then_it_is_refused() {
    let mut bench = Bench::with(names);
    let mut request = establishment();
    request.create_qer.push(CreateQer { qer_id: QerId(1 << 31), ..Default::default() });
    assert_eq!(bench.establish(request).failed_rule_id, Some(FailedRuleId::Qer(QerId(1 << 31))));
}

fn chat() -> ApplicationId {
    ApplicationId(b"chat".to_vec())
}

fn pfds(flows: &[&str]) -> ApplicationIdsPfds {
    let flow =
        |text: &&str| PfdContents { flow_descriptions: vec![(*text).to_owned()], ..Default::default() };
    let context = PfdContext { pfd_contents: flows.iter().map(flow).collect(), ..Default::default() };
    ApplicationIdsPfds { application_id: chat(), pfd_contexts: vec![context], ..Default::default() }
}

fn manage(bench: &mut Bench, applications: Vec<ApplicationIdsPfds>) -> PfdManagementResponse {
    let request = PfdManagementRequest { application_ids_pfds: applications, ..Default::default() };
    let to = bench.upf_address();
    bench.smf.send_request(bench.now, to, None, request.into()).expect("sent");
    let (_, message) = bench.settle().pop().expect("answered");
    let Message::PfdManagementResponse(response) = message else { panic!("{message:?}") };
    response
}

/// A session whose PDR 3 drops what is of the application.
fn without_chat() -> SessionEstablishmentRequest {
    let mut request = establishment();
    let mut pdr = downlink_pdr(3, 10, 3);
    pdr.pdi.application_id = Some(chat());
    request.create_pdr.push(pdr);
    let drop = CreateFar { far_id: FarId(3), apply_action: ApplyAction::DROP, ..Default::default() };
    request.create_far.push(drop);
    request
}

fn is_dropped(bench: &mut Bench, port: u16) -> bool {
    bench.downlink(&to_ue(port)).0 == Verdict::Drop(DropReason::FarDrop)
}

/// TS 29.244 §6.2.5, §7.4.3.1.
#[test]
fn when_the_pfds_of_an_application_change_then_rules_of_sessions_follow() {
    let mut bench = Bench::new();
    assert_eq!(bench.establish(without_chat()).cause, Cause::UNKNOWN_APPLICATION_ID);
    let [first, second] =
        ["permit out 17 from any 7000 to assigned", "permit out 17 from any 7001 to assigned"];
    assert_eq!(manage(&mut bench, vec![pfds(&[first])]).cause, Cause::REQUEST_ACCEPTED);
    let (seid, _) = bench.session_of(without_chat());
    assert!(is_dropped(&mut bench, 7000) && !is_dropped(&mut bench, 7001));
    manage(&mut bench, vec![pfds(&[second])]);
    bench.pass(Duration::from_millis(1));
    assert!(!is_dropped(&mut bench, 7000) && is_dropped(&mut bench, 7001));
    // Without descriptions it is gone: its rule finds nothing, and other changes of the session go on.
    let gone = ApplicationIdsPfds { application_id: chat(), ..Default::default() };
    manage(&mut bench, vec![gone]);
    bench.pass(Duration::from_millis(1));
    assert!(!is_dropped(&mut bench, 7001));
    assert_eq!(bench.modify(seid, forward_update(ApplyAction::FORW)).cause, Cause::REQUEST_ACCEPTED);
    manage(&mut bench, vec![pfds(&[first, second])]);
    bench.pass(Duration::from_millis(1));
    assert!(is_dropped(&mut bench, 7000) && is_dropped(&mut bench, 7001));
    // A request without applications takes all of them away.
    manage(&mut bench, Vec::new());
    bench.pass(Duration::from_millis(1));
    assert!(!is_dropped(&mut bench, 7000));
    bench.delete(seid);
    assert_eq!(bench.core.kept(), 0);
}

#[test]
fn when_an_application_is_known_by_names_alone_then_its_rules_find_nothing() {
    let mut bench = Bench::new();
    let mut application = pfds(&["permit out 17 from any 7000 to assigned"]);
    application.pfd_contexts[0].pfd_contents[0].domain_name = Some("chat.example".to_owned());
    assert_eq!(manage(&mut bench, vec![application]).cause, Cause::REQUEST_ACCEPTED);
    bench.session_of(without_chat());
    assert!(!is_dropped(&mut bench, 7000));
}

#[test]
fn when_pfds_are_wrong_or_too_many_then_none_of_the_request_holds() {
    let mut bench = Bench::with(|config| {
        (config.pfd.applications_max, config.pfd.descriptions_max) = (1, 2);
    });
    let good = "permit out 17 from any 7000 to assigned";
    let other = ApplicationIdsPfds { application_id: ApplicationId(vec![1]), ..pfds(&[good]) };
    for (applications, cause, ie) in [
        (vec![pfds(&[good]), pfds(&["nonsense"])], Cause::MANDATORY_IE_INCORRECT, 61),
        (vec![pfds(&[good]), other], Cause::NO_RESOURCES_AVAILABLE, 58),
        (vec![pfds(&[good; 3])], Cause::NO_RESOURCES_AVAILABLE, 61),
    ] {
        let refused = manage(&mut bench, applications);
        assert_eq!((refused.cause, refused.offending_ie), (cause, Some(OffendingIe(ie))));
        assert_eq!(bench.establish(without_chat()).cause, Cause::UNKNOWN_APPLICATION_ID);
    }
}

#[test]
fn when_many_sessions_look_for_an_application_then_a_turn_renews_a_few_of_them() {
    let mut bench = Bench::new();
    manage(&mut bench, vec![pfds(&["permit out 17 from any 7000 to assigned"])]);
    for seid in 0..100 {
        let cp_f_seid = FSeid::new(1000 + seid, [127, 0, 0, 17].into());
        let request = SessionEstablishmentRequest { cp_f_seid, ..without_chat() };
        let (_, message) = bench.ask(0, request);
        assert_eq!(message.cause(), Some(Cause::REQUEST_ACCEPTED));
    }
    let published = bench.published.len();
    manage(&mut bench, vec![pfds(&["permit out 17 from any 7001 to assigned"])]);
    assert_eq!(bench.published.len(), published);
    bench.core.handle_deadline(bench.now);
    bench.settle();
    let renewed = bench.published.len() - published;
    assert!((1..100).contains(&renewed), "{renewed}");
    bench.pass(Duration::from_millis(1));
    assert_eq!(bench.published.len() - published, 100);
}
