//! A socket of rtnetlink that many messages leave by at once.

use std::io;

use netlink_packet_core::{
    ErrorMessage, NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage,
    NetlinkPayload, NlasIterator,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::protocols::NETLINK_ROUTE;

use crate::NetError;

/// Octets of one batch: well below what a socket may have on its way (net.core.wmem_default).
const BATCH_OCTETS_MAX: usize = 48 * 1024;
/// Messages of one batch: as many refusals have room in the socket that they come back by.
const BATCH_MAX: usize = 256;
/// Octets of what is received at once: the kernel writes at most 32 KiB of a dump.
const RECEIVE_OCTETS: usize = 64 * 1024;
/// Where the attributes begin in an answer, after the code and the header of the request.
const ANSWER_ATTRIBUTES: usize = 16;
/// The kernel's words (NLMSGERR_ATTR_MSG).
const ATTRIBUTE_MESSAGE: u16 = 1;

/// A socket in the namespace of the thread that opens it.
pub struct Socket(netlink_sys::Socket);

/// A message of a batch.
pub struct Request {
    /// What it does, for who reads that it failed.
    pub what: String,
    /// The message.
    pub message: RouteNetlinkMessage,
    /// Flags besides that it is a request (NLM_F_CREATE, …).
    pub flags: u16,
    /// Refusals that are as good: the link to be removed is gone.
    pub forgiven: &'static [i32],
}

impl Socket {
    /// Opens a socket.
    pub fn open() -> Result<Self, NetError> {
        let open = || {
            let socket = netlink_sys::Socket::new(NETLINK_ROUTE)?;
            // The kernel's words with a refusal, and not the whole message back.
            socket.set_ext_ack(true)?;
            socket.set_cap_ack(true)?;
            Ok(socket)
        };
        open().map(Self).map_err(NetError::io("a netlink socket"))
    }

    /// Sends requests, as many at once as go into a batch. All of a batch are carried out, whatever happens
    /// to one of them; the first refusal is what is returned.
    pub fn run(&self, requests: Vec<Request>) -> Result<(), NetError> {
        let (mut octets, mut sent) = (Vec::new(), Vec::new());
        let mut requests = requests.into_iter().peekable();
        while let Some(request) = requests.next() {
            let number = sent.len() as u32 + 1;
            let mut message = NetlinkMessage::new(NetlinkHeader::default(), request.message.into());
            message.header.sequence_number = number;
            message.header.flags = NLM_F_REQUEST | request.flags;
            message.finalize();
            let begin = octets.len();
            // Messages begin at multiples of four octets, and so does what follows.
            octets.resize(begin + message.buffer_len().next_multiple_of(4), 0);
            let is_last =
                octets.len() >= BATCH_OCTETS_MAX || sent.len() + 1 >= BATCH_MAX || requests.peek().is_none();
            // A refusal always comes; that all went well is said once.
            if is_last {
                message.header.flags |= NLM_F_ACK;
            }
            message.serialize(&mut octets[begin..]);
            sent.push((request.what, request.forgiven));
            if is_last {
                self.send(&octets, &sent)?;
                octets.clear();
                sent.clear();
            }
        }
        Ok(())
    }

    fn send(&self, octets: &[u8], sent: &[(String, &'static [i32])]) -> Result<(), NetError> {
        let first = || sent.first().map_or(String::new(), |(what, _)| what.clone());
        self.0.send(octets, 0).map_err(NetError::io(first()))?;
        let mut refused = None;
        loop {
            let mut is_over = false;
            self.receive(&first(), |message| {
                let NetlinkPayload::Error(answer) = message.payload else { return };
                let number = message.header.sequence_number as usize;
                is_over |= number == sent.len();
                let Some((what, forgiven)) = number.checked_sub(1).and_then(|index| sent.get(index)) else {
                    return;
                };
                let Some(code) = answer.code else { return };
                let error = io::Error::from_raw_os_error(code.get().saturating_abs());
                if refused.is_none() && !error.raw_os_error().is_some_and(|code| forgiven.contains(&code)) {
                    refused = Some(NetError::Refused { what: what.clone(), error, message: words(&answer) });
                }
            })?;
            if is_over {
                return refused.map_or(Ok(()), Err);
            }
        }
    }

    /// Asks for all of a kind. The kernel says so if there was a change meanwhile; then what it gives may
    /// lack something, and it is asked again.
    pub fn dump(
        &self,
        what: &str,
        message: &RouteNetlinkMessage,
    ) -> Result<Vec<RouteNetlinkMessage>, NetError> {
        /// Dumps that a change may spoil.
        const TRIES: usize = 16;
        for _ in 0..TRIES {
            if let Some(all) = self.dump_once(what, message)? {
                return Ok(all);
            }
        }
        Err(NetError::Answer { what: what.to_owned(), why: "it changes all the time".to_owned() })
    }

    fn dump_once(
        &self,
        what: &str,
        message: &RouteNetlinkMessage,
    ) -> Result<Option<Vec<RouteNetlinkMessage>>, NetError> {
        let mut request = NetlinkMessage::new(NetlinkHeader::default(), message.clone().into());
        request.header.flags = NLM_F_REQUEST | NLM_F_DUMP;
        request.finalize();
        let mut octets = vec![0; request.buffer_len()];
        request.serialize(&mut octets);
        self.0.send(&octets, 0).map_err(NetError::io(what))?;
        let (mut all, mut is_over, mut is_whole, mut refused) = (Vec::new(), false, true, None);
        while !is_over {
            self.receive(what, |message| {
                is_whole &= message.header.flags & NLM_F_DUMP_INTR == 0;
                match message.payload {
                    NetlinkPayload::InnerMessage(message) => all.push(message),
                    NetlinkPayload::Done(_) => is_over = true,
                    NetlinkPayload::Error(answer) => {
                        is_over = true;
                        refused = answer.code.map(|code| (code.get().saturating_abs(), words(&answer)));
                    }
                    _ => {}
                }
            })?;
        }
        match refused {
            None => Ok(is_whole.then_some(all)),
            Some((code, message)) => {
                let error = io::Error::from_raw_os_error(code);
                Err(NetError::Refused { what: what.to_owned(), error, message })
            }
        }
    }

    /// Receives once, which may be several messages.
    fn receive(
        &self,
        what: &str,
        mut each: impl FnMut(NetlinkMessage<RouteNetlinkMessage>),
    ) -> Result<(), NetError> {
        let mut octets = Vec::with_capacity(RECEIVE_OCTETS);
        self.0.recv(&mut octets, 0).map_err(NetError::io(what))?;
        let mut rest = octets.as_slice();
        while !rest.is_empty() {
            let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest)
                .map_err(|why| NetError::Answer { what: what.to_owned(), why: why.to_string() })?;
            let length = (message.header.length as usize).next_multiple_of(4);
            if length == 0 {
                return Err(NetError::Answer {
                    what: what.to_owned(),
                    why: "a message of no length".to_owned(),
                });
            }
            rest = rest.get(length..).unwrap_or_default();
            each(message);
        }
        Ok(())
    }
}

/// The kernel's words in a refusal.
fn words(answer: &ErrorMessage) -> Option<String> {
    let attributes = answer.header.get(ANSWER_ATTRIBUTES..)?;
    let message = NlasIterator::new(attributes).flatten().find(|nla| nla.kind() == ATTRIBUTE_MESSAGE)?;
    let text = String::from_utf8_lossy(message.value());
    Some(text.trim_end_matches('\0').to_owned())
}
