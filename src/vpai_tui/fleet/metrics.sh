# One sample of this host every $1 seconds on standard output, until nobody reads it any more. $2: the host's root.
# Read by metrics.py. A block of lines per sample, ended by `end`; what cannot be read is left out, never made up.
# Sent over standard input (`sh -s`). Forks per sample: one sleep; every sixth sample also one date and one df; one
# flock while a deploy is pending. All else is `read` and `cd -P`, which dash and busybox do by themselves.
LC_ALL=C
export LC_ALL
proc=${VPAI_PROC:-/proc}
sys=${VPAI_SYS:-/sys}
interval=${1:-5}
root=${2:-/opt/vpai}

cpus() {
    n=0
    while read -r key _; do
        case $key in
        cpu) ;;
        cpu[0-9]*) n=$((n + 1)) ;;
        *) break ;;
        esac
    done 2>/dev/null <"$proc/stat"
    printf 'cpus %s\n' "$n"
}

machine() {
    { read -r line <"$proc/uptime" && printf 'uptime %s\n' "$line"; } 2>/dev/null
    { read -r line <"$proc/loadavg" && printf 'load %s\n' "$line"; } 2>/dev/null
    { read -r line <"$proc/stat" && printf '%s\n' "$line"; } 2>/dev/null
    [ -r "$proc/meminfo" ] && while read -r key value _; do
        case $key in
        MemTotal: | MemAvailable: | SwapTotal:) printf 'mem %s %s\n' "$key" "$value" ;;
        SwapFree:)
            printf 'mem %s %s\n' "$key" "$value"
            break
            ;;
        esac
    done <"$proc/meminfo"
    for zone in "$sys"/class/thermal/thermal_zone*; do
        [ -r "$zone/temp" ] || continue
        kind=unknown
        { read -r kind <"$zone/type" && read -r value <"$zone/temp" && printf 'temp %s %s\n' "$value" "$kind"; } 2>/dev/null
    done
}

# The page cache a container may lose without harm is not counted, as `docker stats` does it.
inactive() {
    cache=0
    while read -r key value; do
        [ "$key" = "$2" ] && cache=$value && break
    done 2>/dev/null <"$1"
}

cgroup2() { # id, directory
    { read -r used <"$2/memory.current" && read -r _ cpu <"$2/cpu.stat"; } 2>/dev/null || return 0
    inactive "$2/memory.stat" inactive_file
    printf 'cg %s %s %s us\n' "$1" "$((used - cache))" "$cpu"
}

cgroup1() { # id, path below the controllers
    { read -r used <"$sys/fs/cgroup/memory/$2/memory.usage_in_bytes" &&
        read -r cpu <"$sys/fs/cgroup/cpuacct/$2/cpuacct.usage"; } 2>/dev/null || return 0
    inactive "$sys/fs/cgroup/memory/$2/memory.stat" total_inactive_file
    printf 'cg %s %s %s ns\n' "$1" "$((used - cache))" "$cpu"
}

containers() {
    for dir in "$sys"/fs/cgroup/system.slice/docker-*.scope "$sys"/fs/cgroup/docker/*; do
        [ -r "$dir/memory.current" ] || continue
        id=${dir##*/}
        id=${id#docker-}
        cgroup2 "${id%.scope}" "$dir"
    done
    for dir in "$sys"/fs/cgroup/memory/docker/* "$sys"/fs/cgroup/memory/system.slice/docker-*.scope; do
        [ -r "$dir/memory.usage_in_bytes" ] || continue
        id=${dir##*/}
        id=${id#docker-}
        cgroup1 "${id%.scope}" "${dir#"$sys"/fs/cgroup/memory/}"
    done
}

target() { # link; sets $name to the last part of where it points, `-` when there is no link
    name=-
    [ -L "$1" ] || return 0
    if cd -P "$1" 2>/dev/null; then
        name=${PWD##*/}
        cd /
    else
        name=$(readlink "$1" 2>/dev/null) # dangling, or gone meanwhile
        name=${name##*/}
        name=${name:--}
    fi
}

deploys() {
    if [ -e "$root/deploy/hold" ]; then
        line=
        { read -r line <"$root/deploy/hold"; } 2>/dev/null
        printf 'hold %s\n' "$line"
    fi
    pending=
    for dir in "$root"/deploy/stacks/*/; do
        dir=${dir%/}
        [ -d "$dir" ] || continue
        target "$dir/current"
        current=$name
        target "$dir/pending"
        [ "$name" = - ] || pending=yes
        printf 'stack %s %s %s\n' "$current" "$name" "${dir##*/}"
        word=
        [ "$name" = - ] || { read -r word _ <"$dir/releases/$name/status"; } 2>/dev/null
        [ "$word" != revert_failed ] || printf 'failed %s %s/releases/%s\n' "${dir##*/}" "$dir" "$name"
    done
    [ -n "$pending" ] || return 0
    flock -n -E 75 "$root/deploy/lock" true 2>/dev/null
    case $? in
    75) printf 'lock busy\n' ;;
    0) printf 'lock free\n' ;;
    *) printf 'lock unknown\n' ;;
    esac
    { read -r line <"$root/deploy/owner" && printf 'owner %s\n' "$line"; } 2>/dev/null
}

slow() { # the clock first: what comes before it would count as skew
    printf 'date %s\n' "$(date +%s.%N 2>/dev/null)"
    printf 'df\n'
    df -P -k -l 2>/dev/null
    printf 'df-end\n'
    cpus
}

main() {
    cd / || exit 1
    turn=0
    while :; do
        [ "$turn" -eq 0 ] && slow
        turn=$(((turn + 1) % 6))
        machine
        containers
        deploys
        printf 'end\n' || exit 0
        kill -0 "$PPID" 2>/dev/null || exit 0
        sleep "$interval" || exit 1
    done
}

main </dev/null
exit
