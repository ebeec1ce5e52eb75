//! `multipart/related` content: a model and the binary parts it refers to (TS 29.500 §5.2.2.1).

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::encoding::{Encoding, cause};
use crate::{Body, Content, Failure, Part, PartKind, ProblemDetails};

crate::model::model! {
    /// TS29571_CommonData RefToBinaryData.
    pub struct RefToBinaryData {
        required { content_id: String, }
    }
}

/// A model with references to an N1 and an N2 part.
pub trait RefersToParts: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The reference to the N1 part.
    fn n1(&self) -> Option<&RefToBinaryData>;
    /// The reference to the N2 part.
    fn n2(&self) -> Option<&RefToBinaryData>;
    /// Sets both.
    fn refer(&mut self, n1: Option<RefToBinaryData>, n2: Option<RefToBinaryData>);
}

/// A model and its binary parts; the references in the model are the encoding's business.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Related<T> {
    /// The JSON part.
    pub data: T,
    /// The 5GS NAS message.
    pub n1_sm_msg: Option<Bytes>,
    /// The NGAP IE.
    pub n2_sm_info: Option<Bytes>,
}

impl<T> From<T> for Related<T> {
    fn from(data: T) -> Self {
        Self { data, n1_sm_msg: None, n2_sm_info: None }
    }
}

/// `multipart/related`; `application/json` when there is no binary part.
pub struct WithParts;
/// The same, or no content for the model's default without parts.
pub struct WithPartsOrEmpty;

const N1_ID: &str = "n1";
const N2_ID: &str = "n2";

impl<T: RefersToParts> Encoding<Related<T>> for WithParts {
    fn encode(content: Related<T>) -> Body {
        let Related { mut data, n1_sm_msg, n2_sm_info } = content;
        let reference = |id: &str| RefToBinaryData { content_id: id.to_owned() };
        data.refer(
            n1_sm_msg.as_ref().map(|_| reference(N1_ID)),
            n2_sm_info.as_ref().map(|_| reference(N2_ID)),
        );
        let part = |id: &str, kind, data| Part { id: id.to_owned(), kind, data };
        let n1 = n1_sm_msg.map(|data| part(N1_ID, PartKind::Nas, data));
        let n2 = n2_sm_info.map(|data| part(N2_ID, PartKind::Ngap, data));
        let parts: Vec<Part> = n1.into_iter().chain(n2).collect();
        let json = Content::of(data);
        if parts.is_empty() { Body::Json(json) } else { Body::Related { json, parts } }
    }

    fn decode(body: &Body) -> Result<Related<T>, ProblemDetails> {
        let Some(content) = body.content() else {
            return Err(ProblemDetails::new(400, cause::INVALID_MSG_FORMAT).with_detail("no content"));
        };
        let data: T = content.read()?;
        let n1_sm_msg = find(data.n1(), body, PartKind::Nas)?;
        let n2_sm_info = find(data.n2(), body, PartKind::Ngap)?;
        Ok(Related { data, n1_sm_msg, n2_sm_info })
    }
}

impl<T: RefersToParts + Default + PartialEq> Encoding<Related<T>> for WithPartsOrEmpty {
    fn encode(content: Related<T>) -> Body {
        if content == Related::default() { Body::Empty } else { WithParts::encode(content) }
    }

    fn decode(body: &Body) -> Result<Related<T>, ProblemDetails> {
        if matches!(body, Body::Empty) { Ok(Related::default()) } else { WithParts::decode(body) }
    }
}

/// The part that `reference` names.
fn find(
    reference: Option<&RefToBinaryData>,
    body: &Body,
    kind: PartKind,
) -> Result<Option<Bytes>, ProblemDetails> {
    let Some(reference) = reference else { return Ok(None) };
    let matches = |part: &&Part| part.id == reference.content_id && part.kind == kind;
    match body.parts().iter().find(matches) {
        Some(part) => Ok(Some(part.data.clone())),
        None => Err(ProblemDetails::invalid(
            cause::INVALID_MSG_FORMAT,
            "contentId",
            format_args!("no {kind:?} part {:?}", reference.content_id),
        )),
    }
}

/// A model whose attribute `error` is the ProblemDetails of a refusal.
pub trait ErrorModel {
    /// The ProblemDetails.
    fn problem(&self) -> &ProblemDetails;
}

impl<T: RefersToParts + ErrorModel> Failure for Related<T> {
    fn into_body(self) -> Body {
        WithParts::encode(self)
    }

    fn from_body(body: &Body) -> Option<Self> {
        WithParts::decode(body).ok()
    }

    fn problem(&self) -> &ProblemDetails {
        self.data.problem()
    }
}
