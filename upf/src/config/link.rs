//! Links on ports of DPDK, in the configuration.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};
use tern_types::{Ipv4Prefix, Ipv6Prefix};

use super::IPV6_MTU_MIN;

/// The longest packet of a link: a buffer holds it.
pub(crate) const LINK_MTU_MAX: u16 = 9_000;

/// A port of DPDK, or a VLAN on it, and the link there, of IPv4, IPv6 or both. Several that name the same port and VLAN
/// are one link, and alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkConfig {
    /// A PCI address (`0000:01:00.0`), or a virtual device as DPDK writes it
    /// (`net_af_packet0,iface=eth1`).
    pub device: String,
    /// Our address, with the prefix of the link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Ipv4Prefix>,
    /// Next hop to all that is not on the link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<Ipv4Addr>,
    /// Our IPv6 address, with the prefix of the link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<Ipv6Prefix>,
    /// Next hop to all of IPv6 that is not on the link; it may have an address of the link alone (`fe80::…`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6_gateway: Option<Ipv6Addr>,
    /// VLAN, 1 to 4094; frames without a tag otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
    /// MTU of the link; longer packets are fragmented, or their sender is told.
    #[serde(default = "default_link_mtu")]
    pub mtu: u16,
}

impl LinkConfig {
    /// Name of the port: the device without its arguments.
    pub fn port(&self) -> &str {
        self.device.split(',').next().unwrap_or_default()
    }

    pub(super) fn validate(&self) -> anyhow::Result<()> {
        anyhow::ensure!(!self.port().is_empty(), "device: expected a PCI address or a virtual device");
        anyhow::ensure!(
            self.vlan.is_none_or(|vlan| (1..=4094).contains(&vlan)),
            "vlan: expected 1 to 4094, got {}",
            self.vlan.unwrap_or_default()
        );
        anyhow::ensure!(
            (576..=LINK_MTU_MAX).contains(&self.mtu),
            "mtu: expected 576 to {LINK_MTU_MAX}, got {}",
            self.mtu
        );
        anyhow::ensure!(self.address.is_some() || self.ipv6.is_some(), "address: expected address or ipv6");
        if let Some(prefix) = self.address {
            let address = prefix.address;
            anyhow::ensure!(
                !address.is_unspecified(),
                "address: expected an address of a host, got {address}"
            );
        }
        if let Some(gateway) = self.gateway {
            let is_on_it = |prefix: Ipv4Prefix| gateway != prefix.address && prefix.contains(gateway);
            anyhow::ensure!(
                self.address.is_some_and(is_on_it),
                "gateway: expected another address of the link, got {gateway}"
            );
        }
        if let Some(prefix) = self.ipv6 {
            let address = prefix.address;
            let is_host =
                !address.is_unspecified() && !address.is_multicast() && !address.is_unicast_link_local();
            anyhow::ensure!(is_host, "ipv6: expected an address of a host that others know, got {address}");
            anyhow::ensure!(
                self.mtu >= IPV6_MTU_MIN,
                "mtu: expected at least {IPV6_MTU_MIN} with ipv6, got {}",
                self.mtu
            );
        }
        if let Some(gateway) = self.ipv6_gateway {
            let is_on_it = |prefix: Ipv6Prefix| {
                gateway != prefix.address && (prefix.contains(gateway) || gateway.is_unicast_link_local())
            };
            anyhow::ensure!(
                self.ipv6.is_some_and(is_on_it),
                "ipv6_gateway: expected another address of the link, got {gateway}"
            );
        }
        Ok(())
    }
}

fn default_link_mtu() -> u16 {
    1500
}
