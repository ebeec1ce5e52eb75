//! gNBs with addresses of IPv4 and of IPv6 on N3: TS 38.414 §5.3.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use anyhow::{Result, ensure};
use tern_tests::core::{Core, Setup};
use tern_tests::topology::{DN_ADDRESS, N3_CORE};

use crate::world::{World, clean, isolated};

const UPF: Ipv6Addr = Ipv6Addr::new(0xfd00, 3, 0, 0, 0, 0, 0, 1);
const GNB: Ipv6Addr = Ipv6Addr::new(0xfd00, 3, 0, 0, 0, 0, 0, 2);
const PINGS: usize = 5;

#[test]
fn when_a_gnb_has_ipv6_on_n3_then_its_ue_pings_beside_that_of_one_with_ipv4() {
    isolated("n3::when_a_gnb_has_ipv6_on_n3_then_its_ue_pings_beside_that_of_one_with_ipv4", both_versions);
}

async fn both_versions() -> Result<()> {
    let mut world = World::without_core().await?;
    for (netns, address) in [(&world.topology.core, UPF), (&world.topology.gnb, GNB)] {
        netns.ip(&["addr", "add", &format!("{address}/64"), "dev", "n3", "nodad"])?;
    }
    let setup = Setup { n3: format!("[{N3_CORE}, \"{UPF}\"]"), ..world.setup() };
    world.core = Some(Core::start_with(setup, &world.topology.core, "").await?);
    world.add_subscribers(2).await?;
    let mut config = world.config(2);
    config.gnbs = 2;
    config.n3.push(IpAddr::V6(GNB));
    let mut rig = world.rig(config).await?;
    for index in 0..2 {
        let mut ue = rig.ue(index)?;
        ue.register().await?;
        let mut session = ue.establish_session(Default::default()).await?;
        let pings = session.ping(DN_ADDRESS, PINGS as u32, Duration::from_millis(10)).await?;
        ensure!(pings.rtt.len() == PINGS, "UE {index}: {pings:?}");
        ue.deregister(false).await?;
    }
    rig.stop().await;
    clean(&rig)?;
    world.wait_for_nobody().await?;
    world.finish().await
}
