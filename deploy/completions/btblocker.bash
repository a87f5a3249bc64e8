# bash completion of btblocker. Written by scripts/completions.ts

_btblocker() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
  local path="" word words="" files="" IFS=$' \t\n'
  COMPREPLY=()
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "${path:+$path }$word" in
    "run" | "analyze" | "bans" | "bans list" | "bans add" | "bans remove" | "bans clear" | "log" | "log find" | "rules" | "rules install" | "rules remove" | "rules show" | "doctor" | "status" | "demo") path="${path:+$path }$word" ;;
    esac
  done
  case $prev in
    --config) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
    --queue-num) mapfile -t COMPREPLY < <(compgen -W "" -- "$cur"); return ;;
    --queue-count) mapfile -t COMPREPLY < <(compgen -W "" -- "$cur"); return ;;
    --interface) mapfile -t COMPREPLY < <(compgen -W "$(ls /sys/class/net 2>/dev/null)" -- "$cur"); return ;;
    --chains) mapfile -t COMPREPLY < <(compgen -W "INPUT FORWARD OUTPUT" -- "$cur"); return ;;
    --manage-rules) mapfile -t COMPREPLY < <(compgen -W "true false" -- "$cur"); [[ $cur == -* ]] || return ;;
    --mark-mask) mapfile -t COMPREPLY < <(compgen -W "" -- "$cur"); return ;;
    --policy) mapfile -t COMPREPLY < <(compgen -W "default strict" -- "$cur"); return ;;
    --reset-older) mapfile -t COMPREPLY < <(compgen -W "auto true false" -- "$cur"); return ;;
    --ban-target) mapfile -t COMPREPLY < <(compgen -W "source remote both none" -- "$cur"); return ;;
    --ban-scope) mapfile -t COMPREPLY < <(compgen -W "auto ip endpoint" -- "$cur"); return ;;
    --ban-prefix) mapfile -t COMPREPLY < <(compgen -W "" -- "$cur"); return ;;
    --ban-duration) mapfile -t COMPREPLY < <(compgen -W "" -- "$cur"); return ;;
    --ban-factor) mapfile -t COMPREPLY < <(compgen -W "" -- "$cur"); return ;;
    --ban-duration-max) mapfile -t COMPREPLY < <(compgen -W "" -- "$cur"); return ;;
    --ban-requires-reply) mapfile -t COMPREPLY < <(compgen -W "true false" -- "$cur"); [[ $cur == -* ]] || return ;;
    --whitelist-ports) mapfile -t COMPREPLY < <(compgen -W "" -- "$cur"); return ;;
    --whitelist-ips) mapfile -t COMPREPLY < <(compgen -W "" -- "$cur"); return ;;
    --monitor-only) mapfile -t COMPREPLY < <(compgen -W "true false" -- "$cur"); [[ $cur == -* ]] || return ;;
    --block-socks) mapfile -t COMPREPLY < <(compgen -W "true false" -- "$cur"); [[ $cur == -* ]] || return ;;
    --block-mentions) mapfile -t COMPREPLY < <(compgen -W "true false" -- "$cur"); [[ $cur == -* ]] || return ;;
    --xdp-mode) mapfile -t COMPREPLY < <(compgen -W "auto tc generic native offload off" -- "$cur"); return ;;
    --ban-limit) mapfile -t COMPREPLY < <(compgen -W "" -- "$cur"); return ;;
    --persist-bans) mapfile -t COMPREPLY < <(compgen -W "true false" -- "$cur"); [[ $cur == -* ]] || return ;;
    --cleanup-interval) mapfile -t COMPREPLY < <(compgen -W "" -- "$cur"); return ;;
    --log-level) mapfile -t COMPREPLY < <(compgen -W "error warn info debug" -- "$cur"); return ;;
    --log-format) mapfile -t COMPREPLY < <(compgen -W "text json" -- "$cur"); return ;;
    --detection-log) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
    --detection-log-format) mapfile -t COMPREPLY < <(compgen -W "text json" -- "$cur"); return ;;
    --detection-pcap) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
    --who) mapfile -t COMPREPLY < <(compgen -W "true false" -- "$cur"); [[ $cur == -* ]] || return ;;
    --webhook-url) mapfile -t COMPREPLY < <(compgen -W "" -- "$cur"); return ;;
    --status-listen) mapfile -t COMPREPLY < <(compgen -W "" -- "$cur"); return ;;
    --status-token) mapfile -t COMPREPLY < <(compgen -W "" -- "$cur"); return ;;
    --recheck) mapfile -t COMPREPLY < <(compgen -W "" -- "$cur"); return ;;
    --fleet-url) mapfile -t COMPREPLY < <(compgen -W "" -- "$cur"); return ;;
    --fleet-login) mapfile -t COMPREPLY < <(compgen -W "" -- "$cur"); return ;;
    --fleet-password) mapfile -t COMPREPLY < <(compgen -W "" -- "$cur"); return ;;
    --fleet-key) mapfile -t COMPREPLY < <(compgen -W "" -- "$cur"); return ;;
    --fleet-interval) mapfile -t COMPREPLY < <(compgen -W "" -- "$cur"); return ;;
    --fleet-scope) mapfile -t COMPREPLY < <(compgen -W "btblocker all" -- "$cur"); return ;;
    --fleet-private) mapfile -t COMPREPLY < <(compgen -W "true false" -- "$cur"); [[ $cur == -* ]] || return ;;
    --fleet-ca) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
    --fleet-cert) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
    --fleet-cert-key) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
    --fleet-spool) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
    --html) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
    --duration) mapfile -t COMPREPLY < <(compgen -W "" -- "$cur"); return ;;
    --info-hash) mapfile -t COMPREPLY < <(compgen -W "" -- "$cur"); return ;;
    --port) mapfile -t COMPREPLY < <(compgen -W "" -- "$cur"); return ;;
    --address) mapfile -t COMPREPLY < <(compgen -W "" -- "$cur"); return ;;
    --between) mapfile -t COMPREPLY < <(compgen -W "" -- "$cur"); return ;;
  esac
  case $path in
    "")
      words="run analyze bans log rules doctor status demo -V --version -h --help --show-config --config --queue-num --queue-count --interface --chains --manage-rules --mark-mask --policy --reset-older --ban-target --ban-scope --ban-prefix --ban-duration --ban-factor --ban-duration-max --ban-requires-reply --whitelist-ports --whitelist-ips --monitor-only --block-socks --block-mentions --xdp-mode --ban-limit --persist-bans --cleanup-interval --log-level --log-format --detection-log --detection-log-format --detection-pcap --who --webhook-url --status-listen --status-token --recheck --fleet-url --fleet-login --fleet-password --fleet-key --fleet-interval --fleet-scope --fleet-private --fleet-ca --fleet-cert --fleet-cert-key --fleet-spool"
      ;;
    "run")
      words="--show-config --config --queue-num --queue-count --interface --chains --manage-rules --mark-mask --policy --reset-older --ban-target --ban-scope --ban-prefix --ban-duration --ban-factor --ban-duration-max --ban-requires-reply --whitelist-ports --whitelist-ips --monitor-only --block-socks --block-mentions --xdp-mode --ban-limit --persist-bans --cleanup-interval --log-level --log-format --detection-log --detection-log-format --detection-pcap --who --webhook-url --status-listen --status-token --recheck --fleet-url --fleet-login --fleet-password --fleet-key --fleet-interval --fleet-scope --fleet-private --fleet-ca --fleet-cert --fleet-cert-key --fleet-spool -h --help"
      ;;
    "analyze")
      words="--json --html --policy --block-socks --block-mentions --whitelist-ports --detection-log --detection-log-format --detection-pcap -h --help"
      files=yes
      ;;
    "bans")
      words="list add remove clear -h --help"
      ;;
    "bans list")
      words="--json -h --help"
      ;;
    "bans add")
      words="--duration --json -h --help"
      ;;
    "bans remove")
      words="--json --fleet -h --help"
      ;;
    "bans clear")
      words="--json -h --help"
      ;;
    "log")
      words="find -h --help"
      ;;
    "log find")
      words="--info-hash --port --address --between --json --config -h --help"
      files=yes
      ;;
    "rules")
      words="install remove show -h --help"
      ;;
    "rules install")
      words="--config --queue-num --queue-count --chains --mark-mask --whitelist-ports --monitor-only --recheck -h --help"
      ;;
    "rules remove")
      words="--config -h --help"
      ;;
    "rules show")
      words="--config --queue-num --queue-count --chains --mark-mask --whitelist-ports --monitor-only --recheck -h --help"
      ;;
    "doctor")
      words="--json --config --queue-num --queue-count --interface --chains --mark-mask --xdp-mode -h --help"
      ;;
    "status")
      words="--json --watch -h --help"
      ;;
    "demo")
      words="--json -h --help"
      ;;
  esac
  if [[ $files && $cur != -* ]]; then
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$cur")
  else
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
  fi
}

complete -F _btblocker btblocker
