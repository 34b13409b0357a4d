# Qdrant: of each collection the snapshot's file, held against the size and the checksum that the server tells. Sourced.
# shellcheck shell=sh

ask_qdrant() { # METHOD PATH
  dk exec -i "$ID" bash -s -- "$1" "$2" <"$HERE/inside/qdrant.sh"
}
told() { # KEY JSON: the first value of that key, a text or a number
  printf '%s' "$2" | tr -d '\n' | sed -n "s/.*\"$1\": *\"\{0,1\}\([^\",}]*\).*/\1/p"
}

copy_collection() { # PART COLLECTION
  made=$(ask_qdrant POST "/collections/$2/snapshots?wait=true") || return
  made=${made#*\"result\"}
  snapshot=$(told name "$made") size=$(told size "$made") sum=$(told checksum "$made")
  case $snapshot in '' | *[!A-Za-z0-9_.-]*) fail "the answer names no snapshot"; return ;; esac
  ask_qdrant GET "/collections/$2/snapshots/$snapshot" >"$1" && code=0 || code=$?
  ask_qdrant DELETE "/collections/$2/snapshots/$snapshot?wait=true" >/dev/null || fail "$snapshot stays in Qdrant" || true
  [ "$code" = 0 ] || return "$code"
  [ "$(($(wc -c <"$1")))" = "$size" ] || fail "$(($(wc -c <"$1"))) bytes came of the $size of the snapshot" || return
  [ -z "$sum" ] || [ "$sum" = null ] || [ "$(sha256sum <"$1" | cut -c -64)" = "$sum" ] || fail 'the checksum is another'
}

backup_qdrant() { # STAMP
  container qdrant || { not_there qdrant qdrant; return; }
  list=$(ask_qdrant GET /collections 2>&1) || { step_begun qdrant qdrant; step_done failed 0 '' "$list"; return; }
  case $list in *'"collections"'*) ;; *) step_begun qdrant qdrant; step_done failed 0 '' 'the answer has no collections'; return ;; esac
  names=$(printf '%s' "$list" | grep -o '"name": *"[^"]*"' | sed 's/.*: *"\(.*\)"/\1/')
  [ -n "$names" ] || { step_begun qdrant qdrant; step_done none 0 '' 'no collections'; return; }
  while IFS= read -r name; do
    case $name in
      *[!A-Za-z0-9_.-]* | .*) step_begun qdrant "$name"; step_done failed 0 '' 'its name cannot be asked for' ;;
      *) save qdrant "$name" "$name-$1.snapshot" copy_collection "$name" ;;
    esac
  done <<LIST
$names
LIST
}
