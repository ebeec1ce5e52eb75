//! The core driven by hand: a fake UE with real NAS security, a fake gNB, fake peers.

mod abnormal;
mod abnormal_connection;
mod abnormal_registration;
mod admission;
mod authentication;
mod bytes;
mod collisions;
mod connection;
mod deregistration;
mod eap;
mod n2_handover;
mod n2_steps;
mod modify_indication;
mod overload;
mod paging;
mod path_switch;
mod registration;
mod rejection;
mod rekeying;
mod reports;
mod rig;
mod service_area;
mod service_request;
mod session;
mod two_gnbs;
mod updates;
