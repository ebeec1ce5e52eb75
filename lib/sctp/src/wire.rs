//! What the kernel's and usrsctp's socket interfaces share: socket addresses
//! in memory and the notifications of RFC 6458 §6.1.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// Room for a socket address (`sockaddr_storage`), octets.
const STORAGE: usize = 128;
const INET: usize = 16;
const INET6: usize = 28;

/// Socket addresses one after the other, each as long as its family's
/// structure: the form `bindx`, `connectx` and `getpaddrs` take and give.
pub(crate) fn pack(addresses: impl IntoIterator<Item = SocketAddr>) -> Vec<u8> {
    let mut packed = Vec::with_capacity(INET6);
    for address in addresses {
        match address {
            SocketAddr::V4(v4) => {
                packed.extend((libc::AF_INET as u16).to_ne_bytes());
                packed.extend(v4.port().to_be_bytes());
                packed.extend(v4.ip().octets());
                packed.extend([0; 8]);
            }
            SocketAddr::V6(v6) => {
                packed.extend((libc::AF_INET6 as u16).to_ne_bytes());
                packed.extend(v6.port().to_be_bytes());
                packed.extend(v6.flowinfo().to_ne_bytes());
                packed.extend(v6.ip().octets());
                packed.extend(v6.scope_id().to_ne_bytes());
            }
        }
    }
    packed
}

/// The first socket address of these octets, and how long it is.
pub(crate) fn unpack(octets: &[u8]) -> Option<(SocketAddr, usize)> {
    let family = i32::from(u16::from_ne_bytes(array(octets, 0)?));
    let port = u16::from_be_bytes(array(octets, 2)?);
    if family == libc::AF_INET {
        let ip = Ipv4Addr::from(array::<4>(octets, 4)?);
        return Some((SocketAddrV4::new(ip, port).into(), INET));
    }
    if family == libc::AF_INET6 {
        let ip = Ipv6Addr::from(array::<16>(octets, 8)?);
        if let Some(v4) = ip.to_ipv4_mapped() {
            return Some((SocketAddr::new(IpAddr::V4(v4), port), INET6));
        }
        let scope = u32::from_ne_bytes(array(octets, 24)?);
        return Some((SocketAddrV6::new(ip, port, 0, scope).into(), INET6));
    }
    None
}

/// A notification, as far as tern cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Notification {
    Up,
    Lost,
    Restart,
    ShutdownComplete,
    CannotStart,
    ShutdownReceived,
    PathAvailable(SocketAddr),
    PathUnreachable(SocketAddr),
    Other,
}

/// Numbers of the notification kinds: they differ between the stacks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kinds {
    pub association_change: u16,
    pub address_change: u16,
    pub shutdown: u16,
    /// `spc_state` of an address that answers again, and of one that does not.
    pub address_available: u32,
    pub address_unreachable: u32,
    /// `sac_state` of COMM_UP; the others follow in order.
    pub comm_up: u16,
}

/// Reads a notification; anything short or unknown is `Other`.
pub(crate) fn notification(octets: &[u8], kinds: &Kinds) -> Notification {
    parse(octets, kinds).unwrap_or(Notification::Other)
}

fn parse(octets: &[u8], kinds: &Kinds) -> Option<Notification> {
    let kind = u16::from_ne_bytes(array(octets, 0)?);
    if kind == kinds.shutdown {
        return Some(Notification::ShutdownReceived);
    }
    if kind == kinds.association_change {
        let state = u16::from_ne_bytes(array(octets, 8)?);
        return Some(match state.checked_sub(kinds.comm_up)? {
            0 => Notification::Up,
            1 => Notification::Lost,
            2 => Notification::Restart,
            3 => Notification::ShutdownComplete,
            4 => Notification::CannotStart,
            _ => Notification::Other,
        });
    }
    if kind == kinds.address_change {
        let (address, _) = unpack(octets.get(8..8 + STORAGE)?)?;
        let state = u32::from_ne_bytes(array(octets, 8 + STORAGE)?);
        if state == kinds.address_available {
            return Some(Notification::PathAvailable(address));
        }
        if state == kinds.address_unreachable {
            return Some(Notification::PathUnreachable(address));
        }
    }
    Some(Notification::Other)
}

fn array<const N: usize>(octets: &[u8], at: usize) -> Option<[u8; N]> {
    octets.get(at..at.checked_add(N)?)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_addresses_are_packed_then_they_unpack_in_order() {
        let addresses: Vec<SocketAddr> =
            ["192.0.2.1:38412", "[2001:db8::7]:38412"].map(|a| a.parse().expect("literal")).into();
        let packed = pack(addresses.iter().copied());
        let (first, length) = unpack(&packed).expect("the first");
        let (second, rest) = unpack(&packed[length..]).expect("the second");
        assert_eq!(vec![first, second], addresses);
        assert_eq!(length + rest, packed.len());
    }

    #[test]
    fn when_a_notification_is_cut_then_it_is_other() {
        let kinds = Kinds {
            association_change: 1,
            address_change: 2,
            shutdown: 5,
            address_available: 1,
            address_unreachable: 2,
            comm_up: 1,
        };
        let mut octets = vec![1, 0, 0, 0, 20, 0, 0, 0, 3, 0];
        assert_eq!(notification(&octets, &kinds), Notification::Restart);
        octets.truncate(9);
        assert_eq!(notification(&octets, &kinds), Notification::Other);
        assert_eq!(notification(&[], &kinds), Notification::Other);
    }
}
