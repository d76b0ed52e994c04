# The job runner: the one text that starts, watches and ends commands, here and on other machines.
# POSIX sh. Its own source is in $dr_text; its arguments are  OP KEY JOBS …  (see the end). JOBS is the
# folder of all jobs, escaped for `printf %b`; empty: the usual place. Every answer begins with a
# record separator, so that what a login shell prints on its own can be told apart.
#
# A job is a folder named by its key. What exists in it says how far the job came:
#   (no folder)   nothing happened
#   owner         a supervisor holds the claim                 "pid start pgid boot"
#   proc          the command's process, before its exec       "pid start pgid boot"
#   turn          who won: "go" (the command may have been executed) or "void" (it never will be)
#   noexec        the command could not be executed             status of the attempt
#   out, err      what it wrote
#   killed        somebody asked for its end
#   rc            how it ended                                  "exit N", "signal N", "noexec N", and ms
# `turn` is created exclusively, by the process that is about to exec or by one that takes the claim
# away, and it is on disk before the exec: without it the command provably never ran.

dr_say() { printf '\036dr-job/1 %s %s\n' "$dr_key" "$*"; }
dr_fail() { dr_say "error $*"; exit 0; }

dr_boot() {
  dr_boot_id=
  if [ -r /proc/sys/kernel/random/boot_id ]; then
    read -r dr_boot_id </proc/sys/kernel/random/boot_id
  else
    dr_boot_id=$(sysctl -n kern.bootsessionuuid 2>/dev/null || sysctl -n kern.boottime 2>/dev/null ||
      who -b 2>/dev/null)
    dr_boot_id=$(printf %s "$dr_boot_id" | tr -cs '[:alnum:]' _)
  fi
  [ -n "$dr_boot_id" ] || dr_boot_id=unknown
}

# Process $1: its state, group and start time; fails if there is none.
dr_look() {
  dr_p_state= dr_p_group= dr_p_start=
  if [ -r /proc/self/stat ]; then
    { read -r dr_line; } 2>/dev/null <"/proc/$1/stat" || return 1
    # shellcheck disable=SC2086
    set -- ${dr_line##*") "}
    [ $# -ge 20 ] || return 1
    dr_p_state=$1 dr_p_group=$3
    shift 19
    dr_p_start=$1
  else
    # shellcheck disable=SC2046
    set -- $(ps -o state= -o pgid= -o lstart= -p "$1" 2>/dev/null)
    [ $# -ge 3 ] || return 1
    dr_p_state=$1 dr_p_group=$2
    shift 2
    dr_p_start=$(printf %s "$*" | tr -cs '[:alnum:]' _)
  fi
}

# Process id of this very (sub)shell.
dr_self() {
  if [ -r /proc/self/stat ]; then
    read -r dr_pid dr_line </proc/self/stat
  else
    dr_pid=$(exec /bin/sh -c 'echo "$PPID"')
  fi
}

# Whether the process that file $1 names is alive, and is still that process.
dr_alive() {
  dr_pid= dr_start= dr_group= dr_on=
  [ -f "$1" ] || return 1
  # Its line follows its name.
  [ -s "$1" ] || sleep .05 2>/dev/null || sleep 1
  { read -r dr_pid dr_start dr_group dr_on; } 2>/dev/null <"$1" || return 1
  [ "$dr_on" = "$dr_boot_id" ] || return 1
  dr_look "$dr_pid" || return 1
  [ "$dr_p_start" = "$dr_start" ] || return 1
  case $dr_p_state in Z* | X*) return 1 ;; esac
}

# Whether any process of group $1 is alive; the dead that nobody has collected do not count.
dr_group_alive() {
  if [ -r /proc/self/stat ]; then
    set +f
    for dr_each in /proc/[0-9]*/stat; do
      { read -r dr_line; } 2>/dev/null <"$dr_each" || continue
      dr_line=${dr_line##*") "}
      case $dr_line in Z* | X*) continue ;; esac
      dr_line=${dr_line#* }
      dr_line=${dr_line#* }
      [ "${dr_line%% *}" = "$1" ] && { set -f; return 0; }
    done
    set -f
    return 1
  fi
  kill -s 0 -- "-$1" 2>/dev/null
}

# Creates file $1 with content $2, only if it does not exist.
dr_create() {
  set -C
  if echo "$2" 2>/dev/null >"$1"; then
    set +C
    return 0
  fi
  set +C
  return 1
}

dr_sync() { sync "$@" 2>/dev/null || sync; }

# Milliseconds on a clock that only goes forward while the machine is up; coarse where /proc is not.
dr_clock() {
  if [ -r /proc/uptime ]; then
    read -r dr_now dr_line </proc/uptime
    dr_frac=${dr_now#*.}
    dr_now=$((${dr_now%.*} * 1000 + ${dr_frac#0} * 10))
  else
    dr_now=$(($(date +%s) * 1000))
  fi
}

dr_nap() { # $1: how often it was called before; adds to dr_slept
  if [ "$1" -lt 10 ]; then dr_s=.02 dr_ms=20; elif [ "$1" -lt 20 ]; then dr_s=.05 dr_ms=50; else dr_s=.2 dr_ms=200; fi
  sleep "$dr_s" 2>/dev/null || { sleep 1; dr_ms=1000; }
  dr_slept=$((dr_slept + dr_ms))
}

# The state of the job whose folder is the working directory, in dr_state.
dr_judge() {
  dr_state=
  if [ -f rc ]; then read -r dr_state <rc; return; fi
  if dr_alive owner || dr_alive proc; then dr_state=running; return; fi
  # It may have ended between the two looks.
  if [ -f rc ]; then read -r dr_state <rc; return; fi
  dr_turn=
  if [ -f turn ]; then
    read -r dr_turn <turn
    [ "$dr_turn" = void ] || dr_turn=go
  fi
  if [ "$dr_turn" != go ]; then dr_state=unstarted; return; fi
  dr_on=
  [ -f proc ] && read -r dr_pid dr_start dr_group dr_on <proc
  if [ "$dr_on" != "$dr_boot_id" ]; then dr_state=rebooted
  elif [ -f killed ]; then dr_state=killed
  else dr_state=vanished; fi
}

# Waits up to $1 ms for the end, then reports the state and output from offsets $2 and $3, at most $4
# bytes of each stream.
dr_report() {
  dr_slept=0 dr_n=0
  while [ ! -f rc ] && [ "$dr_slept" -lt "$1" ]; do
    dr_nap "$dr_n"
    dr_n=$((dr_n + 1))
    if [ $((dr_n % 10)) -eq 0 ] && ! dr_alive owner && ! dr_alive proc; then break; fi
  done
  dr_judge
  dr_o=0 dr_e=0
  [ -s out ] && dr_o=$(($(wc -c <out)))
  [ -s err ] && dr_e=$(($(wc -c <err)))
  dr_on_=$((dr_o - $2)) dr_en_=$((dr_e - $3))
  [ "$dr_on_" -gt 0 ] || dr_on_=0
  [ "$dr_en_" -gt 0 ] || dr_en_=0
  [ "$dr_on_" -le "$4" ] || dr_on_=$4
  [ "$dr_en_" -le "$4" ] || dr_en_=$4
  dr_say "out $dr_o $dr_on_ err $dr_e $dr_en_ state $dr_state"
  if [ "$dr_on_" -gt 0 ]; then tail -c "+$(($2 + 1))" out | head -c "$dr_on_"; fi
  if [ "$dr_en_" -gt 0 ]; then tail -c "+$(($3 + 1))" err | head -c "$dr_en_"; fi
}

# Takes the key and goes to its folder; fails if it is taken.
dr_claim() { mkdir -- "$dr_dir" 2>/dev/null && cd -- "$dr_dir"; }

# Takes the claim in the working directory away from one that never got to the exec.
dr_take_away() {
  dr_turn=void
  dr_create turn void || { dr_turn=go; read -r dr_turn <turn; }
  if [ "$dr_turn" = void ] && [ . -ef "$dr_dir" ]; then
    mv -- "$dr_dir" "$dr_jobs/.void.$dr_key.$$" && rm -rf -- "$dr_jobs/.void.$dr_key.$$"
  fi
}

# Starts the supervisor, which outlives this process. $1: checksum, $2: umask.
dr_start() {
  (dr_supervise "$1" "$2") </dev/null >/dev/null 2>note &
  if dr_look "$!"; then dr_create owner "$! $dr_p_start $dr_p_group $dr_boot_id"; fi
  return 0
}

# Runs the command to its end and records it. $1: checksum, $2: umask.
dr_supervise() {
  trap : HUP TERM
  dr_self
  dr_me=$dr_pid
  dr_look "$dr_me"
  if ! dr_create owner "$dr_me $dr_p_start $dr_p_group $dr_boot_id"; then
    # Written by the process that started this one, or by another that holds the claim.
    dr_n=0 dr_slept=0
    until read -r dr_pid dr_line <owner && [ -n "$dr_pid" ]; do
      [ "$dr_n" -lt 30 ] || exit 0
      dr_nap "$dr_n"
      dr_n=$((dr_n + 1))
    done
    [ "$dr_pid" = "$dr_me" ] || exit 0
  fi
  dr_clock
  dr_began=$dr_now
  if [ -n "$dr_feed" ]; then
    printf %b "$dr_feed" 2>/dev/null | (exec 3<&0; dr_command "$1" "$2")
  else
    dr_command "$1" "$2" 3</dev/null
  fi
  dr_code=$?
  dr_clock
  dr_turn=
  [ -f turn ] && read -r dr_turn <turn
  if [ -f noexec ]; then
    read -r dr_code <noexec
    dr_end="noexec $dr_code"
  elif [ "$dr_turn" != go ]; then
    # Stopped before its turn came, or told that it never will.
    exit 0
  elif [ "$dr_code" -gt 128 ] && [ "$dr_code" -le 192 ] && dr_by_signal; then
    dr_end="signal $((dr_code - 128))"
  else
    dr_end="exit $dr_code"
  fi
  dr_n=0
  until { echo "$dr_end $((dr_now - dr_began))" >rc.tmp; } 2>/dev/null &&
    dr_sync out err rc.tmp && mv -f rc.tmp rc 2>/dev/null; do
    dr_n=$((dr_n + 1))
    [ "$dr_n" -lt 60 ] || exit 1
    sleep 1
  done
  dr_sync .
}

# The shell notes deaths by signal, but for those that it takes for ordinary.
dr_by_signal() {
  [ -s note ] && return 0
  case $dr_code in 130 | 141 | 143) return 0 ;; esac
  return 1
}

# The command, in a session of its own where that can be had. Its stdin is descriptor 3.
dr_command() {
  printf %s "$dr_prog" 2>/dev/null | (
    exec >out 2>err
    set -- /bin/sh -c 'dr_text=$1; shift; eval "$dr_text"' dr-job "$dr_text" \
      child "$dr_key" '' "$dr_dir" "$1" "$2" "$dr_from"
    # A shell's background children ignore these two for ever, unless somebody puts that right.
    env --default-signal=INT,QUIT true 2>/dev/null && set -- env --default-signal=INT,QUIT "$@"
    if command -v setsid >/dev/null; then
      exec setsid "$@"
    elif command -v perl >/dev/null; then
      exec perl -e 'use POSIX (); POSIX::setsid(); exec { $ARGV[0] } @ARGV' "$@"
    fi
    exec "$@"
  )
}

# Called, also by a trap, when the command could not be executed. $1: why.
dr_unstarted() {
  trap - EXIT
  if [ -n "$dr_dir" ]; then echo "$1" >"$dr_dir/noexec"; else dr_say "noexec $1" >&2; fi
}

# Becomes what $dr_prog says, or reports that it could not.
dr_become() {
  # Without it bash leaves at once when an exec fails; other shells do not know it.
  shopt -s execfail 2>/dev/null
  trap 'dr_unstarted "$?"' EXIT
  eval "$dr_prog"
}

# Asks group $1 to end, waits up to $2 ms, then ends it. Sets dr_ended to yes or no.
dr_end_group() {
  dr_ended=no
  kill -s TERM -- "-$1" 2>/dev/null
  dr_slept=0 dr_n=0
  while dr_group_alive "$1" && [ "$dr_slept" -lt "$2" ]; do dr_nap "$dr_n"; dr_n=$((dr_n + 1)); done
  if dr_group_alive "$1"; then
    kill -s KILL -- "-$1" 2>/dev/null
    dr_slept=0 dr_n=0
    while dr_group_alive "$1" && [ "$dr_slept" -lt 500 ]; do dr_nap "$dr_n"; dr_n=$((dr_n + 1)); done
  fi
  dr_group_alive "$1" || dr_ended=yes
}

# The group that "pid start group boot" ($1 $2 $3 $4) names, if it can still be that one.
dr_group_of() {
  [ -n "$3" ] && [ "$4" = "$dr_boot_id" ] || return 1
  if dr_look "$1" && [ "$dr_p_start" != "$2" ]; then return 1; fi
  dr_target=$3
}

dr_op=$1 dr_key=$2 dr_jobs=$(printf '%b.' "$3")
dr_jobs=${dr_jobs%.}
shift 3
unset IFS
set -f
dr_umask=$(umask)
dr_from=${PWD:-/}
umask 077
dr_boot

case $dr_op in
launch | poll | kill | remove)
  case $dr_jobs in
  '')
    case ${XDG_STATE_HOME-} in
    /*) dr_jobs=$XDG_STATE_HOME/dr/jobs ;;
    *)
      [ -n "${HOME-}" ] || dr_fail no_home
      dr_jobs=$HOME/.local/state/dr/jobs
      ;;
    esac
    ;;
  '~/'*)
    [ -n "${HOME-}" ] || dr_fail no_home
    dr_jobs=$HOME/${dr_jobs#'~/'}
    ;;
  esac
  dr_dir=$dr_jobs/$dr_key
  ;;
*) dr_dir= ;;
esac

case $dr_op in
launch) # CHECKSUM WAIT OUT ERR LIMIT; on stdin: dr_prog=… and dr_feed=…, ended by #CHECKSUM
  dr_payload=$(cat)
  case $dr_payload in *"#$1") ;; *) dr_fail truncated ;; esac
  eval "$dr_payload"
  unset dr_payload
  if [ ! -d "$dr_jobs" ]; then
    mkdir -p -- "$dr_jobs" 2>/dev/null || dr_fail job_dir
    dr_sync "$dr_jobs/.." "$dr_jobs/../.."
  fi
  [ -O "$dr_jobs" ] && chmod 700 "$dr_jobs" 2>/dev/null && [ -w "$dr_jobs" ] || dr_fail job_dir
  dr_n=0 dr_slept=0
  until dr_claim && dr_start "$1" "$dr_umask"; do
    [ "$dr_n" -lt 30 ] || dr_fail job_dir
    dr_n=$((dr_n + 1))
    if cd -- "$dr_dir" 2>/dev/null; then
      dr_judge
      [ "$dr_state" = unstarted ] || break
      # Whoever has just claimed it is about to say so.
      if [ -f owner ] || [ "$dr_slept" -ge 300 ]; then dr_take_away; fi
    fi
    dr_nap "$dr_n"
  done
  dr_report "$2" "$3" "$4" "$5"
  ;;
poll) # WAIT OUT ERR LIMIT
  if cd -- "$dr_dir" 2>/dev/null; then dr_report "$@"; else dr_say out 0 0 err 0 0 state absent; fi
  ;;
kill) # GRACE
  cd -- "$dr_dir" 2>/dev/null || { dr_say ended yes state absent; exit 0; }
  : >killed
  dr_ended=yes
  if ! dr_create turn void && [ -f proc ] && read -r dr_pid dr_start dr_group dr_on <proc &&
    dr_group_of "$dr_pid" "$dr_start" "$dr_group" "$dr_on"; then
    dr_end_group "$dr_target" "$1"
    dr_slept=0 dr_n=0
    while [ ! -f rc ] && dr_alive owner && [ "$dr_slept" -lt 500 ]; do
      dr_nap "$dr_n"
      dr_n=$((dr_n + 1))
    done
  fi
  dr_judge
  dr_say "ended $dr_ended state $dr_state"
  ;;
remove)
  cd -- "$dr_dir" 2>/dev/null || { dr_say gone; exit 0; }
  dr_judge
  [ "$dr_state" != running ] || { dr_say kept; exit 0; }
  cd /
  mv -- "$dr_dir" "$dr_jobs/.gone.$dr_key.$$" && rm -rf -- "$dr_jobs/.gone.$dr_key.$$" && dr_say gone
  ;;
child) # FOLDER CHECKSUM UMASK FROM; on stdin: dr_prog; stdin of the command on descriptor 3
  dr_dir=$1
  dr_prog=$(cat)
  case $dr_prog in *"#$2") ;; *) exit 0 ;; esac
  dr_look "$$"
  echo "$$ $dr_p_start $dr_p_group $dr_boot_id" >proc
  dr_create turn go || exit 0
  dr_sync turn . ..
  umask "$3"
  { cd -- "$4" || cd || cd /; } 2>/dev/null
  exec 0<&3 3<&-
  dr_become
  ;;
direct) # CHECKSUM; on stdin: dr_prog line by line up to #CHECKSUM, then the stdin of the command
  dr_prog=
  while :; do
    IFS= read -r dr_line || exit 0
    [ "$dr_line" != "#$1" ] || break
    dr_prog="$dr_prog$dr_line
"
  done
  dr_look "$$"
  dr_say "begin $$ $dr_p_start $dr_p_group $dr_boot_id"
  dr_say begin >&2
  (umask "$dr_umask"; dr_become)
  dr_say "end $?" >&2
  ;;
end) # PID START GROUP BOOT GRACE
  dr_ended=yes
  dr_group_of "$1" "$2" "$3" "$4" && dr_end_group "$dr_target" "$5"
  dr_say "ended $dr_ended"
  ;;
esac
