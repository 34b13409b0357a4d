# Which lines of a file may hold a secret: functions of pull.sh, read before it. Places are told, never what stands there.
# shellcheck shell=sh disable=SC2086,SC2154 # $docker is words; release, root and TAB are of pull.sh
SECRET_NAMES='PASS|SECRET|TOKEN|KEY|CREDENTIAL|DSN|AUTH|SALT|PWD|HMAC|PRIVATE|COOKIE'

settings_known() { # KEY=value lines: of the containers of the release's project, and of its env files; 1 when docker is silent
  read -r project <"$release/project" || return 1
  ids=$($docker ps -aq --no-trunc --filter "label=com.docker.compose.project=$project" </dev/null) || return 1
  [ -z "$ids" ] || $docker inspect -f '{{range .Config.Env}}{{println .}}{{end}}' $ids </dev/null || return 1
  {
    cat "$release/envs" "$release/envs.optional" 2>/dev/null
    printf '%s\n' "$root/.env"; sed 's|$|/.env|' "$release/project_dir" 2>/dev/null
  } | sort -u | while IFS= read -r file; do if [ -f "$file" ]; then cat "$file"; echo; fi; done
}
values_known() { # stdin: KEY=value lines; the values that are secrets by their names, and passwords inside of addresses
  awk -v names="$SECRET_NAMES" '
    function told(value) { if (length(value) >= 6 && !(value in seen)) { seen[value] = 1; print value } }
    { sub(/\r$/, ""); sub(/^[ \t]*(export[ \t]+)?/, "") }
    !match($0, /^[A-Za-z_][A-Za-z0-9_.-]*[ \t]*=/) { next }
    {
      name = toupper(substr($0, 1, RLENGTH - 1)); value = substr($0, RLENGTH + 1); sub(/^[ \t]+/, "", value)
      quote = substr(value, 1, 1)
      if (quote == "\"" || quote == "\047") { value = substr(value, 2); if (at = index(value, quote)) value = substr(value, 1, at - 1) }
      else { sub(/[ \t]+#.*/, "", value); sub(/[ \t]+$/, "", value) }
      if (match(value, /:\/\/[^\/@]*@/)) {
        user = substr(value, RSTART + 3, RLENGTH - 4); sub(/^[^:]*:/, "", user); told(user)
      }
      plain = name ~ /(FILE|PATH|DIR)[ \t]*$/ || value ~ /^[a-z+]*:\/\/[^@?]*$/ && value !~ /hook/
      if (name ~ names && !plain && name !~ /^(OLD)?PWD[ \t]*$/) told(value)
    }'
}
suspects() { # FILE NAME-TO-TELL VALUES-FILE: one record a line that may hold a secret
  { sed 's/^/S/' "$3"; sed 's/^/T/' "$1"; } | LC_ALL=C awk -v OFS='\t' -v told="$2" -v names="$SECRET_NAMES" '
    function harmless(value) { # nothing, a switch, a reference to a variable, or a file
      sub(/^[ \t]+/, "", value); sub(/^["\047]+/, "", value)
      if (value ~ /^[$][{][A-Za-z_][A-Za-z0-9_]*(}|:?[?]|:?-})/) return 1
      if (value ~ /^[$][$]?[(A-Za-z_]/ || value ~ /^[{]([{$ ]|env[.])/ || value ~ /^[{[]/ || value ~ /^[.]*\// || value ~ /^[#*]/) return 1
      if (value ~ /^os[.]environ\//) return 1 # how LiteLLM names a variable
      sub(/[ \t"\047,}\]].*/, "", value)
      return tolower(value) ~ /^(|-|true|false|yes|no|on|off|null|none|~)$/
    }
    function keyed(text,   name, plain, value, sep) { # NAME: value, NAME=value, also several of them on one line
      gsub(/[$][{][A-Za-z_][A-Za-z0-9_]*(:?[?][^}]*)?}/, "$x", text)
      while (match(text, /(^|[ \t"\047{,[(?&-])[A-Za-z_][A-Za-z0-9_.-]*["\047]?[ \t]*[:=]/)) {
        name = substr(text, RSTART, RLENGTH); text = substr(text, RSTART + RLENGTH); sep = substr(name, length(name))
        plain = toupper(name); gsub(/VALKEY|KEYCLOAK|KEYDB/, "", plain)
        if (plain !~ names) continue
        value = text
        if (value ~ /^[ \t]*$/) { carried = sep == ":" ? "key" : ""; continue }
        if (sep == ":" && value ~ /^[0-9]+["\047]?([\/ \t,\]]|$)/ && name !~ /["\047][ \t]*:$/) continue # a port, a tag
        if (name ~ /[Tt]okens?[^A-Za-z]*$|TOKENS?[^A-Za-z]*$/ && name ~ /[Mm]ax|MAX|_per_|limit|LIMIT|cost/ && value ~ /^[ \t]*[0-9.e-]+[ \t]*([#,}].*)?$/) continue
        if (!harmless(value)) return what(name)
      }
      return ""
    }
    function what(name) { gsub(/[^A-Za-z0-9_.-]/, "", name); sub(/^-+/, "", name); return name }
    function flagged(text,   name, value) { # --password value, -a value; also in the quotes and commas of a list
      while (match(text, /(^|[ \t"\047,[])(-a|-u|--user|--?[A-Za-z-]*(pass|pwd|secret|token|key|auth|credential)[A-Za-z-]*|requirepass|masterauth|masteruser)(["\047,= \t]+|$)/)) {
        name = substr(text, RSTART, RLENGTH); text = substr(text, RSTART + RLENGTH); value = text
        sub(/^[ \t"\047,=]+/, "", value)
        if (name ~ /-u|--user[^a-z]/ && value !~ /^[^ \t"\047,$]+:[^ \t"\047,$]/) continue
        if (value == "" || value ~ /^[\]]/) { carried = "flag"; continue }
        if (value !~ /^-/ && !harmless(value)) return what(name)
      }
      return text ~ /(mysql|mariadb)[^#]*[ \t"\047,]-p[^ \t"\047,$]/ ? "-p" : ""
    }
    function directive(text) { # of configuration files: a name, blanks, a value
      if (!match(tolower(text), /^[ \t]*[a-z_.-]*(passw|passphrase|passwd|secret|api_?key|auth_?token|bearer)[a-z_.-]*[ \t]+[^ \t:=]/)) return ""
      return harmless(substr(text, RSTART + RLENGTH - 1)) ? "" : "a password or key"
    }
    function long_word(text) { # letters and digits without an end: what a machine drew
      gsub(/sha256:[0-9a-f]+/, "", text)
      while (match(text, /[A-Za-z0-9+=]+/)) {
        word = substr(text, RSTART, RLENGTH); text = substr(text, RSTART + RLENGTH)
        if (length(word) >= 20 && word ~ /[0-9]/ && word ~ /[A-Za-z]/) return "a long random word"
      }
      return ""
    }
    function shaped(text) {
      if (text ~ /:\/\/[^ \/@:"\047]*:[^ \/@"\047$]+@/ || text ~ /:\/\/[^ \/@"\047$][^ \/@"\047$]*@/ && text !~ /:\/\/git@/) return "an address with a password"
      if (text ~ /[$]2[abxy]?[$][$]?[0-9]/ || text ~ /[$]argon2/ || text ~ /[$][156y][$]/) return "a hash of a password"
      if (text ~ /-----BEGIN [A-Z ]*PRIVATE KEY/) return "a private key"
      if (text ~ /([Bb]earer|[Bb]asic)[ \t]+[A-Za-z0-9]/ && toupper(text) ~ /AUTHORI/) return "a bearer word"
      return ""
    }
    function next_line(text) { # the value of the name or flag that ended the line before
      sub(/^[ \t]+/, "", text)
      if (carried == "flag") sub(/^-[ \t]+/, "", text)
      else if (text ~ /^-([ \t]|$)/ || text ~ /^["\047]?[A-Za-z0-9_.<-]+["\047]?:([ \t]|$)/) return ""
      return text ~ /^-/ || harmless(text) ? "" : "a value on a line of its own"
    }
    /^S/ { secret[++n] = substr($0, 2); next }
    {
      line = substr($0, 2); sub(/\r$/, "", line); number++; found = ""
      for (i = 1; i <= n && found == ""; i++) if (index(line, secret[i])) found = "a value of its environment"
      if (line ~ /^[ \t]*$/ || found == "" && line ~ /^[ \t]*image:[ \t]*[^ \t]+$/ && line !~ /@[^s]/) next
      if (found == "" && carried != "") found = next_line(line)
      carried = ""
      if (found == "") found = shaped(line)
      if (found == "") found = keyed(line)
      if (found == "") found = flagged(line)
      if (found == "") found = directive(line)
      if (found == "") found = long_word(line)
      if (found != "") print "secret", number, found, told
    }'
}
