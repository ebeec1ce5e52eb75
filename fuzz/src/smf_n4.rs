//! The SMF's N4: what a UPF may answer and report, in each state of a session.

#[allow(
    clippy::unwrap_used,
    clippy::result_large_err,
    clippy::type_complexity,
    dead_code,
    reason = "of the tests"
)]
#[path = "../../smf/tests/bench.rs"]
mod bench;

use bench::{Bench, sm_data, subscription, upf};
use tern_pfcp::{Frame, Message};
use tern_smf::{Input as SmfInput, Report, Token};
use tern_types::Duration;

use crate::edit::edited;
use crate::input::{Input, put};
use crate::messages::{OF_UPF, of_upf};

/// Messages of one input.
const RECORDS_MAX: usize = 24;
/// Times 30 s: more than any message is repeated for.
const REPETITIONS: usize = 20;
/// Tokens of reports begin here.
const REPORTS: u64 = 1 << 40;
/// PDU session of the UPF that errs, and one that comes after it.
const SESSION: u8 = 1;
const NEXT_SESSION: u8 = 2;

/// The state that the first message meets.
const STATES: u8 = 4;
const NONE_YET: u8 = 0;
const INSTALLING: u8 = 1;
const ACCEPTING: u8 = 2;

/// The first octet is the session's state. Then records of a UPF: a message of a number with edits, or a datagram;
/// what is an answer goes to the request that waits longest, what is a report to the session.
pub fn run(data: &[u8]) -> usize {
    let (mut input, mut bench) = (Input::new(data), Bench::new());
    let seid = prepare(&mut bench, input.u8() % STATES);
    let mut understood = 0;
    for number in 0..RECORDS_MAX {
        if input.is_empty() {
            break;
        }
        let octets = match input.u8() {
            0 => input.octets().to_vec(),
            1 => {
                bench.pass(Duration::from_secs(input.u8().into()));
                continue;
            }
            number => edited(&octets(number), &mut input),
        };
        let message = Frame::decode(&octets).ok().map(|frame| frame.message);
        understood += usize::from(message.is_some());
        match message {
            Some(Message::SessionReportRequest(message)) => {
                let report = Report { from: upf(), seid, message };
                bench.input(SmfInput::Report(Token(REPORTS + number as u64), report));
            }
            answer => bench.answer_n4(answer),
        }
        assert!(bench.smf.sessions() <= 1);
    }
    serves(bench);
    understood
}

/// Brings a session into a state; its SEID, if it has one.
fn prepare(bench: &mut Bench, state: u8) -> u64 {
    if state == NONE_YET {
        return 0;
    }
    if state > ACCEPTING {
        bench.establish(SESSION);
    } else {
        let token = bench.create(SESSION);
        bench.subscribe(sm_data(subscription()));
        bench.context_ref(token);
        bench.police(Default::default());
        if state > INSTALLING {
            bench.install();
            bench.transfer();
            bench.register();
        }
    }
    let reference = bench.smf.contexts().next().expect("a session").session.reference;
    reference.seid()
}

/// A new session is served, whatever was answered before; what waits for answers ends.
fn serves(mut bench: Bench) {
    bench.ignore();
    bench.establish(NEXT_SESSION);
    // In steps: a retransmission is due some time after the one before was sent.
    (0..REPETITIONS).for_each(|_| bench.pass(Duration::from_secs(30)));
    assert!(bench.smf.sessions() <= 2);
    assert_eq!(bench.smf.deadline(), None);
}

/// The UPF's message of this number.
fn octets(number: u8) -> Vec<u8> {
    let message = of_upf(number);
    Frame { seid: Some(1), sequence: 1, message }.encode().expect("a valid message")
}

/// Each message in each state; a datagram.
pub fn seeds() -> Vec<Vec<u8>> {
    let numbers = (2..2 + OF_UPF).collect::<Vec<u8>>();
    let states = (0..STATES).map(|state| {
        let messages = numbers.iter().flat_map(|number| [*number, 0]);
        std::iter::once(state).chain(messages).collect()
    });
    let single = numbers.iter().map(|number| vec![INSTALLING, *number, 0]);
    let mut datagram = vec![ACCEPTING, 0];
    put(&mut datagram, &octets(0));
    states.chain(single).chain([datagram, vec![ACCEPTING, 1, 60]]).collect()
}
