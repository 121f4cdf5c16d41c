"""What one client writes, every other reads byte for byte."""

import contextlib
import functools
import hashlib
import itertools
import pathlib
import subprocess

from protocol import Record
from report import expect
from scenarios import CODECS, make, noise
from tools import CONSOLE_CONSUMER, CONSOLE_PRODUCER, checked

RECORDS = 60
BULK_S = 900
LINE_CHARACTERS = 100_000


def certified(writer):
    """Records whose value opens with the SHA-256 of the rest."""
    def payload(index):
        size = index * index * 3
        words = b"%s was here\n" % writer.encode()
        return noise(index, size) if index % 2 else words * (size // len(words))

    return [
        Record(hashlib.sha256(payload(i)).hexdigest().encode() + payload(i),
               b"%s:%d" % (writer.encode(), i), 0) for i in range(RECORDS)]


def matrix(report, clients, helper, prefix):
    """One shared partition per codec: each client appends to it, then each reads all of it."""
    for codec in CODECS:
        topic, written = f"{prefix}-matrix-{codec}", []
        made_once = functools.cache(functools.partial(make, helper, topic))

        def write(client):
            made_once()
            client.produce(topic, certified(client.name), codec=codec)
            written.append(client.name)

        def read(client):
            if not written:
                raise AssertionError("no client wrote")
            check(client.consume(topic, 0, RECORDS * len(written)), written)

        for client in clients:
            report.test(f"matrix/{codec}/{client.name}-writes", lambda: write(client))
        for client in clients:
            report.test(f"matrix/{codec}/{client.name}-reads", lambda: read(client))


def check(found, written):
    expect(len(found), RECORDS * len(written), f"records of {', '.join(written)}")
    keys = [record.key.decode() for record in found]
    wanted = [f"{writer}:{index}" for writer in written for index in range(RECORDS)]
    expect(keys, wanted, "keys in the order of the writers")
    for record in found:
        expect(hashlib.sha256(record.value[64:]).hexdigest().encode(), record.value[:64],
               f"checksum of {record.key.decode()}")


def corpus(report, tools, helper, prefix, cache, megabytes):
    """A real text, a line a record, from a file through console tools back to the same bytes."""
    def kcat_writes(topic, path):
        checked(tools.kcat("-P", "-t", topic, "-p", "0", "-z", "zstd", "-l", str(path)), BULK_S)

    def console_producer_writes(topic, path):
        with open(path, "rb") as lines:
            checked(tools.command(
                CONSOLE_PRODUCER, "--topic", topic, "--compression-codec", "lz4",
                "--request-timeout-ms", "30000"), BULK_S, stdin=lines)

    for write in (kcat_writes, console_producer_writes):
        name = write.__name__.replace("_", "-")
        report.test(f"corpus/{name}", lambda: through(
            write, tools, helper, f"{prefix}-corpus-{name}", corpus_file(cache, megabytes)))


def through(write, tools, helper, topic, path):
    make(helper, topic)
    write(topic, path)
    with open(path, "rb") as text:
        wanted = hashlib.file_digest(text, "sha256").hexdigest()
        text.seek(0)
        count = str(sum(1 for _ in text))
    for reader in (
            tools.command(CONSOLE_CONSUMER, "--topic", topic, "--partition", "0", "--offset",
                          "earliest", "--max-messages", count, "--timeout-ms", "30000"),
            tools.kcat("-C", "-q", "-t", topic, "-p", "0", "-o", "0", "-c", count)):
        with subprocess.Popen(["timeout", str(BULK_S), *reader], stdout=subprocess.PIPE,
                              stderr=tools.log) as process:
            found = hashlib.file_digest(process.stdout, "sha256").hexdigest()
        expect(found, wanted, f"SHA-256 of what {reader[0]} printed")
        expect(process.returncode, 0, f"exit status of {reader[0]}")


def corpus_file(cache, megabytes):
    """The source of the Go toolchain, again and again up to the size."""
    path = cache / f"corpus-{megabytes}.txt"
    if not path.exists():
        unfinished, left = path.with_suffix(".part"), megabytes * 1_000_000
        with open(unfinished, "wb") as out:
            for line in source_lines():
                if left <= 0:
                    break
                left -= out.write(line)
        unfinished.rename(path)
    return path


def source_lines():
    """Lines that console tools take as they are: no empty, no huge one, nothing but UTF-8."""
    root = subprocess.run(["go", "env", "GOROOT"], check=True, capture_output=True, text=True)
    source = sorted(pathlib.Path(root.stdout.strip(), "src").rglob("*.go"))
    for path in itertools.cycle(filter(pathlib.Path.is_file, source)):
        lines = path.open(encoding="utf-8", newline="")
        with lines, contextlib.suppress(UnicodeDecodeError):
            for line in lines:
                if line.endswith("\n") and "\r" not in line and 1 < len(line) < LINE_CHARACTERS:
                    yield line.encode()
