//! RRC messages in the containers of a handover (TS 38.331 §11.2), no more of them than it needs; and the
//! containers around them (TS 38.413 §9.3.1.29, §9.3.1.30).

use bytes::Bytes;
use tern_ngap::ngap::*;
use tern_ngap::{Bits, DecodeError, EncodeError, convert};

use super::GnbConfig;

/// HandoverPreparationInformation with an empty list of capabilities, in unaligned PER.
const PREPARATION_INFORMATION: [u8; 2] = [0, 0];
/// HandoverCommand around an RRCReconfiguration with a MasterKeyUpdate alone, up to that.
const COMMAND: [u8; 3] = [0x00, 0x30, 0x11];

/// What a handover tells the UE of its keys (TS 38.331 §6.3.2, MasterKeyUpdate).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct MasterKeyUpdate {
    /// keySetChangeIndicator: the key is of the newest K_AMF.
    pub(crate) key_set_change: bool,
    /// nextHopChainingCount, of three bits.
    pub(crate) ncc: u8,
}

/// HandoverCommand for the UE.
fn handover_command(update: MasterKeyUpdate) -> [u8; 5] {
    let [a, b, c] = COMMAND;
    [a, b, c, u8::from(update.key_set_change) << 1 | update.ncc >> 2 & 1, update.ncc << 6]
}

/// What one says that [`handover_command`] has made.
fn master_key_update(octets: &[u8]) -> Option<MasterKeyUpdate> {
    match octets {
        [a, b, c, high, low] if [*a, *b, *c] == COMMAND => {
            Some(MasterKeyUpdate { key_set_change: high & 2 != 0, ncc: (high & 1) << 2 | low >> 6 })
        }
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
pub(super) fn to_source(update: MasterKeyUpdate) -> Result<Bytes, EncodeError> {
    let rrc = RRCContainer(handover_command(update).to_vec().into());
    let container = TargetNGRANNodeToSourceNGRANNodeTransparentContainer::new(rrc, None);
    let octets = encode_open_type(&container).map_err(EncodeError::from)?;
    Ok(Bytes::from(octets.to_vec()))
}

/// What such a container tells the UE.
pub(super) fn told(octets: &[u8]) -> Option<MasterKeyUpdate> {
    let container: TargetNGRANNodeToSourceNGRANNodeTransparentContainer<'_> =
        decode_open_type(octets).ok()?;
    master_key_update(&container.rrc_container.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Encoded by pycrate 0.8.1.
    #[test]
    fn handover_commands_are_those_of_another_encoder() {
        let commands = [
            (false, 0, "0030110000"),
            (false, 3, "00301100c0"),
            (false, 4, "0030110100"),
            (false, 7, "00301101c0"),
            (true, 0, "0030110200"),
        ];
        for (key_set_change, ncc, octets) in commands {
            let update = MasterKeyUpdate { key_set_change, ncc };
            assert_eq!(hex::encode(handover_command(update)), octets);
            assert_eq!(master_key_update(&handover_command(update)), Some(update));
        }
        let update = MasterKeyUpdate { key_set_change: false, ncc: 5 };
        assert_eq!(told(&to_source(update).expect("a container")), Some(update));
    }
}
