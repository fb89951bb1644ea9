#!/usr/bin/env bash
# An order that may be sent again: the network may lose an answer, and the job is still one.
set -euo pipefail
. "$(dirname "$0")/ask.sh"

key="example-$$-$RANDOM"
order='{"model": "tiny-qwen2moe", "method": "magnitude", "budget": {"ratio": 0.25}}'

first=$(ask "$service/v1/pruning-jobs" -H "$json" -H "Idempotency-Key: $key" -d "$order" | id job)
again=$(ask "$service/v1/pruning-jobs" -H "$json" -H "Idempotency-Key: $key" -d "$order" | id job)
echo "sent twice: $first and $again"
[ "$first" = "$again" ]

echo "the second answer says that it is one:"
curl -sS -o /dev/null -D - "$service/v1/pruning-jobs" -H "$json" -H "Idempotency-Key: $key" -d "$order" | grep -i '^Idempotency-Replayed'

echo "another order with the same key is refused:"
curl -sS "$service/v1/pruning-jobs" -H "$json" -H "Idempotency-Key: $key" -d "${order/0.25/0.5}" | value code
