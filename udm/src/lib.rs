//! Unified data management: authentication vectors, subscription data and the registrations of
//! serving network functions (TS 29.503, TS 33.501 §6.1).
//!
//! The UDM keeps nothing: the subscribers' data, their sequence numbers among them, are at the
//! UDR, which it asks for each request.

mod changes;
mod config;
mod refusal;
mod repository;
mod sdm;
mod suci;
mod turns;
mod ueau;
mod uecm;
mod vector;

pub use config::Config;
pub use suci::{HomeNetworkKey, HomeNetworkKeys, NoSupi};
pub use vector::{Credentials, CredentialsError};

use std::sync::Arc;

use tern_nf::{Consumer, Env, Nf, Prepared, ProfileSeed, Routes, Shutdown};
use tern_sbi::common::{NfType, ServiceName};
use tern_sbi::{Call, nudm_sdm, nudm_ueau, nudm_uecm, nudr_dr};
use tern_types::PlmnId;
use tokio::sync::Semaphore;

use repository::Repository;
use turns::Turns;

/// Notifications on their way at the same time; more are counted and not sent.
const NOTIFICATIONS_MAX: usize = 1024;

/// What the handlers share.
pub(crate) struct Udm {
    env: Env,
    consumer: Consumer,
    repository: Repository,
    api_root: String,
    plmn: PlmnId,
    home_network_keys: HomeNetworkKeys,
    notifications: Arc<Semaphore>,
    /// Sequence numbers are taken one after the other.
    turns: Turns,
}

/// Serves until asked to stop.
///
/// # Errors
/// If a home network key is none, or the address cannot be served at.
pub async fn run(config: Config, env: Env, shutdown: Shutdown) -> anyhow::Result<()> {
    let home_network_keys = HomeNetworkKeys::new(&config.home_network_keys, config.null_scheme)?;
    let prepared = Nf::prepare(&env, &config.sbi, NfType::Udm).await?;
    let udm = udm(&config, &env, &prepared, home_network_keys);
    let services = vec![ServiceName::NudmUeau, ServiceName::NudmSdm, ServiceName::NudmUecm];
    let seed = ProfileSeed::new(NfType::Udm, services);
    tokio::select! {
        biased;
        ended = prepared.run(seed, routes(&udm), &shutdown) => ended,
        never = changes::stay_subscribed(&udm) => match never {},
    }
}

fn udm(config: &Config, env: &Env, prepared: &Prepared, home_network_keys: HomeNetworkKeys) -> Arc<Udm> {
    Arc::new(Udm {
        env: env.clone(),
        consumer: prepared.consumer(),
        repository: Repository { consumer: prepared.consumer() },
        api_root: prepared.api_root(),
        plmn: config.plmn,
        home_network_keys,
        notifications: Arc::new(Semaphore::new(NOTIFICATIONS_MAX)),
        turns: Turns::default(),
    })
}

/// An operation answered by a method of [`Udm`].
macro_rules! answered {
    ($routes:expr, $udm:expr; $($operation:ty => $method:ident,)*) => {
        $routes$(.on({
            let udm = $udm.clone();
            move |call: Call, operation: $operation| {
                let udm = udm.clone();
                async move { udm.$method(call, operation).await }
            }
        }))*
    };
}

fn routes(udm: &Arc<Udm>) -> Routes {
    answered! { Routes::new(), udm;
        nudm_ueau::GenerateAuthData => generate_auth_data,
        nudm_ueau::ConfirmAuth => confirm_auth,
        nudm_ueau::DeleteAuth => delete_auth,
        nudm_sdm::GetDataSets => data_sets,
        nudm_sdm::GetAmData => am_data,
        nudm_sdm::GetNssai => nssai,
        nudm_sdm::GetSmfSelectData => smf_select_data,
        nudm_sdm::GetSmData => sm_data,
        nudm_sdm::GetUeContextInSmfData => ue_context_in_smf_data,
        nudm_sdm::Subscribe => subscribe,
        nudm_sdm::Unsubscribe => unsubscribe,
        nudm_uecm::RegisterAmf3gpp => register_amf,
        nudm_uecm::UpdateAmf3gpp => update_amf,
        nudm_uecm::GetAmf3gpp => amf_registration,
        nudm_uecm::RegisterSmf => register_smf,
        nudm_uecm::DeregisterSmf => deregister_smf,
        nudm_uecm::GetSmfRegistration => smf_registration,
        nudm_uecm::ListSmfRegistrations => smf_registrations,
        nudr_dr::SubscriptionDataChange => data_changed,
    }
}
