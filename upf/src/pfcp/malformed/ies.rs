//! IEs that are missing, cut, empty, or say what there is not.

use super::*;

/// TS 29.244 §7.6.4: cause 66.
#[test]
fn when_a_mandatory_ie_is_missing_then_it_is_named_and_nothing_changes() {
    let mut scene = Scene::new();
    // Of a session, a PDR, a PDI, a FAR, a QER and a URR. A second PDR and FAR stand for one that is gone.
    let mandatory = [60, 57, 56, 29, 2, 20, 108, 44, 42, 109, 25, 81, 62, 37];
    let mut missed = Vec::new();
    for (kind, ies) in each(&full(), &|_, _| Vec::new()) {
        let before = scene.state();
        let answer = scene.answer(ESTABLISHMENT, 0, &ies);
        let Message::SessionEstablishmentResponse(response) = &answer else { panic!("{answer:?}") };
        if let Some(f_seid) = response.up_f_seid {
            // The IE was optional. The session has the address of the one of before, which takes it back.
            scene.bench.delete(f_seid.seid);
            scene.bench.modify(scene.seid, forward_update(ApplyAction::FORW));
            continue;
        }
        assert_eq!(scene.state(), before);
        if Refused::of(&answer) == Refused::ie(Cause::MANDATORY_IE_MISSING, kind) {
            missed.push(kind);
        }
    }
    missed.sort_unstable();
    missed.dedup();
    let mut mandatory = mandatory.to_vec();
    mandatory.sort_unstable();
    assert_eq!(missed, mandatory);
    scene.serves();
}

#[test]
fn when_a_request_has_no_rules_at_all_then_the_first_missing_one_is_named() {
    let mut scene = Scene::new();
    let bare = SessionEstablishmentRequest { create_pdr: Vec::new(), create_far: Vec::new(), ..other() };
    scene.refused(ESTABLISHMENT, &ies(bare), Refused::ie(Cause::MANDATORY_IE_MISSING, 1));
    scene.refused(ESTABLISHMENT, &[], Refused::ie(Cause::MANDATORY_IE_MISSING, 60));
    scene.serves();
}

#[test]
fn when_a_modification_creates_a_pdr_without_its_mandatory_ies_then_it_is_refused() {
    let mut scene = Scene::new();
    let [id, precedence] = [ie(56, &[0, 7]), ie(29, &[0, 0, 0, 1])];
    for (create_pdr, missing) in [
        (ie(1, &[]), 56),
        (ie(1, &id), 29),
        (ie(1, &[&id[..], &precedence].concat()), 2),
        (ie(1, &[&id[..], &precedence, &ie(2, &[])].concat()), 20),
    ] {
        scene.refused(MODIFICATION, &create_pdr, Refused::ie(Cause::MANDATORY_IE_MISSING, missing));
    }
    scene.serves();
}

/// TS 29.244 §7.6.5: cause 68.
#[test]
fn when_an_ie_has_length_zero_then_its_length_is_refused() {
    let mut scene = Scene::new();
    let texts = [22, 113, 159];
    for (kind, ies) in each(&full(), &|kind, _| ie(kind, &[])) {
        if GROUPS.contains(&kind) || texts.contains(&kind) {
            continue;
        }
        scene.refused(ESTABLISHMENT, &ies, Refused::ie(Cause::INVALID_LENGTH, kind));
    }
    let update = [ie(9, &ie(56, &[])), ie(10, &ie(108, &[])), ie(14, &ie(109, &[])), ie(13, &ie(81, &[]))];
    for (update, kind) in update.iter().zip([56, 108, 109, 81]) {
        scene.refused(MODIFICATION, update, Refused::ie(Cause::INVALID_LENGTH, kind));
    }
    scene.serves();
}

#[test]
fn when_an_ie_is_cut_or_says_more_than_there_is_then_its_length_is_refused() {
    let mut scene = Scene::new();
    let longer = |kind: u16, value: &[u8]| {
        let mut octets = ie(kind, value);
        octets[2..4].copy_from_slice(&u16::MAX.to_be_bytes());
        octets
    };
    for (kind, ies) in each(&full(), &longer) {
        scene.refused(ESTABLISHMENT, &ies, Refused::ie(Cause::INVALID_LENGTH, kind));
    }
    // Those with a value of a fixed length, or with lengths inside.
    let fixed = [57, 56, 29, 21, 93, 23, 108, 84, 109, 26, 81, 31];
    let cut = |kind: u16, value: &[u8]| ie(kind, &value[..value.len().saturating_sub(1)]);
    for (kind, ies) in each(&full(), &cut).into_iter().filter(|(kind, _)| fixed.contains(kind)) {
        let refused = Refused::of(&scene.answer(ESTABLISHMENT, 0, &ies));
        assert_eq!(refused, Refused::ie(Cause::INVALID_LENGTH, kind));
    }
    scene.serves();
}

#[test]
fn when_a_datagram_is_cut_anywhere_then_nothing_comes_about() {
    let mut scene = Scene::new();
    let before = scene.state();
    let datagram = scene.datagram(ESTABLISHMENT, Some(0), &full());
    for end in 0..datagram.len() {
        // As it is, the header says more than there is.
        assert_eq!(scene.bench.give(scene.bench.smf_address, &datagram[..end]), []);
    }
    // The last IEs of a session are optional: user plane inactivity and all behind it.
    let end = Message::from(SessionEstablishmentRequest { create_urr: Vec::new(), ..other() }).to_ies().len();
    for end in 16..end {
        let answer = scene.answer(ESTABLISHMENT, 0, &full()[..end - 16]);
        assert!(!answer.cause().expect("an answer").is_accepted(), "{end}: {answer:?}");
    }
    assert_eq!(scene.state(), before);
    scene.serves();
}

#[test]
fn when_ies_come_in_another_order_then_they_mean_the_same() {
    let mut scene = Scene::new();
    let octets = ies(other());
    let backwards = split(&octets).into_iter().rev().flat_map(|(kind, value)| {
        let value = if GROUPS.contains(&kind) {
            split(value).into_iter().rev().flat_map(|(kind, value)| ie(kind, value)).collect()
        } else {
            value.to_vec()
        };
        ie(kind, &value)
    });
    let backwards: Vec<u8> = backwards.collect();
    assert_eq!(scene.answer(ESTABLISHMENT, 0, &backwards).cause(), Some(Cause::REQUEST_ACCEPTED));
    assert_eq!(scene.bench.downlink(&udp(SERVER, UE, (2, 1), 60)).0, TO_GNB);
}

#[test]
fn when_groups_are_nested_without_end_then_the_inner_ones_are_not_looked_at() {
    let mut scene = Scene::new();
    let mut nested = Vec::new();
    while nested.len() < 60_000 {
        // From the outside in, all at once: a header for each.
        nested.extend_from_slice(&[0, 2, 0, 0]);
    }
    for place in (0..nested.len()).step_by(4) {
        let length = (nested.len() - place - 4) as u16;
        nested[place + 2..place + 4].copy_from_slice(&length.to_be_bytes());
    }
    let pdr = ie(1, &[ie(56, &[0, 7]), ie(29, &[0; 4]), nested].concat());
    scene.refused(MODIFICATION, &pdr, Refused::ie(Cause::MANDATORY_IE_MISSING, 20));
    scene.serves();
}

#[test]
fn when_a_value_is_none_that_there_is_then_it_is_refused() {
    let mut scene = Scene::new();
    let incorrect = Cause::MANDATORY_IE_INCORRECT;
    // Source and destination interface, an F-TEID and an F-SEID without addresses, a PDN type, a node ID's type.
    let values: [(u16, &[u8]); 6] = [
        (20, &[0x99]),
        (42, &[0x99]),
        (21, &[0, 0, 0, 0, 9]),
        (57, &[0; 9]),
        (113, &[0]),
        (60, &[9, 0, 0, 0, 0]),
    ];
    for (kind, value) in values {
        let changed = |found: u16, old: &[u8]| ie(found, if found == kind { value } else { old });
        let variants = each(&full(), &changed);
        let variants: Vec<_> = variants.into_iter().filter(|(found, _)| *found == kind).collect();
        assert!(!variants.is_empty(), "{kind}");
        for (_, ies) in variants {
            scene.refused(ESTABLISHMENT, &ies, Refused::ie(incorrect, kind));
        }
    }
    scene.serves();
}

#[test]
fn when_a_flow_description_is_none_then_its_rule_is_named() {
    let mut scene = Scene::new();
    let texts = [
        "",
        "permit",
        "permit out",
        "unknown action aaaaaaaa",
        "permit out udp from any to",
        "permit out udp from any to assigned 99999999",
        "permit out 256 from any to assigned",
        "permit out ip from 10.0.0.0/33 to assigned",
        "permit out ip from any 5-1-9 to assigned",
        "deny out ip from any to any",
    ];
    for text in texts {
        let mut request = other();
        request.create_pdr[1].pdi.sdf_filters = vec![SdfFilter::flow(text)];
        let rule = Some(FailedRuleId::Pdr(PdrId(2)));
        scene.refused(ESTABLISHMENT, &ies(request), Refused(FAILURE, Some(23), rule));
    }
    // A length inside that goes beyond the filter; text that is none.
    for (value, cause) in [
        (&[1, 0, 0xFF, 0xFF, b'p'][..], Cause::INVALID_LENGTH),
        (&[1, 0, 0, 2, 0xC3, 0x28], Cause::MANDATORY_IE_INCORRECT),
    ] {
        let changed = |kind: u16, old: &[u8]| ie(kind, if kind == 23 { value } else { old });
        let (_, ies) = each(&full(), &changed).into_iter().find(|(kind, _)| *kind == 23).expect("a filter");
        scene.refused(ESTABLISHMENT, &ies, Refused::ie(cause, 23));
    }
    scene.serves();
}
