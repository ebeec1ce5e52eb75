//! The core: state, dispatch of inputs, and what procedures share.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tern_ngap::ngap::NGAP_PDU;
use tern_sbi::common::NfInstanceId;
use tern_types::{Duration, Guti5g, Instant, PlmnId, Random, Supi};
use tracing::{debug, error, info, warn};

use crate::admission::{self, Admission};
use crate::arrivals::{self, Arrivals};
use crate::config::Config;
use crate::gmm::Procedure;
use crate::io::{Input, Output, ReplyResult, Token};
use crate::n2::message::{GnbId, GnbInfo, N2Command, N2Event, ResetScope};
use crate::ngap;
use crate::ngap::handover_preparation::N2Handover;
use crate::overload::{self, Overload};
use crate::resume::Changed;
use crate::sbi::namf_loc;
use crate::ue::{Connection, Reachability, UeContext, UeId};
use crate::{gmm, sbi, session};

/// How long a gNB has to confirm the release of a UE's connection.
pub const RELEASE_COMPLETE_WITHIN: Duration = Duration::from_secs(10);

/// 5G-GUTIs before the last two that a UE may still have, having confirmed none since.
const OLDER_GUTIS_MAX: usize = 4;

/// Deadlines looked at to find a context that can go.
const FORGET_SEARCH_MAX: usize = 1024;

/// A connection whose release the gNB has not yet confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Departing {
    gnb: GnbId,
    /// `None` if the gNB has not told it.
    ran_ue_ngap_id: Option<u32>,
    pub(crate) deadline: Instant,
    /// Whose it was.
    pub(crate) ue: Option<UeId>,
}

impl Departing {
    /// Whether a message of this gNB, with this identity of the UE there if it has one, is of it.
    pub(crate) fn is(&self, gnb: GnbId, ran_id: Option<u32>) -> bool {
        let same = self.ran_ue_ngap_id.is_none_or(|own| ran_id.is_none_or(|told| told == own));
        self.gnb == gnb && same
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Due {
    Ue(UeId),
    Departing(u64),
}

/// The AMF's core: no socket, no clock, no task. Same inputs, same outputs.
pub struct Amf {
    pub(crate) config: Config,
    /// Scheme and authority under which callbacks reach this AMF.
    pub(crate) api_root: String,
    pub(crate) nf_instance_id: NfInstanceId,
    pub(crate) random: Random,
    pub(crate) now: Instant,
    pub(crate) gnbs: BTreeMap<GnbId, GnbInfo>,
    pub(crate) ues: BTreeMap<UeId, Box<UeContext>>,
    pub(crate) by_supi: BTreeMap<Supi, UeId>,
    pub(crate) by_tmsi: BTreeMap<u32, UeId>,
    pub(crate) by_amf_id: BTreeMap<u64, UeId>,
    pub(crate) by_ran_id: BTreeMap<(GnbId, u32), UeId>,
    pub(crate) departing: BTreeMap<u64, Departing>,
    /// UEs that are to come to a gNB by N2 handover.
    pub(crate) incoming: BTreeSet<(GnbId, UeId)>,
    /// UEs that are asked to register once their procedure is over, since sessions of theirs are lost.
    pub(crate) untold: BTreeSet<UeId>,
    /// UEs that are not registered and have a procedure running.
    pub(crate) registering: BTreeSet<UeId>,
    /// Those of them whose registration waits for another network function.
    pub(crate) at_work: BTreeSet<UeId>,
    /// UEs that wait for their turn to register.
    pub(crate) arrivals: Arrivals,
    /// Whether, and for how much less, gNBs have been asked.
    pub(crate) overload: Option<Overload>,
    /// Service requests that wait for SMFs.
    pub(crate) serving: BTreeSet<UeId>,
    /// Whether it is about to stop.
    pub(crate) leaving: bool,
    /// PDU session establishments in progress, and those that wait.
    pub(crate) admission: Admission,
    /// Whether it goes on where another process ended.
    pub(crate) continues: bool,
    /// What is to be stored, if contexts outlive the process.
    pub(crate) changed: Option<Changed>,
    pub(crate) tokens: BTreeMap<Token, UeId>,
    pub(crate) deadlines: BTreeSet<(Instant, Due)>,
    asked: Option<Instant>,
    pub(crate) next_token: u64,
    pub(crate) next_ue: u64,
    pub(crate) next_amf_id: u64,
    pub(crate) next_indication: u64,
    pub(crate) out: Vec<Output>,
    counts: BTreeMap<&'static str, u64>,
}

impl Amf {
    /// An AMF without UEs. `api_root` is where its callbacks are reached.
    pub fn new(config: Config, api_root: String, nf_instance_id: NfInstanceId, mut random: Random) -> Self {
        let next_amf_id = random.u64() & 0xffff_ffff;
        Self {
            config,
            api_root,
            nf_instance_id,
            random,
            now: Instant::default(),
            gnbs: BTreeMap::new(),
            ues: BTreeMap::new(),
            by_supi: BTreeMap::new(),
            by_tmsi: BTreeMap::new(),
            by_amf_id: BTreeMap::new(),
            by_ran_id: BTreeMap::new(),
            departing: BTreeMap::new(),
            incoming: BTreeSet::new(),
            untold: BTreeSet::new(),
            registering: BTreeSet::new(),
            at_work: BTreeSet::new(),
            arrivals: Arrivals::default(),
            overload: None,
            serving: BTreeSet::new(),
            leaving: false,
            admission: Admission::default(),
            continues: false,
            changed: None,
            tokens: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            asked: None,
            next_token: 1,
            next_ue: 1,
            next_amf_id,
            next_indication: 1,
            out: Vec::new(),
            counts: BTreeMap::new(),
        }
    }

    /// Takes one input at time `now`; what is to be done comes back in its order.
    pub fn handle(&mut self, now: Instant, input: Input) -> Vec<Output> {
        self.now = self.now.max(now);
        match input {
            Input::N2(event) => self.on_n2(event),
            Input::Request(token, request) => sbi::on_request(self, token, request),
            Input::Reply(token, reply) => self.on_reply(token, reply),
            Input::Stopping => ngap::amf_status::leave(self),
            Input::SmfLost(api_roots) => self.on_smf_lost(&api_roots),
            // The deadline that was asked for is used up.
            Input::Expired => self.asked = None,
        }
        self.expire();
        self.admit_waiting();
        arrivals::proceed(self);
        overload::watch(self);
        self.ask_to_be_woken();
        std::mem::take(&mut self.out)
    }

    /// Tells the next deadline, if it is another one.
    pub(crate) fn ask_to_be_woken(&mut self) {
        let ues = self.deadlines.first().map(|&(at, _)| at);
        let overload = self.overload.as_ref().and_then(Overload::deadline);
        let next = [ues, self.arrivals.deadline(), overload].into_iter().flatten().min();
        if next != self.asked {
            self.asked = next;
            self.out.push(Output::Deadline(next));
        }
    }

    /// Events counted since the last call.
    pub fn take_counts(&mut self) -> BTreeMap<&'static str, u64> {
        std::mem::take(&mut self.counts)
    }

    /// A UE's context, for tests and the operator.
    pub fn ue(&self, supi: &Supi) -> Option<&UeContext> {
        self.by_supi.get(supi).and_then(|id| self.ues.get(id)).map(AsRef::as_ref)
    }

    /// Number of UE contexts.
    pub fn ue_count(&self) -> usize {
        self.ues.len()
    }

    fn on_n2(&mut self, event: N2Event) {
        match event {
            N2Event::Attached { gnbs, .. } => self.on_attached(gnbs),
            N2Event::GnbUp(gnb) => {
                debug!(gnb = %gnb.global, "gNB up");
                self.gnb_down(gnb.id);
                let id = gnb.id;
                self.gnbs.insert(id, gnb);
                overload::tell_new(self, id);
                ngap::amf_status::tell_new(self, id);
            }
            N2Event::GnbUpdated(gnb) => {
                debug!(gnb = %gnb.global, "gNB configuration updated");
                self.gnbs.insert(gnb.id, gnb);
            }
            N2Event::GnbDown(gnb) => self.gnb_down(gnb),
            N2Event::Ngap { gnb, stream, pdu } => ngap::on_pdu(self, gnb, stream, &pdu),
            N2Event::Reset { gnb, ues } => ngap::reset::on_reset(self, gnb, &ues),
            N2Event::Detached => warn!("N2 termination detached"),
        }
    }

    fn on_attached(&mut self, gnbs: Vec<GnbInfo>) {
        info!(gnbs = gnbs.len(), "N2 termination attached");
        let before = |id: &GnbId| self.gnbs.get(id).map(|gnb| gnb.global);
        let stays = |id: &GnbId| {
            gnbs.iter().any(|gnb| gnb.id == *id && before(id).is_none_or(|global| global == gnb.global))
        };
        // One that goes on where another process ended knows gNBs by their connections alone.
        let connected = self.by_ran_id.keys().map(|&(gnb, _)| gnb);
        let coming = self.incoming.iter().map(|&(gnb, _)| gnb);
        let departing = self.departing.values().map(|departing| departing.gnb);
        let known = self.gnbs.keys().copied().chain(connected).chain(coming).chain(departing);
        let known = known.chain(self.arrivals.gnbs());
        let gone: BTreeSet<GnbId> = known.filter(|gnb| !stays(gnb)).collect();
        for gnb in gone {
            self.gnb_down(gnb);
        }
        if self.ues.is_empty() && !self.continues {
            // This AMF is new: what its predecessor left at the gNBs belongs to nobody.
            for gnb in &gnbs {
                let reset = N2Command::Reset { gnb: gnb.id, ues: ResetScope::All };
                self.out.push(Output::N2(reset));
            }
        }
        self.gnbs.extend(gnbs.into_iter().map(|gnb| (gnb.id, gnb)));
        self.out.push(Output::N2(N2Command::Configure(self.config.served_amf())));
    }

    fn gnb_down(&mut self, gnb: GnbId) {
        if let Some(info) = self.gnbs.remove(&gnb) {
            debug!(gnb = %info.global, "gNB down");
        }
        ngap::reset::connections_lost(self, gnb);
        let gone = |(_, d): &(&u64, &Departing)| d.gnb == gnb;
        let gone: Vec<u64> = self.departing.iter().filter(gone).map(|(&id, _)| id).collect();
        for id in gone {
            self.departed(id);
        }
    }

    fn on_reply(&mut self, token: Token, reply: ReplyResult) {
        let Some(id) = self.answered(token).filter(|id| self.ues.contains_key(id)) else {
            self.count("amf.sbi.reply_unknown");
            return;
        };
        self.with_ue(id, |ue, amf| gmm::on_reply(ue, amf, token, reply));
    }

    fn on_smf_lost(&mut self, api_roots: &[String]) {
        let hit = |ue: &UeContext| ue.sessions.values().any(|session| session.is_at(api_roots));
        let ues: Vec<UeId> = self.ues.values().filter(|ue| hit(ue)).map(|ue| ue.id).collect();
        warn!(smf = ?api_roots, ues = ues.len(), "an SMF has lost its sessions: they are released");
        self.count("amf.session.smf_lost");
        for id in ues {
            self.with_ue(id, |ue, amf| session::release_lost(ue, amf, api_roots));
        }
    }

    fn expire(&mut self) {
        while let Some(&(at, due)) = self.deadlines.first() {
            if at > self.now {
                break;
            }
            self.deadlines.pop_first();
            match due {
                Due::Ue(id) => self.with_ue(id, |ue, amf| {
                    ue.armed = None;
                    gmm::expire(ue, amf);
                }),
                Due::Departing(id) => {
                    self.count("amf.ngap.release_unconfirmed");
                    self.departed(id);
                }
            }
        }
    }

    /// Begins the session establishments whose turn has come.
    fn admit_waiting(&mut self) {
        while let Some((ue, session)) = self.admission.next(&self.config.limits) {
            self.with_ue(ue, |ue, amf| admission::admit(ue, amf, session));
        }
    }

    /// Takes a context out, works on it, and puts it back unless it is over.
    pub(crate) fn with_ue(&mut self, id: UeId, work: impl FnOnce(&mut UeContext, &mut Self)) {
        let Some(mut ue) = self.ues.remove(&id) else { return };
        work(&mut ue, self);
        if ue.procedure.is_none() && self.untold.contains(&id) {
            gmm::configuration_update::start(&mut ue, self);
        }
        if ue.procedure.is_none()
            && ue.n2.is_some()
            && let Some(reason) = ue.deregistering
        {
            gmm::deregistration::start(&mut ue, self, reason);
        }
        if ue.procedure.is_none() && ue.leaving {
            gmm::deregistration::go_on(&mut ue, self);
        }
        gmm::subscription_change::tell(&mut ue, self);
        ngap::modify_indication::proceed(&mut ue, self);
        self.settle(ue);
    }

    /// Puts a context (back) into the table and its deadline into the queue.
    pub(crate) fn settle(&mut self, mut ue: Box<UeContext>) {
        self.touched(ue.id);
        let next = if ue.is_over() { None } else { ue.deadline() };
        if next != ue.armed {
            if let Some(at) = ue.armed {
                self.deadlines.remove(&(at, Due::Ue(ue.id)));
            }
            if let Some(at) = next {
                self.deadlines.insert((at, Due::Ue(ue.id)));
            }
            ue.armed = next;
        }
        if !ue.registered && ue.procedure.is_some() {
            self.registering.insert(ue.id);
        } else {
            self.registering.remove(&ue.id);
        }
        let awaits_reply = |procedure: &Procedure| matches!(procedure, Procedure::Registration(running) if running.awaits_reply());
        if !ue.registered && ue.procedure.as_ref().is_some_and(awaits_reply) {
            self.at_work.insert(ue.id);
        } else {
            self.at_work.remove(&ue.id);
        }
        if matches!(ue.procedure, Some(Procedure::Service(_))) {
            self.serving.insert(ue.id);
        } else {
            self.serving.remove(&ue.id);
        }
        if ue.is_over() {
            namf_loc::forget(self, ue.locating.take());
            self.unindex(&ue);
        } else {
            self.admission.settle(&ue);
            self.ues.insert(ue.id, ue);
        }
    }

    /// Where to begin to look for a UE, so that each is as likely to be found.
    pub(crate) fn random_ue(&mut self) -> UeId {
        UeId(self.random.u64() % self.next_ue)
    }

    /// Makes room: of the deregistered UEs whose context is only kept for their return, one that
    /// would go soon.
    pub(crate) fn forget_one_deregistered(&mut self) {
        let soon = self.deadlines.iter().take(FORGET_SEARCH_MAX);
        let mut retained = soon.filter_map(|&(_, due)| match due {
            Due::Ue(id) => self.ues.get(&id).map(AsRef::as_ref),
            Due::Departing(_) => None,
        });
        let over = |ue: &&UeContext| {
            matches!(ue.reachability, Some(Reachability::Retained(_))) && ue.procedure.is_none()
        };
        let Some(id) = retained.find(over).map(|ue| ue.id) else { return };
        self.count("amf.gmm.deregistered_forgotten");
        self.with_ue(id, |ue, _| ue.reachability = None);
    }

    /// Removes every index entry that leads to a context.
    pub(crate) fn unindex(&mut self, ue: &UeContext) {
        self.touched(ue.id);
        if let Some(at) = ue.armed {
            self.deadlines.remove(&(at, Due::Ue(ue.id)));
        }
        self.registering.remove(&ue.id);
        self.at_work.remove(&ue.id);
        self.serving.remove(&ue.id);
        self.untold.remove(&ue.id);
        self.admission.forget(ue.id);
        if let Some(supi) = &ue.supi
            && self.by_supi.get(supi) == Some(&ue.id)
        {
            self.by_supi.remove(supi);
        }
        let gutis = [ue.guti, ue.old_guti].into_iter().flatten();
        for guti in gutis.chain(ue.older_gutis.iter().copied()) {
            self.release_tmsi(guti, ue.id);
        }
    }

    /// The UE has its newest 5G-GUTI: those before it are no longer valid (TS 24.501 §5.4.4.4, §5.5.1.2.4).
    pub(crate) fn confirm_guti(&mut self, ue: &mut UeContext) {
        for old in ue.old_guti.take().into_iter().chain(std::mem::take(&mut ue.older_gutis)) {
            self.release_tmsi(old, ue.id);
        }
    }

    pub(crate) fn release_tmsi(&mut self, guti: Guti5g, owner: UeId) {
        if self.by_tmsi.get(&guti.tmsi) == Some(&owner) {
            self.by_tmsi.remove(&guti.tmsi);
        }
    }

    /// Gives the UE a new 5G-GUTI; the one before stays valid until it is confirmed.
    pub(crate) fn assign_guti(&mut self, ue: &mut UeContext) -> Guti5g {
        let shard = u32::from(self.config.shard) << 28;
        // Unpredictable (TS 33.501 §6.12.3), unique, and not all ones, which stands for none
        // in a USIM (TS 23.003 §2.4).
        let tmsi = loop {
            let tmsi = shard | self.random.u32() & 0x0fff_ffff;
            if tmsi != u32::MAX && !self.by_tmsi.contains_key(&tmsi) {
                break tmsi;
            }
        };
        let guti = Guti5g { guami: self.config.guami(), tmsi };
        // Each one that was not confirmed may be the one that the UE has.
        if let Some(older) = ue.old_guti.take() {
            ue.older_gutis.insert(0, older);
        }
        while ue.older_gutis.len() > OLDER_GUTIS_MAX
            && let Some(oldest) = ue.older_gutis.pop()
        {
            self.release_tmsi(oldest, ue.id);
        }
        ue.old_guti = ue.guti.replace(guti);
        self.by_tmsi.insert(tmsi, ue.id);
        guti
    }

    pub(crate) fn new_ue(&mut self) -> Box<UeContext> {
        let id = UeId(self.next_ue);
        self.next_ue += 1;
        Box::new(UeContext::new(id))
    }

    /// The number of what a gNB indicates; never used twice.
    pub(crate) fn new_indication(&mut self) -> u64 {
        self.next_indication += 1;
        self.next_indication
    }

    pub(crate) fn new_amf_ue_ngap_id(&mut self) -> u64 {
        let shard = u64::from(self.config.shard) << 36;
        loop {
            self.next_amf_id = (self.next_amf_id + 1) & 0xf_ffff_ffff;
            let id = shard | self.next_amf_id;
            if !self.by_amf_id.contains_key(&id) && !self.departing.contains_key(&id) {
                return id;
            }
        }
    }

    pub(crate) fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// Sends a message on a UE's connection.
    pub(crate) fn send_on(&mut self, connection: &Connection, pdu: Result<NGAP_PDU, tern_ngap::CodecError>) {
        self.send_ngap(connection.gnb, connection.stream, pdu);
    }

    pub(crate) fn send_ngap(
        &mut self,
        gnb: GnbId,
        stream: u16,
        pdu: Result<NGAP_PDU, tern_ngap::CodecError>,
    ) {
        let encoded = pdu.map_err(tern_ngap::EncodeError::from).and_then(|pdu| tern_ngap::encode(&pdu));
        self.send_to_all(&[gnb], stream, encoded);
    }

    /// The network in whose cell the UE is; ours until that is known.
    pub(crate) fn serving_plmn(&self, ue: &UeContext) -> PlmnId {
        ue.location.map_or(self.config.guami().plmn_id, |location| location.tai.plmn_id)
    }

    /// Sends one message to several gNBs.
    pub(crate) fn send_to_all(
        &mut self,
        gnbs: &[GnbId],
        stream: u16,
        encoded: Result<Bytes, tern_ngap::EncodeError>,
    ) {
        match encoded {
            Ok(pdu) => {
                let command = |&gnb| Output::N2(N2Command::Ngap { gnb, stream, pdu: pdu.clone() });
                self.out.extend(gnbs.iter().map(command));
            }
            Err(error) => {
                self.count("amf.ngap.encode_error");
                error!(%error, "NGAP message not sent");
            }
        }
    }

    /// The URI of a resource that nobody else has had.
    pub(crate) fn new_transfer(&mut self, ue_context_id: &str) -> String {
        let id = self.next_token;
        self.next_token += 1;
        self.uri(&format!("/namf-comm/v1/ue-contexts/{ue_context_id}/n1-n2-messages/{id}"))
    }

    /// Remembers a connection whose release was commanded.
    pub(crate) fn depart(&mut self, amf_ue_ngap_id: u64, gnb: GnbId, ran_ue_ngap_id: Option<u32>) {
        if self.departing.len() >= self.config.limits.releasing
            && let Some(&oldest) = self.departing.keys().next()
        {
            self.departed(oldest);
        }
        let deadline = self.now + RELEASE_COMPLETE_WITHIN;
        self.departing_changed(amf_ue_ngap_id);
        self.departing.insert(amf_ue_ngap_id, Departing { gnb, ran_ue_ngap_id, deadline, ue: None });
        self.deadlines.insert((deadline, Due::Departing(amf_ue_ngap_id)));
    }

    /// Whose connection it is that departs.
    pub(crate) fn departing_of(&mut self, amf_ue_ngap_id: u64, ue: UeId) {
        self.departing_changed(amf_ue_ngap_id);
        if let Some(departing) = self.departing.get_mut(&amf_ue_ngap_id) {
            departing.ue = Some(ue);
        }
    }

    /// The release was confirmed; what was known of it, if it was awaited.
    pub(crate) fn departed(&mut self, amf_ue_ngap_id: u64) -> Option<Departing> {
        let departing = self.departing.remove(&amf_ue_ngap_id)?;
        self.departing_changed(amf_ue_ngap_id);
        self.deadlines.remove(&(departing.deadline, Due::Departing(amf_ue_ngap_id)));
        Some(departing)
    }

    /// Puts a connection under a UE.
    pub(crate) fn connect(&mut self, ue: &mut UeContext, connection: Connection) {
        self.by_amf_id.insert(connection.amf_ue_ngap_id, ue.id);
        self.by_ran_id.insert((connection.gnb, connection.ran_ue_ngap_id), ue.id);
        ue.reachability = None;
        ue.n2 = Some(connection);
    }

    /// What leads to a UE at a gNB to which it does not come.
    pub(crate) fn forget_target(&mut self, handover: &N2Handover) {
        let Some(ue) = self.by_amf_id.remove(&handover.number()) else { return };
        let (gnb, ran_id) = handover.target_ids();
        self.incoming.remove(&(gnb, ue));
        if let Some(id) = ran_id.map(|id| (gnb, id))
            && self.by_ran_id.get(&id) == Some(&ue)
        {
            self.by_ran_id.remove(&id);
        }
    }

    /// Takes the connection from a UE, without a word to the gNB.
    pub(crate) fn disconnect(&mut self, ue: &mut UeContext) -> Option<Connection> {
        let connection = ue.n2.take()?;
        self.by_amf_id.remove(&connection.amf_ue_ngap_id);
        self.by_ran_id.remove(&(connection.gnb, connection.ran_ue_ngap_id));
        ngap::handover::abandon(ue, self, connection.amf_ue_ngap_id);
        session::disconnected(ue, self);
        Some(connection)
    }

    pub(crate) fn uri(&self, path: &str) -> String {
        format!("{}{path}", self.api_root)
    }
}
