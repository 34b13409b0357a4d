# ionice of a simulated host: whatever follows the options. $BOX is its folder `machine`, $FS its root.
# shellcheck shell=sh disable=SC2154,SC2012,SC2016
while :; do case ${1-} in -c|-n) shift 2 ;; -*) shift ;; *) break ;; esac; done
exec "$@"
