//! SNOW 3G (TS 35.216). Its tables are computed from their definitions when
//! the crate is compiled.

use zeroize::{Zeroize, ZeroizeOnDrop};

/// The generator, ready to give keystream words.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct Snow3g {
    /// The stages; stage i is at `head + i` modulo 16.
    lfsr: [u32; 16],
    head: usize,
    r1: u32,
    r2: u32,
    r3: u32,
}

impl Snow3g {
    /// Loads and clocks the generator 32 times (TS 35.216 §4.1), and discards
    /// the first output of the state machine (§4.2). `k[3]` holds the first
    /// octets of the key, as in TS 35.215.
    pub(crate) fn new(key: &[u8; 16], iv: [u32; 4]) -> Self {
        let word = |i: usize| u32::from_be_bytes([key[i], key[i + 1], key[i + 2], key[i + 3]]);
        let k = [word(12), word(8), word(4), word(0)];
        let n = k.map(|word| !word);
        let lfsr = [
            n[0],
            n[1],
            n[2],
            n[3],
            k[0],
            k[1],
            k[2],
            k[3],
            n[0],
            n[1] ^ iv[3],
            n[2] ^ iv[2],
            n[3],
            k[0] ^ iv[1],
            k[1],
            k[2],
            k[3] ^ iv[0],
        ];
        let mut generator = Self { lfsr, head: 0, r1: 0, r2: 0, r3: 0 };
        for _ in 0..32 {
            let f = generator.clock_fsm();
            generator.clock_lfsr(f);
        }
        generator.clock_fsm();
        generator.clock_lfsr(0);
        generator
    }

    /// The next keystream word.
    pub(crate) fn next_word(&mut self) -> u32 {
        let z = self.clock_fsm() ^ self.stage(0);
        self.clock_lfsr(0);
        z
    }

    fn stage(&self, i: usize) -> u32 {
        self.lfsr[(self.head + i) & 15]
    }

    fn clock_fsm(&mut self) -> u32 {
        let f = self.stage(15).wrapping_add(self.r1) ^ self.r2;
        let r = self.r2.wrapping_add(self.r3 ^ self.stage(5));
        self.r3 = substitute(&S2, self.r2);
        self.r2 = substitute(&S1, self.r1);
        self.r1 = r;
        f
    }

    /// `f` is the state machine's output while initialising, else 0.
    fn clock_lfsr(&mut self, f: u32) {
        let (s0, s11) = (self.stage(0), self.stage(11));
        let v = (s0 << 8)
            ^ MUL_ALPHA[(s0 >> 24) as usize]
            ^ self.stage(2)
            ^ (s11 >> 8)
            ^ DIV_ALPHA[(s11 & 0xff) as usize]
            ^ f;
        self.lfsr[self.head] = v;
        self.head = (self.head + 1) & 15;
    }
}

/// S1 or S2 of a word: the columns of the matrix are rotations of the first.
fn substitute(table: &[u32; 256], w: u32) -> u32 {
    let [w0, w1, w2, w3] = w.to_be_bytes().map(|octet| table[usize::from(octet)]);
    w0 ^ w1.rotate_right(8) ^ w2.rotate_right(16) ^ w3.rotate_right(24)
}

static S1: [u32; 256] = column(&sr(), 0x1b);
static S2: [u32; 256] = column(&sq(), 0x69);
static MUL_ALPHA: [u32; 256] = powers([23, 245, 48, 239]);
static DIV_ALPHA: [u32; 256] = powers([16, 39, 6, 64]);

/// MULx (TS 35.216 §3.1.1).
const fn mulx(v: u8, c: u8) -> u8 {
    if v & 0x80 != 0 { (v << 1) ^ c } else { v << 1 }
}

/// Product in GF(2^8) with the reduction `c`.
const fn multiply(mut a: u8, mut b: u8, c: u8) -> u8 {
    let mut product = 0;
    while b != 0 {
        if b & 1 != 0 {
            product ^= a;
        }
        a = mulx(a, c);
        b >>= 1;
    }
    product
}

const fn power(x: u8, mut exponent: u32, c: u8) -> u8 {
    let (mut base, mut result) = (x, 1);
    while exponent != 0 {
        if exponent & 1 != 0 {
            result = multiply(result, base, c);
        }
        base = multiply(base, base, c);
        exponent >>= 1;
    }
    result
}

/// SR, Rijndael's S-box: inversion and an affine map (TS 35.216 §3.3.1).
const fn sr() -> [u8; 256] {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let x = power(i as u8, 254, 0x1b);
        table[i] = x ^ x.rotate_left(1) ^ x.rotate_left(2) ^ x.rotate_left(3) ^ x.rotate_left(4) ^ 0x63;
        i += 1;
    }
    table
}

/// SQ, a Dickson polynomial (TS 35.216 §3.3.2).
const fn sq() -> [u8; 256] {
    const EXPONENTS: [u32; 9] = [1, 9, 13, 15, 33, 41, 45, 47, 49];
    let mut table = [0x25; 256];
    let mut i = 0;
    while i < 256 {
        let mut e = 0;
        while e < EXPONENTS.len() {
            table[i] ^= power(i as u8, EXPONENTS[e], 0x69);
            e += 1;
        }
        i += 1;
    }
    table
}

/// The S-box with the first column (2, 3, 1, 1) of the mixing matrix.
const fn column(sbox: &[u8; 256], c: u8) -> [u32; 256] {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let s = sbox[i];
        let double = mulx(s, c);
        table[i] = u32::from_be_bytes([double, double ^ s, s, s]);
        i += 1;
    }
    table
}

/// MULalpha and DIValpha (TS 35.216 §3.4.2, §3.4.3): c times powers of x.
const fn powers(exponents: [u32; 4]) -> [u32; 256] {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let mut octets = [0; 4];
        let mut e = 0;
        while e < 4 {
            octets[e] = multiply(i as u8, power(2, exponents[e], 0xa9), 0xa9);
            e += 1;
        }
        table[i] = u32::from_be_bytes(octets);
        i += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first words of test sets of TS 35.217.
    #[test]
    fn keystream_is_that_of_the_specification() {
        let key = *b"\x2b\xd6\x45\x9f\x82\xc5\xb3\x00\x95\x2c\x49\x10\x48\x81\xff\x48";
        // The specification gives K0..K3 of the algorithm, so the octets of
        // the key run from K3 to K0.
        let mut words = [0u8; 16];
        for (to, from) in words.chunks_mut(4).zip(key.rchunks(4)) {
            to.copy_from_slice(from);
        }
        let iv = [0xea02_4714, 0xad5c_4d84, 0xdf1f_9b25, 0x1c0b_f45f];
        let mut generator = Snow3g::new(&words, iv);
        assert_eq!([generator.next_word(), generator.next_word()], [0xabee_9704, 0x7ac3_1373]);
    }
}
