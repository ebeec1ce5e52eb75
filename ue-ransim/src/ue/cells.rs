//! What the UE does with the radio while it is connected: RRC_INACTIVE, and other cells of its gNB.

use super::Ue;
use crate::error::SimError;
use crate::gnb::Link;

impl Ue {
    /// Is sent to RRC_INACTIVE by its gNB; what comes or goes next takes it back.
    pub async fn enter_rrc_inactive(&mut self) -> Result<(), SimError> {
        connected(self.link.as_ref())?.suspend().await
    }

    /// Resumes its RRC connection.
    pub async fn resume_rrc(&mut self) -> Result<(), SimError> {
        connected(self.link.as_ref())?.resume().await;
        Ok(())
    }

    /// Goes to another cell of its gNB, by its number behind the first.
    pub async fn change_cell(&mut self, cell: u8) -> Result<(), SimError> {
        connected(self.link.as_ref())?.change_cell(cell).await
    }
}

fn connected(link: Option<&Link>) -> Result<&Link, SimError> {
    link.ok_or_else(|| SimError::State("the UE is not connected".into()))
}
