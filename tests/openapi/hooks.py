"""What a description in OpenAPI can't say of Takhin's requests, and how long polls may wait here."""

import uuid

import schemathesis
from schemathesis.core import NOT_SET
from schemathesis.generation import GenerationMode

# How long a poll or a read waits, instead of what was drawn.
WAIT_MS = 20
# A consumer that is none.
NOBODY = "00000000-0000-4000-8000-000000000000"
# The most that may be drawn for a wait.
MAX_WAIT_MS = 300_000


@schemathesis.hook
def map_body(context, body):
    return whole_numbers(body)


@schemathesis.hook
def before_call(context, case, kwargs):
    path = case.operation.path
    is_meant_well = case.meta is None or case.meta.generation.mode == GenerationMode.POSITIVE
    if path.endswith("/consume"):
        if case.body is NOT_SET or case.body is None:
            case.body = {}
        if isinstance(case.body, dict):
            case.body.setdefault("timeout_ms", WAIT_MS)
            shorten(case.body, "timeout_ms")
    elif path.endswith("/stream") and is_uuid(case.path_parameters.get("id")):
        # A stream does not end, so only how one is refused can be tried.
        case.path_parameters["id"] = NOBODY
    elif path.endswith("/messages") and isinstance(case.query, dict):
        shorten(case.query, "wait_ms")
        if is_meant_well:
            # Where a topic has several partitions one has to be named, and a read begins at an offset or at a time.
            case.query.setdefault("partition", 0)
            # Those of a read in lines.
            for of_lines in ("follow", "heartbeat_ms"):
                case.query.pop(of_lines, None)
            if "offset" in case.query:
                case.query.pop("timestamp_ms", None)
    elif path.endswith("/produce") and is_meant_well and isinstance(case.body, dict):
        # JSON says all in its body: the parameters are those of the other forms.
        case.query = {}
        # A request is recognised by its producer or by its key.
        if case.body.get("producer_id") is not None and case.headers:
            case.headers.pop("Idempotency-Key", None)


def is_uuid(text):
    try:
        uuid.UUID(text)
    except (AttributeError, TypeError, ValueError):
        return False
    return True


def shorten(values, name):
    """Makes a wait that is possible as short as can be. One that is not possible stays what it is."""
    given = values.get(name)
    if name in values and given is None:
        values[name] = WAIT_MS
    elif isinstance(given, (int, str)) and not isinstance(given, bool):
        try:
            possible = WAIT_MS <= int(given) <= MAX_WAIT_MS
        except ValueError:
            return
        if possible:
            values[name] = WAIT_MS


def whole_numbers(value):
    """JSON Schema takes 3.0 for a whole number. Takhin does not."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [whole_numbers(entry) for entry in value]
    if isinstance(value, dict):
        return {name: whole_numbers(entry) for name, entry in value.items()}
    return value
