//! The whole UPF on the kernel's sockets and a TUN device, in a network namespace of its own:
//! this test plays SMF and gNB, the kernel of the namespace is the data network.
//!
//! It needs root and iproute2; without them it says that it is skipped.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::Command;
use std::time::Duration;

use tern_gtpu::{GpduHeader, PduSessionContainer};
use tern_nf::{Env, EnvOptions, SbiConfig, Shutdown};
use tern_pfcp::*;

/// Set in the copy of this test that runs inside the namespace.
const INSIDE: &str = "TERN_UPF_TEST_INSIDE";
const UE: Ipv4Addr = Ipv4Addr::new(10, 45, 0, 2);
const SERVER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 9);
const UPF_N4: &str = "127.0.0.18:8805";
const UPF_N3: &str = "127.0.0.18:2152";
const GNB: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

fn ip(arguments: &[&str]) -> bool {
    Command::new("ip").args(arguments).status().is_ok_and(|status| status.success())
}

struct Namespace(String);

impl Drop for Namespace {
    fn drop(&mut self) {
        ip(&["netns", "del", &self.0]);
    }
}

#[test]
fn packets_pass_between_gnb_and_data_network_through_the_kernel() {
    if std::env::var_os(INSIDE).is_some() {
        return inside();
    }
    let name = format!("tern-upf-{}", std::process::id());
    if !std::path::Path::new("/dev/net/tun").exists() || !ip(&["netns", "add", &name]) {
        println!(
            "SKIPPED tern-upf packets_pass_between_gnb_and_data_network_through_the_kernel: \
             it needs root, iproute2 and /dev/net/tun"
        );
        return;
    }
    let namespace = Namespace(name);
    assert!(ip(&["-n", &namespace.0, "link", "set", "lo", "up"]));
    assert!(ip(&["-n", &namespace.0, "addr", "add", "203.0.113.9/32", "dev", "lo"]));
    let test = std::env::current_exe().expect("the path of this test");
    let status = Command::new("ip")
        .args(["netns", "exec", &namespace.0])
        .arg(test)
        .args(["--exact", "packets_pass_between_gnb_and_data_network_through_the_kernel", "--nocapture"])
        .env(INSIDE, "1")
        .status()
        .expect("runs inside");
    assert!(status.success());
}

fn inside() {
    let (trigger, shutdown) = Shutdown::new();
    let upf = std::thread::spawn(move || serve(shutdown));
    let smf = Smf::associate();
    let (seid, teid) = smf.establish();
    let gnb = UdpSocket::bind((GNB, 2152)).expect("binds N3 of the gNB");
    gnb.set_read_timeout(Some(Duration::from_secs(5))).expect("timeout");
    for sequence in 0..100 {
        ping(&gnb, teid, sequence);
    }
    // Buffered while the FAR says so, delivered when it no longer does.
    smf.set_action(seid, 3, ApplyAction::BUFF);
    send_ping(&gnb, teid, 100);
    gnb.set_read_timeout(Some(Duration::from_millis(100))).expect("timeout");
    assert!(gnb.recv(&mut [0; 2048]).is_err(), "nothing comes while it is buffered");
    gnb.set_read_timeout(Some(Duration::from_secs(5))).expect("timeout");
    smf.set_action(seid, 4, ApplyAction::FORW);
    receive_pong(&gnb, 100);
    let mut request = [0; 12];
    tern_gtpu::echo_request(7, &mut request);
    gnb.send_to(&request, UPF_N3).expect("sends");
    let mut buffer = [0; 2048];
    let length = gnb.recv(&mut buffer).expect("an echo response");
    assert_eq!(buffer[1], tern_gtpu::message_type::ECHO_RESPONSE, "{length} octets");
    let deleted = smf.ask(Frame::session(seid, 5, SessionDeletionRequest::default().into()));
    let Message::SessionDeletionResponse(deleted) = deleted.message else { panic!("{deleted:?}") };
    let volume = deleted.usage_report[0].volume.expect("volume");
    assert_eq!((volume.uplink, volume.downlink), (Some(8484), Some(8484)));
    trigger.shut_down();
    upf.join().expect("ended").expect("ended well");
}

fn serve(shutdown: Shutdown) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let config = tern_upf::Config { sbi: SbiConfig::loopback(18), ..Default::default() };
        let env = Env::real(EnvOptions::new("UPF", &config.sbi))?;
        tern_upf::run(config, env, shutdown).await
    })
}

struct Smf(UdpSocket);

impl Smf {
    fn associate() -> Self {
        let socket = UdpSocket::bind("127.0.0.17:8805").expect("binds N4 of the SMF");
        socket.set_read_timeout(Some(Duration::from_millis(200))).expect("timeout");
        let smf = Self(socket);
        let setup = AssociationSetupRequest {
            node_id: NodeId::Address([127, 0, 0, 17].into()),
            recovery_time_stamp: RecoveryTimeStamp(1),
            ..Default::default()
        };
        let answer = smf.ask(Frame::node(1, setup.into()));
        let Message::AssociationSetupResponse(answer) = answer.message else { panic!("{answer:?}") };
        assert_eq!(answer.cause, Cause::REQUEST_ACCEPTED);
        smf
    }

    /// Asks until there is an answer: the UPF is still starting.
    fn ask(&self, request: Frame) -> Frame {
        let bytes = request.encode().expect("encodes");
        let upf: SocketAddr = UPF_N4.parse().expect("address");
        let mut buffer = [0; 4096];
        for _ in 0..50 {
            self.0.send_to(&bytes, upf).expect("sends");
            if let Ok(length) = self.0.recv(&mut buffer) {
                let frame = Frame::decode(&buffer[..length]).expect("decodes");
                if frame.sequence == request.sequence && !frame.message.kind().is_request() {
                    return frame;
                }
            }
        }
        panic!("no answer to {request:?}");
    }

    fn establish(&self) -> (u64, u32) {
        let pdr = |id, pdi, removal| CreatePdr {
            pdr_id: PdrId(id),
            precedence: Precedence(255),
            pdi,
            outer_header_removal: removal,
            far_id: Some(FarId(u32::from(id))),
            urr_ids: vec![UrrId(1)],
            qer_ids: vec![QerId(1)],
            ..Default::default()
        };
        let far = |id, forwarding_parameters| CreateFar {
            far_id: FarId(id),
            apply_action: ApplyAction::FORW,
            forwarding_parameters: Some(forwarding_parameters),
            ..Default::default()
        };
        let uplink = Pdi { f_teid: Some(FTeid::default()), ..Default::default() };
        let downlink = Pdi {
            source_interface: Interface::Core,
            ue_ip_addresses: vec![UeIpAddress::destination_v4(UE)],
            ..Default::default()
        };
        let to_gnb = ForwardingParameters {
            destination_interface: Interface::Access,
            outer_header_creation: Some(OuterHeaderCreation::gtpu_v4(0xCAFE, GNB)),
            ..Default::default()
        };
        let to_n6 = ForwardingParameters { destination_interface: Interface::Core, ..Default::default() };
        let request = SessionEstablishmentRequest {
            cp_f_seid: FSeid::new(1, [127, 0, 0, 17].into()),
            create_pdr: vec![pdr(1, uplink, Some(OuterHeaderRemoval::new(0))), pdr(2, downlink, None)],
            create_far: vec![far(1, to_n6), far(2, to_gnb)],
            create_qer: vec![CreateQer { qer_id: QerId(1), qfi: Some(Qfi(1)), ..Default::default() }],
            create_urr: vec![CreateUrr {
                urr_id: UrrId(1),
                measurement_method: MeasurementMethod::VOLUM,
                ..Default::default()
            }],
            ..Default::default()
        };
        let answer = self.ask(Frame::session(0, 2, request.into()));
        let Message::SessionEstablishmentResponse(answer) = answer.message else { panic!("{answer:?}") };
        assert_eq!(answer.cause, Cause::REQUEST_ACCEPTED, "{answer:?}");
        let Some(FTeid::Assigned { teid, .. }) = answer.created_pdr[0].f_teid else { panic!("{answer:?}") };
        (answer.up_f_seid.expect("UP F-SEID").seid, teid)
    }
}

impl Smf {
    fn set_action(&self, seid: u64, sequence: u32, action: ApplyAction) {
        let update = UpdateFar { far_id: FarId(2), apply_action: Some(action), ..Default::default() };
        let request = SessionModificationRequest { update_far: vec![update], ..Default::default() };
        let answer = self.ask(Frame::session(seid, sequence, request.into()));
        assert_eq!(answer.message.cause(), Some(Cause::REQUEST_ACCEPTED));
    }
}

/// One ICMP echo of 84 octets, there and back.
fn ping(gnb: &UdpSocket, teid: u32, sequence: u16) {
    send_ping(gnb, teid, sequence);
    receive_pong(gnb, sequence);
}

fn send_ping(gnb: &UdpSocket, teid: u32, sequence: u16) {
    let header = GpduHeader { teid, container: Some(PduSessionContainer::uplink(1)) };
    let request = icmp_echo(sequence);
    let mut datagram = vec![0; header.length()];
    header.write(&mut datagram, request.len());
    datagram.extend_from_slice(&request);
    gnb.send_to(&datagram, UPF_N3).expect("sends");
}

fn receive_pong(gnb: &UdpSocket, sequence: u16) {
    let mut buffer = [0; 2048];
    let length = gnb.recv(&mut buffer).expect("an answer");
    let answer = tern_gtpu::Packet::parse(&buffer[..length]).expect("GTP-U");
    assert_eq!((answer.teid, answer.container), (0xCAFE, Some(PduSessionContainer::downlink(1))));
    assert_eq!(answer.payload.len(), 84);
    assert_eq!(answer.payload[12..20], [SERVER.octets(), UE.octets()].concat());
    assert_eq!(answer.payload[20], 0, "an echo reply");
    assert_eq!(answer.payload[26..28], sequence.to_be_bytes());
}

fn icmp_echo(sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 84, 0, 0, 0x40, 0, 64, 1, 0, 0];
    packet.extend_from_slice(&UE.octets());
    packet.extend_from_slice(&SERVER.octets());
    let sum = checksum(&packet);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.extend_from_slice(&[8, 0, 0, 0, 0x12, 0x34]);
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.resize(84, 0x5A);
    let sum = checksum(&packet[20..]);
    packet[22..24].copy_from_slice(&sum.to_be_bytes());
    packet
}

fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = bytes.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    !(sum as u16)
}
