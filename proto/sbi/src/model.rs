//! The shapes that models are written in.

/// A JSON object of a service. `required` attributes are fields of their type, `optional` ones
/// are `Option`s left out when `None`, `lists` and `maps` are left out when empty. Attribute
/// names are the fields' in camelCase. `new` takes the required ones in their order; a model
/// without any is [`Default`].
macro_rules! model {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            required { $($(#[$rm:meta])* $rf:ident: $rt:ty,)+ }
            $(optional { $($(#[$om:meta])* $of:ident: $ot:ty,)* })?
            $(lists { $($(#[$lm:meta])* $lf:ident: $lt:ty,)* })?
            $(maps { $($(#[$mm:meta])* $mf:ident: $mt:ty,)* })?
        }
    ) => {
        $(#[$meta])*
        #[allow(missing_docs, reason = "fields carry the names of the cited schema")]
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub struct $name {
            $($(#[$rm])* pub $rf: $rt,)+
            $($($(#[$om])* #[serde(default, skip_serializing_if = "Option::is_none")]
                pub $of: Option<$ot>,)*)?
            $($($(#[$lm])* #[serde(default, skip_serializing_if = "Vec::is_empty")]
                pub $lf: Vec<$lt>,)*)?
            $($($(#[$mm])* #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
                pub $mf: std::collections::BTreeMap<String, $mt>,)*)?
        }
        impl $name {
            /// With its required attributes only.
            #[allow(clippy::too_many_arguments, reason = "the schema's required attributes")]
            pub fn new($($rf: $rt),+) -> Self {
                Self {
                    $($rf,)+
                    $($($of: None,)*)?
                    $($($lf: Vec::new(),)*)?
                    $($($mf: std::collections::BTreeMap::new(),)*)?
                }
            }
        }
    };
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $(optional { $($(#[$om:meta])* $of:ident: $ot:ty,)* })?
            $(lists { $($(#[$lm:meta])* $lf:ident: $lt:ty,)* })?
            $(maps { $($(#[$mm:meta])* $mf:ident: $mt:ty,)* })?
        }
    ) => {
        $(#[$meta])*
        #[allow(missing_docs, reason = "fields carry the names of the cited schema")]
        #[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub struct $name {
            $($($(#[$om])* #[serde(default, skip_serializing_if = "Option::is_none")]
                pub $of: Option<$ot>,)*)?
            $($($(#[$lm])* #[serde(default, skip_serializing_if = "Vec::is_empty")]
                pub $lf: Vec<$lt>,)*)?
            $($($(#[$mm])* #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
                pub $mf: std::collections::BTreeMap<String, $mt>,)*)?
        }
    };
}

/// An enumeration that later releases extend: a text it does not know is kept in `Other`.
macro_rules! open_enum {
    (
        $(#[$meta:meta])*
        pub enum $name:ident { $($variant:ident = $text:literal,)+ }
    ) => {
        $(#[$meta])*
        #[allow(missing_docs, reason = "variants carry the names of the cited schema")]
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($variant,)+
            /// A value that this release does not name.
            Other(String),
        }
        impl $name {
            /// Its text in JSON.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Other(text) => text,
                }
            }
        }
        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                match text {
                    $($text => Self::$variant,)+
                    other => Self::Other(other.to_owned()),
                }
            }
        }
        impl std::str::FromStr for $name {
            type Err = std::convert::Infallible;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Ok(text.into())
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                tern_types::deserialize_text(deserializer, str::parse)
            }
        }
    };
}
pub(crate) use {model, open_enum};
