#!/bin/sh
# The whole walk with nothing but curl: make a topic, produce, subscribe, poll, commit, seek, close.
#
#   sh examples/curl_walk.sh [http://localhost:8080]
#
# It prints each request and its answer, and stops at the first that fails. What it made is gone in the end.
# TAKHIN_API_KEY is sent along if it is set.
set -eu

server=${1:-http://localhost:8080}
topic="walk-$(date +%s)-$$"
answer=""

# Asks, and keeps the answer: ask METHOD PATH [BODY]
ask() {
    printf '\n%s %s %s\n' "$1" "$2" "${3-}"
    set -- "$server$2" --request "$1" ${3+--data "$3"}
    if [ -n "${TAKHIN_API_KEY-}" ]; then
        set -- "$@" --header "Authorization: Bearer $TAKHIN_API_KEY"
    fi
    answer=$(curl --silent --show-error --fail-with-body "$@") || { printf '%s\n' "$answer" >&2; exit 1; }
    printf '%s\n' "$answer"
}

# Stops if the last answer has no such text.
expect() {
    case $answer in
        *"$1"*) ;;
        *) printf 'expected %s\n' "$1" >&2; exit 1 ;;
    esac
}

ask POST /api/topics "{\"name\": \"$topic\", \"partitions\": 1}"
ask POST "/api/topics/$topic/produce" '{"records": [
    {"key": "order-1", "value": {"amount": 9.5}, "headers": {"trace": "abc"}},
    {"key": "order-2", "value": "any text"},
    {"key": "order-1", "value": null}]}'

# A consumer is a URL. The server says which, unless the request names a consumer_id of one's own.
ask POST /api/consumers/subscribe "{\"group_id\": \"$topic\", \"topics\": [\"$topic\"], \"auto_offset_reset\": \"earliest\", \"auto_commit\": false}"
consumer=/api/consumers/$(printf '%s' "$answer" | sed 's/.*"consumer_id":"\([^"]*\)".*/\1/')

# A poll waits until there is something, at most timeout_ms.
ask POST "$consumer/consume" '{"max_records": 2, "timeout_ms": 30000}'
expect '"key":"order-2"'
batch=$(printf '%s' "$answer" | sed 's/.*"batch_id":\([0-9]*\).*/\1/')

# Did the answer get lost? Name the last batch that arrived (0 for none), and the missing one comes again.
ask POST "$consumer/consume" '{"after_batch": 0, "max_records": 2}'
expect '"key":"order-2"'
expect "\"batch_id\":$batch"

# What was delivered is committed; or name offsets, each the next one to read.
ask POST "$consumer/commit"
expect "\"committed\":{\"$topic\":{\"0\":2}}"
ask POST "$consumer/commit" "{\"offsets\": {\"$topic\": {\"0\": 1}}}"

ask POST "$consumer/seek" "{\"topic\": \"$topic\", \"partition\": 0, \"offset\": 2}"
ask GET "$consumer/position"
expect "{\"$topic\":{\"0\":2}}"
ask POST "$consumer/consume" '{"timeout_ms": 0}'
expect '"value":null'

# Nothing is there any more: an empty answer, at once or when the time is over.
ask POST "$consumer/consume" '{"timeout_ms": 100}'
expect '"records":[]'

ask DELETE "$consumer"
ask GET "/api/consumer-groups/$topic"
expect '"committed":1'
ask DELETE "/api/consumer-groups/$topic"
ask DELETE "/api/topics/$topic"
printf '\nthe walk is done\n'
