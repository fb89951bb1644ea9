#!/usr/bin/env bash
# Being told: a webhook for the receiver at $HOOK_URL, a test message, and how its signature is checked.
# An address in your own network has to be allowed: espalier.egress.allow, espalier.egress.http.
set -euo pipefail
. "$(dirname "$0")/ask.sh"

# What a receiver compares with the header webhook-signature: arguments are the secret, webhook-id, webhook-timestamp and the body.
signature() {
  local key
  key=$(printf '%s' "${1#whsec_}" | base64 -d | od -An -v -tx1 | tr -d ' \n')
  printf '%s.%s.%s' "$2" "$3" "$4" | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | base64 | sed 's/^/v1,/'
}

made=$(ask "$service/v1/webhooks" -H "$json" -d "{\"url\": \"${HOOK_URL:?the receiver address}\", \"project\": \"hooks\", \"events\": [\"job.succeeded\"]}")
hook=$(id whk <<<"$made")
secret=$(value secret <<<"$made")
echo "$hook, with a secret of ${#secret} characters, told once"

ask "$service/v1/webhooks/$hook/test" -X POST >/dev/null
until ask "$service/v1/webhooks/$hook/deliveries" | grep -E '"state":"(delivered|failed)"' >/dev/null; do sleep 0.5; done
echo "the test message: $(ask "$service/v1/webhooks/$hook/deliveries" | value state)"

if command -v openssl >/dev/null; then
  echo "the example of the specification: $(signature whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw msg_p5jXN8AQM9LWM0D4loKWxJek 1614265330 '{"test": 2432232314}')"
fi
curl -sS -X DELETE -o /dev/null -w 'deleted: %{http_code}\n' "$service/v1/webhooks/$hook"
