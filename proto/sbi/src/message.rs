//! Requests and replies as they travel, before any HTTP.

use bytes::Bytes;
use tern_types::Duration;

use crate::{Content, ProblemDetails};

/// HTTP methods that the services use (TS 29.501 §4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Read a resource.
    Get,
    /// Create a resource, or a custom operation.
    Post,
    /// Create or replace a resource.
    Put,
    /// Modify a resource.
    Patch,
    /// Delete a resource.
    Delete,
}

/// One service request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What to do with the resource.
    pub method: Method,
    /// Path after the apiRoot, percent-encoded, such as `/nausf-auth/v1/ue-authentications`.
    pub path: String,
    /// Query parameters, not percent-encoded.
    pub query: Vec<(String, String)>,
    /// Header fields that mean something to a network function.
    pub headers: Headers,
    /// Content.
    pub body: Body,
}

/// Header fields of TS 29.500 §5.2 that a network function reads or writes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers {
    /// `3gpp-Sbi-Max-Rsp-Time`: how long the consumer waits.
    pub max_response_time: Option<Duration>,
    /// `3gpp-Sbi-Message-Priority`: 0 (highest) to 31.
    pub priority: Option<u8>,
    /// `If-Match`.
    pub if_match: Option<String>,
    /// `If-None-Match`.
    pub if_none_match: Option<String>,
}

/// One service reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status code.
    pub status: u16,
    /// `Location`: the URI of the resource that was created, absolute.
    pub location: Option<String>,
    /// `Retry-After`.
    pub retry_after: Option<Duration>,
    /// `ETag`.
    pub etag: Option<String>,
    /// `Cache-Control: max-age`.
    pub max_age: Option<Duration>,
    /// Content.
    pub body: Body,
}

impl Reply {
    /// A reply with this status and no content.
    pub fn empty(status: u16) -> Self {
        Self { status, location: None, retry_after: None, etag: None, max_age: None, body: Body::Empty }
    }
}

/// Content by media type.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Body {
    /// No content.
    #[default]
    Empty,
    /// `application/json`.
    Json(Content),
    /// `application/3gppHal+json`: JSON with `_links` (TS 29.501).
    Hal(Content),
    /// `application/problem+json`.
    Problem(Content),
    /// `application/merge-patch+json` (RFC 7396).
    MergePatch(Content),
    /// `application/json-patch+json` (RFC 6902).
    JsonPatch(Content),
    /// `multipart/related`: JSON first, then binary parts (TS 29.500 §5.2.2.1).
    Related {
        /// The first part, `application/json`.
        json: Content,
        /// The parts that its `contentId`s refer to.
        parts: Vec<Part>,
    },
}

impl Body {
    /// What it holds or leads with, if anything.
    pub fn content(&self) -> Option<&Content> {
        match self {
            Self::Empty => None,
            Self::Json(content)
            | Self::Hal(content)
            | Self::Problem(content)
            | Self::MergePatch(content)
            | Self::JsonPatch(content)
            | Self::Related { json: content, .. } => Some(content),
        }
    }

    /// The JSON text of what it holds or leads with, if any.
    pub fn json(&self) -> Option<Bytes> {
        self.content()?.text()
    }

    /// What it holds or leads with, read as ProblemDetails; `None` if it is none.
    pub fn problem(&self) -> Option<ProblemDetails> {
        self.content()?.read().ok()
    }

    /// The same with a model written as JSON text.
    #[must_use]
    pub fn into_written(self) -> Self {
        match self {
            Self::Empty => Self::Empty,
            Self::Json(content) => Self::Json(content.into_written()),
            Self::Hal(content) => Self::Hal(content.into_written()),
            Self::Problem(content) => Self::Problem(content.into_written()),
            Self::MergePatch(content) => Self::MergePatch(content.into_written()),
            Self::JsonPatch(content) => Self::JsonPatch(content.into_written()),
            Self::Related { json, parts } => Self::Related { json: json.into_written(), parts },
        }
    }

    /// The binary parts; empty unless `multipart/related`.
    pub fn parts(&self) -> &[Part] {
        match self {
            Self::Related { parts, .. } => parts,
            _ => &[],
        }
    }
}

/// A binary part of a `multipart/related` body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// `Content-Id`.
    pub id: String,
    /// `Content-Type`.
    pub kind: PartKind,
    /// Content.
    pub data: Bytes,
}

/// What a binary part holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PartKind {
    /// `application/vnd.3gpp.5gnas`: a 5GS NAS message.
    Nas,
    /// `application/vnd.3gpp.ngap`: an NGAP IE.
    Ngap,
}
