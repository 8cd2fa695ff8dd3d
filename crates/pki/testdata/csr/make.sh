#!/bin/sh
# Makes the requests in this folder anew, each named by its attack. Needs the openssl program.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
urn=urn:muster:harbour:devices:pump-7

ec() { openssl ecparam -name "$1" -genkey -noout -out "$work/$1.key"; }
ask() { # file, key, digest, further arguments
    out=$1 key=$2 digest=$3
    shift 3
    openssl req -new -config /dev/null -key "$work/$key.key" "-$digest" -out "$out.pem" "$@"
}

ec prime256v1; ec secp384r1; ec secp521r1; ec secp256k1
openssl genpkey -algorithm ed25519 -out "$work/ed25519.key"
openssl genrsa -out "$work/rsa1024.key" 1024 2>/dev/null
openssl genrsa -out "$work/rsa2048.key" 2048 2>/dev/null
openssl ec -in "$work/prime256v1.key" -conv_form compressed -out "$work/compressed.key" 2>/dev/null
openssl ecparam -name prime256v1 -param_enc explicit -genkey -noout -out "$work/explicit.key"

ask good-p256 prime256v1 sha256 -subj /CN=pump-7
ask good-p384 secp384r1 sha384 -subj /CN=pump-7 -addext "subjectAltName=URI:$urn"
ask good-ed25519 ed25519 sha256 -subj /
ask asks-to-be-an-authority prime256v1 sha256 -subj /CN=pump-7 -addext basicConstraints=critical,CA:TRUE
ask asks-to-sign-certificates prime256v1 sha256 -subj /CN=pump-7 -addext keyUsage=keyCertSign
ask asks-to-sign-revocation-lists prime256v1 sha256 -subj /CN=pump-7 -addext keyUsage=digitalSignature,cRLSign
ask rsa-1024 rsa1024 sha256 -subj /CN=pump-7
ask rsa-2048 rsa2048 sha256 -subj /CN=pump-7
ask secp256k1 secp256k1 sha256 -subj /CN=pump-7
ask p521 secp521r1 sha512 -subj /CN=pump-7
ask compressed-point compressed sha256 -subj /CN=pump-7
ask explicit-curve explicit sha256 -subj /CN=pump-7
ask p256-with-sha384 prime256v1 sha384 -subj /CN=pump-7
ask p384-with-sha256 secp384r1 sha256 -subj /CN=pump-7
ask other-common-name prime256v1 sha256 -subj /CN=pump-8
ask two-common-names prime256v1 sha256 -subj /CN=pump-7/CN=pump-7
ask extra-dns-name prime256v1 sha256 -subj /CN=pump-7 -addext "subjectAltName=URI:$urn,DNS:broker.local"
ask other-partys-name prime256v1 sha256 -subj /CN=pump-7 -addext "subjectAltName=URI:urn:muster:harbour:operators:pump-7"
