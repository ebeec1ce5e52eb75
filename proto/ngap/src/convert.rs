//! Identities: from and to the IEs of TS 38.413 §9.3.
//!
//! A PLMN identity has its digits in the order of TS 38.413 §9.3.3.5, which differs from the NAS
//! order where the MNC has three digits.

use oxirush_ngap::helpers;
use oxirush_ngap::ngap::{
    AllowedNSSAI, AllowedNSSAIItem, AllowedTACs, FiveGSTMSI, GNBID, GUAMI, GlobalRANNodeID, NRCGI,
    NRCellIdentity, NotAllowedTACs, PLMNIdentity, SNSSAI, ServiceAreaInformation, ServiceAreaInformationItem,
    TAC, TAI, UEAggregateMaximumBitRate, UserLocationInformation, UserLocationInformationNR,
};
use oxirush_ngap::{Bits, ngap};
use tern_types::{
    Ambr, AmfId, BitRate, GlobalGnbId, GnbId, Guami, PlmnId, STmsi5g, ServiceArea, Snssai, Tac, Tai,
};

use crate::DecodeError;

/// Largest bit rate that NGAP carries, in bits per second (TS 38.413 §9.3.1.4).
pub const BIT_RATE_MAX: u64 = 4_000_000_000_000;

/// Writes a PLMN identity (§9.3.3.5).
pub fn plmn(plmn: PlmnId) -> PLMNIdentity {
    helpers::plmn(plmn.mcc(), plmn.mnc()).expect("invariant: a PlmnId has three and two or three digits")
}

/// Reads a PLMN identity (§9.3.3.5).
pub fn plmn_id(identity: &PLMNIdentity) -> Result<PlmnId, DecodeError> {
    let wrong = || DecodeError::value("PLMN Identity", format_args!("{:02x?} are no digits", identity.0));
    let (mcc, mnc) = helpers::plmn_from(identity).ok_or_else(wrong)?;
    PlmnId::new(&mcc, &mnc).map_err(|_| wrong())
}

/// Writes a TAI (§9.3.3.11).
pub fn tai(tai: Tai) -> TAI {
    TAI::new(plmn(tai.plmn_id), TAC(tai.tac.to_octets()), None)
}

/// Reads a TAI (§9.3.3.11).
pub fn tai_of(ie: &TAI) -> Result<Tai, DecodeError> {
    Ok(Tai { plmn_id: plmn_id(&ie.plmn_identity)?, tac: Tac::from_octets(ie.tac.0) })
}

/// Writes the Service Area Information of one network (§9.3.1.85): the caller keeps it to 16 areas of it.
pub fn service_area(plmn_id: PlmnId, area: &ServiceArea) -> ServiceAreaInformation {
    let tacs = || area.tais.iter().map(|tai| TAC(tai.tac.to_octets())).collect();
    let (allowed, not_allowed) =
        if area.allowed { (Some(AllowedTACs(tacs())), None) } else { (None, Some(NotAllowedTACs(tacs()))) };
    ServiceAreaInformation(vec![ServiceAreaInformationItem::new(plmn(plmn_id), allowed, not_allowed, None)])
}

/// Reads the Service Area Information of the first network (§9.3.1.85).
pub fn service_area_of(ie: &ServiceAreaInformation) -> Result<ServiceArea, DecodeError> {
    let wrong = |what| DecodeError::value("Service Area Information", what);
    let item = ie.0.first().ok_or_else(|| wrong("empty"))?;
    let plmn_id = plmn_id(&item.plmn_identity)?;
    let (allowed, tacs) = match (&item.allowed_tacs, &item.not_allowed_tacs) {
        (Some(tacs), None) => (true, &tacs.0),
        (None, Some(tacs)) => (false, &tacs.0),
        _ => return Err(wrong("neither allowed nor not allowed areas, or both")),
    };
    let tais = tacs.iter().map(|tac| Tai { plmn_id, tac: Tac::from_octets(tac.0) }).collect();
    Ok(ServiceArea { allowed, tais })
}

/// Writes an S-NSSAI (§9.3.1.24).
pub fn snssai(snssai: Snssai) -> SNSSAI {
    helpers::s_nssai(snssai.sst(), snssai.sd_octets())
}

/// Reads an S-NSSAI (§9.3.1.24).
pub fn snssai_of(ie: &SNSSAI) -> Snssai {
    let [sst] = ie.sst.0;
    Snssai::from_octets(sst, ie.sd.as_ref().map(|sd| sd.0))
}

/// Writes an Allowed NSSAI (§9.3.1.31): the caller keeps it to 8 entries.
pub fn allowed_nssai(slices: &[Snssai]) -> AllowedNSSAI {
    AllowedNSSAI(slices.iter().map(|&slice| AllowedNSSAIItem::new(snssai(slice), None)).collect())
}

/// Reads an Allowed NSSAI (§9.3.1.31).
pub fn allowed_nssai_of(ie: &AllowedNSSAI) -> Vec<Snssai> {
    ie.0.iter().map(|item| snssai_of(&item.s_nssai)).collect()
}

/// Writes a GUAMI (§9.3.3.3).
pub fn guami(guami: Guami) -> GUAMI {
    let id = guami.amf_id;
    helpers::guami(plmn(guami.plmn_id), id.region, id.set(), id.pointer())
        .expect("invariant: an AmfId's set has 10 and its pointer 6 bits")
}

/// Reads a GUAMI (§9.3.3.3).
pub fn guami_of(ie: &GUAMI) -> Result<Guami, DecodeError> {
    let amf_id = AmfId::new(
        ie.amf_region_id.0.value() as u8,
        ie.amf_set_id.0.value() as u16,
        ie.amf_pointer.0.value() as u8,
    );
    Ok(Guami { plmn_id: plmn_id(&ie.plmn_identity)?, amf_id })
}

/// Writes a 5G-S-TMSI (§9.3.3.20).
pub fn s_tmsi(id: STmsi5g) -> FiveGSTMSI {
    FiveGSTMSI::new(
        ngap::AMFSetID(Bits::low(u64::from(id.amf_set), 10)),
        ngap::AMFPointer(Bits::low(u64::from(id.amf_pointer), 6)),
        ngap::FiveGTMSI(id.tmsi.to_be_bytes()),
        None,
    )
}

/// Reads a 5G-S-TMSI (§9.3.3.20).
pub fn s_tmsi_of(ie: &FiveGSTMSI) -> STmsi5g {
    STmsi5g {
        amf_set: ie.amf_set_id.0.value() as u16,
        amf_pointer: ie.amf_pointer.0.value() as u8,
        tmsi: u32::from_be_bytes(ie.five_g_tmsi.0),
    }
}

/// Writes the Global RAN Node ID of a gNB (§9.3.1.5).
pub fn global_gnb_id(id: GlobalGnbId) -> GlobalRANNodeID {
    let gnb = helpers::global_gnb_id(plmn(id.plmn_id), id.gnb_id.value(), u32::from(id.gnb_id.bits()))
        .expect("invariant: a GnbId fits its 22 to 32 bits");
    GlobalRANNodeID::globalGNB_ID(gnb)
}

/// Reads the Global RAN Node ID of a gNB (§9.3.1.5); other kinds of node are refused.
pub fn global_gnb_id_of(ie: &GlobalRANNodeID) -> Result<GlobalGnbId, DecodeError> {
    const WHAT: &str = "Global RAN Node ID";
    let GlobalRANNodeID::globalGNB_ID(gnb) = ie else {
        return Err(DecodeError::value(WHAT, "not of a gNB"));
    };
    let GNBID::gNB_ID(bits) = &gnb.gnb_id else {
        return Err(DecodeError::value(WHAT, "a gNB ID of an unknown kind"));
    };
    let gnb_id =
        GnbId::new(bits.value() as u32, bits.len() as u8).map_err(|error| DecodeError::value(WHAT, error))?;
    Ok(GlobalGnbId { plmn_id: plmn_id(&gnb.plmn_identity)?, gnb_id })
}

/// Where a UE is: its tracking area and cell (TS 38.413 §9.3.1.16, NR).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NrLocation {
    /// Tracking area.
    pub tai: Tai,
    /// The cell's network.
    pub cell_plmn: PlmnId,
    /// NR cell identity, 36 bits.
    pub nr_cell_id: u64,
}

/// Writes a User Location Information (§9.3.1.16).
pub fn user_location(location: NrLocation) -> UserLocationInformation<'static> {
    let cell = NRCellIdentity(Bits::low(location.nr_cell_id & 0xf_ffff_ffff, 36));
    let cgi = NRCGI::new(plmn(location.cell_plmn), cell, None);
    let nr = UserLocationInformationNR::new(cgi, tai(location.tai), None, None);
    UserLocationInformation::userLocationInformationNR(nr)
}

/// Reads a User Location Information (§9.3.1.16) of NR; other accesses are refused.
pub fn user_location_of(ie: &UserLocationInformation<'_>) -> Result<NrLocation, DecodeError> {
    let UserLocationInformation::userLocationInformationNR(nr) = ie else {
        return Err(DecodeError::value("User Location Information", "not of NR"));
    };
    Ok(NrLocation {
        tai: tai_of(&nr.tai)?,
        cell_plmn: plmn_id(&nr.nr_cgi.plmn_identity)?,
        nr_cell_id: nr.nr_cgi.nr_cell_identity.0.value(),
    })
}

/// A bit rate as NGAP carries it: bits per second, at most [`BIT_RATE_MAX`].
pub fn bit_rate(rate: BitRate) -> ngap::BitRate {
    ngap::BitRate(rate.bps().min(BIT_RATE_MAX))
}

/// Writes a UE Aggregate Maximum Bit Rate (§9.3.1.58).
pub fn ue_ambr(ambr: Ambr) -> UEAggregateMaximumBitRate {
    UEAggregateMaximumBitRate::new(bit_rate(ambr.downlink), bit_rate(ambr.uplink), None)
}

/// Reads a UE Aggregate Maximum Bit Rate (§9.3.1.58).
pub fn ue_ambr_of(ie: &UEAggregateMaximumBitRate) -> Ambr {
    Ambr {
        downlink: BitRate::from_bps(ie.ue_aggregate_maximum_bit_rate_dl.0),
        uplink: BitRate::from_bps(ie.ue_aggregate_maximum_bit_rate_ul.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plmn_order_is_the_one_of_ngap() {
        let three = PlmnId::new("310", "410").unwrap();
        assert_eq!(plmn(three).0, [0x13, 0x40, 0x01]);
        assert_eq!(plmn_id(&plmn(three)).unwrap(), three);
        let two = PlmnId::new("001", "01").unwrap();
        assert_eq!(plmn(two).0, two.to_octets());
        assert!(plmn_id(&PLMNIdentity([0xff; 3])).is_err());
    }

    #[test]
    fn identities_round_trip() {
        let plmn_id = PlmnId::new("999", "070").unwrap();
        let guami_in = Guami { plmn_id, amf_id: AmfId::new(0xca, 0x3fe, 0x21) };
        assert_eq!(guami_of(&guami(guami_in)).unwrap(), guami_in);
        let tmsi = STmsi5g { amf_set: 0x3fe, amf_pointer: 0x21, tmsi: 0xdead_beef };
        assert_eq!(s_tmsi_of(&s_tmsi(tmsi)), tmsi);
        let area = Tai { plmn_id, tac: Tac::new(0x01_0203).unwrap() };
        assert_eq!(tai_of(&tai(area)).unwrap(), area);
        for slice in [Snssai::new(1, None), Snssai::new(2, Some(0x01_0203))] {
            assert_eq!(snssai_of(&snssai(slice)), slice);
        }
        for bits in 22..=32u8 {
            let value = (u32::MAX >> (32 - bits)) ^ 2;
            let id = GlobalGnbId { plmn_id, gnb_id: GnbId::new(value, bits).unwrap() };
            assert_eq!(global_gnb_id_of(&global_gnb_id(id)).unwrap(), id);
        }
        let location = NrLocation { tai: area, cell_plmn: plmn_id, nr_cell_id: 0x1_2345_6789 };
        assert_eq!(user_location_of(&user_location(location)).unwrap(), location);
    }
}
