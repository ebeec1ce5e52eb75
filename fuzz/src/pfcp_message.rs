//! PFCP messages: any octets are refused or understood, and what was understood is written and read as the same.

use tern_pfcp::{Frame, Message};

use crate::edit::edited;
use crate::input::{Input, put};
use crate::messages::{OF_SMF, OF_UPF, of_smf, of_upf};

/// The first octet says whether the rest is a datagram, or a message and edits of it.
pub fn run(data: &[u8]) -> usize {
    let mut input = Input::new(data);
    let datagram = match input.u8() {
        0 => input.octets().to_vec(),
        number => edited(&octets(number), &mut input),
    };
    let _ = Frame::find_f_seid(&datagram);
    let Ok(frame) = Frame::decode(&datagram) else { return 0 };
    // The UPF keeps the rules of a session so: it must be able to read them again.
    let ies = frame.message.to_ies();
    let again = Message::from_ies(frame.message.kind(), &ies).expect("what was written is read");
    assert_eq!(again, frame.message);
    // A domain name may need more octets than it came with; only then a message becomes too long.
    let Ok(written) = frame.encode() else {
        assert!(ies.len() > usize::from(u16::MAX) - 16);
        return 0;
    };
    assert_eq!(Frame::decode(&written), Ok(frame));
    1
}

/// The message of this number, with a header for a session.
fn octets(number: u8) -> Vec<u8> {
    let message = match number % (OF_SMF + OF_UPF) {
        number @ 0..OF_SMF => of_smf(number, 0),
        number => of_upf(number - OF_SMF),
    };
    let seid = message.kind().is_session().then_some(1);
    Frame { seid, sequence: 1, message }.encode().expect("a short message")
}

/// Each message as a datagram, and each without edits.
pub fn seeds() -> Vec<Vec<u8>> {
    let datagram = |number| {
        let mut seed = vec![0];
        put(&mut seed, &octets(number));
        seed
    };
    let numbers = 1..=OF_SMF + OF_UPF;
    numbers.clone().map(datagram).chain(numbers.map(|number| vec![number, 0])).collect()
}
