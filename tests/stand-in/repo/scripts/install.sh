#!/usr/bin/env bash
# Installer of the chatalot stand-in: the contract of the deployment runbook, without chatalot.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tests/stand-in/repo/scripts/lib.sh
. scripts/lib.sh
# shellcheck source=tests/stand-in/repo/scripts/knobs.sh
. scripts/knobs.sh

usage() {
    cat <<'TEXT'
Usage: scripts/install.sh [flags]
  --non-interactive              never prompt; every required value must be a flag
  --domain NAME                  public domain (required)
  --admin-username NAME          pre-seeded admin (required)
  --registration MODE            open | invite_only | closed (default invite_only)
  --enable-turn                  voice and video; needs --turn-external-ip
  --turn-external-ip IP          the host's public IPv4
  --enable-updater               managed, signed updates
  --registry-user USER           private registry; needs --registry-token
  --registry-token TOKEN
  --oidc-issuer URL              single sign-on; needs the client id and secret
  --oidc-client-id ID
  --oidc-client-secret SECRET
  --oidc-disable-password-login  single sign-on only
  --expose MODE                  none | named-tunnel | quick-tunnel
  --cloudflare-token TOKEN       needed by --expose named-tunnel
  --overwrite-env                replace an existing .env
  --use-prebuilt                 pull images instead of building them
  --help                         this text
TEXT
}

domain="" admin="" registration=invite_only turn=0 turn_ip="" updater=0 interactive=1 prebuilt=0 overwrite=0
registry_user="" registry_token="" oidc_issuer="" oidc_id="" oidc_secret="" oidc_only=0 expose=none tunnel_token=""

parse() {
    while [ $# -gt 0 ]; do
        case "$1" in
            --domain | --admin-username | --registration | --turn-external-ip | --registry-user | --registry-token | \
                --oidc-issuer | --oidc-client-id | --oidc-client-secret | --expose | --cloudflare-token)
                [ $# -ge 2 ] || refuse "$1 needs a value"
                value "$1" "$2"
                shift 2
                ;;
            --help | -h) usage; exit 0 ;;
            *) switch "$1"; shift ;;
        esac
    done
}

value() {
    case "$1" in
        --domain) domain=$2 ;;
        --admin-username) admin=$2 ;;
        --registration) registration=$2 ;;
        --turn-external-ip) turn_ip=$2 ;;
        --registry-user) registry_user=$2 ;;
        --registry-token) registry_token=$2 ;;
        --oidc-issuer) oidc_issuer=$2 ;;
        --oidc-client-id) oidc_id=$2 ;;
        --oidc-client-secret) oidc_secret=$2 ;;
        --expose) expose=$2 ;;
        --cloudflare-token) tunnel_token=$2 ;;
    esac
}

switch() {
    case "$1" in
        --non-interactive) interactive=0 ;;
        --enable-turn) turn=1 ;;
        --enable-updater) updater=1 ;;
        --oidc-disable-password-login) oidc_only=1 ;;
        --overwrite-env) overwrite=1 ;;
        --use-prebuilt) prebuilt=1 ;;
        *) refuse "unknown flag: $1" ;;
    esac
}

judge() {
    if [ "$interactive" = 1 ]; then
        [ -n "$domain" ] || { printf 'Domain: '; read -r domain; }
        [ -n "$admin" ] || { printf 'Admin username: '; read -r admin; }
    fi
    local missing=""
    [ -n "$domain" ] || missing="$missing --domain"
    [ -n "$admin" ] || missing="$missing --admin-username"
    [ -z "$missing" ] || refuse "missing more flags:$missing"
    case "$registration" in open | invite_only | closed) ;; *) refuse "--registration must be open, invite_only or closed" ;; esac
    case "$expose" in none | named-tunnel | quick-tunnel) ;; *) refuse "--expose must be none, named-tunnel or quick-tunnel" ;; esac
    together "--enable-turn --turn-external-ip" "$([ $turn = 1 ] && echo 1)" "$turn_ip"
    together "--registry-user --registry-token" "$registry_user" "$registry_token"
    together "--oidc-issuer --oidc-client-id --oidc-client-secret" "$oidc_issuer" "$oidc_id" "$oidc_secret"
    [ "$oidc_only" = 0 ] || [ -n "$oidc_issuer" ] || refuse "--oidc-disable-password-login needs the --oidc flags"
    [ "$expose" != named-tunnel ] || [ -n "$tunnel_token" ] || refuse "--expose named-tunnel needs --cloudflare-token"
}

parse "$@"
judge
step "Checking prerequisites"
docker info >/dev/null 2>&1 || fail "Docker daemon is not running"
docker compose version >/dev/null 2>&1 || fail "docker compose v2 is not installed"
command -v openssl >/dev/null || fail "openssl is not installed"
knobs_before
profiles=""
[ $turn = 0 ] || profiles="$profiles turn"
[ $updater = 0 ] || profiles="$profiles updater"
[ "$expose" != named-tunnel ] || profiles="$profiles production"
[ "$expose" != quick-tunnel ] || profiles="$profiles quick-tunnel"
profiles=${profiles# }
step "Writing secrets"
write_secrets
step "Writing .env"
write_env
if [ -n "$registry_user" ]; then
    step "Logging in to the registry"
    printf '%s' "$registry_token" | docker login --username "$registry_user" --password-stdin "$registry" 2>&1 \
        || fail "registry login failed"
fi
[ $prebuilt = 1 ] || step "The stand-in has no sources to build: using prebuilt images"
step "Pulling images"
docker compose pull --quiet || fail "pulling images failed"
step "Starting containers"
docker compose up -d || fail "docker compose up failed"
knobs_after
final_block
