//! What taps have seen becomes a capture; tshark and the project's own scripts read it, where
//! they can run.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tempfile::TempDir;
use tern_sbi::{Body, Method, ProblemDetails, Reply, Request};
use tern_sbi_transport::tap::{Exchange, Summary, Tap, TapError, files_in, to_pcap};

use crate::service::{get, related, request};

const AMF: &str = "127.0.0.16:49152";
const AUSF: &str = "127.0.0.13:8080";
const UDM: &str = "[fd00::12]:8080";

fn exchange(consumer: &str, producer: &str, number: u64) -> Exchange {
    Exchange { consumer: consumer.parse().unwrap(), producer: producer.parse().unwrap(), number }
}

/// So many milliseconds into the story.
fn at(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000) + Duration::from_millis(millis)
}

fn json(text: impl Into<String>) -> Body {
    Body::Json(text.into().into())
}

/// An exchange of the story; `None` where the consumer gives up after 100 ms.
struct Told {
    exchange: Exchange,
    request: Request,
    reply: Option<Reply>,
    allow: &'static [Method],
}

fn story() -> Vec<Told> {
    let mut query = get("/nudm-sdm/v2/imsi-001010000000001/am-data");
    query.query = vec![("dnn".into(), "a b+c&d".into())];
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(100_000));
    let told = |exchange, request, reply| Told { exchange, request, reply, allow: &[] };
    let with = |status, body| Some(Reply { body, ..Reply::empty(status) });
    let created = Reply {
        location: Some(format!("http://{AUSF}/nausf-auth/v1/ue-authentications/1")),
        body: Body::Hal("{\"authType\":\"5G_AKA\"}".into()),
        ..Reply::empty(201)
    };
    let asked = || request(Method::Post, "/nausf-auth/v1/ue-authentications", json("{\"b\":1}"));
    let mut story = vec![
        told(exchange(AMF, AUSF, 1), asked(), Some(created)),
        told(exchange(AMF, AUSF, 2), request(Method::Post, "/test/v1/echo", related()), with(200, related())),
        told(
            exchange(AMF, AUSF, 3),
            request(Method::Put, "/test/v1/slow", Body::Empty),
            with(405, Body::Empty),
        ),
        told(exchange("[fd00::16]:50000", UDM, 1), query, with(200, json(large.clone()))),
        told(
            exchange("[fd00::16]:50000", UDM, 2),
            request(Method::Put, "/l", json(large)),
            with(204, Body::Empty),
        ),
        told(exchange(AMF, AUSF, 4), asked(), None),
        told(
            exchange(AMF, UDM, 1),
            get("/mixed"),
            with(404, ProblemDetails::new(404, "X").into_reply().body),
        ),
    ];
    story[2].allow = &[Method::Get];
    story
}

/// Each end writes its half to its own file.
fn tell(directory: &Path, story: &[Told]) {
    let consumer = Tap::in_directory(directory, "amf").unwrap();
    let producer = Tap::in_directory(directory, "ausf").unwrap();
    for (index, told) in (0..).zip(story) {
        let sent = 10 * index;
        consumer.request(told.exchange, at(sent), "AMF", &told.request);
        match &told.reply {
            Some(reply) => producer.reply(told.exchange, at(sent + 35), reply, told.allow),
            None => consumer.give_up(told.exchange, at(sent + 100)),
        }
    }
    assert_eq!((consumer.dropped(), producer.dropped()), (0, 0));
}

fn capture(directory: &TempDir) -> (PathBuf, Summary) {
    let out = directory.path().join("sbi.pcap");
    let summary = to_pcap(&files_in(directory.path()).unwrap(), &out).unwrap();
    (out, summary)
}

fn tshark(file: &Path, arguments: &[&str]) -> Option<String> {
    let checks = ["-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"];
    let output = Command::new("tshark").args(checks).arg("-r").arg(file).args(arguments).output().ok()?;
    assert!(output.status.success(), "{}", said(&output));
    Some(String::from_utf8(output.stdout).unwrap())
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Says, in a line that `tests/skips.txt` must know, that a test cannot run here.
fn skip(test: &str, reason: &str) {
    println!("SKIPPED tern-sbi-transport tap::{test}: {reason}");
}

/// A message as tshark reads it.
#[derive(Debug, Default, PartialEq)]
struct Read {
    fields: BTreeMap<String, String>,
    content: Vec<u8>,
}

impl Read {
    fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }
}

fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Null => Vec::new(),
        one => vec![one],
    }
}

/// Messages by source port, TCP stream and HTTP/2 stream.
fn messages(tree: &str) -> BTreeMap<(String, String, u32), Read> {
    let mut messages = BTreeMap::<_, Read>::new();
    for packet in serde_json::from_str::<Vec<Value>>(tree).unwrap() {
        let layers = &packet["_source"]["layers"];
        let text = |name: &str| layers["tcp"][name].as_str().unwrap().to_owned();
        let frames = list(&layers["http2"]).into_iter().flat_map(|layer| list(&layer["http2.stream"]));
        // The connection preface has no stream.
        for frame in frames.filter(|frame| frame["http2.streamid"].is_string()) {
            let stream: u32 = frame["http2.streamid"].as_str().unwrap().parse().unwrap();
            if stream == 0 || frame["http2.type"] == "3" {
                continue;
            }
            let message = messages.entry((text("tcp.srcport"), text("tcp.stream"), stream)).or_default();
            for field in list(&frame["http2.header"]) {
                let part = |name: &str| field[name].as_str().unwrap_or_default().to_owned();
                message.fields.insert(part("http2.header.name"), part("http2.header.value"));
            }
            if let Some(data) = frame["http2.data.data"].as_str() {
                // The last of several DATA frames comes with the data of all.
                if !frame["http2.body.fragments"].is_null() {
                    message.content.clear();
                }
                let octets = data.split(':').map(|octet| u8::from_str_radix(octet, 16).unwrap());
                message.content.extend(octets);
            }
        }
    }
    messages
}

const TREE: [&str; 7] = ["-Y", "http2", "-T", "json", "-J", "frame tcp http2", "--no-duplicate-keys"];

#[test]
fn tshark_reads_what_was_exchanged() {
    let directory = tempfile::tempdir().unwrap();
    tell(directory.path(), &story());
    let (file, summary) = capture(&directory);
    assert_eq!(summary, Summary { answered: 6, unanswered: 1, strays: 0, torn: 0 });
    let Some(tree) = tshark(&file, &TREE) else {
        return skip("tshark_reads_what_was_exchanged", "tshark is not installed");
    };

    let messages = messages(&tree);
    let port = |address: SocketAddr| address.port().to_string();
    // Connections in the order in which they open, streams in the order of their requests.
    let (mut streams, mut connections) = (BTreeMap::new(), Vec::new());
    for told in &story() {
        let ends = (told.exchange.consumer, told.exchange.producer);
        if !connections.contains(&ends) {
            connections.push(ends);
        }
        let connection = connections.iter().position(|known| *known == ends).unwrap().to_string();
        let stream = *streams.entry(ends).and_modify(|stream| *stream += 2).or_insert(1);

        let sent = &messages[&(port(ends.0), connection.clone(), stream)];
        assert_eq!(sent.field(":method"), format!("{:?}", told.request.method).to_uppercase());
        let query = if told.request.query.is_empty() { "" } else { "?dnn=a%20b%2Bc%26d" };
        assert_eq!(sent.field(":path"), format!("{}{query}", told.request.path));
        assert_eq!(sent.field(":authority"), ends.1.to_string());
        assert_eq!(sent.field("user-agent"), "AMF");
        has_body(sent, &told.request.body);

        let answered = messages.get(&(port(ends.1), connection, stream));
        let Some(reply) = &told.reply else {
            assert_eq!(answered, None);
            continue;
        };
        let answered = answered.unwrap();
        assert_eq!(answered.field(":status"), reply.status.to_string());
        assert_eq!(answered.field("location"), reply.location.as_deref().unwrap_or_default());
        assert_eq!(answered.field("allow"), if told.allow.is_empty() { "" } else { "GET" });
        assert!(answered.field("date").ends_with("22:13:20 GMT"), "{}", answered.field("date"));
        has_body(answered, &reply.body);
    }
    assert_eq!(connections.len(), 3);
}

/// The content is equal, and of its media type.
fn has_body(read: &Read, body: &Body) {
    let kind = read.field("content-type");
    match body {
        Body::Empty => assert_eq!((kind, read.content.len()), ("", 0)),
        Body::Related { json, parts } => {
            assert!(kind.starts_with("multipart/related"), "{kind}");
            let held = |octets: &[u8]| read.content.windows(octets.len()).any(|window| window == octets);
            assert!(
                held(&json.text().unwrap())
                    && parts.iter().all(|part| part.data.is_empty() || held(&part.data))
            );
        }
        _ => {
            assert!(kind.ends_with("json"), "{kind}");
            let sent = body.json().unwrap();
            assert!(read.content == sent[..], "{} octets of {}", read.content.len(), sent.len());
        }
    }
    if *body != Body::Empty {
        assert_eq!(read.field("content-length"), read.content.len().to_string());
    }
}

#[test]
fn tshark_finds_no_fault() {
    let directory = tempfile::tempdir().unwrap();
    tell(directory.path(), &story());
    let (file, _) = capture(&directory);
    let wrong = "_ws.malformed || _ws.expert.severity >= \"Warning\" || tcp.analysis.flags \
                 || tcp.checksum.status == \"Bad\" || ip.checksum.status == \"Bad\"";
    let columns =
        ["-T", "fields", "-e", "frame.number", "-e", "_ws.col.Info", "-e", "_ws.expert.message", "-Y"];
    let Some(faults) = tshark(&file, &[&columns[..], &[wrong]].concat()) else {
        return skip("tshark_finds_no_fault", "tshark is not installed");
    };
    assert_eq!(faults, "");
    let count = |filter: &str| tshark(&file, &["-Y", filter]).unwrap().lines().count();
    // A filter that finds nothing finds nothing wrong either: what it looks at is there.
    assert_eq!(count("tcp.checksum.status == \"Good\""), count("tcp"));
    assert_eq!(count("ip.checksum.status == \"Good\""), count("ip"));
    assert_eq!(count("tcp.flags.syn == 1 && tcp.flags.ack == 0"), 3);
    assert_eq!(count("ipv6.src == ::ffff:127.0.0.16 && http2.headers.method"), 1);
    // In the order of time; the request that had no reply ends with CANCEL 100 ms later.
    assert_eq!(count("frame.time_delta < 0"), 0);
    let ended = tshark(
        &file,
        &[
            "-Y",
            "http2.type == 3",
            "-T",
            "fields",
            "-e",
            "frame.time_epoch",
            "-e",
            "http2.streamid",
            "-e",
            "http2.rst_stream.error",
        ],
    );
    assert_eq!(ended.as_deref(), Some("1700000000.150000000\t7\t8\n"));
}

#[test]
fn the_check_of_sbi_bodies_reads_the_capture() {
    const NAME: &str = "the_check_of_sbi_bodies_reads_the_capture";
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let check = |file: &Path| Command::new(root.join("scripts/check-sbi-bodies")).arg(file).output().ok();
    let directory = tempfile::tempdir().unwrap();
    let network = "\"servingNetworkName\":\"5G:mnc001.mcc001.3gppnetwork.org\"";
    let body = || json(format!("{{\"supiOrSuci\":\"imsi-001010000000001\",{network}}}"));
    let told = |number, detail: &str| {
        let request = request(Method::Post, "/nausf-auth/v1/ue-authentications", body());
        let reply = ProblemDetails::new(404, "USER_NOT_FOUND").with_detail(detail).into_reply();
        Told { exchange: exchange(AMF, AUSF, number), request, reply: Some(reply), allow: &[] }
    };
    // One that takes several frames.
    let large = "x".repeat(40_000);
    tell(directory.path(), &[told(1, "unknown"), told(2, &large)]);
    let (file, _) = capture(&directory);
    let Some(output) = check(&file) else { return skip(NAME, "there is no bash") };
    let words = said(&output);
    if words.contains("SKIPPED check-sbi-bodies") {
        return skip(NAME, "the official OpenAPI files are not there (TERN_OPENAPI_DIR)");
    }
    // What the check needs of the machine is absent, which is no word about the capture.
    for absent in ["No module named", "skipped: ", "command not found", "No such file or directory: 'tshark'"]
    {
        if words.contains(absent) {
            return skip(NAME, "python3 with jsonschema and PyYAML, or tshark, is not there");
        }
    }
    assert!(output.status.success() && words.contains("4 SBI bodies"), "{words}");
}

#[test]
fn when_halves_come_apart_then_each_finds_its_other() {
    let directory = tempfile::tempdir().unwrap();
    let (consumer, producer) = {
        let tap = |name: &str| Tap::create(&directory.path().join(name)).unwrap();
        (tap("c.tap"), tap("p.tap"))
    };
    let this = |number| exchange(AMF, AUSF, number);
    let ok = Reply::empty(204);
    // The clock was set back between request and reply, by less than a second.
    consumer.request(this(1), at(1500), "AMF", &get("/1"));
    producer.reply(this(1), at(600), &ok, &[]);
    // By more: the two do not belong together.
    consumer.request(this(2), at(5000), "AMF", &get("/2"));
    producer.reply(this(2), at(2000), &ok, &[]);
    // The consumer was started again and counts from the beginning.
    consumer.request(this(2), at(6000), "AMF", &get("/2-again"));
    producer.reply(this(2), at(6001), &ok, &[]);
    // The reply crosses with the end of the consumer's patience.
    consumer.request(this(3), at(7000), "AMF", &get("/3"));
    consumer.give_up(this(3), at(7100));
    producer.reply(this(3), at(7101), &ok, &[]);
    // Nobody has seen the request, or the end of this one.
    producer.reply(this(8), at(8000), &ok, &[]);
    consumer.request(this(9), at(9000), "AMF", &get("/9"));
    drop((consumer, producer));
    let (file, summary) = capture(&directory);
    assert_eq!(summary, Summary { answered: 3, unanswered: 2, strays: 2, torn: 0 });
    let columns =
        ["-T", "fields", "-e", "http2.streamid", "-e", "http2.headers.path", "-e", "http2.headers.status"];
    let filter = ["-Y", "http2.streamid > 0"];
    let Some(lines) = tshark(&file, &[&columns[..], &["-e", "http2.type"], &filter].concat()) else {
        return skip("when_halves_come_apart_then_each_finds_its_other", "tshark is not installed");
    };
    let expected = [
        "1\t/1\t\t1",
        "1\t\t204\t1",
        "3\t/2\t\t1",
        "5\t/2-again\t\t1",
        "3\t\t\t3",
        "5\t\t204\t1",
        "7\t/3\t\t1",
        "7\t\t\t3",
        "7\t\t204\t1",
        "9\t/9\t\t1",
        "9\t\t\t3",
    ];
    assert_eq!(lines.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn when_a_file_is_full_then_it_ends_with_a_whole_record() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("amf.tap");
    let tap = Tap::create_bounded(&path, 4000).unwrap();
    let large = request(Method::Post, "/large", json("1".repeat(1000)));
    for number in 0..10 {
        tap.request(exchange(AMF, AUSF, number), at(number), "AMF", &large);
    }
    let dropped = tap.dropped();
    // Once it has left one out it adds no more, so that no later one seems to be all there was.
    tap.request(exchange(AMF, AUSF, 10), at(10), "AMF", &get("/small"));
    assert_eq!(tap.dropped(), dropped + 1);
    drop(tap);
    assert!(std::fs::metadata(&path).unwrap().len() <= 4000);
    let (_, summary) = capture(&directory);
    assert_eq!(summary, Summary { unanswered: 3, ..Summary::default() });
    assert_eq!(dropped, 7);
}

#[test]
fn when_a_process_was_killed_in_a_write_then_the_rest_is_read() {
    let directory = tempfile::tempdir().unwrap();
    tell(directory.path(), &story());
    let file = files_in(directory.path()).unwrap().remove(0);
    let octets = std::fs::read(&file).unwrap();
    std::fs::write(&file, &octets[..octets.len() - 1]).unwrap();
    let (_, summary) = capture(&directory);
    assert_eq!((summary.torn, summary.answered, summary.unanswered), (1, 5, 1));
}

#[test]
fn when_a_file_is_no_tap_file_then_it_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.tap");
    std::fs::write(&path, b"something else").unwrap();
    let out = directory.path().join("out.pcap");
    let error = to_pcap(std::slice::from_ref(&path), &out).unwrap_err();
    assert!(matches!(&error, TapError::NotATap(named) if *named == path), "{error}");
    assert!(!out.exists());
    let missing = to_pcap(&[directory.path().join("none.tap")], &out).unwrap_err();
    assert!(missing.to_string().contains("none.tap"), "{missing}");
}

#[test]
fn when_a_process_is_started_again_then_what_it_wrote_before_stays() {
    let directory = tempfile::tempdir().unwrap();
    drop(Tap::in_directory(directory.path(), "amf").unwrap());
    drop(Tap::in_directory(directory.path(), "amf").unwrap());
    let files = files_in(directory.path()).unwrap();
    assert_eq!(files.len(), 2);
    use std::os::unix::fs::PermissionsExt as _;
    for file in files {
        // The SBI carries keys.
        assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert!(Tap::in_directory(&directory.path().join("none"), "amf").is_err());
}
