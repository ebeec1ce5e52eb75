//! What the procedures of all sessions share, lent to one of them at a time.

use tern_types::{Dnn, Instant, PlmnId, Snssai};

use crate::config::{Config, DataNetwork};
use crate::context::PduSession;
use crate::io::Outputs;
use crate::pool::Pool;
use crate::upf::Upfs;

/// Who this SMF is.
#[derive(Debug, Clone)]
pub struct Identity {
    /// NF instance ID, a UUID.
    pub instance: uuid::Uuid,
    /// Scheme and authority of its services, such as `http://127.0.0.17:8080`.
    pub api_root: String,
}

/// The shared parts.
pub struct Core<'a> {
    /// The time of the input.
    pub now: Instant,
    /// Configuration.
    pub config: &'a Config,
    /// Who this SMF is.
    pub identity: &'a Identity,
    /// Address pools, as `pool_of` numbers them.
    pub pools: &'a mut [Pool],
    /// The UPFs.
    pub upfs: &'a mut Upfs,
    /// Where outputs go.
    pub out: &'a mut Outputs,
}

impl Core<'_> {
    /// The data network of a session.
    pub fn network(&self, session: &PduSession) -> Option<&DataNetwork> {
        let index = self.network_index(&session.dnn, session.snssai)?;
        self.config.data_networks.get(index)
    }

    /// The addresses of a session's data network.
    pub fn pool(&mut self, session: &PduSession) -> Option<&mut Pool> {
        let index = self.network_index(&session.dnn, session.snssai)?;
        self.pools.get_mut(pool_of(self.config, index))
    }

    /// Gives back what a session holds here.
    pub fn free(&mut self, session: &mut PduSession) {
        if let Some(granted) = session.granted.take()
            && let Some(pool) = self.pool(session)
        {
            pool.release(granted.address);
        }
        if let Some(user_plane) = session.user_plane.take() {
            self.upfs.session_removed(user_plane.upf);
        }
    }

    fn network_index(&self, dnn: &Dnn, snssai: Snssai) -> Option<usize> {
        self.config.data_networks.iter().position(|n| n.dnn == *dnn && n.snssai == snssai)
    }
}

/// Which pool a data network of the configuration has: that of the first one with the same pool.
pub fn pool_of(config: &Config, network: usize) -> usize {
    let networks = &config.data_networks;
    networks.get(network).and_then(|n| networks.iter().position(|o| o.pool == n.pool)).unwrap_or(network)
}

/// The network identifier of a DNN: without the operator identifier
/// `mnc<MNC>.mcc<MCC>.gprs` (TS 23.003 §9.1).
pub fn network_identifier(dnn: &Dnn, plmn: PlmnId) -> Dnn {
    let suffix = format!(".mnc{:0>3}.mcc{}.gprs", plmn.mnc(), plmn.mcc());
    let text = dnn.as_str();
    let cut = text
        .len()
        .checked_sub(suffix.len())
        .filter(|&at| text.is_char_boundary(at) && text[at..].eq_ignore_ascii_case(&suffix));
    cut.and_then(|at| Dnn::new(&text[..at]).ok()).unwrap_or_else(|| dnn.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operator_identifier_is_left_out() {
        let plmn = PlmnId::new("001", "01").unwrap();
        let full = Dnn::new("internet.mnc001.MCC001.gprs").unwrap();
        assert_eq!(network_identifier(&full, plmn).as_str(), "internet");
        let other = Dnn::new("internet.mnc002.mcc001.gprs").unwrap();
        assert_eq!(network_identifier(&other, plmn), other);
    }
}
