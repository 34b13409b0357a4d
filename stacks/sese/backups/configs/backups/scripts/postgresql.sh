# PostgreSQL: one dump of each database that the server has, whoever made it and whenever. Sourced.
# shellcheck shell=sh

# A database's name as part of a file's; with a piece of its hash where it had to change.
# shellcheck disable=SC2016 # $ is SQL's here
SAFE_NAME="CASE WHEN datname ~ '^[A-Za-z0-9_][A-Za-z0-9_.-]*\$' AND length(datname) < 64 THEN datname
  ELSE regexp_replace(left(datname, 40), '[^A-Za-z0-9_]', '_', 'g') || '_' || left(md5(datname), 8) END"
# Of restore tests, never of anybody else.
THROWN_AWAY='^vpai_restore_test_[0-9]{8}T[0-9]{6}Z_[0-9a-f]{8}$'

sql() { # DATABASE [psql's words]: rows, one a line, fields with tabs between
  where=$1
  shift
  dk exec -i -e "PGDATABASE=$where" "$ID" psql -X -q -At -F "$TAB" -v ON_ERROR_STOP=1 -U postgres "$@"
}

databases() { # oid and file name of each. Also those that refuse connections: that they cannot be dumped is to be told
  sql postgres -c "SELECT oid, $SAFE_NAME FROM pg_database
    WHERE NOT datistemplate AND datname !~ '$THROWN_AWAY' ORDER BY datname" </dev/null
}

prove_dump() { # FILE: pg_restore lists it, and reads it to its end; the list alone is at the beginning of the file
  dk exec -i "$ID" pg_restore --list <"$1" >/dev/null || fail 'pg_restore cannot list the dump' || return
  dk exec -i "$ID" pg_restore -f - <"$1" >/dev/null || fail 'pg_restore cannot read the dump to its end'
}

dump_database() { # PART NAME
  # through the environment: as an argument, a name with `=` in it is taken for connection settings
  dk exec -e "PGDATABASE=$2" "$ID" pg_dump -Fc -U postgres --lock-wait-timeout=60s >"$1" </dev/null || return
  prove_dump "$1"
}

backup_postgresql() { # STAMP
  container postgresql || { step_begun pg_dump postgresql; step_done failed 0 '' "$WHY"; return; }
  list=$(databases 2>&1) || { step_begun pg_dump postgresql; step_done failed 0 '' "$list"; return; }
  [ -n "$list" ] || { step_begun pg_dump postgresql; step_done failed 0 '' 'the server names no database'; return; }
  while IFS=$TAB read -r oid safe; do
    name=$(sql postgres -c "SELECT datname FROM pg_database WHERE oid = $oid" </dev/null 2>&1) ||
      { step_begun pg_dump "$safe"; step_done failed 0 '' "$name"; continue; }
    [ -n "$name" ] || continue # dropped meanwhile
    save pg_dump "$name" "$safe-$1.dump" dump_database "$name"
  done <<LIST
$list
LIST
}
