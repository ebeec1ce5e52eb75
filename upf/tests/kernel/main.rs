//! The whole UPF on the kernel's sockets and a TUN device, in a network namespace of its own:
//! this test plays SMF and gNB, the kernel of the namespace is the data network.
//!
//! It needs root and iproute2; without them it says that it is skipped.

mod ipv6;

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

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
    assert!(ip(&["-n", &namespace.0, "addr", "add", &format!("{}/128", ipv6::SERVER), "dev", "lo"]));
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
    let volume = smf.usage(seid);
    assert_eq!((volume.uplink, volume.downlink), (Some(8484), Some(8484)));
    mtu_is_kept(&gnb);
    ipv6::packets_pass(&smf, &gnb);
    mbr_is_kept(&smf, seid, &gnb);
    let mut request = [0; 12];
    tern_gtpu::echo_request(7, &mut request);
    gnb.send_to(&request, UPF_N3).expect("sends");
    let mut buffer = [0; 2048];
    // Packets of before may still be on their way.
    while gnb.recv(&mut buffer).expect("an echo response") > 0
        && buffer[1] != tern_gtpu::message_type::ECHO_RESPONSE
    {}
    // What the URR has counted of the pings alone was told when it was asked for.
    let deleted = smf.ask(Frame::session(seid, 7, SessionDeletionRequest::default().into()));
    let Message::SessionDeletionResponse(deleted) = deleted.message else { panic!("{deleted:?}") };
    let volume = deleted.usage_report[0].volume.expect("volume");
    assert_eq!(volume.uplink, Some(0));
    trigger.shut_down();
    upf.join().expect("ended").expect("ended well");
}

fn serve(shutdown: Shutdown) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut config = tern_upf::Config { sbi: SbiConfig::loopback(18), ..Default::default() };
        config.n6[0].ipv6 = Some(ipv6::TUN.parse()?);
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
        self.establish_for(1, 2, UeIpAddress::destination_v4(UE))
    }

    /// A session of this SEID, whose UE has this address.
    fn establish_for(&self, seid: u64, sequence: u32, ue: UeIpAddress) -> (u64, u32) {
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
        let downlink =
            Pdi { source_interface: Interface::Core, ue_ip_addresses: vec![ue], ..Default::default() };
        let to_gnb = ForwardingParameters {
            destination_interface: Interface::Access,
            outer_header_creation: Some(OuterHeaderCreation::gtpu_v4(0xCAFE, GNB)),
            ..Default::default()
        };
        let to_n6 = ForwardingParameters { destination_interface: Interface::Core, ..Default::default() };
        let request = SessionEstablishmentRequest {
            cp_f_seid: FSeid::new(seid, [127, 0, 0, 17].into()),
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
        let answer = self.ask(Frame::session(0, sequence, request.into()));
        let Message::SessionEstablishmentResponse(answer) = answer.message else { panic!("{answer:?}") };
        assert_eq!(answer.cause, Cause::REQUEST_ACCEPTED, "{answer:?}");
        let Some(FTeid::Assigned { teid, .. }) = answer.created_pdr[0].f_teid else { panic!("{answer:?}") };
        (answer.up_f_seid.expect("UP F-SEID").seid, teid)
    }
}

impl Smf {
    /// What URR 1 has counted since it was asked last.
    fn usage(&self, seid: u64) -> VolumeMeasurement {
        let query = vec![QueryUrr { urr_id: UrrId(1), ..Default::default() }];
        let request = SessionModificationRequest { query_urr: query, ..Default::default() };
        let answer = self.ask(Frame::session(seid, 5, request.into()));
        let Message::SessionModificationResponse(answer) = answer.message else { panic!("{answer:?}") };
        answer.usage_report[0].volume.expect("volume")
    }

    fn set_downlink_mbr(&self, seid: u64, sequence: u32, kbps: u64) {
        let mbr = Some(BitRate { uplink_kbps: kbps, downlink_kbps: kbps });
        let update = UpdateQer { qer_id: QerId(1), mbr, ..Default::default() };
        let request = SessionModificationRequest { update_qer: vec![update], ..Default::default() };
        let answer = self.ask(Frame::session(seid, sequence, request.into()));
        assert_eq!(answer.message.cause(), Some(Cause::REQUEST_ACCEPTED));
    }

    fn set_action(&self, seid: u64, sequence: u32, action: ApplyAction) {
        let update = UpdateFar { far_id: FarId(2), apply_action: Some(action), ..Default::default() };
        let request = SessionModificationRequest { update_far: vec![update], ..Default::default() };
        let answer = self.ask(Frame::session(seid, sequence, request.into()));
        assert_eq!(answer.message.cause(), Some(Cause::REQUEST_ACCEPTED));
    }
}

/// The MTU of N6 is the TUN device's: what is longer is fragmented by the kernel or, if it may not
/// be, its sender is told (RFC 792, fragmentation needed).
fn mtu_is_kept(gnb: &UdpSocket) {
    let name = format!("tern-dn-{}", std::process::id());
    assert!(ip(&["netns", "add", &name]));
    let host = Namespace(name);
    assert!(ip(&["link", "add", "dn0", "type", "veth", "peer", "name", "dn1", "netns", &host.0]));
    assert!(ip(&["addr", "add", "198.51.100.1/24", "dev", "dn0"]));
    assert!(ip(&["link", "set", "dn0", "up"]));
    assert!(ip(&["-n", &host.0, "addr", "add", "198.51.100.2/24", "dev", "dn1"]));
    assert!(ip(&["-n", &host.0, "link", "set", "dn1", "up"]));
    assert!(ip(&["-n", &host.0, "route", "add", "default", "via", "198.51.100.1"]));
    std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").expect("forwards");
    // 28 octets of headers: 1400 fit, 1401 do not.
    let fits = ping_from(&host, &["-M", "do", "-s", "1372"]);
    assert_eq!(downlink_lengths(gnb, 1), [1400], "{fits}");
    let told = ping_from(&host, &["-M", "do", "-s", "1373"]);
    assert!(told.contains("mtu") && told.contains("1400"), "{told}");
    ping_from(&host, &["-M", "dont", "-s", "3000"]);
    let lengths = downlink_lengths(gnb, 3);
    assert!(lengths.iter().all(|length| *length <= 1400), "{lengths:?}");
    assert_eq!(lengths.iter().map(|length| length - 20).sum::<usize>(), 3008, "{lengths:?}");
    gnb.set_read_timeout(Some(Duration::from_millis(100))).expect("timeout");
    assert!(gnb.recv(&mut [0; 2048]).is_err(), "what was refused does not come");
    gnb.set_read_timeout(Some(Duration::from_secs(5))).expect("timeout");
}

/// One echo request to the UE, which does not answer; what `ping` says.
fn ping_from(host: &Namespace, options: &[&str]) -> String {
    let output = Command::new("ip")
        .args(["netns", "exec", &host.0, "ping", "-n", "-c", "1", "-W", "1"])
        .args(options)
        .arg(UE.to_string())
        .output()
        .expect("ping runs");
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

/// Lengths of the next user packets at the gNB.
fn downlink_lengths(gnb: &UdpSocket, count: usize) -> Vec<usize> {
    let mut buffer = [0; 2048];
    let mut next = || {
        let length = gnb.recv(&mut buffer).expect("a packet");
        tern_gtpu::Packet::parse(&buffer[..length]).expect("GTP-U").payload.len()
    };
    (0..count).map(|_| next()).collect()
}

/// For a second, eight times the MBR is offered; what passes is the MBR and one burst.
fn mbr_is_kept(smf: &Smf, seid: u64, gnb: &UdpSocket) {
    const KBPS: u64 = 2_000;
    smf.set_downlink_mbr(seid, 6, KBPS);
    let sender = std::thread::spawn(|| {
        let server = UdpSocket::bind((SERVER, 0)).expect("binds");
        for _ in 0..2_000 {
            server.send_to(&[0; 972], (UE, 9)).expect("sends");
            std::thread::sleep(Duration::from_micros(500));
        }
    });
    gnb.set_read_timeout(Some(Duration::from_millis(300))).expect("timeout");
    let (began, mut last, mut octets) = (Instant::now(), Instant::now(), 0);
    let mut buffer = [0; 2048];
    while let Ok(length) = gnb.recv(&mut buffer) {
        let packet = tern_gtpu::Packet::parse(&buffer[..length]).expect("GTP-U");
        octets += packet.payload.len();
        last = Instant::now();
    }
    sender.join().expect("sent");
    gnb.set_read_timeout(Some(Duration::from_secs(5))).expect("timeout");
    let seconds = last.duration_since(began).as_secs_f64();
    let rate = octets as f64 * 8.0 / 1e3 / KBPS as f64;
    // A burst of 250 ms passes beside the rate.
    assert!(seconds > 0.9, "{seconds}");
    assert!((0.85 * seconds..=seconds + 0.35).contains(&rate), "{rate} of {seconds} s");
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
