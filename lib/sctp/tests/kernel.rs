//! The kernel's SCTP, where it has it.

use std::net::{IpAddr, Ipv4Addr};

use tern_sctp::kernel::KernelBackend;

use crate::suite::{Fixture, Property, conformance};
use crate::support::{ports, run, skip};

fn conform(name: &str, property: Property, _: ()) {
    let Ok(backend) = KernelBackend::new() else {
        return skip(&format!("tern-sctp kernel::{name}"));
    };
    let at = Fixture {
        server: backend.clone(),
        client: backend,
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        udp_port: 0,
        port: ports(),
        associations: 200,
    };
    run(property(at));
}

conformance!((), conform);
