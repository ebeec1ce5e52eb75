//! A step of a file: a word, or a word with arguments.

use std::fmt;

use serde::de::value::{MapDeserializer, StrDeserializer};
use serde::de::{self, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, forward_to_deserialize_any};

use super::arguments::{
    Deregister, Establish, Handover, Misbehave, Move, OfSession, Packets, Page, Plain, Repeat, Wait,
};

/// A step.
#[derive(Debug, Clone)]
pub struct Step(pub Action);

macro_rules! actions {
    ($($(#[$about:meta])* $name:literal $variant:ident($arguments:ty),)*) => {
        /// What is done in a step.
        #[derive(Debug, Clone)]
        pub enum Action {
            $($(#[$about])* $variant($arguments),)*
        }

        #[derive(Deserialize)]
        #[serde(field_identifier)]
        enum Name {
            $(#[serde(rename = $name)] $variant,)*
        }

        /// Reads what a step says behind its name.
        fn of_name<'de, A: Arguments<'de>>(name: Name, arguments: A) -> Result<Action, A::Error> {
            match name {
                $(Name::$variant => Ok(Action::$variant(arguments.read()?)),)*
            }
        }
    };
}

actions! {
    /// Registers: initial registration.
    "register" Register(Plain),
    /// Registers as T3512 would have it do.
    "periodic_update" PeriodicUpdate(Plain),
    /// Registers as in another tracking area.
    "mobility_update" MobilityUpdate(Plain),
    /// Establishes a PDU session.
    "establish" Establish(Establish),
    /// Releases a PDU session.
    "release" Release(OfSession),
    /// Sends echo requests, each of which must be answered.
    "ping" Ping(Packets),
    /// Sends echo requests, whatever becomes of them.
    "send" Send(Packets),
    /// Has the gNB release the connection.
    "idle" Idle(Plain),
    /// Wakes for uplink data.
    "wake" Wake(OfSession),
    /// Wakes for signalling.
    "service_request" ServiceRequest(Plain),
    /// Is paged for a packet of another UE, and answers.
    "page" Page(Page),
    /// Goes to another gNB, its sessions in use.
    "handover" Handover(Handover),
    /// Is in another gNB's cell, where it was silent.
    "move" Move(Move),
    /// Loses its radio connection without telling anybody.
    "lose_radio" LoseRadio(Plain),
    /// Sends its last NAS message once more.
    "replay" Replay(Plain),
    /// Does something wrong from now on.
    "misbehave" Misbehave(Misbehave),
    /// Deregisters.
    "deregister" Deregister(Deregister),
    /// All UEs answer what comes for a while.
    "wait" Wait(Wait),
    /// Steps again and again.
    "repeat" Repeat(Repeat),
}

impl Step {
    /// The highest number of a UE in it.
    pub(super) fn ues(&self) -> u32 {
        match &self.0 {
            Action::Repeat(repeat) => repeat.steps.iter().map(Self::ues).max().unwrap_or(1),
            Action::Page(page) => page.ue.0.max(page.from.0),
            action => action.ue(),
        }
    }

    /// The highest number of a gNB in it.
    pub(super) fn gnbs(&self) -> u32 {
        match &self.0 {
            Action::Repeat(repeat) => repeat.steps.iter().map(Self::gnbs).max().unwrap_or(1),
            Action::Handover(handover) => handover.to.0,
            Action::Move(target) => target.to.0,
            _ => 1,
        }
    }

    /// How many steps it is, repetitions counted.
    pub(super) fn count(&self) -> u64 {
        match &self.0 {
            Action::Repeat(repeat) => {
                let once = repeat.steps.iter().map(Self::count).fold(0, u64::saturating_add);
                u64::from(repeat.times.0).saturating_mul(once)
            }
            _ => 1,
        }
    }

    /// How deep repetitions are within one another.
    pub(super) fn depth(&self) -> u32 {
        match &self.0 {
            Action::Repeat(repeat) => 1 + repeat.steps.iter().map(Self::depth).max().unwrap_or(0),
            _ => 0,
        }
    }
}

impl Action {
    /// The UE whose step it is.
    pub(super) fn ue(&self) -> u32 {
        match self {
            Self::Register(of)
            | Self::PeriodicUpdate(of)
            | Self::MobilityUpdate(of)
            | Self::Idle(of)
            | Self::ServiceRequest(of)
            | Self::LoseRadio(of)
            | Self::Replay(of) => of.ue.0,
            Self::Establish(of) => of.ue.0,
            Self::Release(of) | Self::Wake(of) => of.ue.0,
            Self::Ping(of) | Self::Send(of) => of.ue.0,
            Self::Page(of) => of.ue.0,
            Self::Handover(of) => of.ue.0,
            Self::Move(of) => of.ue.0,
            Self::Misbehave(of) => of.ue.0,
            Self::Deregister(of) => of.ue.0,
            Self::Wait(_) | Self::Repeat(_) => 1,
        }
    }
}

/// Where a step's arguments are read from.
trait Arguments<'de> {
    type Error;

    fn read<T: Deserialize<'de>>(self) -> Result<T, Self::Error>;
}

/// The value behind a name.
struct Value<'a, M>(&'a mut M);

impl<'de, M: MapAccess<'de>> Arguments<'de> for Value<'_, M> {
    type Error = M::Error;

    fn read<T: Deserialize<'de>>(self) -> Result<T, M::Error> {
        self.0.next_value()
    }
}

/// Nothing is behind the name: a mapping without entries.
struct Nothing<E>(std::marker::PhantomData<E>);

impl<'de, E: de::Error> Arguments<'de> for Nothing<E> {
    type Error = E;

    fn read<T: Deserialize<'de>>(self) -> Result<T, E> {
        T::deserialize(self)
    }
}

impl<'de, E: de::Error> Deserializer<'de> for Nothing<E> {
    type Error = E;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        visitor.visit_map(MapDeserializer::new(std::iter::empty::<(&str, &str)>()))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de> Deserialize<'de> for Step {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;
        impl<'de> Visitor<'de> for Written {
            type Value = Step;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a step: its name, or its name and its arguments")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Step, E> {
                let name = Name::deserialize(StrDeserializer::new(name))?;
                of_name(name, Nothing(std::marker::PhantomData)).map(Step)
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Step, M::Error> {
                let name = map.next_key::<Name>()?;
                let name = name.ok_or_else(|| de::Error::custom("expected the name of a step"))?;
                let action = of_name(name, Value(&mut map))?;
                match map.next_key::<IgnoredAny>()? {
                    None => Ok(Step(action)),
                    Some(_) => Err(de::Error::custom(
                        "expected one step; its arguments stand behind its name, as in \
                         `register: { ue: 2, fails: 3 }`",
                    )),
                }
            }
        }
        deserializer.deserialize_any(Written)
    }
}
