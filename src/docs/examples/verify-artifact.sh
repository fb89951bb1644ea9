#!/usr/bin/env bash
# Checks a fetched artifact against its signature: the key's owner signed the list in model.sig, every file is as listed, and there is no other file.
# Needs bash, openssl, base64, grep, sed, find and sha256sum. Call: verify-artifact.sh PUBLIC-KEY.pem DIRECTORY
# The same with OpenSSF's own tool: model_signing verify key --signature DIRECTORY/model.sig --public_key PUBLIC-KEY.pem DIRECTORY
set -euo pipefail

key=$1
directory=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The value of a word in JSON without spaces, as the service writes it.
value() {
  grep -o "\"$1\":\"[^\"]*\"" "$directory/model.sig" | head -n 1 | cut -d '"' -f 4
}

# What is signed is the payload with its type and both lengths before it (DSSE).
value payload | base64 -d >"$work/payload"
value sig | base64 -d >"$work/signature"
type=$(value payloadType)
{
  printf 'DSSEv1 %d %s %d ' "${#type}" "$type" "$(wc -c <"$work/payload")"
  cat "$work/payload"
} >"$work/signed"
openssl dgst -sha256 -verify "$key" -signature "$work/signature" "$work/signed" >"$work/said" 2>&1 || {
  echo "Not signed by the owner of $key" >&2
  exit 1
}
grep -q '"predicateType":"https://model_signing/signature/v1.0"' "$work/payload" || {
  echo "model.sig is no signature of a model" >&2
  exit 1
}

grep -o '{"name":"[^"]*","algorithm":"sha256","digest":"[0-9a-f]*"}' "$work/payload" |
  sed -E 's/.*"name":"([^"]*)".*"digest":"([0-9a-f]*)".*/\2  \1/' >"$work/sums"
(cd "$directory" && sha256sum -c "$work/sums")
(cd "$directory" && find . -type f ! -path ./model.sig | sed 's|^\./||' | LC_ALL=C sort) >"$work/found"
cut -c 67- "$work/sums" | LC_ALL=C sort >"$work/listed"
if ! cmp -s "$work/found" "$work/listed"; then
  echo "Not in the signature: $(LC_ALL=C comm -23 "$work/found" "$work/listed" | tr '\n' ' ')" >&2
  exit 1
fi
echo "Signed and whole: $(wc -l <"$work/sums") files"
