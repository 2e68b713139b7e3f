#!/bin/sh
# usage: test_azurite.sh NODE_FOLDER COMMAND [ARGUMENT...]
# Starts Azurite from NODE_FOLDER/node_modules on a free loopback port and runs a command with its address in AZURITE_URL.
set -eu
node_folder=${1:?usage: test_azurite.sh NODE_FOLDER COMMAND}
shift
# One that the kernel gives nobody by itself: whoever asks for any port cannot be given it until Azurite listens.
port=$(python3 -c '
import random, socket
first = int(open("/proc/sys/net/ipv4/ip_local_port_range").read().split()[0])
while True:
    with socket.socket() as probe:
        port = random.randrange(max(1024, first - 20000), max(1025, first))
        if probe.connect_ex(("127.0.0.1", port)) != 0:
            print(port)
            break
')
"$node_folder/node_modules/.bin/azurite-blob" --inMemoryPersistence --silent --skipApiVersionCheck --disableTelemetry \
    --blobHost 127.0.0.1 --blobPort "$port" &
azurite=$!
trap 'kill "$azurite" 2>/dev/null || true' EXIT INT TERM
tries=0
until python3 -c "import socket; socket.create_connection(('127.0.0.1', $port), 1)" 2>/dev/null; do
    tries=$((tries + 1))
    if [ "$tries" -gt 1200 ]; then
        echo "Azurite does not answer on port $port" >&2
        exit 1
    fi
    sleep 0.1
done
AZURITE_URL="http://127.0.0.1:$port/devstoreaccount1" "$@"
