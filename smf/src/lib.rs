//! The SMF (TS 23.501 §6.2.2): PDU sessions, between the AMF's requests (N11), the UPF's rules
//! (N4) and the UE's 5GSM messages (N1).
//!
//! [`Smf`] is the core: [`Input`]s go in with the time, [`Output`]s come out; it does no I/O.
//! [`run`] is the edge: it serves Nsmf_PDUSession, calls the other functions, speaks PFCP.
//!
//! | of a session | where |
//! |---|---|
//! | what is known, as serialisable values | [`context`] |
//! | the 5GSM procedures, one file each | [`gsm`] |
//! | which procedure an input is for | `smf`, `dispatch` |
//! | services produced and consumed, one file each | `sbi` |
//! | rules on N4, transfers on N2 | `n4`, `n2` |
//! | addresses, UPFs | [`pool`], [`upf`] |
//! | router of the UEs' IPv6 links | [`router`], `ndp` |
//! | sessions that a UPF has lost | `restoration` |
//! | what outlives the process | [`record`], `kept` |

pub mod binding;
mod cause;
mod config;
pub mod context;
mod core;
mod create;
mod dispatch;
pub mod gsm;
mod io;
mod kept;
mod n2;
mod n4;
mod ndp;
mod net;
pub mod policy_rules;
pub mod pool;
pub mod qos;
pub mod record;
mod restoration;
pub mod router;
mod sbi;
mod smf;
mod status;
pub mod upf;

pub use cause::{GsmCause, Refusal};
pub use config::{Config, DataNetwork, Ipv6Config, Limits, N4Config, Served, Timers, UpfConfig};
pub use core::Identity;
pub use io::{Input, Output, Report, SmfRequest, Token};
pub use net::run;
pub use smf::Smf;
