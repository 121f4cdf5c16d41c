"""What one client writes, every other reads byte for byte."""

import hashlib

from protocol import Record
from report import expect
from scenarios import CODECS, make, noise
from tools import CONSOLE_CONSUMER, CONSOLE_PRODUCER

RECORDS = 60
PARTITIONS = 4
BULK_S = 900


def certified(writer):
    """Records whose value opens with the SHA-256 of the rest."""
    def payload(index):
        size = index * index * 3
        return noise(index, size) if index % 2 else (writer.encode() + b" wrote this\n") * (size // 20)

    return [
        Record(hashlib.sha256(payload(i)).hexdigest().encode() + payload(i),
               b"%s:%d" % (writer.encode(), i), 0) for i in range(RECORDS)]


def matrix(report, clients, helper, prefix):
    """One shared partition per codec: each client appends to it, then each reads all of it."""
    for codec in CODECS:
        topic, written = f"{prefix}-matrix-{codec}", []
        names = [f"matrix/{codec}/{client.name}-" for client in clients]
        if not any(report.wants(name + verb) for name in names for verb in ("writes", "reads")):
            continue
        make(helper, topic)

        def write(client):
            client.produce(topic, certified(client.name), codec=codec)
            written.append(client.name)

        def read(client):
            if not written:
                raise AssertionError("no client wrote")
            check(client.consume(topic, 0, RECORDS * len(written)), written)

        for name, client in zip(names, clients):
            report.test(name + "writes", lambda: write(client))
        for name, client in zip(names, clients):
            report.test(name + "reads", lambda: read(client))


def check(found, written):
    expect(len(found), RECORDS * len(written), f"records of {', '.join(written)}")
    keys = [record.key.decode() for record in found]
    wanted = [f"{writer}:{index}" for writer in written for index in range(RECORDS)]
    expect(keys, wanted, "keys in the order of the writers")
    for record in found:
        expect(hashlib.sha256(record.value[64:]).hexdigest().encode(), record.value[:64],
               f"checksum of {record.key.decode()}")


def corpus(report, clients, tools, prefix, text):
    """A real text line by line through the bulk paths of clients and tools; hashes must match."""
    librdkafka, java = clients["librdkafka"], clients["java"]
    helper = librdkafka.helper
    for name, move in {
        "librdkafka-to-java": lambda topic: by_api(librdkafka, java, topic, "zstd", text.raw()),
        "java-to-librdkafka": lambda topic: by_api(java, librdkafka, topic, "lz4", text.raw()),
        "kcat-to-console-consumer": lambda topic: kcat_to_console(helper, tools, topic, text.plain()),
        "console-producer-to-kcat": lambda topic: console_to_kcat(helper, tools, topic, text.plain()),
    }.items():
        report.test(f"corpus/{name}", lambda: move(f"{prefix}-corpus-{name}"))


def by_api(writer, reader, topic, codec, path):
    make(writer.helper, topic, PARTITIONS)
    tally = line_tally(path)
    written = writer.call("write_file", wait_s=BULK_S, topic=topic, path=str(path),
                          partitions=PARTITIONS, codec=codec)
    expect(written, tally, "count and hash of each partition, as written")
    for client in (reader, writer):
        found = client.call("read_file", wait_s=BULK_S, topic=topic, counts=[n for n, _ in tally])
        expect(found, tally, f"count and hash of each partition, as {client.name} read it")


def line_tally(path):
    """[lines, SHA-256] of each partition, where line i goes to partition i modulo PARTITIONS."""
    counts, hashes = [0] * PARTITIONS, [hashlib.sha256() for _ in range(PARTITIONS)]
    with open(path, "rb") as lines:
        for index, line in enumerate(lines):
            counts[index % PARTITIONS] += 1
            hashes[index % PARTITIONS].update(line.removesuffix(b"\n"))
    return [[count, digest.hexdigest()] for count, digest in zip(counts, hashes)]


def kcat_to_console(helper, tools, topic, path):
    make(helper, topic)
    tools.kcat("-P", "-t", topic, "-p", "0", "-z", "gzip", "-l", str(path))
    expect_file(path, tools.start(
        CONSOLE_CONSUMER, "--topic", topic, "--partition", "0", "--offset", "earliest",
        "--max-messages", str(line_count(path)), "--timeout-ms", "30000"))


def console_to_kcat(helper, tools, topic, path):
    make(helper, topic)
    with open(path, "rb") as lines:
        tools.run(CONSOLE_PRODUCER, "--topic", topic, "--compression-codec", "snappy", stdin=lines)
    expect_file(path, tools.start_kcat(
        "-C", "-q", "-t", topic, "-p", "0", "-o", "beginning", "-c", str(line_count(path))))


def line_count(path):
    with open(path, "rb") as lines:
        return sum(1 for _ in lines)


def expect_file(path, process):
    """The process must print exactly the bytes of the file."""
    with process, open(path, "rb") as wanted:
        found = hashlib.file_digest(process.stdout, "sha256").hexdigest()
        expect(found, hashlib.file_digest(wanted, "sha256").hexdigest(), "SHA-256 of the output")
