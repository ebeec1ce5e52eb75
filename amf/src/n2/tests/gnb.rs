//! A gNB as plain as can be, and the messages it sends.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tern_nf::{Env, SimNetwork};
use tern_ngap::ngap::{
    BroadcastPLMNItem, BroadcastPLMNList, GlobalRANNodeID, NASPDU, NGAP_PDU, PagingDRX, RANNodeName,
    RANUENGAPID, RRCEstablishmentCause, SliceSupportItem, SliceSupportList, SupportedTAItem, SupportedTAList,
    TAC, UserLocationInformation,
};
use tern_ngap::{build_ngap, convert, decode};
use tern_sctp::{Association, ConnectOptions, Event, SctpBackend};
use tern_types::{AmfId, GlobalGnbId, GnbId, Guami, PlmnId, Snssai, Tac, Tai};

use super::super::message::{ServedAmf, SupportedPlmn};

pub const CORE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

pub fn plmn() -> PlmnId {
    PlmnId::new("001", "01").expect("digits")
}

pub fn tac() -> Tac {
    Tac::new(1).expect("24 bits")
}

pub fn served() -> ServedAmf {
    let slices = vec![Snssai::new(1, None)];
    ServedAmf {
        name: "tern-amf".into(),
        guamis: vec![Guami { plmn_id: plmn(), amf_id: AmfId::new(1, 1, 0) }],
        plmns: vec![SupportedPlmn { plmn: plmn(), slices }],
        tais: vec![Tai { plmn_id: plmn(), tac: tac() }],
        relative_capacity: 255,
    }
}

/// What an NG SETUP REQUEST says.
#[derive(Clone)]
pub struct Setup {
    pub global: GlobalGnbId,
    pub plmn: PlmnId,
    pub tac: Tac,
    pub slice: Snssai,
}

impl Setup {
    pub fn new(value: u32, bits: u8) -> Self {
        let gnb_id = GnbId::new(value, bits).expect("22 to 32 bits");
        let global = GlobalGnbId { plmn_id: plmn(), gnb_id };
        Self { global, plmn: plmn(), tac: tac(), slice: Snssai::new(1, None) }
    }

    pub fn areas(&self) -> SupportedTAList {
        let slices = SliceSupportList(vec![SliceSupportItem::new(convert::snssai(self.slice), None)]);
        let plmns = BroadcastPLMNList(vec![BroadcastPLMNItem::new(convert::plmn(self.plmn), slices, None)]);
        SupportedTAList(vec![SupportedTAItem::new(TAC(self.tac.to_octets()), plmns, None)])
    }

    pub fn request(&self) -> Bytes {
        let id: GlobalRANNodeID = convert::global_gnb_id(self.global);
        let pdu = build_ngap!(
            InitiatingMessage,
            NGSetup,
            NGSetupRequest,
            GlobalRANNodeID(id),
            RANNodeName(RANNodeName("gnb".into())),
            SupportedTAList(self.areas()),
            DefaultPagingDRX(PagingDRX::v64),
        );
        encode(&pdu.expect("builds"))
    }
}

pub fn encode(pdu: &NGAP_PDU) -> Bytes {
    tern_ngap::encode(pdu).expect("encodes")
}

pub fn initial_ue_message(ran: u32) -> Bytes {
    let global = Setup::new(1, 32).global;
    let location = convert::NrLocation {
        tai: Tai { plmn_id: global.plmn_id, tac: tac() },
        cell_plmn: global.plmn_id,
        nr_cell_id: 0x10,
    };
    let location: UserLocationInformation = convert::user_location(location);
    let pdu = build_ngap!(
        InitiatingMessage,
        InitialUEMessage,
        InitialUEMessage,
        RAN_UE_NGAP_ID(RANUENGAPID(ran)),
        NAS_PDU(NASPDU(vec![0x7e, 0, 0x41].into())),
        UserLocationInformation(location),
        RRCEstablishmentCause(RRCEstablishmentCause::mo_Signalling),
    );
    encode(&pdu.expect("builds"))
}

/// The environment of N2, and the network that gNBs come from.
pub fn env() -> (Env, SimNetwork) {
    let network = SimNetwork::new(1);
    let mut env = Env::simulated(1, &network);
    env.sctp = network.sctp.endpoint(vec![CORE]);
    (env, network)
}

/// A gNB's association.
pub struct Gnb(pub Association);

impl Gnb {
    pub async fn connect(host: &Arc<impl SctpBackend + 'static>, port: u16) -> Self {
        let mut options = ConnectOptions::new(vec![(CORE, tern_ngap::PORT).into()]);
        options.local_port = port;
        Self(host.connect(options).await.expect("connect"))
    }

    pub async fn send(&self, stream: u16, pdu: Bytes) {
        self.0.send(pdu, stream, tern_ngap::PPID, false).await.expect("send");
    }

    pub async fn receive(&mut self) -> (u16, NGAP_PDU) {
        let receiving = tokio::time::timeout(Duration::from_secs(60), self.0.recv());
        match receiving.await.expect("an answer") {
            Event::Message(message) => {
                assert_eq!(message.ppid, 60);
                (message.stream, decode(&message.data).expect("decodes"))
            }
            other => panic!("a message, not {other:?}"),
        }
    }

    pub async fn lost(&mut self) -> tern_sctp::LostCause {
        loop {
            if let Event::Lost(cause) = self.0.recv().await {
                return cause;
            }
        }
    }
}

/// Runs on a paused clock.
pub fn paused(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.expect("runtime").block_on(test);
}
