//! Ports without a device: cables in memory and null devices, on ordinary pages.
#![cfg(feature = "dpdk")]

use std::sync::OnceLock;

use tern_dpdk::{BURST, DpdkError, Eal, Frame, Memory, Options, Port, Queue};

const BUFFERS: u32 = 8_191;

fn options() -> Options {
    Options {
        devices: vec!["net_null0,size=80".to_owned()],
        memory: Memory::Ordinary,
        memory_mib: 64,
        buffers: BUFFERS,
        frame_max: 2_048,
        cpu: 0,
    }
}

fn eal() -> Eal {
    static EAL: OnceLock<Eal> = OnceLock::new();
    *EAL.get_or_init(|| Eal::start(&options()).expect("DPDK starts on ordinary pages"))
}

/// Both ends of a new cable.
fn cable(name: &str, queues: u16) -> [Vec<Queue>; 2] {
    let names = eal().cable(&format!("{name}_a"), &format!("{name}_b"), queues).expect("a cable");
    names.map(|name| Port::start(eal(), &name, queues, 1_500).expect("a port"))
}

fn send(queue: &mut Queue, octets: &[u8]) {
    queue.frame(octets.len()).expect("a buffer").copy_from_slice(octets);
}

/// All that waits on a queue.
fn drain(queue: &mut Queue) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while queue.receive(BURST, |frame| frames.push(frame.to_vec())) > 0 {}
    frames
}

/// What waits on a queue, at most a burst.
fn burst(queue: &mut Queue) -> Vec<Frame> {
    let mut frames = Vec::new();
    queue.receive(BURST, |frame| frames.push(frame));
    frames
}

#[test]
fn when_frames_are_sent_then_the_other_end_has_them_on_the_same_queue_in_order() {
    let [mut near, mut far] = cable("order", 2);
    for number in 0..200u8 {
        send(&mut near[usize::from(number % 2)], &[number; 60]);
    }
    assert_eq!(near.iter_mut().map(Queue::flush).sum::<usize>(), 0);
    for (at, queue) in far.iter_mut().enumerate() {
        let numbers: Vec<u8> = drain(queue).iter().map(|frame| frame[59]).collect();
        let expected: Vec<u8> = (0..200).filter(|number| usize::from(number % 2) == at).collect();
        assert_eq!(numbers, expected, "queue {at}");
    }
}

/// As the data path does: a header less in front, and another one.
#[test]
fn when_a_frame_is_sent_in_its_buffer_then_it_has_the_room_in_front_and_no_buffer_is_lost() {
    let [mut near, mut far] = cable("again", 1);
    // Several times as many as there are buffers.
    for number in 0..BUFFERS * 4 {
        let octets: Vec<u8> = (0..100).map(|at| (at + number) as u8).collect();
        send(&mut near[0], &octets);
        near[0].flush();
        let mut frame = burst(&mut far[0]).pop().expect("a frame");
        assert!(frame.start >= 128, "room for headers, not {}", frame.start);
        frame.start -= 82;
        frame.length += 82;
        let start = frame.start;
        frame.buffer[start..start + 82].fill(7);
        far[0].send(frame);
        assert_eq!(far[0].flush(), 0);
        let back = burst(&mut near[0]).pop().expect("the same frame");
        assert_eq!(*back, [&[7; 82][..], &octets].concat());
    }
}

#[test]
fn when_a_frame_says_that_it_is_longer_than_its_buffer_then_it_is_cut() {
    let [mut near, mut far] = cable("cut", 1);
    send(&mut near[0], &[1; 60]);
    near[0].flush();
    let mut frame = burst(&mut far[0]).pop().expect("a frame");
    let size = frame.buffer.len();
    (frame.start, frame.length) = (size - 100, usize::MAX);
    assert!(frame.is_empty());
    far[0].send(frame);
    far[0].flush();
    assert_eq!(burst(&mut near[0]).pop().map(|back| back.len()), Some(100));
}

#[test]
fn when_a_frame_belongs_to_another_queue_then_that_one_has_it_once_and_in_order() {
    let [mut near, mut far] = cable("owner", 3);
    for number in 0..240u8 {
        send(&mut near[0], &[number; 64]);
    }
    near[0].flush();
    let mut kept = Vec::new();
    loop {
        let frames = burst(&mut far[0]);
        if frames.is_empty() {
            break;
        }
        for frame in frames {
            match usize::from(frame[0] % 3) {
                0 => kept.push(frame[0]),
                other => far[0].give(other, frame),
            }
        }
    }
    assert_eq!(kept, (0..240).step_by(3).collect::<Vec<u8>>());
    assert_eq!(far[0].flush(), 0);
    for (at, queue) in far.iter_mut().enumerate().skip(1) {
        let frames = drain(queue);
        assert!(frames.iter().all(|frame| frame == &[frame[0]; 64]), "whole frames");
        let numbers: Vec<u8> = frames.iter().map(|frame| frame[0]).collect();
        assert_eq!(numbers, (at as u8..240).step_by(3).collect::<Vec<u8>>(), "queue {at}");
    }
}

#[test]
fn when_another_queue_does_not_take_its_frames_then_they_are_counted_and_no_buffer_is_lost() {
    let [mut near, mut far] = cable("full", 2);
    let (mut sent, mut refused) = (0, 0);
    // Several times as many as there are buffers.
    while sent < BUFFERS as usize * 4 {
        for _ in 0..BURST {
            send(&mut near[0], &[7; 60]);
        }
        assert_eq!(near[0].flush(), 0);
        let frames = burst(&mut far[0]);
        assert_eq!(frames.len(), BURST);
        frames.into_iter().for_each(|frame| far[0].give(1, frame));
        refused += far[0].flush();
        sent += BURST;
    }
    let waited = drain(&mut far[1]).len();
    assert!(waited > 0 && refused > 0);
    assert_eq!(waited + refused, sent);
}

#[test]
fn when_a_null_device_is_asked_then_it_gives_frames_of_its_size_and_takes_any() {
    let mut queue = Port::start(eal(), "net_null0,size=80", 1, 1_500).expect("a port").remove(0);
    let mut lengths = Vec::new();
    let got = queue.receive(10, |frame| lengths.push(frame.len()));
    assert_eq!((got, lengths), (10, vec![80; 10]));
    for _ in 0..1_000 {
        send(&mut queue, &[0; 1_514]);
    }
    assert_eq!(queue.flush(), 0);
    assert!(queue.frame(100_000).is_none(), "no buffer is so long");
}

#[test]
fn when_what_is_asked_for_is_not_there_then_the_error_says_what() {
    let name = &eal().cable("few_a", "few_b", 1).expect("a cable")[0];
    let few = Port::start(eal(), name, 2, 1_500).err().expect("too few queues");
    assert!(matches!(&few, DpdkError::Queues { has: 1, wanted: 2, .. }), "{few}");
    let none = Port::start(eal(), "net_nothing0", 1, 1_500).err().expect("no such port").to_string();
    assert!(none.contains("net_nothing0"), "{none}");
    let nul = Port::start(eal(), "net\0", 1, 1_500).err().expect("a NUL");
    assert!(matches!(nul, DpdkError::Nul(_)), "{nul}");
    let many = eal().cable("many_a", "many_b", 1_000).map(drop).expect_err("too many queues").to_string();
    assert!(many.contains("many_a"), "{many}");
    assert!(matches!(Eal::start(&options()), Err(DpdkError::Started)));
}

#[test]
fn when_a_port_is_given_up_then_what_waits_in_its_inboxes_is_freed() {
    // Each port takes a good part of the buffers with it if they are not freed.
    for round in 0..8 {
        let [mut near, mut far] = cable(&format!("gone{round}"), 2);
        for _ in 0..31 {
            for _ in 0..BURST {
                send(&mut near[0], &[1; 60]);
            }
            near[0].flush();
            let frames = burst(&mut far[0]);
            assert_eq!(frames.len(), BURST);
            frames.into_iter().for_each(|frame| far[0].give(1, frame));
        }
        // And one that was written and not sent.
        send(&mut near[1], &[1; 60]);
        assert_eq!(far[0].flush(), 0);
    }
}
