//! `tern n2`: the N2 termination as a process of its own, which survives the AMF.

use anyhow::Context as _;
use tern_nf::{Clock, Env, LocalListener, Shutdown};
use tern_types::Duration;
use tokio::sync::mpsc;

use super::bridge;
use super::config::Config;
use super::net::{AmfLink, Edge, link};

/// Between attempts to accept, where one has failed.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Runs N2 for whatever AMF comes to the local socket, one at a time: a second one waits until
/// the first is gone. It listens for gNBs once an AMF has told what it serves, and keeps them
/// when that AMF is gone.
pub async fn run(config: Config, env: Env, shutdown: Shutdown) -> anyhow::Result<()> {
    let path = config.bridge.clone().context("`bridge`: the local socket for the AMF is missing")?;
    let listener = env.locals.bind(&path).await.with_context(|| format!("`bridge`: {}", path.display()))?;
    let (arrivals, arriving) = mpsc::channel(1);
    env.ready(&format!("unix:{}", path.display()));
    let clock = env.clock;
    // Not as a task: the socket is free once this is over, whatever ends it.
    tokio::select! {
        biased;
        () = Edge::new(config, env, arriving).run(shutdown) => {}
        () = accept(listener, clock, arrivals) => {}
    }
    Ok(())
}

async fn accept(mut listener: LocalListener, clock: Clock, arrivals: mpsc::Sender<AmfLink>) {
    loop {
        let stream = match listener.accept().await {
            Ok(stream) => stream,
            Err(error) => {
                tracing::error!(%error, "an AMF could not be accepted");
                clock.sleep(ACCEPT_AGAIN).await;
                continue;
            }
        };
        let (amf, n2) = link();
        tokio::spawn(bridge::serve(stream, amf.commands, amf.events));
        if arrivals.send(n2).await.is_err() {
            return;
        }
    }
}
