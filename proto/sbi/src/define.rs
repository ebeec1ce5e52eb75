//! What the `operation!` macro is made of.

use crate::encoding::{Encoding, ParamEncoding, cause};
use crate::operation::Failure;
use crate::{Body, OperationError, PathParams, ProblemDetails, Reply, Request, Response, TransportError};

/// Defines a service operation: a struct with the request's variable parts as fields, and its
/// [`Operation`](crate::Operation).
///
/// ```text
/// operation! {
///     /// Nudm_SDM_Get, session management data.
///     pub struct GetSmData("Nudm_SDM_Get_SmData"): Get "/nudm-sdm/v2/{supi}/sm-data" {
///         path { supi: Supi, }                              // {…} of the template, in order
///         required { "dataset-names" names: Vec<T> as Csv, } // mandatory query parameters
///         optional { "dnn" dnn: Dnn as Text, }              // optional ones: Option fields
///         body { data: Model as Json }                      // or: related { data: Model }
///         answer Answer as Json;                            // or: answer ();
///         failure Related<Error>;                           // default: ProblemDetails
///     }
/// }
/// ```
/// Each operation has `new`, which takes path (or callback path), mandatory parameters, content.
/// `related` adds the fields `n1_sm_msg` and `n2_sm_info`. With `callback` in place of `path` the
/// struct has `path`, the whole path of the callback URI, and `key()`, its variable part.
macro_rules! operation {
    (
        $(#[$meta:meta])*
        pub struct $name:ident($label:literal): $method:ident $template:literal {
            $(callback { $key:ident })?
            $(path { $($pf:ident: $pt:ty,)+ })?
            $(required { $($rn:literal $rf:ident: $rt:ty as $re:ident,)+ })?
            $(optional { $($on:literal $of:ident: $ot:ty as $oe:ident,)+ })?
            $(body { $bf:ident: $bt:ty as $be:ident })?
            $(related { $mf:ident: $mt:ty })?
            answer $at:ty as $ae:ident;
            $(failure $ft:ty;)?
        }
    ) => {
        $(#[$meta])*
        #[allow(missing_docs, reason = "fields carry the names of the cited operation")]
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $(
                /// Path of the callback URI; its variable part is the
                #[doc = concat!(stringify!($key), ".")]
                pub path: String,
            )?
            $($(pub $pf: $pt,)+)?
            $($(pub $rf: $rt,)+)?
            $($(pub $of: Option<$ot>,)+)?
            $(pub $bf: $bt,)?
            $(
                pub $mf: $mt,
                /// The 5GS NAS message.
                pub n1_sm_msg: Option<bytes::Bytes>,
                /// The NGAP IE.
                pub n2_sm_info: Option<bytes::Bytes>,
            )?
        }

        impl $name {
            /// Without optional parameters and binary parts.
            #[allow(clippy::too_many_arguments, reason = "the operation's parameters")]
            #[allow(clippy::new_without_default, reason = "not every operation has parameters")]
            pub fn new(
                $($key: String,)?
                $($($pf: $pt,)+)?
                $($($rf: $rt,)+)?
                $($bf: $bt,)?
                $($mf: $mt,)?
            ) -> Self {
                Self {
                    $(path: $key,)?
                    $($($pf,)+)?
                    $($($rf,)+)?
                    $($($of: None,)+)?
                    $($bf,)?
                    $($mf, n1_sm_msg: None, n2_sm_info: None,)?
                }
            }
        }

        $(
            impl $name {
                /// Path to offer in a callback URI, for tern's own producers and consumers.
                pub fn callback_path($key: &str) -> String {
                    crate::PathParams::fill($template, &[$key])
                }

                /// The variable part of the path, if it has the form of [`Self::callback_path`].
                pub fn key(&self) -> Option<String> {
                    crate::PathParams::matching($template, &self.path)?.0.into_iter().next()
                }
            }
        )?

        impl crate::Operation for $name {
            type Answer = $at;
            type Failure = operation!(@failure $($ft)?);

            const NAME: &'static str = $label;
            const METHOD: crate::Method = crate::Method::$method;
            const PATH: &'static str = $template;

            fn into_request(self) -> crate::Request {
                #[allow(unused_mut, reason = "not every operation has parameters")]
                let mut query: Vec<(String, String)> = Vec::new();
                $($(query.push(($rn.to_owned(), crate::define::write::<crate::encoding::$re, _>(&self.$rf)));)+)?
                $($(if let Some(value) = &self.$of {
                    query.push(($on.to_owned(), crate::define::write::<crate::encoding::$oe, _>(value)));
                })+)?
                crate::Request {
                    method: Self::METHOD,
                    path: operation!(@path self, $template, $($key)?; $($($pf)+)?),
                    query,
                    headers: crate::Headers::default(),
                    body: operation!(@body self, $($bf as $be)?; $($mf)?),
                }
            }

            #[allow(unused_variables, reason = "not every operation has parameters or content")]
            fn from_request(
                params: &crate::PathParams,
                request: &crate::Request,
            ) -> Result<Self, crate::ProblemDetails> {
                #[allow(unused_mut, reason = "not every operation has parameters")]
                let mut params = crate::define::Segments::new(params);
                $(
                        let related: crate::Related<$mt> =
                        crate::define::decode::<crate::encoding::WithParts, _>(&request.body)?;)?
                Ok(Self {
                    $(path: { let $key = request.path.clone(); $key },)?
                    $($($pf: params.next(stringify!($pf))?,)+)?
                    $($($rf: crate::define::required::<crate::encoding::$re, _>(request, $rn)?,)+)?
                    $($($of: crate::define::optional::<crate::encoding::$oe, _>(request, $on)?,)+)?
                    $($bf: crate::define::decode::<crate::encoding::$be, _>(&request.body)?,)?
                    $(
                        $mf: related.data,
                        n1_sm_msg: related.n1_sm_msg,
                        n2_sm_info: related.n2_sm_info,
                    )?
                })
            }

            fn to_reply(
                result: Result<crate::Response<$at>, crate::OperationError<Self::Failure>>,
            ) -> crate::Reply {
                crate::define::to_reply::<$at, crate::encoding::$ae, _>(result)
            }

            fn from_reply(
                reply: crate::Reply,
            ) -> Result<crate::Response<$at>, crate::OperationError<Self::Failure>> {
                crate::define::from_reply::<$at, crate::encoding::$ae, _>(reply)
            }
        }
    };
    (@failure) => { crate::ProblemDetails };
    (@failure $ft:ty) => { $ft };
    (@path $self:ident, $template:literal, $key:ident; ) => { $self.path };
    (@path $self:ident, $template:literal, ; $($pf:ident)*) => {
        crate::PathParams::fill($template, &[$(&$self.$pf.to_string()),*])
    };
    (@body $self:ident, ; ) => { crate::Body::Empty };
    (@body $self:ident, $bf:ident as $be:ident; ) => {
        crate::define::encode::<crate::encoding::$be, _>($self.$bf)
    };
    (@body $self:ident, ; $mf:ident) => {
        crate::define::encode::<crate::encoding::WithParts, _>(crate::Related {
            data: $self.$mf,
            n1_sm_msg: $self.n1_sm_msg,
            n2_sm_info: $self.n2_sm_info,
        })
    };
}
pub(crate) use operation;

pub(crate) fn write<E: ParamEncoding<T>, T>(value: &T) -> String {
    E::write(value)
}

pub(crate) fn encode<E: Encoding<T>, T>(content: T) -> Body {
    E::encode(content)
}

pub(crate) fn decode<E: Encoding<T>, T>(body: &Body) -> Result<T, ProblemDetails> {
    E::decode(body)
}

/// A mandatory query parameter.
pub(crate) fn required<E: ParamEncoding<T>, T>(request: &Request, name: &str) -> Result<T, ProblemDetails> {
    let Some(text) = parameter(request, name) else {
        let cause = cause::MANDATORY_QUERY_PARAM_MISSING;
        return Err(ProblemDetails::invalid(cause, name, "mandatory"));
    };
    let cause = cause::MANDATORY_QUERY_PARAM_INCORRECT;
    E::read(text).map_err(|reason| ProblemDetails::invalid(cause, name, reason))
}

/// An optional query parameter.
pub(crate) fn optional<E: ParamEncoding<T>, T>(
    request: &Request,
    name: &str,
) -> Result<Option<T>, ProblemDetails> {
    let cause = cause::OPTIONAL_QUERY_PARAM_INCORRECT;
    let invalid = |reason: String| ProblemDetails::invalid(cause, name, reason);
    parameter(request, name).map(|text| E::read(text).map_err(invalid)).transpose()
}

fn parameter<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// The variable parts of a path, taken in their order.
pub(crate) struct Segments<'a>(std::slice::Iter<'a, String>);

impl<'a> Segments<'a> {
    pub(crate) fn new(params: &'a PathParams) -> Self {
        Self(params.0.iter())
    }

    pub(crate) fn next<T>(&mut self, name: &str) -> Result<T, ProblemDetails>
    where
        T: std::str::FromStr<Err: std::fmt::Display>,
    {
        let text = self.0.next().expect("invariant: one field a parameter of the template");
        text.parse()
            .map_err(|reason: T::Err| ProblemDetails::invalid(cause::MANDATORY_IE_INCORRECT, name, reason))
    }
}

pub(crate) fn to_reply<A, E: Encoding<A>, F: Failure>(
    result: Result<Response<A>, OperationError<F>>,
) -> Reply {
    match result {
        Ok(response) => {
            let body = if response.status == 204 { Body::Empty } else { E::encode(response.body) };
            Reply {
                location: response.location,
                max_age: response.max_age,
                body,
                ..Reply::empty(response.status)
            }
        }
        Err(OperationError::Refused { status, body }) => {
            Reply { body: body.into_body(), ..Reply::empty(status) }
        }
        Err(OperationError::Problem(problem)) => problem.into_reply(),
        Err(OperationError::Transport(error)) => {
            let (status, cause) = match error {
                TransportError::TimedOut => (504, "TIMED_OUT_REQUEST"),
                _ => (504, "TARGET_NF_NOT_REACHABLE"),
            };
            ProblemDetails::new(status, cause).with_detail(error).into_reply()
        }
        Err(OperationError::Malformed(detail)) => {
            ProblemDetails::new(500, "SYSTEM_FAILURE").with_detail(detail).into_reply()
        }
    }
}

pub(crate) fn from_reply<A, E: Encoding<A>, F: Failure>(
    reply: Reply,
) -> Result<Response<A>, OperationError<F>> {
    let Reply { status, location, max_age, body, .. } = reply;
    if (200..300).contains(&status) {
        return match E::decode(&body) {
            Ok(body) => Ok(Response { status, location, max_age, body }),
            Err(problem) => Err(OperationError::Malformed(problem.to_string())),
        };
    }
    if !matches!(body, Body::Problem(_))
        && let Some(body) = F::from_body(&body)
    {
        return Err(OperationError::Refused { status, body });
    }
    let mut problem = body.problem().unwrap_or_default();
    problem.status = Some(status);
    Err(OperationError::Problem(problem))
}
