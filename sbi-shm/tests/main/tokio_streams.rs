//! Streams on tokio, driven by the task or by the runtime's park hooks.

use sbi_shm::{ConnectOptions, ListenOptions, Stack};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::Node;
use crate::node::at;

async fn echo(server: Stack, client: Stack) {
    let listener = server.listen_async(at("127.0.0.1:80"), &ListenOptions::default()).await.unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept_async().await.unwrap();
            tokio::spawn(async move {
                let mut buffer = vec![0; 8192];
                while let Ok(n @ 1..) = stream.read(&mut buffer).await {
                    stream.write_all(&buffer[..n]).await.unwrap();
                }
            });
        }
    });
    let clients: Vec<_> = (0..20u8)
        .map(|number| {
            let client = client.clone();
            tokio::spawn(async move {
                let to = at("127.0.0.1:80");
                let stream = client.connect_async(to, &ConnectOptions::default()).await.unwrap();
                let (mut read, mut write) = tokio::io::split(stream);
                let sent = vec![number; 200_000];
                let expected = sent.clone();
                let writing = tokio::spawn(async move {
                    write.write_all(&sent).await.unwrap();
                    write.shutdown().await.unwrap();
                });
                let mut got = Vec::new();
                read.read_to_end(&mut got).await.unwrap();
                assert!(got == expected);
                writing.await.unwrap();
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
}

#[tokio::test]
async fn when_a_task_drives_then_all_is_echoed() {
    let node = Node::new();
    echo(node.attach("server"), node.attach("client")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_several_threads_run_tasks_then_all_is_echoed() {
    let node = Node::new();
    echo(node.attach("server"), node.attach("client")).await;
}

#[test]
fn when_the_runtime_drives_as_it_parks_then_all_is_echoed() {
    let node = Node::new();
    let end = |name| {
        let stack = node.attach(name);
        stack.hook_runtime();
        stack
    };
    let (server, client) = (end("server"), end("client"));
    let stacks = [server.clone(), client.clone()];
    let parking = stacks.clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .on_thread_park(move || parking.iter().for_each(Stack::before_park))
        .on_thread_unpark(move || stacks.iter().for_each(Stack::after_unpark))
        .build()
        .unwrap();
    runtime.block_on(echo(server, client));
}
