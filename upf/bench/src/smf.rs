//! The SMF of the bench: PFCP messages in the order that an association needs.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context as _, Result, bail, ensure};
use tern_pfcp::*;
use tern_types::{Duration, Instant};
use tern_upf::UserPlane;

const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 17);
/// Sequence numbers have 24 bits (TS 29.244 §7.2.2.2).
const SEQUENCES: u32 = 1 << 24;
/// The user plane's time goes on by this with each request, so that answers kept for repeated requests go.
const REQUEST_INTERVAL: Duration = Duration::from_millis(1);

/// One SMF with its association.
pub struct Smf {
    sequence: u32,
    now: Instant,
    answers: Vec<Vec<u8>>,
}

impl Smf {
    /// Associates with the user plane.
    pub fn associate(plane: &mut UserPlane, now: Instant) -> Result<Self> {
        let mut smf = Self { sequence: 0, now, answers: Vec::new() };
        let setup = AssociationSetupRequest {
            node_id: NodeId::Address(ADDRESS.into()),
            recovery_time_stamp: RecoveryTimeStamp(1),
            ..Default::default()
        };
        let request = Frame::node(smf.next_sequence(), setup.into());
        match smf.ask(plane, &request)? {
            Message::AssociationSetupResponse(answer) if answer.cause == Cause::REQUEST_ACCEPTED => Ok(smf),
            answer => bail!("the association was answered with {answer:?}"),
        }
    }

    /// Our end of this session.
    pub fn f_seid(seid: u64) -> FSeid {
        FSeid::new(seid, ADDRESS.into())
    }

    /// The number of the next request.
    pub fn next_sequence(&mut self) -> u32 {
        self.sequence = (self.sequence + 1) % SEQUENCES;
        self.sequence
    }

    /// The answer to a session's request.
    pub fn ask_about(
        &mut self,
        plane: &mut UserPlane,
        seid: u64,
        message: impl Into<Message>,
    ) -> Result<Message> {
        let request = Frame::session(seid, self.next_sequence(), message.into());
        self.ask(plane, &request)
    }

    fn ask(&mut self, plane: &mut UserPlane, request: &Frame) -> Result<Message> {
        self.answers.clear();
        self.send(plane, &request.encode()?);
        ensure!(self.answers.len() == 1, "{} answers to one request", self.answers.len());
        let answer = self.answers.pop().context("no answer")?;
        Ok(Frame::decode(&answer)?.message)
    }

    /// Sends a request as octets; the answer is kept until [`Smf::answered`].
    pub fn send(&mut self, plane: &mut UserPlane, request: &[u8]) {
        self.now = self.now + REQUEST_INTERVAL;
        plane.handle_datagram(self.now, SocketAddr::from((ADDRESS, 8805)), request, &mut self.answers);
    }

    /// The answers since the last time, all of which must accept.
    pub fn answered(&mut self) -> Result<Vec<Message>> {
        let mut messages = Vec::new();
        for answer in self.answers.drain(..) {
            let message = Frame::decode(&answer)?.message;
            let cause = match &message {
                Message::SessionEstablishmentResponse(answer) => answer.cause,
                Message::SessionModificationResponse(answer) => answer.cause,
                Message::SessionDeletionResponse(answer) => answer.cause,
                // What the user plane asks us.
                _ => continue,
            };
            ensure!(cause == Cause::REQUEST_ACCEPTED, "refused with {cause}");
            messages.push(message);
        }
        Ok(messages)
    }
}
