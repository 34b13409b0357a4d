# ip of a simulated host: the addresses. $BOX is its folder `machine`, $FS its root.
# shellcheck shell=sh disable=SC2154,SC2012,SC2016
cat "$BOX/ip"
