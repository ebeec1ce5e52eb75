//! The edge: HTTP requests, PFCP datagrams, the clock, and the one task that owns the core.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use tern_n4::{DownReason, Node, NodeConfig, Output as NodeOutput};
use tern_nf::{Consumer, Datagram, Env, Kept, Nf, ProfileSeed, Routes, Selection, Shutdown};
use tern_pfcp::{
    CpFunctionFeatures, FSeid, LoadControlInformation, Message, OverloadControlInformation,
    UpFunctionFeatures,
};
use tern_sbi::common::{NfType, ServiceName};
use tern_sbi::namf_comm::N1N2TransferFailureNotify;
use tern_sbi::nnrf_nfm::{DnnSmfInfoItem, NfProfile, SmfInfo, SnssaiSmfInfoItem};
use tern_sbi::npcf_sm::{SmPolicyTerminateNotify, SmPolicyUpdateNotify};
use tern_sbi::nsmf_pdusession::{PostSmContexts, ReleaseSmContext, RetrieveSmContext, UpdateSmContext};
use tern_sbi::nudm_sdm::DataChangeNotify;
use tern_sbi::nudm_uecm::DeregistrationNotify;
use tern_sbi::{Operation, ProblemDetails, Reply, TransportError};
use tern_store::StoreError;
use tern_types::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

use crate::config::{Config, Served};
use crate::core::Identity;
use crate::io::{Input, Output, Report, SmfRequest, Token};
use crate::kept::{self, Left};
use crate::n4::node_id;
use crate::smf::Smf;
use crate::status::Summary;
use crate::upf::{LoadReport, UpfProfile};

/// Largest PFCP message.
const DATAGRAM_MAX: usize = 65_536;
/// Longest datagram that a packet for the router comes in; of a longer one the rest is lost, and with it the packet.
const GTPU_MAX: usize = 2_048;
/// Between two looks for UPFs at the NRF as long as there is none.
const FIRST_DISCOVERY: Duration = Duration::from_millis(200);

/// An SMF without any UPF says after this time that it serves: it can refuse sessions.
const READY_WITHIN: Duration = Duration::from_secs(5);

/// A request, and where its answer goes.
type Asked = (SmfRequest, oneshot::Sender<Reply>);
/// The reply to a request of the core.
type Answered = (Token, Result<Reply, TransportError>);

/// Runs an SMF until it is asked to stop.
pub async fn run(config: Config, env: Env, shutdown: Shutdown) -> anyhow::Result<()> {
    config.check().map_err(|error| anyhow::anyhow!("smf configuration: {error}"))?;
    let prepared = Nf::prepare(&env, &config.sbi, NfType::Smf).await?;
    let at = SocketAddr::new(config.n4.address, config.n4.port);
    let socket = env.datagrams.bind(at).await.with_context(|| format!("cannot use {at} for N4"))?;
    tracing::info!(%at, "N4");

    let kept = kept::of(&env);
    let left = match &kept {
        Some(kept) => Some(kept::load(kept, env.clock.now()).await.context("what is kept of SM contexts")?),
        None => None,
    };
    let (asked, requests) = mpsc::channel(config.limits.queue_max);
    let routes = routes(&asked);
    let profile = ProfileSeed { since: left.as_ref().map(|left| left.since), ..profile(&config) };
    let gtpu = bind_gtpu(&config, &env).await?;
    let (consumer, api_root) = (prepared.consumer(), prepared.api_root());
    let identity = Identity { instance: prepared.instance_id(), api_root };
    let starting = prepared.start(profile, routes);
    let nf = tokio::select! { biased; () = shutdown.requested() => return Ok(()), nf = starting => nf? };
    let mut edge = Edge::new(config, &env, identity, consumer, socket, left);
    edge.gtpu = gtpu;
    edge.unready = Some((nf.api_root(), env.clock.now() + READY_WITHIN));
    edge.kept = kept;
    let keeps = edge.kept.is_some();
    edge.run(requests, &shutdown).await;
    // Of one that keeps its contexts nobody is to believe that they are gone.
    if keeps {
        nf.pause().await
    } else {
        nf.stop().await
    }
    Ok(())
}

/// The SMF's end of GTP-U tunnels, if UEs have IPv6 links that it is the router of.
async fn bind_gtpu(config: &Config, env: &Env) -> anyhow::Result<Option<Arc<dyn Datagram>>> {
    if config.data_networks.iter().all(|network| network.ipv6.is_none()) {
        return Ok(None);
    }
    let at = SocketAddr::new(config.n4.gtpu_address(), tern_gtpu::PORT);
    let socket =
        env.datagrams.bind(at).await.with_context(|| format!("cannot use {at} for GTP-U (n4.gtpu)"))?;
    tracing::info!(%at, "GTP-U");
    Ok(Some(socket))
}

fn profile(config: &Config) -> ProfileSeed {
    let mut slices: Vec<SnssaiSmfInfoItem> = Vec::new();
    for network in &config.data_networks {
        let dnn = DnnSmfInfoItem::new(network.dnn.clone().into());
        match slices.iter_mut().find(|item| item.s_nssai == network.snssai) {
            Some(item) => item.dnn_smf_info_list.push(dnn),
            None => slices.push(SnssaiSmfInfoItem::new(network.snssai, vec![dnn])),
        }
    }
    ProfileSeed {
        plmns: config.plmns.clone(),
        snssais: slices.iter().map(|item| item.s_nssai).collect(),
        smf_info: Some(SmfInfo::new(slices)),
        ..ProfileSeed::new(NfType::Smf, vec![ServiceName::NsmfPdusession])
    }
}

/// Every operation goes to the core's task; a full queue is refused at once.
fn routes(asked: &mpsc::Sender<Asked>) -> Routes {
    fn route<O: Operation>(routes: Routes, asked: &mpsc::Sender<Asked>, wrap: fn(O) -> SmfRequest) -> Routes {
        let asked = asked.clone();
        routes.on_reply::<O, _, _>(move |_, operation| {
            let (answer, answered) = oneshot::channel();
            let sent = asked.try_send((wrap(operation), answer));
            async move {
                if sent.is_err() {
                    return ProblemDetails::new(503, "NF_CONGESTION").into_reply();
                }
                let gone = || ProblemDetails::new(503, "NF_CONGESTION").with_detail("stopping").into_reply();
                answered.await.unwrap_or_else(|_| gone())
            }
        })
    }
    let routes = route::<PostSmContexts>(Routes::new(), asked, SmfRequest::Create);
    let routes = route::<UpdateSmContext>(routes, asked, SmfRequest::Update);
    let routes = route::<ReleaseSmContext>(routes, asked, SmfRequest::Release);
    let routes = route::<RetrieveSmContext>(routes, asked, SmfRequest::Retrieve);
    let routes = route::<N1N2TransferFailureNotify>(routes, asked, SmfRequest::TransferFailure);
    let routes = route::<SmPolicyUpdateNotify>(routes, asked, SmfRequest::PolicyUpdate);
    let routes = route::<SmPolicyTerminateNotify>(routes, asked, SmfRequest::PolicyTermination);
    let routes = route::<DataChangeNotify>(routes, asked, SmfRequest::DataChange);
    route::<DeregistrationNotify>(routes, asked, SmfRequest::Deregistration)
}

/// The task that owns the core.
struct Edge {
    env: Env,
    consumer: Consumer,
    socket: Arc<dyn Datagram>,
    /// The SMF's end of GTP-U tunnels.
    gtpu: Option<Arc<dyn Datagram>>,
    smf: Smf,
    node: Node,
    summary: Summary,
    inputs: VecDeque<Input>,
    next_token: u64,
    /// Requests that wait for the core's answer.
    asked: BTreeMap<Token, oneshot::Sender<Reply>>,
    /// Reports that wait for the core's answer.
    reports: BTreeMap<Token, tern_n4::Request>,
    /// PFCP requests under way: the node's token and the core's.
    n4: BTreeMap<tern_n4::Token, Token>,
    replies: mpsc::UnboundedSender<Answered>,
    answered: mpsc::UnboundedReceiver<Answered>,
    discover: Option<(Duration, Vec<Served>)>,
    /// Where contexts are stored, if they outlive the process.
    kept: Option<Kept>,
    /// What is to be said once the first UPF is there, and when it is said anyway.
    unready: Option<(String, Instant)>,
}

impl Edge {
    fn new(
        config: Config,
        env: &Env,
        identity: Identity,
        consumer: Consumer,
        socket: Arc<dyn Datagram>,
        left: Option<Left>,
    ) -> Self {
        let now = env.clock.now();
        let stamp = kept::stamp(left.as_ref().map_or(now, |left| left.since));
        let mut node_config = NodeConfig::new(node_id(config.n4.address), stamp);
        node_config.cp_function_features = Some(CpFunctionFeatures::LOAD | CpFunctionFeatures::OVRL);
        node_config.heartbeat_interval = Duration::from_secs(config.n4.heartbeat_interval_s.max(1).into());
        let served =
            config.data_networks.iter().map(|n| Served { dnn: n.dnn.clone(), snssai: n.snssai }).collect();
        let period = Duration::from_secs(config.timers.discovery_s.max(1));
        let discover = config.discover_upfs.then_some((period, served));
        let (smf, outputs) = Smf::new(config, identity, env.entropy.random());
        // Bounded by the answers that the core awaits, at most a few a session.
        let (replies, answered) = mpsc::unbounded_channel();
        let mut edge = Self {
            env: env.clone(),
            consumer,
            socket,
            gtpu: None,
            smf,
            node: Node::new(node_config, now),
            summary: Summary::new(env),
            inputs: VecDeque::new(),
            next_token: 0,
            asked: BTreeMap::new(),
            reports: BTreeMap::new(),
            n4: BTreeMap::new(),
            replies,
            answered,
            discover,
            kept: None,
            unready: None,
        };
        // Before UPFs are associated with: those that are still there go on.
        if let Some(left) = left {
            edge.go_on(now, left);
        }
        outputs.into_iter().for_each(|output| edge.perform(now, output));
        edge
    }

    /// Goes on where the process before this one ended.
    fn go_on(&mut self, now: Instant, left: Left) {
        if !left.contexts.is_empty() {
            tracing::info!(
                sessions = left.contexts.len(),
                upfs = left.associations.len(),
                "SM contexts are kept"
            );
        }
        // Contexts may hold tokens of requests whose answers nobody waits for any more.
        self.next_token = now.as_micros();
        for association in left.associations {
            self.node.resume(now, association);
        }
        for output in self.smf.resume(now, left.contexts) {
            self.perform(now, output);
        }
    }

    async fn run(mut self, mut requests: mpsc::Receiver<Asked>, shutdown: &Shutdown) {
        let (profiles, mut discovered) = mpsc::channel(1);
        let discovery = self.discover.take().map(|(period, served)| {
            tokio::spawn(discover(self.consumer.clone(), self.env.clone(), period, served, profiles))
        });
        let mut buffer = vec![0; DATAGRAM_MAX];
        let mut packet = vec![0; GTPU_MAX];
        loop {
            self.settle().await;
            let unready = self.unready.as_ref().map(|(_, at)| *at);
            let deadlines =
                [self.smf.deadline(), self.node.next_deadline(), self.summary.deadline(), unready];
            let deadline = deadlines.into_iter().flatten().min();
            let (socket, gtpu, clock) = (self.socket.clone(), self.gtpu.clone(), self.env.clock);
            tokio::select! {
                biased;
                () = shutdown.requested() => break,
                received = socket.recv_from(&mut buffer) => self.on_received(received, &buffer),
                Some((len, from)) = receive(gtpu.as_deref(), &mut packet) => {
                    self.inputs.push_back(Input::Gtpu(from, packet[..len].to_vec()));
                }
                Some((token, reply)) = self.answered.recv() => self.inputs.push_back(Input::Reply(token, reply)),
                Some((request, answer)) = requests.recv() => {
                    let token = self.token();
                    self.asked.insert(token, answer);
                    self.inputs.push_back(Input::Request(token, request));
                }
                Some(profiles) = discovered.recv() => self.inputs.push_back(Input::Discovered(profiles)),
                () = sleep_until(clock, deadline) => self.on_deadline(),
            }
        }
        if let Some(discovery) = discovery {
            discovery.abort();
        }
        if self.kept.is_none() {
            self.release_associations().await;
        }
    }

    fn on_received(&mut self, received: std::io::Result<(usize, SocketAddr)>, buffer: &[u8]) {
        match received {
            Ok((len, from)) => self.node.handle_datagram(self.env.clock.now(), from, &buffer[..len]),
            // Such as an ICMP error about an earlier datagram: the timers see to it.
            Err(error) => tracing::debug!(%error, "N4 receive"),
        }
    }

    fn on_deadline(&mut self) {
        let now = self.env.clock.now();
        self.node.handle_deadline(now);
        if self.unready.as_ref().is_some_and(|(_, at)| *at <= now) {
            tracing::warn!("no UPF yet: sessions are refused");
            self.ready();
        }
        if self.smf.deadline().is_some_and(|at| at <= now) {
            self.inputs.push_back(Input::Expired);
        }
    }

    fn ready(&mut self) {
        if let Some((api_root, _)) = self.unready.take() {
            self.env.ready(&api_root);
        }
    }

    /// Until neither the core nor the N4 node has anything left to do.
    async fn settle(&mut self) {
        loop {
            let now = self.env.clock.now();
            while let Some(output) = self.node.next_output() {
                if let NodeOutput::Transmit { to, bytes } = output {
                    if let Err(error) = self.socket.send_to(&bytes, to).await {
                        tracing::debug!(%to, %error, "N4 send");
                    }
                } else {
                    self.keep_association(&output).await;
                    self.on_node_output(now, output);
                }
            }
            let Some(input) = self.inputs.pop_front() else { break };
            let outputs = self.smf.handle(now, input);
            self.keep_contexts().await;
            for output in outputs {
                match output {
                    Output::Gtpu { to, datagram } => self.send_gtpu(to, &datagram).await,
                    output => self.perform(now, output),
                }
            }
            self.summary.touched(now);
        }
        self.summary.refresh(self.env.clock.now(), &self.smf);
    }

    /// What has changed is stored before anybody hears of it.
    async fn keep_contexts(&mut self) {
        let Some(kept) = &self.kept else { return };
        let changes = self.smf.changes();
        if !changes.is_empty() {
            self.stored(kept.save(changes).await);
        }
    }

    async fn keep_association(&self, output: &NodeOutput) {
        let Some(kept) = &self.kept else { return };
        match output {
            NodeOutput::PeerUp { association } => self.stored(kept::associated(kept, association).await),
            NodeOutput::PeerDown { association, reason: DownReason::Released | DownReason::Restarted } => {
                self.stored(kept::parted(kept, association.address).await);
            }
            _ => {}
        }
    }

    /// Without its store the SMF serves on; what it could not store is lost with the process.
    fn stored(&self, result: Result<(), StoreError>) {
        if let Err(error) = result {
            tracing::error!(%error, "SM contexts not stored");
            self.env.counters.add("smf.store.failed", 1);
        }
    }

    async fn send_gtpu(&self, to: SocketAddr, datagram: &[u8]) {
        let Some(gtpu) = &self.gtpu else { return };
        if let Err(error) = gtpu.send_to(datagram, to).await {
            tracing::debug!(%to, %error, "GTP-U send");
            self.env.counters.add("smf.gtpu.not_sent", 1);
        }
    }

    fn perform(&mut self, now: Instant, output: Output) {
        match output {
            // Sent by `settle`: a core that is new has none.
            Output::Gtpu { .. } => {}
            Output::Request { token, target, call, request } => {
                let (consumer, replies) = (self.consumer.clone(), self.replies.clone());
                tokio::spawn(async move {
                    let reply = consumer.send(&target, &call, request).await;
                    // The receiver is gone only when this function stops.
                    let _ = replies.send((token, reply));
                });
            }
            Output::Answer(token, reply) => {
                if let Some(answer) = self.asked.remove(&token) {
                    // A consumer that gave up does not hear it.
                    let _ = answer.send(reply);
                }
            }
            Output::N4 { token, upf, seid, message } => {
                match self.node.send_request_as(now, upf, Some(seid), message, token.0) {
                    Ok(node_token) => {
                        self.n4.insert(node_token, token);
                    }
                    Err(error) => {
                        tracing::warn!(%upf, %error, "PFCP request not sent");
                        self.inputs.push_back(Input::N4(token, None));
                    }
                }
            }
            Output::Answer4 { token, seid, message } => {
                if let Some(request) = self.reports.remove(&token) {
                    self.node.respond(now, &request, Some(seid), message.into());
                }
            }
            Output::Associate(endpoint) => {
                self.node.associate(now, endpoint);
                // It may be one of before this process, which the core has not known until now.
                if self.node.association(endpoint.ip()).is_some() {
                    self.inputs.push_back(Input::UpfUp(endpoint));
                }
            }
            Output::Count(name) => self.env.counters.add(name, 1),
        }
    }

    fn on_node_output(&mut self, now: Instant, output: NodeOutput) {
        match output {
            NodeOutput::Transmit { .. } => {}
            NodeOutput::Request { request, message: Message::SessionReportRequest(message) } => {
                self.hear_load(
                    request.from,
                    &message.load_control_information,
                    &message.overload_control_information,
                );
                let (from, seid, token) = (request.from, request.seid.unwrap_or(0), self.token());
                self.reports.insert(token, request);
                self.inputs.push_back(Input::Report(token, Report { from, seid, message }));
            }
            NodeOutput::Request { request, .. } => {
                self.node.refuse(now, &request, 0, tern_pfcp::Cause::SERVICE_NOT_SUPPORTED, None);
            }
            NodeOutput::Malformed { request, error, f_seid } => {
                self.env.counters.add("smf.n4.decode_error", 1);
                let seid = f_seid.map_or(0, |f_seid: FSeid| f_seid.seid);
                self.node.refuse(now, &request, seid, error.cause(), Some(error.ie_type));
            }
            NodeOutput::Response { token, message, from, .. } => {
                self.hear_answer(from, &message);
                let token = self.n4.remove(&token);
                self.inputs.extend(token.map(|token| Input::N4(token, Some(message))));
            }
            NodeOutput::TimedOut { token, peer } => {
                tracing::warn!(%peer, "no PFCP answer");
                self.env.counters.add("smf.n4.timeout", 1);
                let token = self.n4.remove(&token);
                self.inputs.extend(token.map(|token| Input::N4(token, None)));
            }
            NodeOutput::PeerUp { association } => {
                // F-TEIDs are allocated by the UPF alone (TS 29.244 §5.5.1).
                if association.up_function_features.contains(UpFunctionFeatures::FTUP) {
                    self.inputs.push_back(Input::UpfUp(association.address));
                    self.ready();
                } else {
                    tracing::warn!(upf = %association.address, "UPF allocates no F-TEIDs (FTUP): not used");
                }
            }
            NodeOutput::PeerDown { association, reason } => {
                self.inputs.push_back(match reason {
                    DownReason::Released => Input::UpfReleased(association.address),
                    DownReason::Unreachable | DownReason::Restarted => Input::UpfDown(association.address),
                });
            }
            NodeOutput::PeerRestarted { address } => self.inputs.push_back(Input::UpfRestarted(address)),
            NodeOutput::ReleaseRequested { address } => {
                self.inputs.push_back(Input::UpfReleased(address));
                self.node.release(now, address);
            }
        }
    }

    /// A stop that was asked for: the UPFs need not wait for missing heartbeats.
    async fn release_associations(&mut self) {
        let now = self.env.clock.now();
        let peers: Vec<_> = self.node.associations().map(|association| association.address).collect();
        peers.into_iter().for_each(|peer| self.node.release(now, peer));
        while let Some(output) = self.node.next_output() {
            if let NodeOutput::Transmit { to, bytes } = output
                && let Err(error) = self.socket.send_to(&bytes, to).await
            {
                tracing::debug!(%to, %error, "N4 send");
            }
        }
    }

    /// What an answer says of the UPF's load.
    fn hear_answer(&mut self, from: SocketAddr, message: &Message) {
        let (load, overload) = match message {
            Message::SessionEstablishmentResponse(body) => {
                (&body.load_control_information, &body.overload_control_information)
            }
            Message::SessionModificationResponse(body) => {
                (&body.load_control_information, &body.overload_control_information)
            }
            Message::SessionDeletionResponse(body) => {
                (&body.load_control_information, &body.overload_control_information)
            }
            _ => return,
        };
        self.hear_load(from, load, overload);
    }

    fn hear_load(
        &mut self,
        from: SocketAddr,
        load: &Option<LoadControlInformation>,
        overload: &Option<OverloadControlInformation>,
    ) {
        if load.is_none() && overload.is_none() {
            return;
        }
        let Some(association) = self.node.association(from.ip()) else { return };
        let report = LoadReport { load: load.clone(), overload: overload.clone() };
        self.inputs.push_back(Input::UpfLoad(association.address, report));
    }

    fn token(&mut self) -> Token {
        self.next_token += 1;
        Token(self.next_token)
    }
}

/// The next datagram of an endpoint; `None` after an error, such as an ICMP error about an earlier one. Without an
/// endpoint there never is one.
async fn receive(endpoint: Option<&dyn Datagram>, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
    match endpoint {
        Some(endpoint) => endpoint.recv_from(buffer).await.ok(),
        None => std::future::pending().await,
    }
}

async fn sleep_until(clock: tern_nf::Clock, deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => clock.sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Looks for UPFs at the NRF again and again.
async fn discover(
    consumer: Consumer,
    env: Env,
    period: Duration,
    served: Vec<Served>,
    profiles: mpsc::Sender<Vec<UpfProfile>>,
) {
    loop {
        let found = match consumer.discover(&NfType::Upf, None, &Selection::default()).await {
            Ok(found) => found.iter().filter_map(|profile| upf_profile(profile, &served)).collect(),
            Err(error) => {
                tracing::debug!(%error, "no UPF discovered");
                Vec::new()
            }
        };
        let pause = if found.is_empty() { FIRST_DISCOVERY } else { period };
        // A failed or empty discovery leaves what was known: the association tells who lives.
        if !found.is_empty() && profiles.send(found).await.is_err() {
            return;
        }
        env.clock.sleep(pause).await;
    }
}

/// What a UPF's profile says: N4 is at the profile's address (TS 29.510 §6.1.6.2.2).
fn upf_profile(profile: &NfProfile, served: &[Served]) -> Option<UpfProfile> {
    let info = profile.upf_info.as_ref()?;
    let address = profile.ipv4_addresses.first()?;
    let serves: Vec<_> = info
        .s_nssai_upf_info_list
        .iter()
        .flat_map(|item| {
            item.dnn_upf_info_list.iter().map(|d| Served { dnn: d.dnn.clone(), snssai: item.s_nssai })
        })
        .filter(|one| served.contains(one))
        .collect();
    let endpoint = SocketAddr::new((*address).into(), tern_pfcp::PORT);
    (!serves.is_empty()).then_some(UpfProfile { endpoint, serves })
}
