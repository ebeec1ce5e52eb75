//! Nudm_UEContextManagement: TS 29.503 §5.3, §6.2.

use std::sync::Arc;

use tern_nf::Target;
use tern_sbi::common::{AccessType, DateTime, NfInstanceId, PatchResult};
use tern_sbi::nudm_uecm::{
    Amf3GppAccessRegistration, DeregisterSmf, DeregistrationData, DeregistrationNotify, DeregistrationReason,
    GetAmf3gpp, GetSmfRegistration, ListSmfRegistrations, RegisterAmf3gpp, RegisterSmf, SmfRegistration,
    SmfRegistrationInfo, UpdateAmf3gpp,
};
use tern_sbi::{Call, Location, Operation, PathParams, ProblemDetails, Response};
use tern_types::Supi;

use crate::Udm;
use crate::refusal::{Refused, is_unknown_user, refuse};

impl Udm {
    /// Nudm_UECM_Registration of an AMF: TS 29.503 §5.3.2.2.2. The AMF that served before is
    /// told, behind the reply.
    pub(crate) async fn register_amf(
        self: Arc<Self>,
        call: Call,
        operation: RegisterAmf3gpp,
    ) -> Result<Response<Option<Amf3GppAccessRegistration>>, Refused> {
        let RegisterAmf3gpp { ue_id: supi, mut registration } = operation;
        if Location::parse(&registration.dereg_callback_uri).is_none() {
            return Err(refuse(400, "MANDATORY_IE_INCORRECT"));
        }
        let before = self.repository.amf_registration(&call, &supi).await?;
        (registration.purge_flag, registration.admin_dereg_sub_withdrawn) = (None, None);
        registration.registration_time.get_or_insert(DateTime::from(self.env.clock.now()));
        self.repository.put_amf_registration(&call, &supi, registration.clone()).await?;
        tracing::debug!(%supi, amf = %registration.amf_instance_id, "AMF registered");
        let Some(before) = before.filter(|before| before.purge_flag != Some(true)) else {
            let uri = self.uri("/nudm-uecm/v1/{ueId}/registrations/amf-3gpp-access", &[&supi.to_string()]);
            return Ok(Response::created(uri, Some(registration)));
        };
        if before.amf_instance_id != registration.amf_instance_id || before.guami != registration.guami {
            let initial = registration.initial_registration_ind == Some(true);
            if before.amf_instance_id != registration.amf_instance_id {
                self.end_subscriptions(&call, &supi, before.amf_instance_id).await;
            }
            self.deregister_old_amf(supi, before, initial);
        }
        Ok(Response::ok(Some(registration)))
    }

    /// Nudm_UECM_Update, and deregistration by the purge flag: TS 29.503 §5.3.2.4.2, §5.3.2.6.
    pub(crate) async fn update_amf(
        &self,
        call: Call,
        operation: UpdateAmf3gpp,
    ) -> Result<Response<Option<PatchResult>>, Refused> {
        let UpdateAmf3gpp { ue_id: supi, modification } = operation;
        let registration = self.repository.amf_registration(&call, &supi).await?;
        let mut registration = registration.ok_or_else(|| refuse(404, "CONTEXT_NOT_FOUND"))?;
        if registration.guami != modification.guami {
            // Another AMF serves the UE by now.
            return Err(refuse(403, "INVALID_GUAMI"));
        }
        let purged = (modification.purge_flag == Some(true)).then_some(registration.amf_instance_id);
        registration.purge_flag = modification.purge_flag.or(registration.purge_flag);
        registration.pei = modification.pei.or(registration.pei);
        registration.ims_vo_ps = modification.ims_vo_ps.or(registration.ims_vo_ps);
        if !modification.backup_amf_info.is_empty() {
            registration.backup_amf_info = modification.backup_amf_info;
        }
        self.repository.put_amf_registration(&call, &supi, registration).await?;
        if let Some(amf) = purged {
            self.end_subscriptions(&call, &supi, amf).await;
        }
        Ok(Response { status: 204, ..Response::ok(None) })
    }

    /// Subscriptions of an AMF that end with its registration (`implicitUnsubscribe`, TS 29.503
    /// §6.1.6.2.3): also those that it has forgotten or never heard the answer of.
    async fn end_subscriptions(&self, call: &Call, supi: &Supi, amf: NfInstanceId) {
        let subscriptions = self.repository.sdm_subscriptions(call, supi).await.unwrap_or_default();
        let ending = subscriptions
            .into_iter()
            .filter(|s| s.nf_instance_id == amf && s.implicit_unsubscribe == Some(true));
        for id in ending.filter_map(|subscription| subscription.subscription_id) {
            if let Err(error) = self.repository.delete_sdm_subscription(call, supi, &id).await {
                tracing::warn!(%supi, %amf, %error, "a subscription outlives its AMF's registration");
            }
        }
    }

    /// Nudm_UECM_Get: TS 29.503 §5.3.2.5.2.
    pub(crate) async fn amf_registration(
        &self,
        call: Call,
        operation: GetAmf3gpp,
    ) -> Result<Response<Amf3GppAccessRegistration>, Refused> {
        let registration = self.repository.amf_registration(&call, &operation.ue_id).await?;
        registration.map(Response::ok).ok_or_else(|| refuse(404, "CONTEXT_NOT_FOUND"))
    }

    /// Nudm_UECM_Registration of an SMF: TS 29.503 §5.3.2.2.4.
    pub(crate) async fn register_smf(
        &self,
        call: Call,
        operation: RegisterSmf,
    ) -> Result<Response<Option<SmfRegistration>>, Refused> {
        let RegisterSmf { ue_id: supi, pdu_session_id, mut registration } = operation;
        if registration.pdu_session_id != pdu_session_id {
            return Err(refuse(400, "MANDATORY_IE_INCORRECT"));
        }
        registration.registration_time.get_or_insert(DateTime::from(self.env.clock.now()));
        let created = self.repository.put_smf_registration(&call, &supi, registration.clone()).await?;
        if created {
            let values = [&*supi.to_string(), &*pdu_session_id.to_string()];
            let uri = self.uri("/nudm-uecm/v1/{ueId}/registrations/smf-registrations/{id}", &values);
            return Ok(Response::created(uri, Some(registration)));
        }
        Ok(Response::ok(Some(registration)))
    }

    /// Nudm_UECM_Deregistration of an SMF: TS 29.503 §5.3.2.4.4. An SMF that says who it is
    /// does not end the registration of another, which took the session over.
    pub(crate) async fn deregister_smf(
        &self,
        call: Call,
        operation: DeregisterSmf,
    ) -> Result<Response<()>, Refused> {
        let DeregisterSmf { ue_id: supi, pdu_session_id, smf_instance_id, .. } = operation;
        if let Some(id) = smf_instance_id {
            let registration = self.repository.smf_registration(&call, &supi, pdu_session_id).await?;
            if registration.is_some_and(|registration| registration.smf_instance_id != id) {
                return Err(refuse(422, "UNPROCESSABLE_REQUEST"));
            }
        }
        self.repository.delete_smf_registration(&call, &supi, pdu_session_id).await?;
        Ok(Response::no_content())
    }

    /// Nudm_UECM_Get of one session's SMF.
    pub(crate) async fn smf_registration(
        &self,
        call: Call,
        operation: GetSmfRegistration,
    ) -> Result<Response<SmfRegistration>, Refused> {
        let GetSmfRegistration { ue_id: supi, pdu_session_id } = operation;
        let registration = self.repository.smf_registration(&call, &supi, pdu_session_id).await?;
        registration.map(Response::ok).ok_or_else(|| refuse(404, "CONTEXT_NOT_FOUND"))
    }

    /// Nudm_UECM_Get of all sessions' SMFs.
    pub(crate) async fn smf_registrations(
        &self,
        call: Call,
        operation: ListSmfRegistrations,
    ) -> Result<Response<SmfRegistrationInfo>, Refused> {
        let ListSmfRegistrations { ue_id: supi, single_nssai, dnn } = operation;
        let mut registrations = self.repository.smf_registrations(&call, &supi).await?;
        registrations.retain(|registration| {
            single_nssai.is_none_or(|wanted| registration.single_nssai == wanted)
                && dnn.as_ref().is_none_or(|wanted| registration.dnn.as_ref() == Some(wanted))
        });
        if registrations.is_empty() {
            return Err(refuse(404, "CONTEXT_NOT_FOUND"));
        }
        Ok(Response::ok(SmfRegistrationInfo::new(registrations)))
    }

    /// Nudm_UECM_DeregistrationNotification to the AMF that served before: TS 29.503 §5.3.2.3.
    fn deregister_old_amf(self: &Arc<Self>, supi: Supi, old: Amf3GppAccessRegistration, initial: bool) {
        let reason = if initial {
            DeregistrationReason::UeInitialRegistration
        } else {
            DeregistrationReason::UeRegistrationAreaChange
        };
        let data =
            DeregistrationData { access_type: Some(AccessType::ThreeGpp), ..DeregistrationData::new(reason) };
        self.notify_deregistration(supi, &old.dereg_callback_uri, data);
    }

    /// Tells an AMF or SMF that its registration has ended, behind the reply.
    pub(crate) fn notify_deregistration(
        self: &Arc<Self>,
        supi: Supi,
        callback: &str,
        data: DeregistrationData,
    ) {
        let Some(callback) = Location::parse(callback) else { return };
        let notify = DeregistrationNotify { path: callback.path, data };
        self.notify(supi, Target::ApiRoot(callback.api_root), notify, |_, _| {});
    }

    /// Sends a notification behind the reply, and makes use of what became of it.
    pub(crate) fn notify<O, F>(self: &Arc<Self>, supi: Supi, target: Target, notification: O, then: F)
    where
        O: Operation<Answer = (), Failure = ProblemDetails> + Sync,
        F: FnOnce(Arc<Self>, Result<(), Refused>) + Send + 'static,
    {
        let Ok(permit) = self.notifications.clone().try_acquire_owned() else {
            self.env.counters.add("udm.notifications_dropped", 1);
            return;
        };
        let udm = self.clone();
        tokio::spawn(async move {
            // Who does not hear of it would go on as if nothing had changed.
            let call = Call { insist: true, ..Call::default() };
            let told = udm.consumer.call(&target, &call, &notification).await.map(|_| ());
            if let Err(error) = &told {
                udm.env.counters.add("udm.notifications_failed", 1);
                tracing::warn!(%supi, operation = O::NAME, %error, "not told");
            }
            then(udm, told);
            drop(permit);
        });
    }

    /// Subscription withdrawn (TS 23.502 §4.2.2.3.3): the AMF deregisters the UE, and with it end its
    /// sessions. SMFs hear of it from here if no AMF serves the UE.
    pub(crate) async fn withdraw(self: &Arc<Self>, call: &Call, supi: &Supi) -> Result<(), Refused> {
        tracing::info!(%supi, "subscription withdrawn");
        self.env.counters.add("udm.subscriptions_withdrawn", 1);
        let registration = self.repository.amf_registration(call, supi).await?;
        let amf = registration.filter(|registration| registration.purge_flag != Some(true));
        let reason = DeregistrationReason::SubscriptionWithdrawn;
        let data =
            DeregistrationData { access_type: Some(AccessType::ThreeGpp), ..DeregistrationData::new(reason) };
        let Some(amf) = amf else {
            for smf in self.repository.smf_registrations(call, supi).await? {
                let Some(callback) = smf.dereg_callback_uri else { continue };
                let data = DeregistrationData { pdu_session_id: Some(smf.pdu_session_id), ..data.clone() };
                self.notify_deregistration(supi.clone(), &callback, data);
            }
            return Ok(());
        };
        self.notify_deregistration(supi.clone(), &amf.dereg_callback_uri, data);
        let instance = amf.amf_instance_id;
        let ended = Amf3GppAccessRegistration {
            purge_flag: Some(true),
            admin_dereg_sub_withdrawn: Some(true),
            ..amf
        };
        match self.repository.put_amf_registration(call, supi, ended).await {
            Ok(()) => self.end_subscriptions(call, supi, instance).await,
            // All that there is of a subscriber who is no more goes with the record.
            Err(error) if is_unknown_user(&error) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn uri(&self, template: &str, values: &[&str]) -> String {
        format!("{}{}", self.api_root, PathParams::fill(template, values))
    }
}
