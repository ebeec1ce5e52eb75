//! N3 of the simulator over the datagrams of the simulated core.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tern_nf::{Datagrams as _, MemoryDatagrams};
use ue_ransim::env::{BoxFuture, Datagram, Datagrams};

/// Endpoints on the simulated network.
pub struct N3(pub MemoryDatagrams);

struct Endpoint(Arc<dyn tern_nf::Datagram>);

impl Datagrams for N3 {
    fn bind(&self, at: SocketAddr) -> BoxFuture<'_, io::Result<Arc<dyn Datagram>>> {
        Box::pin(async move { Ok(Arc::new(Endpoint(self.0.bind(at).await?)) as Arc<dyn Datagram>) })
    }
}

impl Datagram for Endpoint {
    fn send_to<'a>(&'a self, data: &'a [u8], to: SocketAddr) -> BoxFuture<'a, io::Result<()>> {
        self.0.send_to(data, to)
    }

    fn recv_from<'a>(&'a self, buffer: &'a mut [u8]) -> BoxFuture<'a, io::Result<(usize, SocketAddr)>> {
        self.0.recv_from(buffer)
    }
}
