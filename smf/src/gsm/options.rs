//! Extended protocol configuration options (TS 24.008 §10.5.6.3): what the UE asks for, and the
//! answer, which holds nothing that was not asked for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::Bytes;
use tern_nas::nas_5gs::{NasExtendedProtocolConfigurationOptions, Pco, PcoDirection, PcoEntry};

use crate::config::DataNetwork;
use crate::context::{Granted, IPCP_LEN_MAX, RequestedOptions};

const P_CSCF_IPV6: u16 = 0x0001;
const DNS_IPV6: u16 = 0x0003;
const P_CSCF_IPV4: u16 = 0x000c;
const DNS_IPV4: u16 = 0x000d;
const LINK_MTU_IPV4: u16 = 0x0010;
const IPCP: u16 = 0x8021;

/// Server addresses told at most, of each kind.
const SERVERS_MAX: usize = 4;

/// Reads what the UE asks for.
pub fn requested(options: Option<&NasExtendedProtocolConfigurationOptions>) -> RequestedOptions {
    let mut requested = RequestedOptions::default();
    let Some(options) = options.and_then(|options| options.pco(PcoDirection::Uplink)) else {
        return requested;
    };
    for entry in &options.entries {
        match entry.identifier {
            DNS_IPV6 => requested.dns_ipv6 = true,
            DNS_IPV4 => requested.dns = true,
            LINK_MTU_IPV4 => requested.mtu = true,
            P_CSCF_IPV6 => requested.p_cscf_ipv6 = true,
            P_CSCF_IPV4 => requested.p_cscf = true,
            IPCP if entry.contents.len() <= IPCP_LEN_MAX => {
                requested.ipcp = Some(Bytes::copy_from_slice(&entry.contents));
            }
            _ => {}
        }
    }
    requested
}

/// The answer; `None` if nothing was asked for that this network has. Servers are told by addresses of a version of IP
/// that the session has.
pub fn answer(
    requested: &RequestedOptions,
    network: &DataNetwork,
    granted: &Granted,
) -> Option<NasExtendedProtocolConfigurationOptions> {
    let mut entries = Vec::new();
    let mut push = |identifier, contents: Vec<u8>| entries.push(PcoEntry { identifier, contents });
    if granted.ipv6.is_some() {
        for (is_asked, identifier, servers) in [
            (requested.p_cscf_ipv6, P_CSCF_IPV6, &network.p_cscf),
            (requested.dns_ipv6, DNS_IPV6, &network.dns),
        ] {
            let told = v6(servers).filter(|_| is_asked).take(SERVERS_MAX);
            told.for_each(|server| push(identifier, server.octets().to_vec()));
        }
    }
    if let Some(address) = granted.ipv4 {
        let dns: Vec<Ipv4Addr> = v4(&network.dns).collect();
        if let Some(packet) = requested.ipcp.as_ref().and_then(|request| ipcp(request, &dns, address)) {
            push(IPCP, packet);
        }
        for (is_asked, identifier, servers) in
            [(requested.dns, DNS_IPV4, &network.dns), (requested.p_cscf, P_CSCF_IPV4, &network.p_cscf)]
        {
            let told = v4(servers).filter(|_| is_asked).take(SERVERS_MAX);
            told.for_each(|server| push(identifier, server.octets().to_vec()));
        }
        if requested.mtu {
            push(LINK_MTU_IPV4, network.mtu.to_be_bytes().to_vec());
        }
    }
    if entries.is_empty() {
        return None;
    }
    NasExtendedProtocolConfigurationOptions::from_pco(&Pco::new(0, entries), PcoDirection::Downlink).ok()
}

fn v4(servers: &[IpAddr]) -> impl Iterator<Item = Ipv4Addr> {
    servers.iter().filter_map(|server| match server {
        IpAddr::V4(address) => Some(*address),
        IpAddr::V6(_) => None,
    })
}

fn v6(servers: &[IpAddr]) -> impl Iterator<Item = Ipv6Addr> {
    servers.iter().filter_map(|server| match server {
        IpAddr::V6(address) => Some(*address),
        IpAddr::V4(_) => None,
    })
}

/// Answers an IPCP Configure-Request (RFC 1332 §3) that asks for DNS servers (RFC 1877 §1):
/// Configure-Nak with the values to use, as long as they differ from those asked for;
/// Configure-Reject of options that are not known here.
fn ipcp(request: &[u8], dns: &[Ipv4Addr], address: Ipv4Addr) -> Option<Vec<u8>> {
    const REQUEST: u8 = 1;
    const ACK: u8 = 2;
    const NAK: u8 = 3;
    const REJECT: u8 = 4;
    let (&[code, identifier, high, low], _) = request.split_first_chunk::<4>()?;
    let length = usize::from(u16::from_be_bytes([high, low]));
    let mut options = request.get(4..length)?;
    if code != REQUEST {
        return None;
    }
    let (mut nak, mut reject, all) = (Vec::new(), Vec::new(), options.to_vec());
    while let Some((&[kind, length], _)) = options.split_first_chunk::<2>() {
        let (option, rest) = options.split_at_checked(usize::from(length)).filter(|(o, _)| o.len() >= 2)?;
        options = rest;
        let wanted = match kind {
            3 => Some(address),
            129 => dns.first().copied(),
            131 => dns.get(1).copied(),
            _ => None,
        };
        match wanted {
            Some(value) if option.len() == 6 => {
                if option[2..] != value.octets() {
                    nak.extend_from_slice(&[kind, 6]);
                    nak.extend_from_slice(&value.octets());
                }
            }
            _ => reject.extend_from_slice(option),
        }
    }
    let (code, options) = match (reject.is_empty(), nak.is_empty()) {
        (false, _) => (REJECT, reject),
        (true, false) => (NAK, nak),
        (true, true) => (ACK, all),
    };
    let length = u16::try_from(options.len() + 4).ok()?.to_be_bytes();
    let mut packet = vec![code, identifier, length[0], length[1]];
    packet.extend(options);
    Some(packet)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DNS: [Ipv4Addr; 1] = [Ipv4Addr::new(1, 1, 1, 1)];
    const UE: Ipv4Addr = Ipv4Addr::new(10, 45, 0, 2);

    #[test]
    fn when_ipcp_asks_for_dns_then_nak_tells_it() {
        let request = [1, 7, 0, 10, 129, 6, 0, 0, 0, 0];
        assert_eq!(ipcp(&request, &DNS, UE).unwrap(), [3, 7, 0, 10, 129, 6, 1, 1, 1, 1]);
        let agreed = [1, 8, 0, 10, 129, 6, 1, 1, 1, 1];
        assert_eq!(ipcp(&agreed, &DNS, UE).unwrap(), [2, 8, 0, 10, 129, 6, 1, 1, 1, 1]);
    }

    #[test]
    fn when_ipcp_asks_for_what_is_not_there_then_it_is_rejected() {
        let request = [1, 7, 0, 16, 129, 6, 0, 0, 0, 0, 131, 6, 0, 0, 0, 0];
        assert_eq!(ipcp(&request, &DNS, UE).unwrap(), [4, 7, 0, 10, 131, 6, 0, 0, 0, 0]);
    }

    #[test]
    fn when_ipcp_is_garbage_then_it_is_not_answered() {
        for garbage in
            [&[][..], &[1, 7, 0], &[1, 7, 0, 99], &[1, 7, 0, 6, 129, 0], &[1, 7, 0, 6, 129, 9], &[1, 7, 0, 1]]
        {
            assert_eq!(ipcp(garbage, &DNS, UE), None, "{garbage:?}");
        }
    }
}
