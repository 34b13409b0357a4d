# Grafana: every dashboard as JSON, one archive. Sourced.
# shellcheck shell=sh

ask_grafana() { # PATH
  dk exec -i "$ID" sh -s -- "$1" <"$HERE/inside/grafana.sh"
}

copy_dashboards() { # PART
  list=$(ask_grafana '/api/search?type=dash-db&limit=5000') || return
  ids=$(printf '%s' "$list" | grep -o '"uid":"[A-Za-z0-9_-]*"' | cut -d '"' -f 4)
  [ -n "$ids" ] || fail 'Grafana names no dashboard' || return
  folder=$1.d
  rm -rf "$folder" && mkdir "$folder" || return
  for uid in $ids; do
    ask_grafana "/api/dashboards/uid/$uid" >"$folder/$uid.json" </dev/null && [ -s "$folder/$uid.json" ] ||
      fail "dashboard $uid was not told" || { rm -rf "$folder"; return 1; }
  done
  tar -C "$folder" -czf "$1" . && tar -tzf "$1" >/dev/null && code=0 || code=$?
  rm -rf "$folder"
  return "$code"
}

backup_grafana() { # STAMP
  container grafana || { not_there grafana dashboards; return; }
  save grafana dashboards "dashboards-$1.tar.gz" copy_dashboards
}
