#!/bin/sh
# Runs workerd for Miniflare so that it cannot outlive the process that wanted it.
#
# Nothing tells workerd that its parent was killed: it would go on, holding the port and the members'
# files. But file descriptor 3 is a socket whose other end only the parent holds, and which it never
# writes to: reading from it ends when the parent does, whatever ended it.
#
# The process number stays the same through `exec`, for Miniflare, which signals it, and for the file,
# which the next start reads.

# The variable that leads Miniflare here is the process's: other Miniflares in it come by, who take care of themselves.
if [ -z "${EDGEKEEPER_LOCAL_PID_FILE:-}" ]; then
  exec "$EDGEKEEPER_LOCAL_WORKERD" "$@"
fi

echo $$ >"$EDGEKEEPER_LOCAL_PID_FILE"

(
  # Not ours to react to: a Ctrl-C reaches the whole group, and the parent takes its time to stop.
  trap '' HUP INT TERM
  exec </dev/null >/dev/null 2>&1
  read -r _ <&3
  # After a crash of workerd alone its number may be another's by now.
  if [ -r "/proc/$$/comm" ]; then
    read -r name <"/proc/$$/comm"
  else
    name=$(ps -o comm= -p $$)
  fi
  case $name in
    *workerd*) kill -9 $$ ;;
  esac
) &

exec "$EDGEKEEPER_LOCAL_WORKERD" "$@"
