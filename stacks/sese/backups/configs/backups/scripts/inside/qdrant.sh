#!/bin/bash
# One question to Qdrant, in its own container, which has bash but no curl. usage: bash -s -- METHOD PATH
# Prints the body. The API key is the container's and stays there.
set -euo pipefail
exec 3<>"/dev/tcp/127.0.0.1/${QDRANT__SERVICE__HTTP_PORT:-6333}"
# 1.0: the body comes in one piece and ends with the connection
printf '%s %s HTTP/1.0\r\nHost: localhost\r\nContent-Length: 0\r\napi-key: %s\r\n\r\n' "$1" "$2" "${QDRANT__SERVICE__API_KEY-}" >&3
read -r _ status _ <&3
while IFS= read -r header <&3 && [ "${header%$'\r'}" ]; do :; done
case $status in 2??) ;; *)
  echo "Qdrant answers ${status%$'\r'} to $1 ${2%%\?*}" >&2
  exit 1
  ;;
esac
cat <&3
