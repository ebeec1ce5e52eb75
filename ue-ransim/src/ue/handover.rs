//! Handover, UE side: keys by NCC (TS 33.501 §6.9.2.3), and the way to another gNB's cell.

use tern_crypto::{KGnb, NextHopChain, ServingCell, ng_ran_star};
use tern_ngap::ngap::CauseRadioNetwork;
use tokio::time::Instant;

use super::Ue;
use crate::error::SimError;
use crate::gnb::{Commanded, Forwarding, Gnb, MasterKeyUpdate, SessionsMoved};
use crate::report::{HANDOVER_N2, HANDOVER_XN};

/// AS keys of a UE.
#[derive(Debug, Clone)]
pub(super) struct AsKeys {
    chain: NextHopChain,
    k_gnb: KGnb,
    ncc: u8,
}

impl AsKeys {
    /// The key of the cell to which a handover command leads: of the NCC in use it comes from the key in
    /// use, of another one from the NH of that NCC (TS 33.501 §6.9.2.3.4).
    fn for_cell(&self, ncc: u8, target: ServingCell) -> Self {
        if ncc == self.ncc {
            return Self { k_gnb: ng_ran_star(self.k_gnb.as_bytes(), target), ..self.clone() };
        }
        let mut chain = self.chain.clone();
        chain.advance_to(ncc);
        Self { k_gnb: ng_ran_star(chain.nh().as_bytes(), target), chain, ncc }
    }
}

impl Ue {
    /// The keys that AS security begins with, and begins anew with after a change of K_AMF: NCC is 0
    /// (TS 33.501 §6.9.2.1.1).
    pub(super) fn initial_as_keys(&self) -> Option<AsKeys> {
        let (context, k_gnb) = (self.context.as_ref()?, self.context.as_ref()?.k_gnb(self.k_gnb_count?));
        Some(AsKeys { chain: NextHopChain::new(context.k_amf(), &k_gnb), k_gnb, ncc: 0 })
    }

    /// The key set has changed (keySetChangeIndicator): the key comes from the newest K_AMF, by way of the
    /// cell that the UE is in (TS 33.501 §6.9.4.4).
    pub(super) fn on_rekeyed(&mut self, theirs: &KGnb) {
        self.journal.count("ue.rekeyed");
        let keys = self.initial_as_keys().map(|keys| keys.for_cell(0, self.gnb.config().cell()));
        if keys.as_ref().is_none_or(|keys| keys.k_gnb != *theirs) {
            self.failure("TS 33.501 §6.9.4.4", "the gNB's new key is not that of the UE's K_AMF");
        }
        self.as_keys = keys;
    }

    /// Goes to another gNB's cell by Xn handover (TS 23.502 §4.9.1.2), with its sessions in use. Fails if
    /// the target gNB has another key than the UE, which then stays where it is; and if the AMF switches
    /// no session's path, which leaves the UE without a connection.
    pub async fn handover_xn(&mut self, target: &Gnb) -> Result<SessionsMoved, SimError> {
        let (source, ran_id) = self.source()?;
        // That is no part of this one.
        source.await_earlier(ran_id).await;
        let began = Instant::now();
        let request = source.request_handover(ran_id, target).await?;
        let admitted = target.admit(request)?;
        let keys = match self.keys_for(admitted.ncc, &admitted.key, target) {
            Ok(keys) => keys,
            Err(error) => {
                target.cancel(admitted);
                return Err(error);
            }
        };
        source.send_away(ran_id, &admitted);
        self.hear_what_was_said().await?;
        let (link, answer) = target.arrive(admitted).await?;
        self.as_keys = Some(keys);
        self.gnb = target.clone();
        self.link = Some(link);
        match answer {
            Ok(moved) => {
                source.release_context(ran_id);
                self.journal.step(&*self, HANDOVER_XN, began, began.elapsed());
                Ok(moved)
            }
            Err(why) => {
                // TXnRELOCoverall expires at the source gNB, which alone has a connection to the AMF.
                source.give_up(ran_id, CauseRadioNetwork::txnrelocoverall_expiry).await?;
                self.disconnected();
                Err(SimError::Handover(why))
            }
        }
    }

    /// Goes to another gNB's cell by N2 handover (TS 23.502 §4.9.1.3), with its sessions in use. Fails if the
    /// preparation does, or if the target gNB has another key than the UE, which then stays where it is.
    pub async fn handover_n2(
        &mut self,
        target: &Gnb,
        forwarding: Forwarding,
    ) -> Result<SessionsMoved, SimError> {
        let (source, ran_id) = self.source()?;
        source.await_earlier(ran_id).await;
        let began = Instant::now();
        let prepared = self.prepare_handover_n2(target, forwarding).await?;
        let moved = self.execute_handover_n2(target, prepared).await?;
        self.journal.step(&*self, HANDOVER_N2, began, began.elapsed());
        Ok(moved)
    }

    /// The first half of it: the source gNB has HANDOVER COMMAND, and the UE is still there.
    pub async fn prepare_handover_n2(
        &mut self,
        target: &Gnb,
        forwarding: Forwarding,
    ) -> Result<Commanded, SimError> {
        let (source, ran_id) = self.source()?;
        source.require_handover(ran_id, target, forwarding).await?.map_err(SimError::Handover)
    }

    /// The second half: the UE goes.
    pub async fn execute_handover_n2(
        &mut self,
        target: &Gnb,
        prepared: Commanded,
    ) -> Result<SessionsMoved, SimError> {
        let (source, ran_id) = self.source()?;
        let MasterKeyUpdate { key_set_change, ncc } = prepared.keys;
        let current = if key_set_change { self.initial_as_keys() } else { self.as_keys.clone() };
        let keys = current.ok_or_else(|| SimError::State("no AS security".into()))?;
        let keys = keys.for_cell(ncc, target.config().cell());
        if !target.expects(&keys.k_gnb) {
            self.not_the_key(ncc, target);
            source.cancel_handover(ran_id).await?;
            return Err(SimError::Handover(format!("{target} has another key than the UE")));
        }
        let bearers = source.bearers(ran_id);
        source.leave(ran_id, &prepared).await?;
        self.hear_what_was_said().await?;
        let (link, moved) = target.welcome(&keys.k_gnb, bearers).await?;
        self.as_keys = Some(keys);
        self.gnb = target.clone();
        self.link = Some(link);
        source.await_leave(ran_id).await?;
        Ok(SessionsMoved { moved, released: prepared.released })
    }

    /// The source gNB cancels a handover that it has prepared (TS 38.413 §8.4.5): the UE stays.
    pub async fn cancel_handover_n2(&mut self, prepared: Option<Commanded>) -> Result<(), SimError> {
        drop(prepared);
        let (source, ran_id) = self.source()?;
        source.cancel_handover(ran_id).await
    }

    fn source(&self) -> Result<(Gnb, u32), SimError> {
        let link = self.link.as_ref().ok_or_else(|| SimError::State("the UE is not connected".into()))?;
        Ok((link.gnb().clone(), link.ran_id()))
    }

    fn not_the_key(&self, ncc: u8, target: &Gnb) {
        self.failure(
            "TS 33.501 §6.9.2.3",
            format_args!("the key of {target} is not the UE's own, of NCC {ncc}"),
        );
    }

    /// The keys that a handover command leads to; the target gNB must have the same.
    fn keys_for(&self, ncc: u8, theirs: &KGnb, target: &Gnb) -> Result<AsKeys, SimError> {
        let keys = self.as_keys.as_ref().ok_or_else(|| SimError::State("no AS security".into()))?;
        let keys = keys.for_cell(ncc, target.config().cell());
        if keys.k_gnb == *theirs {
            return Ok(keys);
        }
        self.not_the_key(ncc, target);
        Err(SimError::Handover(format!("{target} has another key than the UE")))
    }

    /// What the source gNB said before the UE left.
    async fn hear_what_was_said(&mut self) -> Result<(), SimError> {
        while let Some(event) = self.link.as_mut().and_then(|link| link.said()) {
            if let Some(heard) = self.take_event(event, "a handover").await? {
                self.hear(heard);
            }
        }
        Ok(())
    }
}
