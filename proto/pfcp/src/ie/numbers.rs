//! Identities, counts and seconds: values that are one number.

use crate::error::DecodeError;
use crate::wire::{Cursor, Value};

macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident($repr:ident);)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $repr);

        impl Value for $name {
            fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
                cursor.$repr().map(Self)
            }

            fn write(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.0.to_be_bytes());
            }
        }
    )*};
}

numbers! {
    /// Packet Detection Rule ID (TS 29.244 §8.2.36).
    PdrId(u16);
    /// FAR ID (TS 29.244 §8.2.74). The highest bit says that the rule is predefined.
    FarId(u32);
    /// QER ID (TS 29.244 §8.2.75). The highest bit says that the rule is predefined.
    QerId(u32);
    /// URR ID (TS 29.244 §8.2.54). The highest bit says that the rule is predefined.
    UrrId(u32);
    /// BAR ID (TS 29.244 §8.2.57).
    BarId(u8);
    /// Precedence of a PDR: the lower value is looked at first (TS 29.244 §8.2.11).
    Precedence(u32);
    /// QER Correlation ID (TS 29.244 §8.2.10).
    QerCorrelationId(u32);
    /// Seconds since 1900-01-01 00:00 UTC, as in NTP (TS 29.244 §8.2.65).
    RecoveryTimeStamp(u32);
    /// A moment, in seconds since 1900-01-01 00:00 UTC.
    NtpSeconds(u32);
    /// A duration in seconds.
    Seconds(u32);
    /// Duration Measurement in seconds (TS 29.244 §8.2.45).
    DurationMeasurement(u32);
    /// Usage report sequence number, counted from 0 for each URR (TS 29.244 §8.2.71).
    UrSeqn(u32);
    /// Sequence Number of load or overload control information (TS 29.244 §8.2.33).
    SequenceNumber(u32);
    /// Metric in percent, 0 to 100 (TS 29.244 §8.2.34).
    Metric(u8);
    /// User Plane Inactivity Timer in seconds (TS 29.244 §8.2.83).
    UserPlaneInactivityTimer(u32);
    /// Averaging Window in milliseconds (TS 29.244 §8.2.115).
    AveragingWindow(u32);
    /// Downlink Data Notification Delay in units of 50 ms (TS 29.244 §8.2.28).
    DownlinkDataNotificationDelay(u8);
    /// Suggested Buffering Packets Count (TS 29.244 §8.2.100).
    SuggestedBufferingPacketsCount(u8);
    /// The type of the IE that a request was refused for (TS 29.244 §8.2.22).
    OffendingIe(u16);
    /// Query URR Reference (TS 29.244 §8.2.90).
    QueryUrrReference(u32);
}

/// QoS Flow Identifier, 0 to 63 (TS 29.244 §8.2.89).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Qfi(pub u8);

impl Value for Qfi {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        Ok(Self(cursor.u8()? & 0x3F))
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(self.0 & 0x3F);
    }
}

/// Paging Policy Indicator, 0 to 7 (TS 29.244 §8.2.116).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PagingPolicyIndicator(pub u8);

impl Value for PagingPolicyIndicator {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        Ok(Self(cursor.u8()? & 0x07))
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(self.0 & 0x07);
    }
}
