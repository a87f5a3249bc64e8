#!/bin/sh
# Starts btblocker from the directory it was unpacked into.
here=@DIRECTORY@
# No cache of compiled code: what runs is what was unpacked.
export DENO_DIR=/dev/null DENO_NO_UPDATE_CHECK=1
exec "$here/deno" run @FLAGS@ "$here/main.js" "$@"
