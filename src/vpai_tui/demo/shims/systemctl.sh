# systemctl of a simulated host: units: unit|load|active|sub|enabled|since|memory|restarts. $BOX is its folder `machine`, $FS its root.
# shellcheck shell=sh disable=SC2154,SC2012,SC2016
verb=${1-}; [ $# -eq 0 ] || shift
only=; value= # -p KEY --value: that key's value alone
for word do
  shift
  case $word in --value) value=1 ;; -p) only=next ;; *) if [ "$only" = next ]; then only=$word; else set -- "$@" "$word"; fi ;; esac
done
case $verb in
  show)
    for word do
      case $word in -*) continue ;; esac
      line=$(grep "^$word|" "$BOX/units")
      IFS='|' read -r id load active sub enabled since memory restarts <<END
${line:-$word|not-found|inactive|dead||0|[not set]|0}
END
      if [ -n "$value" ]; then
        case $only in ActiveState) echo "$active" ;; ActiveEnterTimestamp) echo "@$since" ;; esac
        continue
      fi
      printf 'Id=%s\nLoadState=%s\nActiveState=%s\nSubState=%s\nUnitFileState=%s\n' "$id" "$load" "$active" "$sub" "$enabled"
      printf 'ActiveEnterTimestamp=@%s\nMemoryCurrent=%s\nNRestarts=%s\nResult=success\n\n' "$since" "$memory" "$restarts"
    done ;;
  restart)
    for word do
      case $word in -*) continue ;; esac
      grep -q "^$word|" "$BOX/units" || { echo "Failed to restart $word: Unit $word not found." >&2; exit 5; }
      awk -F '|' -v OFS='|' -v unit="$word" -v now="$(date +%s)" '$1 == unit { $3 = "active"; $4 = "running"; $6 = now } { print }' \
        "$BOX/units" >"$BOX/units.new" && mv "$BOX/units.new" "$BOX/units"
    done ;;
  *) echo "systemctl: not simulated: $verb" >&2; exit 1 ;;
esac
