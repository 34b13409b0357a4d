# n8n: every workflow as JSON, and whether the key is set without which no stored credential can be read. Sourced.
# shellcheck shell=sh

copy_workflows() { # PART
  # shellcheck disable=SC2016 # $0 is the container's
  WHY=$(dk exec "$ID" sh -c 'n8n export:workflow --all --output="$0" >&2 && cat "$0"; code=$?; rm -f "$0"; exit $code' \
    "/tmp/vpai-workflows-$$.json" 2>&1 >"$1" </dev/null) || {
    case $WHY in *'No workflows found'*) echo 'no workflows' >&2; return 3 ;; esac
    fail "$WHY" || return
  }
  case $(head -c 1 "$1") in '[' | '{') ;; *) fail 'the export is no JSON' ;; esac
}

backup_n8n() { # STAMP
  container n8n || { not_there n8n workflows; return; }
  save n8n workflows "workflows-$1.json" copy_workflows
  step_begun n8n 'encryption key'
  # its presence alone is looked at
  # shellcheck disable=SC2016
  if dk exec "$ID" sh -c 'test -n "${N8N_ENCRYPTION_KEY-}"' </dev/null; then step_done ok 0 '' 'set'
  else step_done failed 0 '' 'N8N_ENCRYPTION_KEY is not set: credentials of a restored database cannot be read'; fi
}
