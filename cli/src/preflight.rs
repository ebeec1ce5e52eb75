//! What `tern up` needs of the machine, checked before anything starts, so that what is missing is
//! said in one line with the way on.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail, ensure};

use crate::core_config::{CoreConfig, Nf};

/// Bit of CAP_NET_ADMIN in a set of capabilities.
const CAP_NET_ADMIN: u32 = 12;
const TUN: &str = "/dev/net/tun";

/// Whether a core of this configuration can run here.
pub fn check(config: &CoreConfig) -> Result<()> {
    ensure!(!config.dnns.is_empty(), "dnns: expected at least one data network");
    ensure!(!config.slices.is_empty(), "slices: expected at least one slice");
    ensure!(!config.tac.is_empty(), "tac: expected at least one tracking area code");
    let last = usize::from(config.sbi_base) + Nf::ALL.len() - 1;
    ensure!((1..=254).contains(&last), "sbi_base: expected 1 to {}", 255 - Nf::ALL.len());
    for nf in Nf::ALL {
        free(nf, config.sbi(nf).at())?;
    }
    if config.has_data_path() && config.dpdk.is_none() {
        let admin = std::fs::read_to_string("/proc/self/status").is_ok_and(|status| is_net_admin(&status));
        data_path(&config.n6, Path::new(TUN).exists(), admin)?;
    }
    Ok(())
}

/// Whether a network function can serve there.
fn free(nf: Nf, at: SocketAddr) -> Result<()> {
    match TcpListener::bind(at) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AddrInUse => bail!(
            "{} cannot serve at {at}: something does already, perhaps another core (`tern status` shows it); \
             `sbi_base` moves this one",
            nf.name()
        ),
        Err(error) => Err(anyhow!(error)).with_context(|| format!("{} cannot serve at {at}", nf.name())),
    }
}

/// Whether the UPF can make its TUN device.
fn data_path(name: &str, has_tun: bool, is_admin: bool) -> Result<()> {
    const WAY_ON: &str = "or set `n6: none` in the core's file: then all works but user data";
    ensure!(has_tun, "the UPF's TUN device {name} needs {TUN}: `modprobe tun` makes it, {WAY_ON}");
    ensure!(
        is_admin,
        "the UPF's TUN device {name} needs CAP_NET_ADMIN: run as root, or `setcap \
         cap_net_admin,cap_net_raw+ep` this program once, {WAY_ON}"
    );
    Ok(())
}

/// Whether `status`, a /proc/…/status, has CAP_NET_ADMIN in force.
fn is_net_admin(status: &str) -> bool {
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let set = effective.and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
    set.is_some_and(|set| set >> CAP_NET_ADMIN & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_read() {
        assert!(is_net_admin("Name:\ttern\nCapEff:\t0000000000001000\n"));
        assert!(is_net_admin("CapEff:\t000001ffffffffff\n"));
        assert!(!is_net_admin("CapPrm:\t0000000000001000\nCapEff:\t0000000000002000\n"));
        assert!(!is_net_admin(""));
    }

    #[test]
    fn what_is_missing_for_user_data_is_said_with_the_way_on() {
        data_path("tern-n6", true, true).unwrap();
        for (has_tun, admin, part) in [(false, true, "modprobe tun"), (true, false, "CAP_NET_ADMIN")] {
            let error = data_path("tern-n6", has_tun, admin).unwrap_err().to_string();
            assert!(error.contains(part) && error.contains("n6: none") && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn when_an_address_is_taken_then_it_is_named_before_anything_starts() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = taken.local_addr().unwrap();
        let error = free(Nf::Nrf, at).unwrap_err().to_string();
        for part in ["nrf", &at.to_string(), "sbi_base"] {
            assert!(error.contains(part), "{error}");
        }
        drop(taken);
        free(Nf::Nrf, at).unwrap();
    }
}
