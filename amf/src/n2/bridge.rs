//! The local stream between `tern n2` and an AMF.
//!
//! A frame is its length (4 octets), a kind (1 octet) and its content: 0 is JSON of an
//! [`N2Event`] or [`N2Command`]; 1 is an NGAP message, the bulk of it: gNB (4 octets), stream
//! (2 octets), PDU. Numbers are big-endian.

use std::io;
use std::path::PathBuf;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tern_nf::{Env, LocalStream, Shutdown};
use tern_types::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::sync::mpsc;

use super::message::{GnbId, N2Command, N2Event, Place, ServedAmf};
use super::net::{AmfLink, N2Handle, link};
use super::outbox::Said;

/// Octets of one frame; the list of all gNBs is the largest.
const FRAME_MAX: usize = 64 << 20;
/// Octets written at once.
const BATCH: usize = 64 << 10;
/// Between attempts to reach the other process.
const CONNECT_AGAIN: Duration = Duration::from_millis(200);

const KIND_JSON: u8 = 0;
const KIND_NGAP: u8 = 1;
const HEADER: usize = 5;
const NGAP_HEADER: usize = 6;

/// What travels in one direction.
pub(super) trait Framed: Serialize + DeserializeOwned + Send + 'static {
    fn as_ngap(&self) -> Option<(GnbId, u16, &Bytes)>;
    fn ngap(gnb: GnbId, stream: u16, pdu: Bytes) -> Self;
}

impl Framed for N2Event {
    fn as_ngap(&self) -> Option<(GnbId, u16, &Bytes)> {
        match self {
            Self::Ngap { gnb, stream, pdu } => Some((*gnb, *stream, pdu)),
            _ => None,
        }
    }

    fn ngap(gnb: GnbId, stream: u16, pdu: Bytes) -> Self {
        Self::Ngap { gnb, stream, pdu }
    }
}

impl Framed for N2Command {
    fn as_ngap(&self) -> Option<(GnbId, u16, &Bytes)> {
        match self {
            Self::Ngap { gnb, stream, pdu } => Some((*gnb, *stream, pdu)),
            _ => None,
        }
    }

    fn ngap(gnb: GnbId, stream: u16, pdu: Bytes) -> Self {
        Self::Ngap { gnb, stream, pdu }
    }
}

/// The AMF's side: reaches `tern n2` and reaches it again when it was lost.
pub(super) fn attach(path: PathBuf, first: First, env: Env, shutdown: Shutdown) -> N2Handle {
    let (handle, amf) = link();
    tokio::spawn(async move {
        tokio::select! {
            biased;
            () = shutdown.requested() => {}
            () = keep_attached(path, first, &env, amf) => {}
        }
    });
    handle
}

/// What each N2 process is told first.
pub(super) struct First {
    pub(super) served: ServedAmf,
    /// Up to where the AMF has heard the one before.
    pub(super) heard: Option<Place>,
    /// What has been said is told here.
    pub(super) said: Said,
}

impl First {
    /// Notes what the next N2 process is told first, and which turn of the AMF is over with this command.
    fn note(&mut self, command: &N2Command, turn: &mut Option<u64>) {
        match command {
            N2Command::Configure(served) => self.served = served.clone(),
            N2Command::Heard(place) => self.heard = Some(*place),
            N2Command::Turn(number) => *turn = Some(*number),
            _ => {}
        }
    }

    /// What was noted is said, or will never be.
    fn tell(&self, turn: Option<u64>) {
        if let Some(turn) = turn {
            self.said.set(turn);
        }
    }
}

async fn keep_attached(path: PathBuf, mut first: First, env: &Env, mut amf: AmfLink) {
    let mut told = false;
    loop {
        let attempt = env.locals.connect(&path).await;
        let ended = match attempt {
            Ok(stream) => {
                tracing::info!(path = %path.display(), "the N2 process is reached");
                told = false;
                let ended = converse(stream, &mut first, &mut amf).await;
                tracing::warn!(path = %path.display(), "the N2 process is lost");
                env.counters.add("n2.detached", 1);
                if amf.events.send(N2Event::Detached).await.is_err() {
                    return;
                }
                ended
            }
            Err(error) => {
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!(path = %path.display(), %error, "the N2 process is not there; trying on");
                }
                Ended::ByPeer
            }
        };
        if ended == Ended::ByUs || wait(env, &mut first, &mut amf).await == Ended::ByUs {
            return;
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Ended {
    ByUs,
    ByPeer,
}

/// Waits before the next attempt; what is said to nobody is dropped and counted.
async fn wait(env: &Env, first: &mut First, amf: &mut AmfLink) -> Ended {
    let deadline = env.clock.now() + CONNECT_AGAIN;
    loop {
        tokio::select! {
            biased;
            () = env.clock.sleep_until(deadline) => return Ended::ByPeer,
            command = amf.commands.recv() => match command {
                Some(command) => {
                    let mut turn = None;
                    first.note(&command, &mut turn);
                    first.tell(turn);
                    if matches!(command, N2Command::Ngap { .. } | N2Command::Reset { .. } | N2Command::Abort { .. })
                    {
                        env.counters.add("n2.detached_dropped", 1);
                    }
                }
                None => return Ended::ByUs,
            },
        }
    }
}

/// One connection, from what is served to its end.
async fn converse(stream: Box<dyn LocalStream>, first: &mut First, amf: &mut AmfLink) -> Ended {
    let (reader, mut writer) = tokio::io::split(stream);
    let mut batch = Vec::new();
    if let Some(place) = first.heard {
        encode(&N2Command::Heard(place), &mut batch);
    }
    encode(&N2Command::Configure(first.served.clone()), &mut batch);
    if writer.write_all(&batch).await.is_err() {
        return Ended::ByPeer;
    }
    let reading = read::<N2Event>(reader, amf.events.clone());
    let commands = &mut amf.commands;
    let writing = async {
        loop {
            batch.clear();
            let Some(command) = commands.recv().await else { return Ended::ByUs };
            let mut turn = None;
            first.note(&command, &mut turn);
            encode(&command, &mut batch);
            while batch.len() < BATCH
                && let Ok(command) = commands.try_recv()
            {
                first.note(&command, &mut turn);
                encode(&command, &mut batch);
            }
            if writer.write_all(&batch).await.is_err() {
                return Ended::ByPeer;
            }
            first.tell(turn);
        }
    };
    tokio::select! {
        biased;
        ended = writing => ended,
        _ = reading => Ended::ByPeer,
    }
}

/// N2's side of one connection, until either end is gone.
pub(super) async fn serve(
    stream: Box<dyn LocalStream>,
    commands: mpsc::Sender<N2Command>,
    events: mpsc::Receiver<N2Event>,
) {
    let (reader, writer) = tokio::io::split(stream);
    let writing = async {
        if write(writer, events).await.is_err() {
            // The AMF is gone; what it has said before is still to be read.
            std::future::pending().await
        }
    };
    tokio::select! {
        biased;
        () = writing => {}
        ended = read(reader, commands) => {
            if let Err(error) = ended {
                tracing::debug!(%error, "the AMF's connection ended");
            }
        }
    }
}

async fn write<T: Framed>(
    mut writer: impl AsyncWrite + Unpin,
    mut messages: mpsc::Receiver<T>,
) -> io::Result<()> {
    let mut batch = Vec::new();
    while let Some(message) = messages.recv().await {
        batch.clear();
        encode(&message, &mut batch);
        while batch.len() < BATCH
            && let Ok(message) = messages.try_recv()
        {
            encode(&message, &mut batch);
        }
        writer.write_all(&batch).await?;
    }
    Ok(())
}

async fn read<T: Framed>(reader: impl AsyncRead + Unpin, messages: mpsc::Sender<T>) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(BATCH, reader);
    loop {
        let length = reader.read_u32().await? as usize;
        if length == 0 || length > FRAME_MAX {
            return Err(invalid("a frame of a wrong length"));
        }
        // Room as it comes: a length alone costs no memory.
        let mut frame = Vec::with_capacity(length.min(BATCH));
        (&mut reader).take(length as u64).read_to_end(&mut frame).await?;
        if frame.len() < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let message = decode(Bytes::from(frame)).ok_or_else(|| invalid("a frame that does not decode"))?;
        if messages.send(message).await.is_err() {
            return Ok(());
        }
    }
}

/// Puts a frame behind others.
pub(super) fn encode<T: Framed>(message: &T, into: &mut Vec<u8>) {
    let start = into.len();
    into.extend([0; HEADER]);
    let kind = match message.as_ngap() {
        Some((gnb, stream, pdu)) => {
            into.extend(gnb.0.to_be_bytes());
            into.extend(stream.to_be_bytes());
            into.extend_from_slice(pdu);
            KIND_NGAP
        }
        None => {
            serde_json::to_writer(&mut *into, message).expect("invariant: plain values serialise");
            KIND_JSON
        }
    };
    let length = u32::try_from(into.len() - start - 4).expect("invariant: bounded by the gNBs' limits");
    into[start..start + 4].copy_from_slice(&length.to_be_bytes());
    into[start + 4] = kind;
}

fn decode<T: Framed>(frame: Bytes) -> Option<T> {
    let content = frame.slice(1..);
    match frame[0] {
        KIND_JSON => serde_json::from_slice(&content).ok(),
        KIND_NGAP => {
            let gnb = u32::from_be_bytes(content.get(..4)?.try_into().ok()?);
            let stream = u16::from_be_bytes(content.get(4..NGAP_HEADER)?.try_into().ok()?);
            Some(T::ngap(GnbId(gnb), stream, content.slice(NGAP_HEADER..)))
        }
        _ => None,
    }
}

/// Reads frames that lie one behind the other; `None` if they are none.
pub(super) fn decode_all<T: Framed>(mut frames: Bytes) -> Option<Vec<T>> {
    let mut all = Vec::new();
    while !frames.is_empty() {
        let length = u32::from_be_bytes(frames.get(..4)?.try_into().ok()?) as usize;
        let end = length.checked_add(4).filter(|end| length > 0 && *end <= frames.len())?;
        all.push(decode(frames.slice(4..end))?);
        frames = frames.slice(end..);
    }
    Some(all)
}

fn invalid(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::super::message::ResetScope;
    use super::*;

    #[test]
    fn when_a_message_is_framed_then_it_comes_back() {
        let pdu = Bytes::from_static(&[0, 1, 2]);
        let messages = [
            N2Command::Ngap { gnb: GnbId(7), stream: 3, pdu },
            N2Command::Abort { gnb: GnbId(u32::MAX) },
            N2Command::Reset { gnb: GnbId(1), ues: ResetScope::Some(vec![(Some(1 << 39), None)]) },
        ];
        for message in messages {
            let mut frame = Vec::new();
            encode(&message, &mut frame);
            let length = u32::from_be_bytes(frame[..4].try_into().expect("four")) as usize;
            assert_eq!(length, frame.len() - 4);
            assert_eq!(decode::<N2Command>(Bytes::from(frame).slice(4..)), Some(message));
        }
    }

    proptest::proptest! {
        #[test]
        fn no_frame_makes_the_decoder_panic(frame: Vec<u8>) {
            if !frame.is_empty() {
                let _ = decode::<N2Event>(Bytes::from(frame));
            }
        }
    }
}
