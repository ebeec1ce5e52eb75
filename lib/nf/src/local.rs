//! Local streams between processes of one machine and one user, and what stands for them in a simulation.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;

/// Mode of a socket: this user's alone.
const PRIVATE: u32 = 0o600;
/// Octets that a stream of a simulation holds in one direction.
const MEMORY_OCTETS: usize = 64 << 10;
/// Streams of a simulation that wait to be accepted.
const MEMORY_BACKLOG: usize = 16;

/// A stream of octets both ways.
pub trait LocalStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> LocalStream for T {}

/// Where local streams are made.
#[derive(Debug, Clone)]
pub enum Locals {
    /// Unix sockets.
    Kernel,
    /// A simulation's own.
    Memory(MemoryLocals),
}

/// Listeners of a simulation by path.
#[derive(Debug, Clone, Default)]
pub struct MemoryLocals(Arc<Mutex<BTreeMap<PathBuf, mpsc::Sender<DuplexStream>>>>);

impl MemoryLocals {
    fn listeners(&self) -> MutexGuard<'_, BTreeMap<PathBuf, mpsc::Sender<DuplexStream>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes streams at a path.
#[derive(Debug)]
pub enum LocalListener {
    /// A Unix socket, and where it is.
    Kernel(UnixListener, PathBuf),
    /// A simulation's.
    Memory(mpsc::Receiver<DuplexStream>),
}

impl Locals {
    /// Reaches who listens at `path`.
    ///
    /// # Errors
    /// Nobody does, or the kernel's.
    pub async fn connect(&self, path: &Path) -> io::Result<Box<dyn LocalStream>> {
        match self {
            Self::Kernel => Ok(Box::new(UnixStream::connect(path).await?)),
            Self::Memory(memory) => {
                let (near, far) = tokio::io::duplex(MEMORY_OCTETS);
                let listeners = memory.listeners();
                let listener = listeners.get(path).ok_or(io::ErrorKind::NotFound)?;
                listener.try_send(far).map_err(|_| io::ErrorKind::ConnectionRefused)?;
                Ok(Box::new(near))
            }
        }
    }

    /// Listens at `path`, for this user alone. What a dead process left there is removed.
    ///
    /// # Errors
    /// Somebody does already, or the kernel's.
    pub async fn bind(&self, path: &Path) -> io::Result<LocalListener> {
        match self {
            Self::Kernel => {
                if UnixStream::connect(path).await.is_ok() {
                    return Err(io::ErrorKind::AddrInUse.into());
                }
                remove(path)?;
                let listener = UnixListener::bind(path)?;
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(PRIVATE))?;
                Ok(LocalListener::Kernel(listener, path.to_owned()))
            }
            Self::Memory(memory) => {
                let mut listeners = memory.listeners();
                if listeners.get(path).is_some_and(|listener| !listener.is_closed()) {
                    return Err(io::ErrorKind::AddrInUse.into());
                }
                let (sender, receiver) = mpsc::channel(MEMORY_BACKLOG);
                listeners.insert(path.to_owned(), sender);
                Ok(LocalListener::Memory(receiver))
            }
        }
    }
}

impl LocalListener {
    /// The next stream. One of a process of another user is refused.
    ///
    /// # Errors
    /// The kernel's, or [`io::ErrorKind::PermissionDenied`]; the next one may be a good one.
    pub async fn accept(&mut self) -> io::Result<Box<dyn LocalStream>> {
        match self {
            Self::Kernel(listener, _) => {
                let (stream, _) = listener.accept().await?;
                if !is_of_this_user(&stream) {
                    return Err(io::ErrorKind::PermissionDenied.into());
                }
                Ok(Box::new(stream))
            }
            Self::Memory(streams) => match streams.recv().await {
                Some(stream) => Ok(Box::new(stream)),
                // Another listener has taken its place.
                None => std::future::pending().await,
            },
        }
    }
}

impl Drop for LocalListener {
    fn drop(&mut self) {
        if let Self::Kernel(_, path) = self {
            // The next one removes it too; it may be gone already.
            let _ = remove(path);
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The kernel names the peer's user: ours or root.
fn is_of_this_user(stream: &UnixStream) -> bool {
    let own = std::fs::metadata("/proc/self").map(|own| own.uid());
    match (stream.peer_cred(), own) {
        (Ok(peer), Ok(own)) => peer.uid() == own || peer.uid() == 0,
        _ => false,
    }
}
