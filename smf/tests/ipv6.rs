//! PDU sessions of type IPv6 and IPv4v6: types, addresses, rules. Their router is in `router.rs`.

use std::net::{Ipv4Addr, Ipv6Addr};

use tern_nas::nas_5gs::{
    MaxDataRate, Nas5gsmMessage, NasIntegrityProtectionMaximumDataRate, NasPduSessionEstablishmentAccept,
    NasPduSessionEstablishmentRequest, NasPduSessionType, PcoDirection, PduSessionTypeValue,
};
use tern_ngap::transfer::{SessionType, SetupRequest};
use tern_pfcp::{PdnType, SessionEstablishmentRequest};
use tern_sbi::common::{IpAddr as SbiAddress, PduSessionType};
use tern_sbi::npcf_sm::{CreateSmPolicy, SmPolicyDecision};
use tern_sbi::nsmf_pdusession::ReleaseSmContext;
use tern_sbi::nudm_sdm::DnnConfiguration;
use tern_sbi::{OperationError, Response};
use tern_smf::{Config, Ipv6Config, SmfRequest};
use tern_types::Duration;

use crate::bench::*;

pub const V4: PduSessionTypeValue = PduSessionTypeValue::Ipv4;
pub const V6: PduSessionTypeValue = PduSessionTypeValue::Ipv6;
pub const BOTH: PduSessionTypeValue = PduSessionTypeValue::Ipv4v6;

pub fn v6(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

fn ipv6(pool: &str) -> Option<Ipv6Config> {
    Some(Ipv6Config { pool: pool.parse().unwrap(), gateway: None, reserved: Vec::new() })
}

/// A data network with both versions.
pub fn dual() -> Config {
    let mut config = config();
    let network = &mut config.data_networks[0];
    network.ipv6 = ipv6("2001:db8:45::/48");
    network.dns = vec![[9, 9, 9, 9].into(), v6("2001:db8::53").into()];
    network.p_cscf = vec![v6("2001:db8::5060").into()];
    config
}

fn only_v6() -> Config {
    let mut config = dual();
    config.data_networks[0].pool = None;
    config
}

pub fn asks(kind: PduSessionTypeValue) -> NasPduSessionEstablishmentRequest {
    let request = establishment_request().with_pdu_session_type(NasPduSessionType::from_session_type(kind));
    with_options(request, &[0x0001, 0x0003, 0x000d, 0x0010])
}

/// A subscription to these types, the default one first.
fn subscribed(types: &[PduSessionType]) -> DnnConfiguration {
    let mut subscription = subscription();
    subscription.pdu_session_types.default_session_type = types.first().cloned();
    subscription.pdu_session_types.allowed_session_types = types.to_vec();
    subscription
}

pub fn to_all() -> DnnConfiguration {
    subscribed(&[PduSessionType::Ipv4, PduSessionType::Ipv6, PduSessionType::Ipv4v6])
}

fn with_static(addresses: Vec<SbiAddress>) -> DnnConfiguration {
    DnnConfiguration { static_ip_address: addresses, ..to_all() }
}

fn prefix_of(text: &str) -> SbiAddress {
    SbiAddress { ipv6_prefix: Some(text.to_owned()), ..SbiAddress::default() }
}

/// Up to the accept: the context, what the UPF was asked for and what the UE was told.
pub fn accepted(
    bench: &mut Bench,
    request: NasPduSessionEstablishmentRequest,
    subscription: DnnConfiguration,
) -> (String, SessionEstablishmentRequest, NasPduSessionEstablishmentAccept) {
    let token = bench.create_with(create_data(1), n1(request, 1, 9));
    bench.subscribe(sm_data(subscription));
    let reference = bench.context_ref(token);
    bench.police(SmPolicyDecision::default());
    let installed = bench.install();
    let transfer = bench.transfer();
    bench.register();
    let (_, _, message) = read_n1(&transfer.n1_sm_msg.unwrap());
    let Nas5gsmMessage::PduSessionEstablishmentAccept(accept) = message else { panic!("{message:?}") };
    (reference, installed, *accept)
}

/// A whole session; its reference.
pub fn establish(bench: &mut Bench, kind: PduSessionTypeValue) -> String {
    let (reference, ..) = accepted(bench, asks(kind), to_all());
    let answer = bench.setup_response(&reference);
    bench.modified();
    assert_eq!(bench.updated(answer).unwrap().status, 200);
    reference
}

/// Type and cause of an accept, or the cause of a reject.
fn outcome(
    config: Config,
    asked: Option<PduSessionTypeValue>,
    types: &[PduSessionType],
) -> Result<(PduSessionTypeValue, Option<u8>), u8> {
    let mut bench = Bench::with(config);
    let request = match asked {
        Some(kind) => asks(kind),
        None => NasPduSessionEstablishmentRequest::new(NasIntegrityProtectionMaximumDataRate::from_rates(
            MaxDataRate::FullRate,
            MaxDataRate::FullRate,
        )),
    };
    let token = bench.create_with(create_data(1), n1(request, 1, 9));
    bench.subscribe(sm_data(subscribed(types)));
    if let Err(error) = bench.created(token) {
        let OperationError::Refused { body, .. } = error else { panic!("{error}") };
        let (_, _, message) = read_n1(&body.n1_sm_msg.unwrap());
        let Nas5gsmMessage::PduSessionEstablishmentReject(reject) = message else { panic!("{message:?}") };
        return Err(reject.fgsm_cause.cause_raw());
    }
    bench.police(SmPolicyDecision::default());
    bench.install();
    let (_, _, message) = read_n1(&bench.transfer().n1_sm_msg.unwrap());
    let Nas5gsmMessage::PduSessionEstablishmentAccept(accept) = message else { panic!("{message:?}") };
    let selected = accept.selected_pdu_session_type.session_type().unwrap();
    Ok((selected, accept.fgsm_cause.map(|cause| cause.cause_raw())))
}

/// TS 24.501 §6.4.1.3, §6.4.1.4.
#[test]
fn when_a_type_is_asked_for_then_it_is_granted_narrowed_or_refused_with_the_cause_that_says_what_is_allowed()
{
    use PduSessionType::{Ipv4, Ipv4v6, Ipv6};
    let all = [Ipv4, Ipv6, Ipv4v6];
    let network = |which: &str| match which {
        "v4" => config(),
        "v6" => only_v6(),
        _ => dual(),
    };
    for (has, asked, types, expected) in [
        ("both", Some(V4), &all[..], Ok((V4, None))),
        ("both", Some(V6), &all, Ok((V6, None))),
        ("both", Some(BOTH), &all, Ok((BOTH, None))),
        ("v4", Some(BOTH), &all, Ok((V4, Some(50)))),
        ("v6", Some(BOTH), &all, Ok((V6, Some(51)))),
        ("v4", Some(V6), &all, Err(50)),
        ("v6", Some(V4), &all, Err(51)),
        // The subscription says what is allowed.
        ("both", Some(BOTH), &[Ipv4], Ok((V4, Some(50)))),
        ("both", Some(BOTH), &[Ipv6], Ok((V6, Some(51)))),
        ("both", Some(V6), &[Ipv4], Err(50)),
        ("both", Some(V4), &[Ipv6], Err(51)),
        ("both", Some(V4), &[Ipv4v6], Err(57)),
        ("both", Some(V6), &[Ipv4v6], Err(57)),
        // Each alone: a second session may have the other.
        ("both", Some(BOTH), &[Ipv4, Ipv6], Ok((V4, None))),
        // Of both together a data network with one leaves that.
        ("v4", Some(V4), &[Ipv4v6], Ok((V4, None))),
        ("v6", Some(BOTH), &[Ipv4v6], Ok((V6, Some(51)))),
        // The UE leaves it to the network.
        ("both", None, &[Ipv4, Ipv6], Ok((V4, None))),
        ("both", None, &[Ipv6, Ipv4], Ok((V6, None))),
        ("both", None, &[Ipv4v6], Ok((BOTH, None))),
        ("v6", None, &all, Ok((V6, None))),
        // What is subscribed is not there.
        ("v4", Some(V4), &[Ipv6], Err(51)),
        ("v6", Some(V6), &[Ipv4], Err(50)),
        ("both", Some(PduSessionTypeValue::Ethernet), &all, Err(28)),
        ("both", Some(V4), &[PduSessionType::Ethernet], Err(28)),
    ] {
        assert_eq!(outcome(network(has), asked, types), expected, "{has}: {asked:?} of {types:?}");
    }
}

/// TS 24.501 §9.11.4.10, TS 38.413 §9.3.1.52, TS 29.244 §8.2.62.
#[test]
fn when_a_session_has_ipv6_then_ue_gnb_pcf_and_upf_are_told_so() {
    for (kind, ipv4, pdn_type, policy) in [
        (V6, None, PdnType::Ipv6, PduSessionType::Ipv6),
        (BOTH, Some(Ipv4Addr::new(10, 45, 0, 2)), PdnType::Ipv4v6, PduSessionType::Ipv4v6),
    ] {
        let mut bench = Bench::with(dual());
        let token = bench.create_with(create_data(1), n1(asks(kind), 1, 9));
        bench.subscribe(sm_data(to_all()));
        bench.context_ref(token);
        let (asked, CreateSmPolicy { context }) = bench.expect::<CreateSmPolicy>();
        assert_eq!((context.pdu_session_type, context.ipv4_address), (policy, ipv4));
        assert_eq!(context.ipv6_address_prefix.as_deref(), Some("2001:db8:45:1::/64"));
        let location = format!("{PCF}/npcf-smpolicycontrol/v1/sm-policies/p1");
        bench.reply::<CreateSmPolicy>(asked, Ok(Response::created(location, SmPolicyDecision::default())));

        let installed = bench.install();
        assert_eq!(installed.pdn_type, Some(pdn_type));
        for (pdr, destination) in [(&installed.create_pdr[0], false), (&installed.create_pdr[1], true)] {
            let [ue] = pdr.pdi.ue_ip_addresses[..] else { panic!("{pdr:?}") };
            assert_eq!((ue.ipv4, ue.ipv6, ue.destination), (ipv4, Some(v6("2001:db8:45:1::")), destination));
            assert_eq!((ue.ipv6_prefix_length, ue.ipv6_delegation_bits), (None, None), "64 bits");
        }

        let transfer = bench.transfer();
        let told = SetupRequest::decode(&transfer.n2_sm_info.unwrap()).unwrap();
        let expected = if ipv4.is_some() { SessionType::Ipv4v6 } else { SessionType::Ipv6 };
        assert_eq!(told.session_type, expected);
        let (_, _, message) = read_n1(&transfer.n1_sm_msg.unwrap());
        let Nas5gsmMessage::PduSessionEstablishmentAccept(accept) = message else { panic!("{message:?}") };
        let address = accept.pdu_address.unwrap();
        assert_eq!(address.session_type(), Some(kind));
        assert_eq!(address.ipv4().map(Ipv4Addr::from), ipv4);
        assert_eq!(address.ipv6_interface_id(), Some([0, 0, 0, 0, 0, 0, 0, 2]));
        let options = accept.extended_protocol_configuration_options.unwrap();
        let options = options.pco(PcoDirection::Downlink).unwrap().entries;
        let has = |identifier, contents: &[u8]| {
            options.iter().any(|entry| (entry.identifier, &entry.contents[..]) == (identifier, contents))
        };
        assert!(has(0x0003, &v6("2001:db8::53").octets()) && has(0x0001, &v6("2001:db8::5060").octets()));
        // What is IPv4's goes to a session with IPv4.
        assert_eq!(has(0x000d, &[9, 9, 9, 9]), ipv4.is_some());
        assert_eq!(has(0x0010, &1400u16.to_be_bytes()), ipv4.is_some());
    }
}

/// TS 29.503 `staticIpAddress`.
#[test]
fn when_a_prefix_or_address_is_static_then_the_session_has_it_or_is_refused_without_a_trace() {
    let address = |text: &str| SbiAddress { ipv6_addr: Some(v6(text)), ..SbiAddress::default() };
    for (fixed, expected, interface) in [
        (prefix_of("2001:db8:45:99::/64"), "2001:db8:45:99::", 2),
        (address("2001:db8:45:98::7"), "2001:db8:45:98::", 7),
    ] {
        let mut bench = Bench::with(dual());
        let (_, installed, accept) = accepted(&mut bench, asks(V6), with_static(vec![fixed.clone()]));
        assert_eq!(installed.create_pdr[0].pdi.ue_ip_addresses[0].ipv6, Some(v6(expected)));
        assert_eq!(accept.pdu_address.unwrap().ipv6_interface_id(), Some([0, 0, 0, 0, 0, 0, 0, interface]));
        // It is this session's; of the second one's other address nothing stays taken.
        let token = bench.create_with(create_data(2), n1(asks(BOTH), 2, 9));
        bench.subscribe(sm_data(with_static(vec![fixed])));
        let error = bench.created(token).unwrap_err();
        assert_eq!(error.problem().unwrap().cause.as_deref(), Some("INSUFFICIENT_RESOURCES_SLICE_DNN"));
        assert_eq!((bench.smf.addresses_used(), bench.smf.prefixes_used()), (vec![0], vec![1]));
    }
    for wrong in [
        prefix_of("2001:db8:46:1::/64"),
        prefix_of("2001:db8:45::/64"),
        prefix_of("2001:db8:45:9::/56"),
        prefix_of("nonsense"),
        address("2001:db8:45:9::1"),
        address("2001:db8:45:9::"),
    ] {
        let mut bench = Bench::with(dual());
        let token = bench.create_with(create_data(1), n1(asks(V6), 1, 9));
        bench.subscribe(sm_data(with_static(vec![wrong.clone()])));
        assert!(bench.created(token).is_err(), "{wrong:?}");
        bench.empty();
        assert_eq!(bench.smf.prefixes_used(), [0]);
    }
}

#[test]
fn when_a_session_ends_then_its_prefix_is_free_again() {
    let mut config = dual();
    // Three besides the gateway's.
    config.data_networks[0].ipv6 = ipv6("2001:db8:45::/62");
    let mut bench = Bench::with(config);
    for _ in 0..5 {
        let sm_context_ref = establish(&mut bench, V6);
        assert_eq!((bench.smf.addresses_used(), bench.smf.prefixes_used()), (vec![0], vec![1]));
        bench.ignore();
        let data = tern_sbi::nsmf_pdusession::SmContextReleaseData::default();
        let (n1_sm_msg, n2_sm_info) = (None, None);
        bench.request(SmfRequest::Release(ReleaseSmContext { sm_context_ref, data, n1_sm_msg, n2_sm_info }));
        bench.answer_n4(None);
        bench.pass(Duration::from_secs(60));
        bench.ignore();
        assert_eq!(bench.smf.prefixes_used(), [0]);
    }
}

#[test]
fn when_the_configuration_of_ipv6_cannot_be_then_file_line_or_field_say_where() {
    let check = |yaml: &str| tern_config::parse::<Config>("smf.yaml", yaml).unwrap().check().unwrap_err();
    const POOL: &str = "pool: '2001:db8:45::/48'";
    for (networks, parts) in [
        ("{dnn: a}".to_owned(), ["data_networks[0]", "a pool or ipv6"]),
        (format!("{{dnn: a, mtu: 1279, ipv6: {{{POOL}}}}}"), ["data_networks[0].mtu", "1280 to 9000"]),
        (
            format!("{{dnn: a, ipv6: {{{POOL}, gateway: '2001:db8:46::1'}}}}"),
            ["data_networks[0].ipv6.gateway", "2001:db8:46::1"],
        ),
        (
            format!("{{dnn: a, ipv6: {{{POOL}, reserved: [['2001:db8:45:2::', '2001:db8:45:1::']]}}}}"),
            ["data_networks[0].ipv6.reserved", "first and last"],
        ),
        (
            "{dnn: a, pool: 10.0.0.0/24, reserved: [[10.0.0.9, 10.0.1.9]]}".to_owned(),
            ["data_networks[0].reserved", "first and last"],
        ),
        (
            format!("{{dnn: a, ipv6: {{{POOL}}}}}, {{dnn: b, ipv6: {{pool: '2001:db8:45:8000::/49'}}}}"),
            ["data_networks[1].ipv6.pool", "overlaps"],
        ),
    ] {
        let error = check(&format!("data_networks: [{networks}]"));
        assert!(parts.iter().all(|part| error.contains(part)), "{networks}: {error}");
    }
    let text = "data_networks:\n  - dnn: a\n    ipv6:\n      pool: 2001:db8:45::1/48\n";
    let error = tern_config::parse::<Config>("smf.yaml", text).unwrap_err().to_string();
    for part in ["smf.yaml:4:", "pool", "2001:db8:45::/48"] {
        assert!(error.contains(part), "{error}");
    }
    // One that is shared is the same.
    let shared = format!("data_networks: [{{dnn: a, ipv6: {{{POOL}}}}}, {{dnn: b, ipv6: {{{POOL}}}}}]");
    tern_config::parse::<Config>("smf.yaml", &shared).unwrap().check().unwrap();
}

#[test]
fn a_context_with_ipv6_is_data_and_survives_serialisation() {
    let mut bench = Bench::with(dual());
    establish(&mut bench, BOTH);
    let context = bench.smf.contexts().next().unwrap();
    let json = serde_json::to_string(context).unwrap();
    let read: tern_smf::context::SmContext = serde_json::from_str(&json).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), json);
    assert_eq!(json.as_str(), include_str!("golden/sm_context_1_ipv6.json").trim_end());
}
