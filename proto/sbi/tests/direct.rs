//! The direct form: what it keeps, what it passes over, what it refuses.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use bytes::Bytes;
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tern_sbi::common::{
    AccessType, Link, LinksValue, NfType, Octets, PatchItem, PlmnIdNid, RatType, Secret, ServiceName,
};
use tern_sbi::direct::{self, Fault, NAMES};
use tern_sbi::nnrf_nfm::SubscrCond;
use tern_sbi::nsmf_pdusession::{PostSmContexts, SmContextCreateData, UpdateSmContext};
use tern_sbi::{
    Body, Content, Headers, JSON_LEN_MAX, Method, Operation, Part, PartKind, PathParams, ProblemDetails,
    Reply, Request, cause,
};
use tern_types::Duration;

use crate::{oracle, samples};

fn write<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut octets = Vec::new();
    direct::write(value, &mut octets).unwrap();
    octets
}

fn read<T: DeserializeOwned>(octets: &[u8]) -> Result<T, Fault> {
    direct::read(octets).map_err(|error| error.fault)
}

/// Written and read it is the same, and of the same JSON.
fn same<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) -> Vec<u8> {
    let octets = write(value);
    assert_eq!(direct::read::<T>(&octets).as_ref(), Ok(value));
    let json = serde_json::to_value(value).unwrap();
    assert_eq!(direct::read::<Value>(&octets), Ok(json));
    octets
}

fn number(name: &str) -> u8 {
    let place = NAMES.iter().position(|own| *own == name).unwrap();
    u8::try_from(place).ok().filter(|place| *place < 24).unwrap()
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Everything {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dnn: Option<String>,
    supi: u64,
    #[serde(skip)]
    not_sent: u8,
    tac: i64,
    #[serde(rename = "cause")]
    renamed: Shape,
    status: f64,
    title: Option<bool>,
    by_number: BTreeMap<u8, char>,
    #[serde(default)]
    absent: Vec<u8>,
    tuple: (u8, String),
    unit: (),
    rest: Box<Rest>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Shape {
    Unit,
    Newtype(u32),
    Tuple(u8, u8),
    Struct { dnn: String },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "error")]
enum Tagged {
    #[serde(rename = "a")]
    A { supi: String },
    #[serde(rename = "b")]
    B { supi: u8 },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Rest {
    tagged: Vec<Tagged>,
    /// Keeps what it does not know.
    #[serde(flatten)]
    more: BTreeMap<String, Value>,
}

fn everything(renamed: Shape) -> Everything {
    Everything {
        dnn: None,
        supi: u64::MAX,
        not_sent: 0,
        tac: i64::MIN,
        renamed,
        status: -0.1,
        title: None,
        by_number: [(7, 'é'), (200, 'x')].into(),
        absent: vec![0, 255],
        tuple: (1, "two".into()),
        unit: (),
        rest: Box::new(Rest {
            tagged: vec![Tagged::A { supi: "x".into() }, Tagged::B { supi: 3 }],
            more: [("mcc".into(), json!({"deep": [1, -1, null, true, "", 1.5]}))].into(),
        }),
    }
}

#[test]
fn every_shape_that_serde_knows_is_kept() {
    let shapes =
        [Shape::Unit, Shape::Newtype(1 << 20), Shape::Tuple(1, 2), Shape::Struct { dnn: "internet".into() }];
    for shape in shapes {
        same(&everything(shape));
    }
    same(&i64::from(i32::MIN));
    same(&vec![Some(0u16), None, Some(u16::MAX)]);
}

/// RFC 8949 §3: what another encoder may write.
#[test]
fn other_encodings_of_the_same_value_are_read() {
    assert_eq!(read(&[0x7f, 0x61, b'a', 0x62, b'b', b'c', 0xff]), Ok("abc".to_owned()));
    assert_eq!(read(&[0x9f, 0x01, 0x18, 0x02, 0xff]), Ok(vec![1, 2]));
    assert_eq!(read(&[0xbf, 0x61, b'a', 0x1b, 0, 0, 0, 0, 0, 0, 0, 7, 0xff]), Ok(json!({"a": 7})));
    assert_eq!(read(&[0xd8, 0x20, 0xc1, 0x61, b'a']), Ok("a".to_owned()));
    assert_eq!(read(&[0xf9, 0x3e, 0x00]), Ok(1.5));
    assert_eq!(read(&[0xf9, 0x80, 0x01]), Ok(-(2f64.powi(-24))));
    assert_eq!(read::<f64>(&[0xf9, 0xfc, 0x00]), Ok(f64::NEG_INFINITY));
    assert_eq!(read(&[0xfa, 0x47, 0xc3, 0x50, 0x00]), Ok(100_000.0));
    assert_eq!(read::<Option<u8>>(&[0xf7]), Ok(None));
    assert_eq!(read(&[0x3b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), Ok(-(2f64.powi(64))));
}

#[test]
fn numbers_stand_for_names_and_skipped_fields_leave_no_trace() {
    let create = ProblemDetails { cause: Some("X".into()), ..ProblemDetails::default() };
    assert_eq!(write(&create), [0xa1, number("cause"), 0x61, b'X']);
    let create = ProblemDetails { status: Some(1), ..create };
    assert_eq!(write(&create), [0xa2, number("status"), 0x01, number("cause"), 0x61, b'X']);
    // A name without a number.
    assert_eq!(
        write(&Tagged::B { supi: 1 }),
        [&[0xa2][..], &[number("error"), 0x61, b'b', number("supi"), 1]].concat()
    );
}

/// With places in a struct for numbers, all of these would be `{0: "AMF"}`.
#[test]
fn variants_that_differ_by_name_alone_are_told_apart() {
    for condition in [
        SubscrCond::NfType { nf_type: NfType::Amf },
        SubscrCond::ServiceName { service_name: ServiceName::Other("AMF".into()) },
        SubscrCond::Amf { amf_set_id: Some("AMF".into()), amf_region_id: None },
        SubscrCond::Amf { amf_set_id: None, amf_region_id: Some("AMF".into()) },
    ] {
        same(&condition);
    }
    same(&LinksValue::to("http://a".into()));
    same(&LinksValue::Many(vec![Link { href: None }, Link { href: Some("http://a".into()) }]));
    same(&PlmnIdNid { nid: Some("00000000001".into()), ..PlmnIdNid::new("001-01".parse().unwrap()) });
}

#[test]
fn unknown_attributes_are_passed_over_or_kept_as_in_json() {
    let unknown = u16::try_from(NAMES.len() + 7).unwrap().to_be_bytes();
    let mut octets = vec![0xa4, 0x19, unknown[0], unknown[1], 0x9f, 0xa1, 0x01, 0x02, 0xff];
    // A known name that this model does not have, then one that nobody has.
    octets.extend([number("mcc"), 0x42, 1, 2, 0x63, b'n', b'e', b'w', 0xf6]);
    octets.extend([number("cause"), 0x61, b'X']);
    let problem: ProblemDetails = read(&octets).unwrap();
    assert_eq!(problem, ProblemDetails { cause: Some("X".into()), ..ProblemDetails::default() });
    // A type that keeps them has them by name; a number without a name is one of its own.
    let kept: BTreeMap<String, Value> = read(&octets).unwrap();
    let unknown = format!("#{}", NAMES.len() + 7);
    assert_eq!(kept["mcc"], "0102");
    assert_eq!(kept["new"], Value::Null);
    assert_eq!(kept[&unknown], json!([{NAMES[1]: 2}]));
}

#[test]
fn null_is_accepted_where_json_accepts_it() {
    let null = |name| [0xa2, number("cause"), 0x61, b'X', number(name), 0xf6];
    assert_eq!(read::<ProblemDetails>(&null("status")).unwrap().status, None);
    assert!(matches!(read::<SmContextCreateData>(&null("supi")), Err(Fault::Data(_))));
    let item: PatchItem = serde_json::from_value(json!({"op": "add", "path": "/a", "value": null})).unwrap();
    assert_eq!(item.value, Some(Value::Null));
    same(&item);
    let without: PatchItem = serde_json::from_value(json!({"op": "remove", "path": "/a"})).unwrap();
    same(&without);
}

#[test]
fn open_enumerations_keep_a_text_that_they_do_not_know() {
    same(&RatType::Other("NEW_RAT".into()));
    same(&AccessType::NonThreeGpp);
    assert!(matches!(read::<AccessType>(&[0x61, b'x']), Err(Fault::Data(_))));
}

#[test]
fn octets_are_byte_strings_and_may_be_text() {
    let octets = Octets([0x00, 0xab, 0xff]);
    assert_eq!(same(&octets), [0x43, 0x00, 0xab, 0xff]);
    assert_eq!(same(&Secret::new([1, 2])), [0x42, 1, 2]);
    assert_eq!(read(b"\x6600ABff"), Ok(octets));
    assert_eq!(read(&[0x5f, 0x41, 0x00, 0x42, 0xab, 0xff, 0xff]), Ok(octets));
    let refused = |octets: &[u8]| matches!(read::<Octets<3>>(octets), Err(Fault::Data(_)));
    assert!(refused(&[0x42, 0, 0]) && refused(b"\x6600abfg") && refused(&[0x01]) && refused(&[0xf6]));
    // To a type that wants text, they are their digits.
    assert_eq!(read(&[0x43, 0x00, 0xab, 0xff]), Ok("00abff".to_owned()));
}

#[test]
fn nesting_lengths_and_size_are_bounded() {
    let nested = |depth: usize| [vec![0x81; depth], vec![0x80]].concat();
    assert!(read::<Value>(&nested(127)).is_ok());
    assert_eq!(read::<Value>(&nested(128)), Err(Fault::Nesting));
    assert_eq!(read::<Value>(&vec![0x9f; 1 << 20]), Err(Fault::Nesting));
    // Also where nobody asks for the value.
    let ignored = [&[0xa1, number("mcc")][..], &nested(100_000)].concat();
    assert_eq!(read::<ProblemDetails>(&ignored), Err(Fault::Nesting));
    for announced in [
        &[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01][..],
        &[0xbb, 0, 0, 0, 1, 0, 0, 0, 0, 0x61],
        &[0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[0x7a, 0xff, 0xff, 0xff, 0xff, b'a'],
        &[0x5f, 0x5a, 0xff, 0xff, 0xff, 0xff],
    ] {
        assert_eq!(read::<Value>(announced), Err(Fault::Truncated), "{announced:02x?}");
        let ignored = [&[0xa1, number("mcc")][..], announced].concat();
        assert_eq!(read::<ProblemDetails>(&ignored), Err(Fault::Truncated), "{announced:02x?}");
    }
    let long = write(&"x".repeat(JSON_LEN_MAX));
    let problem = Content::direct(long.into()).read::<Value>().unwrap_err();
    assert_eq!((problem.status, problem.cause), (Some(413), None));
}

#[test]
fn what_is_malformed_is_named_with_its_offset() {
    for (octets, fault, at) in [
        (&[][..], Fault::Truncated, 0),
        (&[0x82, 0x01], Fault::Truncated, 1),
        (&[0x81, 0x1c], Fault::Reserved, 1),
        (&[0x81, 0xff], Fault::Reserved, 1),
        (&[0x81, 0xf0], Fault::Reserved, 1),
        (&[0x81, 0x62, 0xc3, 0x28], Fault::Utf8, 4),
        (&[0x81, 0x7f, 0x41, 0x00, 0xff], Fault::Reserved, 3),
        (&[0xa1, 0x20, 0x01], Fault::Key, 1),
        (&[0xa1, 0x81, 0x01, 0x01], Fault::Key, 1),
        (&[0x01, 0x02], Fault::Trailing, 1),
    ] {
        let error = direct::read::<Value>(octets).unwrap_err();
        assert_eq!((error.fault, error.at), (fault, Some(at)), "{octets:02x?}");
    }
    let error = direct::read::<(u8, u8)>(&[0x83, 1, 2, 3]).unwrap_err();
    assert_eq!((error.fault, error.at), (Fault::Surplus, Some(3)));
    let error = direct::read::<(u8, u8)>(&[0x82, 1, 0x61, b'x']).unwrap_err();
    assert_eq!(error.to_string(), "invalid type: string \"x\", expected u8 at offset 4");
}

/// All that HTTP carries, and nothing that it does not.
fn requests() -> Vec<Request> {
    let part =
        |id: &str, kind, data: &'static [u8]| Part { id: id.into(), kind, data: Bytes::from_static(data) };
    let parts = vec![part("n1", PartKind::Nas, b"\x7e\x00"), part("a b", PartKind::Ngap, b"")];
    let full = Headers {
        max_response_time: Some(Duration::from_millis(2500)),
        priority: Some(31),
        if_match: Some("\"1\"".into()),
        if_none_match: Some("*".into()),
    };
    let json = || Content::from("{\"a\":1}");
    let model = || Content::of(json!({"supi": [null, 1.5], "x": {}}));
    let bodies = vec![
        Body::Empty,
        Body::Json(json()),
        Body::Json("not JSON\u{0}".into()),
        Body::Json(vec![0xff, 0xfe].into()),
        Body::Hal(model()),
        Body::Problem(model()),
        Body::MergePatch(model()),
        Body::JsonPatch(json()),
        Body::Related { json: model(), parts: parts.clone() },
        Body::Related { json: json(), parts },
        Body::Related { json: json(), parts: Vec::new() },
    ];
    let methods = [Method::Get, Method::Post, Method::Put, Method::Patch, Method::Delete];
    let query = vec![("a".into(), "1 & é".into()), ("a".into(), String::new())];
    let requests = bodies.into_iter().zip(methods.into_iter().cycle()).enumerate();
    let request = |(index, (body, method))| Request {
        method,
        path: "/nausf-auth/v1/a%2Fb".into(),
        query: if index % 2 == 0 { query.clone() } else { Vec::new() },
        headers: if index % 3 == 0 { full.clone() } else { Headers::default() },
        body,
    };
    requests.map(request).collect()
}

fn replies() -> Vec<Reply> {
    let reply = |request: Request| Reply {
        location: request.headers.if_match.clone(),
        retry_after: request.headers.priority.map(|_| Duration::from_secs(3)),
        etag: request.headers.if_none_match.clone(),
        max_age: request.headers.max_response_time.map(|_| Duration::from_secs(60)),
        body: request.body,
        ..Reply::empty(if request.query.is_empty() { 503 } else { 201 })
    };
    requests().into_iter().map(reply).collect()
}

#[test]
fn requests_and_replies_arrive_as_they_were_sent() {
    for request in requests() {
        let mut octets = Vec::new();
        direct::write_request(&request, &mut octets);
        let read = direct::read_request(octets.into()).unwrap();
        assert_eq!(read, request);
        // Again, as it came.
        let mut again = Vec::new();
        direct::write_request(&read, &mut again);
        assert_eq!(direct::read_request(again.into()), Ok(request));
    }
    for reply in replies() {
        let mut octets = Vec::new();
        direct::write_reply(&reply, &mut octets);
        assert_eq!(direct::read_reply(octets.into()), Ok(reply));
    }
}

#[test]
fn content_and_parts_are_not_copied() {
    let Some(request) = requests().into_iter().find(|request| request.body.parts().len() == 2) else {
        panic!()
    };
    let mut octets = Vec::new();
    direct::write_request(&request, &mut octets);
    let octets = Bytes::from(octets);
    let read = direct::read_request(octets.clone()).unwrap();
    assert!(octets.as_ptr_range().contains(&read.body.parts()[0].data.as_ptr()));
}

#[test]
fn empty_text_and_odd_times_are_as_over_http() {
    let sent = Reply {
        retry_after: Some(Duration::from_millis(10)),
        max_age: Some(Duration::from_millis(1999)),
        body: Body::Json("".into()),
        ..Reply::empty(200)
    };
    let mut octets = Vec::new();
    direct::write_reply(&sent, &mut octets);
    let read = direct::read_reply(octets.into()).unwrap();
    let (second, body) = (Some(Duration::from_secs(1)), Body::Empty);
    assert_eq!(read, Reply { retry_after: second, max_age: second, body, ..sent });
}

#[test]
fn requests_beyond_the_limits_are_refused() {
    let refused = |request: &Request| {
        let mut octets = Vec::new();
        direct::write_request(request, &mut octets);
        direct::read_request(octets.into()).map(drop).map_err(|error| error.fault)
    };
    let request = requests().swap_remove(0);
    let parameters = |count| vec![("a".to_owned(), "b".to_owned()); count];
    let with = |count| Request { query: parameters(count), ..request.clone() };
    assert_eq!(refused(&with(direct::QUERY_PARAMETERS_MAX)), Ok(()));
    assert!(matches!(refused(&with(direct::QUERY_PARAMETERS_MAX + 1)), Err(Fault::Limit(_))));
    let long = |len| Request { path: "x".repeat(len), ..request.clone() };
    assert_eq!(refused(&long(direct::HEADER_LEN_MAX - 100)), Ok(()));
    assert!(matches!(refused(&long(direct::HEADER_LEN_MAX)), Err(Fault::Limit(_))));
    let part = Part { id: "n1".into(), kind: PartKind::Nas, data: Bytes::new() };
    let parts = |count| Request {
        body: Body::Related { json: "{}".into(), parts: vec![part.clone(); count] },
        ..request.clone()
    };
    assert_eq!(refused(&parts(direct::PARTS_MAX)), Ok(()));
    assert!(matches!(refused(&parts(direct::PARTS_MAX + 1)), Err(Fault::Limit(_))));
    let status = |status| {
        let mut octets = Vec::new();
        direct::write_reply(&Reply::empty(status), &mut octets);
        direct::read_reply(octets.into()).map(|reply| reply.status).map_err(|error| error.fault)
    };
    assert_eq!((status(100), status(999)), (Ok(100), Ok(999)));
    assert!(status(99).is_err() && status(1000).is_err());
}

/// Content that is wrong is the operation's to refuse, as over HTTP.
#[test]
fn when_content_is_garbage_then_the_operation_refuses_it() {
    let sent = Request {
        body: Body::Json(Content::direct(Bytes::from_static(&[0xa1, 0x00]))),
        ..requests().swap_remove(1)
    };
    let mut octets = Vec::new();
    direct::write_request(&sent, &mut octets);
    let read = direct::read_request(octets.into()).unwrap();
    assert_eq!(read.body.json(), None);
    let refusal = PostSmContexts::from_request(&PathParams::default(), &read).unwrap_err();
    assert_eq!((refusal.status, refusal.cause.as_deref()), (Some(400), Some(cause::INVALID_MSG_FORMAT)));
}

#[test]
fn content_is_equal_by_its_json() {
    let text = Content::from("{\"cause\":\"X\"}");
    let model = Content::of(ProblemDetails { cause: Some("X".into()), ..ProblemDetails::default() });
    let received = Content::direct(vec![0xa1, number("cause"), 0x61, b'X'].into());
    assert!(text == model && model == received && received == text);
    assert_eq!(format!("{received:?}"), "b\"{\\\"cause\\\":\\\"X\\\"}\"");
    assert_ne!(text, Content::from("{}"));
    let garbage = |octet| Content::direct(vec![octet].into());
    assert!(garbage(0xff) == garbage(0xff) && garbage(0xff) != garbage(0xfe) && garbage(0xff) != text);
    assert_eq!(model.clone().into_written(), model);
}

/// Keys of the samples that are text: those of objects with free keys and of values that may be anything, and `mcc` and `mnc` where
/// they are flattened into another object.
const TEXT_KEYS: [&str; 21] = [
    "1",
    "1-010203",
    "5g-aka",
    "a",
    "ausf",
    "downlink",
    "eap-session",
    "gone",
    "internet",
    "item",
    "location",
    "mcc",
    "mnc",
    "p",
    "q",
    "s",
    "self",
    "subscribedUeAmbr",
    "t",
    "ternNode",
    "uplink",
];

#[test]
fn every_attribute_of_the_models_has_a_number() {
    let mut texts = BTreeSet::new();
    for sample in samples::all() {
        collect_text_keys(&mut sample.direct.as_slice(), &mut texts);
    }
    let expected: BTreeSet<String> = TEXT_KEYS.iter().map(|key| (*key).to_owned()).collect();
    assert_eq!(texts, expected, "attributes are to be appended to NAMES");
}

/// Collects the keys of maps that are text in one well-formed item.
fn collect_text_keys(octets: &mut &[u8], keys: &mut BTreeSet<String>) {
    let initial = octets[0];
    let (major, info) = (initial >> 5, initial & 0x1f);
    let (argument, len) = match info {
        0..24 => (Some(u64::from(info)), 1),
        31 => (None, 1),
        _ => {
            let len = 1 << (info - 24);
            let argument = octets[1..=len].iter().fold(0, |value, octet| value << 8 | u64::from(*octet));
            (Some(argument), 1 + len)
        }
    };
    *octets = &octets[len..];
    match major {
        2 | 3 => *octets = &octets[usize::try_from(argument.unwrap()).unwrap()..],
        4 | 5 => {
            let mut left = argument;
            while left != Some(0) && (left.is_some() || octets[0] != 0xff) {
                if major == 5 && octets[0] >> 5 == 3 {
                    keys.extend(direct::read::<String>(&octets[..1 + usize::from(octets[0] & 0x1f)]));
                }
                for _ in 4..=major {
                    collect_text_keys(octets, keys);
                }
                left = left.map(|left| left - 1);
            }
            if argument.is_none() {
                *octets = &octets[1..];
            }
        }
        _ => {}
    }
}

#[test]
fn cbor2_reads_what_we_write() {
    let mut input = json!(NAMES.as_slice()).to_string();
    for case in oracle_cases() {
        input.push('\n');
        input.push_str(&case.to_string());
    }
    oracle::check("direct::cbor2_reads_what_we_write", "direct_form.py", &[], &input);
}

/// All samples, and a request and a reply in full.
fn oracle_cases() -> Vec<Value> {
    let case = |what: &str, octets: &[u8], value: &Value| json!({"what": what, "octets": hex::encode(octets), "value": value});
    let mut cases: Vec<Value> =
        samples::all().iter().map(|sample| case(sample.model, &sample.direct, &sample.body)).collect();
    let mut octets = Vec::new();
    let headers = json!({NAMES[0]: 2500, NAMES[1]: 31, NAMES[2]: "\"1\"", NAMES[3]: "*"});
    let query = json!(["a", "1 & é", "a", ""]);
    let path = "/nausf-auth/v1/a%2Fb";
    let content = json!({"supi": [null, 1.5], "x": {}});
    let text = json!({"JSON": {"a": 1}});
    for (request, body) in requests().iter().zip([
        json!([0]),
        json!([1, text]),
        Value::Null,
        Value::Null,
        json!([2, content]),
        json!([3, content]),
        json!([4, content]),
        json!([5, text]),
        json!([6, ["n1", 0, "7e00", "a b", 1, ""], content]),
        json!([6, ["n1", 0, "7e00", "a b", 1, ""], text]),
        json!([6, [], text]),
    ]) {
        let Value::Array(body) = body else { continue };
        octets.clear();
        direct::write_request(request, &mut octets);
        let query = if request.query.is_empty() { json!([]) } else { query.clone() };
        let headers = if request.headers == Headers::default() { json!({}) } else { headers.clone() };
        let mut value = vec![json!(request.method as u8), path.into(), query, headers];
        value.extend(body);
        cases.push(case("a request", &octets, &value.into()));
    }
    octets.clear();
    direct::write_reply(&replies()[0], &mut octets);
    let headers = json!({NAMES[5]: 3, NAMES[7]: 60, NAMES[4]: "\"1\"", NAMES[6]: "*"});
    cases.push(case("a reply", &octets, &json!([201, headers, 0])));
    cases
}

/// Says, in a line that `tests/skips.txt` must know, that the checker cannot run here.
/// Whatever it says, it answers.
fn read_everything(octets: &[u8]) {
    let shared = Bytes::copy_from_slice(octets);
    if let Ok(request) = direct::read_request(shared.clone()) {
        let params = PathParams(vec!["7".into()]);
        let _ = (request.body.json(), format!("{request:?}"));
        let _ = PostSmContexts::from_request(&params, &request);
        let _ = UpdateSmContext::from_request(&params, &request);
    }
    if let Ok(reply) = direct::read_reply(shared.clone()) {
        let _ = PostSmContexts::from_reply(reply);
    }
    let _ = Content::direct(shared).read::<SmContextCreateData>();
    let _ = direct::read::<Everything>(octets);
    let _ = direct::read::<SubscrCond>(octets);
}

proptest! {
    #[test]
    fn no_octets_panic(octets: Vec<u8>) {
        read_everything(&octets);
    }

    #[test]
    fn no_changed_message_panics(
        pick: prop::sample::Index, at: prop::sample::Index, octet: u8, cut: prop::sample::Index, more: bool,
    ) {
        let all = samples::all();
        let sample = &all[pick.index(all.len())];
        let mut octets = if more { requests_of(sample) } else { sample.direct.clone() };
        let at = at.index(octets.len());
        octets[at] = octet;
        octets.truncate(octets.len() - cut.index(octets.len()) / 8);
        let _ = (sample.decode_direct)(&octets);
        read_everything(&octets);
    }

    /// JSON values of any shape, as they are.
    #[test]
    fn any_value_is_kept(value in value()) {
        same(&value);
    }
}

/// A request with the sample as its content.
fn requests_of(sample: &samples::Sample) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut request = requests().swap_remove(8);
    if let Body::Related { json, .. } = &mut request.body {
        *json = Content::direct(sample.direct.clone().into());
    }
    direct::write_request(&request, &mut octets);
    octets
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter("JSON has it", |f| f.is_finite()).prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::btree_map(".{0,40}", inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}
