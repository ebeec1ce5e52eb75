//! Changes of a resource: TS 29.571, RFC 6902.

use serde_json::Value;

use super::Uri;
use crate::model::{model, open_enum};

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
            orig_value: Value,
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
