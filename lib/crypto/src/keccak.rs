//! The permutation Keccak-f[1600] (TS 35.231 annex B, FIPS 202 §3.3).

/// Permutes `lanes`; lane (x, y) is at `5y + x`.
pub(crate) fn keccak_f1600(lanes: &mut [u64; 25]) {
    for constant in ROUND_CONSTANTS {
        theta(lanes);
        rho_and_pi(lanes);
        for row in lanes.chunks_exact_mut(5) {
            let (a, b) = (row[0], row[1]);
            row[0] ^= !b & row[2];
            row[1] ^= !row[2] & row[3];
            row[2] ^= !row[3] & row[4];
            row[3] ^= !row[4] & a;
            row[4] ^= !a & b;
        }
        lanes[0] ^= constant;
    }
}

fn theta(lanes: &mut [u64; 25]) {
    let mut parity = [0; 5];
    for (i, lane) in lanes.iter().enumerate() {
        parity[i % 5] ^= lane;
    }
    for (i, lane) in lanes.iter_mut().enumerate() {
        let x = i % 5;
        *lane ^= parity[(x + 4) % 5] ^ parity[(x + 1) % 5].rotate_left(1);
    }
}

/// Follows the lanes around the one cycle that pi makes of all but the first.
fn rho_and_pi(lanes: &mut [u64; 25]) {
    let (mut x, mut y) = (1, 0);
    let mut carried = lanes[1];
    for t in 0..24u32 {
        (x, y) = (y, (2 * x + 3 * y) % 5);
        let rotated = carried.rotate_left((t + 1) * (t + 2) / 2 % 64);
        carried = std::mem::replace(&mut lanes[5 * y + x], rotated);
    }
}

static ROUND_CONSTANTS: [u64; 24] = round_constants();

/// Bits 2^j - 1 of each round's constant come from an 8-bit shift register
/// (FIPS 202 §3.2.5).
const fn round_constants() -> [u64; 24] {
    let mut constants = [0; 24];
    let mut register: u8 = 1;
    let mut round = 0;
    while round < 24 {
        let mut j = 0;
        while j < 7 {
            if register & 1 != 0 {
                constants[round] |= 1 << ((1u32 << j) - 1);
            }
            register = if register & 0x80 != 0 { register << 1 ^ 0x71 } else { register << 1 };
            j += 1;
        }
        round += 1;
    }
    constants
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::digest;

    /// SHA3-256 of a short message is one permutation; aws-lc has SHA-3.
    #[test]
    fn permutation_agrees_with_sha3() {
        for length in 0..136 {
            let message: Vec<u8> = (0..length).map(|i| (i * 7 + length) as u8).collect();
            let mut block = [0u8; 136];
            block[..message.len()].copy_from_slice(&message);
            block[message.len()] ^= 0x06;
            block[135] ^= 0x80;
            let mut lanes = [0; 25];
            for (lane, octets) in lanes.iter_mut().zip(block.chunks_exact(8)) {
                *lane = u64::from_le_bytes(octets.try_into().expect("8 octets"));
            }
            keccak_f1600(&mut lanes);
            let mine: Vec<u8> = lanes[..4].iter().flat_map(|lane| lane.to_le_bytes()).collect();
            assert_eq!(mine, digest::digest(&digest::SHA3_256, &message).as_ref());
        }
    }
}
