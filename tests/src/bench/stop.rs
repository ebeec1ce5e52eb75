//! Ends a bench in order: what it has made goes with the values that made it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::signal::unix::{SignalKind, signal};

/// How often a task looks.
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// Whether SIGINT or SIGTERM came.
#[derive(Clone)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// From now on a signal asks to stop. A second one changes nothing: `sudo` and `timeout` pass on
    /// what the terminal has sent already, and it takes no longer than a round.
    pub fn on_signals() -> Result<Self> {
        let stop = Self(Arc::default());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let guard = runtime.enter();
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        drop(guard);
        let asked = stop.clone();
        std::thread::spawn(move || {
            runtime.block_on(async {
                loop {
                    tokio::select! {
                        _ = interrupt.recv() => {}
                        _ = terminate.recv() => {}
                    }
                    asked.0.store(true, Ordering::Relaxed);
                }
            });
        });
        Ok(stop)
    }

    /// An error once a signal came.
    pub fn check(&self) -> Result<()> {
        if self.0.load(Ordering::Relaxed) {
            bail!("stopped by a signal");
        }
        Ok(())
    }

    /// Does `work`, unless a signal comes; then what it has made is dropped.
    pub fn unless_asked<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let asked = async {
                loop {
                    if let Err(error) = self.check() {
                        return error;
                    }
                    tokio::time::sleep(LOOK_PAUSE).await;
                }
            };
            tokio::select! {
                biased;
                done = work => done,
                error = asked => Err(error),
            }
        })
    }
}
