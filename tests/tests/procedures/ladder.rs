//! What network functions and gNBs say to one another, as a ladder diagram in Mermaid's language.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tern_pfcp::{Frame, MessageType};
use tern_sbi_transport::{Observed, What};
use tern_sctp::Message;

use super::names;
use crate::simulation::{AMF_ADDRESS, Nf, Setup, Witness};

/// N1 and N2 as they stand from left to right; behind them the rest of the core.
const CORE: [Nf; 8] = [Nf::Amf, Nf::Smf, Nf::Upf, Nf::Ausf, Nf::Udm, Nf::Udr, Nf::Pcf, Nf::Nssf];
/// Requests that belong to no procedure of a UE.
const UPKEEP: [&str; 3] = ["/nnrf-nfm/", "/nnrf-disc/", "/tern/"];

/// Collects steps while it is told to.
pub struct Ladder {
    producers: Vec<(String, Nf)>,
    upf: IpAddr,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    listens: bool,
    /// In the order in which they were set up.
    gnbs: Vec<SocketAddr>,
    steps: Vec<Step>,
    /// Requests whose replies are steps too.
    asked: BTreeSet<u64>,
}

struct Step {
    from: String,
    to: String,
    what: String,
    is_answer: bool,
}

impl Ladder {
    /// For simulations of this set-up.
    pub fn new(setup: &Setup) -> Self {
        let producers = [
            (setup.amf.sbi.api_root(), Nf::Amf),
            (setup.smf.sbi.api_root(), Nf::Smf),
            (setup.ausf.sbi.api_root(), Nf::Ausf),
            (setup.udm.sbi.api_root(), Nf::Udm),
            (setup.udr.sbi.api_root(), Nf::Udr),
            (setup.pcf.sbi.api_root(), Nf::Pcf),
            (setup.nssf.sbi.api_root(), Nf::Nssf),
        ];
        Self { producers: producers.into(), upf: setup.upf.n4.address, seen: Mutex::default() }
    }

    /// What is said from now on belongs to the procedure.
    pub fn begin(&self) {
        self.lock().listens = true;
    }

    /// The procedure is over: its diagram.
    pub fn end(&self) -> String {
        let mut seen = self.lock();
        seen.listens = false;
        let steps = std::mem::take(&mut seen.steps);
        let gnbs = (1..=seen.gnbs.len()).map(|number| format!("gNB{number}"));
        let columns = gnbs.chain(CORE.map(|nf| nf.name().to_owned()));
        let mut diagram = String::from("sequenceDiagram\n");
        for column in columns.filter(|name| steps.iter().any(|step| step.from == *name || step.to == *name)) {
            let _ = writeln!(diagram, "  participant {column}");
        }
        for Step { from, to, what, is_answer } in &steps {
            let _ = writeln!(diagram, "  {from}{}{to}: {what}", if *is_answer { "-->>" } else { "->>" });
        }
        diagram
    }

    fn add(&self, from: String, to: String, what: String, is_answer: bool) {
        let mut seen = self.lock();
        if seen.listens {
            seen.steps.push(Step { from, to, what, is_answer });
        }
    }

    /// A gNB's number; AMF's end of N2.
    fn n2_end(&self, at: SocketAddr) -> String {
        if at.ip() == AMF_ADDRESS {
            return Nf::Amf.to_string();
        }
        let gnbs = &mut self.lock().gnbs;
        let number = gnbs.iter().position(|gnb| *gnb == at).unwrap_or_else(|| {
            gnbs.push(at);
            gnbs.len() - 1
        });
        format!("gNB{}", number + 1)
    }

    fn n4_end(&self, at: SocketAddr) -> String {
        let nf = if at.ip() == self.upf { Nf::Upf } else { Nf::Smf };
        nf.to_string()
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Witness for Ladder {
    fn n2(&self, from: SocketAddr, to: SocketAddr, message: &Message) {
        let (from, to) = (self.n2_end(from), self.n2_end(to));
        let Some(name) = names::ngap(&message.data) else { return };
        self.add(from, to, name, false);
    }

    fn datagram(&self, from: SocketAddr, to: SocketAddr, data: &[u8]) {
        if to.port() != tern_pfcp::PORT && from.port() != tern_pfcp::PORT {
            return;
        }
        let kind = Frame::decode(data).map(|frame| frame.message.kind());
        let Some(kind) = kind.ok().filter(|kind| kind.is_session()) else { return };
        let is_answer = matches!(
            kind,
            MessageType::SessionEstablishmentResponse
                | MessageType::SessionModificationResponse
                | MessageType::SessionDeletionResponse
                | MessageType::SessionReportResponse
        );
        let name = format!("PFCP {}", names::in_words(&format!("{kind:?}")));
        self.add(self.n4_end(from), self.n4_end(to), name, is_answer);
    }

    fn sbi(&self, observed: &Observed<'_>) {
        let producer = self.producers.iter().find(|(root, _)| root == observed.api_root);
        let Some((_, producer)) = producer else { return };
        let (consumer, producer) = (observed.consumer.to_owned(), producer.to_string());
        match &observed.what {
            What::Request(request) => {
                if UPKEEP.iter().any(|path| request.path.starts_with(path)) {
                    return;
                }
                self.lock().asked.insert(observed.number);
                self.add(consumer, producer, names::operation(request), false);
            }
            What::Reply(reply) if self.lock().asked.remove(&observed.number) => {
                let what = reply.map_or("no answer".to_owned(), |reply| reply.status.to_string());
                self.add(producer, consumer, what, true);
            }
            What::Reply(_) => {}
        }
    }
}
