# What the runner writes down: journal, status, links. Functions of the runner, read before runner.sh.
# A full disk must not keep it from telling how it ended, nor from taking back: a reserve is freed when a write fails.
RESERVE_BYTES=4194304
LOST=

reserve() { # real blocks, and random ones, so that no file system squeezes them
  [ "$(stat -c %s "$DEPLOY/reserve" 2>/dev/null)" != "$RESERVE_BYTES" ] || return 0
  head -c "$RESERVE_BYTES" /dev/urandom >"$DEPLOY/reserve.new" && on_disk "$DEPLOY/reserve.new" &&
    mv -T "$DEPLOY/reserve.new" "$DEPLOY/reserve" && return 0
  rm -f "$DEPLOY/reserve.new"; return 1
}
spend() { # the reserve; 1 when there is none
  [ -e "$DEPLOY/reserve" ] || return 1
  rm -f "$DEPLOY/reserve"; sync -f "$DEPLOY" 2>/dev/null || sync
}
twice() { "$@" || { spend && "$@"; }; } # a writer; the second time with the reserve's room
on_disk() { sync -d "$1" 2>/dev/null || sync; }

J() { # event, service or -, detail: one journal line, on the disk before anything follows; 1 and LOST when it is not
  twice append "$(now)$TAB$1$TAB${2:--}$TAB${3:--}" || { LOST='the journal cannot be written'; return 1; }
}
append() {
  if printf '%s\n' "$1" >>"$REL/journal"; then on_disk "$REL/journal"; return; fi
  half=$(tail -n 1 "$REL/journal" 2>/dev/null | wc -c) # of a line: it would swallow the next
  [ -z "$(tail -c 1 "$REL/journal" 2>/dev/null)" ] || truncate -s "-$half" "$REL/journal"
  return 1
}
status() { twice put_status "$1 $2 ${3:-}"; } # outcome, exit code, reason: whole or not at all
put_status() {
  printf '%s\n' "$1" >"$REL/status.new" && mv -T "$REL/status.new" "$REL/status" || return 1
  on_disk "$REL/status"
}
finish() { status "$@" || echo "the end ($1) could not be written down"; J finished - "$1 $2 ${3:-}"; }
settled() { # the same, and nothing is pending any more; whoever dies or fails in between leaves it to be settled again
  { status "$@" && rm -f "$HOME_OF/pending" "$LISTING"; } || { echo "the end ($1) could not be written down"; return 1; }
  sync "$HOME_OF"
  J finished - "$1 $2 ${3:-}"
}
point() { twice put_link "$@"; } # target, link: replaced in one rename
put_link() { ln -sfn "$1" "$2.new" && mv -T "$2.new" "$2" && { sync "$(dirname "$2")" 2>/dev/null || sync; }; }
own() { twice put_owner "$1" || echo "the owner of the lock could not be written down"; }
put_owner() { printf 'pid=%s %s since %s\n' "$$" "$1" "$(now)" >"$DEPLOY/owner"; }
