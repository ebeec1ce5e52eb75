//! The edge of N2: SCTP associations on one side, the AMF on the other.
//!
//! Nothing here grows with what a gNB sends. A reader per association holds one message and then
//! waits for the edge; the edge stops taking messages while the AMF is behind. What a gNB does
//! not acknowledge stays in its association's send buffer and then in its [`Outbound`]; beyond that
//! the gNB is aborted.

use std::collections::{BTreeMap, VecDeque};

use anyhow::Context as _;
use tern_nf::{Env, Shutdown};
use tern_sctp::{Association, AssociationReceiver, Event, ListenOptions, SctpError, SctpListener};
use tern_types::{Duration, Instant};
use tokio::sync::mpsc;

use super::bridge::{self, First};
use super::config::Config;
use super::message::{GnbId, N2Command, N2Event, Place, ServedAmf};
use super::outbound::Outbound;
use super::outbox::Outbox;
use super::termination::{Input, Output, Termination};

/// Events and commands on their way between N2 and the AMF.
const CHANNEL_MAX: usize = 1024;
/// Events that wait for the AMF, before N2 takes no more from gNBs.
const PENDING_MAX: usize = 1024;
/// Messages on their way from the readers.
const INPUTS_MAX: usize = 256;
/// Between attempts to listen again.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);
/// For the orderly end of all associations.
const SHUTDOWN_WAIT: Duration = Duration::from_secs(2);

/// The AMF's end: what it sends to N2 and what comes from it. The first event is
/// [`N2Event::Attached`]. N2 always takes commands, whatever waits in `events`.
#[derive(Debug)]
pub struct N2Handle {
    /// To N2.
    pub commands: mpsc::Sender<N2Command>,
    /// From N2; ends when N2 inside the AMF stops.
    pub events: mpsc::Receiver<N2Event>,
}

/// N2's end of the same.
#[derive(Debug)]
pub(super) struct AmfLink {
    pub(super) commands: mpsc::Receiver<N2Command>,
    pub(super) events: mpsc::Sender<N2Event>,
}

/// Both ends of a new connection between AMF and N2.
pub(super) fn link() -> (N2Handle, AmfLink) {
    let (commands, commands_of_n2) = mpsc::channel(CHANNEL_MAX);
    let (events, events_of_amf) = mpsc::channel(CHANNEL_MAX);
    (N2Handle { commands, events: events_of_amf }, AmfLink { commands: commands_of_n2, events })
}

/// Starts N2 inside the AMF, or, if the configuration names a bridge, reaches the process
/// `tern n2` and keeps reaching it. What the AMF serves is told first, and, if it goes on where another process ended,
/// up to where that one has heard `tern n2`. What is said to it the outbox hears.
pub async fn start(
    config: &Config,
    served: ServedAmf,
    heard: Option<Place>,
    outbox: &Outbox,
    env: &Env,
    shutdown: Shutdown,
) -> anyhow::Result<N2Handle> {
    if let Some(path) = &config.bridge {
        let first = First { served, heard, said: outbox.said() };
        return Ok(bridge::attach(path.clone(), first, env.clone(), shutdown));
    }
    let (handle, amf) = link();
    // Nobody can come here: there is one AMF, around this N2.
    let (_, arrivals) = mpsc::channel(1);
    let mut edge = Edge::new(config.clone(), env.clone(), arrivals);
    edge.attach(amf);
    edge.meet(None);
    edge.input(Input::Command(N2Command::Configure(served)));
    edge.listen().context("N2 cannot listen")?;
    tokio::spawn(edge.run(shutdown));
    Ok(handle)
}

/// What the edge waits for.
enum Happened {
    Stop,
    AmfCame(Option<AmfLink>),
    Command(Option<N2Command>),
    Room,
    Association(Result<Association, SctpError>),
    Input(Input),
    Deadline,
}

/// Carries the core's inputs and outputs.
pub(super) struct Edge {
    config: Config,
    env: Env,
    core: Termination,
    listener: Option<Box<dyn SctpListener>>,
    listen_again: Option<Instant>,
    senders: BTreeMap<GnbId, Outbound>,
    number: u32,
    inputs: (mpsc::Sender<Input>, mpsc::Receiver<Input>),
    commands: Option<mpsc::Receiver<N2Command>>,
    events: Option<mpsc::Sender<N2Event>>,
    pending: VecDeque<N2Event>,
    /// Whether the AMF has said whether it goes on.
    met: bool,
    /// AMFs that come; one waits until the one before is gone.
    arrivals: mpsc::Receiver<AmfLink>,
    has_arrivals: bool,
}

impl Edge {
    pub(super) fn new(config: Config, env: Env, arrivals: mpsc::Receiver<AmfLink>) -> Self {
        let mut random = env.entropy.random();
        let has_arrivals = !arrivals.is_closed();
        let core = Termination::new(config.limits, random.u64(), has_arrivals);
        Self {
            config,
            env,
            core,
            listener: None,
            listen_again: None,
            senders: BTreeMap::new(),
            // Not those of the N2 before this one: an AMF may have outlived it.
            number: random.u32(),
            inputs: mpsc::channel(INPUTS_MAX),
            commands: None,
            events: None,
            pending: VecDeque::new(),
            met: false,
            arrivals,
            has_arrivals,
        }
    }

    /// Runs until asked to stop, or until the AMF around it is gone.
    pub(super) async fn run(mut self, shutdown: Shutdown) {
        loop {
            self.flush();
            match self.next(&shutdown).await {
                Happened::Stop => break,
                Happened::AmfCame(Some(amf)) => self.attach(amf),
                Happened::AmfCame(None) => self.has_arrivals = false,
                Happened::Command(Some(command)) => self.command(command),
                Happened::Room => {}
                Happened::Command(None) if self.has_arrivals => self.detach(),
                Happened::Command(None) => break,
                Happened::Association(association) => self.accepted(association),
                Happened::Input(input) => self.input(input),
                Happened::Deadline => self.expired(),
            }
        }
        self.end().await;
    }

    async fn next(&mut self, shutdown: &Shutdown) -> Happened {
        let deadline = self.deadline();
        let clock = self.env.clock;
        let behind = self.pending.len() >= PENDING_MAX || !self.core.has_room();
        tokio::select! {
            biased;
            () = shutdown.requested() => Happened::Stop,
            amf = self.arrivals.recv(), if self.has_arrivals && self.commands.is_none() => Happened::AmfCame(amf),
            command = command(&mut self.commands) => Happened::Command(command),
            () = room(&self.events), if !self.pending.is_empty() => Happened::Room,
            association = accept(&mut self.listener) => Happened::Association(association),
            Some(input) = self.inputs.1.recv(), if !behind => Happened::Input(input),
            () = sleep_until(clock, deadline) => Happened::Deadline,
        }
    }

    /// Gives the AMF what waits for it, as far as it takes it.
    fn flush(&mut self) {
        let Some(events) = &self.events else { return };
        while !self.pending.is_empty() {
            let Ok(permit) = events.try_reserve() else { return };
            if let Some(event) = self.pending.pop_front() {
                permit.send(event);
            }
        }
    }

    pub(super) fn attach(&mut self, amf: AmfLink) {
        (self.commands, self.events) = (Some(amf.commands), Some(amf.events));
        self.met = false;
    }

    /// The AMF has said whether it goes on.
    fn meet(&mut self, heard: Option<Place>) {
        self.met = true;
        self.input(Input::AmfAttached(heard));
    }

    fn detach(&mut self) {
        tracing::warn!(gnbs = self.core.gnbs().count(), "the AMF is gone; associations are kept");
        (self.commands, self.events) = (None, None);
        self.pending.clear();
        self.input(Input::AmfDetached);
    }

    fn command(&mut self, command: N2Command) {
        if !self.met {
            match command {
                N2Command::Heard(place) => return self.meet(Some(place)),
                _ => self.meet(None),
            }
        }
        let configures = matches!(command, N2Command::Configure(_));
        self.input(Input::Command(command));
        // No gNB is let in before it is known what is served.
        if configures
            && self.listener.is_none()
            && let Err(error) = self.listen()
        {
            tracing::error!(%error, "N2 cannot listen; it tries again");
            self.listen_again = Some(self.env.clock.now() + LISTEN_AGAIN);
        }
    }

    pub(super) fn listen(&mut self) -> Result<(), SctpError> {
        let limits = self.config.limits;
        let mut options = ListenOptions::new(self.config.addresses.clone(), self.config.port);
        options.limits.associations_max = limits.associations;
        options.limits.associations_per_peer_max = limits.associations_per_peer;
        options.limits.message_length_max = limits.pdu_octets;
        options.limits.send_buffer = limits.send_octets.max(limits.pdu_octets);
        options.limits.receive_buffer = options.limits.receive_buffer.max(limits.pdu_octets);
        self.listener = Some(self.env.sctp.listen(options)?);
        self.listen_again = None;
        let (addresses, port) = (&self.config.addresses, self.config.port);
        tracing::info!(backend = self.env.sctp.name(), ?addresses, port, "N2 listens");
        Ok(())
    }

    fn accepted(&mut self, association: Result<Association, SctpError>) {
        let association = match association {
            Ok(association) => association,
            Err(error) => {
                tracing::error!(%error, "N2 does not listen any more; it tries again");
                self.listener = None;
                self.listen_again = Some(self.env.clock.now() + LISTEN_AGAIN);
                return;
            }
        };
        let id = GnbId(self.number);
        self.number = self.number.wrapping_add(1);
        let peer = association.info().peer[0];
        let (sender, receiver) = association.into_split();
        self.senders.insert(id, Outbound::new(sender, self.config.limits.send_octets));
        self.input(Input::Associated(id, peer));
        tokio::spawn(read(id, receiver, self.inputs.0.clone()));
    }

    fn expired(&mut self) {
        let now = self.env.clock.now();
        if self.listen_again.is_some_and(|time| time <= now)
            && let Err(error) = self.listen()
        {
            tracing::debug!(%error, "N2 cannot listen yet");
            self.listen_again = Some(now + LISTEN_AGAIN);
        }
        if self.core.deadline().is_some_and(|time| time <= now) {
            self.input(Input::Expired);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match (self.core.deadline(), self.listen_again) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }

    pub(super) fn input(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            if let Input::Lost(id, _) = &input {
                self.senders.remove(id);
            }
            for output in self.core.handle(self.env.clock.now(), input) {
                if let Some(further) = self.output(output) {
                    inputs.push_back(further);
                }
            }
        }
    }

    /// Carries out one output; what it leads to, if anything.
    fn output(&mut self, output: Output) -> Option<Input> {
        match output {
            Output::Event(event) => self.pending.push_back(event),
            Output::Count(name) => self.env.counters.add(name, 1),
            Output::Abort(id, why) => {
                if let Some(sender) = self.senders.remove(&id) {
                    sender.abort(why);
                }
            }
            Output::Send { to, stream, pdu } => {
                let sender = self.senders.get(&to)?;
                let stream = within(stream, sender.streams());
                if let Err(error) = sender.send(pdu, stream) {
                    self.env.counters.add("n2.send_failed", 1);
                    tracing::warn!(association = to.0, %error, "a message could not be sent");
                    sender.abort("does not take what it is sent");
                    return Some(Input::Lost(to, error.to_string()));
                }
            }
        }
        None
    }

    /// Shuts all associations down and waits a little for their ends.
    async fn end(mut self) {
        self.listener = None;
        for sender in self.senders.values() {
            sender.shutdown();
        }
        let clock = self.env.clock;
        let deadline = clock.now() + SHUTDOWN_WAIT;
        while !self.senders.is_empty() {
            tokio::select! {
                biased;
                input = self.inputs.1.recv() => if let Some(Input::Lost(id, _)) = input {
                    self.senders.remove(&id);
                },
                () = clock.sleep_until(deadline) => return,
            }
        }
    }
}

/// A gNB's stream may not exist towards it, where it accepts fewer than it opened.
fn within(stream: u16, outbound: u16) -> u16 {
    match outbound {
        _ if stream < outbound => stream,
        0 | 1 => 0,
        // Stream 0 stays with messages that concern no UE.
        _ => 1 + (stream - 1) % (outbound - 1),
    }
}

/// Reads one association until it ends.
async fn read(id: GnbId, mut receiver: AssociationReceiver, inputs: mpsc::Sender<Input>) {
    loop {
        let input = match receiver.recv().await {
            Event::Message(message) => {
                Input::Received { from: id, stream: message.stream, ppid: message.ppid, pdu: message.data }
            }
            Event::Restart => Input::Restarted(id),
            Event::Lost(cause) => Input::Lost(id, cause.to_string()),
            Event::PathChange { address, state } => {
                tracing::info!(association = id.0, %address, ?state, "path of a gNB changed");
                continue;
            }
            // Its end follows.
            Event::ShutdownRequested => continue,
        };
        let last = matches!(input, Input::Lost(..));
        if inputs.send(input).await.is_err() || last {
            return;
        }
    }
}

async fn accept(listener: &mut Option<Box<dyn SctpListener>>) -> Result<Association, SctpError> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

async fn command(commands: &mut Option<mpsc::Receiver<N2Command>>) -> Option<N2Command> {
    match commands {
        Some(commands) => commands.recv().await,
        None => std::future::pending().await,
    }
}

/// Ends when the AMF takes another event. That it is gone shows itself at the commands.
async fn room(events: &Option<mpsc::Sender<N2Event>>) {
    match events {
        Some(events) if events.reserve().await.is_ok() => {}
        _ => std::future::pending().await,
    }
}

async fn sleep_until(clock: tern_nf::Clock, deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => clock.sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::within;

    #[test]
    fn when_a_stream_does_not_exist_then_another_ue_stream_is_taken() {
        assert_eq!([within(0, 1), within(5, 1), within(5, 6), within(0, 6)], [0, 0, 5, 0]);
        assert_eq!([within(6, 6), within(7, 6), within(11, 6), within(65_535, 2)], [1, 2, 1, 1]);
    }
}
