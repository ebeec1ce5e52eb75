//! Downlink data for an idle UE: TS 23.502 §4.2.3.3, TS 24.501 §5.6.2.2.
//!
//! Another UE sends it, so the data network must route between UEs.

use std::time::Duration;

use tokio::time::timeout;

use super::{Scenario, Stage};
use crate::error::SimError;
use crate::icmp::Echo;
use crate::ue::Session;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "paging",
    about: "another UE's packets wake an idle one; all arrive, in order; its 5G-GUTI is a new one",
    ues: 2,
    gnbs: 1,
    play: |stage| Box::pin(play(stage)),
};

/// Packets sent to the idle UE; the UPF keeps 64 of a session.
const PACKETS: u16 = 20;
/// Between two packets.
const BETWEEN: Duration = Duration::from_millis(2);
/// How long a page, or a packet after it, may take.
const WITHIN: Duration = Duration::from_secs(10);
/// For the core to end what it has begun.
const SETTLE: Duration = Duration::from_millis(500);

async fn play(stage: &mut Stage) -> Result<(), SimError> {
    let (mut sleeper, mut caller) = (stage.ue(0)?, stage.ue(1)?);
    stage.step("registration", sleeper.register()).await?;
    let mut session =
        stage.step("PDU session establishment", sleeper.establish_session(Default::default())).await?;
    stage.step("registration of the caller", caller.register()).await?;
    let calling =
        stage.step("PDU session of the caller", caller.establish_session(Default::default())).await?;
    let before = sleeper.guti();
    stage.go_idle(&mut sleeper).await?;
    let echo = Echo { source: calling.address, destination: session.address, identifier: 7, sequence: 0 };
    // What is on its way while the connection is released is lost (TS 23.502 §4.2.6): the UPF hears of it first.
    tokio::time::sleep(SETTLE).await;
    let first = async {
        // The UE listens before it is called.
        let (paged, sent) = tokio::join!(sleeper.await_page(WITHIN), send(&calling, echo, 0..PACKETS / 2));
        sent.and(paged)
    };
    stage.step("page and service request", first).await?;
    stage.step("the session comes back", sleeper.resume(&mut session)).await?;
    let all = async {
        send(&calling, echo, PACKETS / 2..PACKETS).await?;
        receive(&mut session, echo).await
    };
    stage.step("all packets, in order", all).await?;
    stage.step("configuration update", sleeper.idle(SETTLE)).await?;
    stage.check("a new 5G-GUTI", sleeper.guti() != before, "the 5G-GUTI is the one that was paged")?;
    stage.step("de-registration", sleeper.deregister(false)).await?;
    // Its gNB may have released it meanwhile.
    caller.idle(Duration::ZERO).await?;
    stage.step("de-registration of the caller", caller.deregister(false)).await
}

async fn send(session: &Session, echo: Echo, numbers: std::ops::Range<u16>) -> Result<(), SimError> {
    for sequence in numbers {
        session.send(&Echo { sequence, ..echo }.request(16)).await?;
        // What routes between UEs may have several queues, and choose another one behind the first packet.
        tokio::time::sleep(BETWEEN).await;
    }
    Ok(())
}

async fn receive(session: &mut Session, echo: Echo) -> Result<(), SimError> {
    for sequence in 0..PACKETS {
        let wanted = Echo { sequence, ..echo };
        loop {
            let packet = timeout(WITHIN, session.recv()).await;
            let Ok(Some(packet)) = packet else {
                return Err(SimError::State(format!("packet {sequence} did not arrive")));
            };
            match Echo::read_request(&packet) {
                Some(request) if request == wanted => break,
                Some(request) if request.identifier == echo.identifier => {
                    let came = request.sequence;
                    return Err(SimError::State(format!("packet {came} came in place of {sequence}")));
                }
                _ => {}
            }
        }
    }
    Ok(())
}
