//! An echo server and its client on one tokio runtime, with the manager in a thread.
//!
//! `cargo run --release -p sbi-shm --example echo_tokio`

use std::error::Error;
use std::net::SocketAddr;

use sbi_shm::manager::{Domain, Manager, ManagerOptions};
use sbi_shm::{AttachOptions, ConnectOptions, ListenOptions, Stack};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let socket = format!("@sbi-shm-echo-{}", std::process::id());
    let user = rustix::process::geteuid().as_raw();
    let domain = Domain::new("example", user, vec!["127.0.0.0/8".parse()?]);
    let manager = Manager::bind(ManagerOptions { domains: vec![domain], ..ManagerOptions::new(&socket) })?;
    std::thread::spawn(move || manager.run(|line| println!("manager: {line}")));

    let at: SocketAddr = "127.0.0.1:7".parse()?;
    let server = Stack::attach(&AttachOptions::new(&socket, "server"))?;
    let listener = server.listen_async(at, &ListenOptions::default()).await?;
    tokio::spawn(async move {
        while let Ok((stream, client)) = listener.accept_async().await {
            println!("server: a connection from {client}");
            tokio::spawn(async move {
                let (mut read, mut write) = tokio::io::split(stream);
                tokio::io::copy(&mut read, &mut write).await
            });
        }
    });

    let client = Stack::attach(&AttachOptions::new(&socket, "client"))?;
    let mut stream = client.connect_async(at, &ConnectOptions::default()).await?;
    stream.write_all(b"What is written comes back.").await?;
    AsyncWriteExt::shutdown(&mut stream).await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    println!("client: {text}");
    Ok(())
}
