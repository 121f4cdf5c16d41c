"""Requests as they are, each in the version that is asked for."""

import socket
import struct
import uuid

from kafka.protocol import metadata
from kafka.protocol.consumer import fetch, group, offsets

MESSAGES = {
    name: message for module in (fetch, group, offsets, metadata)
    for name, message in vars(module).items() if name.endswith(("Request", "Response"))}


class Raw:
    def ask(self, api, version, fields):
        """The answer as a dictionary, without records."""
        host, port = self.base["bootstrap_servers"].rsplit(":", 1)
        request = built(MESSAGES[f"{api}Request"], version, fields)
        request.with_header(1, "raw")
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            connection.sendall(request.encode(version=version, header=True, framed=True))
            with connection.makefile("rb") as answer:
                size, = struct.unpack(">i", answer.read(4))
                data = answer.read(size)
        response = MESSAGES[f"{api}Response"].decode(data, version=version, header=True)
        return plain(response)


def built(message, version, fields):
    """The message with those of these fields that it has; the others have their defaults."""
    kinds = message._struct.fields
    return message(version=version, **{
        name: value_of(kinds[name], version, value) for name, value in fields.items()
        if name in kinds and kinds[name].for_version_q(version)})


def value_of(kind, version, value):
    if isinstance(value, list) and any(isinstance(one, dict) for one in value):
        return [built(kind.data_class, version, one) for one in value]
    return uuid.UUID(value) if kind.name.endswith("_id") and "-" in str(value)[8:9] else value


def plain(value):
    """What JSON can say."""
    if hasattr(value, "_struct"):
        return {name: plain(getattr(value, name)) for name in value._struct.fields
                if name != "records"}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)
