//! Event loops of other kinds, and nothing to do.

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::time::Duration;

use rustix::event::epoll;
use sbi_shm::{ConnectOptions, ListenOptions, ShmStream};

use crate::child::Process;
use crate::node::{Direct as Node, at};

const OCTETS: usize = 1 << 20;

/// One end, as an event loop sees it.
struct End {
    stream: ShmStream,
    sent: usize,
    got: Vec<u8>,
}

impl End {
    /// Reads and writes until both would block.
    fn go_on(&mut self, data: &[u8]) {
        loop {
            let mut buffer = [0; 10_000];
            let read = match self.stream.read(&mut buffer) {
                Ok(n) => n,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                    0
                }
            };
            self.got.extend_from_slice(&buffer[..read]);
            let written = match self.stream.write(&data[self.sent..]) {
                Ok(n) => n,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                    0
                }
            };
            self.sent += written;
            if read == 0 && written == 0 {
                return;
            }
        }
    }
}

#[test]
fn when_a_plain_epoll_loop_drives_both_ends_then_a_mebibyte_goes_both_ways() {
    let node = Node::new();
    let (server, client) = (node.attach("server"), node.attach("client"));
    let listener = server.listen(at("127.0.0.1:80"), &ListenOptions::default()).unwrap();
    let (near, far) = std::thread::scope(|scope| {
        let accepting = scope.spawn(|| listener.accept().unwrap().0);
        (client.connect(at("127.0.0.1:80"), &ConnectOptions::default()).unwrap(), accepting.join().unwrap())
    });
    let data: Vec<u8> = (0..OCTETS).map(|at| (at * 13 / 5) as u8).collect();
    let events = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    let mut ends = [near, far].map(|stream| {
        stream.set_nonblocking(true);
        End { stream, sent: 0, got: Vec::new() }
    });
    for (number, end) in ends.iter().enumerate() {
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        let token = epoll::EventData::new_u64(number as u64);
        epoll::add(&events, end.stream.event_fd().unwrap().as_fd(), token, flags).unwrap();
    }
    while ends.iter().any(|end| end.got.len() < OCTETS) {
        let mut ready = Vec::with_capacity(8);
        let patience = rustix::event::Timespec { tv_sec: 60, tv_nsec: 0 };
        let n = epoll::wait(&events, rustix::buffer::spare_capacity(&mut ready), Some(&patience)).unwrap();
        assert!(n > 0, "nobody is woken");
        for event in ready {
            ends[event.data.u64() as usize].go_on(&data);
        }
    }
    assert!(ends.iter().all(|end| end.got == data));
}

#[test]
fn when_nothing_moves_then_no_processor_time_is_used() {
    let node = Node::new();
    let stack = node.attach("server");
    let listener = stack.listen(at("127.0.0.1:80"), &ListenOptions::default()).unwrap();
    let mut idle = Process::start("idle", &[node.socket(), "127.0.0.1:80"]);
    let _held: Vec<_> = (0..16).map(|_| listener.accept().unwrap()).collect();
    let used = Duration::from_micros(idle.line().parse().unwrap());
    println!("a process with 16 idle connections used {used:?} of a processor in 2 s");
    assert!(used < Duration::from_millis(20), "{used:?}");
}
