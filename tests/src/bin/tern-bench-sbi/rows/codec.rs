//! What writing and reading one request and its answer costs, without any transport: JSON and the
//! direct form. It tells how much of a message's time no transport can save.

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Result, anyhow};
use bytes::Bytes;
use tern_figures::{Row, Spread, place::Pinned, ratio};
use tern_sbi::npcf_sm::CreateSmPolicy;
use tern_sbi::nudm_ueau::GenerateAuthData;
use tern_sbi::{PathParams, Reply, Request, direct};

use crate::Bench;
use crate::message::{Exchanged, plain_sizes};
use crate::report::Report;

/// Messages written and read in one round.
const MESSAGES: u32 = 2_000;

pub fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let _pinned = Pinned::to(bench.cores[0])?;
    one::<GenerateAuthData>(bench, report)?;
    one::<CreateSmPolicy>(bench, report)
}

fn one<E: Exchanged>(bench: &Bench, report: &mut Report) -> Result<()> {
    let operation = E::example()?;
    let answer = E::answer()?;
    let (mut json, mut typed) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        bench.stop.check()?;
        json.push(timed(|| by_json::<E>(&operation, &answer))?);
        typed.push(timed(|| by_direct_form::<E>(&operation, &answer))?);
    }
    let mut octets = Vec::new();
    direct::write_request(&operation.to_request(), &mut octets);
    let (request, reply) = plain_sizes::<E>()?;
    let note = format!(
        "JSON {:.2} µs, direct {:.2} µs; request {request} octets of JSON, {} direct with its path; answer {reply} of JSON",
        Spread::of(json.clone()).p50,
        Spread::of(typed.clone()).p50,
        octets.len(),
    );
    report.row(Row::ratio(
        format!("{}: writing and reading request and answer, JSON ÷ direct form", E::NAME),
        ratio(&json, &typed),
        note,
    ));
    Ok(())
}

/// Microseconds of one.
fn timed(mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    let started = Instant::now();
    for _ in 0..MESSAGES {
        work()?;
    }
    Ok(started.elapsed().as_secs_f64() * 1e6 / f64::from(MESSAGES))
}

fn by_json<E: Exchanged>(operation: &E, answer: &E::Reply) -> Result<()> {
    let request = serde_json::to_vec(operation.content())?;
    black_box(serde_json::from_slice::<E::Content>(&request)?);
    let reply = serde_json::to_vec(answer)?;
    black_box(serde_json::from_slice::<E::Reply>(&reply)?);
    Ok(())
}

fn by_direct_form<E: Exchanged>(operation: &E, answer: &E::Reply) -> Result<()> {
    let mut octets = Vec::new();
    direct::write_request(&operation.to_request(), &mut octets);
    let request: Request = direct::read_request(Bytes::from(octets))?;
    let params = PathParams::matching(E::PATH, &request.path).unwrap_or_default();
    black_box(E::from_request(&params, &request).map_err(|problem| anyhow!("{problem}"))?);
    let reply = E::to_reply(Ok(tern_sbi::Response::ok(answer.clone())));
    let mut octets = Vec::new();
    direct::write_reply(&reply, &mut octets);
    let reply: Reply = direct::read_reply(Bytes::from(octets))?;
    black_box(E::from_reply(reply).map_err(|error| anyhow!("{error}"))?);
    Ok(())
}
