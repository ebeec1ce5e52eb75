#!/usr/bin/env python3
"""Finds the JSON bodies of a capture's HTTP/2 traffic and names the schema of each.

Writes JSON lines for openapi_check.py: which schema belongs to a body follows from the official
OpenAPI files by method, path and status. A body whose operation the files do not name is left out
if its path is not a 3GPP service (tern's own /tern/v1), else it is reported as a fault.

usage: sbi_bodies.py CAPTURE DIRECTORY    (TSHARK: the program to use)
"""
import collections
import json
import os
import pathlib
import re
import subprocess
import sys
import urllib.parse

import yaml

METHODS = ("get", "put", "post", "patch", "delete")
HEADERS, DATA = "1", "0"


def frames(capture):
    """(TCP stream, source port, HTTP/2 stream, headers or None, data, whether it is all) of each
    frame in order. The last of several DATA frames comes with the data of all."""
    command = [os.environ.get("TSHARK", "tshark"), "-r", capture, "-Y", "http2", "-T", "json",
               "-J", "frame tcp http2", "--no-duplicate-keys"]
    text = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
    for packet in json.loads(text):
        layers = packet["_source"]["layers"]
        tcp = layers["tcp"]
        for layer in as_list(layers["http2"]):
            for frame in as_list(layer.get("http2.stream", [])):
                if not isinstance(frame, dict):
                    continue
                headers = None
                if frame.get("http2.type") == HEADERS:
                    headers = {h["http2.header.name"]: h.get("http2.header.value", "")
                               for h in as_list(frame.get("http2.header", []))}
                data = frame.get("http2.data.data") if frame.get("http2.type") == DATA else None
                whole = "http2.body.fragments" in frame
                yield tcp["tcp.stream"], tcp["tcp.srcport"], frame.get("http2.streamid"), headers, data, whole


def as_list(value):
    return value if isinstance(value, list) else [value]


class Message:
    def __init__(self):
        self.headers, self.data = {}, b""


def exchanges(capture):
    """(request, response) messages, joined by connection and stream."""
    open_ = collections.defaultdict(lambda: (Message(), Message()))
    clients = {}
    for stream, port, number, headers, data, whole in frames(capture):
        key = (stream, number)
        if headers and ":method" in headers:
            clients[key] = port
        if key not in clients:
            continue
        message = open_[key][0 if clients[key] == port else 1]
        if headers:
            message.headers.update(headers)
        if data:
            octets = bytes.fromhex(data.replace(":", ""))
            message.data = octets if whole else message.data + octets
    return open_.values()


class Services:
    """Which schema an operation's body has."""

    def __init__(self, directory):
        self.templates = []
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        self.files = {}
        for file in sorted(pathlib.Path(directory).glob("TS29*.yaml")):
            text = file.read_text(encoding="utf-8")
            if re.search(r"^paths: *\{\}", text, re.M) or "\nservers:" not in text:
                continue
            self.files[file.name] = yaml.load(text, loader)
        for name, contents in list(self.files.items()):
            for server in contents.get("servers", []):
                root = server["url"].replace("{apiRoot}", "")
                for path, item in contents.get("paths", {}).items():
                    self.add(name, root + path, item)

    def add(self, file, path, item):
        if "$ref" in item:
            file, pointer = item["$ref"].split("#")
            if file not in self.files:
                directory = pathlib.Path(sys.argv[2])
                loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
                self.files[file] = yaml.load((directory / file).read_text(encoding="utf-8"), loader)
            item = follow(self.files[file], pointer)
        pattern = re.compile("^" + re.sub(r"\\\{[^/]*?\\\}", "[^/]+", re.escape(path)) + "$")
        self.templates.append((path.count("{"), pattern, file, item))

    def operation(self, method, path):
        for _, pattern, file, item in sorted(self.templates, key=lambda t: t[0]):
            if pattern.match(path) and method in item:
                return file, item[method]
        return None


def follow(contents, pointer):
    for part in urllib.parse.unquote(pointer).strip("/").split("/"):
        contents = contents[part.replace("~1", "/").replace("~0", "~")]
    return contents


def schema_of(content):
    """(file or None, schema) of an OpenAPI content object."""
    for media, item in content.items():
        if "json" in media and "problem" not in media:
            return item.get("schema", {})
    for item in content.values():
        part = item.get("schema", {}).get("properties", {}).get("jsonData")
        if part:
            return part
    return None


def named(file, schema):
    """The reference of a schema as openapi_check.py takes it, or None if it has no name."""
    array = ""
    if schema.get("type") == "array":
        array, schema = "[]", schema["items"]
    if "$ref" not in schema:
        return None
    target, pointer = schema["$ref"].split("#")
    return target or file, array + pointer.rsplit("/", 1)[1]


def first_json(message):
    """The JSON body, or the first part of a multipart one."""
    kind = message.headers.get("content-type", "")
    if kind.startswith("multipart/related"):
        boundary = re.search(r'boundary="?([^";]+)', kind).group(1).encode()
        for part in message.data.split(b"--" + boundary):
            head, _, body = part.partition(b"\r\n\r\n")
            if b"json" in head:
                return json.loads(body.rstrip(b"\r\n"))
        return None
    if "json" not in kind or not message.data:
        return None
    return json.loads(message.data)


def bodies(capture, services):
    callbacks = ("/callbacks/", "/namf-callback/", "/nsmf-callback/", "/npcf-callback/", "/tern/")
    for request, response in exchanges(capture):
        method = request.headers.get(":method", "").lower()
        path = urllib.parse.urlsplit(request.headers.get(":path", "")).path
        if method not in METHODS or path.startswith(callbacks):
            continue
        found = services.operation(method, path)
        if found is None:
            yield {"fault": f"{method} {path}: no operation of the official files"}
            continue
        file, operation = found
        status = response.headers.get(":status", "")
        wanted = operation["responses"].get(status) or operation["responses"].get("default") or {}
        for message, content, is_request in (
                (request, operation.get("requestBody", {}).get("content", {}), True),
                (response, wanted.get("content", {}), False)):
            if message.headers.get("content-type", "").startswith("application/problem+json"):
                yield {"file": "TS29571_CommonData.yaml", "schema": "ProblemDetails", "body": first_json(message)}
                continue
            body = first_json(message)
            if body is None:
                continue
            schema = schema_of(content)
            reference = named(file, schema) if schema else None
            if reference is None:
                if not schema:
                    yield {"fault": f"{method} {path} {status}: a body where the official files have none"}
                continue
            yield {"file": reference[0], "schema": reference[1], "body": body, "request": is_request}


def main():
    faults = 0
    for line in bodies(sys.argv[1], Services(sys.argv[2])):
        if "fault" in line:
            print(line["fault"], file=sys.stderr)
            faults += 1
        else:
            print(json.dumps(line))
    sys.exit(1 if faults else 0)


main()
