//! A data network that answers pings.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tern_gtpu::{GpduHeader, Packet, PduSessionContainer};
use ue_ransim::env::Datagram;
use ue_ransim::icmp::Echo;

/// The gNB's ends of the tunnels, by the UPF's own TEID.
pub type Downlinks = Arc<Mutex<BTreeMap<u32, (u32, SocketAddr)>>>;

/// A UPF with a data network behind it, in which every host answers pings.
pub async fn upf(endpoint: Arc<dyn Datagram>, downlinks: Downlinks, qfi: u8) {
    let mut buffer = vec![0; 2048];
    while let Ok((length, _)) = endpoint.recv_from(&mut buffer).await {
        let packet = Packet::parse(&buffer[..length]).unwrap();
        let container = packet.container.unwrap();
        assert!(container.uplink);
        let Some(echo) = Echo::read_request(packet.payload) else { continue };
        let Some((teid, to)) = downlinks.lock().unwrap().get(&packet.teid).copied() else { continue };
        let reply = Echo { source: echo.destination, destination: echo.source, ..echo };
        let payload = reply.reply(packet.payload.len() - 28);
        let header = GpduHeader { teid, container: Some(PduSessionContainer::downlink(qfi)) };
        let mut out = vec![0; header.length()];
        header.write(&mut out, payload.len());
        out.extend(payload);
        endpoint.send_to(&out, to).await.unwrap();
    }
}
