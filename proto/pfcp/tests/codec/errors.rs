//! What is refused, with which cause and which offending IE.

use tern_pfcp::*;

fn node_message(kind: u8, ies: &[u8]) -> Vec<u8> {
    let length = u16::try_from(ies.len() + 4).expect("short");
    let mut bytes = vec![0x20, kind];
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(&[0, 0, 9, 0]);
    bytes.extend_from_slice(ies);
    bytes
}

fn refusal(bytes: &[u8]) -> (Cause, u16, usize) {
    let error = Frame::decode(bytes).expect_err("must be refused");
    (error.cause(), error.ie_type, error.offset)
}

#[test]
fn when_a_mandatory_ie_is_missing_then_it_is_named() {
    assert_eq!(refusal(&node_message(1, &[])), (Cause::MANDATORY_IE_MISSING, 96, 8));
    let only_node = [0, 60, 0, 5, 0, 192, 0, 2, 1];
    assert_eq!(refusal(&node_message(5, &only_node)).1, 96);
}

#[test]
fn when_an_establishment_has_no_pdr_then_create_pdr_is_named() {
    let frame = Frame::session(
        0,
        1,
        SessionEstablishmentRequest { cp_f_seid: FSeid::new(1, [192, 0, 2, 1].into()), ..Default::default() }
            .into(),
    );
    let bytes = frame.encode().expect("encodes");
    assert_eq!(refusal(&bytes), (Cause::MANDATORY_IE_MISSING, 1, 0));
}

#[test]
fn when_a_length_does_not_fit_then_the_cause_is_invalid_length() {
    let short = [0, 96, 0, 3, 1, 2, 3];
    assert_eq!(refusal(&node_message(1, &short)), (Cause::INVALID_LENGTH, 96, 12));
    let beyond = [0, 96, 0, 9, 1, 2, 3, 4];
    assert_eq!(refusal(&node_message(1, &beyond)), (Cause::INVALID_LENGTH, 96, 12));
}

#[test]
fn when_a_value_is_unknown_then_the_cause_is_incorrect() {
    let bytes = node_message(9, &[0, 60, 0, 2, 7, 0]);
    assert_eq!(refusal(&bytes), (Cause::MANDATORY_IE_INCORRECT, 60, 13));
}

#[test]
fn when_the_header_is_wrong_then_the_fault_says_how() {
    let fault = |bytes: &[u8]| Frame::decode(bytes).expect_err("refused").fault;
    assert_eq!(fault(&[]), Fault::MessageTooShort);
    assert_eq!(fault(&[0x20, 1, 0, 99, 0, 0, 0, 0]), Fault::MessageTooShort);
    assert_eq!(fault(&[0x40, 1, 0, 4, 0, 0, 0, 0]), Fault::Version(2));
    assert_eq!(fault(&[0x20, 99, 0, 4, 0, 0, 0, 0]), Fault::MessageType(99));
    assert_eq!(fault(&[0x20, 54, 0, 4, 0, 0, 0, 0]), Fault::SeidFlag);
}

#[test]
fn when_an_ie_is_unknown_or_of_a_vendor_then_it_is_kept() {
    let mut ies = vec![0x80, 1, 0, 4, 0x27, 0x0F, 0xAB, 0xCD];
    ies.extend_from_slice(&[0, 96, 0, 4, 0, 0, 0, 1]);
    ies.extend_from_slice(&[0x03, 0xE7, 0, 1, 5]);
    let frame = Frame::decode(&node_message(2, &ies)).expect("decodes");
    let Message::HeartbeatResponse(response) = &frame.message else { panic!("another message") };
    assert_eq!(response.unknown.len(), 2);
    assert_eq!(response.unknown[0].enterprise(), Some(9999));
    assert_eq!(response.unknown[1].enterprise(), None);
    let again = Frame::decode(&frame.encode().expect("encodes")).expect("decodes");
    assert_eq!(again, frame);
}

#[test]
fn when_an_ie_repeats_that_may_not_then_the_first_counts() {
    let ies = [0, 96, 0, 4, 0, 0, 0, 1, 0, 96, 0, 1, 9];
    let frame = Frame::decode(&node_message(2, &ies)).expect("decodes");
    let Message::HeartbeatResponse(response) = frame.message else { panic!("another message") };
    assert_eq!(response.recovery_time_stamp, RecoveryTimeStamp(1));
}

#[test]
fn when_one_ie_repeats_beyond_the_limit_then_the_request_is_refused() {
    let modification = SessionModificationRequest {
        remove_pdr: vec![RemovePdr::default(); IE_REPEATS_MAX + 1],
        ..Default::default()
    };
    let bytes = Frame::session(1, 1, modification.into()).encode().expect("encodes");
    assert_eq!(refusal(&bytes).0, Cause::NO_RESOURCES_AVAILABLE);
}

#[test]
fn when_a_message_would_be_too_long_then_it_is_not_written() {
    let filter = SdfFilter::flow(&"x".repeat(60_000));
    let pdi = Pdi { sdf_filters: vec![filter; 2], ..Default::default() };
    let request = SessionModificationRequest {
        create_pdr: vec![CreatePdr { pdi, ..Default::default() }],
        ..Default::default()
    };
    assert!(matches!(Frame::session(1, 1, request.into()).encode(), Err(EncodeError::TooLong(_))));
}
