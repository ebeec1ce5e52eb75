//! Processes of several users. They need root, who may start a process as anybody.

use std::path::Path;

use sbi_shm::manager::Domain;
use sbi_shm::{AttachError, AttachOptions, ConnectError, ConnectOptions, ListenOptions, Stack};

use crate::child::Process;
use crate::node::{Direct as Node, at, unused_socket};

/// `nobody`, and somebody else.
const OTHER: u32 = 65534;
const THIRD: u32 = 65533;

/// Whether the test can run; else it says that it does not.
fn is_root(test: &str) -> bool {
    if rustix::process::geteuid().is_root() {
        return true;
    }
    let name = format!("sbi-shm users::{test}");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/skips.txt");
    let list = std::fs::read_to_string(&file).unwrap();
    let reason =
        list.lines().filter_map(|line| line.split_once('|')).find(|(listed, _)| listed.trim() == name);
    let Some((_, reason)) = reason else { panic!("{name} cannot run here and is not in tests/skips.txt") };
    println!("SKIPPED {name}: {}", reason.trim());
    false
}

#[test]
fn when_a_process_of_another_user_attaches_then_it_is_refused_with_words() {
    if !is_root("when_a_process_of_another_user_attaches_then_it_is_refused_with_words") {
        return;
    }
    let node = Node::new();
    let mut stranger = Process::start_as(Some(OTHER), "attach", &[node.socket()]);
    stranger.expect("the manager refused: no domain is of user 65534");
    let mut own = Process::start("attach", &[node.socket()]);
    own.expect("attached to test");
}

#[test]
fn when_somebody_else_plays_the_manager_then_no_process_attaches() {
    if !is_root("when_somebody_else_plays_the_manager_then_no_process_attaches") {
        return;
    }
    let socket = unused_socket();
    let mut impostor = Process::start_as(Some(OTHER), "manager", &[&socket, "0"]);
    impostor.expect("ready");
    let refused = Stack::attach(&AttachOptions::new(&socket, "test")).err();
    assert!(matches!(refused, Some(AttachError::Impostor { uid: OTHER, .. })), "{refused:?}");
}

#[test]
fn when_processes_do_not_see_one_another_as_in_containers_then_they_attach_all_the_same() {
    if !is_root("when_processes_do_not_see_one_another_as_in_containers_then_they_attach_all_the_same") {
        return;
    }
    // Manager here, process there; and the other way round.
    let node = Node::new();
    Process::start_apart("attach", &[node.socket()]).expect("attached to test");
    let socket = unused_socket();
    let mut manager = Process::start_apart("manager", &[&socket, "0"]);
    manager.expect("ready");
    Stack::attach(&AttachOptions::new(&socket, "test")).unwrap();
}

#[test]
fn when_two_users_have_the_same_addresses_then_they_never_meet() {
    if !is_root("when_two_users_have_the_same_addresses_then_they_never_meet") {
        return;
    }
    let other = Domain::new("other", OTHER, vec!["127.0.0.0/8".parse().unwrap()]);
    let node = Node::with_domain(other);
    let mut server = Process::start_as(Some(OTHER), "echo", &[node.socket(), "127.0.0.1:80"]);
    server.expect("ready");
    let stack = node.attach("test");
    let to = at("127.0.0.1:80");
    let unknown = stack.connect(to, &ConnectOptions::default());
    assert!(matches!(unknown, Err(ConnectError::Unknown(_))));
    // The same address is free in the other domain, and there each finds its own.
    let listener = stack.listen(to, &ListenOptions::default()).unwrap();
    let _ours = stack.listen(at("127.0.0.1:81"), &ListenOptions::default()).unwrap();
    let mut stranger = Process::start_as(Some(OTHER), "connect", &[node.socket(), "127.0.0.1:81"]);
    stranger.expect("nobody listens at 127.0.0.1:81 on this node");
    let mut friend = Process::start_as(Some(OTHER), "connect", &[node.socket(), "127.0.0.1:80"]);
    friend.expect("connected");
    assert!(listener.accept_timeout(std::time::Duration::ZERO).is_err(), "that one went to its own");
}

#[test]
fn when_a_process_is_hardened_then_others_of_its_user_cannot_open_its_descriptors() {
    if !is_root("when_a_process_is_hardened_then_others_of_its_user_cannot_open_its_descriptors") {
        return;
    }
    let node = Node::with_domain(Domain::new("third", THIRD, vec!["127.0.0.0/8".parse().unwrap()]));
    for (harden, outcome) in [("no", "opened"), ("yes", "PermissionDenied")] {
        let mut hardened = Process::start_as(Some(THIRD), "hardened", &[node.socket(), harden]);
        hardened.expect("ready");
        let path = format!("/proc/{}/fd", hardened.id());
        Process::start_as(Some(THIRD), "open", &[&path]).expect(outcome);
        Process::start_as(Some(OTHER), "open", &[&path]).expect("PermissionDenied");
        hardened.nod();
    }
}
