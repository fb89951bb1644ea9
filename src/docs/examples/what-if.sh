#!/usr/bin/env bash
# Scores once, questions at will: what would an order do, and then that order, which is not calibrated again.
set -euo pipefail
. "$(dirname "$0")/ask.sh"

job=$(ask "$service/v1/pruning-jobs" -H "$json" -d '{
  "model": "tiny-qwen2moe", "budget": {"ratio": 0.3},
  "calibration": {"corpus": "kjv-train", "sequences": 16, "sequence_length": 256}
}' | id job)
ended "$job"
scores=$(ask "$service/v1/pruning-jobs/$job" | id scr)
echo "scores: $scores"

for ratio in 0.2 0.4 0.6; do
  plan=$(ask "$service/v1/score-sets/$scores/plans" -H "$json" -d "{\"budget\": {\"ratio\": $ratio}, \"layout\": \"uniform\", \"alignment\": 8}")
  echo "ratio $ratio: predicted change of the loss $(value predicted_loss_change <<<"$plan")"
done

echo "the last plan, ordered:"
order=$(sed -E 's/.*"recipe":(.*),"before":.*/\1/' <<<"$plan")
planned=$(ask "$service/v1/pruning-jobs" -H "$json" -d "$order" | id job)
ended "$planned"
ask "$service/v1/pruning-jobs/$planned" | grep -oE '"state":"[a-z]*"|"reused":(true|false)'
