//! What the steps of a file may say.

use std::fmt;
use std::time::Duration;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer};
use tern_types::{Dnn, PduSessionId, Snssai};

use super::Step;
use crate::config::SessionType;
use crate::error::SimError;
use crate::ue::{Misdeed, Moment};

/// UEs and gNBs of a file.
const NUMBER_MAX: u64 = 1000;
/// Repetitions of a step.
const TIMES_MAX: u64 = 10_000;
/// Longest time that a file may say: a week.
const SECONDS_MAX: f64 = 7.0 * 24.0 * 3600.0;

/// A UE or a gNB, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number(pub u32);

impl Default for Number {
    fn default() -> Self {
        Self(1)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bounded(deserializer, NUMBER_MAX).map(Self)
    }
}

/// How often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times(pub u32);

impl<'de> Deserialize<'de> for Times {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bounded(deserializer, TIMES_MAX).map(Self)
    }
}

fn bounded<'de, D: Deserializer<'de>>(deserializer: D, max: u64) -> Result<u32, D::Error> {
    let number = u64::deserialize(deserializer)?;
    let within = (1..=max).contains(&number);
    let number = u32::try_from(number).ok().filter(|_| within);
    number.ok_or_else(|| de::Error::custom(format_args!("expected a number from 1 to {max}")))
}

/// A time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seconds(pub Duration);

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        if !(0.0..=SECONDS_MAX).contains(&seconds) {
            return Err(de::Error::custom(format_args!("expected seconds, from 0 to {SECONDS_MAX}")));
        }
        Ok(Self(Duration::from_secs_f64(seconds)))
    }
}

/// How a step is to fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fails {
    /// The network says no with this 5GMM or 5GSM cause.
    Cause(u8),
    /// Nothing that answers comes in time.
    Timeout,
    /// The connection is released.
    Released,
    /// In any way.
    Anyhow,
}

impl Fails {
    /// Whether it has failed so.
    pub fn is(&self, error: &SimError) -> bool {
        match self {
            Self::Cause(wanted) => matches!(error, SimError::Rejected { cause, .. } if cause == wanted),
            Self::Timeout => matches!(error, SimError::Timeout { .. }),
            Self::Released => matches!(error, SimError::Released { .. }),
            Self::Anyhow => true,
        }
    }
}

impl fmt::Display for Fails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cause(cause) => write!(f, "with cause #{cause}"),
            Self::Timeout => f.write_str("with a timeout"),
            Self::Released => f.write_str("with a released connection"),
            Self::Anyhow => f.write_str("in any way"),
        }
    }
}

impl<'de> Deserialize<'de> for Fails {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;
        impl Visitor<'_> for Words {
            type Value = Fails;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the number of a 5GMM or 5GSM cause, `timeout`, `released` or `any`")
            }

            fn visit_u64<E: de::Error>(self, cause: u64) -> Result<Fails, E> {
                let wrong = || E::invalid_value(de::Unexpected::Unsigned(cause), &self);
                u8::try_from(cause).map(Fails::Cause).map_err(|_| wrong())
            }

            fn visit_i64<E: de::Error>(self, cause: i64) -> Result<Fails, E> {
                let wrong = || E::invalid_value(de::Unexpected::Signed(cause), &self);
                u8::try_from(cause).map(Fails::Cause).map_err(|_| wrong())
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Fails, E> {
                match word {
                    "timeout" => Ok(Fails::Timeout),
                    "released" => Ok(Fails::Released),
                    "any" => Ok(Fails::Anyhow),
                    _ => Err(E::invalid_value(de::Unexpected::Str(word), &self)),
                }
            }
        }
        deserializer.deserialize_any(Words)
    }
}

/// How a UE goes to another gNB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// Xn handover.
    #[default]
    Xn,
    /// N2 handover, gNBs forward to one another.
    N2,
    /// N2 handover, the UPF forwards.
    N2Indirect,
}

/// A step with nothing to say but whose it is.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Plain {
    /// Which UE.
    pub ue: Number,
    /// How it is to fail, if it is.
    pub fails: Option<Fails>,
}

/// `deregister`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Deregister {
    /// Which UE.
    pub ue: Number,
    /// It is switched off, and awaits no answer.
    pub switch_off: bool,
    /// How it is to fail, if it is.
    pub fails: Option<Fails>,
}

/// `establish`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Establish {
    /// Which UE.
    pub ue: Number,
    /// PDU session identity; none takes a free one.
    pub session: Option<PduSessionId>,
    /// Data network; none asks for the subscribed default.
    pub dnn: Option<Dnn>,
    /// Slice; none takes the first allowed one.
    pub slice: Option<Snssai>,
    /// Session type.
    #[serde(rename = "type")]
    pub kind: SessionType,
    /// How it is to fail, if it is.
    pub fails: Option<Fails>,
}

/// `release` and `wake`: a session, or the one of the lowest identity.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OfSession {
    /// Which UE.
    pub ue: Number,
    /// PDU session identity.
    pub session: Option<PduSessionId>,
    /// How it is to fail, if it is.
    pub fails: Option<Fails>,
}

/// `ping` and `send`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Packets {
    /// Which UE.
    pub ue: Number,
    /// PDU session identity; none takes the lowest.
    pub session: Option<PduSessionId>,
    /// To whom; none takes the configuration's `ping_target`, or `ping_target_ipv6` where the session has no IPv4.
    pub to: Option<std::net::IpAddr>,
    /// How many.
    pub count: Times,
    /// Between two of them, in seconds.
    pub every_s: Seconds,
    /// How it is to fail, if it is.
    pub fails: Option<Fails>,
}

impl Default for Packets {
    fn default() -> Self {
        let every_s = Seconds(Duration::from_millis(100));
        Self { ue: Number(1), session: None, to: None, count: Times(4), every_s, fails: None }
    }
}

/// `handover`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Handover {
    /// Which UE.
    #[serde(default)]
    pub ue: Number,
    /// Which gNB.
    pub to: Number,
    /// How.
    #[serde(default)]
    pub by: Way,
    /// How it is to fail, if it is.
    #[serde(default)]
    pub fails: Option<Fails>,
}

/// `move`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Move {
    /// Which UE.
    #[serde(default)]
    pub ue: Number,
    /// Which gNB.
    pub to: Number,
}

/// `page`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// Which UE, which is idle.
    #[serde(default)]
    pub ue: Number,
    /// The UE that sends the packet.
    pub from: Number,
    /// How it is to fail, if it is.
    #[serde(default)]
    pub fails: Option<Fails>,
}

/// `wait`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wait {
    /// For so many seconds.
    pub s: Seconds,
}

/// `misbehave`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Misbehave {
    /// Which UE.
    #[serde(default)]
    pub ue: Number,
    /// At which message.
    pub at: Moment,
    /// What.
    #[serde(rename = "do")]
    pub what: Misdeed,
}

/// `repeat`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repeat {
    /// How often.
    pub times: Times,
    /// What.
    pub steps: Vec<Step>,
}
