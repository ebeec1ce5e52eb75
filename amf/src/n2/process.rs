//! `tern n2`: the N2 termination as a process of its own, which survives the AMF.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use tern_nf::{Env, Shutdown};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;

use super::bridge;
use super::config::Config;
use super::net::{AmfLink, Edge, link};

/// Runs N2 for whatever AMF comes to the local socket, one at a time: a second one waits until
/// the first is gone. It listens for gNBs once an AMF has told what it serves, and keeps them
/// when that AMF is gone.
pub async fn run(config: Config, env: Env, shutdown: Shutdown) -> anyhow::Result<()> {
    let path = config.bridge.clone().context("`bridge`: the local socket for the AMF is missing")?;
    let listener = bind(&path).await.with_context(|| format!("`bridge`: {}", path.display()))?;
    let (arrivals, arriving) = mpsc::channel(1);
    let accepting = tokio::spawn(accept(listener, arrivals));
    env.ready(&format!("unix:{}", path.display()));
    Edge::new(config, env, arriving).run(shutdown).await;
    accepting.abort();
    // The next start removes it too; it may be gone already.
    let _ = std::fs::remove_file(&path);
    Ok(())
}

/// Binds the socket, for this user alone. What a dead process left there is removed.
async fn bind(path: &Path) -> io::Result<UnixListener> {
    if UnixStream::connect(path).await.is_ok() {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

async fn accept(listener: UnixListener, arrivals: mpsc::Sender<AmfLink>) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::error!(%error, "an AMF could not be accepted");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                continue;
            }
        };
        if !may_attach(&stream) {
            tracing::warn!("a process of another user is refused as AMF");
            continue;
        }
        tracing::info!("an AMF is attached");
        let (amf, n2) = link();
        tokio::spawn(bridge::serve(stream, amf.commands, amf.events));
        if arrivals.send(n2).await.is_err() {
            return;
        }
    }
}

/// The kernel names the peer's user: ours or root.
fn may_attach(stream: &UnixStream) -> bool {
    let own = std::fs::metadata("/proc/self").map(|own| std::os::unix::fs::MetadataExt::uid(&own));
    match (stream.peer_cred(), own) {
        (Ok(peer), Ok(own)) => peer.uid() == own || peer.uid() == 0,
        _ => false,
    }
}
