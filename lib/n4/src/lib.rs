//! The node level of N4, for both its ends and without I/O: sequence numbers, retransmission,
//! duplicates, associations, heartbeats (TS 29.244 §6.2, §6.4).
//!
//! A [`Node`] takes datagrams, requests, answers and the time; [`Node::next_output`] tells what
//! to send and what happened. Requests about sessions are the caller's: it gets
//! [`Output::Request`] and answers with [`Node::respond`].

mod association;
mod config;
mod node;
mod refusal;
mod transaction;

pub use config::{Accept, NodeConfig, PEERS_MAX, REQUESTS_MAX, RESPONSES_MAX};
pub use node::{Association, DownReason, Node, Output, Request, SendError, Token};
pub use refusal::refusal;
