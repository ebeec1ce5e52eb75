//! AS keys at a gNB: TS 33.501 §6.9.2.

use tern_crypto::{KGnb, Nh, ServingCell, ng_ran_star};

/// The key in use and the NH that the next handover takes, if the AMF has given one.
#[derive(Debug, Clone)]
pub(super) struct AsKeys {
    k_gnb: KGnb,
    ncc: u8,
    fresh: Option<(u8, Nh)>,
}

impl AsKeys {
    /// Those of INITIAL CONTEXT SETUP: NCC is 0 (TS 33.501 §6.9.2.1.1).
    pub(super) fn initial(k_gnb: &[u8]) -> Option<Self> {
        Some(Self { k_gnb: KGnb::from_slice(k_gnb)?, ncc: 0, fresh: None })
    }

    /// Those of a UE that has come, with the key that was derived for this cell.
    pub(super) fn handed_over(k_gnb: KGnb, ncc: u8) -> Self {
        Self { k_gnb, ncc, fresh: None }
    }

    /// Those of a new K_AMF, whose K_gNB the AMF has given: NCC is 0, and the key is derived as at a handover
    /// within the cell (TS 33.501 §6.9.4.4).
    pub(super) fn renewed(k_gnb: &[u8; 32], cell: ServingCell) -> Self {
        Self::handed_over(ng_ran_star(k_gnb, cell), 0)
    }

    /// The key in use.
    pub(super) fn key(&self) -> &KGnb {
        &self.k_gnb
    }

    /// Whether this is the key in use.
    pub(super) fn is(&self, k_gnb: &KGnb) -> bool {
        self.k_gnb == *k_gnb
    }

    /// The AMF has given a fresh {NH, NCC} pair, for the next handover.
    pub(super) fn refresh(&mut self, ncc: u8, nh: Nh) {
        self.fresh = Some((ncc, nh));
    }

    /// The key of a target cell and its NCC (TS 33.501 §6.9.2.3.2): from a fresh NH if there is one
    /// (vertical derivation), else from the key in use (horizontal).
    pub(super) fn for_cell(&self, target: ServingCell) -> (KGnb, u8) {
        match &self.fresh {
            Some((ncc, nh)) => (ng_ran_star(nh.as_bytes(), target), *ncc),
            None => (ng_ran_star(self.k_gnb.as_bytes(), target), self.ncc),
        }
    }
}
