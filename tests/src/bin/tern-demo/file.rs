//! The file that crosses the user plane, and its server in the data network.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// How long a fetch may take in whole.
const FETCH_TIME: Duration = Duration::from_secs(30);
const CHUNK_LEN: usize = 16 * 1024;
/// Headers of a response end here.
const HEADERS_END: &[u8] = b"\r\n\r\n";

/// Serves the file over HTTP/1.1 until the process is ended.
pub async fn serve(at: SocketAddr, len: u64) -> Result<()> {
    let listener = TcpListener::bind(at).await?;
    println!("serving {len} octets at {at}");
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            // A client that leaves in the middle is its own affair.
            let _ = send_file(stream, len).await;
        });
    }
}

async fn send_file(mut stream: TcpStream, len: u64) -> Result<()> {
    let mut request = [0; 1024];
    let _ = stream.read(&mut request).await?;
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {len}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    let mut chunk = [0; CHUNK_LEN];
    let mut at = 0;
    while at < len {
        let part = chunk.len().min(usize::try_from(len - at)?);
        (0..).zip(&mut chunk[..part]).for_each(|(offset, octet)| *octet = octet_at(at + offset));
        stream.write_all(&chunk[..part]).await?;
        at += part as u64;
    }
    stream.shutdown().await?;
    Ok(())
}

/// Fetches the file through `device`, checks every octet, and prints what it took.
pub async fn fetch(from: SocketAddr, device: &str, len: u64) -> Result<()> {
    tokio::time::timeout(FETCH_TIME, fetch_file(from, device, len)).await?
}

async fn fetch_file(from: SocketAddr, device: &str, len: u64) -> Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.bind_device(Some(device.as_bytes()))?;
    let started = Instant::now();
    let mut stream = socket.connect(from).await?;
    stream.write_all(format!("GET / HTTP/1.1\r\nHost: {from}\r\n\r\n").as_bytes()).await?;

    let mut received = Vec::with_capacity(CHUNK_LEN);
    let body = loop {
        ensure!(stream.read_buf(&mut received).await? > 0, "the connection ended within the headers");
        if let Some(end) = received.windows(HEADERS_END.len()).position(|window| window == HEADERS_END) {
            break received.split_off(end + HEADERS_END.len());
        }
    };
    let mut at = check(&body, 0)?;
    let mut chunk = vec![0; CHUNK_LEN];
    loop {
        match stream.read(&mut chunk).await? {
            0 => break,
            read => at = check(&chunk[..read], at)?,
        }
    }
    ensure!(at == len, "{at} octets of {len} arrived");
    let seconds = started.elapsed().as_secs_f64();
    println!("fetched {at} octets in {seconds:.3} s, {:.1} Mbit/s", at as f64 * 8.0 / seconds / 1e6);
    Ok(())
}

fn check(octets: &[u8], at: u64) -> Result<u64> {
    let wrong = (at..).zip(octets).find(|&(position, &octet)| octet != octet_at(position));
    ensure!(wrong.is_none(), "a wrong octet at {}", wrong.map_or(0, |(position, _)| position));
    Ok(at + octets.len() as u64)
}

/// The file's content: no two blocks alike, so that a lost or repeated one is seen.
fn octet_at(position: u64) -> u8 {
    (position.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
}
