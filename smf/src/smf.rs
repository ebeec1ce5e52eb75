//! The SMF's core: every SM context, and which of them an input is for.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use tern_nf::Change;
use tern_pfcp::{Cause as PfcpCause, Message, SessionReportResponse};
use tern_sbi::namf_comm::N1N2TransferFailureNotify;
use tern_sbi::npcf_sm::{SmPolicyTerminateNotify, SmPolicyUpdateNotify};
use tern_sbi::nsmf_pdusession::{PostSmContexts, ReleaseSmContext, RetrieveSmContext};
use tern_sbi::nudm_sdm::DataChangeNotify;
use tern_sbi::nudm_uecm::DeregistrationNotify;
use tern_sbi::{OperationError, ProblemDetails, Reply, Response, TransportError};
use tern_types::{Duration, Instant, PduSessionId, Random, Supi};

use crate::cause::{GsmCause, Refusal};
use crate::config::Config;
use crate::context::{Next, PduSession, SCHEMA, SmContext, SmContextRef, State};
use crate::core::{Core, Identity, Pools};
use crate::create;
use crate::dispatch::{
    abandon, on_n4, on_released_by_amf, on_replaced, on_report, on_transfer_failure, on_update,
    on_user_plane_lost,
};
use crate::gsm::{Cause, admission, establish, message, policy_pushed, release};
use crate::io::{Deadline, Input, Output, Outputs, Report, SmfRequest, Token};
use crate::record::{self, Restored};
use crate::restoration::{self, Done, Due, Restorations};
use crate::router;
use crate::sbi::{data_change, pdu_session, rule_report};
use crate::upf::Upfs;

/// The SMF. Inputs go into [`Smf::handle`], outputs come out of it; it does no I/O.
pub struct Smf {
    config: Config,
    identity: Identity,
    random: Random,
    contexts: BTreeMap<SmContextRef, SmContext>,
    by_session: BTreeMap<(Supi, PduSessionId), SmContextRef>,
    deadlines: BTreeSet<Deadline>,
    pools: Pools,
    upfs: Upfs,
    restorations: Restorations,
    /// Contexts that have changed and are to be stored, if they are kept.
    changed: Option<BTreeSet<SmContextRef>>,
    out: Outputs,
}

impl Smf {
    /// Without any session. Its first outputs ask for associations with the configured UPFs.
    pub fn new(config: Config, identity: Identity, random: Random) -> (Self, Vec<Output>) {
        let pools = Pools::new(&config);
        let upfs = Upfs::new(&config);
        let outputs = upfs.iter().map(|(&endpoint, _)| Output::Associate(endpoint)).collect();
        let smf = Self {
            config,
            identity,
            random,
            contexts: BTreeMap::new(),
            by_session: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            pools,
            upfs,
            restorations: Restorations::default(),
            changed: None,
            out: Outputs::default(),
        };
        (smf, outputs)
    }

    /// Goes on where the process before this one ended, with what it stored of its contexts. What they await answers to
    /// is asked again. From now on [`Smf::changes`] tells what is to be stored.
    pub fn resume(&mut self, now: Instant, restored: Vec<Restored>) -> Vec<Output> {
        self.changed = Some(BTreeSet::new());
        self.out.keep();
        let mut lost: BTreeMap<SocketAddr, Vec<SmContextRef>> = BTreeMap::new();
        for Restored { mut context, awaited } in restored {
            let reference = context.session.reference;
            self.claim(now, &context.session);
            // A restoration that was under way is begun anew, with the others of its UPF.
            let begun =
                context.session.user_plane.as_mut().and_then(|user_plane| user_plane.restoring.take());
            for (token, sent) in awaited {
                if begun != Some(token) {
                    self.out.again(reference, token, sent);
                }
            }
            if let Some(user_plane) = &context.session.user_plane {
                let lost = lost.entry(user_plane.upf).or_default();
                lost.extend(restoration::is_wanted(&context.session, &context.state).then_some(reference));
            }
            let key = (context.session.supi.clone(), context.session.id);
            // Beside the session that replaces it may be the one that is released for it.
            if !matches!(context.state, State::InactivePending(_)) || !self.by_session.contains_key(&key) {
                self.by_session.insert(key, reference);
            }
            self.deadlines.extend(deadline(&context.session, &context.state).map(|at| (at, reference)));
            self.contexts.insert(reference, context);
        }
        // Until a UPF is there again its sessions wait, as long as they would have before.
        for (upf, sessions) in lost {
            self.restorations.lost(now, upf, sessions, now + self.upf_return());
        }
        self.out.take()
    }

    /// What has changed since this was asked last, to be stored before the outputs leave. Nothing if contexts are not
    /// kept.
    pub fn changes(&mut self) -> Vec<Change> {
        let changed = self.changed.as_mut().map(std::mem::take).unwrap_or_default();
        let change = |reference| {
            let record = match self.contexts.get(&reference) {
                Some(context) => match record::write(context, self.out.sent(reference)) {
                    Ok(record) => Some(record),
                    Err(error) => {
                        tracing::error!(context = %reference, %error, "SM context not stored");
                        return None;
                    }
                },
                None => None,
            };
            Some(Change { key: record::key(reference), record })
        };
        changed.into_iter().filter_map(change).collect()
    }

    /// Addresses and the place at its UPF of a session that was there before.
    fn claim(&mut self, now: Instant, session: &PduSession) {
        let mut core =
            core(now, &self.config, &self.identity, &mut self.pools, &mut self.upfs, &mut self.out);
        if let Some(address) = session.granted.as_ref().and_then(|granted| granted.ipv4)
            && let Some(Err(error)) = core.pool(session).map(|pool| pool.claim(address))
        {
            tracing::warn!(supi = %session.supi, session = %session.id, %error, "address of a kept session");
        }
        if let Some(link) = session.granted.as_ref().and_then(|granted| granted.ipv6)
            && let Some(Err(error)) = core.prefixes(session).map(|prefixes| prefixes.claim(link.prefix))
        {
            tracing::warn!(supi = %session.supi, session = %session.id, %error, "prefix of a kept session");
        }
        if let Some(user_plane) = &session.user_plane {
            core.upfs.session_added(user_plane.upf);
        }
    }

    /// Takes one input at `now`, and tells what is to be done.
    pub fn handle(&mut self, now: Instant, input: Input) -> Vec<Output> {
        match input {
            Input::Request(token, request) => self.on_request(now, token, request),
            Input::Reply(token, reply) => self.on_reply(now, token, reply),
            Input::N4(token, answer) => self.on_n4(now, token, answer),
            Input::Report(token, report) => self.on_report(now, token, report),
            Input::Gtpu(from, datagram) => self.on_gtpu(now, from, &datagram),
            Input::UpfUp(endpoint) => self.on_upf_up(now, endpoint),
            Input::UpfDown(endpoint) => self.on_upf_down(now, endpoint),
            Input::UpfRestarted(endpoint) => self.on_upf_restarted(now, endpoint),
            Input::UpfReleased(endpoint) => {
                self.upfs.set_associated(endpoint, false);
                self.give_up(now, endpoint, "the association was released");
            }
            Input::Discovered(profiles) => {
                for endpoint in self.upfs.discovered(profiles, self.config.limits.upfs_max) {
                    // Those of before this process.
                    (0..self.at_upf(endpoint).count()).for_each(|_| self.upfs.session_added(endpoint));
                    self.out.push(Output::Associate(endpoint));
                }
            }
            Input::UpfLoad(endpoint, report) => self.upfs.set_load(now, endpoint, &report),
            Input::Expired => self.on_expired(now),
        }
        self.out.take()
    }

    /// When [`Input::Expired`] is due next.
    pub fn deadline(&self) -> Option<Instant> {
        let own = self.deadlines.first().map(|&(at, _)| at);
        own.into_iter().chain(self.restorations.deadline()).min()
    }

    /// All SM contexts.
    pub fn contexts(&self) -> impl Iterator<Item = &SmContext> {
        self.contexts.values()
    }

    /// How many SM contexts there are.
    pub fn sessions(&self) -> usize {
        self.contexts.len()
    }

    /// The UPFs.
    pub fn upfs(&self) -> &Upfs {
        &self.upfs
    }

    /// IPv4 addresses in use, of each data network of the configuration.
    pub fn addresses_used(&self) -> Vec<usize> {
        self.used().map(|(addresses, _)| addresses).collect()
    }

    /// IPv6 prefixes in use, of each data network of the configuration.
    pub fn prefixes_used(&self) -> Vec<usize> {
        self.used().map(|(_, prefixes)| prefixes).collect()
    }

    fn used(&self) -> impl Iterator<Item = (usize, usize)> {
        (0..self.config.data_networks.len()).map(|index| self.pools.used(&self.config, index))
    }

    /// Replies and N4 answers awaited.
    pub fn awaited(&self) -> usize {
        self.out.awaited()
    }

    fn on_request(&mut self, now: Instant, token: Token, request: SmfRequest) {
        match request {
            SmfRequest::Create(operation) => self.on_create(now, token, operation),
            SmfRequest::Update(operation) => match self.find(&operation.sm_context_ref) {
                Some(reference) => {
                    self.with(now, reference, |core, session, state| {
                        on_update(core, session, state, token, operation)
                    });
                }
                None => {
                    let mut core = core(
                        now,
                        &self.config,
                        &self.identity,
                        &mut self.pools,
                        &mut self.upfs,
                        &mut self.out,
                    );
                    let n1 = operation.n1_sm_msg.as_deref().and_then(message::reject_of_unknown);
                    pdu_session::update_refused(&mut core, token, 404, "CONTEXT_NOT_FOUND", n1);
                }
            },
            SmfRequest::Release(operation) => {
                let found = self.find(&operation.sm_context_ref);
                let result = match found {
                    Some(_) => Ok(Response { status: 204, ..Response::ok(None) }),
                    None => Err(OperationError::Problem(ProblemDetails::new(404, "CONTEXT_NOT_FOUND"))),
                };
                self.out.answer::<ReleaseSmContext>(token, result);
                if let Some(reference) = found {
                    self.with(now, reference, on_released_by_amf);
                }
            }
            SmfRequest::Retrieve(operation) => {
                // Without EPS interworking there is nothing that another SMF or MME could take.
                let problem = match self.find(&operation.sm_context_ref) {
                    Some(_) => ProblemDetails::new(403, "NO_EPS_5GS_CONTINUITY"),
                    None => ProblemDetails::new(404, "CONTEXT_NOT_FOUND"),
                };
                self.out.answer::<RetrieveSmContext>(token, Err(OperationError::Problem(problem)));
            }
            SmfRequest::TransferFailure(operation) => self.on_transfer_failure(now, token, &operation),
            SmfRequest::PolicyUpdate(operation) => self.on_policy_update(now, token, &operation),
            SmfRequest::PolicyTermination(operation) => {
                let found = operation.key().and_then(|key| self.find(&key));
                self.out.answer::<SmPolicyTerminateNotify>(token, callback_result(found.is_some()));
                if let Some(reference) = found {
                    self.with(now, reference, terminate);
                }
            }
            SmfRequest::DataChange(operation) => {
                let found = operation.key().and_then(|key| self.find(&key));
                self.out.answer::<DataChangeNotify>(token, callback_result(found.is_some()));
                if let Some(reference) = found {
                    self.with(now, reference, |_, session, state| {
                        data_change::changed(session);
                        Next::State(state)
                    });
                }
            }
            SmfRequest::Deregistration(operation) => {
                let found = operation.key().and_then(|key| self.find(&key));
                self.out.answer::<DeregistrationNotify>(token, callback_result(found.is_some()));
                if let Some(reference) = found {
                    self.with(now, reference, |core, session, state| {
                        // There is no registration any more that could be ended.
                        session.registered = false;
                        terminate(core, session, state)
                    });
                }
            }
        }
    }

    /// The AMF did not reach the UE (TS 29.518 §5.2.2.3.2).
    fn on_transfer_failure(&mut self, now: Instant, token: Token, operation: &N1N2TransferFailureNotify) {
        let found = operation.key().and_then(|key| self.find(&key));
        self.out.answer::<N1N2TransferFailureNotify>(token, callback_result(found.is_some()));
        if let Some(reference) = found {
            self.with(now, reference, on_transfer_failure);
        }
    }

    fn on_create(&mut self, now: Instant, token: Token, operation: PostSmContexts) {
        let reference = self.new_reference();
        let exists = |supi: &Supi, id| self.by_session.contains_key(&(supi.clone(), id));
        let supi = operation.data.supi.clone();
        let session = create::read(&self.config, operation, reference, exists);
        if let Ok(session) = &session
            && let Some(old) = self.asked_for_again(session)
        {
            tracing::info!(supi = %session.supi, session = %session.id, "PDU session is asked for again");
            self.out.count("smf.create.repeated");
            return self.with(now, old, |core, session, state| match state {
                State::Inactive(establishment) => establishment.asked_for_again(core, session, token),
                state => Next::State(state),
            });
        }
        let session = session.and_then(|session| {
            if self.contexts.len() < self.config.limits.sessions_max {
                return Ok(session);
            }
            Err(create::Refused::with_reject(session.id.get(), session.request.pti, Refusal::SessionLimit))
        });
        let mut session = match session {
            Ok(session) => session,
            Err(refused) => {
                tracing::warn!(?supi, problem = %refused.problem, "SM context refused");
                self.out.count("smf.create.refused");
                let mut core =
                    core(now, &self.config, &self.identity, &mut self.pools, &mut self.upfs, &mut self.out);
                return pdu_session::create_failed(&mut core, token, *refused.problem, refused.n1);
            }
        };
        let key = (session.supi.clone(), session.id);
        if let Some(&old) = self.by_session.get(&key) {
            let status = session.status.clone();
            // Registration and subscription at the UDM are by PDU session identity: they are the new session's now.
            if let Some(context) = self.contexts.get(&old) {
                session.registered = context.session.registered;
                session.data_subscription = data_change::inherited(&context.session);
            }
            tracing::info!(supi = %session.supi, session = %session.id, "PDU session is replaced");
            self.with(now, old, |core, session, state| {
                let notify = session.status != status;
                on_replaced(core, session, state, notify)
            });
        }
        self.by_session.insert(key, reference);
        let mut core =
            core(now, &self.config, &self.identity, &mut self.pools, &mut self.upfs, &mut self.out);
        let next = establish(&mut core, &session, token);
        self.put(session, next);
    }

    /// The context that is being established and that this session's request has made before.
    fn asked_for_again(&self, session: &PduSession) -> Option<SmContextRef> {
        let &old = self.by_session.get(&(session.supi.clone(), session.id))?;
        let context = self.contexts.get(&old)?;
        let again =
            matches!(context.state, State::Inactive(_)) && context.session.is_asked_for_again(session);
        again.then_some(old)
    }

    fn on_reply(&mut self, now: Instant, token: Token, reply: Result<Reply, TransportError>) {
        let Some(reference) = self.out.resolve(token) else { return self.out.count("smf.sbi.unknown_token") };
        self.with(now, reference, |core, session, state| match state {
            state if data_change::awaits(session, token) => {
                data_change::on_reply(core, session, state, token, reply)
            }
            state if rule_report::awaits(session, token) => {
                rule_report::on_reply(session, reply);
                Next::State(state)
            }
            State::Inactive(establishment) => establishment.on_reply(core, session, token, reply),
            State::Active(mut connection) => {
                connection.on_reply(core, session, token, reply);
                Next::State(State::Active(connection))
            }
            State::ModificationPending(modification, mut connection) => {
                if connection.notifying == Some(token) {
                    connection.on_reply(core, session, token, reply);
                    return Next::State(State::ModificationPending(modification, connection));
                }
                modification.on_reply(core, session, connection, token, reply)
            }
            State::InactivePending(release) => release.on_reply(core, session, token, reply),
        });
    }

    fn on_policy_update(&mut self, now: Instant, token: Token, operation: &SmPolicyUpdateNotify) {
        let found = operation.key().and_then(|key| self.find(&key));
        let Some(reference) = found else {
            let problem = ProblemDetails::new(404, "CONTEXT_NOT_FOUND");
            return self.out.answer::<SmPolicyUpdateNotify>(token, Err(OperationError::Problem(problem)));
        };
        let decision = operation.notification.sm_policy_decision.clone().unwrap_or_default();
        self.with(now, reference, |core, session, state| match state {
            State::Active(connection) => policy_pushed(core, session, connection, &decision, token),
            state => {
                rule_report::answer_pending(core, token);
                Next::State(state)
            }
        });
    }

    fn on_report(&mut self, now: Instant, token: Token, report: Report) {
        let found = SmContextRef::new(report.seid).filter(|reference| self.contexts.contains_key(reference));
        let up_seid = found.and_then(|reference| {
            let user_plane = self.contexts.get(&reference)?.session.user_plane.as_ref()?;
            // A session that is being restored may report before we know how it is called there.
            let restoring = user_plane.restoring.map(|_| 0);
            (user_plane.upf.ip() == report.from.ip()).then_some(user_plane.up_seid.or(restoring))?
        });
        let cause = match up_seid {
            Some(_) => PfcpCause::REQUEST_ACCEPTED,
            None => PfcpCause::SESSION_CONTEXT_NOT_FOUND,
        };
        let message = SessionReportResponse { cause, ..SessionReportResponse::default() };
        self.out.push(Output::Answer4 { token, seid: up_seid.unwrap_or(0), message });
        if let (Some(reference), Some(_)) = (found, up_seid) {
            self.with(now, reference, |core, session, state| on_report(core, session, state, &report));
        }
    }

    fn on_n4(&mut self, now: Instant, token: Token, answer: Option<Message>) {
        let Some(reference) = self.out.resolve(token) else { return self.out.count("smf.n4.unknown_token") };
        self.with(now, reference, |core, session, state| on_n4(core, session, state, token, answer));
        let Some(upf) = self.restorations.ended(token) else { return };
        if self.contexts.get(&reference).is_some_and(|c| restoration::is_wanted(&c.session, &c.state)) {
            self.restorations.again(now, upf, reference);
        }
        self.restore(now, upf);
    }

    /// What a UPF has taken here from a UE.
    fn on_gtpu(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        let Some((teid, packet)) = router::receive(&mut self.out, from, datagram) else { return };
        let found = self.contexts.range(SmContextRef::of_teid(teid)).next().map(|(reference, _)| *reference);
        let Some(reference) = found else { return self.out.count("smf.gtpu.unknown_teid") };
        self.with(now, reference, |core, session, state| {
            router::on_packet(core, session, from, packet);
            Next::State(state)
        });
    }

    fn on_upf_up(&mut self, now: Instant, endpoint: SocketAddr) {
        self.upfs.set_associated(endpoint, true);
        self.restorations.resume(endpoint);
        self.restore(now, endpoint);
    }

    fn on_upf_down(&mut self, now: Instant, endpoint: SocketAddr) {
        self.upfs.set_associated(endpoint, false);
        if self.at_upf(endpoint).next().is_some() {
            self.restorations.gone(now, endpoint, now + self.upf_return());
        }
    }

    fn on_upf_restarted(&mut self, now: Instant, endpoint: SocketAddr) {
        self.out.count("smf.upf.restarted");
        let all: Vec<SmContextRef> = self.at_upf(endpoint).map(|c| c.session.reference).collect();
        for &reference in &all {
            self.with(now, reference, restoration::lost);
        }
        let mut lost: Vec<&SmContext> = all.iter().filter_map(|r| self.contexts.get(r)).collect();
        lost.retain(|context| restoration::is_wanted(&context.session, &context.state));
        // Those whose UEs are connected first.
        lost.sort_by_key(|context| !context.session.is_connected());
        let lost: Vec<SmContextRef> = lost.iter().map(|context| context.session.reference).collect();
        if lost.is_empty() {
            return self.restorations.forget(endpoint);
        }
        tracing::warn!(upf = %endpoint, sessions = lost.len(), "UPF has lost its sessions: they are restored");
        self.restorations.lost(now, endpoint, lost, now + self.upf_return());
    }

    /// Asks a UPF that is there for the sessions that it has lost, so many at a time.
    fn restore(&mut self, now: Instant, upf: SocketAddr) {
        if self.upfs.is_associated(upf) {
            while let Some(reference) = self.restorations.next(upf, self.config.limits.restorations_max) {
                let mut token = None;
                self.with(now, reference, |core, session, mut state| {
                    token = restoration::start(core, session, &mut state);
                    Next::State(state)
                });
                if let Some(token) = token {
                    self.restorations.begun(token, upf);
                }
            }
        }
        if let Some(Done { sessions, took }) = self.restorations.done(now, upf)
            && sessions > 0
        {
            let lost = self.at_upf(upf).filter(|c| restoration::is_wanted(&c.session, &c.state)).count();
            tracing::info!(%upf, sessions, lost, took_ms = took.as_millis(), "UPF has its sessions again");
        }
    }

    /// The sessions of a UPF wait for it no longer: the UEs are told to establish them again.
    fn give_up(&mut self, now: Instant, upf: SocketAddr, why: &str) {
        self.restorations.forget(upf);
        let there = self.upfs.is_associated(upf);
        let unserved = |c: &&SmContext| !there || restoration::is_wanted(&c.session, &c.state);
        let unserved: Vec<_> = self.at_upf(upf).filter(unserved).map(|c| c.session.reference).collect();
        if !unserved.is_empty() {
            tracing::warn!(%upf, sessions = unserved.len(), why, "sessions of the UPF are released");
        }
        for reference in unserved {
            self.out.count("smf.restoration.given_up");
            self.with(now, reference, on_user_plane_lost);
        }
    }

    fn at_upf(&self, upf: SocketAddr) -> impl Iterator<Item = &SmContext> {
        let at = move |c: &&SmContext| c.session.user_plane.as_ref().is_some_and(|u| u.upf == upf);
        self.contexts.values().filter(at)
    }

    fn upf_return(&self) -> Duration {
        Duration::from_secs(self.config.timers.upf_return_s)
    }

    fn on_expired(&mut self, now: Instant) {
        for due in self.restorations.due(now) {
            match due {
                Due::Retry(upf) => self.restore(now, upf),
                Due::GiveUp(upf) => self.give_up(now, upf, "it did not come back in time"),
            }
        }
        while let Some(&(at, reference)) = self.deadlines.first()
            && at <= now
        {
            self.deadlines.remove(&(at, reference));
            self.with(now, reference, |core, session, state| match state {
                State::Inactive(establishment) => establishment.expire(core, session),
                State::ModificationPending(modification, mut connection) => {
                    router::expire(core, session);
                    connection.expire(core, session);
                    modification.expire(core, session, connection)
                }
                State::InactivePending(release) => release.expire(core, session),
                State::Active(mut connection) => {
                    router::expire(core, session);
                    connection.expire(core, session);
                    Next::State(State::Active(connection))
                }
            });
        }
    }

    /// Lends a context to a transition and keeps what it leaves.
    fn with(
        &mut self,
        now: Instant,
        reference: SmContextRef,
        transition: impl FnOnce(&mut Core<'_>, &mut PduSession, State) -> Next,
    ) {
        let Some(SmContext { mut session, state, .. }) = self.contexts.remove(&reference) else { return };
        if let Some(at) = deadline(&session, &state) {
            self.deadlines.remove(&(at, reference));
        }
        let mut core =
            core(now, &self.config, &self.identity, &mut self.pools, &mut self.upfs, &mut self.out);
        let next = transition(&mut core, &mut session, state);
        let next = admission::proceed(&mut core, &mut session, next);
        let next = rule_report::proceed(&mut core, &mut session, next);
        let next = data_change::proceed(&mut core, &mut session, next);
        self.put(session, next);
    }

    fn put(&mut self, session: PduSession, next: Next) {
        let reference = session.reference;
        if let Some(changed) = &mut self.changed {
            changed.insert(reference);
        }
        match next {
            Next::State(state) => {
                self.deadlines.extend(deadline(&session, &state).map(|at| (at, reference)));
                self.contexts.insert(reference, SmContext { schema: SCHEMA, session, state });
            }
            Next::Gone => {
                let key = (session.supi, session.id);
                if self.by_session.get(&key) == Some(&reference) {
                    self.by_session.remove(&key);
                }
            }
        }
    }

    fn find(&self, reference: &str) -> Option<SmContextRef> {
        reference.parse().ok().filter(|reference| self.contexts.contains_key(reference))
    }

    fn new_reference(&mut self) -> SmContextRef {
        loop {
            let reference = SmContextRef::new(self.random.u64()).filter(|reference| reference.teid() != 0);
            let is_free =
                |of: &SmContextRef| self.contexts.range(SmContextRef::of_teid(of.teid())).next().is_none();
            if let Some(reference) = reference.filter(is_free) {
                return reference;
            }
        }
    }
}

fn core<'a>(
    now: Instant,
    config: &'a Config,
    identity: &'a Identity,
    pools: &'a mut Pools,
    upfs: &'a mut Upfs,
    out: &'a mut Outputs,
) -> Core<'a> {
    Core { now, config, identity, pools, upfs, out }
}

/// Another function ends the session.
fn terminate(core: &mut Core<'_>, session: &mut PduSession, state: State) -> Next {
    match state {
        State::Active(connection) | State::ModificationPending(_, connection) => {
            connection.abandon(core);
            release::by_network(core, session, GsmCause::RegularDeactivation)
        }
        State::Inactive(establishment) => abandon(core, session, establishment, Cause::Refused),
        state => Next::State(state),
    }
}

fn deadline(session: &PduSession, state: &State) -> Option<Instant> {
    let router = session.router.next;
    match state {
        State::Inactive(establishment) => establishment.deadline(),
        State::Active(connection) => connection.deadline().into_iter().chain(router).min(),
        State::ModificationPending(modification, connection) => {
            connection.deadline().into_iter().chain(router).chain([modification.deadline()]).min()
        }
        State::InactivePending(release) => release.deadline(),
    }
}

fn callback_result(known: bool) -> Result<Response<()>, OperationError<ProblemDetails>> {
    if known {
        Ok(Response::no_content())
    } else {
        Err(OperationError::Problem(ProblemDetails::new(404, "CONTEXT_NOT_FOUND")))
    }
}
