"""Adapter of kcat: each request is one or more runs of the program."""

import itertools
import json
import re
import subprocess
import sys
import time

from protocol import KafkaFailure, Record, Unsupported, serve

KEY_END, RECORD_END = b"<key-ends-here>", b"<record-ends-here>"
FORMAT = r"%p %o %T %K %S %h\n%k%s\n"
POSITIONS = {-2: "beginning", -1: "end"}
WAIT_S = 30
CODES = {
    "Message size too large": 10, "Offset out of range": 1, "Unknown topic": 3,
    "Unknown partition": 3, "does not exist": 3}


class Kcat:
    def __init__(self, bootstrap):
        self.bootstrap = bootstrap

    def run(self, *arguments, input=None):
        done = subprocess.run(
            ["kcat", "-b", self.bootstrap, *arguments], input=input, capture_output=True,
            timeout=WAIT_S)
        if done.returncode:
            raise failure(done.stderr)
        return done.stdout

    def create(self, **_):
        raise Unsupported("kcat has no admin commands")

    delete = configs = alter = grow = create

    def partitions(self, topic):
        topics = json.loads(self.run("-L", "-J"))["topics"]  # naming a missing one would create it
        return next((len(t["partitions"]) for t in topics if t["topic"] == topic), 0)

    def offset(self, topic, partition, at):
        if at == "max_timestamp":
            raise Unsupported("kcat speaks a ListOffsets without the largest timestamp")
        time_or_end = {"earliest": -2, "latest": -1}.get(at, at)
        answer = self.run("-Q", "-t", f"{topic}:{partition}:{time_or_end}").decode()
        return int(re.search(r"offset (-?\d+)", answer)[1])

    def produce(self, topic, records, codec, acks, idempotent, max_bytes):
        if any(record.timestamp is not None for record in records):
            raise Unsupported("kcat cannot set timestamps")
        settings = [
            "-z", codec, "-X", f"acks={acks}", "-X", f"message.max.bytes={max_bytes}",
            "-X", f"enable.idempotence={str(idempotent).lower()}", "-X", "linger.ms=5"]
        for (partition, headers, nulls), run in itertools.groupby(records, one_run):
            place = ["-t", topic, *([] if partition is None else ["-p", str(partition)])]
            names = [part for name, value in headers for part in ("-H", f"{name}={value.decode()}")]
            self.run(
                "-P", *place, *names, *settings, *(["-Z"] if nulls else []),
                "-K", KEY_END.decode(), "-D", RECORD_END.decode(),
                input=b"".join(line_of(record) for record in run))

    def consume(self, topic, start, count, reset, fetch_bytes, wait_ms):
        settings = [
            "-q", "-u", "-f", FORMAT, "-X", f"auto.offset.reset={reset}",
            "-X", f"max.partition.fetch.bytes={fetch_bytes}"]
        found, deadline = [], time.monotonic() + wait_ms / 1000
        if len(start) > 1:
            [offset] = {offset for _, offset in start}
            start = [(None, offset)]  # kcat takes one partition or all of them
        for partition, offset in start:
            place = ["-t", topic, "-o", str(POSITIONS.get(offset, offset)), "-c", str(count)]
            place += [] if partition is None else ["-p", str(partition)]
            found += records_in(self.run_until(deadline, "-C", *place, *settings))
        return found

    def run_until(self, deadline, *arguments):
        """What kcat printed when it ended or, stopped, at the deadline."""
        process = subprocess.Popen(
            ["kcat", "-b", self.bootstrap, *arguments], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE)
        try:
            output, errors = process.communicate(timeout=max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.terminate()
            return process.communicate()[0]
        if process.returncode:
            raise failure(errors)
        return output


def one_run(record):
    """What the records of one run of `kcat -P` share."""
    if any(value is None for _, value in record.headers):
        raise Unsupported("kcat cannot end a header without a value")
    if not all(name and value.isascii() and b"\0" not in value for name, value in record.headers):
        raise Unsupported("kcat takes headers as command line text")
    if record.key is None and record.value == b"":
        raise Unsupported("kcat drops a record without key and bytes")
    nulls = record.value is None
    if nulls and record.key == b"":
        raise Unsupported("kcat cannot send an empty key with a null value")
    return record.partition, tuple(map(tuple, record.headers)), nulls


def line_of(record):
    key = b"" if record.key is None and record.value is not None else (record.key or b"") + KEY_END
    return key + (record.value or b"") + RECORD_END


def records_in(output):
    found = []
    while output:
        head, output = output.split(b"\n", 1)
        partition, offset, timestamp, key_size, size, names = head.decode().split(" ", 5)
        key, output = cut(output, int(key_size))
        value, output = cut(output, int(size))
        output = output[1:]
        headers = [tuple(pair.split("=", 1)) for pair in names.split(",") if pair]
        found.append(Record(
            value, key, int(partition),
            [(name, None if text == "NULL" else text.encode()) for name, text in headers],
            int(timestamp), int(offset)))
    return found


def cut(data, size):
    return (None, data) if size < 0 else (data[:size], data[size:])


def failure(errors):
    text = errors.decode(errors="replace").strip()
    code = next((code for words, code in CODES.items() if words in text), None)
    return RuntimeError(text) if code is None else KafkaFailure(code, text)


def code_of(error):
    return error.code if isinstance(error, KafkaFailure) else None


if __name__ == "__main__":
    serve(Kcat(sys.argv[1]), code_of)
