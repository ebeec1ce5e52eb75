//! Identification (TS 24.501 §5.4.3) and generic UE configuration update (§5.4.4).

use tern_nas::MobileIdentity;
use tern_nas::nas_5gs::{
    MobileIdentityType, Nas5gmmMessage, NasConfigurationUpdateCommand, NasConfigurationUpdateComplete,
    NasIdentityRequest, NasIdentityResponse,
};

use super::{Moment, Ue};
use crate::error::SimError;

impl Ue {
    pub(super) async fn on_identity_request(&mut self, request: &NasIdentityRequest) -> Result<(), SimError> {
        let identity = match request.identity_type.identity_type() {
            Some(MobileIdentityType::Suci) => MobileIdentity::Suci(self.subscriber.suci(&mut self.random)?),
            Some(MobileIdentityType::Imei | MobileIdentityType::Imeisv) if self.secure => {
                MobileIdentity::Imei(self.subscriber.imeisv.clone())
            }
            Some(MobileIdentityType::Guti) => self.guti.map_or(MobileIdentity::None, MobileIdentity::Guti),
            Some(MobileIdentityType::STmsi) => {
                self.guti.map_or(MobileIdentity::None, |guti| MobileIdentity::STmsi(guti.into()))
            }
            _ => MobileIdentity::None,
        };
        let response = NasIdentityResponse::new(identity.to_ie()?);
        self.answer(Moment::IdentityResponse, response).await
    }

    pub(super) async fn on_configuration_update(
        &mut self,
        command: &NasConfigurationUpdateCommand,
    ) -> Result<(), SimError> {
        if let Some(guti) = &command.fg_guti {
            self.take_guti(guti, "TS 24.501 §5.4.4.2");
        }
        if let Some(list) = &command.tai_list {
            self.take_tais(list, "TS 24.501 §5.4.4.2");
        }
        if let Some(list) = &command.service_area_list {
            self.take_service_area(Some(list));
        }
        if let Some(nssai) = &command.allowed_nssai {
            self.allowed_nssai = tern_nas::registration::nssai_of(nssai);
        }
        let indication = command.configuration_update_indication.as_ref();
        // TS 24.501 §5.4.4.3: once the connection is released.
        self.must_register |= indication.is_some_and(|indication| indication.red());
        if indication.is_some_and(|indication| indication.ack()) {
            self.send(Nas5gmmMessage::from(NasConfigurationUpdateComplete::new())).await?;
        }
        Ok(())
    }
}
