#!/usr/bin/env bash
# Following a job: as a stream of server-sent events, which goes on where it broke off, and by requests that wait.
set -euo pipefail
. "$(dirname "$0")/ask.sh"

job=$(ask "$service/v1/pruning-jobs" -H "$json" -d '{
  "model": "tiny-qwen2moe", "budget": {"ratio": 0.3},
  "calibration": {"corpus": "kjv-train", "sequences": 16, "sequence_length": 256}
}' | id job)

echo "1. As a stream, which ends with the job:"
curl -sSN -H 'Accept: text/event-stream' "$service/v1/pruning-jobs/$job/events" | grep -E '^(id|event)' | paste -sd ' '

echo "2. The stream from event 2 on, as after a lost connection:"
curl -sSN -H 'Accept: text/event-stream' -H 'Last-Event-ID: 2' "$service/v1/pruning-jobs/$job/events" | grep '^id' | head -n 1

echo "3. By requests that wait; after the end they are answered at once:"
ask "$service/v1/pruning-jobs/$job?wait=30s" | value state

echo "4. Its history as JSON, page by page:"
after=0
while true; do
  page=$(ask "$service/v1/pruning-jobs/$job/events?limit=5&after=$after")
  grep -q '"items":\[\]' <<<"$page" && break
  grep -o '"message":"[^"]*"' <<<"$page" | cut -d '"' -f 4
  after=$(value next_after <<<"$page")
done
