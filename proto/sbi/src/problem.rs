//! ProblemDetails: TS 29.571 §5.2.4.1, RFC 9457.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Body, Content, Reply};

/// Why a request was refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProblemDetails {
    /// HTTP status code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Short text for humans.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Text for humans about this occurrence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The protocol's or the application's error, such as `USER_NOT_FOUND`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// The attributes at fault.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub invalid_params: Vec<InvalidParam>,
}

/// An attribute at fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvalidParam {
    /// Its name, or JSON pointer.
    pub param: String,
    /// What is wrong with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl ProblemDetails {
    /// A problem with `status` and `cause`.
    pub fn new(status: u16, cause: &str) -> Self {
        Self { status: Some(status), cause: Some(cause.to_owned()), ..Self::default() }
    }

    /// The same with a text for humans.
    #[must_use]
    pub fn with_detail(mut self, detail: impl fmt::Display) -> Self {
        self.detail = Some(detail.to_string());
        self
    }

    /// 400, the content or a parameter cannot be read (TS 29.500 Table 5.2.7.2-1).
    pub fn invalid(cause: &str, param: &str, reason: impl fmt::Display) -> Self {
        let invalid = InvalidParam { param: param.to_owned(), reason: Some(reason.to_string()) };
        Self { invalid_params: vec![invalid], ..Self::new(400, cause) }
    }

    /// As a reply.
    pub fn into_reply(self) -> Reply {
        let status = self.status.unwrap_or(500);
        Reply { body: Body::Problem(Content::of(self)), ..Reply::empty(status) }
    }
}

impl fmt::Display for ProblemDetails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status.unwrap_or(0))?;
        for text in [&self.cause, &self.title, &self.detail].into_iter().flatten() {
            write!(f, " {text}")?;
        }
        Ok(())
    }
}
