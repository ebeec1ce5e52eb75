//! What a UPF must do with real packets, to the packet and to the octet: buffering, usage, quotas, gates.
//! `make test` runs them short, `make check-upf` long.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;
use tern_pfcp::*;

use super::Rig;
use super::datagrams::{exchange, ip_octets, receive, send, wait_until};
use super::rules::{FlowRules, SessionRules, downlink_action, qer_id, quota, quota_urr, volume_urr};
use crate::topology::DN_ADDRESS;

/// UDP ports of what is sent, and of what says that all before it has been seen.
const DATA: u16 = 7_000;
const MARK: u16 = 7_001;
/// Octets of payload.
const PAYLOAD: usize = 100;
const UDP: u8 = 17;
const URR: u32 = 1;
/// How long a mark may take.
const MARK_TIME: Duration = Duration::from_secs(15);

/// One promise, and what was seen.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// The promise.
    pub what: String,
    /// What it says.
    pub wanted: String,
    /// What was.
    pub measured: String,
    /// Whether it holds.
    pub ok: bool,
}

impl Finding {
    /// Both must be the same.
    pub fn equal<T: PartialEq + std::fmt::Debug>(what: impl Into<String>, wanted: T, measured: T) -> Self {
        let ok = wanted == measured;
        Self { what: what.into(), wanted: format!("{wanted:?}"), measured: format!("{measured:?}"), ok }
    }

    /// It must be so.
    pub fn holds(what: impl Into<String>, wanted: &str, measured: impl Into<String>, ok: bool) -> Self {
        Self { what: what.into(), wanted: wanted.to_owned(), measured: measured.into(), ok }
    }
}

/// These numbers, as those that arrived; says how far they are the same.
fn in_order(what: &str, expected: impl Iterator<Item = u32>, arrived: &[u32]) -> Finding {
    let expected: Vec<u32> = expected.collect();
    let same = expected.iter().zip(arrived).take_while(|(one, other)| one == other).count();
    let measured = match (same == expected.len(), same == arrived.len()) {
        (true, true) => format!("{} in order", arrived.len()),
        _ => format!("{} arrived, {same} of them in order", arrived.len()),
    };
    let ok = arrived == expected;
    Finding::holds(what, &format!("{} in order", expected.len()), measured, ok)
}

/// The sockets of a test: data of the first UE, and marks of the second, whose session never waits.
struct Ends {
    dn: UdpSocket,
    ue: UdpSocket,
    mark: Option<UdpSocket>,
    ue_address: Ipv4Addr,
    mark_address: Ipv4Addr,
}

impl Ends {
    async fn open(rig: &Rig) -> Result<Self> {
        Ok(Self {
            dn: rig.dn_socket(DATA).await?,
            ue: rig.ue_socket(0, DATA).await?,
            mark: Some(rig.ue_socket(1, MARK).await?),
            ue_address: rig.ue(0).address(),
            mark_address: rig.ue(1).address(),
        })
    }

    /// Without marks downlink.
    async fn open_counted(rig: &Rig) -> Result<Self> {
        Ok(Self { mark: None, ..Self::open(rig).await? })
    }

    /// How many packets wait in the UE's socket: one at most is looked for.
    fn nothing_arrived(&self) -> Result<u32> {
        self.ue.set_nonblocking(true)?;
        let arrived = self.ue.recv(&mut [0; 16]).is_ok();
        self.ue.set_nonblocking(false)?;
        Ok(u32::from(arrived))
    }

    fn send_down(&self, numbers: std::ops::Range<u32>) -> Result<()> {
        send(&self.dn, (self.ue_address, DATA), numbers, PAYLOAD)
    }

    /// Until the worker has seen all that was sent downlink: a packet behind it, of another session, arrived.
    /// Only one worker has one queue.
    fn wait_for_worker(&self) -> Result<()> {
        let Some(mark) = &self.mark else { return Ok(()) };
        mark.set_read_timeout(Some(MARK_TIME))?;
        self.dn.send_to(b"mark", (self.mark_address, MARK))?;
        mark.recv(&mut [0; 16]).context("the mark did not arrive")?;
        Ok(())
    }
}

/// Downlink data of an idle UE waits, is told once, and leaves in order and without loss when the session
/// resumes; no more than `bound` wait. With several workers there is no telling when all have seen what was
/// sent, so the bound itself is for one.
pub async fn buffering(rig: &Rig, bound: u32, one_worker: bool) -> Result<Vec<Finding>> {
    const MORE: u32 = 2_000;
    let rules = SessionRules { flows: vec![FlowRules::rest()], ..Default::default() };
    let session = rig.establish(0, &rules).await?;
    let other = rig.establish(1, &rules).await?;
    let ends = Ends::open(rig).await?;
    rig.smf.take_reports();

    let half = bound / 2;
    rig.smf.modify(session, idle()).await?;
    ends.send_down(0..half)?;
    let mut reports = rig.smf.wait_for_report().await?;
    ends.wait_for_worker()?;
    let early = ends.nothing_arrived()?;
    // As many again come before the session is known to resume: they fit, whenever that is.
    let (answered, is_answered) = std::sync::mpsc::channel();
    let (dn, ue) = (ends.dn.try_clone()?, ends.ue.try_clone()?);
    let to = (ends.ue_address, DATA);
    let sender = std::thread::spawn(move || {
        send(&dn, to, half..bound, PAYLOAD)?;
        // An error is the end of the test.
        let _ = is_answered.recv();
        send(&dn, to, bound..bound + MORE, PAYLOAD)
    });
    let receiver = std::thread::spawn(move || receive(&ue, bound + MORE - 1));
    rig.smf.modify(session, active()).await?;
    answered.send(()).context("the sender has ended")?;
    joined(sender)?;
    let arrived = joined(receiver)?;
    let mut findings = vec![
        Finding::equal("packets that pass while the UE is idle", 0, early),
        in_order("packets that waited, and those behind them", 0..bound + MORE, &arrived),
    ];
    if one_worker {
        rig.smf.modify(session, idle()).await?;
        ends.send_down(0..bound + 40)?;
        reports.extend(rig.smf.wait_for_report().await?);
        ends.wait_for_worker()?;
        rig.smf.modify(session, active()).await?;
        let arrived = receive(&ends.ue, bound - 1)?;
        findings.push(in_order("packets that waited, of more than the bound", 0..bound, &arrived));
    }
    reports.extend(rig.smf.take_reports());
    let told = reports.iter().filter(|report| report.report_type.contains(ReportType::DLDR)).count();
    let periods = 1 + usize::from(one_worker);
    findings.push(Finding::equal("notifications, one each time that the UE was idle", periods, told));
    rig.smf.delete(session).await?;
    rig.smf.delete(other).await?;
    Ok(findings)
}

/// What a URR has counted is what was sent, to the octet, in both directions.
pub async fn usage(rig: &Rig, packets: u32) -> Result<Vec<Finding>> {
    let counted = FlowRules { protocol: Some(UDP), urr: Some(volume_urr(URR)), ..FlowRules::of(DATA, 2) };
    let rules = SessionRules { flows: vec![counted, FlowRules::rest()], ..Default::default() };
    let session = rig.establish(0, &rules).await?;
    let ends = Ends::open_counted(rig).await?;
    let up = exchange(&ends.ue, (&ends.dn, (DN_ADDRESS, DATA)), 0..packets, PAYLOAD)?;
    let down = exchange(&ends.dn, (&ends.ue, (ends.ue_address, DATA)), 0..packets, PAYLOAD)?;
    let volume = rig.smf.usage(session, URR).await?;
    rig.smf.delete(session).await?;
    let octets = Some(u64::from(packets) * ip_octets(PAYLOAD));
    let count = Some(u64::from(packets));
    Ok(vec![
        in_order("uplink packets", 0..packets, &up),
        in_order("downlink packets", 0..packets, &down),
        Finding::equal("octets counted uplink", octets, volume.uplink),
        Finding::equal("octets counted downlink", octets, volume.downlink),
        Finding::equal("packets counted uplink", count, volume.uplink_packets),
        Finding::equal("packets counted downlink", count, volume.downlink_packets),
    ])
}

/// A quota lets pass what begins before it is used up, is reported once, and a new one makes it go on.
pub async fn quotas(rig: &Rig, packets: u32) -> Result<Vec<Finding>> {
    let size = ip_octets(PAYLOAD);
    let whole = u64::from(packets) * size;
    let counted =
        FlowRules { protocol: Some(UDP), urr: Some(quota_urr(URR, whole)), ..FlowRules::of(DATA, 2) };
    let rules = SessionRules { flows: vec![counted, FlowRules::rest()], ..Default::default() };
    let session = rig.establish(0, &rules).await?;
    let other = rig.establish(1, &rules_of_marks()).await?;
    let ends = Ends::open_counted(rig).await?;
    let marks = (rig.ue_socket(1, MARK).await?, rig.dn_socket(MARK).await?);
    rig.smf.take_reports();
    let (mut findings, mut told) = (Vec::new(), 0);
    // The second ends within a packet, which passes; both let the same number pass.
    for (at, quota_octets) in [whole, whole - 50].into_iter().enumerate() {
        if at > 0 {
            rig.smf.modify(session, new_quota(quota_octets)).await?;
        }
        let before = rig.ue(0).counts().uplink_packets.load(Ordering::Relaxed);
        let arrived = exchange(&ends.ue, (&ends.dn, (DN_ADDRESS, DATA)), 0..packets * 2, PAYLOAD)?;
        let sent = || rig.ue(0).counts().uplink_packets.load(Ordering::Relaxed) - before;
        ensure!(wait_until(|| sent() >= u64::from(packets) * 2), "the gNB lost packets: {}", sent());
        wait_for_uplink(&marks)?;
        findings.push(in_order(
            &format!("packets within a quota of {quota_octets} octets"),
            0..packets,
            &arrived,
        ));
        let reports = rig.smf.wait_for_report().await?;
        let usage: Vec<_> = reports.iter().flat_map(|report| &report.usage_report).collect();
        let by_quota = usage.iter().filter(|usage| usage.trigger.contains(UsageReportTrigger::VOLQU)).count();
        findings.push(Finding::equal("reports that the quota is used up", (1, 1), (usage.len(), by_quota)));
        let volume: u64 = usage.iter().filter_map(|usage| usage.volume?.total).sum();
        findings.push(Finding::equal("octets reported", whole, volume));
        told += volume;
    }
    rig.smf.modify(session, new_quota(whole * 10)).await?;
    let arrived = exchange(&ends.ue, (&ends.dn, (DN_ADDRESS, DATA)), 0..packets, PAYLOAD)?;
    findings.push(in_order("packets of a quota that is not used up", 0..packets, &arrived));
    let last = rig.smf.delete(session).await?;
    rig.smf.delete(other).await?;
    told += last.iter().filter_map(|usage| usage.volume?.total).sum::<u64>();
    findings.push(Finding::equal("octets reported in all", whole * 3, told));
    Ok(findings)
}

/// A closed gate stops both directions, an open one none.
pub async fn gates(rig: &Rig) -> Result<Vec<Finding>> {
    const PACKETS: u32 = 200;
    let closed = FlowRules { protocol: Some(UDP), closed: true, ..FlowRules::of(DATA, 2) };
    let rules = SessionRules { flows: vec![closed, FlowRules::rest()], ..Default::default() };
    let session = rig.establish(0, &rules).await?;
    let other = rig.establish(1, &rules_of_marks()).await?;
    let ends = Ends::open(rig).await?;
    ends.send_down(0..PACKETS)?;
    ends.wait_for_worker()?;
    let passed = ends.nothing_arrived()?;
    let open =
        UpdateQer { qer_id: qer_id(0), gate_status: Some(GateStatus::default()), ..Default::default() };
    rig.smf
        .modify(session, SessionModificationRequest { update_qer: vec![open], ..Default::default() })
        .await?;
    let down = exchange(&ends.dn, (&ends.ue, (ends.ue_address, DATA)), 0..PACKETS, PAYLOAD)?;
    rig.smf.delete(session).await?;
    rig.smf.delete(other).await?;
    Ok(vec![
        Finding::equal("packets through a closed gate", 0, passed),
        in_order("packets through the gate when it is open", 0..PACKETS, &down),
    ])
}

fn idle() -> SessionModificationRequest {
    downlink_action(ApplyAction::BUFF | ApplyAction::NOCP)
}

fn active() -> SessionModificationRequest {
    downlink_action(ApplyAction::FORW)
}

fn rules_of_marks() -> SessionRules {
    SessionRules { flows: vec![FlowRules::rest()], ..Default::default() }
}

fn new_quota(octets: u64) -> SessionModificationRequest {
    let update = UpdateUrr { urr_id: UrrId(URR), volume_quota: Some(quota(octets)), ..Default::default() };
    SessionModificationRequest { update_urr: vec![update], ..Default::default() }
}

/// Until the worker has seen all that the gNB has sent it: a packet behind it arrived in the data network.
fn wait_for_uplink((ue, dn): &(UdpSocket, UdpSocket)) -> Result<()> {
    dn.set_read_timeout(Some(MARK_TIME))?;
    ue.send_to(b"mark", (DN_ADDRESS, MARK))?;
    dn.recv(&mut [0; 16]).context("the mark did not arrive")?;
    Ok(())
}

fn joined<T>(thread: std::thread::JoinHandle<Result<T>>) -> Result<T> {
    thread.join().map_err(|_| anyhow::anyhow!("a thread panicked"))?
}
