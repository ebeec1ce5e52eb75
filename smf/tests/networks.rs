//! Data networks and their pools.

use std::net::Ipv4Addr;

use tern_pfcp::Name;
use tern_sbi::Response;
use tern_sbi::npcf_sm::SmPolicyDecision;
use tern_sbi::nsmf_pdusession::SmContextCreateData;
use tern_sbi::nudm_sdm::{GetSmData, SessionManagementSubscriptionData, SmSubsData};
use tern_smf::{Config, DataNetwork};
use tern_types::Snssai;

use crate::bench::*;

/// Creates a session up to the UPF; its address and network instance.
fn address(bench: &mut Bench, id: u8, name: &str, slice: Snssai) -> (Ipv4Addr, Option<Name>) {
    let data = SmContextCreateData { dnn: Some(dnn(name)), s_nssai: Some(slice), ..create_data(id) };
    let token = bench.create_with(data, n1(establishment_request(), id, 9));
    let (asked, operation) = bench.expect::<GetSmData>();
    assert_eq!((operation.single_nssai, operation.dnn), (Some(slice), Some(dnn(name))));
    let mut data = SessionManagementSubscriptionData::new(slice);
    data.dnn_configurations.insert(name.to_owned(), subscription());
    bench.reply::<GetSmData>(asked, Ok(Response::ok(SmSubsData::Individual(vec![data]))));
    bench.context_ref(token);
    bench.police(SmPolicyDecision::default());
    let pdi = bench.install().create_pdr.remove(0).pdi;
    bench.ignore();
    (pdi.ue_ip_addresses[0].ipv4.unwrap(), pdi.network_instance)
}

fn networks(networks: Vec<DataNetwork>) -> Config {
    Config { data_networks: networks, ..config() }
}

#[test]
fn when_a_phone_opens_ims_beside_internet_then_each_has_its_own_addresses() {
    let mut bench = Bench::with(networks(Config::default().data_networks));
    let (first, instance) = address(&mut bench, 1, "internet", slice());
    assert_eq!((first, instance), (Ipv4Addr::new(10, 45, 0, 2), Some(Name::from("internet"))));
    let (second, instance) = address(&mut bench, 2, "ims", slice());
    assert_eq!((second, instance), (Ipv4Addr::new(10, 46, 0, 2), Some(Name::from("ims"))));
    assert_eq!(bench.smf.addresses_used(), [1, 1]);
}

#[test]
fn when_two_slices_have_the_same_pool_then_no_address_is_given_twice() {
    let one = config().data_networks.remove(0);
    let other = DataNetwork { snssai: Snssai::new(2, None), ..one.clone() };
    let mut bench = Bench::with(networks(vec![one, other]));
    let (first, _) = address(&mut bench, 1, "internet", Snssai::new(1, None));
    let (second, _) = address(&mut bench, 2, "internet", Snssai::new(2, None));
    assert_ne!(first, second);
    assert_eq!(bench.smf.addresses_used(), [2, 2]);
}

#[test]
fn when_pools_overlap_without_being_the_same_then_the_configuration_is_refused() {
    let one = config().data_networks.remove(0);
    let inside =
        DataNetwork { snssai: Snssai::new(2, None), pool: "10.45.128.0/17".parse().ok(), ..one.clone() };
    let error = networks(vec![one, inside]).check().unwrap_err();
    assert!(error.contains("data_networks[1].pool") && error.contains("internet"), "{error}");
}
