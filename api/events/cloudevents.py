"""CloudEvents 1.0 as events: by the JSON format, alone or in a batch, and by the headers of the HTTP binding.

``subject`` is the unit, ``time`` when it happened, ``data`` the properties; the extension ``sentat`` is when it was
sent, and ``dataschema`` ends in the version of the type's schema. Other extensions are kept beside the data.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import orjson
from starlette.datastructures import Headers

from api.bodies import media_type_of
from api.problems import FieldError, Problem

EVENT = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"

# What a field of ours is called by a sender of CloudEvents.
NAMES: Mapping[str, str] = {
    "unit_id": "subject",
    "occurred_at": "time",
    "sent_at": "sentat",
    "properties": "data",
    "schema_version": "dataschema",
}
_FIELDS = {
    "source": "source",
    "id": "id",
    "type": "type",
    "subject": "unit_id",
    "time": "occurred_at",
    "sentat": "sent_at",
}
_OF_THE_ENVELOPE = frozenset({*_FIELDS, "specversion", "dataschema", "datacontenttype", "data", "data_base64"})
_PREFIX = "ce-"
_NAME = re.compile(r"[a-z0-9]{1,64}")
_VERSION = re.compile(r"(?:^|[/:@=#.-])v?([0-9]{1,9})$")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)


class Unfit(Exception):
    """What was sent is no CloudEvent that can be read; with the word for it and the reason."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def is_binary(headers: Headers) -> bool:
    """Whether the headers carry an event, so that the body is its data alone."""
    return "ce-specversion" in headers and not media_type_of(headers).startswith("application/cloudevents")


def attributes_of(headers: Headers) -> dict[str, str]:
    """The attributes in ``headers``, unescaped; Problem 422 if one is no UTF-8 or is there twice."""
    attributes: dict[str, str] = {}
    for name, value in headers.items():
        if name == "content-type":
            attributes["datacontenttype"] = value
        elif name.startswith(_PREFIX):
            if not _NAME.fullmatch(name[len(_PREFIX) :]):
                raise _bad_header(name, "an attribute is named by lower-case letters and digits")
            if name[len(_PREFIX) :] in attributes:
                raise _bad_header(name, "the attribute is there twice")
            attributes[name[len(_PREFIX) :]] = _unescaped(name, value)
    return attributes


def fields_of(event: object) -> tuple[dict[str, Any], dict[str, Any]]:
    """Our fields of the CloudEvent ``event``, and its extensions. What it lacks is left out; Unfit if it is none."""
    if not isinstance(event, dict):
        raise Unfit("not_an_object", "event: must be an object")
    if event.get("specversion") != "1.0":
        raise Unfit("bad_specversion", 'specversion: must be "1.0"')
    fields = {ours: event[theirs] for theirs, ours in _FIELDS.items() if event.get(theirs) is not None}
    data = _data(event)
    if data is not None:
        fields["properties"] = data
    schema = event.get("dataschema")
    if schema is not None:
        fields["schema_version"] = _version(schema)
    extensions = {name: value for name, value in event.items() if name not in _OF_THE_ENVELOPE}
    wrong = next((name for name in extensions if not _NAME.fullmatch(name)), None)
    if wrong is not None:
        raise Unfit("unknown_field", "extensions: an attribute is named by lower-case letters and digits")
    if schema is not None:
        extensions["dataschema"] = schema
    return fields, extensions


def _data(event: Mapping[str, Any]) -> object:
    if "data_base64" not in event:
        return event.get("data")
    if "data" in event:
        raise Unfit("bad_properties", "data: there may be data or data_base64, not both")
    try:
        return orjson.loads(base64.b64decode(event["data_base64"], validate=True))
    except (TypeError, ValueError, binascii.Error):
        raise Unfit("bad_properties", "data_base64: must be JSON in base64") from None


def _version(schema: object) -> int:
    found = _VERSION.search(schema) if isinstance(schema, str) else None
    if found is None:
        raise Unfit("bad_schema_version", "dataschema: must end in the version of the schema, such as …/2")
    return int(found[1])


def _unescaped(name: str, value: str) -> str:
    quoted = _QUOTED.fullmatch(value)
    if quoted is not None:
        value = re.sub(r"\\(.)", r"\1", quoted[1], flags=re.DOTALL)
    try:
        # Starlette reads a header byte by byte as Latin-1; a sender that did not escape it meant UTF-8.
        return unquote(value.encode("latin-1").decode(), errors="strict")
    except UnicodeError:
        raise _bad_header(name, "the attribute is no UTF-8") from None


def _bad_header(name: str, message: str) -> Problem:
    error = FieldError(location=["header", name], code="bad_attribute", message=message)
    return Problem(422, "invalid-request", "A header is no attribute of a CloudEvent.", errors=[error])
