//! A sample of each model, with all attributes that the model knows, in the spelling that the
//! model writes.

mod nrf;
mod policy;
mod session;
mod subscriber;

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tern_sbi::direct;

/// One body and what it is by the official files.
pub struct Sample {
    /// `{file, schema, body}`, as the checker reads it.
    pub case: Value,
    /// The body.
    pub body: Value,
    /// The model's type.
    pub model: &'static str,
    /// Reads it as its model.
    pub decode: fn(&[u8]) -> bool,
    /// The same of the direct form.
    pub decode_direct: fn(&[u8]) -> bool,
    /// The model in the direct form, which reads back as the same model.
    pub direct: Vec<u8>,
}

/// Reads `body` as `T`, and finds that nothing of it was lost or changed.
fn sample<T: Serialize + DeserializeOwned + PartialEq + Debug>(
    file: &str,
    schema: &str,
    body: Value,
) -> Sample {
    let model: T = serde_json::from_value(body.clone()).unwrap_or_else(|error| panic!("{schema}: {error}"));
    let written = serde_json::to_value(&model).expect("plain JSON");
    assert_eq!(written, body, "{schema}");
    let case = json!({ "file": file, "schema": schema, "body": body });
    let mut octets = Vec::new();
    direct::write(&model, &mut octets).expect("maps, lists and scalars");
    assert_eq!(direct::read::<T>(&octets).as_ref(), Ok(&model), "{schema}");
    Sample {
        case,
        body,
        model: std::any::type_name::<T>(),
        decode: |json| serde_json::from_slice::<T>(json).is_ok(),
        decode_direct: |octets| direct::read::<T>(octets).is_ok(),
        direct: octets,
    }
}

/// All samples.
pub fn all() -> Vec<Sample> {
    let mut all = nrf::samples();
    all.extend(subscriber::samples());
    all.extend(session::samples());
    all.extend(policy::samples());
    all
}

const ID: &str = "f4b2a6c0-0d0e-4a6b-9a3e-5d3f0c1b2a39";
const TIME: &str = "2026-01-31T12:00:00.000000Z";

fn plmn() -> Value {
    json!({"mcc": "001", "mnc": "01"})
}

fn tai() -> Value {
    json!({"plmnId": plmn(), "tac": "000001"})
}

fn guami() -> Value {
    json!({"plmnId": plmn(), "amfId": "010040"})
}

fn snssai() -> Value {
    json!({"sst": 1, "sd": "010203"})
}

fn arp() -> Value {
    json!({"priorityLevel": 8, "preemptCap": "NOT_PREEMPT", "preemptVuln": "PREEMPTABLE"})
}

fn ambr() -> Value {
    json!({"uplink": "100 Mbps", "downlink": "1 Gbps"})
}

fn user_location() -> Value {
    json!({"nrLocation": {
        "tai": tai(),
        "ncgi": {"plmnId": plmn(), "nrCellId": "000000010"},
        "ageOfLocationInformation": 3,
        "ueLocationTimestamp": TIME,
        "globalGnbId": {"plmnId": plmn(), "gNbId": {"bitLength": 24, "gNBValue": "000001"}}
    }})
}

fn service_area_restriction() -> Value {
    json!({"restrictionType": "ALLOWED_AREAS", "maxNumOfTAs": 4,
        "areas": [{"tacs": ["000001"]}, {"areaCode": "north"}]})
}
