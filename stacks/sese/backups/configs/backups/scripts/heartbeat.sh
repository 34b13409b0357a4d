# The heartbeat: one GET of $HEARTBEAT_URL. The address is a secret and reaches no command line: the request is written to a
# socket by nc, which is told host and port alone; for https through the image's own TLS client. Sourced.
# shellcheck shell=sh disable=SC2034,SC2015 # read by who sources it; `a && b || c` is meant so

request() { # PATH PLACE; the end stays open for a while: there are servers that take a closed one for a caller who left
  printf 'GET %s HTTP/1.0\r\nHost: %s\r\nUser-Agent: vpai-backups\r\nConnection: close\r\n\r\n' "$1" "$2"
  sleep "${HEARTBEAT_OPEN_S:-5}"
}

send_heartbeat() { # 0 sent; 1 and WHY
  case $HEARTBEAT_URL in
    http://*) rest=${HEARTBEAT_URL#http://} port=80 tls='' ;;
    https://*) rest=${HEARTBEAT_URL#https://} port=443 tls=yes ;;
    *) WHY='HEARTBEAT_URL is no http(s) address'; return 1 ;;
  esac
  place=${rest%%[/?]*} path=/
  [ "$rest" = "$place" ] || path=${rest#"$place"}
  host=${place%:*}
  [ "$host" = "$place" ] || port=${place##*:}
  case $host in '' | *[!A-Za-z0-9.-]*) WHY='HEARTBEAT_URL names no host'; return 1 ;; esac
  case $port in '' | *[!0-9]*) WHY='HEARTBEAT_URL has no port'; return 1 ;; esac
  if [ -z "$tls" ]; then
    answer=$(request "$path" "$place" | within 60 nc -w 30 "$host" "$port" 2>/dev/null)
  else
    # the answer goes past nc, whose output is the socket itself
    said=${TMPDIR:-/tmp}/heartbeat.$$
    SAID=$said TLS_HOST=$host TLS_PATH=$path TLS_PLACE=$place within 60 nc -w 30 "$host" "$port" -e sh "$HERE/inside/tls.sh"
    answer=$(head -c 1000 "$said" 2>/dev/null)
    rm -f "$said"
  fi
  status=$(printf '%s' "$answer" | head -n 1 | tr -d '\r')
  case $status in
    HTTP/1.[01]' 2'*) return 0 ;;
    HTTP/*) WHY="the monitor answers ${status#* }" ;;
    *) WHY="the monitor does not answer on port $port${tls:+ (TLS)}" ;;
  esac
  return 1
}
