#!/usr/bin/env bash
# What a model says before and after: both continue the same beginnings, and the answer has them side by side.
set -euo pipefail
. "$(dirname "$0")/ask.sh"

order='{
  "model": "tiny-qwen2moe", "method": "magnitude", "budget": {"ratio": 0.5},
  "evaluation": {"corpus": "kjv-test", "windows": 4, "sequence_length": 64, "random_control": false,
    "continuations": {"prompts": 2, "prompt_tokens": 16, "tokens": 16}}
}'
echo "it would read: $(ask "$service/v1/pruning-jobs?dry_run=true" -H "$json" -d "$order" | value read_bytes) bytes"
job=$(ask "$service/v1/pruning-jobs" -H "$json" -d "$order" | id job)
ended "$job"
ask "$service/v1/pruning-jobs/$job" | grep -oE '"(prompt|reference|before|after)":\{"text":"([^"\\]|\\.)*"|"agreeing_share":[0-9.]*'
