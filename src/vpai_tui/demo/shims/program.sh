# A program of a simulated host that tells its version, where its folder $BOX has one. The name is NAME.
# shellcheck shell=sh disable=SC2154
[ -e "$BOX/NAME.version" ] || { echo "NAME: command not found" >&2; exit 127; }
cat "$BOX/NAME.version"
