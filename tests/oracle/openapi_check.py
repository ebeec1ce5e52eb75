#!/usr/bin/env python3
"""Validates JSON bodies against the official OpenAPI files of 3GPP.

Reads JSON lines {"file": "TS29571_CommonData.yaml", "schema": "Tai", "body": {...}} from standard
input; "file" may lack ".yaml". "schema" may begin with "[]" for an array of the schema; "request": true
says that the body is a request's, where read-only attributes are not required. Writes one
line for each body at fault. Exit status: 0 all valid, 1 some not, 77 something needed is absent.

usage: openapi_check.py DIRECTORY [--lenient]
--lenient accepts attributes that the schema does not name.
"""
import json
import pathlib
import sys

SKIPPED = 77

try:
    import jsonschema
    import yaml
    from referencing import Registry, Resource
    from referencing.jsonschema import DRAFT4
except ImportError as error:
    print(f"skipped: {error} (PyPI: jsonschema, PyYAML)")
    sys.exit(SKIPPED)


def allow_null(node):
    """OpenAPI 3.0 says `nullable: true` where JSON Schema has the type null."""
    if isinstance(node, list):
        return [allow_null(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {key: allow_null(value) for key, value in node.items()}
    if node.pop("nullable", False) is True:
        return {"anyOf": [node, {"type": "null"}]}
    return node


class Files:
    """The OpenAPI files of one directory, each read once."""

    def __init__(self, directory):
        self.directory = directory
        self.resources = {}
        self.registry = Registry(retrieve=self.read)

    def read(self, name):
        if name not in self.resources:
            loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
            text = (self.directory / name).read_text(encoding="utf-8")
            contents = yaml.load(text, loader)
            contents["components"]["schemas"] = allow_null(contents["components"].get("schemas", {}))
            self.resources[name] = Resource.from_contents(contents, default_specification=DRAFT4)
        return self.resources[name]

    def schema(self, file, name):
        self.read(file).contents["components"]["schemas"][name]  # KeyError: no such schema
        return {"$ref": f"{file}#/components/schemas/{name}"}


def unknown(scoped, body, path=""):
    """Attributes of `body` that none of the schemas, each with its resolver, names."""
    parts = list(flatten(scoped))
    if isinstance(body, list):
        items = [(part["items"], scope) for part, scope in parts if "items" in part]
        for index, item in enumerate(body):
            yield from unknown(items, item, f"{path}/{index}")
    elif isinstance(body, dict):
        free = all("properties" not in part for part, _ in parts)
        extra = "additionalProperties"
        maps = [(p[extra], s) for p, s in parts if isinstance(p.get(extra), dict)]
        for key, value in body.items():
            named = [(p["properties"][key], s) for p, s in parts if key in p.get("properties", {})]
            if not named and not maps and not free:
                yield f"{path}/{key}: not in the schema"
            yield from unknown(named or maps, value, f"{path}/{key}")


def flatten(scoped, depth=0):
    """The schemas with references and combinations followed."""
    for schema, resolver in scoped:
        if depth > 20 or not isinstance(schema, dict):
            continue
        if "$ref" in schema:
            found = resolver.lookup(schema["$ref"])
            yield from flatten([(found.contents, found.resolver)], depth + 1)
            continue
        yield schema, resolver
        for combination in ("allOf", "anyOf", "oneOf"):
            yield from flatten([(item, resolver) for item in schema.get(combination, [])], depth + 1)


def missing_read_only(error):
    """OpenAPI 3.0: a required attribute that is `readOnly` is required in answers only."""
    if error.validator != "required":
        return False
    absent = [name for name in error.validator_value if name not in error.instance]
    properties = error.schema.get("properties", {})
    return all(properties.get(name, {}).get("readOnly") for name in absent)


def faults(files, case, lenient):
    file = case["file"] if case["file"].endswith(".yaml") else case["file"] + ".yaml"
    name = case["schema"]
    schema = files.schema(file, name.removeprefix("[]"))
    if name.startswith("[]"):
        schema = {"type": "array", "items": schema}
    validator = jsonschema.Draft4Validator(
        schema, registry=files.registry, format_checker=jsonschema.FormatChecker()
    )
    for error in validator.iter_errors(case["body"]):
        if case.get("request") and missing_read_only(error):
            continue
        yield f"/{'/'.join(str(part) for part in error.absolute_path)}: {error.message}"
    if not lenient:
        yield from unknown([(schema, files.registry.resolver())], case["body"])


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    directory = pathlib.Path(sys.argv[1])
    if not (directory / "TS29571_CommonData.yaml").is_file():
        print(f"skipped: no OpenAPI files in {directory}")
        sys.exit(SKIPPED)
    files = Files(directory)
    checked = wrong = 0
    for line in sys.stdin:
        if not line.strip():
            continue
        case = json.loads(line)
        checked += 1
        try:
            found = list(faults(files, case, "--lenient" in sys.argv))
        except KeyError as error:
            found = [f"no schema {error}"]
        for fault in found:
            print(f"{case['file']} {case['schema']} {fault}"[:500])
        wrong += bool(found)
    print(f"{checked} bodies checked, {wrong} at fault")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
