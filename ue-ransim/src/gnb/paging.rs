//! Paging (TS 38.413 §8.5.1): which UEs in CM-IDLE listen in this cell, and who is called.

use tern_ngap::ngap::*;
use tern_ngap::{Bits, DecodeError, convert, extract_ngap_ies};
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

    /// What a UE that leaves this cell is to be paged by first: the cell, and the gNB.
    pub(super) fn recommended_cells(&self, cell: u8) -> InfoOnRecommendedCellsAndRANNodesForPaging {
        let cell = self.cell(cell);
        let cells = RecommendedCellList(vec![RecommendedCellItem::new(cell, None, None)]);
        let node = AMFPagingTarget::globalRANNodeID(convert::global_gnb_id(self.config().global_id()));
        let nodes = RecommendedRANNodeList(vec![RecommendedRANNodeItem::new(node, None)]);
        InfoOnRecommendedCellsAndRANNodesForPaging::new(
            RecommendedCellsForPaging::new(cells, None),
            RecommendedRANNodesForPaging::new(nodes, None),
            None,
        )
    }

    fn cell(&self, number: u8) -> NGRANCGI {
        let location = self.config().location();
        let cell = NRCellIdentity(Bits::low(location.nr_cell_id + u64::from(number), 36));
        NGRANCGI::nR_CGI(NRCGI::new(convert::plmn(location.cell_plmn), cell, None))
    }

    /// Whether the UE was in the first cell of this gNB when it was here last.
    fn is_recommended(&self, data: &AssistanceDataForPaging) -> bool {
        let cells = data.assistance_data_for_recommended_cells.iter();
        let mut cells = cells.flat_map(|data| &data.recommended_cells_for_paging.recommended_cell_list.0);
        cells.any(|item| item.ngran_cgi == self.cell(0))
    }

    /// PAGING: calls a UE in the cell, which need not be there.
    pub(super) fn on_paging(&self, pdu: &NGAP_PDU, stream: u16) -> Result<(), DecodeError> {
        extract_ngap_ies!(pdu, Paging,
            req identity: UEPagingIdentity = UEPagingIdentity(identity) => identity,
            req areas: TAIListForPaging = TAIListForPaging(list) => list,
            opt priority: u8 = PagingPriority(priority) => priority as u8 + 1,
            opt assistance: AssistanceDataForPaging = AssistanceDataForPaging(data) => data,
        );
        self.0.journal.count("gnb.paging");
        if assistance.is_some_and(|data| self.is_recommended(&data)) {
            self.0.journal.count("gnb.paging_recommended");
        }
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
