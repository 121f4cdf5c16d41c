#!/usr/bin/env bash
# Installs what tests/clients needs into its cache, each part only when its pins changed.
# Usage: client-tests.sh CACHE PART...     parts: jars java go python kcat
set -euo pipefail

clients=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../tests/clients" && pwd)
cache=$1
shift

need() { command -v "$1" >/dev/null || { echo "tests/clients needs '$1' installed" >&2; exit 1; }; }

# current NAME INPUT... : true when NAME was last installed from exactly these inputs.
current() {
    stamp="$cache/$1.stamp"
    inputs=$(cat "${@:2}" | sha256sum)
    [[ -f $stamp && $(<"$stamp") == "$inputs" ]]
}

stamped() { echo "$inputs" >"$stamp"; }

install_jars() {
    need mvn
    current jars "$clients/java/pom.xml" && return
    rm -rf "$cache/jars"
    mvn --quiet --batch-mode --file "$clients/java/pom.xml" dependency:copy-dependencies \
        -DincludeScope=runtime -DoutputDirectory="$cache/jars" >&2
    stamped
}

install_java() {
    install_jars
    need javac
    current java "$clients"/java/*.java "$clients/java/pom.xml" && return
    javac -Xlint:all,-processing,-classfile -cp "$cache/jars/*" -d "$cache/java" \
        "$clients"/java/*.java >&2
    stamped
}

install_go() {
    need go
    (cd "$clients/go" && go build -o "$cache/go-clients" .) >&2
}

install_python() {
    current python "$clients/python/requirements.txt" && return
    rm -rf "$cache/venv"
    python3 -m venv "$cache/venv"
    "$cache/venv/bin/pip" install --quiet --requirement "$clients/python/requirements.txt" >&2
    stamped
}

install_kcat() {
    command -v kcat >/dev/null && return
    apt-get install --yes --quiet --no-install-recommends kcat >&2 || need kcat
}

mkdir -p "$cache"
for part in "$@"; do
    "install_$part"
done
