#!/usr/bin/env bash
# Errors: a status, a code that stays, and in words what was given and what is expected.
set -euo pipefail
. "$(dirname "$0")/ask.sh"

refused() {
  curl -sS "$@" | grep -oE '"(status|code)":[^,}]*' | paste -sd ' '
}

echo "everything that is wrong with an order, at once:"
curl -sS "$service/v1/pruning-jobs" -H "$json" -d '{"model": "tiny-qwen2moe", "budgt": {"ratio": 0.25}, "alignment": 7}' | grep -o '"field":"[a-z_.]*"'

refused "$service/v1/pruning-jobs" -H "$json" -d '{"model": '
refused "$service/v1/pruning-jobs" -H 'Content-Type: text/plain' -d 'please'
refused "$service/v1/pruning-jobs/job_01arz3ndektsv4rrffq69g5fav"
refused "$service/v1/pruning-jobs?limit=a"
refused -X PUT "$service/v1/pruning-jobs"

job=$(ask "$service/v1/pruning-jobs" -H "$json" -d '{"model": "tiny-qwen2moe", "method": "magnitude", "budget": {"ratio": 0.1}}' | id job)
ended "$job"
echo "a job that has ended is not cancelled:"
refused -X POST "$service/v1/pruning-jobs/$job/cancel"
echo "it is deleted, once:"
curl -sS -X DELETE -o /dev/null -w '%{http_code}\n' "$service/v1/pruning-jobs/$job"
curl -sS -X DELETE -o /dev/null -w '%{http_code}\n' "$service/v1/pruning-jobs/$job"
