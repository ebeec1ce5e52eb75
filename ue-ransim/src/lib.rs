//! Simulator of gNBs and UEs: strict, and of no core in particular.
//!
//! A scenario reads as a script:
//!
//! ```no_run
//! # async fn scenario(gnb: &ue_ransim::gnb::Gnb, mut ue: ue_ransim::ue::Ue) -> Result<(), ue_ransim::SimError> {
//! ue.register().await?;
//! let mut session = ue.establish_session(Default::default()).await?;
//! session.ping([10, 0, 0, 1], 4, std::time::Duration::from_secs(1)).await?;
//! ue.release_session(session.psi).await?;
//! ue.deregister(false).await?;
//! # Ok(())
//! # }
//! ```
//!
//! [`run()`] does what a [`Config`] says with many UEs. Whatever the core answers is checked; each
//! deviation is a [`report::Failure`] with its clause. All I/O comes from a [`SimEnv`], time is
//! tokio's: it runs over sockets and, with a paused clock, in simulation.

pub mod config;
pub mod env;
mod error;
pub mod gnb;
mod histogram;
pub mod icmp;
pub mod load;
mod page;
mod plot;
pub mod report;
mod run;
pub mod scenario;
mod statistics;
pub mod tun;
pub mod ue;

pub use config::Config;
pub use env::SimEnv;
pub use error::SimError;
pub use histogram::Histogram;
pub use report::{Journal, Report};
pub use run::{Rig, gnb_config, run};
pub use statistics::{FailedProcedure, Procedure};
