//! Paging (TS 38.413 §8.5.1): which UEs in CM-IDLE listen in this cell, and who is called.

use tern_ngap::ngap::*;
use tern_ngap::{DecodeError, convert, extract_ngap_ies};
use tern_types::{STmsi5g, Tai};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Gnb;

/// Pages that may wait for a UE: of those that repeat one another it needs none but the first.
const PAGES: usize = 1;

/// A page, as the UE hears it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Paging Priority, 1 to 8, if there was one.
    pub priority: Option<u8>,
    /// When it came.
    pub at: Instant,
}

/// A UE that listens; dropping it ends that.
#[derive(Debug)]
pub struct Pager(mpsc::Receiver<Page>);

impl Pager {
    /// The next page; none comes any more once another UE listens under the same identity.
    pub async fn page(&mut self) -> Option<Page> {
        self.0.recv().await
    }
}

/// Who listens, by 5G-S-TMSI.
pub(super) type Listeners = std::collections::BTreeMap<(u16, u8, u32), mpsc::Sender<Page>>;

fn key(id: STmsi5g) -> (u16, u8, u32) {
    (id.amf_set, id.amf_pointer, id.tmsi)
}

impl Gnb {
    /// Listens to pages of this UE in the gNB's cell.
    pub fn listen(&self, id: STmsi5g) -> Pager {
        let (sink, pages) = mpsc::channel(PAGES);
        let mut state = self.state();
        state.listeners.retain(|_, listener| !listener.is_closed());
        state.listeners.insert(key(id), sink);
        Pager(pages)
    }

    /// PAGING: calls a UE in the cell, which need not be there.
    pub(super) fn on_paging(&self, pdu: &NGAP_PDU, stream: u16) -> Result<(), DecodeError> {
        extract_ngap_ies!(pdu, Paging,
            req identity: UEPagingIdentity = UEPagingIdentity(identity) => identity,
            req areas: TAIListForPaging = TAIListForPaging(list) => list,
            opt priority: u8 = PagingPriority(priority) => priority as u8 + 1,
        );
        self.0.journal.count("gnb.paging");
        if stream != 0 {
            self.failure("TS 38.412 §7", format_args!("PAGING on stream {stream}"));
        }
        let areas: Vec<Tai> =
            areas.0.iter().map(|item| convert::tai_of(&item.tai)).collect::<Result<_, _>>()?;
        if !areas.contains(&self.config().tai()) {
            self.failure("TS 38.413 §8.5.1.2", "PAGING in a tracking area that is not the cell's");
        }
        let UEPagingIdentity::fiveG_S_TMSI(identity) = identity else {
            self.failure("TS 38.413 §9.3.3.18", "PAGING without a 5G-S-TMSI");
            return Ok(());
        };
        let listener = self.state().listeners.get(&key(convert::s_tmsi_of(&identity))).cloned();
        // A page that waits already says the same.
        if listener.is_some_and(|sink| sink.try_send(Page { priority, at: Instant::now() }).is_ok()) {
            self.0.journal.count("gnb.paged");
        }
        Ok(())
    }
}
