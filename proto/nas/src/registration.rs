//! IEs of registration: TAI list, NSSAI, rejected NSSAI, ngKSI, DRX.

use oxirush_nas::nas_5gs::{
    DrxValue, KeySetIdentifier, NasFGsDrxParameters, NasFGsTrackingAreaIdentityList, NasKeySetIdentifier,
    NasNssai, NasRejectedNssai, NasSNssai, NasServiceAreaList, NasT3512Value, RejectedNssaiCause,
    SNssaiContents,
};
use tern_types::{Duration, PlmnId, ServiceArea, Snssai, Tac, Tai};

use crate::identity::NgKsi;
use crate::{DecodeError, EncodeError};

/// TAIs in one TAI list (TS 24.501 §9.11.3.9).
pub const TAIS_MAX: usize = 16;
/// Allowed type of a partial service area list (TS 24.501 §9.11.3.49).
const NOT_ALLOWED: u8 = 0x80;
/// First octet of a partial service area list of type 11 in the allowed area (TS 24.501 §9.11.3.49).
const ALL_OF_PLMN: u8 = 0x60;

/// Writes a TAI list of 1 to 16 TAIs (TS 24.501 §9.11.3.9): one partial list of type "00" for
/// each run of TAIs of one PLMN.
pub fn tai_list(tais: &[Tai]) -> Result<NasFGsTrackingAreaIdentityList, EncodeError> {
    Ok(NasFGsTrackingAreaIdentityList::new(write_partial_lists(tais, 0)?))
}

fn write_partial_lists(tais: &[Tai], first_bit: u8) -> Result<Vec<u8>, EncodeError> {
    if tais.is_empty() || tais.len() > TAIS_MAX {
        return Err(EncodeError(format!("a TAI list of {} TAIs", tais.len())));
    }
    let mut octets = Vec::with_capacity(4 + 3 * tais.len());
    for run in tais.chunk_by(|a, b| a.plmn_id == b.plmn_id) {
        octets.push(first_bit | (run.len() as u8 - 1));
        octets.extend(run[0].plmn_id.to_octets());
        octets.extend(run.iter().flat_map(|tai| tai.tac.to_octets()));
    }
    Ok(octets)
}

/// Reads a TAI list (TS 24.501 §9.11.3.9): partial lists of types 00, 01 and 10. At most 16 TAIs
/// count.
pub fn tais(list: &NasFGsTrackingAreaIdentityList) -> Result<Vec<Tai>, DecodeError> {
    Ok(partial_lists("5GS tracking area identity list", &list.value)?.1)
}

/// Writes a service area list of 1 to 16 TAIs (TS 24.501 §9.11.3.49).
pub fn service_area_list(area: &ServiceArea) -> Result<NasServiceAreaList, EncodeError> {
    let allowed_type = if area.allowed { 0 } else { NOT_ALLOWED };
    Ok(NasServiceAreaList::new(write_partial_lists(&area.tais, allowed_type)?))
}

/// Writes a service area list that restricts nothing (TS 24.501 §9.11.3.49): all tracking areas of the
/// network are in the allowed area.
pub fn unrestricted_service_area_list(plmn: PlmnId) -> NasServiceAreaList {
    NasServiceAreaList::new([&[ALL_OF_PLMN][..], &plmn.to_octets()].concat())
}

/// Reads a service area list (TS 24.501 §9.11.3.49). The allowed type of the first partial list counts for
/// all; where all tracking areas of the network are allowed, none is not allowed.
pub fn service_area_of(list: &NasServiceAreaList) -> Result<ServiceArea, DecodeError> {
    if let [ALL_OF_PLMN, _, _, _] = *list.value {
        return Ok(ServiceArea { allowed: false, tais: Vec::new() });
    }
    let (allowed_type, tais) = partial_lists("Service area list", &list.value)?;
    Ok(ServiceArea { allowed: allowed_type == 0, tais })
}

/// The TAIs of a sequence of partial lists, and the first bit of the first one.
fn partial_lists(what: &'static str, octets: &[u8]) -> Result<(u8, Vec<Tai>), DecodeError> {
    let short = || DecodeError::value(what, "a partial list is cut short");
    let mut rest: &[u8] = octets;
    let first = octets.first().map_or(0, |head| head & NOT_ALLOWED);
    let mut tais = Vec::new();
    while let Some((&head, tail)) = rest.split_first() {
        let count = usize::from(head & 0x1f) + 1;
        let plmn_at = |octets: &[u8]| -> Result<PlmnId, DecodeError> {
            let octets = octets.first_chunk::<3>().ok_or_else(short)?;
            PlmnId::from_octets(*octets).map_err(|error| DecodeError::value(what, error))
        };
        let tac_at = |octets: &[u8], at: usize| -> Result<Tac, DecodeError> {
            let octets = octets.get(at..).and_then(|o| o.first_chunk::<3>()).ok_or_else(short)?;
            Ok(Tac::from_octets(*octets))
        };
        let used = match head >> 5 & 3 {
            0 => {
                let plmn_id = plmn_at(tail)?;
                for at in 0..count {
                    tais.push(Tai { plmn_id, tac: tac_at(tail, 3 + 3 * at)? });
                }
                3 + 3 * count
            }
            1 => {
                let (plmn_id, first) = (plmn_at(tail)?, tac_at(tail, 3)?);
                let codes = (first.get()..).take(count).map_while(Tac::new);
                tais.extend(codes.map(|tac| Tai { plmn_id, tac }));
                6
            }
            2 => {
                for at in 0..count {
                    let tai = tail.get(6 * at..).ok_or_else(short)?;
                    tais.push(Tai { plmn_id: plmn_at(tai)?, tac: tac_at(tai, 3)? });
                }
                6 * count
            }
            // Type 11: all TAIs of a PLMN.
            _ => return Err(DecodeError::value(what, "a partial list of type 11")),
        };
        rest = tail.get(used..).ok_or_else(short)?;
        if tais.len() > TAIS_MAX {
            tais.truncate(TAIS_MAX);
            break;
        }
    }
    if tais.is_empty() { Err(DecodeError::value(what, "empty")) } else { Ok((first, tais)) }
}

/// Writes an S-NSSAI (TS 24.501 §9.11.2.8).
pub fn snssai(slice: Snssai) -> NasSNssai {
    NasSNssai::from_sst_sd(slice.sst(), slice.sd_octets())
}

/// Reads an S-NSSAI (TS 24.501 §9.11.2.8); mapped values are left out.
pub fn snssai_of(ie: &NasSNssai) -> Result<Snssai, DecodeError> {
    let wrong = || DecodeError::value("S-NSSAI", format_args!("{} octets", ie.value.len()));
    ie.parse().map(|contents| contents_of(&contents)).ok_or_else(wrong)
}

fn contents_of(contents: &SNssaiContents) -> Snssai {
    Snssai::from_octets(contents.sst, contents.sd)
}

/// Writes an NSSAI (TS 24.501 §9.11.3.37).
pub fn nssai(slices: &[Snssai]) -> Result<NasNssai, EncodeError> {
    let slices: Vec<NasSNssai> = slices.iter().copied().map(snssai).collect();
    Ok(NasNssai::from_snssais(&slices)?)
}

/// Reads an NSSAI (TS 24.501 §9.11.3.37); entries that do not decode are left out, as a receiver
/// does.
pub fn nssai_of(ie: &NasNssai) -> Vec<Snssai> {
    ie.parse_all().iter().map(contents_of).collect()
}

/// Writes a rejected NSSAI (TS 24.501 §9.11.3.46).
pub fn rejected_nssai(slices: &[(RejectedNssaiCause, Snssai)]) -> Result<NasRejectedNssai, EncodeError> {
    let slices: Vec<_> = slices.iter().map(|&(cause, slice)| (cause, snssai(slice))).collect();
    let entries: Vec<_> = slices.iter().map(|(cause, slice)| (*cause, slice)).collect();
    Ok(NasRejectedNssai::from_entries(&entries)?)
}

/// Reads a rejected NSSAI (TS 24.501 §9.11.3.46).
pub fn rejected_nssai_of(ie: &NasRejectedNssai) -> Vec<(RejectedNssaiCause, Snssai)> {
    ie.entries().iter().map(|(cause, contents)| (*cause, contents_of(contents))).collect()
}

/// Writes an ngKSI (TS 24.501 §9.11.3.32): `None` is "no key is available".
pub fn ngksi(ksi: Option<NgKsi>) -> NasKeySetIdentifier {
    NasKeySetIdentifier::new(ksi.map_or(NgKsi::NO_KEY, NgKsi::get))
}

/// Reads an ngKSI (TS 24.501 §9.11.3.32): `None` for "no key" and for a mapped context.
pub fn ngksi_of(ie: &NasKeySetIdentifier) -> Option<NgKsi> {
    match ie.key_set_identifier() {
        KeySetIdentifier::Native(ksi) => NgKsi::new(ksi),
        _ => None,
    }
}

/// Reads 5GS DRX parameters (TS 24.501 §9.11.3.2A): the cycle in radio frames, if there is one.
pub fn drx_of(ie: &NasFGsDrxParameters) -> Option<u16> {
    match ie.drx_value()? {
        DrxValue::Cycle32 => Some(32),
        DrxValue::Cycle64 => Some(64),
        DrxValue::Cycle128 => Some(128),
        DrxValue::Cycle256 => Some(256),
        _ => None,
    }
}

/// Writes 5GS DRX parameters (TS 24.501 §9.11.3.2A) of one of these cycles: 32, 64, 128 and 256 radio frames.
pub fn drx(frames: u16) -> Option<NasFGsDrxParameters> {
    let value = match frames {
        32 => DrxValue::Cycle32,
        64 => DrxValue::Cycle64,
        128 => DrxValue::Cycle128,
        256 => DrxValue::Cycle256,
        _ => return None,
    };
    Some(NasFGsDrxParameters::from_drx_value(value))
}

/// Writes a T3512 value (TS 24.501 §9.11.2.5): what 5 bits of some unit carry, rounded down;
/// 0 deactivates the timer.
pub fn t3512(value: Duration) -> NasT3512Value {
    /// Unit in seconds and its code (TS 24.008 Table 10.5.163a).
    const UNITS: [(u64, u8); 7] =
        [(2, 3), (30, 4), (60, 5), (600, 0), (3600, 1), (36_000, 2), (1_152_000, 6)];
    let seconds = value.as_secs();
    if seconds == 0 {
        return NasT3512Value::deactivated();
    }
    // The unit that loses least; the finer one of two.
    let coded = UNITS.iter().map(|&(unit, code)| ((seconds / unit).min(31), unit, code));
    let best = coded.reduce(|a, b| if b.0 * b.1 > a.0 * a.1 { b } else { a });
    let (count, _, code) = best.unwrap_or((31, 2, 3));
    NasT3512Value::new(vec![code << 5 | count.max(1) as u8])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tai(mnc: &str, tac: u32) -> Tai {
        Tai { plmn_id: PlmnId::new("001", mnc).unwrap(), tac: Tac::new(tac).unwrap() }
    }

    #[test]
    fn tai_lists_round_trip() {
        for list in [vec![tai("01", 1)], vec![tai("01", 1), tai("01", 9), tai("001", 2)]] {
            assert_eq!(tais(&tai_list(&list).unwrap()).unwrap(), list);
        }
        assert!(tai_list(&[]).is_err());
        assert!(tai_list(&vec![tai("01", 1); 17]).is_err());
    }

    #[test]
    fn other_types_of_partial_lists_are_read() {
        let list = |hex: &str| NasFGsTrackingAreaIdentityList::new(hex::decode(hex).unwrap());
        assert_eq!(tais(&list("2200f110000001")).unwrap(), [tai("01", 1), tai("01", 2), tai("01", 3)]);
        assert_eq!(tais(&list("4100f11000000100f110000005")).unwrap(), [tai("01", 1), tai("01", 5)]);
        assert!(tais(&list("4100f110000001")).is_err());
        assert!(tais(&list("")).is_err());
    }

    #[test]
    fn service_area_lists_round_trip() {
        for allowed in [true, false] {
            let area = ServiceArea { allowed, tais: vec![tai("01", 1), tai("01", 9)] };
            let list = service_area_list(&area).unwrap();
            assert_eq!(list.value[0], if allowed { 0x01 } else { 0x81 });
            assert_eq!(service_area_of(&list).unwrap(), area);
        }
        assert!(service_area_list(&ServiceArea { allowed: true, tais: vec![] }).is_err());
        let everywhere = unrestricted_service_area_list(tai("01", 1).plmn_id);
        assert_eq!(hex::encode(&*everywhere.value), "6000f110");
        assert_eq!(service_area_of(&everywhere).unwrap(), ServiceArea { allowed: false, tais: vec![] });
    }

    #[test]
    fn timers_are_rounded_down() {
        for (seconds, back) in [(54 * 60, 50 * 60), (60, 60), (3600, 3600), (0, 0), (1, 2), (62, 62)] {
            let ie = t3512(Duration::from_secs(seconds));
            assert_eq!(ie.to_seconds().unwrap_or(0), back, "{seconds}");
        }
    }

    #[test]
    fn nssai_round_trips() {
        let slices = [Snssai::new(1, None), Snssai::new(2, Some(0x01_0203))];
        assert_eq!(nssai_of(&nssai(&slices).unwrap()), slices);
        let rejected = [(RejectedNssaiCause::NotAvailableInPlmnOrSnpn, slices[1])];
        assert_eq!(rejected_nssai_of(&rejected_nssai(&rejected).unwrap()), rejected);
        assert_eq!(ngksi_of(&ngksi(NgKsi::new(3))), NgKsi::new(3));
        assert_eq!(ngksi_of(&ngksi(None)), None);
    }
}
