# cscli of a simulated host: decisions as JSON. $BOX is its folder `machine`, $FS its root.
# shellcheck shell=sh disable=SC2154,SC2012,SC2016
[ -e "$BOX/crowdsec" ] || { echo "cscli: command not found" >&2; exit 127; }
case "${1-} ${2-}" in
  "decisions list") cat "$BOX/crowdsec" ;;
  "decisions delete")
    grep -qF "\"$4\"" "$BOX/crowdsec" || { echo "no decision for $4" >&2; exit 1; }
    echo null >"$BOX/crowdsec"; echo "1 decision(s) deleted" >&2 ;;
  *) echo "not simulated: $*" >&2; exit 1 ;;
esac
