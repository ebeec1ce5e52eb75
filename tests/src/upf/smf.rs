//! An SMF's end of N4: it associates, asks what a test tells it, and accepts each report.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use tern_n4::{Node, NodeConfig, Output, Token};
use tern_pfcp::*;
use tern_types::Instant;
use tokio::sync::oneshot;

use super::rules::SessionRules;
use crate::netns::Netns;

/// The SMF's address.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 17);
/// How long it waits for a datagram before it looks at what it is told.
const TURN: Duration = Duration::from_millis(2);
/// How long an association or an answer may take.
const ANSWER_TIME: Duration = Duration::from_secs(15);
/// The longest PFCP message.
const MESSAGE_MAX: usize = 65_536;

/// What is to be asked, and who wants the answer.
struct Question {
    seid: u64,
    message: Message,
    answer: oneshot::Sender<Message>,
}

/// A session at the UPF.
#[derive(Debug, Clone, Copy)]
pub struct Session {
    /// The UPF's endpoint.
    pub seid: u64,
    /// The UPF's end of the tunnel.
    pub teid: u32,
}

/// The SMF on a thread of its own, until it is dropped.
pub struct Smf {
    questions: Sender<Question>,
    reports: Arc<Mutex<Vec<SessionReportRequest>>>,
    next_seid: Mutex<u64>,
}

impl Smf {
    /// Starts in the UPF's namespace, and waits for the association.
    pub async fn associate(netns: &Netns, upf: SocketAddr) -> Result<Self> {
        let socket = netns.within(|| Ok(UdpSocket::bind((ADDRESS, tern_pfcp::PORT))?)).await?;
        socket.set_read_timeout(Some(TURN))?;
        let (questions, asked) = channel();
        let reports = Arc::<Mutex<Vec<SessionReportRequest>>>::default();
        let (up, is_up) = oneshot::channel();
        let mut loop_ = Loop { node: node(upf), socket, upf, asked, reports: reports.clone() };
        std::thread::spawn(move || loop_.run(up));
        tokio::time::timeout(ANSWER_TIME, is_up).await.context("the UPF does not associate")??;
        Ok(Self { questions, reports, next_seid: Mutex::new(1) })
    }

    async fn ask(&self, seid: u64, message: impl Into<Message>) -> Result<Message> {
        let (answer, answered) = oneshot::channel();
        let question = Question { seid, message: message.into(), answer };
        self.questions.send(question).ok().context("the SMF has ended")?;
        tokio::time::timeout(ANSWER_TIME, answered).await.context("no answer on N4")?.context("no answer")
    }

    /// Establishes a session of the UE, whose gNB has this TEID.
    pub async fn establish(&self, rules: &SessionRules, ue: Ipv4Addr, gnb_teid: u32) -> Result<Session> {
        let seid = {
            let mut next = self.next_seid.lock().unwrap_or_else(PoisonError::into_inner);
            *next += 1;
            *next
        };
        let request = rules.establishment(seid, ADDRESS, ue, gnb_teid);
        let Message::SessionEstablishmentResponse(answer) = self.ask(0, request).await? else {
            bail!("another answer to the establishment");
        };
        ensure!(answer.cause.is_accepted(), "the session is refused: {answer:?}");
        let teid = answer.created_pdr.iter().find_map(|created| match created.f_teid {
            Some(FTeid::Assigned { teid, .. }) => Some(teid),
            _ => None,
        });
        let seid = answer.up_f_seid.context("no F-SEID")?.seid;
        Ok(Session { seid, teid: teid.context("no F-TEID")? })
    }

    /// Changes a session.
    pub async fn modify(
        &self,
        session: Session,
        request: SessionModificationRequest,
    ) -> Result<SessionModificationResponse> {
        let Message::SessionModificationResponse(answer) = self.ask(session.seid, request).await? else {
            bail!("another answer to the modification");
        };
        ensure!(answer.cause.is_accepted(), "the modification is refused: {answer:?}");
        Ok(answer)
    }

    /// What a URR has counted since its last report.
    pub async fn usage(&self, session: Session, urr: u32) -> Result<VolumeMeasurement> {
        let query_urr = vec![QueryUrr { urr_id: UrrId(urr), ..Default::default() }];
        let request = SessionModificationRequest { query_urr, ..Default::default() };
        let answer = self.modify(session, request).await?;
        answer.usage_report.first().and_then(|report| report.volume).context("no usage report")
    }

    /// Deletes a session; its last reports.
    pub async fn delete(&self, session: Session) -> Result<Vec<UsageReport>> {
        let request = SessionDeletionRequest::default();
        let Message::SessionDeletionResponse(answer) = self.ask(session.seid, request).await? else {
            bail!("another answer to the deletion");
        };
        ensure!(answer.cause.is_accepted(), "the deletion is refused: {answer:?}");
        Ok(answer.usage_report)
    }

    /// The reports that have come since this was asked last.
    pub fn take_reports(&self) -> Vec<SessionReportRequest> {
        std::mem::take(&mut self.reports.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reports until one is there.
    pub async fn wait_for_report(&self) -> Result<Vec<SessionReportRequest>> {
        let look = async {
            loop {
                let reports = self.take_reports();
                if !reports.is_empty() {
                    return reports;
                }
                tokio::time::sleep(TURN).await;
            }
        };
        tokio::time::timeout(ANSWER_TIME, look).await.context("no report of the UPF")
    }
}

fn node(upf: SocketAddr) -> Node {
    let mut config = NodeConfig::new(NodeId::Address(ADDRESS.into()), RecoveryTimeStamp(1));
    config.associate = vec![upf];
    Node::new(config, Instant::from_micros(1))
}

/// The thread.
struct Loop {
    node: Node,
    socket: UdpSocket,
    upf: SocketAddr,
    asked: Receiver<Question>,
    reports: Arc<Mutex<Vec<SessionReportRequest>>>,
}

impl Loop {
    fn run(&mut self, up: oneshot::Sender<()>) {
        let began = std::time::Instant::now();
        let mut up = Some(up);
        let mut open: BTreeMap<Token, oneshot::Sender<Message>> = BTreeMap::new();
        let mut buffer = vec![0; MESSAGE_MAX];
        loop {
            let since = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
            let now = Instant::from_micros(1 + since);
            if self.node.next_deadline().is_some_and(|at| at <= now) {
                self.node.handle_deadline(now);
            }
            loop {
                match self.asked.try_recv() {
                    Ok(Question { seid, message, answer }) => {
                        // What is not sent is not answered: who asks hears of it.
                        if let Ok(token) = self.node.send_request(now, self.upf, Some(seid), message) {
                            open.insert(token, answer);
                        }
                    }
                    Err(std::sync::mpsc::TryRecvError::Empty) => break,
                    Err(std::sync::mpsc::TryRecvError::Disconnected) => return,
                }
            }
            while let Some(output) = self.node.next_output() {
                self.obey(now, output, &mut up, &mut open);
            }
            // A time out, or an ICMP error while the UPF starts.
            if let Ok((length, from)) = self.socket.recv_from(&mut buffer) {
                self.node.handle_datagram(now, from, &buffer[..length]);
            }
        }
    }

    fn obey(
        &mut self,
        now: Instant,
        output: Output,
        up: &mut Option<oneshot::Sender<()>>,
        open: &mut BTreeMap<Token, oneshot::Sender<Message>>,
    ) {
        match output {
            // A lost one is sent again.
            Output::Transmit { to, bytes } => _ = self.socket.send_to(&bytes, to),
            Output::PeerUp { .. } => _ = up.take().map(|up| up.send(())),
            Output::Response { token, message, .. } => {
                // Who asked may have stopped waiting.
                if let Some(answer) = open.remove(&token) {
                    _ = answer.send(message);
                }
            }
            Output::Request { request, message: Message::SessionReportRequest(report) } => {
                self.reports.lock().unwrap_or_else(PoisonError::into_inner).push(report);
                let answer = SessionReportResponse { cause: Cause::REQUEST_ACCEPTED, ..Default::default() };
                self.node.respond(now, &request, request.seid, answer.into());
            }
            Output::TimedOut { token, .. } => _ = open.remove(&token),
            _ => {}
        }
    }
}
