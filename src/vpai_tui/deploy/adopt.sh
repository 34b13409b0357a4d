# What runs without a release of ours becomes r0: functions of the runner, read before runner.sh.
LOST_WAY='what runs now could not be recorded: no way back'
adopt() { # what runs now, without a release of ours, becomes r0: the way back exists before the first change
  first=$(wanted "$REL/services" | head -n 1); [ -n "$first" ] || return 0
  r0=$HOME_OF/releases/00000000T000000-r0
  rm -rf "$r0.part"; mkdir -p "$r0.part/compose" "$r0.part/files" || refuse 78 "$LOST_WAY"
  n=0; old_ifs=$IFS; IFS=,
  for f in $(wanted "$REL/services" | cut -f 9 | tr , '\n' | awk 'NF && !seen[$0]++' | paste -s -d , -); do
    [ -r "$f" ] || { IFS=$old_ifs; refuse 78 "the running containers were made from $f, which is not on the host: no way back"; }
    cp "$f" "$r0.part/compose/$(printf '%02d' $n)-adopted.yaml" || { IFS=$old_ifs; refuse 78 "$f could not be copied: no way back"; }
    n=$((n + 1))
  done
  IFS=$old_ifs
  adopt_facts "$r0.part" || refuse 78 "$LOST_WAY"
  { adopt_images >"$r0.part/images.lock" && [ "$(wc -l <"$r0.part/images.lock")" -eq "$(wanted "$REL/services" | wc -l)" ]; } ||
    refuse 78 "the images that run now could not all be told: no way back"
  adopt_files "$r0.part" || refuse 78 "the files that run now could not be copied: no way back"
  { rm -rf "$r0"; mv -T "$r0.part" "$r0" && sync -f "$HOME_OF/releases" && point releases/00000000T000000-r0 "$HOME_OF/current"; } ||
    refuse 78 "$LOST_WAY"
  BASE=00000000T000000-r0; J adopted - "$BASE"
}
adopt_facts() { # R0-DIR: what it is; the env files are kept as those that may be there: their values are masked
  printf '%s\n' "$first" | cut -f 10 >"$1/project_dir" && printf '%s\n' "$PROJECT" >"$1/project" &&
    wanted "$REL/services" | cut -f 4 | sort -u >"$1/services" &&
    cat "$REL/envs" "$REL/envs.optional" >"$1/envs.optional" &&
    : >"$1/envs" && : >"$1/networks" && : >"$1/journal" && echo "adopted 0" >"$1/status" &&
    printf 'id=00000000T000000-r0\nstack=%s\nkind=adopted\nby=%s\ncreated_at=%s\n' "$STACK" "$WHO" "$(now)" >"$1/manifest"
}
record() { # the verb `adopt`: r0 by itself; the release named is no release, it only carries the lists and this journal
  [ -L "$HOME_OF/pending" ] && refuse 76 "release $(link_id "$HOME_OF/pending") was interrupted"
  J begin "${BASE:-none}" "$WHO" || refuse 78 "$LOST"
  if [ -z "$BASE" ]; then
    room; look || refuse 78 "the containers cannot be listed"
    adopt; rm -f "$LISTING"
    [ -n "$BASE" ] || refuse 78 "nothing of it runs in the project $PROJECT: there is nothing to record"
    finish recorded 0; cp "$REL/journal" "$HOME_OF/releases/$BASE/journal"
  else finish unchanged 0 "$BASE"; fi
}
adopt_images() { # images.lock of what runs; a digest counts only under the name the container asked for
  wanted "$REL/services" | cut -f 1,4 | while IFS="$TAB" read -r id svc; do
    dk inspect -f "$svc$TAB{{.Config.Image}}$TAB{{.Image}}" "$id"
  done | while IFS="$TAB" read -r svc ref image; do
    name=$(printf '%s' "${ref%%@*}" | sed 's|^docker\.io/||; s|^library/||; s|:[^/:]*$||')
    digest=$(dk image inspect -f '{{range .RepoDigests}}{{println .}}{{end}}' "$image" 2>/dev/null | awk -F @ -v n="$name" '$1 == n { print; exit }')
    printf '%s\t%s\t%s\t%s\t%s\n' "$svc" "$ref" "$image" "${digest:--}" "$([ -n "$digest" ] && echo 0 || echo 1)"
  done
}
adopt_files() { # R0-DIR: the host's own copies of what the new release ships, with the lists that describe them
  : >"$1/files.sha256" && : >"$1/lives" || return 1
  while read -r _ _ path; do
    [ -f "$ROOT/$path" ] || continue
    mkdir -p "$1/files/$(dirname "$path")" && cp -p "$ROOT/$path" "$1/files/$path" || return 1
    printf '%s %s %s\n' "$(sha256sum <"$ROOT/$path" | cut -d ' ' -f 1)" "$(stat -c %a "$ROOT/$path")" "$path" >>"$1/files.sha256" || return 1
    if grep -qxF "$path" "$REL/lives"; then printf '%s\n' "$path" >>"$1/lives" || return 1; fi
  done <"$REL/files.sha256"
  cp "$REL/bundle.json" "$1/bundle.json"
}
