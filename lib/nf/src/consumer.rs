//! Calls of other network functions' services.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tern_sbi::common::{NfType, ServiceName};
use tern_sbi::nnrf_nfm::NfProfile;
use tern_sbi::{Call, Method, Operation, OperationError, Reply, Request, Response, TransportError};
use tern_types::{Duration, Instant};
use tokio::sync::Notify;

use crate::SbiConfig;
use crate::env::Env;
use crate::producers::{LostProducer, Producers};
use crate::selection::{self, Candidate, Selection, Target};

/// Discovery answers that are kept.
const CACHE_MAX: usize = 1024;
/// Producers that one call tries.
const PRODUCERS_TRIED_MAX: usize = 3;
/// NF types whose changes are followed.
const FOLLOWED_MAX: usize = 32;
/// An answer that does not say how long it is valid.
const VALIDITY_DEFAULT: Duration = Duration::from_secs(60);
/// For how long it is remembered that the NRF knows no producer.
const NOTHING_FOUND_VALIDITY: Duration = Duration::from_millis(500);
/// For how long a producer that could not be reached is tried last.
const FAILURE_MEMORY: Duration = Duration::from_secs(2);
/// Between the attempts of a call that insists: a producer may be starting again.
const INSISTENCE: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(16)];
/// Between the attempts to reach the one producer that has a resource: it may be starting again with it.
const RETURN: [Duration; 4] = [
    Duration::from_millis(50),
    Duration::from_millis(150),
    Duration::from_millis(400),
    Duration::from_millis(900),
];
/// Waiting for the NRF.
const DISCOVERY_TIMEOUT: Duration = Duration::from_secs(3);

/// Calls services of other network functions. Clones share what was discovered.
#[derive(Clone)]
pub struct Consumer {
    inner: Arc<Inner>,
}

struct Inner {
    env: Env,
    nf_type: NfType,
    nrf: Option<String>,
    turn: AtomicU64,
    cache: Mutex<Cache>,
    producers: Mutex<Producers>,
    loss: Notify,
    /// Held while the NRF is asked, so that a burst of calls asks once.
    asking: tokio::sync::Mutex<()>,
    pub(crate) follow: Notify,
}

#[derive(Default)]
struct Cache {
    found: BTreeMap<Key, Found>,
    failed: BTreeMap<String, Instant>,
    /// NF types to follow the changes of.
    types: BTreeSet<NfType>,
}

/// What was asked: NF type, service, and what the producers must serve, without the subscriber.
type Key = (NfType, Option<ServiceName>, Selection);

#[derive(Clone)]
struct Found {
    profiles: Arc<[Arc<NfProfile>]>,
    candidates: Arc<[Candidate]>,
    until: Instant,
}

impl Consumer {
    /// A consumer of type `nf_type` that finds producers at `config`'s NRF.
    pub fn new(env: &Env, config: &SbiConfig, nf_type: NfType) -> Self {
        let inner = Inner {
            env: env.clone(),
            nf_type,
            nrf: config.nrf.clone(),
            turn: AtomicU64::new(0),
            cache: Mutex::default(),
            producers: Mutex::default(),
            loss: Notify::new(),
            asking: tokio::sync::Mutex::default(),
            follow: Notify::new(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Calls an operation.
    pub async fn call<O: Operation>(
        &self,
        target: &Target,
        call: &Call,
        op: &O,
    ) -> Result<Response<O::Answer>, OperationError<O::Failure>> {
        let result = self.send(target, call, op.to_request()).await;
        match &result {
            Ok(reply) => tracing::debug!(operation = O::NAME, status = reply.status, "called"),
            Err(error) => tracing::warn!(operation = O::NAME, %error, "call failed"),
        }
        O::from_reply(result?)
    }

    /// Sends a request whose reply the caller decodes.
    ///
    /// Another producer is tried where the first was not reached, where it says that it is
    /// overloaded, and, if repeating does no harm, where its reply was lost. A call that insists is
    /// made again, with pauses.
    pub async fn send(
        &self,
        target: &Target,
        call: &Call,
        request: Request,
    ) -> Result<Reply, TransportError> {
        let pauses: &[Duration] = if call.insist { &INSISTENCE } else { &[] };
        for pause in pauses {
            match self.send_once(target, call, request.clone()).await {
                Ok(reply) if reply.status < 500 && reply.status != 429 => return Ok(reply),
                Ok(reply) => tracing::debug!(path = request.path, status = reply.status, "made again"),
                Err(error) => tracing::debug!(path = request.path, %error, "made again"),
            }
            self.inner.env.clock.sleep(*pause).await;
        }
        self.send_once(target, call, request).await
    }

    async fn send_once(
        &self,
        target: &Target,
        call: &Call,
        request: Request,
    ) -> Result<Reply, TransportError> {
        let (nf_type, service, selection) = match target {
            Target::ApiRoot(api_root) => return self.exchange_with_the_one(api_root, call, request).await,
            Target::Service { nf_type, service, selection } => (nf_type, service, selection),
        };
        if *nf_type == NfType::Nrf {
            let nrf = self.nrf()?;
            return self.exchange(&nrf, "", call, request).await;
        }
        let (key, found) = self.find(nf_type, Some(service), selection).await?;
        let turn = call.session.unwrap_or_else(|| self.inner.turn.fetch_add(1, Ordering::Relaxed));
        let producers =
            self.reachable_first(selection::order(&found.candidates, selection.supi.as_ref(), turn));
        let mut outcome = Err(TransportError::NotDiscovered(format!("{service} of a {nf_type}")));
        let tries = producers.len().min(PRODUCERS_TRIED_MAX);
        for (index, producer) in producers.iter().take(tries).enumerate() {
            outcome = self.exchange(&producer.api_root, &producer.prefix, call, request.clone()).await;
            let again = match &outcome {
                Ok(reply) => matches!(reply.status, 429 | 503),
                Err(TransportError::Unreachable(_)) => {
                    self.inner.failed(&producer.api_root);
                    true
                }
                Err(TransportError::Lost(_)) => is_repeatable(call, &request),
                Err(_) => false,
            };
            if !again {
                return outcome;
            }
            if index + 1 == tries && matches!(outcome, Err(TransportError::Unreachable(_))) {
                self.inner.cache().found.remove(&key);
            }
        }
        outcome
    }

    /// The profiles of NF instances that fit, best first: for what is not called over SBI.
    pub async fn discover(
        &self,
        nf_type: &NfType,
        service: Option<&ServiceName>,
        selection: &Selection,
    ) -> Result<Arc<[Arc<NfProfile>]>, TransportError> {
        Ok(self.find(nf_type, service, selection).await?.1.profiles)
    }

    /// Waits until a producer that was discovered has lost its contexts: it has started again, or the NRF
    /// has it no longer.
    pub async fn producer_lost(&self) -> LostProducer {
        loop {
            if let Some(lost) = self.inner.producers().next_loss() {
                return lost;
            }
            self.inner.loss.notified().await;
        }
    }

    /// The NRF tells of a profile.
    pub(crate) fn learn(&self, profile: &Arc<NfProfile>) {
        if self.inner.producers().learn(profile) {
            tracing::info!(nf_type = %profile.nf_type, id = %profile.nf_instance_id, "a producer has started again");
            self.inner.loss.notify_one();
        }
    }

    /// The NRF tells that an instance is no more.
    pub(crate) fn gone(&self, instance_uri: &str) {
        if self.inner.producers().gone(instance_uri) {
            self.inner.loss.notify_one();
        }
    }

    /// Forgets what was discovered of this type: a profile of it changed.
    pub(crate) fn forget(&self, nf_type: &NfType) {
        let mut cache = self.inner.cache();
        cache.found.retain(|(of, _, _), _| of != nf_type);
        cache.failed.clear();
    }

    /// The NF types that were asked for.
    pub(crate) fn types(&self) -> BTreeSet<NfType> {
        self.inner.cache().types.clone()
    }

    /// Waits until another NF type is asked for.
    pub(crate) async fn another_type(&self) {
        self.inner.follow.notified().await;
    }

    pub(crate) fn nrf(&self) -> Result<String, TransportError> {
        let nrf = self.inner.nrf.clone();
        nrf.ok_or_else(|| TransportError::NotDiscovered("no NRF is configured".to_owned()))
    }

    /// With a producer in whose place there is no other. A request that did not reach it is made again for a
    /// while; so is one whose answer was lost with the connection, if repeating does no harm.
    async fn exchange_with_the_one(
        &self,
        api_root: &str,
        call: &Call,
        request: Request,
    ) -> Result<Reply, TransportError> {
        let began = self.inner.env.clock.now();
        for pause in RETURN {
            let outcome = self.exchange(api_root, "", call, request.clone()).await;
            let waited = self.inner.env.clock.now().since(began) + pause;
            let is_over = call.timeout.is_some_and(|timeout| waited >= timeout);
            let again = match outcome {
                Err(TransportError::Unreachable(_)) => true,
                Err(TransportError::Lost(_)) => is_repeatable(call, &request),
                _ => false,
            };
            if is_over || !again {
                return outcome;
            }
            self.inner.env.clock.sleep(pause).await;
        }
        self.exchange(api_root, "", call, request).await
    }

    async fn exchange(
        &self,
        api_root: &str,
        prefix: &str,
        call: &Call,
        mut request: Request,
    ) -> Result<Reply, TransportError> {
        if !prefix.is_empty() {
            request.path.insert_str(0, prefix);
        }
        self.inner.env.counters.add("sbi.request.sent", 1);
        let outcome = self.inner.env.sbi.send(api_root, call, request).await;
        if outcome.is_err() {
            self.inner.env.counters.add("sbi.request.unanswered", 1);
        }
        outcome
    }

    async fn find(
        &self,
        nf_type: &NfType,
        service: Option<&ServiceName>,
        selection: &Selection,
    ) -> Result<(Key, Found), TransportError> {
        let key = (nf_type.clone(), service.cloned(), selection.for_any_subscriber());
        if let Some(found) = self.inner.known(&key) {
            return Ok((key, found));
        }
        let _one = self.inner.asking.lock().await;
        if let Some(found) = self.inner.known(&key) {
            return Ok((key, found));
        }
        let search = selection.search(&self.inner.nf_type, nf_type, service);
        let found = match self.ask(search.to_request(), service).await {
            Ok(found) => found,
            // An NRF that does not answer leaves what was known before.
            Err(error) => match self.inner.cache().found.get(&key) {
                Some(found) if !found.profiles.is_empty() => found.clone(),
                _ => return Err(error),
            },
        };
        self.inner.remember(key.clone(), found.clone());
        Ok((key, found))
    }

    async fn ask(&self, request: Request, service: Option<&ServiceName>) -> Result<Found, TransportError> {
        let call = Call { timeout: Some(DISCOVERY_TIMEOUT), ..Call::default() };
        let nrf = self.nrf()?;
        let reply = self.exchange(&nrf, "", &call, request).await?;
        let result = tern_sbi::nnrf_disc::SearchNfInstances::from_reply(reply)
            .map_err(|error| TransportError::NotDiscovered(format!("NRF: {error}")))?;
        let profiles: Arc<[Arc<NfProfile>]> = result.body.nf_instances.into_iter().map(Arc::new).collect();
        let validity = result.body.validity_period.map(|s| Duration::from_secs(s.into()));
        let validity = if profiles.is_empty() {
            NOTHING_FOUND_VALIDITY
        } else {
            validity.or(result.max_age).unwrap_or(VALIDITY_DEFAULT)
        };
        let candidates = service.map(|service| selection::candidates(&profiles, service)).unwrap_or_default();
        profiles.iter().for_each(|profile| self.learn(profile));
        if let Some(service) = service {
            for profile in &*profiles {
                let node = profile.custom_info.as_ref().and_then(|info| info.tern_node.as_deref());
                for candidate in selection::candidates(std::slice::from_ref(profile), service) {
                    self.inner.env.sbi.learn(&candidate.api_root, node);
                }
            }
        }
        let until = self.inner.env.clock.now() + validity;
        Ok(Found { profiles, candidates: candidates.into(), until })
    }

    fn reachable_first<'c>(&self, mut producers: Vec<&'c Candidate>) -> Vec<&'c Candidate> {
        let now = self.inner.env.clock.now();
        let mut cache = self.inner.cache();
        if !cache.failed.is_empty() {
            cache.failed.retain(|_, until| *until > now);
            producers.sort_by_key(|producer| cache.failed.contains_key(&producer.api_root));
        }
        producers
    }
}

impl Inner {
    fn producers(&self) -> MutexGuard<'_, Producers> {
        self.producers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, key: &Key) -> Option<Found> {
        let now = self.env.clock.now();
        self.cache().found.get(key).filter(|found| found.until > now).cloned()
    }

    fn remember(&self, key: Key, found: Found) {
        let mut cache = self.cache();
        if cache.types.len() < FOLLOWED_MAX && cache.types.insert(key.0.clone()) {
            self.follow.notify_one();
        }
        if cache.found.len() >= CACHE_MAX {
            let oldest = cache.found.iter().min_by_key(|(_, found)| found.until).map(|(key, _)| key.clone());
            oldest.map(|key| cache.found.remove(&key));
        }
        cache.found.insert(key, found);
    }

    fn failed(&self, api_root: &str) {
        let until = self.env.clock.now() + FAILURE_MEMORY;
        let mut cache = self.cache();
        if cache.failed.len() < CACHE_MAX {
            cache.failed.insert(api_root.to_owned(), until);
        }
    }
}

/// Whether a request may be made again though it may have been done.
fn is_repeatable(call: &Call, request: &Request) -> bool {
    call.repeatable || (request.method != Method::Post && request.method != Method::Patch)
}
