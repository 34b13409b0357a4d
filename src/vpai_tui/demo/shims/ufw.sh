# ufw of a simulated host: `ufw status verbose`. $BOX is its folder `machine`, $FS its root.
# shellcheck shell=sh disable=SC2154,SC2012,SC2016
[ -e "$BOX/ufw" ] || { echo "ufw: command not found" >&2; exit 127; }
cat "$BOX/ufw"
