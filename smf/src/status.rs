//! What `tern status` shows of the SMF.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tern_nf::Env;
use tern_types::{Duration, Instant};

use crate::context::SmContext;
use crate::smf::Smf;

/// Sessions that are listed; all are counted.
const SESSIONS_LISTED_MAX: usize = 100;
/// How old the summary may be.
const AGE_MAX: Duration = Duration::from_millis(200);

/// The state as JSON, renewed now and then while something happens.
pub struct Summary {
    value: Arc<Mutex<Value>>,
    /// When it is to be renewed.
    due: Option<Instant>,
}

impl Summary {
    /// Nothing yet; `env` tells it to whom asks.
    pub fn new(env: &Env) -> Self {
        let value = Arc::new(Mutex::new(Value::Null));
        let shown = value.clone();
        env.status.set(move || shown.lock().unwrap_or_else(PoisonError::into_inner).clone());
        Self { value, due: Some(Instant::default()) }
    }

    /// Something happened.
    pub fn touched(&mut self, now: Instant) {
        self.due.get_or_insert(now + AGE_MAX);
    }

    /// When [`Self::refresh`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// Renews the summary if it is due.
    pub fn refresh(&mut self, now: Instant, smf: &Smf) {
        if self.due.is_some_and(|due| due <= now) {
            self.due = None;
            *self.value.lock().unwrap_or_else(PoisonError::into_inner) = summarise(now, smf);
        }
    }
}

fn summarise(now: Instant, smf: &Smf) -> Value {
    let upf = |(endpoint, upf): (&std::net::SocketAddr, &crate::upf::Upf)| json!({ "n4": endpoint, "associated": upf.associated, "sessions": upf.sessions, "loadPercent": upf.load.percent(), "reductionPercent": upf.load.reduction(now) });
    json!({
        "sessions": smf.sessions(),
        "addressesInUse": smf.addresses_used(),
        "prefixesInUse": smf.prefixes_used(),
        "upfs": smf.upfs().iter().map(upf).collect::<Vec<_>>(),
        "sessionList": smf.contexts().take(SESSIONS_LISTED_MAX).map(session).collect::<Vec<_>>(),
    })
}

fn session(context: &SmContext) -> Value {
    let session = &context.session;
    json!({
        "supi": session.supi,
        "id": session.id,
        "dnn": session.dnn,
        "snssai": session.snssai.to_string(),
        "state": context.state.name(),
        "address": session.granted.as_ref().and_then(|granted| granted.ipv4),
        "prefix": session.granted.as_ref().and_then(|granted| Some(granted.ipv6?.prefix_text())),
        "upf": session.user_plane.as_ref().map(|user_plane| user_plane.upf),
        "uplinkOctets": session.usage.uplink,
        "downlinkOctets": session.usage.downlink,
    })
}
