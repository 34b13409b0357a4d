#!/bin/sh
# What a host looks like, as JSON written by hand: it has no more than a shell, and no value has a quote in it.
# usage: ROOT=… STACK=… sh look.sh
set -u
TAB=$(printf '\t')
home=$ROOT/deploy/stacks/$STACK
list() { sed "s/$TAB/\\\\t/g; s/.*/\"&\"/" | paste -s -d , -; }
say() { printf '"%s": "%s",\n' "$1" "$2"; }
torn() { for j in "$home"/releases/*/journal; do awk -F "$TAB" -v f="$j" 'NF != 4 { print f; exit }' "$j"; done; }
containers() { # name, image id, state, value of V
  docker ps -aq --filter "label=com.docker.compose.project=$STACK" |
    xargs -r docker inspect -f '{{.Name}} {{.Image}} {{.State.Status}} {{range .Config.Env}}{{.}} {{end}}' |
    awk -v OFS="$TAB" '{ v = "-"; for (i = 4; i <= NF; i++) if ($i ~ /^V=/) v = substr($i, 3); print $1, $2, $3, v }'
}

echo '{'
say current "$(readlink "$home/current")"
say pending "$(readlink "$home/pending")"
say free "$(if flock -n "$ROOT/deploy/lock" true; then echo yes; fi)"
say file "$(sha256sum 2>/dev/null <"$ROOT/${CONFIGS:-configs/front}/site.conf" | cut -d ' ' -f 1)"
say budget "$(cat "$ROOT/${CONFIGS:-configs/front}/budget.yaml" 2>/dev/null)"
say marker "$(cat "/var/lib/docker/volumes/${STACK}_data/_data/marker" 2>/dev/null)"
say status "$(head -n 1 "$home/current/status" 2>/dev/null)"
printf '"torn": [%s],\n' "$(torn | list)"
printf '"litter": [%s],\n' "$(find "$ROOT" -name '*.vpai-new' | list)"
printf '"containers": [%s]\n' "$(containers | list)"
echo '}'
