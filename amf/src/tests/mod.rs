//! The core driven by hand: a fake UE with real NAS security, a fake gNB, fake peers.

mod authentication;
mod bytes;
mod connection;
mod registration;
mod rejection;
mod rig;
mod session;
