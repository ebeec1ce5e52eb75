//! The UE's end of a session's user plane.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tern_gtpu::{GpduHeader, PduSessionContainer};
use tern_ngap::transfer::GtpTunnel;

use super::n3::{N3, WeakN3};
use crate::error::SimError;

/// Longest packet sent.
const PACKET_MAX: usize = 65_000;

/// Where a session's packets leave: by the gNB in whose cell the UE is. All clones of it move with the UE.
#[derive(Clone)]
pub struct UplinkTunnel(Arc<Mutex<Path>>);

/// By one gNB.
#[derive(Clone)]
pub(crate) struct Path {
    pub(super) n3: N3,
    pub(super) remote: GtpTunnel,
    /// The UPF's address of our version of IP.
    pub(super) to: IpAddr,
    pub(super) qfi: u8,
    /// Our own TEID: the tunnel closes with its last user.
    pub(super) local: Arc<LocalTeid>,
}

pub(super) struct LocalTeid {
    pub(super) n3: WeakN3,
    pub(super) teid: u32,
}

/// A session's uplink, for who must not keep it open.
#[derive(Clone, Default)]
pub(super) struct WeakUplink(Weak<Mutex<Path>>);

impl WeakUplink {
    /// While the session is used.
    pub(super) fn upgrade(&self) -> Option<UplinkTunnel> {
        self.0.upgrade().map(UplinkTunnel)
    }
}

impl UplinkTunnel {
    pub(super) fn new(path: Path) -> Self {
        Self(Arc::new(Mutex::new(path)))
    }

    pub(super) fn downgrade(&self) -> WeakUplink {
        WeakUplink(Arc::downgrade(&self.0))
    }

    /// From now on packets leave by another gNB.
    pub(super) fn switch(&self, path: Path) {
        let before = std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), path);
        // The tunnel of before may close with its path, which takes N3's lock: not under this one.
        drop(before);
    }

    /// The UPF has given another end to the tunnel.
    pub(super) fn set_remote(&self, remote: GtpTunnel) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remote = remote;
    }

    fn path(&self) -> Path {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends a packet of the UE on the session's default flow.
    pub async fn send(&self, packet: &[u8]) -> Result<(), SimError> {
        if packet.len() > PACKET_MAX {
            return Err(SimError::State(format!("a packet of {} octets", packet.len())));
        }
        let path = self.path();
        let container = Some(PduSessionContainer::uplink(path.qfi));
        let header = GpduHeader { teid: path.remote.teid, container };
        let mut datagram = vec![0; header.length() + packet.len()];
        let (head, body) = datagram.split_at_mut(header.length());
        header.write(head, packet.len());
        body.copy_from_slice(packet);
        path.n3.touch(path.local.teid);
        path.n3.count("n3.uplink");
        path.n3.send(&datagram, SocketAddr::new(path.to, tern_gtpu::PORT)).await
    }

    /// The UPF's end.
    pub fn remote(&self) -> GtpTunnel {
        self.path().remote
    }

    /// Our end's TEID.
    pub fn local_teid(&self) -> u32 {
        self.path().local.teid
    }

    /// The same tunnel towards a TEID that the UPF did not give, for tests.
    pub fn towards(&self, teid: u32) -> Self {
        let path = self.path();
        Self::new(Path { remote: GtpTunnel { teid, ..path.remote }, ..path })
    }
}

impl fmt::Debug for UplinkTunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path();
        f.debug_struct("UplinkTunnel").field("remote", &path.remote).field("qfi", &path.qfi).finish()
    }
}

impl Drop for LocalTeid {
    fn drop(&mut self) {
        if let Some(n3) = self.n3.n3() {
            n3.unused(self.teid);
        }
    }
}
