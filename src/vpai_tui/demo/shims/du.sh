# du of a simulated host: known paths by a table in KiB, a log by its name; what is really in the demo's folders as it is.
# $BOX is the host's folder `machine`, $FS its root.
# shellcheck shell=sh disable=SC2154
real=
for word do case $word in -* | "$FS"/*) ;; *) real=1 ;; esac; done
[ -z "$real" ] || exec REAL_DU "$@"
for word do case $word in -*) ;; *) printf '%s\n' "$word" ;; esac; done |
  awk -v OFS='\t' -v front="$FS" '
    FILENAME == ARGV[1] { known[$2] = $1; next }
    {
      path = substr($0, length(front) + 1); size = path in known ? known[path] : 4
      if (path ~ /^\/var\/lib\/docker\/containers\//) {
        size = 40; for (i = 1; i <= 8; i++) size += 900 * index("0123456789abcdef", substr(path, 27 + i, 1))
      }
      print size, $0
    }' "$BOX/du" -
