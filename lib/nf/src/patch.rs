//! JSON Patch (RFC 6902) on a resource, within bounds.

use serde_json::Value;
use tern_sbi::ProblemDetails;
use tern_sbi::common::{PatchItem, PatchOperation};

/// Operations of one patch.
pub const ITEMS_MAX: usize = 64;

/// Octets of the patched resource as JSON.
pub const RESOURCE_MAX: usize = 64 << 10;

/// Applies `items` in their order; nothing of `resource` is to be used after an error.
pub fn apply(resource: &mut Value, items: &[PatchItem]) -> Result<(), ProblemDetails> {
    if items.len() > ITEMS_MAX {
        let detail = format!("more than {ITEMS_MAX} operations");
        return Err(ProblemDetails { status: Some(413), ..ProblemDetails::default() }.with_detail(detail));
    }
    for item in items {
        apply_one(resource, item)?;
        // Copying may double the resource with each operation.
        if matches!(item.op, PatchOperation::Copy) && resource.to_string().len() > RESOURCE_MAX {
            return Err(too_large());
        }
    }
    if resource.to_string().len() > RESOURCE_MAX { Err(too_large()) } else { Ok(()) }
}

/// The resource has more than [`RESOURCE_MAX`] octets.
pub fn too_large() -> ProblemDetails {
    let detail = format!("a resource of more than {RESOURCE_MAX} octets");
    ProblemDetails { status: Some(413), ..ProblemDetails::default() }.with_detail(detail)
}

fn apply_one(resource: &mut Value, item: &PatchItem) -> Result<(), ProblemDetails> {
    let wrong = |reason: &str| ProblemDetails::invalid("MANDATORY_IE_INCORRECT", &item.path, reason);
    let value = || {
        let missing = || ProblemDetails::invalid("MANDATORY_IE_MISSING", &item.path, "value");
        item.value.clone().ok_or_else(missing)
    };
    let from = || {
        let missing = || ProblemDetails::invalid("MANDATORY_IE_MISSING", &item.path, "from");
        item.from.as_deref().ok_or_else(missing)
    };
    let not_there = || wrong("there is no such value");
    match item.op {
        PatchOperation::Add => add(resource, &item.path, value()?).ok_or_else(not_there),
        PatchOperation::Replace => {
            // The specification's own heartbeat replaces attributes that may not be there yet.
            let value = value()?;
            match resource.pointer_mut(&item.path) {
                Some(there) => *there = value,
                None => add(resource, &item.path, value).ok_or_else(not_there)?,
            }
            Ok(())
        }
        PatchOperation::Remove => remove(resource, &item.path).map(|_| ()).ok_or_else(not_there),
        PatchOperation::Copy => {
            let copied = resource.pointer(from()?).cloned().ok_or_else(not_there)?;
            add(resource, &item.path, copied).ok_or_else(not_there)
        }
        PatchOperation::Move => {
            let from = from()?;
            if item.path.starts_with(&format!("{from}/")) {
                return Err(wrong("a value cannot be moved into itself"));
            }
            let moved = remove(resource, from).ok_or_else(not_there)?;
            add(resource, &item.path, moved).ok_or_else(not_there)
        }
        PatchOperation::Test => {
            let expected = value()?;
            if resource.pointer(&item.path) == Some(&expected) {
                return Ok(());
            }
            let conflict = ProblemDetails { status: Some(409), ..ProblemDetails::default() };
            Err(conflict.with_detail(format_args!("{} has another value", item.path)))
        }
        PatchOperation::Other(_) => Err(wrong("an unknown operation")),
    }
}

fn split(pointer: &str) -> Option<(&str, String)> {
    let (parent, last) = pointer.rsplit_once('/')?;
    Some((parent, last.replace("~1", "/").replace("~0", "~")))
}

fn add(resource: &mut Value, pointer: &str, value: Value) -> Option<()> {
    if pointer.is_empty() {
        *resource = value;
        return Some(());
    }
    let (parent, last) = split(pointer)?;
    match resource.pointer_mut(parent)? {
        Value::Object(object) => {
            object.insert(last, value);
        }
        Value::Array(array) if last == "-" => array.push(value),
        Value::Array(array) => {
            let index: usize = last.parse().ok().filter(|index| *index <= array.len())?;
            array.insert(index, value);
        }
        _ => return None,
    }
    Some(())
}

fn remove(resource: &mut Value, pointer: &str) -> Option<Value> {
    let (parent, last) = split(pointer)?;
    match resource.pointer_mut(parent)? {
        Value::Object(object) => object.shift_remove(&last),
        Value::Array(array) => {
            let index: usize = last.parse().ok().filter(|index| *index < array.len())?;
            Some(array.remove(index))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patched(resource: Value, patch: Value) -> Result<Value, ProblemDetails> {
        let items: Vec<PatchItem> = serde_json::from_value(patch).unwrap();
        let mut resource = resource;
        apply(&mut resource, &items).map(|()| resource)
    }

    #[test]
    fn each_operation_does_what_rfc_6902_says() {
        let patch = json!([
            {"op": "test", "path": "/a", "value": 1},
            {"op": "replace", "path": "/a", "value": 2},
            {"op": "add", "path": "/list/1", "value": "x"},
            {"op": "add", "path": "/list/-", "value": "z"},
            {"op": "copy", "from": "/list/1", "path": "/b~1c"},
            {"op": "move", "from": "/a", "path": "/d"},
            {"op": "remove", "path": "/list/0"},
        ]);
        let result = patched(json!({"a": 1, "list": [0, "y"]}), patch).unwrap();
        assert_eq!(result, json!({"list": ["x", "y", "z"], "b/c": "x", "d": 2}));
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        let refused = |patch| patched(json!({"a": [1]}), patch).unwrap_err().status;
        for (op, status) in [
            (json!({"op": "remove", "path": "/b"}), 400),
            (json!({"op": "add", "path": "/b/c", "value": 1}), 400),
            (json!({"op": "add", "path": "/a/3", "value": 1}), 400),
            (json!({"op": "add", "path": "/b"}), 400),
            (json!({"op": "move", "from": "/a", "path": "/a/0"}), 400),
            (json!({"op": "test", "path": "/a", "value": 1}), 409),
            (json!({"op": "frobnicate", "path": "/a"}), 400),
        ] {
            assert_eq!(refused(json!([op])), Some(status), "{op}");
        }
        assert_eq!(refused(json!(vec![json!({"op": "remove", "path": "/a"}); 65])), Some(413));
    }

    #[test]
    fn copies_cannot_grow_without_bound() {
        let items: Vec<Value> =
            (0..60).map(|n| json!({"op": "copy", "from": "", "path": format!("/{n}")})).collect();
        assert_eq!(patched(json!({"a": "b"}), json!(items)).unwrap_err().status, Some(413));
    }
}
