//! An SMF, a UPF core and one worker's tables, for unit tests: no sockets, no threads.

use std::cell::{Cell, RefCell};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tern_n4::{Node, NodeConfig, Output as N4Output, Request};
use tern_pfcp::*;
use tern_types::{Duration, Instant, Random};

use crate::config::Config;
use crate::path::{
    Allowance, Command, Context, Copies, Event, Forwarded, Looks, Packet, PathCounters, Peer, Side, Tables,
    Tunnel, Verdict, process,
};
use crate::pfcp::{Core, Output};

pub(crate) const UE: Ipv4Addr = Ipv4Addr::new(10, 45, 0, 2);
pub(crate) const SERVER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 9);
pub(crate) const GNB_ADDRESS: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
pub(crate) const GNB: Peer = Peer::new(IpAddr::V4(GNB_ADDRESS), 2152);
pub(crate) const GNB_TEID: u32 = 0x0000_CAFE;
pub(crate) const CP_SEID: u64 = 77;

pub(crate) struct Bench {
    pub(crate) now: Instant,
    pub(crate) core: Core,
    pub(crate) smf: Node,
    pub(crate) smf_address: SocketAddr,
    upf_address: SocketAddr,
    pub(crate) tables: Tables,
    pub(crate) counters: PathCounters,
    pub(crate) end_markers: Vec<Tunnel>,
    pub(crate) published: Vec<std::sync::Arc<crate::path::Session>>,
    /// Session reports that the SMF got and accepted.
    pub(crate) reports: Vec<SessionReportRequest>,
    pub(crate) report_cause: Cause,
    allowance: Allowance,
    copies: Copies,
    /// Kept from packet to packet, as a worker does: what one shows must not be taken for what the next does.
    looks: Looks,
    /// What rules copied, and where to.
    pub(crate) copied: Vec<(Verdict, Vec<u8>)>,
    /// ToS of the IP header around the last packet.
    pub(crate) tos: u8,
    /// Who sends what comes on N3.
    pub(crate) from: Peer,
    /// Whether the worker is the only one.
    pub(crate) alone: bool,
    origin: Instant,
}

fn smf_node(
    address: SocketAddr,
    upf: SocketAddr,
    stamp: u32,
    features: Option<CpFunctionFeatures>,
    now: Instant,
) -> Node {
    let mut config = NodeConfig::new(NodeId::Address(address.ip()), RecoveryTimeStamp(stamp));
    config.cp_function_features = features;
    config.associate = vec![upf];
    Node::new(config, now)
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// Associated, with another configuration.
    pub(crate) fn with(change: impl Fn(&mut Config)) -> Self {
        let mut config = Config::default();
        config.n3.error_indications_after_s = 0;
        change(&mut config);
        let now = Instant::from_micros(1_700_000_000_000_000);
        let upf_address = config.n4_at();
        let smf_address = SocketAddr::from(([127, 0, 0, 17], 8805));
        let mut bench = Self {
            now,
            core: Core::new(&config, now, Random::from_seed([7; 32])),
            smf: smf_node(smf_address, upf_address, 1, None, now),
            smf_address,
            upf_address,
            tables: Tables::default(),
            counters: PathCounters::default(),
            end_markers: Vec::new(),
            published: Vec::new(),
            reports: Vec::new(),
            report_cause: Cause::REQUEST_ACCEPTED,
            allowance: Allowance::new(config.tunnel_ends(), config.n3.error_indications_after()),
            copies: Copies::default(),
            looks: Looks::default(),
            copied: Vec::new(),
            tos: 0,
            from: GNB,
            alone: config.workers == 1,
            origin: now,
        };
        // Behind the second of the start.
        bench.pass(Duration::from_secs(1));
        bench
    }

    pub(crate) fn upf_address(&self) -> SocketAddr {
        self.upf_address
    }

    /// The SMF starts again.
    pub(crate) fn restart_smf(&mut self) {
        self.restart_smf_with(None);
    }

    /// It starts again, with these features.
    pub(crate) fn restart_smf_with(&mut self, features: Option<CpFunctionFeatures>) {
        self.smf = smf_node(self.smf_address, self.upf_address, 2, features, self.now);
        self.settle();
    }

    /// Another SMF takes the place of the one on the bench.
    pub(crate) fn change_smf(&mut self) {
        self.smf_address = SocketAddr::from(([127, 0, 0, 99], 8805));
        self.restart_smf();
    }

    /// Delivers until nothing is to be delivered; responses to requests of the SMF are returned.
    pub(crate) fn settle(&mut self) -> Vec<(Option<u64>, Message)> {
        let mut responses = Vec::new();
        loop {
            let mut idle = true;
            while let Some(output) = self.smf.next_output() {
                idle = false;
                match output {
                    N4Output::Transmit { bytes, .. } => {
                        self.core.handle_datagram(self.now, self.smf_address, &bytes);
                    }
                    N4Output::Response { seid, message, .. } => responses.push((seid, message)),
                    N4Output::Request { request, message } => self.on_report(&request, message),
                    _ => {}
                }
            }
            while let Some(output) = self.core.next_output() {
                idle = false;
                match output {
                    Output::Transmit { to, bytes } if to == self.smf_address => {
                        self.smf.handle_datagram(self.now, self.upf_address, &bytes);
                    }
                    Output::Transmit { .. } => {}
                    Output::Path(command) => self.obey(command),
                }
            }
            if idle {
                return responses;
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Publish { session, before } => {
                self.tables.publish(&session, before.as_deref());
                self.published.push(session);
            }
            Command::Remove(session) => self.tables.remove(&session),
            Command::EndMarker(tunnel) => self.end_markers.push(tunnel),
        }
    }

    /// Gives the UPF a datagram as it is; what it sends to anybody.
    pub(crate) fn give(&mut self, from: SocketAddr, datagram: &[u8]) -> Vec<Frame> {
        self.core.handle_datagram(self.now, from, datagram);
        let mut sent = Vec::new();
        while let Some(output) = self.core.next_output() {
            match output {
                Output::Transmit { bytes, .. } => sent.push(Frame::decode(&bytes).expect("can be read")),
                Output::Path(command) => self.obey(command),
            }
        }
        sent
    }

    fn on_report(&mut self, request: &Request, message: Message) {
        let Message::SessionReportRequest(report) = message else { panic!("not a report") };
        self.reports.push(report);
        let answer = SessionReportResponse { cause: self.report_cause, ..Default::default() };
        self.smf.respond(self.now, request, request.seid, answer.into());
    }

    pub(crate) fn ask(&mut self, seid: u64, message: impl Into<Message>) -> (Option<u64>, Message) {
        self.smf.send_request(self.now, self.upf_address, Some(seid), message.into()).expect("sent");
        self.settle().pop().expect("answered")
    }

    pub(crate) fn establish(&mut self, request: SessionEstablishmentRequest) -> SessionEstablishmentResponse {
        let (seid, message) = self.ask(0, request);
        assert_eq!(seid, Some(CP_SEID));
        let Message::SessionEstablishmentResponse(response) = message else { panic!("{message:?}") };
        response
    }

    /// Establishes and completes the usual session; returns our SEID and the local TEID.
    pub(crate) fn session(&mut self) -> (u64, u32) {
        self.session_of(establishment())
    }

    pub(crate) fn session_of(&mut self, request: SessionEstablishmentRequest) -> (u64, u32) {
        let response = self.establish(request);
        assert_eq!(response.cause, Cause::REQUEST_ACCEPTED, "{response:?}");
        let seid = response.up_f_seid.expect("UP F-SEID").seid;
        let Some(FTeid::Assigned { teid, .. }) = response.created_pdr[0].f_teid else { panic!("no F-TEID") };
        (seid, teid)
    }

    pub(crate) fn modify(
        &mut self,
        seid: u64,
        request: SessionModificationRequest,
    ) -> SessionModificationResponse {
        let (_, message) = self.ask(seid, request);
        let Message::SessionModificationResponse(response) = message else { panic!("{message:?}") };
        response
    }

    pub(crate) fn delete(&mut self, seid: u64) -> SessionDeletionResponse {
        let (_, message) = self.ask(seid, SessionDeletionRequest::default());
        let Message::SessionDeletionResponse(response) = message else { panic!("{message:?}") };
        response
    }

    /// Lets time pass.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.settle();
            let next = self.core.next_deadline().into_iter().chain(self.smf.next_deadline()).min();
            match next {
                Some(at) if at <= end => {
                    self.now = at.max(self.now);
                    self.core.handle_deadline(self.now);
                    self.smf.handle_deadline(self.now);
                }
                _ => break,
            }
        }
        self.now = end;
    }

    /// The data path's clock.
    pub(crate) fn now_ns(&self) -> u64 {
        u64::try_from(self.now.since(self.origin).as_nanos()).expect("a test is short")
    }

    pub(crate) fn uplink(&mut self, datagram: &[u8]) -> (Verdict, Vec<u8>) {
        self.packet(Side::Access, datagram)
    }

    pub(crate) fn downlink(&mut self, packet: &[u8]) -> (Verdict, Vec<u8>) {
        self.packet(Side::Network(0), packet)
    }

    pub(crate) fn packet(&mut self, side: Side, bytes: &[u8]) -> (Verdict, Vec<u8>) {
        let mut packet = Packet::new();
        packet.set(bytes);
        packet.came(side, self.from);
        let events = RefCell::new(Vec::new());
        let accept = Cell::new(true);
        let sink = |event: Event| {
            events.borrow_mut().push(event);
            accept.get()
        };
        let mut context = Context {
            tables: &self.tables,
            now_ns: self.now_ns(),
            alone: self.alone,
            counters: &self.counters,
            events: &sink,
            error_indications: &mut self.allowance,
            leaves_buffer: false,
            copies: &mut self.copies,
            looks: &mut self.looks,
            forwarded: Forwarded::default(),
        };
        let mut verdicts = Vec::new();
        process(&mut context, std::slice::from_mut(&mut packet), |packet, is| {
            verdicts.push((is, packet.bytes().to_vec()));
        });
        let (verdict, _) = verdicts.remove(0);
        (self.copied, self.tos) = (verdicts, packet.tos);
        for event in events.into_inner() {
            self.core.handle_event(self.now, event);
        }
        self.settle();
        (verdict, packet.bytes().to_vec())
    }
}

/// PDR 1 uplink with FAR 1 to N6, PDR 2 downlink with FAR 2 to the gNB, QER 1 with QFI 9,
/// URR 1 for volume.
pub(crate) fn establishment() -> SessionEstablishmentRequest {
    SessionEstablishmentRequest {
        node_id: NodeId::Address([127, 0, 0, 17].into()),
        cp_f_seid: FSeid::new(CP_SEID, [127, 0, 0, 17].into()),
        create_pdr: vec![uplink_pdr(1, 100, 1), downlink_pdr(2, 100, 2)],
        create_far: vec![far_to_n6(1), far_to_gnb(2)],
        create_qer: vec![CreateQer { qer_id: QerId(1), qfi: Some(Qfi(9)), ..Default::default() }],
        create_urr: vec![volume_urr(1)],
        pdn_type: Some(PdnType::Ipv4),
        apn_dnn: Some(Name::from("internet")),
        ..Default::default()
    }
}

pub(crate) fn uplink_pdr(id: u16, precedence: u32, far: u32) -> CreatePdr {
    CreatePdr {
        pdr_id: PdrId(id),
        precedence: Precedence(precedence),
        pdi: Pdi {
            source_interface: Interface::Access,
            f_teid: Some(FTeid::Choose { ipv4: true, ipv6: false, choose_id: Some(1) }),
            ue_ip_addresses: vec![UeIpAddress::source_v4(UE)],
            ..Default::default()
        },
        outer_header_removal: Some(OuterHeaderRemoval::new(OuterHeaderRemoval::GTPU_UDP_IPV4)),
        far_id: Some(FarId(far)),
        urr_ids: vec![UrrId(1)],
        qer_ids: vec![QerId(1)],
        ..Default::default()
    }
}

pub(crate) fn downlink_pdr(id: u16, precedence: u32, far: u32) -> CreatePdr {
    CreatePdr {
        pdr_id: PdrId(id),
        precedence: Precedence(precedence),
        pdi: Pdi {
            source_interface: Interface::Core,
            ue_ip_addresses: vec![UeIpAddress::destination_v4(UE)],
            ..Default::default()
        },
        far_id: Some(FarId(far)),
        urr_ids: vec![UrrId(1)],
        qer_ids: vec![QerId(1)],
        ..Default::default()
    }
}

pub(crate) fn far_to_n6(id: u32) -> CreateFar {
    CreateFar {
        far_id: FarId(id),
        apply_action: ApplyAction::FORW,
        forwarding_parameters: Some(ForwardingParameters {
            destination_interface: Interface::Core,
            ..Default::default()
        }),
        ..Default::default()
    }
}

pub(crate) fn far_to_gnb(id: u32) -> CreateFar {
    CreateFar {
        far_id: FarId(id),
        apply_action: ApplyAction::FORW,
        forwarding_parameters: Some(ForwardingParameters {
            destination_interface: Interface::Access,
            outer_header_creation: Some(OuterHeaderCreation::gtpu_v4(GNB_TEID, GNB_ADDRESS)),
            ..Default::default()
        }),
        ..Default::default()
    }
}

pub(crate) fn volume_urr(id: u32) -> CreateUrr {
    CreateUrr { urr_id: UrrId(id), measurement_method: MeasurementMethod::VOLUM, ..Default::default() }
}

/// An IPv4 UDP packet of `length` octets in all.
pub(crate) fn udp(source: Ipv4Addr, destination: Ipv4Addr, ports: (u16, u16), length: usize) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend_from_slice(&(length as u16).to_be_bytes());
    packet.extend_from_slice(&[0, 0, 0x40, 0, 64, 17, 0, 0]);
    packet.extend_from_slice(&source.octets());
    packet.extend_from_slice(&destination.octets());
    for field in [ports.0, ports.1, length as u16 - 20, 0] {
        packet.extend_from_slice(&field.to_be_bytes());
    }
    packet.resize(length, 0xAB);
    packet
}

/// The packet in GTP-U as a gNB sends it.
pub(crate) fn gtpu(teid: u32, qfi: Option<u8>, packet: &[u8]) -> Vec<u8> {
    let header = tern_gtpu::GpduHeader { teid, container: qfi.map(tern_gtpu::PduSessionContainer::uplink) };
    let mut datagram = vec![0; header.length()];
    header.write(&mut datagram, packet.len());
    datagram.extend_from_slice(packet);
    datagram
}

pub(crate) fn forward_update(action: ApplyAction) -> SessionModificationRequest {
    SessionModificationRequest {
        update_far: vec![UpdateFar { far_id: FarId(2), apply_action: Some(action), ..Default::default() }],
        ..Default::default()
    }
}
