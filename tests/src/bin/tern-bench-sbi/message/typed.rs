//! The direct form in shared memory, with blocking calls: the request is written from the model,
//! sent in a buffer of the pool, read into the operation by the producer, and so is the answer.

use std::io::Write as _;
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow};
use bytes::Bytes;
use sbi_shm::{ConnectOptions, ListenOptions, ShmStream, Waiting};
use tern_sbi::{PathParams, direct};

use super::{Consumer, Exchanged, check, response};
use crate::serve::{SHARED, attach, ready};
use crate::turns::{Blocking, Client};

/// One client at a time.
pub fn serve<E: Exchanged>(socket: &str, waiting: Waiting) -> Result<()> {
    let answer = E::answer()?;
    let stack = attach(socket, "typed", waiting)?;
    let listener = stack.listen(SHARED.parse()?, &ListenOptions::default())?;
    ready(SHARED.parse()?)?;
    loop {
        let (stream, _) = listener.accept()?;
        let mut out = Vec::new();
        while let Some(octets) = receive(&stream)? {
            let request = direct::read_request(octets)?;
            let params = PathParams::matching(E::PATH, &request.path).context("another path")?;
            let operation = E::from_request(&params, &request).map_err(|problem| anyhow!("{problem}"))?;
            std::hint::black_box(operation);
            let reply = E::to_reply(Ok(response::<E>(&answer)));
            out.clear();
            direct::write_reply(&reply, &mut out);
            send(&stream, &out)?;
        }
    }
}

/// Calls again and again.
pub fn client<E: Exchanged>(consumer: Consumer<'_>) -> Result<Box<dyn Client>> {
    let operation = E::example()?;
    let stack = attach(consumer.socket, "consumer", consumer.waiting)?;
    let stream = stack.connect(consumer.at, &ConnectOptions::default())?;
    let (mut out, mut first) = (Vec::new(), true);
    let mut next = Instant::now();
    Ok(Box::new(Blocking(move || {
        if let Some(pace) = consumer.pace {
            next += pace;
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        out.clear();
        direct::write_request(&operation.to_request(), &mut out);
        send(&stream, &out)?;
        let octets = receive(&stream)?.context("the producer has ended the connection")?;
        let response = E::from_reply(direct::read_reply(octets)?).map_err(|error| anyhow!("{error}"))?;
        if std::mem::take(&mut first) {
            check::<E>(&response.body)?;
        }
        std::hint::black_box(response);
        Ok(())
    })))
}

fn send(stream: &ShmStream, octets: &[u8]) -> Result<()> {
    let mut loan = stream.loan()?;
    loan.write_all(octets)?;
    Ok(loan.send()?)
}

fn receive(stream: &ShmStream) -> Result<Option<Bytes>> {
    let Some(mut shared) = stream.receive()? else { return Ok(None) };
    let mut octets = Vec::new();
    shared.append_to(&mut octets);
    Ok(Some(octets.into()))
}
