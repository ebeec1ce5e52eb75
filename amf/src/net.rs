//! The edge: N2, the SBI and the clock around the core. One loop owns the core; what it sends to
//! others it does not wait for.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tern_nf::{BoxFuture, Consumer, Env, Kept, Nf, ProfileSeed, Routes, Shutdown};
use tern_sbi::common::{NfType, ServiceName};
use tern_sbi::namf_comm::N1N2MessageTransfer;
use tern_sbi::namf_loc::ProvideLocationInfo;
use tern_sbi::nnrf_nfm::AmfInfo;
use tern_sbi::npcf_am::{AmPolicyTerminateNotify, AmPolicyUpdateNotify};
use tern_sbi::nsmf_pdusession::SmContextStatusNotify;
use tern_sbi::nudm_sdm::DataChangeNotify;
use tern_sbi::nudm_uecm::DeregistrationNotify;
use tern_sbi::{Operation, ProblemDetails, Reply};
use tern_types::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use tracing::{error, info, warn};

use crate::io::{Input, Output, ReplyResult, Token};
use crate::kept::{self, Found};
use crate::n2::message::{N2Command, N2Event};
use crate::n2::{self, Hearing, N2Handle, Outbox};
use crate::record::Left;
use crate::{Amf, AmfRequest, Config};

/// Service requests that wait for the core; one more is answered 503.
const REQUESTS_MAX: usize = 4096;

/// How long an AMF that goes on waits for N2 before it does anything.
const N2_COMES_WITHIN: Duration = Duration::from_secs(3);
/// How long N2 has to end once the AMF is about to.
const N2_ENDS_WITHIN: Duration = Duration::from_secs(5);

type Asked = (AmfRequest, oneshot::Sender<Reply>);

/// Runs an AMF until it is asked to stop.
pub async fn run(config: Config, env: Env, shutdown: Shutdown) -> anyhow::Result<()> {
    config.check().map_err(|wrong| anyhow::anyhow!(wrong)).context("AMF configuration")?;
    let prepared = Nf::prepare(&env, &config.sbi, NfType::Amf).await?;
    let core = Amf::new(config.clone(), prepared.api_root(), prepared.instance_id(), env.entropy.random());
    let core = Arc::new(Mutex::new(core));
    let kept = kept::of(&env);
    let found = match &kept {
        Some(kept) => kept::load(kept, env.clock.now()).await.context("what is kept of UE contexts")?,
        None => Found::default(),
    };
    let (sender, requests) = mpsc::channel(REQUESTS_MAX);
    let observed = Arc::clone(&core);
    env.status.set(move || lock(&observed).status());
    let consumer = prepared.consumer();
    let starting = prepared.start(ProfileSeed { since: found.since, ..profile(&config) }, routes(sender));
    let nf = tokio::select! {
        biased;
        () = shutdown.requested() => return Ok(()),
        nf = starting => nf?,
    };
    // N2 goes on until what the AMF has to say at its end is said.
    let (n2_stop, n2_shutdown) = Shutdown::new();
    let n2 =
        n2::start(&config.n2, config.served_amf(), found.heard, &found.outbox, &env, n2_shutdown).await?;
    info!(amf = config.name, guami = %config.guami(), "AMF serves");
    env.ready(&nf.api_root());
    let keeps = kept.is_some();
    let mut edge = Edge {
        core,
        env,
        consumer,
        n2,
        hearing: Hearing::from(found.heard),
        outbox: config.n2.bridge.is_some().then_some(found.outbox),
        kept,
        drain: Duration::from_secs(config.drain_s),
        replies: FuturesUnordered::new(),
        answers: Default::default(),
        asked: 0,
        deadline: None,
    };
    if keeps {
        edge.go_on(found.left).await;
    }
    edge.run(requests, shutdown).await;
    drop(n2_stop);
    // Of one that keeps its contexts nobody is to believe that they are gone.
    if keeps {
        nf.pause().await;
    } else {
        nf.stop().await;
    }
    Ok(())
}

fn lock(core: &Mutex<Amf>) -> MutexGuard<'_, Amf> {
    core.lock().unwrap_or_else(PoisonError::into_inner)
}

fn profile(config: &Config) -> ProfileSeed {
    let guami = config.guami();
    let served = config.served_amf();
    let amf_info = AmfInfo {
        tai_list: served.tais.clone(),
        ..AmfInfo::new(
            format!("{:03x}", guami.amf_id.set()),
            format!("{:02x}", guami.amf_id.region),
            vec![guami],
        )
    };
    ProfileSeed {
        plmns: served.plmns.iter().map(|p| p.plmn).collect(),
        snssais: served.plmns.iter().flat_map(|p| p.slices.iter().copied()).collect(),
        amf_info: Some(amf_info),
        ..ProfileSeed::new(NfType::Amf, vec![ServiceName::NamfComm, ServiceName::NamfLoc])
    }
}

fn routes(sender: mpsc::Sender<Asked>) -> Routes {
    fn pass<O: Operation>(
        routes: Routes,
        sender: &mpsc::Sender<Asked>,
        wrap: impl Fn(O) -> AmfRequest + Copy + Send + Sync + 'static,
    ) -> Routes {
        let sender = sender.clone();
        routes.on_reply::<O, _, _>(move |_, operation| ask(sender.clone(), wrap(operation)))
    }
    let routes = pass::<N1N2MessageTransfer>(Routes::new(), &sender, |op| {
        AmfRequest::N1N2MessageTransfer(Box::new(op))
    });
    let routes = pass::<ProvideLocationInfo>(routes, &sender, AmfRequest::ProvideLocationInfo);
    let routes = pass::<SmContextStatusNotify>(routes, &sender, AmfRequest::SmContextStatusNotify);
    let routes = pass::<DeregistrationNotify>(routes, &sender, AmfRequest::DeregistrationNotify);
    let routes = pass::<DataChangeNotify>(routes, &sender, AmfRequest::DataChangeNotify);
    let routes =
        pass::<AmPolicyUpdateNotify>(routes, &sender, |op| AmfRequest::AmPolicyUpdateNotify(Box::new(op)));
    pass::<AmPolicyTerminateNotify>(routes, &sender, AmfRequest::AmPolicyTerminateNotify)
}

/// Passes a request to the core's loop and waits for the answer.
async fn ask(sender: mpsc::Sender<Asked>, request: AmfRequest) -> Reply {
    let (answer, answered) = oneshot::channel();
    if sender.try_send((request, answer)).is_err() {
        return ProblemDetails::new(503, "NF_CONGESTION").into_reply();
    }
    answered.await.unwrap_or_else(|_| ProblemDetails::new(503, "NF_CONGESTION").into_reply())
}

struct Edge {
    core: Arc<Mutex<Amf>>,
    env: Env,
    consumer: Consumer,
    n2: N2Handle,
    /// How far N2 is heard.
    hearing: Hearing,
    /// What it is not known to have been told, where it may outlive this process.
    outbox: Option<Outbox>,
    /// Where contexts are stored, if they outlive the process.
    kept: Option<Kept>,
    /// How long it goes on once it is asked to stop.
    drain: Duration,
    replies: FuturesUnordered<BoxFuture<'static, (Token, ReplyResult)>>,
    answers: std::collections::BTreeMap<Token, oneshot::Sender<Reply>>,
    /// The number of the last request that was asked of the core.
    asked: u64,
    /// When the core wants to be woken.
    deadline: Option<Instant>,
}

impl Edge {
    /// Goes on where the process before this one ended. What gNBs there are comes before all else, if N2 is there.
    async fn go_on(&mut self, left: Left) {
        let now = self.env.clock.now();
        if !left.ues.is_empty() {
            info!(ues = left.ues.len(), "UE contexts are kept");
        }
        // Contexts may hold tokens of requests that nobody waits for any more.
        self.asked = now.as_micros();
        let outputs = lock(&self.core).resume(now, left);
        for output in outputs {
            self.carry(output).await;
        }
        tokio::select! {
            biased;
            Some(event) = self.n2.events.recv() => self.take(event).await,
            () = self.env.clock.sleep_until(now + N2_COMES_WITHIN) => warn!("no N2 yet: UEs are not reached"),
        }
    }

    /// An event of N2, which may tell again what was heard.
    async fn take(&mut self, event: N2Event) {
        if let (N2Event::Attached { heard, turn, .. }, Some(outbox)) = (&event, &mut self.outbox)
            && self.hearing.begins()
        {
            let again = outbox.again(self.hearing.place(), *heard, *turn);
            for command in again {
                self.command(command).await;
            }
        }
        if self.hearing.hear(&event) {
            self.work(Input::N2(event)).await;
        }
        if let Some(place) = self.hearing.take_to_say() {
            self.command(N2Command::Heard(place)).await;
        }
    }

    /// One input, and what comes of it: stored before anybody hears of it.
    async fn work(&mut self, input: Input) {
        let outputs = self.turn(input);
        let command = |output: &Output| match output {
            Output::N2(command) => Some(command.clone()),
            _ => None,
        };
        let commands = outputs.iter().filter_map(command).collect();
        let turn = self.keep(commands).await;
        for output in outputs {
            self.carry(output).await;
        }
        if let Some(turn) = turn {
            self.command(N2Command::Turn(turn)).await;
        }
    }

    /// Stores what has changed, with what N2 is to be told of it; the number under which that is stored.
    async fn keep(&mut self, commands: Vec<N2Command>) -> Option<u64> {
        let kept = self.kept.as_ref()?;
        let mut changes = lock(&self.core).changes();
        let mut turn = None;
        if let Some(outbox) = self.outbox.as_mut().filter(|_| !commands.is_empty()) {
            turn = Some(outbox.push(commands));
            changes.push(kept::unsaid(outbox));
        }
        if changes.is_empty() {
            return None;
        }
        changes.extend(self.hearing.place().and_then(|place| kept::heard(place).ok()));
        if let Err(error) = kept.save(changes).await {
            // Without its store the AMF serves on; what it could not store is lost with the process.
            error!(%error, "UE contexts not stored");
            self.env.counters.add("amf.store.failed", 1);
        }
        turn
    }

    async fn run(mut self, mut requests: mpsc::Receiver<Asked>, shutdown: Shutdown) {
        let mut stop_at: Option<Instant> = None;
        loop {
            let clock = self.env.clock;
            let input = tokio::select! {
                biased;
                // One that keeps its contexts comes again, and gNBs need not know; unless the operator wants them to.
                () = shutdown.requested(), if self.kept.is_some() && self.drain == Duration::default() => break,
                () = shutdown.requested(), if stop_at.is_none() => {
                    stop_at = Some(clock.now() + self.drain);
                    Input::Stopping
                }
                () = clock.sleep_until(stop_at.unwrap_or_default()), if stop_at.is_some() => break,
                () = clock.sleep_until(self.deadline.unwrap_or_default()), if self.deadline.is_some() => {
                    self.deadline = None;
                    Input::Expired
                }
                Some((token, reply)) = self.replies.next(), if !self.replies.is_empty() => {
                    Input::Reply(token, reply)
                }
                event = self.n2.events.recv() => match event {
                    Some(event) => {
                        self.take(event).await;
                        continue;
                    }
                    None => {
                        warn!("the N2 termination has ended");
                        break;
                    }
                },
                lost = self.consumer.producer_lost() => {
                    if lost.nf_type != NfType::Smf {
                        continue;
                    }
                    Input::SmfLost(lost.api_roots)
                }
                Some((request, answer)) = requests.recv() => {
                    self.asked += 1;
                    self.answers.insert(Token(self.asked), answer);
                    Input::Request(Token(self.asked), request)
                }
            };
            self.work(input).await;
        }
        self.end_n2().await;
    }

    /// N2 sends what it has been given, and ends.
    async fn end_n2(self) {
        let N2Handle { commands, mut events } = self.n2;
        drop(commands);
        let ended = async { while events.recv().await.is_some() {} };
        tokio::select! {
            () = ended => {}
            () = self.env.clock.sleep_until(self.env.clock.now() + N2_ENDS_WITHIN) => {}
        }
    }

    fn turn(&mut self, input: Input) -> Vec<Output> {
        let mut core = lock(&self.core);
        let outputs = core.handle(self.env.clock.now(), input);
        for (name, n) in core.take_counts() {
            self.env.counters.add(name, n);
        }
        outputs
    }

    async fn command(&mut self, command: N2Command) {
        // N2 takes commands whatever it has to say itself: this does not wait for it.
        if self.n2.commands.send(command).await.is_err() {
            self.env.counters.add("amf.n2.command_lost", 1);
        }
    }

    async fn carry(&mut self, output: Output) {
        match output {
            Output::N2(command) => self.command(command).await,
            Output::Request { token, target, call, request } => {
                let consumer = self.consumer.clone();
                self.replies
                    .push(Box::pin(async move { (token, consumer.send(&target, &call, request).await) }));
            }
            Output::Answer(token, reply) => {
                if let Some(answer) = self.answers.remove(&token) {
                    // Who asked may have gone.
                    let _ = answer.send(reply);
                }
            }
            Output::Deadline(at) => self.deadline = at,
        }
    }
}
