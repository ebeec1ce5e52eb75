//! How content and parameters are written and read, and which cause an unreadable one gets.

use std::fmt::Display;
use std::str::FromStr;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use crate::related::{WithParts, WithPartsOrEmpty};
use crate::{Body, Content, ProblemDetails, direct};

/// Largest JSON content that is read: 1 MiB, far beyond any of the procedures' messages.
pub const JSON_LEN_MAX: usize = 1 << 20;

/// Causes of TS 29.500 Table 5.2.7.2-1 that the decoding of a request gives.
pub mod cause {
    /// The content has another format than the operation's.
    pub const INVALID_MSG_FORMAT: &str = "INVALID_MSG_FORMAT";
    /// A mandatory attribute is absent.
    pub const MANDATORY_IE_MISSING: &str = "MANDATORY_IE_MISSING";
    /// A mandatory attribute, or a variable part of the path, cannot be read.
    pub const MANDATORY_IE_INCORRECT: &str = "MANDATORY_IE_INCORRECT";
    /// An optional attribute cannot be read.
    pub const OPTIONAL_IE_INCORRECT: &str = "OPTIONAL_IE_INCORRECT";
    /// A mandatory query parameter is absent.
    pub const MANDATORY_QUERY_PARAM_MISSING: &str = "MANDATORY_QUERY_PARAM_MISSING";
    /// A mandatory query parameter cannot be read.
    pub const MANDATORY_QUERY_PARAM_INCORRECT: &str = "MANDATORY_QUERY_PARAM_INCORRECT";
    /// An optional query parameter cannot be read.
    pub const OPTIONAL_QUERY_PARAM_INCORRECT: &str = "OPTIONAL_QUERY_PARAM_INCORRECT";
}

/// A way to write content of type `T`.
pub trait Encoding<T> {
    /// Writes it.
    fn encode(content: T) -> Body;
    /// Reads it; the error is the answer to a request that carries it.
    fn decode(body: &Body) -> Result<T, ProblemDetails>;
}

/// What a body can hold.
pub trait Model: Serialize + DeserializeOwned + Send + Sync + 'static {}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Model for T {}

/// Content that may have links to what comes next.
pub trait Linked {
    /// Whether it has.
    fn has_links(&self) -> bool;
}

/// A way to write a query parameter of type `T`.
pub trait ParamEncoding<T> {
    /// Writes it.
    fn write(value: &T) -> String;
    /// Reads it; the error says what is wrong.
    fn read(text: &str) -> Result<T, String>;
}

/// No content.
pub struct Empty;
/// `application/json`; as a query parameter, JSON text.
pub struct Json;
/// `application/json`, or no content for `None`.
pub struct JsonOrEmpty;
/// `application/3gppHal+json`.
pub struct Hal;
/// `application/3gppHal+json` if it has links, else `application/json`.
pub struct LinkedJson;
/// `application/merge-patch+json`.
pub struct MergePatch;
/// `application/json-patch+json`.
pub struct JsonPatch;
/// A query parameter in its text form.
pub struct Text;
/// A query parameter that is a list joined by commas.
pub struct Csv;

impl Encoding<()> for Empty {
    fn encode((): ()) -> Body {
        Body::Empty
    }

    fn decode(_: &Body) -> Result<(), ProblemDetails> {
        Ok(())
    }
}

impl<T: Model> Encoding<T> for Json {
    fn encode(content: T) -> Body {
        Body::Json(Content::of(content))
    }

    fn decode(body: &Body) -> Result<T, ProblemDetails> {
        read_body(body)
    }
}

impl<T: Model> Encoding<Option<T>> for JsonOrEmpty {
    fn encode(content: Option<T>) -> Body {
        content.map_or(Body::Empty, |content| Body::Json(Content::of(content)))
    }

    fn decode(body: &Body) -> Result<Option<T>, ProblemDetails> {
        if matches!(body, Body::Empty) { Ok(None) } else { read_body(body).map(Some) }
    }
}

impl<T: Model> Encoding<T> for Hal {
    fn encode(content: T) -> Body {
        Body::Hal(Content::of(content))
    }

    fn decode(body: &Body) -> Result<T, ProblemDetails> {
        read_body(body)
    }
}

impl<T: Model + Linked> Encoding<T> for LinkedJson {
    fn encode(content: T) -> Body {
        if content.has_links() { Body::Hal(Content::of(content)) } else { Body::Json(Content::of(content)) }
    }

    fn decode(body: &Body) -> Result<T, ProblemDetails> {
        read_body(body)
    }
}

impl<T: Model> Encoding<T> for MergePatch {
    fn encode(content: T) -> Body {
        Body::MergePatch(Content::of(content))
    }

    fn decode(body: &Body) -> Result<T, ProblemDetails> {
        read_body(body)
    }
}

impl<T: Model> Encoding<T> for JsonPatch {
    fn encode(content: T) -> Body {
        Body::JsonPatch(Content::of(content))
    }

    fn decode(body: &Body) -> Result<T, ProblemDetails> {
        read_body(body)
    }
}

impl<T: Display + FromStr<Err: Display>> ParamEncoding<T> for Text {
    fn write(value: &T) -> String {
        value.to_string()
    }

    fn read(text: &str) -> Result<T, String> {
        text.parse().map_err(|error: T::Err| error.to_string())
    }
}

impl<T: Serialize + DeserializeOwned> ParamEncoding<T> for Json {
    fn write(value: &T) -> String {
        serde_json::to_string(value).expect("invariant: models are plain JSON")
    }

    fn read(text: &str) -> Result<T, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }
}

impl<T: Display + FromStr<Err: Display>> ParamEncoding<Vec<T>> for Csv {
    fn write(values: &Vec<T>) -> String {
        let texts: Vec<String> = values.iter().map(T::to_string).collect();
        texts.join(",")
    }

    fn read(text: &str) -> Result<Vec<T>, String> {
        text.split(',').map(Text::read).collect()
    }
}

/// JSON text of a model.
pub(crate) fn write_json<T: Serialize>(content: &T) -> bytes::Bytes {
    serde_json::to_vec(content).expect("invariant: models are plain JSON").into()
}

fn read_body<T: DeserializeOwned>(body: &Body) -> Result<T, ProblemDetails> {
    match body.content() {
        Some(content) => content.read(),
        None => Err(ProblemDetails::new(400, cause::INVALID_MSG_FORMAT).with_detail("no content")),
    }
}

/// Reads a model. Nesting is bounded by `serde_json` (128), size by [`JSON_LEN_MAX`].
pub(crate) fn read_json<T: DeserializeOwned>(json: &[u8]) -> Result<T, ProblemDetails> {
    check_length(json)?;
    serde_json::from_slice(json).map_err(|error| {
        if error.is_data() {
            explain::<T>(serde_json::from_slice(json), error)
        } else {
            not_understood(error)
        }
    })
}

/// Reads a model in the direct form; its bounds are the same.
pub(crate) fn read_direct<T: DeserializeOwned>(octets: &[u8]) -> Result<T, ProblemDetails> {
    check_length(octets)?;
    direct::read(octets).map_err(|error| {
        if error.is_data() { explain::<T>(direct::read(octets), error) } else { not_understood(error) }
    })
}

fn check_length(octets: &[u8]) -> Result<(), ProblemDetails> {
    if octets.len() > JSON_LEN_MAX {
        return Err(ProblemDetails { status: Some(413), ..ProblemDetails::default() });
    }
    Ok(())
}

/// Content that is well-formed or not, but nothing that has attributes.
fn not_understood(detail: impl Display) -> ProblemDetails {
    ProblemDetails::new(400, cause::INVALID_MSG_FORMAT).with_detail(detail)
}

/// What is said of content that `T` refused with `error`; `content` is the same, read without types. That it is
/// decoded once more, slowly, names the attribute at fault.
fn explain<T: DeserializeOwned>(content: Result<Value, impl Display>, error: impl Display) -> ProblemDetails {
    let content = match content {
        Ok(content) => content,
        Err(malformed) => return not_understood(malformed),
    };
    let path = refusal::<T>(content.clone()).map(|(path, _)| path).unwrap_or_default();
    let reason = error.to_string();
    if let Some(name) = missing_field(&reason) {
        return ProblemDetails::invalid(cause::MANDATORY_IE_MISSING, &format!("{path}/{name}"), reason);
    }
    let cause = match path.split('/').nth(1) {
        None => cause::INVALID_MSG_FORMAT,
        Some(attribute) if is_mandatory::<T>(content, attribute) => cause::MANDATORY_IE_INCORRECT,
        Some(_) => cause::OPTIONAL_IE_INCORRECT,
    };
    ProblemDetails::invalid(cause, &path, reason)
}

/// Where in the value `T` finds a fault, and what it says of it.
fn refusal<T: DeserializeOwned>(value: Value) -> Option<(String, String)> {
    let error = serde_path_to_error::deserialize::<_, T>(value).err()?;
    Some((pointer(error.path()), error.inner().to_string()))
}

/// JSON pointer to where the decoding stopped; empty for the whole value.
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut text = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => text.push_str(&format!("/{index}")),
            Segment::Map { key } => text.push_str(&format!("/{key}")),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    text
}

fn missing_field(reason: &str) -> Option<&str> {
    reason.strip_prefix("missing field `")?.split('`').next()
}

/// Whether the object without `attribute` fails for the want of it.
fn is_mandatory<T: DeserializeOwned>(content: Value, attribute: &str) -> bool {
    let Value::Object(mut object) = content else { return true };
    object.shift_remove(attribute);
    refusal::<T>(Value::Object(object)).is_some_and(|(_, reason)| missing_field(&reason) == Some(attribute))
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::model::model! {
        /// An example.
        pub struct Example {
            required { pdu_session_id: u8, }
            optional { supi: tern_types::Supi, }
            lists { inner: Inner, }
        }
    }
    crate::model::model! {
        /// Within it.
        pub struct Inner {
            required { dnn: tern_types::Dnn, }
        }
    }

    fn refusal(json: &str) -> (String, String) {
        told(read_json::<Example>(json.as_bytes()).unwrap_err())
    }

    fn told(problem: ProblemDetails) -> (String, String) {
        assert_eq!(problem.status, Some(400));
        let param = problem.invalid_params.first().map(|p| p.param.clone()).unwrap_or_default();
        (problem.cause.unwrap(), param)
    }

    /// The direct form of JSON text, cut or followed as the text is; names are numbered as in the
    /// model.
    fn direct_form(json: &str) -> Vec<u8> {
        let mut values = serde_json::Deserializer::from_str(json).into_iter::<Value>();
        let mut octets = Vec::new();
        for value in &mut values {
            match value {
                Ok(value) => direct::write(&Numbered(&value), &mut octets).unwrap(),
                // A map of one element, of which nothing comes.
                Err(_) => octets.push(0xa1),
            }
        }
        octets
    }

    /// A value whose objects are written as structs.
    struct Numbered<'a>(&'a Value);

    impl Serialize for Numbered<'_> {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use serde::ser::SerializeStruct as _;
            match self.0 {
                Value::Array(items) => serializer.collect_seq(items.iter().map(Numbered)),
                Value::Object(object) => {
                    let mut fields = serializer.serialize_struct("", object.len())?;
                    for (name, value) in object {
                        fields.serialize_field(name.clone().leak(), &Numbered(value))?;
                    }
                    fields.end()
                }
                other => other.serialize(serializer),
            }
        }
    }

    #[test]
    fn unreadable_content_gets_the_cause_and_the_name() {
        for (json, cause, param) in [
            ("{", cause::INVALID_MSG_FORMAT, ""),
            ("[1,2,3,4]", cause::MANDATORY_IE_INCORRECT, "/1"),
            ("\"x\"", cause::INVALID_MSG_FORMAT, ""),
            ("{}", cause::MANDATORY_IE_MISSING, "/pduSessionId"),
            ("{\"pduSessionId\": \"1\"}", cause::MANDATORY_IE_INCORRECT, "/pduSessionId"),
            ("{\"pduSessionId\": 1, \"supi\": \"x\"}", cause::OPTIONAL_IE_INCORRECT, "/supi"),
            (
                "{\"pduSessionId\": 1, \"inner\": [{\"dnn\": \"..\"}]}",
                cause::OPTIONAL_IE_INCORRECT,
                "/inner/0/dnn",
            ),
            ("{\"pduSessionId\": 1, \"inner\": [{}]}", cause::MANDATORY_IE_MISSING, "/inner/0/dnn"),
            ("{\"pduSessionId\": 1} 2", cause::INVALID_MSG_FORMAT, ""),
        ] {
            let expected = (cause.to_owned(), param.to_owned());
            assert_eq!(refusal(json), expected, "{json}");
            let octets = direct_form(json);
            assert_eq!(told(read_direct::<Example>(&octets).unwrap_err()), expected, "{octets:02x?}");
        }
        // The names were numbers, where they have one.
        assert!(direct_form("{\"supi\": 1}").len() == 3 && direct_form("{\"inner\": 1}").len() == 8);
    }

    #[test]
    fn the_reason_is_that_of_json_and_says_where() {
        let json = "{\"pduSessionId\": 1, \"supi\": [2]}";
        let reason = |problem: ProblemDetails| problem.invalid_params[0].reason.clone().unwrap();
        let by_json = reason(read_json::<Example>(json.as_bytes()).unwrap_err());
        let direct = reason(read_direct::<Example>(&direct_form(json)).unwrap_err());
        let (said, place) = direct.split_once(" at ").unwrap();
        assert_eq!((by_json.split_once(" at ").unwrap().0, place), (said, "offset 4"));
    }

    #[test]
    fn nesting_and_size_are_bounded() {
        let deep = format!("{{\"x\": {}", "[".repeat(100_000));
        assert_eq!(refusal(&deep).0, cause::INVALID_MSG_FORMAT);
        let long = format!("{{\"pduSessionId\": 1, \"x\": \"{}\"}}", "x".repeat(JSON_LEN_MAX));
        assert_eq!(read_json::<Example>(long.as_bytes()).unwrap_err().status, Some(413));
        assert_eq!(read_direct::<Example>(&direct_form(&long)).unwrap_err().status, Some(413));
    }

    #[test]
    fn unknown_attributes_and_nulls_are_accepted() {
        let json = "{\"new\": {\"a\": []}, \"pduSessionId\": 1, \"supi\": null}";
        assert_eq!(read_json::<Example>(json.as_bytes()).unwrap(), Example::new(1));
        assert_eq!(read_direct::<Example>(&direct_form(json)).unwrap(), Example::new(1));
        let inner = Inner::new("internet".parse().unwrap());
        assert_eq!(write_json(&inner), "{\"dnn\":\"internet\"}");
    }
}
