//! Measuring and reporting usage.

use crate::error::DecodeError;
use crate::ie::flags;
use crate::wire::{Cursor, Value};

flags! {
    /// Measurement Method (TS 29.244 §8.2.40).
    MeasurementMethod(u8) read 1 write 1 {
        /// Duration.
        DURAT = 0;
        /// Volume.
        VOLUM = 1;
        /// Events.
        EVENT = 2;
    }

    /// Reporting Triggers (TS 29.244 §8.2.19).
    ReportingTriggers(u32) read 1 write 3 {
        /// Periodic reporting.
        PERIO = 0;
        /// Volume threshold.
        VOLTH = 1;
        /// Time threshold.
        TIMTH = 2;
        /// Quota holding time.
        QUHTI = 3;
        /// Start of traffic.
        START = 4;
        /// Stop of traffic.
        STOPT = 5;
        /// Dropped downlink traffic threshold.
        DROTH = 6;
        /// Linked usage reporting.
        LIUSA = 7;
        /// Volume quota.
        VOLQU = 8;
        /// Time quota.
        TIMQU = 9;
        /// Envelope closure.
        ENVCL = 10;
        /// MAC addresses.
        MACAR = 11;
        /// Event threshold.
        EVETH = 12;
        /// Event quota.
        EVEQU = 13;
        /// IP multicast join or leave.
        IPMJL = 14;
        /// Quota validity time.
        QUVTI = 15;
        /// End marker reception.
        REEMR = 16;
    }

    /// Usage Report Trigger (TS 29.244 §8.2.41).
    UsageReportTrigger(u32) read 1 write 3 {
        /// Periodic reporting.
        PERIO = 0;
        /// Volume threshold.
        VOLTH = 1;
        /// Time threshold.
        TIMTH = 2;
        /// Quota holding time.
        QUHTI = 3;
        /// Start of traffic.
        START = 4;
        /// Stop of traffic.
        STOPT = 5;
        /// Dropped downlink traffic threshold.
        DROTH = 6;
        /// Immediate report, on demand.
        IMMER = 7;
        /// Volume quota.
        VOLQU = 8;
        /// Time quota.
        TIMQU = 9;
        /// Linked usage reporting.
        LIUSA = 10;
        /// Termination: the session or the rule went.
        TERMR = 11;
        /// Monitoring time.
        MONIT = 12;
        /// Envelope closure.
        ENVCL = 13;
        /// MAC addresses.
        MACAR = 14;
        /// Event threshold.
        EVETH = 15;
        /// Event quota.
        EVEQU = 16;
        /// Termination by the UP function.
        TEBUR = 17;
        /// IP multicast join or leave.
        IPMJL = 18;
        /// Quota validity time.
        QUVTI = 19;
        /// End marker reception.
        EMRRE = 20;
    }

    /// Measurement Information (TS 29.244 §8.2.68).
    MeasurementInformation(u8) read 1 write 1 {
        /// Measurement before QoS enforcement.
        MBQE = 0;
        /// Inactive measurement.
        INAM = 1;
        /// Reduced application detection information.
        RADI = 2;
        /// Immediate start of time metering.
        ISTM = 3;
        /// Measurement of number of packets.
        MNOP = 4;
    }

    /// Usage Information (TS 29.244 §8.2.59).
    UsageInformation(u8) read 1 write 1 {
        /// Before a monitoring time.
        BEF = 0;
        /// After a monitoring time.
        AFT = 1;
        /// After QoS enforcement.
        UAE = 2;
        /// Before QoS enforcement.
        UBE = 3;
    }
}

/// Volume Threshold (TS 29.244 §8.2.13) or Volume Quota (§8.2.50), in octets; and those that follow them at a
/// monitoring time (§8.2.16, §8.2.86).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// Both directions together.
    pub total: Option<u64>,
    /// Uplink.
    pub uplink: Option<u64>,
    /// Downlink.
    pub downlink: Option<u64>,
}

impl Value for Volume {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        let flags = cursor.u8()?;
        let [total, uplink, downlink] = read_counts(flags, cursor)?;
        Ok(Self { total, uplink, downlink })
    }

    fn write(&self, out: &mut Vec<u8>) {
        let counts = [self.total, self.uplink, self.downlink];
        out.push(count_flags(&counts));
        put_counts(&counts, out);
    }
}

/// Dropped DL Traffic Threshold (TS 29.244 §8.2.49).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DroppedDlTrafficThreshold {
    /// Downlink packets.
    pub packets: Option<u64>,
    /// Octets of downlink packets.
    pub octets: Option<u64>,
}

impl Value for DroppedDlTrafficThreshold {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        // What is spare may be said in a later version.
        let flags = cursor.u8()? & 0x03;
        let [packets, octets, _] = read_counts(flags, cursor)?;
        Ok(Self { packets, octets })
    }

    fn write(&self, out: &mut Vec<u8>) {
        let counts = [self.packets, self.octets, None];
        out.push(count_flags(&counts));
        put_counts(&counts, out);
    }
}

/// Volume Measurement (TS 29.244 §8.2.44): octets, and packets where they are measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VolumeMeasurement {
    /// Octets of both directions.
    pub total: Option<u64>,
    /// Uplink octets.
    pub uplink: Option<u64>,
    /// Downlink octets.
    pub downlink: Option<u64>,
    /// Packets of both directions.
    pub total_packets: Option<u64>,
    /// Uplink packets.
    pub uplink_packets: Option<u64>,
    /// Downlink packets.
    pub downlink_packets: Option<u64>,
}

impl Value for VolumeMeasurement {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        let flags = cursor.u8()?;
        let [total, uplink, downlink] = read_counts(flags, cursor)?;
        let [total_packets, uplink_packets, downlink_packets] = read_counts(flags >> 3, cursor)?;
        Ok(Self { total, uplink, downlink, total_packets, uplink_packets, downlink_packets })
    }

    fn write(&self, out: &mut Vec<u8>) {
        let octets = [self.total, self.uplink, self.downlink];
        let packets = [self.total_packets, self.uplink_packets, self.downlink_packets];
        out.push(count_flags(&octets) | count_flags(&packets) << 3);
        put_counts(&octets, out);
        put_counts(&packets, out);
    }
}

fn read_counts(flags: u8, cursor: &mut Cursor<'_>) -> Result<[Option<u64>; 3], DecodeError> {
    let mut counts = [None; 3];
    for (bit, count) in counts.iter_mut().enumerate() {
        if flags & 1 << bit != 0 {
            *count = Some(cursor.u64()?);
        }
    }
    Ok(counts)
}

fn count_flags(counts: &[Option<u64>; 3]) -> u8 {
    counts.iter().enumerate().map(|(bit, count)| u8::from(count.is_some()) << bit).sum()
}

fn put_counts(counts: &[Option<u64>; 3], out: &mut Vec<u8>) {
    for count in counts.iter().flatten() {
        out.extend_from_slice(&count.to_be_bytes());
    }
}
