#!/bin/sh
# Makes the vault's database and its user, as far as they are missing. Runs in CouchDB's container after each deploy; names and
# passwords come from the environment and reach curl through a file descriptor, never as arguments.
set -eu

vault=obsidian_vault

ask() { # ask METHOD PATH [BODY]: prints the status
  body=$(printf %s "${3-}" | sed 's/[\\"]/\\&/g')
  curl -sS -m 10 -o /dev/null -w '%{http_code}' -K /dev/fd/3 3<<EOF
user = "${COUCHDB_USER:?}:${COUCHDB_PASSWORD:?}"
request = "$1"
url = "http://127.0.0.1:5984/$2"
header = "Content-Type: application/json"
data = "$body"
EOF
}

need() { # need STATUS WHAT [THERE]: THERE is what it answers of one that is there already
  case $1 in 2?? | "${3:-2??}") ;; *)
    echo "$2: CouchDB answered $1" >&2
    exit 1
    ;;
  esac
}

need "$(ask PUT _users)" 'database _users' 412
need "$(ask PUT _replicator)" 'database _replicator' 412
need "$(ask PUT $vault)" "database $vault" 412
# 409: the user is there, and keeps its password
need "$(ask PUT _users/org.couchdb.user:obsidian \
  "{\"name\":\"obsidian\",\"password\":\"${OBSIDIAN_PASSWORD:?}\",\"roles\":[],\"type\":\"user\"}")" 'user obsidian' 409
need "$(ask PUT $vault/_security \
  "{\"admins\":{\"names\":[\"$COUCHDB_USER\"],\"roles\":[]},\"members\":{\"names\":[\"obsidian\"],\"roles\":[]}}")" \
  "security of $vault"
