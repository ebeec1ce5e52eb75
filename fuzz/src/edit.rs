//! A valid PFCP message with a few IEs changed: what plain octets reach only by luck, since the lengths of all
//! groups around a change change with it.

use crate::input::Input;

/// Types of grouped IEs: TS 29.244 Table 8.1.2-1, as far as `tern-pfcp` reads them.
const GROUPS: [u16; 35] = [
    1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16, 17, 18, 51, 54, 77, 78, 79, 80, 83, 85, 86, 87, 99, 102,
    105, 118, 127, 129, 187, 272, 274,
];
/// Octets of the header of a message with a SEID.
const SESSION_HEADER: usize = 16;
/// Edits of one message.
const EDITS_MAX: usize = 16;
/// Octets that a message may grow to by them.
const OCTETS_MAX: usize = 60_000;

/// An IE, or a group of them.
#[derive(Clone)]
struct Ie {
    kind: u16,
    /// Added to its length.
    lie: u16,
    content: Content,
}

#[derive(Clone)]
enum Content {
    Value(Vec<u8>),
    Group(Vec<Ie>),
}

/// Reads IEs; what cannot be read any more is left out.
fn split(mut octets: &[u8]) -> Vec<Ie> {
    let mut ies = Vec::new();
    while let Some((&[k1, k0, l1, l0], rest)) = octets.split_first_chunk::<4>() {
        let Some((value, rest)) = rest.split_at_checked(usize::from(u16::from_be_bytes([l1, l0]))) else {
            break;
        };
        let kind = u16::from_be_bytes([k1, k0]);
        let content = if GROUPS.contains(&kind) {
            Content::Group(split(value))
        } else {
            Content::Value(value.to_vec())
        };
        ies.push(Ie { kind, lie: 0, content });
        octets = rest;
    }
    ies
}

fn join(ies: &[Ie]) -> Vec<u8> {
    let mut octets = Vec::new();
    for ie in ies {
        let value = match &ie.content {
            Content::Value(value) => value.clone(),
            Content::Group(ies) => join(ies),
        };
        octets.extend_from_slice(&ie.kind.to_be_bytes());
        octets.extend_from_slice(&(value.len() as u16).wrapping_add(ie.lie).to_be_bytes());
        octets.extend_from_slice(&value);
    }
    octets
}

/// Octets of these IEs.
fn length(ies: &[Ie]) -> usize {
    let of = |content: &Content| match content {
        Content::Value(value) => value.len(),
        Content::Group(ies) => length(ies),
    };
    ies.iter().map(|ie| 4 + of(&ie.content)).sum()
}

/// How many IEs there are, groups and what is in them.
fn count(ies: &[Ie]) -> usize {
    let inside = |ie: &Ie| match &ie.content {
        Content::Value(_) => 0,
        Content::Group(ies) => count(ies),
    };
    ies.iter().map(|ie| 1 + inside(ie)).sum()
}

/// The list that the IE of this number is in, and its place there: groups come before what is in them.
fn find(ies: &mut Vec<Ie>, mut number: usize) -> Option<(&mut Vec<Ie>, usize)> {
    let mut place = 0;
    while let Some(ie) = ies.get(place) {
        if number == 0 {
            return Some((ies, place));
        }
        let inside = if let Content::Group(inside) = &ie.content { count(inside) } else { 0 };
        if number <= inside {
            let Some(Ie { content: Content::Group(inside), .. }) = ies.get_mut(place) else { return None };
            return find(inside, number - 1);
        }
        number -= 1 + inside;
        place += 1;
    }
    None
}

/// The message with the edits that the input says. Its header stays, but for the length.
pub fn edited(message: &[u8], input: &mut Input<'_>) -> Vec<u8> {
    let Some((header, ies)) = message.split_at_checked(SESSION_HEADER) else { return message.to_vec() };
    let mut ies = split(ies);
    for _ in 0..usize::from(input.u8()).min(EDITS_MAX) {
        edit(&mut ies, input);
    }
    let mut octets = [header, &join(&ies)].concat();
    let length = (octets.len() - 4) as u16;
    octets[2..4].copy_from_slice(&length.to_be_bytes());
    octets
}

fn edit(ies: &mut Vec<Ie>, input: &mut Input<'_>) {
    let (number, what) = (usize::from(input.u8()), input.u8());
    let (total, octets) = (count(ies), length(ies));
    let other =
        find(ies, usize::from(what) % total.max(1)).and_then(|(list, place)| list.get(place).cloned());
    let Some((list, place)) = find(ies, number % total.max(1)) else { return };
    let grows = octets < OCTETS_MAX;
    match what % 10 {
        0 => drop(list.remove(place)),
        1 if grows => list.insert(place, list[place].clone()),
        2 => list[place].content = Content::Value(input.octets().to_vec()),
        3 => change(&mut list[place], |value| value.truncate(value.len() / 2)),
        4 => list[place].content = Content::Value(Vec::new()),
        5 => list[place].kind = input.u16(),
        6 => {
            let (at, mask) = (usize::from(input.u8()), input.u8());
            change(&mut list[place], |value| {
                let at = at % value.len().max(1);
                value.iter_mut().skip(at).take(1).for_each(|octet| *octet ^= mask);
            });
        }
        7 => list[place].lie = input.u16(),
        8 => {
            let ie = list.remove(place);
            list.push(ie);
        }
        9 if grows => list.extend(other),
        _ => {}
    }
}

/// Changes the octets of an IE, be it a group.
fn change(ie: &mut Ie, how: impl FnOnce(&mut Vec<u8>)) {
    let mut value = match &ie.content {
        Content::Value(value) => value.clone(),
        Content::Group(ies) => join(ies),
    };
    how(&mut value);
    ie.content =
        if GROUPS.contains(&ie.kind) { Content::Group(split(&value)) } else { Content::Value(value) };
}
