//! The consumer's end of a connection.

use std::collections::HashMap;
use std::future::poll_fn;
use std::net::Shutdown;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::SystemTime;

use bytes::Bytes;
use sbi_shm::ShmStream;
use tern_sbi::{Request, direct};
use tokio::sync::{Notify, oneshot};

use super::frame::{Frame, FrameError, Incoming, write_frame, write_message};
use crate::http::HttpLimits;
use crate::producers::Shareable;
use crate::routes::places;
use crate::tap::{Exchange, Tap};

/// What became of one request.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The reply's octets.
    Reply(Bytes),
    /// The producer has not seen the request, or not acted on it.
    NotSent(String),
    /// The producer may have seen it; there is no answer.
    Lost(String),
}

/// A connection, as its users have it. It ends with the last of them.
#[derive(Clone)]
pub(crate) struct Connection {
    shared: Arc<Shared>,
    _users: Arc<Users>,
}

/// Ends the stream with the last user of the connection.
struct Users(Arc<Shared>);

impl Drop for Users {
    fn drop(&mut self) {
        self.0.stream.shutdown(Shutdown::Write);
        self.0.stream.shutdown(Shutdown::Read);
    }
}

struct Shared {
    stream: ShmStream,
    state: Mutex<State>,
    /// There are octets that the window did not take.
    unsent: Notify,
    tap: Option<(Tap, String)>,
    /// Requests without an answer at a time.
    requests_max: usize,
}

#[derive(Default)]
struct State {
    number: u32,
    waiting: HashMap<u32, oneshot::Sender<Answer>>,
    /// Written before, not taken by the window.
    out: Vec<u8>,
    /// No more requests: why.
    closed: Option<String>,
}

impl Shareable for Connection {
    fn is_closed(&self) -> bool {
        self.shared.state().closed.is_some()
    }
}

impl Connection {
    /// Begins on a new stream. The tap is told of requests under this user agent.
    pub(crate) fn new(stream: ShmStream, limits: &HttpLimits, tap: Option<(Tap, String)>) -> Self {
        let requests_max = usize::try_from(limits.streams_max).unwrap_or(usize::MAX);
        let shared =
            Arc::new(Shared { stream, state: Mutex::default(), unsent: Notify::new(), tap, requests_max });
        let reading = shared.clone();
        let incoming = Incoming::new(limits.content_max);
        tokio::spawn(async move { reading.run(incoming).await });
        Self { _users: Arc::new(Users(shared.clone())), shared }
    }

    /// Sends a request and waits for its answer. Dropping the future tells the producer that nobody
    /// waits.
    pub(crate) async fn call(&self, request: &Request) -> Answer {
        let (number, answer) = match self.shared.send(request) {
            Ok(sent) => sent,
            Err(why) => return Answer::NotSent(why),
        };
        let waiting = Waiting { shared: &self.shared, number };
        let answer = answer.await.unwrap_or_else(|_| Answer::Lost("connection ended".to_owned()));
        std::mem::forget(waiting);
        answer
    }
}

/// A request without its answer.
struct Waiting<'a> {
    shared: &'a Shared,
    number: u32,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.shared.give_up(self.number);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, request: &Request) -> Result<(u32, oneshot::Receiver<Answer>), String> {
        let mut state = self.state();
        if let Some(why) = &state.closed {
            return Err(why.clone());
        }
        if state.waiting.len() >= places(self.requests_max, request) {
            return Err("too many requests in progress".to_owned());
        }
        state.number = state.number.wrapping_add(1).max(1);
        let number = state.number;
        let (sender, receiver) = oneshot::channel();
        if state.waiting.contains_key(&number) {
            return Err("the request numbers have gone round".to_owned());
        }
        let at = state.out.len();
        write_message(&mut state.out, number, |out| direct::write_request(request, out));
        // What waits already goes first, by the connection's task.
        if at == 0
            && let Err(error) = self.write_now(&mut state)
        {
            state.out.clear();
            state.closed = Some(error.to_string());
            return Err(error.to_string());
        }
        state.waiting.insert(number, sender);
        drop(state);
        if let Some((tap, user_agent)) = &self.tap {
            tap.request(self.exchange(number), SystemTime::now(), user_agent, request);
        }
        Ok((number, receiver))
    }

    /// Writes what the window takes; the rest is for the connection's task.
    fn write_now(&self, state: &mut State) -> std::io::Result<()> {
        let written = self.stream.try_write(&state.out)?;
        if written == state.out.len() {
            state.out.clear();
        } else {
            state.out.drain(..written);
            self.unsent.notify_one();
        }
        Ok(())
    }

    fn give_up(&self, number: u32) {
        let mut state = self.state();
        if state.waiting.remove(&number).is_none() || state.closed.is_some() {
            return;
        }
        let at = state.out.len();
        write_frame(&mut state.out, &Frame::Cancel(number));
        if at == 0 && self.write_now(&mut state).is_err() {
            state.out.clear();
        }
        drop(state);
        if let Some((tap, _)) = &self.tap {
            tap.give_up(self.exchange(number), SystemTime::now());
        }
    }

    fn exchange(&self, number: u32) -> Exchange {
        let (consumer, producer) = (self.stream.local_addr(), self.stream.peer_addr());
        Exchange { consumer, producer, number: number.into() }
    }

    /// Hands answers to those who wait, and sends what the window did not take, until the end.
    async fn run(&self, mut incoming: Incoming) {
        let ended = loop {
            let outcome = tokio::select! {
                biased;
                outcome = poll_fn(|cx| self.poll(cx, &mut incoming)) => outcome,
                () = self.unsent.notified() => continue,
            };
            match outcome {
                Ok(Some(frame)) => {
                    if let Err(error) = self.on_frame(frame) {
                        break error.to_string();
                    }
                }
                Ok(None) => break "the producer ended the connection".to_owned(),
                Err(error) => break error.to_string(),
            }
        };
        tracing::debug!(producer = %self.stream.peer_addr(), why = ended, "connection to producer ended");
        let mut state = self.state();
        state.closed = Some(ended.clone());
        for (_, waiting) in state.waiting.drain() {
            let _ = waiting.send(Answer::Lost(ended.clone()));
        }
    }

    fn poll(&self, cx: &mut Context<'_>, incoming: &mut Incoming) -> Poll<Result<Option<Frame>, FrameError>> {
        let mut state = self.state();
        let mut written = 0;
        while written < state.out.len() {
            match self.stream.poll_write_some(cx, &state.out[written..]) {
                Poll::Ready(Ok(n)) => written += n,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                Poll::Pending => break,
            }
        }
        state.out.drain(..written);
        drop(state);
        incoming.poll_next(cx, &self.stream)
    }

    fn on_frame(&self, frame: Frame) -> Result<(), FrameError> {
        let mut state = self.state();
        match frame {
            Frame::Message(number, octets) => {
                // Without one who waits: it was given up.
                if let Some(waiting) = state.waiting.remove(&number) {
                    let _ = waiting.send(Answer::Reply(octets));
                }
            }
            Frame::Refused(number) => {
                if let Some(waiting) = state.waiting.remove(&number) {
                    let _ = waiting.send(Answer::NotSent("the producer does not take it".to_owned()));
                }
            }
            Frame::GoAway => state.closed = Some("the producer takes no more requests".to_owned()),
            Frame::Cancel(_) => return Err(FrameError::Meaningless),
        }
        Ok(())
    }
}
