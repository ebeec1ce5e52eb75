//! PDU sessions, UE side (TS 24.501 §6.4), and their use.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tern_nas::nas_5gs::{
    MaxDataRate, Nas5gsMessage, Nas5gsmHeader, Nas5gsmMessage, NasFGmmCause, NasFGsmCause,
    NasIntegrityProtectionMaximumDataRate, NasPayloadContainer, NasPayloadContainerType,
    NasPduSessionEstablishmentAccept, NasPduSessionEstablishmentRequest, NasPduSessionIdentity2,
    NasPduSessionModificationCommand, NasPduSessionModificationCommandReject,
    NasPduSessionModificationComplete, NasPduSessionReleaseComplete, NasPduSessionReleaseRequest,
    NasPduSessionType, NasRequestType, NasSscMode, NasUlNasTransport, PayloadContainerKind,
    PduSessionTypeValue, RequestTypeValue, SscModeValue,
};
use tern_nas::session::{self, PcoRequest};
use tern_nas::{HeaderType, registration};
use tern_types::{Dnn, PduSessionId, Qfi, Snssai};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::slaac::Ipv6Link;
use super::{EXPIRIES_MAX, Heard, Moment, SessionQos, SessionState, T3580, T3582, Ue};
use crate::env::Tuns;
use crate::error::SimError;
use crate::gnb::{SessionResources, UplinkTunnel};
use crate::icmp::Echo;
use crate::report::{Journal, SESSION};

/// How long an echo reply may take.
const ECHO_TIME: Duration = Duration::from_secs(2);
/// Octets behind the ICMP header, as `ping` sends them.
const ECHO_PAYLOAD: usize = 56;
/// MTU of a session that was told none.
const MTU_DEFAULT: u16 = 1400;

/// 5GMM cause #22 "congestion" (TS 24.501 §9.11.3.2).
const GMM_CONGESTION: u8 = 22;
/// 5GSM cause #26 "insufficient resources" (TS 24.501 §9.11.4.2).
const GSM_INSUFFICIENT_RESOURCES: u8 = 26;
/// 5GSM cause #43 "invalid PDU session identity" (TS 24.501 §9.11.4.2).
const GSM_INVALID_SESSION: u8 = 43;

/// What a UE asks for.
#[derive(Debug, Clone)]
pub struct SessionRequest {
    /// PDU session identity; none takes a free one.
    pub psi: Option<PduSessionId>,
    /// Data network; none asks for the subscribed default.
    pub dnn: Option<Dnn>,
    /// Slice; none takes the first allowed one.
    pub slice: Option<Snssai>,
    /// Session type.
    pub kind: PduSessionTypeValue,
    /// Protocol configuration options.
    pub pco: PcoRequest,
}

impl Default for SessionRequest {
    fn default() -> Self {
        Self {
            psi: None,
            dnn: None,
            slice: None,
            kind: PduSessionTypeValue::Ipv4,
            pco: PcoRequest { dns_ipv4: true, dns_ipv6: true, mtu_ipv4: true },
        }
    }
}

/// A PDU session that can be used. Dropping it closes the gNB's end of its tunnel.
#[derive(Debug)]
pub struct Session {
    /// PDU session identity.
    pub psi: u8,
    /// The UE's address: that of IPv4, if there is one; of IPv6 it is unspecified until a router has advertised.
    pub address: IpAddr,
    /// The IPv6 link, if there is one.
    pub ipv6: Option<Ipv6Link>,
    /// DNS servers.
    pub dns: Vec<Ipv4Addr>,
    /// The same by their IPv6 addresses.
    pub dns_ipv6: Vec<Ipv6Addr>,
    /// MTU of the link, octets.
    pub mtu: u16,
    /// The default rule's flow.
    pub qfi: Qfi,
    /// From PDU SESSION ESTABLISHMENT REQUEST to PDU SESSION RESOURCE SETUP REQUEST.
    pub setup_time: Duration,
    uplink: UplinkTunnel,
    downlink: mpsc::Receiver<Bytes>,
    pub(super) journal: Journal,
    identifier: u16,
    sequence: u16,
}

/// What came of echo requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PingStats {
    /// Sent.
    pub sent: u32,
    /// Round trip time of each reply.
    pub rtt: Vec<Duration>,
}

/// A session that a TUN device carries; dropping it ends the device.
#[derive(Debug)]
pub struct SessionTun {
    /// The device's name.
    pub name: String,
    /// The UE's address, the IPv4 one if it has both.
    pub address: IpAddr,
    tasks: [tokio::task::JoinHandle<()>; 2],
}

impl Drop for SessionTun {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

impl Ue {
    /// Establishes a PDU session, and asks again where the network says when (TS 24.501 §6.2.7).
    pub async fn establish_session_persistently(
        &mut self,
        request: SessionRequest,
        attempts: u32,
    ) -> Result<Session, SimError> {
        let mut attempt = 1;
        loop {
            match self.establish_session(request.clone()).await {
                Err(SimError::Rejected { back_off: Some(wait), .. }) if attempt < attempts => {
                    attempt += 1;
                    self.journal.count("ue.session_retry");
                    self.idle(wait).await?;
                }
                other => return other,
            }
        }
    }

    /// Establishes a PDU session (TS 24.501 §6.4.1); a UE that is idle connects first. While T3396
    /// runs for the DNN, the UE does not ask (TS 24.501 §6.2.7): it waits.
    pub async fn establish_session(&mut self, request: SessionRequest) -> Result<Session, SimError> {
        if let Some(until) = self.t3396.remove(&request.dnn) {
            self.idle(until.saturating_duration_since(Instant::now())).await?;
        }
        if self.link.is_none() {
            self.service_request(&[]).await?;
        }
        let psi = self.choose_psi(&request)?;
        let pti = self.next_pti();
        let slice = request.slice.or(self.allowed_nssai.first().copied());
        let message = self.establishment_request(&request, psi, pti, slice)?;
        let began = Instant::now();
        let mut expiries = 0;
        let (mut accept, mut resources) = (None, None);
        'send: loop {
            self.answer(Moment::SessionRequest, message.clone()).await?;
            let until = Instant::now() + T3580;
            loop {
                match self.next(until, "PDU SESSION ESTABLISHMENT ACCEPT", "T3580").await {
                    Ok(Heard::Gsm(header, Nas5gsmMessage::PduSessionEstablishmentAccept(message))) => {
                        self.check_header(&header, psi, pti);
                        accept = Some(message);
                    }
                    Ok(Heard::Gsm(header, Nas5gsmMessage::PduSessionEstablishmentReject(reject))) => {
                        self.check_header(&header, psi, pti);
                        let back_off =
                            reject.back_off_timer_value.as_ref().and_then(|timer| timer.to_seconds());
                        let back_off = back_off.map(Duration::from_secs);
                        if reject.fgsm_cause.value == GSM_INSUFFICIENT_RESOURCES {
                            self.start_t3396(&request, back_off);
                        }
                        return Err(SimError::Rejected {
                            message: "PDU SESSION ESTABLISHMENT REJECT",
                            cause: reject.fgsm_cause.value,
                            text: reject.fgsm_cause.description(),
                            back_off,
                        });
                    }
                    Ok(Heard::NotForwarded { psi: Some(of), cause, back_off }) if of == psi => {
                        if cause == GMM_CONGESTION {
                            self.start_t3396(&request, back_off);
                        }
                        return Err(SimError::Rejected {
                            message: "DL NAS TRANSPORT",
                            cause,
                            text: NasFGmmCause::new(cause).description(),
                            back_off,
                        });
                    }
                    Ok(Heard::SessionSetUp(session)) if session.psi == psi => resources = Some(session),
                    Ok(other) => self.unexpected(&other, "during PDU session establishment"),
                    Err(SimError::Timeout { .. }) if accept.is_some() => {
                        self.failure(
                            "TS 23.502 §4.3.2.2.1",
                            "an accepted session without resources at the gNB",
                        );
                        return Err(SimError::Timeout {
                            waiting_for: "PDU SESSION RESOURCE SETUP",
                            timer: "T3580",
                        });
                    }
                    Err(SimError::Timeout { .. }) if expiries + 1 < EXPIRIES_MAX => {
                        expiries += 1;
                        self.journal.count("ue.retransmission");
                        continue 'send;
                    }
                    Err(error) => return Err(error),
                }
                if accept.is_some() && resources.is_some() {
                    break 'send;
                }
            }
        }
        let (Some(accept), Some(resources)) = (accept, resources) else {
            unreachable!("invariant: the loop ends with both");
        };
        self.sessions.insert(psi, SessionState { pti, qos: SessionQos::of(&accept) });
        self.session_of(&request, &accept, *resources, began)
    }

    fn session_of(
        &mut self,
        request: &SessionRequest,
        accept: &NasPduSessionEstablishmentAccept,
        resources: SessionResources,
        began: Instant,
    ) -> Result<Session, SimError> {
        let unusable = || SimError::State("the session cannot be used: see the failures".into());
        let (qos, pco) = self.check_session(request, accept, &resources).ok_or_else(unusable)?;
        let given = accept.pdu_address.as_ref().ok_or_else(unusable)?;
        let ipv6 = given.ipv6_interface_id().map(Ipv6Link::new);
        let address = match given.ipv4() {
            Some(ipv4) => IpAddr::from(ipv4),
            None if ipv6.is_some() => Ipv6Addr::UNSPECIFIED.into(),
            None => return Err(unusable()),
        };
        let setup_time = resources.at.saturating_duration_since(began);
        self.journal.step(&*self, SESSION, began, setup_time);
        Ok(Session {
            psi: resources.psi,
            address,
            ipv6,
            dns: pco.dns_ipv4,
            dns_ipv6: pco.dns_ipv6,
            mtu: pco.mtu_ipv4.unwrap_or(MTU_DEFAULT),
            qfi: qos.default_flow,
            setup_time,
            uplink: resources.uplink,
            downlink: resources.downlink,
            journal: self.journal.clone(),
            identifier: self.random.u32() as u16,
            sequence: 0,
        })
    }

    fn start_t3396(&mut self, request: &SessionRequest, back_off: Option<Duration>) {
        if let Some(wait) = back_off {
            self.journal.count("ue.t3396");
            self.t3396.insert(request.dnn.clone(), Instant::now() + wait);
        }
    }

    fn choose_psi(&self, request: &SessionRequest) -> Result<u8, SimError> {
        if let Some(psi) = request.psi {
            return Ok(psi.get());
        }
        let free = (1..=15).find(|psi| !self.sessions.contains_key(psi));
        free.ok_or_else(|| SimError::State("all 15 PDU sessions are in use".into()))
    }

    /// 1 to 254, in turn (TS 24.007 §11.2.3.1a).
    fn next_pti(&mut self) -> u8 {
        self.pti = self.pti % 254 + 1;
        self.pti
    }

    fn establishment_request(
        &self,
        request: &SessionRequest,
        psi: u8,
        pti: u8,
        slice: Option<Snssai>,
    ) -> Result<NasUlNasTransport, SimError> {
        let rates =
            NasIntegrityProtectionMaximumDataRate::from_rates(MaxDataRate::FullRate, MaxDataRate::FullRate);
        let message = NasPduSessionEstablishmentRequest::new(rates)
            .with_pdu_session_type(NasPduSessionType::from_session_type(request.kind))
            .with_ssc_mode(NasSscMode::from_mode(SscModeValue::Ssc1))
            .with_extended_protocol_configuration_options(session::pco_request(request.pco)?);
        let mut transport = transport(message.into(), psi, pti)?;
        transport.set_request_type(NasRequestType::from_request_type(RequestTypeValue::InitialRequest));
        if let Some(slice) = slice {
            transport.set_s_nssai(registration::snssai(slice));
        }
        if let Some(dnn) = &request.dnn {
            transport.set_dnn(session::dnn(dnn));
        }
        Ok(transport)
    }

    fn check_header(&self, header: &Nas5gsmHeader, psi: u8, pti: u8) {
        if header.pdu_session_identity != psi || header.procedure_transaction_identity != pti {
            self.failure(
                "TS 24.501 §7.3",
                format_args!(
                    "PSI {} and PTI {} answer PSI {psi} and PTI {pti}",
                    header.pdu_session_identity, header.procedure_transaction_identity
                ),
            );
        }
    }

    /// Releases a PDU session (TS 24.501 §6.4.3); its user plane must be gone with it.
    pub async fn release_session(&mut self, psi: u8) -> Result<(), SimError> {
        let began = Instant::now();
        let pti = self.next_pti();
        let message = transport(NasPduSessionReleaseRequest::new().into(), psi, pti)?;
        let (mut expiries, mut commanded, mut released) = (0, false, false);
        'send: loop {
            self.send(message.clone()).await?;
            let until = Instant::now() + T3582;
            while !(commanded && released) {
                match self.next(until, "PDU SESSION RELEASE COMMAND", "T3582").await {
                    Ok(Heard::Gsm(header, Nas5gsmMessage::PduSessionReleaseCommand(_)))
                        if header.pdu_session_identity == psi =>
                    {
                        // Without a PTI the network's own release collides with ours, and goes on
                        // (TS 24.501 §6.4.3).
                        if header.procedure_transaction_identity != 0 {
                            self.check_header(&header, psi, pti);
                        }
                        commanded = true;
                    }
                    Ok(Heard::Gsm(_, Nas5gsmMessage::PduSessionReleaseReject(reject))) => {
                        return Err(SimError::Rejected {
                            message: "PDU SESSION RELEASE REJECT",
                            cause: reject.fgsm_cause.value,
                            text: reject.fgsm_cause.description(),
                            back_off: None,
                        });
                    }
                    Ok(Heard::NotForwarded { psi: Some(of), cause, back_off }) if of == psi => {
                        return Err(SimError::Rejected {
                            message: "DL NAS TRANSPORT",
                            cause,
                            text: NasFGmmCause::new(cause).description(),
                            back_off,
                        });
                    }
                    Ok(Heard::SessionReleased { psi: of }) if of == psi => released = true,
                    Ok(other) => self.unexpected(&other, "during PDU session release"),
                    Err(SimError::Timeout { .. }) if commanded => {
                        self.failure(
                            "TS 23.502 §4.3.4.2",
                            "a released session keeps its resources at the gNB",
                        );
                        break;
                    }
                    Err(SimError::Timeout { .. }) if expiries + 1 < EXPIRIES_MAX => {
                        expiries += 1;
                        self.journal.count("ue.retransmission");
                        continue 'send;
                    }
                    Err(error) => return Err(error),
                }
            }
            break;
        }
        self.journal.step(&*self, "PDU session release", began, began.elapsed());
        Ok(())
    }

    /// PDU SESSION RELEASE REQUEST as it would go next, protected, which is not sent: for tests of the core
    /// that send it later, or changed. The UE's next message has another COUNT.
    pub fn write_release(&mut self, psi: u8) -> Result<Bytes, SimError> {
        let pti = self.next_pti();
        let message = transport(NasPduSessionReleaseRequest::new().into(), psi, pti)?;
        let plain = Nas5gsMessage::new_5gmm(message).encode().map_err(tern_nas::EncodeError::from)?;
        let context = self.context.as_mut().filter(|_| self.secure);
        let context = context.ok_or_else(|| SimError::State("the UE has no secure connection".into()))?;
        let octets = context.protect(&plain, HeaderType::Ciphered);
        octets.map(Bytes::from).map_err(|error| SimError::State(error.to_string()))
    }

    /// What the network may do at any time is answered here; the rest is heard.
    pub(super) async fn on_gsm(
        &mut self,
        header: Nas5gsmHeader,
        message: Nas5gsmMessage,
    ) -> Result<(), SimError> {
        if let Nas5gsmMessage::PduSessionReleaseCommand(_) = &message {
            let (psi, pti) = (header.pdu_session_identity, header.procedure_transaction_identity);
            if self.sessions.remove(&psi).is_none() {
                self.journal.count("ue.release_of_no_session");
            }
            let complete = transport(NasPduSessionReleaseComplete::new().into(), psi, pti)?;
            let moment = Some(Moment::SessionReleaseComplete);
            self.send_message(moment, complete.into(), HeaderType::Ciphered).await?;
        }
        if let Nas5gsmMessage::PduSessionModificationCommand(command) = &message
            && header.procedure_transaction_identity == 0
        {
            return self.on_modification(&header, command).await;
        }
        if let Nas5gsmMessage::FiveGsmStatus(status) = &message {
            self.journal.count("ue.5gsm_status");
            tracing::info!(ue = %self, cause = status.fgsm_cause.value, "5GSM STATUS");
            return Ok(());
        }
        self.hear(Heard::Gsm(header, message));
        Ok(())
    }

    /// The network modifies a session (TS 24.501 §6.3.2.3).
    async fn on_modification(
        &mut self,
        header: &Nas5gsmHeader,
        command: &NasPduSessionModificationCommand,
    ) -> Result<(), SimError> {
        let psi = header.pdu_session_identity;
        let Some(state) = self.sessions.get_mut(&psi) else {
            let cause = NasFGsmCause::new(GSM_INVALID_SESSION);
            let reject = NasPduSessionModificationCommandReject::new(cause);
            return self.send(transport(reject.into(), psi, 0)?).await;
        };
        self.journal.count("ue.session_modified");
        for (clause, what) in state.qos.apply(command) {
            self.failure(clause, what);
        }
        self.send(transport(NasPduSessionModificationComplete::new().into(), psi, 0)?).await
    }

    /// What the network grants a session now.
    pub fn session_qos(&self, psi: u8) -> Option<&SessionQos> {
        self.sessions.get(&psi).map(|state| &state.qos)
    }

    /// PDU session identities that the UE has, and the PTI that made each.
    pub fn sessions(&self) -> impl Iterator<Item = (u8, u8)> + '_ {
        self.sessions.iter().map(|(&psi, state)| (psi, state.pti))
    }
}

/// UL NAS TRANSPORT of a 5GSM message (TS 24.501 §5.4.5.2).
fn transport(message: Nas5gsmMessage, psi: u8, pti: u8) -> Result<NasUlNasTransport, SimError> {
    let octets = Nas5gsMessage::new_5gsm(message, psi, pti).encode().map_err(tern_nas::EncodeError::from)?;
    let kind = NasPayloadContainerType::from_kind(PayloadContainerKind::N1SmInformation);
    let id = NasPduSessionIdentity2::from_pdu_session_id(psi);
    Ok(NasUlNasTransport::new(kind, NasPayloadContainer::new(octets)).with_pdu_session_id(id))
}

impl Session {
    /// Sends echo requests, one each interval, and awaits each reply for up to two seconds. To an IPv6 address
    /// they go from the one that a router's advertisement gives; it is solicited if need be.
    pub async fn ping(
        &mut self,
        target: impl Into<IpAddr>,
        count: u32,
        interval: Duration,
    ) -> Result<PingStats, SimError> {
        let target = target.into();
        let source = match self.source(target) {
            None if target.is_ipv6() => self.solicit_router().await?.into(),
            source => source.ok_or_else(|| SimError::State(format!("no address to ping {target} from")))?,
        };
        let mut stats = PingStats::default();
        for number in 0..count {
            let sent = Instant::now();
            self.sequence = self.sequence.wrapping_add(1);
            let echo =
                Echo { source, destination: target, identifier: self.identifier, sequence: self.sequence };
            self.send(&echo.request(ECHO_PAYLOAD)).await?;
            stats.sent += 1;
            self.journal.count("ping.sent");
            let reply = Echo { source: target, destination: source, ..echo };
            if self.await_reply(reply, sent + ECHO_TIME).await {
                let rtt = sent.elapsed();
                stats.rtt.push(rtt);
                self.journal.round_trip(rtt);
            }
            if number + 1 < count {
                tokio::time::sleep_until(sent + interval).await;
            }
        }
        Ok(stats)
    }

    /// The UE's address of the version of IP that `target` has.
    pub fn source(&self, target: IpAddr) -> Option<IpAddr> {
        match target {
            IpAddr::V4(_) => Some(self.address).filter(IpAddr::is_ipv4),
            IpAddr::V6(_) => self.ipv6?.address.map(IpAddr::V6),
        }
    }

    async fn await_reply(&mut self, reply: Echo, until: Instant) -> bool {
        while let Ok(Some(packet)) = tokio::time::timeout_at(until, self.downlink.recv()).await {
            if Echo::read_reply(&packet) == Some(reply) {
                return true;
            }
        }
        false
    }

    /// Goes on with new resources at the gNB.
    pub(super) fn resume(&mut self, resources: SessionResources) {
        (self.uplink, self.downlink) = (resources.uplink, resources.downlink);
    }

    /// Sends an IP packet.
    pub async fn send(&self, packet: &[u8]) -> Result<(), SimError> {
        self.uplink.send(packet).await
    }

    /// The next IP packet for the UE; `None` once the session's resources are gone.
    pub async fn recv(&mut self) -> Option<Bytes> {
        self.downlink.recv().await
    }

    /// Where its packets leave.
    pub fn uplink(&self) -> &UplinkTunnel {
        &self.uplink
    }

    /// Gives the session to the programs of this host, as a TUN device.
    pub fn into_tun(self, tuns: &Arc<dyn Tuns>, name: &str) -> Result<SessionTun, SimError> {
        let ipv6 = self.ipv6.and_then(|link| link.address).map(IpAddr::V6);
        let ipv4 = Some(self.address).filter(IpAddr::is_ipv4);
        let addresses: Vec<IpAddr> = ipv4.into_iter().chain(ipv6).collect();
        let device = tuns
            .create(name, &addresses, self.mtu)
            .map_err(SimError::io("a TUN device (it needs root or CAP_NET_ADMIN)"))?;
        let tasks = crate::tun::pump(device, self.uplink, self.downlink);
        Ok(SessionTun { name: name.to_owned(), address: self.address, tasks })
    }
}
