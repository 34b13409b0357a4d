#!/bin/sh
# shellcheck disable=SC1091,SC2015,SC2153 # read beside it; `a && b || c` is meant so
# Started by nc with the socket as input and output: one request of heartbeat.sh through TLS, the answer into $SAID.
HERE=$(dirname "$0")/..
. "$HERE/heartbeat.sh"
exec 3<&0
request "$TLS_PATH" "$TLS_PLACE" | ssl_client -s 3 -n "$TLS_HOST" >"$SAID" 2>/dev/null
