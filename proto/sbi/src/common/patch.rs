//! Changes of a resource: TS 29.571, RFC 6902.

use serde::{Deserialize as _, Deserializer};
use serde_json::Value;

use super::Uri;
use crate::model::{model, open_enum};

/// An attribute that may be null: `Some(Null)`, unlike an absent one.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

model! {
    /// TS29571_CommonData PatchItem.
    pub struct PatchItem {
        required {
            op: PatchOperation,
            /// JSON pointer.
            path: String,
        }
        optional {
            from: String,
            #[serde(deserialize_with = "present")]
            value: Value,
        }
    }
}

impl PatchItem {
    /// Sets the attribute at `path` of a resource.
    pub fn replace(path: &str, value: Value) -> Self {
        Self { value: Some(value), ..Self::new(PatchOperation::Replace, path.to_owned()) }
    }
}

open_enum! {
    /// TS29571_CommonData PatchOperation.
    pub enum PatchOperation {
        Add = "add",
        Copy = "copy",
        Move = "move",
        Remove = "remove",
        Replace = "replace",
        Test = "test",
    }
}

model! {
    /// TS29571_CommonData PatchResult: the parts of a patch that were not carried out.
    pub struct PatchResult {
        required { report: Vec<ReportItem>, }
    }
}

model! {
    /// TS29571_CommonData ReportItem.
    pub struct ReportItem {
        required { path: String, }
        optional { reason: String, }
    }
}

model! {
    /// TS29571_CommonData NotifyItem.
    pub struct NotifyItem {
        required {
            resource_id: Uri,
            changes: Vec<ChangeItem>,
        }
    }
}

model! {
    /// TS29571_CommonData ChangeItem.
    pub struct ChangeItem {
        required {
            op: ChangeType,
            path: String,
        }
        optional {
            from: String,
            #[serde(deserialize_with = "present")]
            orig_value: Value,
            #[serde(deserialize_with = "present")]
            new_value: Value,
        }
    }
}

open_enum! {
    /// TS29571_CommonData ChangeType.
    pub enum ChangeType {
        Add = "ADD",
        Move = "MOVE",
        Remove = "REMOVE",
        Replace = "REPLACE",
    }
}
