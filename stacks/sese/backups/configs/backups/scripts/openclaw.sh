# OpenClaw: the agents' workspaces, sessions and memory; no keys. Sourced.
# shellcheck shell=sh

copy_workspace() { # PART
  # shellcheck disable=SC2016 # all of it is the container's
  dk exec "$ID" sh -c '
    cd "${OPENCLAW_STATE_DIR:-$HOME/.openclaw}" 2>/dev/null || exit 3
    set --
    for it in workspace* agents memory; do [ ! -e "$it" ] || set -- "$@" "$it"; done
    [ $# -gt 0 ] || exit 3
    tar --exclude=auth-profiles.json --exclude=node_modules -czf - "$@" || [ $? = 1 ] # 1: a file grew meanwhile
  ' >"$1" </dev/null && code=0 || code=$?
  [ "$code" != 3 ] || { echo 'no workspace yet' >&2; return 3; }
  [ "$code" = 0 ] || fail "tar ended with status $code" || return
  [ -n "$(tar -tzf "$1")" ] || fail 'the archive has nothing in it'
}

backup_openclaw() { # STAMP
  container openclaw || { not_there openclaw workspace; return; }
  save openclaw workspace "workspace-$1.tar.gz" copy_workspace
}
