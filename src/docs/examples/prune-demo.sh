#!/usr/bin/env bash
# The README's walk, whole: orders a job on the bundled model, waits, prints the figures, fetches every file and checks the sums.
# Needs bash, curl, grep, sed and sha256sum. The service is asked at $ESPALIER_URL; the files go into $1, or pruned-demo in the current directory.
set -euo pipefail

service=${ESPALIER_URL:-http://127.0.0.1:8080}
target=${1:-pruned-demo}

# The answer to a request; a refusal is printed with its reasons and ends the walk.
ask() {
  local answer status
  answer=$(curl -sS -w '\n%{http_code}' "$@")
  status=${answer##*$'\n'}
  answer=${answer%$'\n'*}
  if [ "$status" -ge 400 ]; then
    echo "$status: $answer" >&2
    return 1
  fi
  printf '%s' "$answer"
}

# The first value of a key in JSON on standard input; empty when there is none. Enough for words and numbers.
value() {
  grep -o "\"$1\":[^,}]*" | head -n 1 | sed -e 's/^[^:]*://' -e 's/^"//' -e 's/"$//'
}

# The flat object that stands under a key.
object() {
  grep -o "\"$1\":{[^{}]*}" | head -n 1
}

echo "1. Order a quarter of the routed atoms away"
job=$(ask "$service/v1/pruning-jobs" -H 'Content-Type: application/json' -d '{
  "model": "tiny-qwen2moe",
  "method": "heapr",
  "calibration": {"corpus": "kjv-train", "sequences": 32, "sequence_length": 256},
  "budget": {"ratio": 0.25},
  "evaluation": {"corpus": "kjv-test", "windows": 16, "random_control": true}
}' | value id)
echo "   $job"

echo "2. Wait for it"
while true; do
  state=$(ask "$service/v1/pruning-jobs/$job")
  echo "   $(value state <<<"$state") $(value percent <<<"$state") %"
  [ "$(value terminal <<<"$state")" = true ] && break
  sleep 1
done
if [ "$(value state <<<"$state")" != succeeded ]; then
  object error <<<"$state" >&2
  exit 1
fi

echo "3. What it cost"
for side in before after; do
  size=$(grep -o "\"$side\":{[^{}]*}" <<<"$state" | head -n 1)
  echo "   $side: $(value total_parameters <<<"$size") parameters, $(value bytes <<<"$size") bytes"
done
perplexity=$(object perplexity <<<"$state")
echo "   perplexity: $(value before <<<"$perplexity") before, $(value after <<<"$perplexity") after," \
  "$(value random_control <<<"$perplexity") with as many atoms drawn at random"

echo "4. What happened"
ask "$service/v1/pruning-jobs/$job/events" | grep -o '"message":"[^"]*"' | sed -e 's/^"message":"/   /' -e 's/"$//'

echo "5. Fetch the pruned model into $target"
mkdir -p "$target"
artifact=$(object artifact <<<"$state" | value id | sed 's/^{"id":"//')
listing=$(ask "$service/v1/artifacts/$artifact")
for name in $(grep -o '"name":"[^"]*"' <<<"$listing" | cut -d '"' -f 4); do
  curl -sSfL -o "$target/$name" "$service/v1/artifacts/$artifact/files/$name"
done
(cd "$target" && sha256sum -c SHA256SUMS) | sed 's/^/   /'
echo "   digest $(value digest <<<"$listing")"

echo "6. Fetch the scores"
curl -sSf -o "$target.scores.safetensors" -H 'Accept: application/vnd.safetensors' "$service/v1/pruning-jobs/$job/scores"
echo "   $(wc -c <"$target.scores.safetensors") bytes in $target.scores.safetensors"
