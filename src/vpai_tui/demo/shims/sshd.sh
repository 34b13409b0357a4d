# sshd of a simulated host: `sshd -T`. $BOX is its folder `machine`, $FS its root.
# shellcheck shell=sh disable=SC2154,SC2012,SC2016
[ "${1-}" = -T ] || { echo "sshd: not simulated: $*" >&2; exit 1; }
cat "$BOX/sshd"
