#!/bin/bash
# One database and one role per application. Runs at the very first start of an empty volume only; the passwords
# come through the environment, never as arguments.
set -euo pipefail

make_database() {
  export DB_NAME=$1 DB_PASSWORD=$2
  psql -v ON_ERROR_STOP=1 --no-psqlrc --username postgres --dbname postgres <<'SQL'
\getenv name DB_NAME
\getenv password DB_PASSWORD
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
REVOKE CONNECT ON DATABASE :"name" FROM PUBLIC;
SQL
}

make_database n8n "${N8N_DB_PASSWORD:?}"
make_database litellm "${LITELLM_DB_PASSWORD:?}"
