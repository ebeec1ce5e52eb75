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
use tern_nf::{Env, Shutdown};
use tern_types::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;

use super::message::{GnbId, N2Command, N2Event, ServedAmf};
use super::net::{AmfLink, N2Handle, link};

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
pub(super) fn attach(path: PathBuf, served: ServedAmf, env: Env, shutdown: Shutdown) -> N2Handle {
    let (handle, amf) = link();
    tokio::spawn(async move {
        tokio::select! {
            biased;
            () = shutdown.requested() => {}
            () = keep_attached(path, served, &env, amf) => {}
        }
    });
    handle
}

async fn keep_attached(path: PathBuf, mut served: ServedAmf, env: &Env, mut amf: AmfLink) {
    let mut told = false;
    loop {
        let attempt = UnixStream::connect(&path).await;
        let ended = match attempt {
            Ok(stream) => {
                tracing::info!(path = %path.display(), "the N2 process is reached");
                told = false;
                let ended = converse(stream, &mut served, &mut amf).await;
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
        if ended == Ended::ByUs || wait(env, &mut served, &mut amf).await == Ended::ByUs {
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
async fn wait(env: &Env, served: &mut ServedAmf, amf: &mut AmfLink) -> Ended {
    let deadline = env.clock.now() + CONNECT_AGAIN;
    loop {
        tokio::select! {
            biased;
            () = env.clock.sleep_until(deadline) => return Ended::ByPeer,
            command = amf.commands.recv() => match command {
                Some(N2Command::Configure(new)) => *served = new,
                Some(_) => env.counters.add("n2.detached_dropped", 1),
                None => return Ended::ByUs,
            },
        }
    }
}

/// One connection, from what is served to its end.
async fn converse(stream: UnixStream, served: &mut ServedAmf, amf: &mut AmfLink) -> Ended {
    let (reader, mut writer) = stream.into_split();
    let mut batch = Vec::new();
    encode(&N2Command::Configure(served.clone()), &mut batch);
    if writer.write_all(&batch).await.is_err() {
        return Ended::ByPeer;
    }
    let reading = read::<N2Event>(reader, amf.events.clone());
    let commands = &mut amf.commands;
    let writing = async {
        loop {
            batch.clear();
            let Some(command) = commands.recv().await else { return Ended::ByUs };
            if let N2Command::Configure(new) = &command {
                *served = new.clone();
            }
            encode(&command, &mut batch);
            while batch.len() < BATCH
                && let Ok(command) = commands.try_recv()
            {
                encode(&command, &mut batch);
            }
            if writer.write_all(&batch).await.is_err() {
                return Ended::ByPeer;
            }
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
    stream: UnixStream,
    commands: mpsc::Sender<N2Command>,
    events: mpsc::Receiver<N2Event>,
) {
    let (reader, writer) = stream.into_split();
    tokio::select! {
        biased;
        _ = write(writer, events) => {}
        ended = read(reader, commands) => {
            if let Err(error) = ended {
                tracing::debug!(%error, "the AMF's connection ended");
            }
        }
    }
}

async fn write<T: Framed>(mut writer: OwnedWriteHalf, mut messages: mpsc::Receiver<T>) -> io::Result<()> {
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

async fn read<T: Framed>(reader: OwnedReadHalf, messages: mpsc::Sender<T>) -> io::Result<()> {
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

fn encode<T: Framed>(message: &T, into: &mut Vec<u8>) {
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
