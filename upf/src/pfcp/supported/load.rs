//! Load and overload control: TS 29.244 §6.2.3, §6.2.4.

use tern_pfcp::*;
use tern_types::Duration;

use crate::pfcp::Figures;
use crate::testing::*;

fn told(response: &SessionEstablishmentResponse) -> (Option<u8>, Option<u8>) {
    let load = response.load_control_information.as_ref().map(|load| load.metric.0);
    (load, response.overload_control_information.as_ref().map(|overload| overload.metric.0))
}

fn establish(bench: &mut Bench, seid: u64) -> SessionEstablishmentResponse {
    let cp_f_seid = FSeid::new(seid, [127, 0, 0, 17].into());
    let (_, message) = bench.ask(0, SessionEstablishmentRequest { cp_f_seid, ..establishment() });
    let Message::SessionEstablishmentResponse(response) = message else { panic!("{message:?}") };
    response
}

fn bench(features: CpFunctionFeatures) -> Bench {
    let mut bench = Bench::with(|config| config.sessions_max = 10);
    bench.restart_smf_with(Some(features));
    bench
}

#[test]
fn when_the_smf_supports_it_then_answers_tell_load_and_from_a_threshold_on_a_reduction() {
    let mut bench = bench(CpFunctionFeatures::LOAD | CpFunctionFeatures::OVRL);
    let mut sequence = None;
    for number in 1..=8 {
        let response = establish(&mut bench, number);
        assert_eq!(told(&response), (Some(number as u8 * 10), None));
        let load = response.load_control_information.expect("load");
        assert!(Some(load.sequence_number) > sequence);
        sequence = Some(load.sequence_number);
    }
    assert_eq!(told(&establish(&mut bench, 9)), (Some(90), Some(9)));
    assert_eq!(told(&establish(&mut bench, 10)), (Some(100), Some(100)));
    // A refusal tells it too, of the whole node (TS 29.244 §8.2.76).
    let refused = establish(&mut bench, 11);
    assert_eq!((refused.cause, told(&refused)), (Cause::NO_RESOURCES_AVAILABLE, (Some(100), Some(100))));
    let overload = refused.overload_control_information.expect("overload");
    assert_eq!(overload.oci_flags, Some(OciFlags::AOCI));
    assert_eq!(overload.timer.seconds(), Some(60));
    // The same as long as nothing changes.
    let again = establish(&mut bench, 11).overload_control_information.expect("overload");
    assert_eq!(again.sequence_number, overload.sequence_number);
}

#[test]
fn when_the_smf_does_not_support_it_then_it_is_told_nothing() {
    let mut only_load = bench(CpFunctionFeatures::LOAD);
    (1..=9).for_each(|number| _ = establish(&mut only_load, number));
    assert_eq!(told(&establish(&mut only_load, 10)), (Some(100), None));
    let mut nothing = bench(CpFunctionFeatures::default());
    (1..=9).for_each(|number| _ = establish(&mut nothing, number));
    assert_eq!(told(&establish(&mut nothing, 10)), (None, None));
}

#[test]
fn when_an_overload_is_over_then_the_reduction_is_taken_back_for_as_long_as_it_may_be_believed() {
    let mut bench = bench(CpFunctionFeatures::OVRL);
    bench.core.set_figures(bench.now, Figures { workers: 95, events: 0 });
    let overloaded = establish(&mut bench, 1).overload_control_information.expect("overload");
    assert!(overloaded.metric.0 > 0);
    bench.core.set_figures(bench.now, Figures::default());
    let over = establish(&mut bench, 2).overload_control_information.expect("the end of it");
    assert_eq!(over.metric, Metric(0));
    assert!(over.sequence_number > overloaded.sequence_number);
    bench.pass(Duration::from_secs(61));
    assert_eq!(told(&establish(&mut bench, 3)), (None, None));
}
