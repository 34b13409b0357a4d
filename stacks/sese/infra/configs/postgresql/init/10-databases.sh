#!/bin/bash
# One database and one role per application. Doing it again changes nothing but a password that is another one now in
# postgresql.env. The image runs it at the first start of an empty volume, every deploy of sese/infra once more. The
# passwords come through the environment, never as arguments; the server logs no statement that holds one.
set -euo pipefail

make_database() {
  export DB_NAME=$1 DB_PASSWORD=$2
  psql -v ON_ERROR_STOP=1 --no-psqlrc --quiet --username postgres --dbname postgres <<'SQL'
\getenv name DB_NAME
\getenv password DB_PASSWORD
SET log_min_error_statement = panic;
SET log_min_duration_statement = -1;
SELECT format('CREATE ROLE %I LOGIN', :'name')
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'name') \gexec
ALTER ROLE :"name" PASSWORD :'password';
SELECT format('CREATE DATABASE %I OWNER %I', :'name', :'name')
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \gexec
REVOKE CONNECT ON DATABASE :"name" FROM PUBLIC;
SQL
}

make_database n8n "${N8N_DB_PASSWORD:?}"
make_database litellm "${LITELLM_DB_PASSWORD:?}"
make_database sure "${SURE_DB_PASSWORD:?}"
make_database palais "${PALAIS_DB_PASSWORD:?}"
make_database kaneo "${KANEO_DB_PASSWORD:?}"
