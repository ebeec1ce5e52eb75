//! Requests between network functions of one process, on tokio's clock: simulation and tests.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tern_sbi::{Call, Reply, Request, TransportError};
use tern_types::{Duration, Random};
use tokio::sync::watch;

use crate::http::parse_api_root;
use crate::transport::{BoxFuture, Service, Serving, Transport};

/// How long a call waits that does not say.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

/// How long stopping waits for running requests.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// First port given where port 0 was asked for.
const EPHEMERAL_FIRST: u16 = 49152;

/// What goes wrong with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It never reaches the producer; the consumer's time runs out.
    DropRequest,
    /// The producer acts on it, but its reply is lost.
    DropReply,
    /// It takes this much longer.
    Delay(Duration),
    /// The connection fails before it is sent.
    Refuse,
    /// The producer answers with this status and does nothing.
    Answer(u16),
}

/// Faults that a seed decides.
#[derive(Debug)]
pub struct Faults {
    random: Random,
    /// Requests lost, of a million.
    pub drop_request_ppm: u32,
    /// Replies lost, of a million.
    pub drop_reply_ppm: u32,
    /// Each request is late by up to this.
    pub delay_max: Duration,
}

impl Faults {
    /// No fault until a field says otherwise; `random` decides each.
    pub fn new(random: Random) -> Self {
        Self { random, drop_request_ppm: 0, drop_reply_ppm: 0, delay_max: Duration::ZERO }
    }

    fn draw(&mut self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let ppm = self.random.u32() % 1_000_000;
        if ppm < self.drop_request_ppm {
            faults.push(Fault::DropRequest);
        } else if ppm < self.drop_request_ppm.saturating_add(self.drop_reply_ppm) {
            faults.push(Fault::DropReply);
        }
        if !self.delay_max.is_zero() {
            let micros = u64::try_from(self.delay_max.as_micros()).unwrap_or(u64::MAX);
            faults.push(Fault::Delay(Duration::from_micros(self.random.u64() % micros.saturating_add(1))));
        }
        faults
    }
}

/// What an observer sees: each request as it is sent, each reply as it arrives.
#[derive(Debug)]
pub struct Observed<'a> {
    /// Which request of the network it is about, counted from 0.
    pub number: u64,
    /// Who sends it, as [`MemoryTransport::of`] names it.
    pub consumer: &'static str,
    /// The producer.
    pub api_root: &'a str,
    /// What is seen of it.
    pub what: What<'a>,
}

/// One half of an exchange.
#[derive(Debug)]
pub enum What<'a> {
    /// It is sent.
    Request(&'a Request),
    /// The reply, or why there is none.
    Reply(Result<&'a Reply, &'a TransportError>),
}

type Observer = Arc<dyn Fn(Observed<'_>) + Send + Sync>;
type FaultHook = Box<dyn FnMut(&str, &Request) -> Option<Fault> + Send>;

/// Requests between the network functions of one process.
///
/// Clones are one network. A request is handled inside its sender's task, so that the order
/// of all that happens follows from the order in which tasks run.
#[derive(Clone, Default)]
pub struct MemoryTransport {
    network: Arc<Mutex<Network>>,
    consumer: &'static str,
}

#[derive(Default)]
struct Network {
    services: BTreeMap<SocketAddr, Served>,
    faults: Option<Faults>,
    hook: Option<FaultHook>,
    observer: Option<Observer>,
    /// Requests so far.
    requests: u64,
}

#[derive(Clone)]
struct Served {
    service: Arc<dyn Service>,
    in_progress: watch::Sender<usize>,
}

impl MemoryTransport {
    /// A network without faults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same network for a consumer that observers know by this name.
    pub fn of(&self, consumer: &'static str) -> Self {
        Self { consumer, ..self.clone() }
    }

    /// From now on, these faults; `None` for none.
    pub fn set_faults(&self, faults: Option<Faults>) {
        self.lock().faults = faults;
    }

    /// Asks `hook` about every request (apiRoot, request), before the seeded faults.
    pub fn set_hook(&self, hook: impl FnMut(&str, &Request) -> Option<Fault> + Send + 'static) {
        self.lock().hook = Some(Box::new(hook));
    }

    /// Shows every request and reply to `observer`.
    pub fn set_observer(&self, observer: impl Fn(Observed<'_>) + Send + Sync + 'static) {
        self.lock().observer = Some(Arc::new(observer));
    }

    fn next_number(&self) -> u64 {
        let mut network = self.lock();
        network.requests += 1;
        network.requests - 1
    }

    fn lock(&self) -> MutexGuard<'_, Network> {
        // A panic ends the process; a poisoned lock is only seen while it does.
        self.network.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is carried is JSON text, as between processes: faults and observers see it so, and no
    /// model gets past its encoding.
    async fn carry(
        &self,
        number: u64,
        api_root: &str,
        mut request: Request,
    ) -> Result<Reply, TransportError> {
        request.body = request.body.into_written();
        let (faults, observer) = {
            let mut network = self.lock();
            let hooked = network.hook.as_mut().and_then(|hook| hook(api_root, &request));
            let mut faults = network.faults.as_mut().map(Faults::draw).unwrap_or_default();
            faults.extend(hooked);
            (faults, network.observer.clone())
        };
        if let Some(observer) = &observer {
            let what = What::Request(&request);
            observer(Observed { number, consumer: self.consumer, api_root, what });
        }
        for fault in &faults {
            match fault {
                Fault::Delay(delay) => tokio::time::sleep(*delay).await,
                Fault::Refuse => return Err(TransportError::Unreachable("refused".to_owned())),
                Fault::DropRequest => return std::future::pending().await,
                Fault::Answer(status) => return Ok(Reply::empty(*status)),
                Fault::DropReply => {}
            }
        }
        let unreachable = || TransportError::Unreachable(format!("nothing listens at {api_root}"));
        let at = parse_api_root(api_root)
            .and_then(|authority| authority.parse::<SocketAddr>().ok())
            .ok_or_else(unreachable)?;
        let served = self.lock().services.get(&at).cloned().ok_or_else(unreachable)?;
        let _counted = Counted::new(&served.in_progress);
        let mut reply = served.service.handle(request).await;
        reply.body = reply.body.into_written();
        if faults.contains(&Fault::DropReply) {
            return std::future::pending().await;
        }
        Ok(reply)
    }
}

/// Counts a request as long as it lives, also when its future is dropped.
struct Counted<'a>(&'a watch::Sender<usize>);

impl<'a> Counted<'a> {
    fn new(count: &'a watch::Sender<usize>) -> Self {
        count.send_modify(|n| *n += 1);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|n| *n -= 1);
    }
}

impl Transport for MemoryTransport {
    fn serve(
        &self,
        mut at: SocketAddr,
        service: Arc<dyn Service>,
    ) -> BoxFuture<'_, io::Result<Box<dyn Serving>>> {
        let mut network = self.lock();
        if at.port() == 0 {
            let free = (EPHEMERAL_FIRST..=u16::MAX)
                .find(|port| !network.services.contains_key(&SocketAddr::new(at.ip(), *port)));
            at.set_port(free.unwrap_or(EPHEMERAL_FIRST));
        }
        let served = match network.services.entry(at) {
            Entry::Occupied(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, format!("{at} is taken"))),
            Entry::Vacant(free) => {
                let in_progress = watch::Sender::new(0);
                free.insert(Served { service, in_progress: in_progress.clone() });
                let serving = MemoryServing { at, network: self.network.clone(), in_progress };
                Ok(Box::new(serving) as Box<dyn Serving>)
            }
        };
        Box::pin(std::future::ready(served))
    }

    fn send(
        &self,
        api_root: &str,
        call: &Call,
        mut request: Request,
    ) -> BoxFuture<'_, Result<Reply, TransportError>> {
        let (api_root, call) = (api_root.to_owned(), call.clone());
        request.headers.max_response_time = request.headers.max_response_time.or(call.timeout);
        request.headers.priority = request.headers.priority.or(call.priority);
        Box::pin(async move {
            let timeout = call.timeout.unwrap_or(TIMEOUT_DEFAULT);
            let number = self.next_number();
            let result = tokio::time::timeout(timeout, self.carry(number, &api_root, request)).await;
            let result = result.unwrap_or(Err(TransportError::TimedOut));
            let observer = self.lock().observer.clone();
            if let Some(observer) = observer {
                let what = What::Reply(result.as_ref());
                observer(Observed { number, consumer: self.consumer, api_root: &api_root, what });
            }
            result
        })
    }
}

struct MemoryServing {
    at: SocketAddr,
    network: Arc<Mutex<Network>>,
    in_progress: watch::Sender<usize>,
}

impl Serving for MemoryServing {
    fn local_addr(&self) -> SocketAddr {
        self.at
    }

    fn stop(self: Box<Self>) -> BoxFuture<'static, ()> {
        let mut in_progress = self.in_progress.subscribe();
        drop(self);
        Box::pin(async move {
            let drained = in_progress.wait_for(|n| *n == 0);
            if tokio::time::timeout(DRAIN_MAX, drained).await.is_err() {
                tracing::warn!("stopped while requests were still running");
            }
        })
    }
}

impl Drop for MemoryServing {
    fn drop(&mut self) {
        let mut network = self.network.lock().unwrap_or_else(PoisonError::into_inner);
        network.services.remove(&self.at);
    }
}
