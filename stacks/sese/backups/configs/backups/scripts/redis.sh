# Redis: the server sends what it would write to its disk (as to a replica), so no file's owner is in the way and nothing
# is waited for by looking. Sourced.
# shellcheck shell=sh

copy_redis() { # PART
  # shellcheck disable=SC2016 # the password is the container's
  dk exec "$ID" sh -c 'export REDISCLI_AUTH="${REDIS_PASSWORD-}"; exec redis-cli --rdb -' >"$1" </dev/null || return
  dk exec -i "$ID" redis-check-rdb /dev/stdin <"$1" >/dev/null 2>&1 || fail 'redis-check-rdb does not take the copy'
}

backup_redis() { # STAMP
  container redis || { not_there redis redis; return; }
  save redis redis "dump-$1.rdb" copy_redis
}
