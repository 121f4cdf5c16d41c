"""A real text of a chosen size: the source of the Go toolchain, which the suite needs anyway."""

import itertools
import pathlib
import subprocess


class Corpus:
    """Files in the cache, made on first use."""

    def __init__(self, cache, megabytes):
        self.cache, self.megabytes = cache, megabytes

    def raw(self):
        """As it is: empty lines, carriage returns, bytes that are no UTF-8; ends with a newline."""
        return self.made("raw", lambda line: True)

    def plain(self):
        """What console tools take: they drop empty lines and rewrite what is no plain UTF-8."""
        return self.made("plain", is_plain)

    def made(self, name, keep):
        path = self.cache / f"corpus-{name}-{self.megabytes}.txt"
        if not path.exists():
            unfinished, left = path.with_suffix(".part"), self.megabytes * 1_000_000
            with open(unfinished, "wb") as out:
                for line in filter(keep, source_lines()):
                    if left <= 0:
                        break
                    left -= out.write(line)
            unfinished.rename(path)
        return path


def source_lines():
    """All lines of the toolchain's source, again and again."""
    root = subprocess.run(["go", "env", "GOROOT"], check=True, capture_output=True, text=True)
    files = sorted(pathlib.Path(root.stdout.strip(), "src").rglob("*.go"))
    for path in itertools.cycle(files):
        with open(path, "rb") as lines:
            for line in lines:
                yield line if line.endswith(b"\n") else line + b"\n"


def is_plain(line):
    return line != b"\n" and b"\r" not in line and is_utf8(line)


def is_utf8(line):
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
