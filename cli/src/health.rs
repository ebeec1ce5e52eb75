//! Where a process tells liveness and readiness, and `tern health`, which asks: an image with nothing but
//! `tern` in it needs no other program for its health check.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use tern_nf::{HEALTH_VARIABLE, LIVE_PATH, READY_PATH};

/// How long a process may take to answer.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Octets of an answer that are read.
const ANSWER_MAX: u64 = 4096;

/// Where a process tells its health.
#[derive(Args, Clone)]
pub struct Endpoint {
    /// Address and port of GET /livez and GET /readyz; without it there is none
    #[arg(long = "health", value_name = "ADDRESS:PORT", env = HEALTH_VARIABLE)]
    pub address: Option<SocketAddr>,
}

#[derive(Args)]
#[command(after_help = "Exit status 0 only if the answer is yes.")]
pub struct Arguments {
    #[command(flatten)]
    endpoint: Endpoint,
    /// Ask whether it works at all, not whether it is registered and serves
    #[arg(long)]
    live: bool,
}

/// Asks and prints the answer.
pub fn main(arguments: &Arguments) -> ExitCode {
    match ask(arguments) {
        Ok(answer) => {
            println!("{answer}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("tern: {}", tern_nf::one_line(&error));
            ExitCode::FAILURE
        }
    }
}

fn ask(arguments: &Arguments) -> Result<String> {
    let Some(at) = arguments.endpoint.address else {
        bail!("where? --health ADDRESS:PORT or {HEALTH_VARIABLE} says it");
    };
    let path = if arguments.live { LIVE_PATH } else { READY_PATH };
    let (status, answer) = get(reachable(at), path).with_context(|| format!("http://{at}{path}"))?;
    ensure!(status == 200, "{status} {answer}");
    Ok(answer)
}

/// From this machine, what listens at every address is at the loopback one.
fn reachable(at: SocketAddr) -> SocketAddr {
    let ip = match at.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, at.port())
}

/// Status and text of the answer.
fn get(at: SocketAddr, path: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&at, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(ANSWER_MAX).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, text) = answer.split_once("\r\n\r\n").context("the answer is cut")?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    Ok((status.context("the answer is no HTTP")?, text.trim().to_owned()))
}
