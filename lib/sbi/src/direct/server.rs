//! The producer's end of a connection.

use std::collections::HashMap;
use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::{AbortHandle, Abortable};
use futures_util::stream::FuturesUnordered;
use sbi_shm::ShmStream;
use tern_sbi::{Method, ProblemDetails, Reply, direct};
use tokio::time::Instant;

use super::frame::{Frame, FrameError, Incoming, write_frame, write_message};
use crate::place::Admitted;
use crate::tap::{Exchange, Tap};
use crate::transport::BoxFuture;

/// Octets of replies that wait for the consumer; as long as there are more, no request is read.
const UNSENT_MAX: usize = 1 << 20;

/// Answers requests until the consumer ends the connection, or the place stops and all is answered.
pub(crate) async fn connection(stream: ShmStream, admitted: Admitted, tap: Option<Tap>) {
    let place = admitted.place.clone();
    let limits = &place.limits;
    let mut stopping = place.stopping();
    let mut connection = Connection::new(stream, &admitted, tap);
    let mut check = std::pin::pin!(tokio::time::sleep(limits.first_request_timeout));
    let mut answered = 0;
    loop {
        tokio::select! {
            biased;
            ended = poll_fn(|cx| connection.poll(cx)) => {
                if let Err(error) = ended {
                    place.complaints.about(admitted.peer, &error);
                }
                return;
            }
            _ = stopping.wait_for(|stop| *stop), if !connection.leaving => {
                connection.leave();
                check.as_mut().reset(Instant::now() + limits.drain_timeout);
            }
            () = check.as_mut() => {
                if connection.leaving {
                    tracing::debug!(peer = %admitted.peer, "connection cut");
                    return;
                }
                let idle = answered == connection.answered && connection.running.is_empty();
                answered = connection.answered;
                let wait = if idle {
                    connection.leave();
                    limits.drain_timeout
                } else {
                    limits.idle_timeout
                };
                check.as_mut().reset(Instant::now() + wait);
            }
        }
    }
}

type Running = Abortable<BoxFuture<'static, (u32, Reply, Vec<Method>)>>;

struct Connection<'a> {
    stream: ShmStream,
    admitted: &'a Admitted,
    tap: Option<Tap>,
    incoming: Incoming,
    running: FuturesUnordered<Running>,
    handles: HashMap<u32, AbortHandle>,
    out: Vec<u8>,
    /// Octets of `out` that are sent.
    sent: usize,
    answered: u64,
    /// No more requests are taken.
    leaving: bool,
    /// The consumer sends no more.
    ended: bool,
}

impl<'a> Connection<'a> {
    fn new(stream: ShmStream, admitted: &'a Admitted, tap: Option<Tap>) -> Self {
        Self {
            stream,
            admitted,
            tap,
            incoming: Incoming::new(admitted.place.limits.content_max),
            running: FuturesUnordered::new(),
            handles: HashMap::new(),
            out: Vec::new(),
            sent: 0,
            answered: 0,
            leaving: false,
            ended: false,
        }
    }

    fn leave(&mut self) {
        self.leaving = true;
        write_frame(&mut self.out, &Frame::GoAway);
    }

    /// Reads what has arrived, runs what can run, then sends the replies together.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), FrameError>> {
        loop {
            let mut full = false;
            while !self.ended {
                full = self.out.len() - self.sent > UNSENT_MAX;
                if full {
                    break;
                }
                match self.incoming.poll_next(cx, &self.stream) {
                    Poll::Ready(Ok(Some(frame))) => self.on_frame(frame)?,
                    Poll::Ready(Ok(None)) => self.ended = true,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => break,
                }
            }
            while let Poll::Ready(Some(done)) = self.running.poll_next_unpin(cx) {
                if let Ok((number, reply, allow)) = done {
                    self.reply(number, &reply, &allow);
                }
            }
            while self.sent < self.out.len() {
                match self.stream.poll_write_some(cx, &self.out[self.sent..]) {
                    Poll::Ready(Ok(n)) => self.sent += n,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                    Poll::Pending => return Poll::Pending,
                }
            }
            self.out.clear();
            self.sent = 0;
            if self.running.is_empty() && (self.ended || self.leaving) {
                return Poll::Ready(Ok(()));
            }
            if !full {
                return Poll::Pending;
            }
        }
    }

    fn on_frame(&mut self, frame: Frame) -> Result<(), FrameError> {
        match frame {
            Frame::Message(number, _) if self.leaving => write_frame(&mut self.out, &Frame::Refused(number)),
            Frame::Message(number, octets) => self.begin(number, octets),
            Frame::Cancel(number) => {
                if let Some(handle) = self.handles.remove(&number) {
                    handle.abort();
                }
            }
            Frame::GoAway | Frame::Refused(_) => return Err(FrameError::Meaningless),
        }
        Ok(())
    }

    fn begin(&mut self, number: u32, octets: Bytes) {
        let limits = &self.admitted.place.limits;
        if self.running.len() >= limits.streams_max as usize || self.handles.contains_key(&number) {
            return write_frame(&mut self.out, &Frame::Refused(number));
        }
        let request = match direct::read_request(octets) {
            Ok(request) => request,
            Err(error) => {
                tracing::debug!(peer = %self.admitted.peer, %error, "request refused");
                let problem = ProblemDetails::new(400, "INVALID_MSG_FORMAT").with_detail(error);
                return self.reply(number, &problem.into_reply(), &[]);
            }
        };
        let service = self.admitted.place.service.clone();
        let answer = Box::pin(async move {
            let path = request.path.clone();
            let reply = service.handle(request).await;
            let allow = if reply.status == 405 { service.allowed(&path) } else { Vec::new() };
            (number, reply, allow)
        });
        let (handle, registration) = AbortHandle::new_pair();
        self.handles.insert(number, handle);
        self.running.push(Abortable::new(answer as BoxFuture<'static, _>, registration));
    }

    fn reply(&mut self, number: u32, reply: &Reply, allow: &[Method]) {
        self.answered += 1;
        self.handles.remove(&number);
        write_message(&mut self.out, number, |out| direct::write_reply(reply, out));
        if let Some(tap) = &self.tap {
            let (consumer, producer) = (self.stream.peer_addr(), self.stream.local_addr());
            let exchange = Exchange { consumer, producer, number: number.into() };
            tap.reply(exchange, SystemTime::now(), reply, allow);
        }
    }
}
