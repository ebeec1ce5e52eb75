//! The capture file format of libpcap, with nanoseconds.

use std::io::{self, Write};

/// Says that the fractions of seconds are nanoseconds.
const MAGIC: u32 = 0xa1b2_3c4d;
const VERSION: [u16; 2] = [2, 4];
/// LINKTYPE_RAW: packets begin with their IPv4 or IPv6 header.
const LINK_TYPE: u32 = 101;
/// No packet of ours is longer.
const SNAP_LENGTH: u32 = 262_144;
const NANOS: u64 = 1_000_000_000;

/// A capture that is being written.
pub struct Pcap<W> {
    out: W,
}

impl<W: Write> Pcap<W> {
    /// Writes the file's header.
    pub fn new(mut out: W) -> io::Result<Self> {
        out.write_all(&MAGIC.to_le_bytes())?;
        for part in VERSION {
            out.write_all(&part.to_le_bytes())?;
        }
        // Time zone and accuracy, which nobody sets.
        for part in [0, 0, SNAP_LENGTH, LINK_TYPE] {
            out.write_all(&part.to_le_bytes())?;
        }
        Ok(Self { out })
    }

    /// A packet, from its IP header on, that passed at this time, in nanoseconds since the Unix epoch.
    pub fn packet(&mut self, at: u64, packet: &[u8]) -> io::Result<()> {
        let seconds = u32::try_from(at / NANOS).unwrap_or(u32::MAX);
        let nanos = u32::try_from(at % NANOS).expect("invariant: less than a second");
        let length = u32::try_from(packet.len()).map_err(io::Error::other)?;
        for part in [seconds, nanos, length, length] {
            self.out.write_all(&part.to_le_bytes())?;
        }
        self.out.write_all(packet)
    }

    /// What was written to, with all of it.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_as_libpcap_reads_it() {
        let mut pcap = Pcap::new(Vec::new()).unwrap();
        pcap.packet(2_000_000_003, b"\x45").unwrap();
        let mut expected = vec![0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        expected.extend([0, 0, 4, 0, 101, 0, 0, 0]);
        expected.extend([2, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0x45]);
        assert_eq!(pcap.finish().unwrap(), expected);
    }
}
