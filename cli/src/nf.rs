//! Each network function as a process, its sample file, and its part of a whole core.

use std::process::ExitCode;

use rustix::process::{Signal, getppid, set_parent_process_death_signal};
use tern_config::Sample as _;
use tern_nf::{EnvOptions, SbiConfig, TransportChoice, process_main};
use tern_store::RedbOptions;

use crate::core_config::CoreConfig;
use crate::{Process, Sample};

/// Environment for a network function with this SBI, and the store that the command line names.
fn options(process: &Process, name: &str, sbi: &SbiConfig) -> EnvOptions {
    let options = EnvOptions::new(name, sbi).with_health(process.health.address);
    match &process.store {
        Some(path) => options
            .with_store(RedbOptions { path: path.clone(), durability: tern_store::Durability::Process }),
        None => options,
    }
}

/// Ends this process with the parent that asked for it; false if the parent is gone already.
pub fn follow_parent(process: &Process) -> bool {
    let Some(parent) = process.with_parent else { return true };
    if let Err(error) = set_parent_process_death_signal(Some(Signal::TERM)) {
        eprintln!("tern: cannot follow the parent process: {error}");
    }
    getppid().is_some_and(|now| now.as_raw_nonzero().get().unsigned_abs() == parent)
}

/// A network function whose environment is an SBI and perhaps a store.
macro_rules! process {
    ($function:ident, $crate_name:ident, $nf_type:literal) => {
        #[doc = concat!("`tern ", stringify!($function), "`.")]
        pub fn $function(process: &Process) -> ExitCode {
            if !follow_parent(process) {
                return ExitCode::FAILURE;
            }
            process_main(
                stringify!($function),
                process.config.as_deref(),
                |config: &$crate_name::Config| options(process, $nf_type, &config.sbi),
                $crate_name::run,
            )
        }
    };
}

process!(nrf, tern_nrf, "NRF");
process!(udm, tern_udm, "UDM");
process!(ausf, tern_ausf, "AUSF");
process!(pcf, tern_pcf, "PCF");
process!(nssf, tern_nssf, "NSSF");
process!(smf, tern_smf, "SMF");
process!(upf, tern_upf, "UPF");

/// `tern udr`: its store is part of its configuration.
pub fn udr(process: &Process) -> ExitCode {
    if !follow_parent(process) {
        return ExitCode::FAILURE;
    }
    let options = |config: &tern_udr::Config| {
        let path = process.store.clone().unwrap_or_else(|| config.store.clone());
        let store = RedbOptions { path, durability: config.durability };
        EnvOptions::new("UDR", &config.sbi).with_health(process.health.address).with_store(store)
    };
    process_main("udr", process.config.as_deref(), options, tern_udr::run)
}

/// `tern amf`: with SCTP, unless `tern n2` has it.
pub fn amf(process: &Process) -> ExitCode {
    if !follow_parent(process) {
        return ExitCode::FAILURE;
    }
    let options = |config: &tern_amf::Config| {
        let options = options(process, "AMF", &config.sbi);
        if config.n2.bridge.is_some() { options } else { options.with_sctp(config.n2.sctp) }
    };
    process_main("amf", process.config.as_deref(), options, tern_amf::run)
}

/// `tern n2`.
pub fn n2(process: &Process) -> ExitCode {
    if !follow_parent(process) {
        return ExitCode::FAILURE;
    }
    let options = |config: &tern_amf::n2::Config| {
        // It speaks no SBI; the address only says where requests would come from.
        let sbi = SbiConfig { transport: TransportChoice::Tcp, ..SbiConfig::loopback(1) };
        EnvOptions::new("N2", &sbi).with_health(process.health.address).with_sctp(config.sctp)
    };
    process_main("n2", process.config.as_deref(), options, tern_amf::n2::run)
}

/// A file with every field explained.
pub fn sample(of: Sample) -> &'static str {
    match of {
        Sample::Core => CoreConfig::SAMPLE,
        Sample::Nrf => tern_nrf::Config::SAMPLE,
        Sample::Udr => tern_udr::Config::SAMPLE,
        Sample::Udm => tern_udm::Config::SAMPLE,
        Sample::Ausf => tern_ausf::Config::SAMPLE,
        Sample::Pcf => tern_pcf::Config::SAMPLE,
        Sample::Nssf => tern_nssf::Config::SAMPLE,
        Sample::Amf => tern_amf::Config::SAMPLE,
        Sample::Smf => tern_smf::Config::SAMPLE,
        Sample::Upf => tern_upf::Config::SAMPLE,
        Sample::Manager => crate::manager::Config::SAMPLE,
        Sample::N2 => tern_amf::n2::Config::SAMPLE,
        Sample::Sim => ue_ransim::config::Config::SAMPLE,
    }
}
