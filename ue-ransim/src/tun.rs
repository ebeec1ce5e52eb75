//! TUN devices of this host, and the pump between a device and a session.

use std::io::{self, Write as _};
use std::net::IpAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::env::{BoxFuture, Tun, Tuns};
use crate::gnb::UplinkTunnel;

/// Longest packet taken from a device.
const PACKET_MAX: usize = 9216;

/// Of the route by a device in the host's own network namespace.
const LAST_METRIC: &str = "4294967294";

/// Makes devices in the network namespace of this process. Those of IPv6 use iproute2.
#[derive(Debug, Clone, Copy, Default)]
pub struct HostTuns;

impl Tuns for HostTuns {
    fn create(&self, name: &str, addresses: &[IpAddr], mtu: u16) -> io::Result<Arc<dyn Tun>> {
        let mut device = tun_rs::DeviceBuilder::new().name(name).mtu(mtu);
        for address in addresses {
            device = match address {
                IpAddr::V4(address) => device.ipv4(*address, 32, None),
                IpAddr::V6(address) => device.ipv6(*address, 128),
            };
        }
        let device = device.build_async()?;
        if addresses.iter().any(IpAddr::is_ipv6) {
            // A program that binds to the device needs a route there, other than with IPv4. It is the host's last
            // resort, if it has another one.
            ip(&["-6", "route", "add", "::/0", "dev", name, "metric", LAST_METRIC], "")?;
        }
        Ok(Arc::new(device))
    }
}

impl Tun for tun_rs::AsyncDevice {
    fn recv<'a>(&'a self, buffer: &'a mut [u8]) -> BoxFuture<'a, io::Result<usize>> {
        Box::pin(tun_rs::AsyncDevice::recv(self, buffer))
    }

    fn send<'a>(&'a self, packet: &'a [u8]) -> BoxFuture<'a, io::Result<()>> {
        Box::pin(async move { tun_rs::AsyncDevice::send(self, packet).await.map(drop) })
    }
}

/// Makes each device in a network namespace of its own, which has the device's name, its only way
/// out by the device, and ends with it. Uses iproute2.
#[derive(Debug, Clone, Copy, Default)]
pub struct NamespacedTuns;

impl Tuns for NamespacedTuns {
    fn create(&self, name: &str, addresses: &[IpAddr], mtu: u16) -> io::Result<Arc<dyn Tun>> {
        ip(&["netns", "add", name], "")?;
        let namespace = Namespace(name.to_owned());
        let device = tun_rs::DeviceBuilder::new().name(name).build_async()?;
        ip(&["link", "set", name, "netns", name], "")?;
        let mut batch = format!("link set lo up\nlink set {name} mtu {mtu} up\n");
        for address in addresses {
            let (length, all) = if address.is_ipv4() { (32, "0.0.0.0/0") } else { (128, "::/0") };
            batch += &format!("addr add {address}/{length} dev {name}\nroute add {all} dev {name}\n");
        }
        ip(&["-n", name, "-batch", "-"], &batch)?;
        Ok(Arc::new(NamespacedTun { device, _namespace: namespace }))
    }
}

/// Deleted with its value.
struct Namespace(String);

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Err(error) = ip(&["netns", "del", &self.0], "") {
            tracing::warn!(%error, "a network namespace stays");
        }
    }
}

struct NamespacedTun {
    device: tun_rs::AsyncDevice,
    _namespace: Namespace,
}

impl Tun for NamespacedTun {
    fn recv<'a>(&'a self, buffer: &'a mut [u8]) -> BoxFuture<'a, io::Result<usize>> {
        Tun::recv(&self.device, buffer)
    }

    fn send<'a>(&'a self, packet: &'a [u8]) -> BoxFuture<'a, io::Result<()>> {
        Tun::send(&self.device, packet)
    }
}

/// Runs iproute2's `ip`; its own words are the error.
fn ip(arguments: &[&str], input: &str) -> io::Result<()> {
    let mut child = Command::new("ip")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| io::Error::new(error.kind(), format!("ip (of iproute2): {error}")))?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that fails early says why itself.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("ip {}: {}", arguments.join(" "), said.trim())))
}

/// Carries packets between a device and a session until either ends. Two tasks, one a direction,
/// so that neither waits for the other.
pub(crate) fn pump(
    device: Arc<dyn Tun>,
    uplink: UplinkTunnel,
    mut downlink: mpsc::Receiver<Bytes>,
) -> [tokio::task::JoinHandle<()>; 2] {
    let writer = Arc::clone(&device);
    let down = tokio::spawn(async move {
        while let Some(packet) = downlink.recv().await {
            if let Err(error) = writer.send(&packet).await {
                tracing::debug!(%error, "a packet was not given to the TUN device");
            }
        }
    });
    let up = tokio::spawn(async move {
        let mut buffer = vec![0; PACKET_MAX];
        loop {
            match device.recv(&mut buffer).await {
                Ok(length) => {
                    let Some(packet) = buffer.get(..length).filter(|packet| !packet.is_empty()) else {
                        continue;
                    };
                    // A full socket buffer loses a packet, as a radio would.
                    let _ = uplink.send(packet).await;
                }
                Err(error) => {
                    tracing::debug!(%error, "the TUN device has ended");
                    return;
                }
            }
        }
    });
    [down, up]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use std::time::Duration;

    /// Needs /dev/net/tun and the right to use it; says so where it has not.
    #[tokio::test]
    async fn programs_reach_a_device_without_any_route() {
        let name = format!("uetest{}", std::process::id() % 100_000);
        let address = Ipv4Addr::new(198, 18, 0, 1);
        let device = match HostTuns.create(&name, &[address.into()], 1400) {
            Ok(device) => device,
            Err(error) => {
                println!("SKIPPED ue-ransim tun::tests::programs_reach_a_device_without_any_route: {error}");
                return;
            }
        };
        let socket = tokio::net::UdpSocket::bind((address, 0)).await.unwrap();
        socket.bind_device(Some(name.as_bytes())).unwrap();
        let target = Ipv4Addr::new(198, 18, 7, 7);
        socket.send_to(b"hello", (target, 9)).await.unwrap();
        let packet = user_datagram(&*device).await;
        assert_eq!(packet[16..20], target.octets());
        assert!(packet.ends_with(b"hello"));
    }
    #[tokio::test]
    async fn a_namespace_has_no_way_out_but_its_device() {
        let name = format!("uens{}", std::process::id() % 100_000);
        let device = match NamespacedTuns.create(&name, &[Ipv4Addr::new(198, 18, 0, 2).into()], 1400) {
            Ok(device) => device,
            Err(error) => {
                println!("SKIPPED ue-ransim tun::tests::a_namespace_has_no_way_out_but_its_device: {error}");
                return;
            }
        };
        let script = "echo hello >/dev/udp/203.0.113.9/9";
        let sent = Command::new("ip").args(["netns", "exec", &name, "bash", "-c", script]).status();
        assert!(sent.unwrap().success());
        let packet = user_datagram(&*device).await;
        assert_eq!(packet[12..20], [198, 18, 0, 2, 203, 0, 113, 9]);
        drop(device);
        assert!(!std::path::Path::new("/run/netns").join(&name).exists());
    }

    /// The next UDP datagram that a program sent; the kernel sends packets of its own, such as
    /// router solicitations.
    async fn user_datagram(device: &dyn Tun) -> Vec<u8> {
        let mut buffer = [0; 2048];
        let received = tokio::time::timeout(Duration::from_secs(5), async {
            loop {
                let length = device.recv(&mut buffer).await.unwrap();
                if buffer[0] >> 4 == 4 && buffer[9] == 17 {
                    return buffer[..length].to_vec();
                }
            }
        });
        received.await.unwrap()
    }
}
