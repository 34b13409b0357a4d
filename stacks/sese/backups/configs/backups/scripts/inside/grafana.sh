#!/bin/sh
# One question to Grafana, in its own container, as whom its environment names. usage: sh -s -- PATH
# Prints the body. Name and password reach curl through a file descriptor, never as arguments.
set -eu
quoted() { printf %s "$1" | sed 's/[\\"]/\\&/g'; }
exec curl -sS -f -m 60 -K /dev/fd/3 3<<CONFIG
user = "$(quoted "${GF_SECURITY_ADMIN_USER:-admin}"):$(quoted "${GF_SECURITY_ADMIN_PASSWORD:?}")"
url = "http://127.0.0.1:${GF_SERVER_HTTP_PORT:-3000}$1"
CONFIG
