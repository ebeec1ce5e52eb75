#!/usr/bin/env python3
"""Decodes the direct form of the SBI with cbor2, which knows nothing of ours but the README.

Reads from standard input the attribute names as a JSON array, then lines of
{"what": ..., "octets": hexadecimal digits, "value": what they must mean}. Where the value is an
object, a key may be the number of its attribute's name; where it is text, a byte string may stand
for its hexadecimal digits. Ends with 77 if cbor2 is missing.
"""
import json
import sys

try:
    import cbor2
except ImportError:
    print("skipped: cbor2 is not installed")
    sys.exit(77)


def json_text(decoder, tag):
    if tag.tag != 262:
        return tag
    return {"JSON": json.loads(tag.value)}


def differences(found, value, names, at):
    if isinstance(found, bytes):
        found = found.hex()
    if isinstance(found, dict) and isinstance(value, dict):
        named = {}
        for key, element in found.items():
            name = key if isinstance(key, str) else names[key]
            if name in named:
                yield f"{at}/{name} is there twice"
            named[name] = element
        if named.keys() != value.keys():
            yield f"{at} has {sorted(named)}, expected {sorted(value)}"
        for name in named.keys() & value.keys():
            yield from differences(named[name], value[name], names, f"{at}/{name}")
    elif isinstance(found, list) and isinstance(value, list):
        if len(found) != len(value):
            yield f"{at} has {len(found)} elements, expected {len(value)}"
        for index, (one, other) in enumerate(zip(found, value)):
            yield from differences(one, other, names, f"{at}/{index}")
    elif type(found) is not type(value) or found != value:
        yield f"{at} is {found!r}, expected {value!r}"


def main():
    names = json.loads(sys.stdin.readline())
    checked, wrong = 0, []
    for line in sys.stdin:
        case = json.loads(line)
        found = cbor2.loads(bytes.fromhex(case["octets"]), tag_hook=json_text)
        wrong += [f"{case['what']}: {one}" for one in differences(found, case["value"], names, "")]
        checked += 1
    print("\n".join(wrong) or f"{checked} values")
    sys.exit(1 if wrong else 0)


main()
