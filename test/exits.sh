#!/bin/sh
# exits.sh CODE COMMAND..: runs the command; succeeds if it exits with CODE.
expected=$1
shift
"$@"
found=$?
[ "$found" -eq "$expected" ] && exit 0
echo "exits.sh: expected exit code $expected, found $found" >&2
exit 1
