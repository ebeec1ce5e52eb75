//! A network function as a process.

use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use serde::de::DeserializeOwned;
use tern_types::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

use crate::env::{Env, EnvOptions, ParkHooks};
use crate::health::Health;
use crate::shutdown::{Ready, Shutdown};

/// Environment variable with the log filter, such as `info,tern_amf=debug`.
pub const LOG_VARIABLE: &str = "TERN_LOG";

/// Waiting for blocking work (name resolution) when the process ends.
const RUNTIME_SHUTDOWN: Duration = Duration::from_millis(200);

/// Environment variable with the name that each line of the log begins with, in brackets: for a
/// launcher whose network functions write to one place.
pub const LOG_NAME_VARIABLE: &str = "TERN_LOG_NAME";

/// Runs a network function as this process: logs to standard error, reads the configuration
/// (defaults if no file is given), builds the real [`Env`], stops at SIGTERM and SIGINT (the
/// second one ends the process at once).
///
/// Once the function serves, one line goes to standard output: `ready <name> <apiRoot>`.
pub fn process_main<C, F, Fut>(
    name: &'static str,
    config: Option<&Path>,
    options: impl FnOnce(&C) -> EnvOptions,
    run: F,
) -> ExitCode
where
    C: DeserializeOwned,
    F: FnOnce(C, Env, Shutdown) -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    log_to_stderr();
    abort_on_panic();
    harden();
    let config = match config {
        Some(path) => tern_config::load(path),
        None => tern_config::parse("defaults", ""),
    };
    let config: C = match config {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{name}: {error}");
            return ExitCode::from(2);
        }
    };
    let hooks = ParkHooks::default();
    let (before, after) = (hooks.clone(), hooks.clone());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .on_thread_park(move || before.before_park())
        .on_thread_unpark(move || after.after_unpark())
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("{name}: no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(async {
        let options = EnvOptions { park_hooks: Some(hooks), ..options(&config) };
        let health = options.health;
        let env = Env::real(options)?;
        let shutdown = on_signals()?;
        let ready = env.readiness.clone();
        tell_health(health, &ready, &shutdown).await?;
        tokio::spawn(async move {
            let api_root = ready.wait().await;
            println!("ready {name} {api_root}");
        });
        run(config, env, shutdown).await
    });
    runtime.shutdown_timeout(RUNTIME_SHUTDOWN);
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{name}: {}", one_line(&error));
            ExitCode::FAILURE
        }
    }
}

/// Tells liveness and readiness at `at`, if anywhere.
pub async fn tell_health(at: Option<SocketAddr>, ready: &Ready, shutdown: &Shutdown) -> anyhow::Result<()> {
    if let Some(at) = at {
        let serving = Health::new(ready.clone(), shutdown.clone()).serve(at).await;
        serving.with_context(|| format!("cannot tell health at {at}"))?;
    }
    Ok(())
}

/// An error and its causes in one line. A cause that the error before it says already is left out.
pub fn one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if line.ends_with(&cause) {
            continue;
        }
        if !line.is_empty() {
            line.push_str(": ");
        }
        line.push_str(&cause);
    }
    line
}

/// Logs to standard error what the filter in [`LOG_VARIABLE`] lets through; `info` by default. Each
/// line is one write, so that processes can share a file or a pipe. Does nothing if a subscriber is
/// set already.
pub fn log_to_stderr() {
    use std::io::IsTerminal as _;
    let filter = tracing_subscriber::EnvFilter::try_from_env(LOG_VARIABLE)
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let name = LogName::of_process();
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && name.0.is_empty())
        .with_target(false)
        .with_timer(name)
        // It would be written to where nothing can be written, and end the process.
        .log_internal_errors(false)
        .try_init();
}

/// What each line of the log begins with, before its time: `[amf] ` or nothing.
struct LogName(String);

impl LogName {
    fn of_process() -> Self {
        Self(std::env::var(LOG_NAME_VARIABLE).map(|name| format!("[{name}] ")).unwrap_or_default())
    }
}

impl FormatTime for LogName {
    fn format_time(&self, line: &mut Writer<'_>) -> std::fmt::Result {
        line.write_str(&self.0)?;
        SystemTime.format_time(line)
    }
}

/// From now on a panic, in whichever task or thread, ends the process.
pub fn abort_on_panic() {
    let report = std::panic::take_hook();
    let name = LogName::of_process();
    std::panic::set_hook(Box::new(move |panic| {
        eprint!("{}", name.0);
        report(panic);
        std::process::abort();
    }));
}

/// From now on other processes of the same user can neither read this one's memory (subscribers' keys)
/// nor open its descriptors (what it shares with its peers), and it leaves no core dump.
pub fn harden() {
    if let Err(error) = tern_sbi_transport::harden() {
        tracing::warn!("other processes of this user can read this one's memory: {error}");
    }
}

/// Asked by SIGTERM or SIGINT. The second signal ends the process.
pub fn on_signals() -> std::io::Result<Shutdown> {
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (trigger, shutdown) = Shutdown::new();
    tokio::spawn(async move {
        let mut asked = false;
        loop {
            let name = tokio::select! {
                biased;
                _ = term.recv() => "SIGTERM",
                _ = int.recv() => "SIGINT",
            };
            if asked {
                tracing::warn!(signal = name, "ending at once");
                std::process::exit(1);
            }
            tracing::info!(signal = name, "stopping");
            trigger.shut_down();
            asked = true;
        }
    });
    Ok(shutdown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_error_repeats_of_its_cause_is_said_once() {
        let cause = tern_sctp::SctpError::Bind {
            address: "10.9.9.9:38412".parse().unwrap(),
            source: std::io::Error::other("no such address"),
        };
        let error = Err::<(), _>(cause).context("N2 cannot listen").unwrap_err();
        assert_eq!(one_line(&error), "N2 cannot listen: cannot bind 10.9.9.9:38412: no such address");
    }
}
