//! The programs that keep an endpoint to its own addresses, assembled here: no compiler for BPF is needed
//! where `tern` is built, nor where it runs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::Cidr;
use crate::declared::Own;

/// Where the kernel has what (`linux/bpf.h`, struct bpf_sock_addr), in octets.
mod context {
    pub const USER_IP4: i16 = 4;
    pub const USER_IP6: i16 = 8;
    pub const MSG_SRC_IP4: i16 = 40;
    pub const MSG_SRC_IP6: i16 = 44;
}

/// The helper that binds a socket from within a program (`linux/bpf.h`).
const BPF_BIND: i32 = 64;
/// Octets of struct sockaddr_in.
const SOCKADDR_IN: i16 = 16;
/// Octets of struct sockaddr_in6, and what is left of the last eight on the stack.
const SOCKADDR_IN6: i16 = 28;
const SOCKADDR_IN6_ROOM: i16 = 32;
const AF_INET: i32 = 2;
const AF_INET6: i32 = 10;
/// The third word of an IPv4 address in IPv6 form (RFC 4291 §2.5.5.2).
const MAPPED: u32 = 0xffff;

/// An instruction (RFC 9669 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Instruction {
    opcode: u8,
    to: u8,
    from: u8,
    offset: i16,
    immediate: i32,
}

impl Instruction {
    fn octets(self) -> [u8; 8] {
        // The first register is in the low half on little-endian machines (RFC 9669 §3.1).
        let registers =
            if cfg!(target_endian = "little") { self.from << 4 | self.to } else { self.to << 4 | self.from };
        let (offset, immediate) = (self.offset.to_ne_bytes(), self.immediate.to_ne_bytes());
        let [a, b] = offset;
        let [c, d, e, f] = immediate;
        [self.opcode, registers, a, b, c, d, e, f]
    }
}

/// A place in a program that is jumped to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Label(usize);

/// Writes a program. The context is in register 6, where no call touches it.
#[derive(Default)]
struct Assembler {
    instructions: Vec<Instruction>,
    /// Where a label is, once it is.
    places: Vec<Option<usize>>,
    /// Jumps that have no offset yet.
    jumps: Vec<(usize, Label)>,
}

const CONTEXT: u8 = 6;
const FRAME: u8 = 10;

impl Assembler {
    fn begin() -> Self {
        let mut assembler = Self::default();
        assembler.push(0xbf, CONTEXT, 1, 0, 0);
        assembler
    }

    fn push(&mut self, opcode: u8, to: u8, from: u8, offset: i16, immediate: i32) {
        self.instructions.push(Instruction { opcode, to, from, offset, immediate });
    }

    fn label(&mut self) -> Label {
        self.places.push(None);
        Label(self.places.len() - 1)
    }

    fn here(&mut self, label: Label) {
        self.places[label.0] = Some(self.instructions.len());
    }

    /// A word of the context into a register.
    fn load(&mut self, to: u8, offset: i16) {
        self.push(0x61, to, CONTEXT, offset, 0);
    }

    /// A word into the context, by register 2.
    fn store(&mut self, offset: i16, word: i32) {
        self.push(0xb4, 2, 0, 0, word);
        self.push(0x63, CONTEXT, 2, offset, 0);
    }

    /// A word onto the stack.
    fn stack(&mut self, offset: i16, word: i32) {
        self.push(0x62, FRAME, 0, offset, word);
    }

    /// Jumps if the low word of a register is this one.
    fn if_equal(&mut self, register: u8, word: i32, label: Label) {
        self.jumps.push((self.instructions.len(), label));
        self.push(0x16, register, 0, 0, word);
    }

    fn if_not_equal(&mut self, register: u8, word: i32, label: Label) {
        self.jumps.push((self.instructions.len(), label));
        self.push(0x56, register, 0, 0, word);
    }

    fn go(&mut self, label: Label) {
        self.jumps.push((self.instructions.len(), label));
        self.push(0x05, 0, 0, 0, 0);
    }

    /// Ends: 1 lets the call go on, 0 refuses it (EPERM).
    fn answer(&mut self, answer: i32) {
        self.push(0xb7, 0, 0, 0, answer);
        self.push(0x95, 0, 0, 0, 0);
    }

    fn octets(mut self) -> Vec<u8> {
        for (at, label) in self.jumps {
            let to = self.places[label.0].expect("invariant: every label has its place");
            let offset = to as i64 - at as i64 - 1;
            self.instructions[at].offset =
                i16::try_from(offset).expect("invariant: an endpoint has few addresses");
        }
        self.instructions.iter().flat_map(|instruction| instruction.octets()).collect()
    }
}

impl Own {
    fn v4(&self) -> Vec<i32> {
        self.addresses
            .iter()
            .filter_map(|address| match address {
                IpAddr::V4(address) => Some(word4(*address)),
                IpAddr::V6(_) => None,
            })
            .collect()
    }

    fn v6(&self) -> Vec<[i32; 4]> {
        self.addresses
            .iter()
            .filter_map(|address| match address {
                IpAddr::V6(address) => Some(words6(*address)),
                IpAddr::V4(_) => None,
            })
            .collect()
    }

    fn sources_v4(&self) -> Vec<(Cidr, Ipv4Addr)> {
        self.sources
            .iter()
            .filter_map(|(to, from)| match from {
                IpAddr::V4(from) => Some((*to, *from)),
                IpAddr::V6(_) => None,
            })
            .collect()
    }

    fn sources_v6(&self) -> Vec<(Cidr, Ipv6Addr)> {
        self.sources
            .iter()
            .filter_map(|(to, from)| match from {
                IpAddr::V6(from) => Some((*to, *from)),
                IpAddr::V4(_) => None,
            })
            .collect()
    }
}

/// A word as the context has it: in the order of the network.
fn word4(address: Ipv4Addr) -> i32 {
    i32::from_ne_bytes(address.octets())
}

fn words6(address: Ipv6Addr) -> [i32; 4] {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = address.octets();
    [[a, b, c, d], [e, f, g, h], [i, j, k, l], [m, n, o, p]].map(i32::from_ne_bytes)
}

fn mapped() -> i32 {
    i32::from_ne_bytes(MAPPED.to_be_bytes())
}

/// For bind(2) with an address of IPv4: any address becomes the first own one, another one than these is
/// refused.
pub fn bind4(own: &Own) -> Vec<u8> {
    let mut program = Assembler::begin();
    check4(&mut program, &own.v4(), context::USER_IP4);
    program.octets()
}

/// For bind(2) with an address of IPv6.
pub fn bind6(own: &Own) -> Vec<u8> {
    let mut program = Assembler::begin();
    check6(&mut program, own, context::USER_IP6);
    program.octets()
}

/// For a datagram of IPv4 without a connection: with no source, or one given with it.
pub fn sendmsg4(own: &Own) -> Vec<u8> {
    let mut program = Assembler::begin();
    let given = program.label();
    program.load(2, context::MSG_SRC_IP4);
    program.if_not_equal(2, 0, given);
    by_destination4(&mut program, &own.sources_v4(), |program, source| {
        program.store(context::MSG_SRC_IP4, word4(source));
    });
    program.here(given);
    check4(&mut program, &own.v4(), context::MSG_SRC_IP4);
    program.octets()
}

/// The same over IPv6.
pub fn sendmsg6(own: &Own) -> Vec<u8> {
    let mut program = Assembler::begin();
    let given = program.label();
    for word in 0..4 {
        program.load(2, context::MSG_SRC_IP6 + 4 * word);
        program.if_not_equal(2, 0, given);
    }
    by_destination6(&mut program, &own.sources_v6(), |program, source| {
        for (at, word) in (0..).zip(words6(source)) {
            program.store(context::MSG_SRC_IP6 + 4 * at, word);
        }
    });
    program.here(given);
    check6(&mut program, own, context::MSG_SRC_IP6);
    program.octets()
}

/// For connect(2) over IPv4: a socket without an address gets an own one. One that has an address was let
/// have it before, and the helper leaves it alone.
pub fn connect4(own: &Own) -> Vec<u8> {
    let mut program = Assembler::begin();
    if by_destination4(&mut program, &own.sources_v4(), |program, source| bind_to4(program, word4(source))) {
        program.answer(0);
    }
    program.octets()
}

/// The same over IPv6, and over IPv4 by a socket of IPv6.
pub fn connect6(own: &Own) -> Vec<u8> {
    let mut program = Assembler::begin();
    let plain = program.label();
    for word in 0..2 {
        program.load(2, context::USER_IP6 + 4 * word);
        program.if_not_equal(2, 0, plain);
    }
    program.load(2, context::USER_IP6 + 8);
    program.if_not_equal(2, mapped(), plain);
    let network = |cidr| vec![mask_and_net4(cidr)];
    let goes_on = by_destination(
        &mut program,
        &own.sources_v4(),
        &[context::USER_IP6 + 12],
        network,
        |program, source| {
            bind_to6(program, [0, 0, mapped(), word4(source)]);
        },
    );
    if goes_on {
        program.answer(0);
    }
    program.here(plain);
    if by_destination6(&mut program, &own.sources_v6(), |program, source| bind_to6(program, words6(source))) {
        program.answer(0);
    }
    program.octets()
}

/// Lets an own address be, makes any address the first own one, and refuses others.
fn check4(program: &mut Assembler, own: &[i32], at: i16) {
    let (fine, any) = (program.label(), program.label());
    program.load(2, at);
    program.if_equal(2, 0, any);
    own.iter().for_each(|word| program.if_equal(2, *word, fine));
    program.answer(0);
    program.here(any);
    let Some(first) = own.first() else { return program.answer(0) };
    program.store(at, *first);
    program.here(fine);
    program.answer(1);
}

/// The same with four words, the last of which may be an address of IPv4.
fn check6(program: &mut Assembler, own: &Own, at: i16) {
    let (fine, plain) = (program.label(), program.label());
    for word in 0..2 {
        program.load(2, at + 4 * word);
        program.if_not_equal(2, 0, plain);
    }
    program.load(2, at + 8);
    program.if_not_equal(2, mapped(), plain);
    check4(program, &own.v4(), at + 12);
    program.here(plain);
    for words in own.v6() {
        let other = program.label();
        for (word, value) in (0..).zip(words) {
            program.load(2, at + 4 * word);
            program.if_not_equal(2, value, other);
        }
        program.go(fine);
        program.here(other);
    }
    let refused = program.label();
    for word in 0..4 {
        program.load(2, at + 4 * word);
        program.if_not_equal(2, 0, refused);
    }
    // A socket of IPv6 may serve IPv4 too: where there is no address of IPv6, that is what is left.
    let first = own.v6().first().copied().or_else(|| own.v4().first().map(|word| [0, 0, mapped(), *word]));
    if let Some(words) = first {
        for (word, value) in (0..).zip(words) {
            program.store(at + 4 * word, value);
        }
        program.here(fine);
        program.answer(1);
    }
    program.here(refused);
    program.answer(0);
}

/// Does `then` with the source for the destination, and ends well. Whether the program goes on behind it:
/// not if one of the sources is for all destinations, and the kernel takes no program with instructions
/// that nothing leads to.
fn by_destination<A: Copy>(
    program: &mut Assembler,
    sources: &[(Cidr, A)],
    at: &[i16],
    network: impl Fn(Cidr) -> Vec<(i32, i32)>,
    then: impl Fn(&mut Assembler, A),
) -> bool {
    for (to, from) in sources {
        if to.length == 0 {
            then(program, *from);
            program.answer(1);
            return false;
        }
        let other = program.label();
        for (offset, (mask, value)) in at.iter().zip(network(*to)).filter(|(_, (mask, _))| *mask != 0) {
            program.load(2, *offset);
            program.push(0x54, 2, 0, 0, mask);
            program.if_not_equal(2, value, other);
        }
        then(program, *from);
        program.answer(1);
        program.here(other);
    }
    true
}

fn by_destination4(
    program: &mut Assembler,
    sources: &[(Cidr, Ipv4Addr)],
    then: impl Fn(&mut Assembler, Ipv4Addr),
) -> bool {
    by_destination(program, sources, &[context::USER_IP4], |cidr| vec![mask_and_net4(cidr)], then)
}

fn by_destination6(
    program: &mut Assembler,
    sources: &[(Cidr, Ipv6Addr)],
    then: impl Fn(&mut Assembler, Ipv6Addr),
) -> bool {
    let at = [0, 4, 8, 12].map(|word| context::USER_IP6 + word);
    by_destination(program, sources, &at, mask_and_net6, then)
}

/// The mask of a prefix and what is left behind it, as words in the order of the network.
fn mask_and_net4(cidr: Cidr) -> (i32, i32) {
    let mask = u32::MAX.checked_shl(32 - u32::from(cidr.length)).unwrap_or(0);
    let network = match cidr.network().address {
        IpAddr::V4(address) => word4(address),
        IpAddr::V6(_) => 0,
    };
    (i32::from_ne_bytes(mask.to_be_bytes()), network)
}

fn mask_and_net6(cidr: Cidr) -> Vec<(i32, i32)> {
    let mask = u128::MAX.checked_shl(128 - u32::from(cidr.length)).unwrap_or(0);
    let network = match cidr.network().address {
        IpAddr::V6(address) => words6(address),
        IpAddr::V4(_) => [0; 4],
    };
    words6(Ipv6Addr::from_bits(mask)).into_iter().zip(network).collect()
}

/// Gives the socket an address; whatever comes of it.
fn bind_to4(program: &mut Assembler, address: i32) {
    program.push(0x6a, FRAME, 0, -SOCKADDR_IN, AF_INET);
    program.push(0x6a, FRAME, 0, -SOCKADDR_IN + 2, 0);
    program.stack(-SOCKADDR_IN + 4, address);
    program.stack(-SOCKADDR_IN + 8, 0);
    program.stack(-SOCKADDR_IN + 12, 0);
    call_bind(program, -SOCKADDR_IN, SOCKADDR_IN);
}

fn bind_to6(program: &mut Assembler, words: [i32; 4]) {
    program.push(0x6a, FRAME, 0, -SOCKADDR_IN6_ROOM, AF_INET6);
    program.push(0x6a, FRAME, 0, -SOCKADDR_IN6_ROOM + 2, 0);
    program.stack(-SOCKADDR_IN6_ROOM + 4, 0);
    for (at, word) in (0..).zip(words) {
        program.stack(-SOCKADDR_IN6_ROOM + 8 + 4 * at, word);
    }
    program.stack(-SOCKADDR_IN6_ROOM + 24, 0);
    call_bind(program, -SOCKADDR_IN6_ROOM, SOCKADDR_IN6);
}

fn call_bind(program: &mut Assembler, at: i16, length: i16) {
    program.push(0xbf, 1, CONTEXT, 0, 0);
    program.push(0xbf, 2, FRAME, 0, 0);
    program.push(0x07, 2, 0, 0, i32::from(at));
    program.push(0xb7, 3, 0, 0, i32::from(length));
    program.push(0x85, 0, 0, 0, BPF_BIND);
}

#[cfg(test)]
mod tests {
    use super::*;

    const JUMP: u8 = 0x05;
    const JUMP_EQUAL: u8 = 0x16;
    const JUMP_NOT_EQUAL: u8 = 0x56;
    const EXIT: u8 = 0x95;

    /// Numbers of the instructions that something leads to; panics where a jump or the end leads outside.
    fn reached(program: &[u8]) -> Vec<usize> {
        let instructions: Vec<&[u8]> = program.chunks(8).collect();
        let (mut reached, mut next) = (vec![false; instructions.len()], vec![0]);
        while let Some(at) = next.pop() {
            if std::mem::replace(&mut reached[at], true) {
                continue;
            }
            let offset = i16::from_ne_bytes([instructions[at][2], instructions[at][3]]);
            let to = || usize::try_from(at as i64 + 1 + i64::from(offset)).unwrap();
            match instructions[at][0] {
                EXIT => {}
                JUMP => next.push(to()),
                JUMP_EQUAL | JUMP_NOT_EQUAL => next.extend([to(), at + 1]),
                _ => next.push(at + 1),
            }
        }
        (0..instructions.len()).filter(|at| reached[*at]).collect()
    }

    /// The kernel takes no program with instructions that nothing leads to, nor one that goes on behind its end.
    #[test]
    fn each_instruction_of_each_program_is_reached_whatever_addresses_there_are() {
        let cidr = |text: &str| text.parse::<Cidr>().unwrap();
        let (a, b) = (cidr("10.0.0.1/24"), cidr("10.1.0.1/16"));
        let (c, d) = (cidr("2001:db8::1/64"), cidr("2001:db8:1::1/63"));
        let lists: [&[Cidr]; 7] = [&[], &[a], &[a, b], &[c], &[c, d], &[a, c], &[a, b, c, d]];
        let route = (cidr("10.9.0.0/16"), "10.0.0.2".parse().unwrap());
        for addresses in lists {
            for routes in [vec![], vec![route], vec![(cidr("0.0.0.0/0"), "10.0.0.2".parse().unwrap())]] {
                let own = Own::of(addresses, routes);
                for program in [bind4, bind6, connect4, connect6, sendmsg4, sendmsg6] {
                    let program = program(&own);
                    assert_eq!(reached(&program).len(), program.len() / 8, "{own:?}");
                }
            }
        }
    }

    #[test]
    fn sources_are_found_by_the_longest_prefix() {
        let cidr = |text: &str| text.parse::<Cidr>().unwrap();
        let own = Own::of(
            &[cidr("10.0.0.1/24"), cidr("10.1.0.1/16")],
            [(cidr("0.0.0.0/0"), "10.1.0.2".parse().unwrap())],
        );
        let sources: Vec<String> = own.sources.iter().map(|(to, from)| format!("{to} {from}")).collect();
        assert_eq!(
            sources,
            ["10.0.0.0/24 10.0.0.1", "10.1.0.0/16 10.1.0.1", "0.0.0.0/0 10.1.0.1", "0.0.0.0/0 10.0.0.1"]
        );
    }
}
