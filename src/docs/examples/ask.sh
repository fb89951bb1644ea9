# Read by the other examples: how they ask the service, and how they read its answers without a JSON tool.

service=${ESPALIER_URL:-http://127.0.0.1:8080}
json='Content-Type: application/json'

# The answer to a request; a refusal is printed with its reasons and ends the script.
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

# The first value of a key in JSON on standard input. Enough for words and numbers.
value() {
  grep -o "\"$1\":[^,}]*" | head -n 1 | sed -e 's/^[^:]*://' -e 's/^"//' -e 's/"$//'
}

# The first id of a kind: job, art, scr, whk.
id() {
  grep -o "${1}_[0-9a-z]*" | head -n 1
}

# Waits until a job has ended, by requests that the service answers when its state changes.
ended() {
  until ask "$service/v1/pruning-jobs/$1?wait=30s" | grep '"terminal":true' >/dev/null; do :; done
}
