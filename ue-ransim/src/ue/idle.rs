//! CM-IDLE, UE side: listening to pages (TS 24.501 §5.6.2), the periodic registration update
//! (§5.3.7), and waking up.

use std::time::Duration;

use tern_nas::nas_5gs::ServiceType;
use tokio::time::Instant;

use super::{Heard, RELEASE_TIME, RegistrationKind, Session, T3517, Ue};
use crate::error::SimError;
use crate::gnb::{Page, SessionResources};
use crate::report::PAGE;

/// What ends a wait in CM-IDLE.
enum Woken {
    /// The time is over.
    Time,
    /// The UE is paged.
    Page(Page),
    /// T3512 has expired.
    T3512,
}

impl Ue {
    /// Lives on for this long: answers what comes; in CM-IDLE listens to pages and answers them, and
    /// registers when T3512 expires.
    pub async fn idle(&mut self, duration: Duration) -> Result<(), SimError> {
        let until = Instant::now() + duration;
        loop {
            if self.link.is_none() {
                match self.camp(until).await {
                    Woken::Time => return Ok(()),
                    Woken::Page(page) => self.answer_page(page).await?,
                    Woken::T3512 => {
                        self.journal.count("ue.periodic_update");
                        self.register_as(RegistrationKind::Periodic).await?;
                    }
                }
                continue;
            }
            match self.next(until, "nothing", "idle").await {
                Err(SimError::Timeout { .. }) => return Ok(()),
                Err(SimError::Released { .. }) if std::mem::take(&mut self.must_register) => {
                    self.register_as(RegistrationKind::Mobility).await?;
                }
                // It may go idle while it waits.
                Err(SimError::Released { .. }) => {}
                Err(error) => return Err(error),
                Ok(heard) => self.hear_unasked(heard),
            }
        }
    }

    /// T3512 as the network gave it; none if it is deactivated.
    pub fn t3512(&self) -> Option<Duration> {
        self.t3512
    }

    /// Answers what comes until the gNB has the connection released, which follows this long after all else.
    pub async fn await_inactivity(&mut self, inactivity: Duration) -> Result<(), SimError> {
        let mut until = Instant::now() + inactivity + RELEASE_TIME;
        while self.link.is_some() {
            match self.next(until, "UE CONTEXT RELEASE COMMAND", "inactivity").await {
                Err(SimError::Released { .. }) => {}
                Err(error) => return Err(error),
                Ok(heard) => {
                    self.hear_unasked(heard);
                    until = Instant::now() + inactivity + RELEASE_TIME;
                }
            }
        }
        Ok(())
    }

    /// Waits to be paged and answers; it fails if no page comes within this time.
    pub async fn await_page(&mut self, within: Duration) -> Result<Page, SimError> {
        let until = Instant::now() + within;
        if self.link.is_some() {
            return Err(SimError::State("a UE that is connected is not paged".into()));
        }
        loop {
            match self.camp(until).await {
                Woken::Time => return Err(SimError::Timeout { waiting_for: "PAGING", timer: "page" }),
                Woken::T3512 => {
                    self.register_as(RegistrationKind::Periodic).await?;
                }
                Woken::Page(page) => {
                    self.answer_page(page).await?;
                    return Ok(page);
                }
            }
        }
    }

    /// Listens to pages of this UE for this long and answers none, as a UE does that is out of
    /// coverage for its answers: how many came.
    pub async fn ignore_pages(&mut self, duration: Duration) -> u32 {
        let until = Instant::now() + duration;
        let mut pages = 0;
        while let Woken::Page(_) = self.camp(until).await {
            pages += 1;
        }
        pages
    }

    /// SERVICE REQUEST with "mobile terminated services" (TS 24.501 §5.6.2.2.1).
    async fn answer_page(&mut self, page: Page) -> Result<(), SimError> {
        self.journal.count("ue.paged");
        let resources = self.request_service(ServiceType::MobileTerminatedServices, &[]).await?;
        for session in resources {
            self.resumed.insert(session.psi, session);
        }
        self.journal.step(&*self, PAGE, page.at, page.at.elapsed());
        Ok(())
    }

    /// Wakes up for uplink data of a session, which can be used again then.
    pub async fn wake(&mut self, session: &mut Session) -> Result<(), SimError> {
        let resources = self.service_request(&[session.psi]).await?;
        let mine = resources.into_iter().find(|resources| resources.psi == session.psi);
        let mine = mine.ok_or_else(|| SimError::State("the session did not come back".into()))?;
        session.resume(mine);
        Ok(())
    }

    /// Whether the network has brought a session's resources back, and nobody has taken them.
    pub fn has_resources(&self, psi: u8) -> bool {
        self.resumed.contains_key(&psi)
    }

    /// Takes a session into use again that the network has brought back after a page.
    pub async fn resume(&mut self, session: &mut Session) -> Result<(), SimError> {
        let until = Instant::now() + T3517;
        let resources = loop {
            if let Some(resources) = self.resumed.remove(&session.psi) {
                break resources;
            }
            let heard = self.next(until, "PDU SESSION RESOURCE SETUP", "T3517").await?;
            self.hear_unasked(heard);
        };
        session.resume(resources);
        Ok(())
    }

    /// What comes while nothing was asked.
    fn hear_unasked(&mut self, heard: Heard) {
        match heard {
            Heard::SessionSetUp(resources) => self.keep_resumed(*resources),
            heard => self.unexpected(&heard, "while nothing was asked"),
        }
    }

    fn keep_resumed(&mut self, resources: SessionResources) {
        if self.sessions.contains_key(&resources.psi) {
            self.resumed.insert(resources.psi, resources);
        } else {
            self.failure("TS 23.502 §4.2.3.2", "resources for a session that the UE has not");
        }
    }

    /// Waits in the cell for a page that long; says whether one came.
    pub(super) async fn camp_for_pages(&mut self, until: Instant) -> bool {
        if self.link.is_some() {
            tokio::time::sleep_until(until).await;
            return false;
        }
        loop {
            match self.camp(until).await {
                Woken::Page(_) => return true,
                Woken::Time => return false,
                // The update has to wait as well.
                Woken::T3512 => self.t3512_at = Some(until),
            }
        }
    }

    /// Waits in the cell, in CM-IDLE.
    async fn camp(&mut self, until: Instant) -> Woken {
        let t3512 = self.t3512_at.filter(|_| self.registered);
        let wait = t3512.map_or(until, |at| at.min(until));
        let mut pager = self.guti.filter(|_| self.registered).map(|guti| self.gnb.listen(guti.into()));
        let page = async {
            match &mut pager {
                Some(pager) => pager.page().await,
                None => None,
            }
        };
        match tokio::time::timeout_at(wait, page).await {
            Ok(Some(page)) => Woken::Page(page),
            Ok(None) => {
                tokio::time::sleep_until(wait).await;
                if wait < until { Woken::T3512 } else { Woken::Time }
            }
            Err(_) if wait < until => Woken::T3512,
            Err(_) => Woken::Time,
        }
    }
}
