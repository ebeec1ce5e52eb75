//! RRC messages in the containers of a handover (TS 38.331 §11.2), no more of them than it needs; and the
//! containers around them (TS 38.413 §9.3.1.29, §9.3.1.30).

use bytes::Bytes;
use tern_ngap::ngap::*;
use tern_ngap::{Bits, DecodeError, EncodeError, convert};

use super::GnbConfig;

/// HandoverPreparationInformation with an empty list of capabilities, in unaligned PER.
const PREPARATION_INFORMATION: [u8; 2] = [0, 0];
/// HandoverCommand around an RRCReconfiguration with a MasterKeyUpdate alone, up to nextHopChainingCount.
const COMMAND: [u8; 3] = [0x00, 0x30, 0x11];

/// HandoverCommand: the UE is told the next hop chaining counter, of three bits.
fn handover_command(ncc: u8) -> [u8; 5] {
    let [a, b, c] = COMMAND;
    [a, b, c, ncc >> 2 & 1, ncc << 6]
}

/// The counter in one that [`handover_command`] has made.
fn chaining_count(octets: &[u8]) -> Option<u8> {
    match octets {
        [a, b, c, high, low] if [*a, *b, *c] == COMMAND => Some((high & 1) << 2 | low >> 6),
        _ => None,
    }
}

/// The first cell of a gNB.
fn cell(gnb: &GnbConfig) -> NGRANCGI {
    let location = gnb.location();
    let cell = NRCellIdentity(Bits::low(location.nr_cell_id, 36));
    NGRANCGI::nR_CGI(NRCGI::new(convert::plmn(location.cell_plmn), cell, None))
}

/// Source NG-RAN Node to Target NG-RAN Node Transparent Container.
pub(super) fn to_target(source: &GnbConfig, target: &GnbConfig) -> Result<Bytes, EncodeError> {
    let kind = CellType::new(CellSize::medium, None);
    let visited =
        LastVisitedNGRANCellInformation::new(cell(source), kind, TimeUEStayedInCell(0), None, None, None);
    let visited = LastVisitedCellItem::new(LastVisitedCellInformation::nGRANCell(visited), None);
    let container = SourceNGRANNodeToTargetNGRANNodeTransparentContainer::new(
        RRCContainer(PREPARATION_INFORMATION.to_vec().into()),
        None,
        None,
        cell(target),
        None,
        UEHistoryInformation(vec![visited]),
        None,
    );
    let octets = encode_open_type(&container).map_err(EncodeError::from)?;
    Ok(Bytes::from(octets.to_vec()))
}

/// Whether such a container is for a cell of this gNB.
pub(super) fn is_for(octets: &[u8], gnb: &GnbConfig) -> Result<bool, DecodeError> {
    const WHAT: &str = "SourceNGRANNode-ToTargetNGRANNode-TransparentContainer";
    let container: SourceNGRANNodeToTargetNGRANNodeTransparentContainer<'_> =
        decode_open_type(octets).map_err(|error| DecodeError::of(WHAT, &error))?;
    Ok(container.target_cell_id == cell(gnb))
}

/// Target NG-RAN Node to Source NG-RAN Node Transparent Container.
pub(super) fn to_source(ncc: u8) -> Result<Bytes, EncodeError> {
    let rrc = RRCContainer(handover_command(ncc).to_vec().into());
    let container = TargetNGRANNodeToSourceNGRANNodeTransparentContainer::new(rrc, None);
    let octets = encode_open_type(&container).map_err(EncodeError::from)?;
    Ok(Bytes::from(octets.to_vec()))
}

/// What such a container tells the UE: the next hop chaining counter.
pub(super) fn told_count(octets: &[u8]) -> Option<u8> {
    let container: TargetNGRANNodeToSourceNGRANNodeTransparentContainer<'_> =
        decode_open_type(octets).ok()?;
    chaining_count(&container.rrc_container.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Encoded by pycrate 0.8.1.
    #[test]
    fn handover_commands_are_those_of_another_encoder() {
        for (ncc, octets) in [(0, "0030110000"), (3, "00301100c0"), (4, "0030110100"), (7, "00301101c0")] {
            assert_eq!(hex::encode(handover_command(ncc)), octets);
            assert_eq!(chaining_count(&handover_command(ncc)), Some(ncc));
        }
        assert_eq!(told_count(&to_source(5).expect("a container")), Some(5));
    }
}
