"""Every client: how it is installed and how its adapter is started."""

import os
import pathlib
import subprocess

import tools
from peer import Peer

HERE = pathlib.Path(__file__).resolve().parent.parent
CACHE = HERE / ".cache"
INSTALLED = ("jars", "java", "go", "python", "kcat")

# What the second consumer implementation of the Java client is worth testing for.
JAVA_ASYNC = ("codec", "consume", "each-partition", "out-of-range", "large-record", "waiting")

# What kafkajs can do without reading: it reads in groups only.
KAFKAJS = ("create-", "altered-", "grown-")

BOTH = ("classic", "consumer")


def install():
    """Installs what is missing."""
    subprocess.run(
        [HERE.parent.parent / "scripts/lib/client-tests.sh", CACHE, *INSTALLED], check=True)
    subprocess.run([HERE / "js/install", CACHE], check=True)


def peers(bootstrap):
    """Every client, by name; librdkafka in a second process helps them all."""
    environment = os.environ | {
        "PYTHONPATH": str(HERE / "python"), "NODE_PATH": str(CACHE / "js/node_modules")}

    def python(script):
        return [CACHE / "venv/bin/python", HERE / script]

    def java(group_protocol):
        return [*tools.JVM, "-cp", f"{CACHE}/java:{CACHE}/jars/*", "ClientAdapter", group_protocol]

    def go(client):
        return [CACHE / "go-clients", client]

    def peer(name, command, **settings):
        return Peer(name, [*map(str, command), bootstrap], CACHE / f"{name}.log", environment,
                    **settings)

    clients = [
        peer("librdkafka", python("python/librdkafka.py"), groups=BOTH, truncation=True),
        peer("kcat", python("kcat/adapter.py")),
        peer("java", java("classic"), groups=("classic",), truncation=True),
        peer("java-async", java("consumer"), scenarios=JAVA_ASYNC, groups=("consumer",),
             truncation=True),
        peer("franz-go", go("franz-go"), creates_topics=False, groups=BOTH, truncation=True),
        peer("sarama", go("sarama"), creates_topics=False),
        peer("kafka-go", go("kafka-go"), creates_topics=False),
        peer("kafka-python", python("python/kafka_python.py"), groups=("classic",),
             truncation=True),
        peer("aiokafka", python("python/aiokafka_client.py"), groups=("classic",)),
        peer("kafkajs", ["node", HERE / "js/adapter.js"], scenarios=KAFKAJS, groups=("classic",)),
    ]
    helper = peer("helper", python("python/librdkafka.py"))
    for client in clients:
        client.helper = helper
    wire = peer("wire", go("wire"))
    return {client.name: client for client in [*clients, helper, wire]}
