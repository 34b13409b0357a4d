# fail2ban-client of a simulated host: a file per jail, one banned address a line. $BOX is its folder `machine`, $FS its root.
# shellcheck shell=sh disable=SC2154,SC2012,SC2016
[ -d "$BOX/fail2ban" ] || { echo "fail2ban-client: command not found" >&2; exit 127; }
grep -q '^fail2ban.service|[^|]*|active' "$BOX/units" || { echo "Failed to access socket path: /var/run/fail2ban/fail2ban.sock. Is fail2ban running?" >&2; exit 255; }
case "${1-} ${2-} ${3-}" in
  "status  ") printf 'Status\n|- Number of jail:\t%s\n`- Jail list:\t%s\n' "$(ls "$BOX/fail2ban" | wc -l)" "$(ls "$BOX/fail2ban" | paste -s -d , - | sed 's/,/, /g')" ;;
  status\ *)
    [ -e "$BOX/fail2ban/$2" ] || { echo "Sorry but the jail '$2' does not exist" >&2; exit 255; }
    printf 'Status for the jail: %s\n|- Filter\n|  |- Currently failed:\t0\n`- Actions\n   |- Currently banned:\t%s\n   `- Banned IP list:\t%s\n' \
      "$2" "$(grep -c . "$BOX/fail2ban/$2")" "$(paste -s -d ' ' "$BOX/fail2ban/$2")" ;;
  set\ *\ unbanip)
    grep -qxF "$4" "$BOX/fail2ban/$2" || { echo 0; exit 0; }
    grep -vxF "$4" "$BOX/fail2ban/$2" >"$BOX/unban.new"; cat "$BOX/unban.new" >"$BOX/fail2ban/$2"; rm -f "$BOX/unban.new"; echo 1 ;;
  *) echo "not simulated: $*" >&2; exit 1 ;;
esac
