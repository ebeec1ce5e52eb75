//! N3 in memory, and a data network that answers pings.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tern_gtpu::{GpduHeader, Packet, PduSessionContainer};
use tokio::sync::{Mutex as AsyncMutex, mpsc};
use ue_ransim::env::{BoxFuture, Datagram, Datagrams};
use ue_ransim::icmp::Echo;

type Sent = (Vec<u8>, SocketAddr);

/// All endpoints of a network.
#[derive(Clone, Default)]
pub struct Memory(Arc<Mutex<BTreeMap<SocketAddr, mpsc::UnboundedSender<Sent>>>>);

pub struct Endpoint {
    at: SocketAddr,
    network: Memory,
    inbox: AsyncMutex<mpsc::UnboundedReceiver<Sent>>,
}

impl Memory {
    pub fn endpoint(&self, at: SocketAddr) -> Endpoint {
        let (sender, inbox) = mpsc::unbounded_channel();
        self.0.lock().unwrap().insert(at, sender);
        Endpoint { at, network: self.clone(), inbox: AsyncMutex::new(inbox) }
    }
}

impl Datagrams for Memory {
    fn bind(&self, at: SocketAddr) -> BoxFuture<'_, io::Result<Arc<dyn Datagram>>> {
        Box::pin(async move { Ok(Arc::new(self.endpoint(at)) as Arc<dyn Datagram>) })
    }
}

impl Datagram for Endpoint {
    fn send_to<'a>(&'a self, data: &'a [u8], to: SocketAddr) -> BoxFuture<'a, io::Result<()>> {
        Box::pin(async move {
            if let Some(inbox) = self.network.0.lock().unwrap().get(&to) {
                let _ = inbox.send((data.to_vec(), self.at));
            }
            Ok(())
        })
    }

    fn recv_from<'a>(&'a self, buffer: &'a mut [u8]) -> BoxFuture<'a, io::Result<(usize, SocketAddr)>> {
        Box::pin(async move {
            let received = self.inbox.lock().await.recv().await;
            let (data, from) = received.ok_or(io::ErrorKind::BrokenPipe)?;
            let length = data.len().min(buffer.len());
            buffer[..length].copy_from_slice(&data[..length]);
            Ok((length, from))
        })
    }
}

/// The gNB's ends of the tunnels, by the UPF's own TEID.
pub type Downlinks = Arc<Mutex<BTreeMap<u32, (u32, SocketAddr)>>>;

/// A UPF with a data network behind it, in which every host answers pings.
pub async fn upf(endpoint: Endpoint, downlinks: Downlinks, qfi: u8) {
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
