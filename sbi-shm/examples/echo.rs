//! An echo server and its client, blocking, with the manager in a thread.
//!
//! `cargo run --release -p sbi-shm --example echo`

use std::error::Error;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr};

use sbi_shm::manager::{Domain, Manager, ManagerOptions};
use sbi_shm::{AttachOptions, ConnectOptions, ListenOptions, ShmStream, Stack};

fn main() -> Result<(), Box<dyn Error>> {
    let socket = format!("@sbi-shm-echo-{}", std::process::id());
    let user = rustix::process::geteuid().as_raw();
    let domain = Domain::new("example", user, vec!["127.0.0.0/8".parse()?]);
    let manager = Manager::bind(ManagerOptions { domains: vec![domain], ..ManagerOptions::new(&socket) })?;
    std::thread::spawn(move || manager.run(|line| println!("manager: {line}")));

    let at: SocketAddr = "127.0.0.1:7".parse()?;
    let server = Stack::attach(&AttachOptions::new(&socket, "server"))?;
    let listener = server.listen(at, &ListenOptions::default())?;
    std::thread::spawn(move || {
        while let Ok((stream, client)) = listener.accept() {
            println!("server: a connection from {client}");
            std::thread::spawn(move || echo(stream));
        }
    });

    let client = Stack::attach(&AttachOptions::new(&socket, "client"))?;
    let mut stream = client.connect(at, &ConnectOptions::default())?;
    stream.write_all(b"What is written comes back.")?;
    stream.shutdown(Shutdown::Write);
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    println!("client: {text}");
    Ok(())
}

fn echo(mut stream: ShmStream) -> std::io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        let n = stream.read(&mut buffer)?;
        if n == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..n])?;
    }
}
