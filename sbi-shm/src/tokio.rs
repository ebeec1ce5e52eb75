//! Streams and listeners on tokio. The event descriptor is in the runtime's epoll; a task keeps it
//! there, and sleeps in the stack's name unless the runtime does by its park hooks.

#![allow(unsafe_code, reason = "tokio's registration of a descriptor asks for a promise")]

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

use crate::connection::Waiter;
use crate::error::{ConnectError, ListenError};
use crate::listener::{LISTEN_TIMEOUT, ListenOptions, ShmListener, listening};
use crate::stack::{Shared, Stack};
use crate::state::State;
use crate::stream::{ConnectOptions, Opening, ShmStream, opened};

/// The stack's event descriptor, in an epoll.
struct Event(Arc<Shared>);

impl AsRawFd for Event {
    fn as_raw_fd(&self) -> RawFd {
        self.0.event.as_raw_fd()
    }
}

/// The driving task. When it is dropped with its runtime, another one may start.
struct Driving(Arc<Shared>);

impl Drop for Driving {
    fn drop(&mut self) {
        if !self.0.is_hooked() {
            self.0.disarm_runtime();
        }
        self.0.driven.store(false, Ordering::Relaxed);
    }
}

/// Starts the driving task, if none runs.
fn drive(shared: &Arc<Shared>) -> io::Result<()> {
    if shared.driven.load(Ordering::Relaxed) || shared.driven.swap(true, Ordering::Relaxed) {
        return Ok(());
    }
    let driving = Driving(shared.clone());
    let event = Event(shared.clone());
    // SAFETY: the descriptor is the stack's own `OwnedFd`, which `Event` keeps alive and which never
    // changes.
    let event = unsafe { AsyncFd::register_with_interest(event, Interest::READABLE) }?;
    tokio::spawn(async move {
        let shared = &driving.0;
        loop {
            if !shared.is_hooked() {
                while !shared.arm_runtime() {
                    tokio::task::yield_now().await;
                }
            }
            // Edge-triggered: each write to the descriptor is news, though it is never read.
            match event.readable().await {
                Ok(mut guard) => guard.clear_ready(),
                Err(_) => return,
            }
            if !shared.is_hooked() {
                shared.disarm_runtime();
            }
            if shared.with(|state| state.stopped) {
                return;
            }
        }
    });
    Ok(())
}

impl Stack {
    /// [`Stack::connect`] without blocking. Dropping the future gives the connection up.
    pub async fn connect_async(
        &self,
        to: SocketAddr,
        options: &ConnectOptions,
    ) -> Result<ShmStream, ConnectError> {
        drive(self.shared())?;
        let opening = self.begin(to, options)?;
        let done = poll_fn(|cx| self.poll_opened(cx, &opening));
        let outcome = match tokio::time::timeout(options.timeout, done).await {
            Ok(outcome) => outcome,
            Err(_) => Err(ConnectError::TimedOut(to)),
        };
        opening.finish(outcome)
    }

    fn poll_opened(&self, cx: &mut Context<'_>, opening: &Opening) -> Poll<Result<(), ConnectError>> {
        self.shared().with(|state| match opened(state, opening.key, opening.to) {
            Some(outcome) => Poll::Ready(outcome),
            None => {
                state.connections[opening.key].openers.add(Waiter::Task(cx.waker().clone()));
                Poll::Pending
            }
        })
    }

    /// [`Stack::listen`] without blocking.
    pub async fn listen_async(
        &self,
        at: SocketAddr,
        options: &ListenOptions,
    ) -> Result<ShmListener, ListenError> {
        drive(self.shared())?;
        let listener = self.begin_listening(at, options)?;
        let end = listener.end();
        let answered = poll_fn(|cx| {
            self.shared().with(|state| match listening(state, end) {
                Some(outcome) => Poll::Ready(outcome),
                None => {
                    if let Some(listening) = state.listeners.get_mut(&end) {
                        listening.openers.add(Waiter::Task(cx.waker().clone()));
                    }
                    Poll::Pending
                }
            })
        });
        let outcome = tokio::time::timeout(LISTEN_TIMEOUT, answered).await.ok();
        listener.finish(outcome)
    }
}

impl ShmListener {
    /// [`ShmListener::accept`] without blocking. Cancel safe.
    pub fn accept_async(&self) -> impl Future<Output = io::Result<(ShmStream, SocketAddr)>> + Send + '_ {
        poll_fn(|cx| self.poll_accept(cx))
    }

    /// The next connection, if there is one.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(ShmStream, SocketAddr)>> {
        drive(&self.stack.shared)?;
        let end = self.end();
        let key = self.stack.shared.with(|state| {
            let key = state.accept(end).or_else(|| {
                state.drain();
                state.accept(end)
            });
            if key.is_none()
                && let Some(listening) = state.listeners.get_mut(&end)
            {
                listening.acceptors.add(Waiter::Task(cx.waker().clone()));
            }
            key
        });
        match key {
            Some(key) => Poll::Ready(Ok(self.accepted(key))),
            None => Poll::Pending,
        }
    }
}

impl ShmStream {
    /// The next message, in place: [`ShmStream::receive`] without blocking.
    pub fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<io::Result<Option<crate::SharedBytes>>> {
        let key = self.key;
        self.poll_readable(cx, |state| state.receive(key))
    }

    /// Reads what is there, into a slice that is not empty; 0 at the end.
    pub fn poll_read_some(&self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        let key = self.key;
        self.poll_readable(cx, |state| state.read(key, into))
    }

    /// Writes what the window takes, of a slice that is not empty.
    pub fn poll_write_some(&self, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        let key = self.key;
        self.poll_ready(
            |state| state.write(key, from),
            |state| state.connections[key].writers.add(Waiter::Task(cx.waker().clone())),
        )
    }

    fn poll_readable<T>(
        &self,
        cx: &mut Context<'_>,
        attempt: impl FnMut(&mut State) -> Option<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let readers = |state: &mut State| {
            state.connections[self.key].readers.add(Waiter::Task(cx.waker().clone()));
        };
        self.poll_ready(attempt, readers)
    }

    /// Tries, takes in what has arrived, tries again; else the task is woken later.
    fn poll_ready<T>(
        &self,
        mut attempt: impl FnMut(&mut State) -> Option<io::Result<T>>,
        register: impl FnOnce(&mut State),
    ) -> Poll<io::Result<T>> {
        drive(&self.stack.shared)?;
        let done = self.stack.shared.with(|state| {
            let done = attempt(state).or_else(|| {
                state.drain();
                attempt(state)
            });
            if done.is_none() {
                register(state);
            }
            done
        });
        done.map_or(Poll::Pending, Poll::Ready)
    }
}

impl AsyncRead for ShmStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let space = into.initialize_unfilled();
        if space.is_empty() {
            return Poll::Ready(Ok(()));
        }
        self.poll_read_some(cx, space).map_ok(|n| into.advance(n))
    }
}

impl AsyncWrite for ShmStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        if from.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.poll_write_some(cx, from)
    }

    /// Ready at once: what is written is with the peer.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shutdown(std::net::Shutdown::Write);
        Poll::Ready(Ok(()))
    }
}
