# shellcheck shell=bash disable=SC2154 # the variables are install.sh's
# What the installer writes and says.

step() { printf '==> %s\n' "$*"; }
refuse() { printf 'error: %s\n' "$*" >&2; exit 2; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

# together "--a --b" "$a" "$b": all or none.
together() {
    local names=$1 given=0 wanted=0
    shift
    for each in "$@"; do
        wanted=$((wanted + 1))
        [ -z "$each" ] || given=$((given + 1))
    done
    [ $given = 0 ] || [ $given = $wanted ] || refuse "required together: $names"
}

secret() { # file command…: never over an existing one
    local file="secrets/$1"
    shift
    if [ -s "$file" ]; then echo "    keeping $file"; return; fi
    (umask 077 && "$@" >"$file.new" 2>/dev/null) || fail "cannot write $file"
    mv "$file.new" "$file"
    echo "    wrote $file"
}

write_secrets() {
    mkdir -p secrets
    secret jwt_private.pem openssl genpkey -algorithm ed25519
    secret jwt_public.pem openssl pkey -in secrets/jwt_private.pem -pubout
    secret totp_key openssl rand -hex 32
    secret turn_secret openssl rand -hex 32
    secret updater_token openssl rand -hex 32
    secret cosign.pub openssl pkey -in secrets/jwt_private.pem -pubout
    registry=registry.example.net
    if [ -n "$registry_user" ]; then
        registry=private-registry.example.net
        secret registry_creds printf '{"username":"%s","password":"%s","serveraddress":"%s"}\n' \
            "$registry_user" "$registry_token" "$registry"
    fi
    # The server runs as uid 999 inside its container.
    if [ "$(id -u)" = 0 ]; then chown 999:999 secrets/*; fi
}

write_env() {
    if [ -e .env ] && [ "$overwrite" = 0 ]; then
        echo "    keeping the existing .env (--overwrite-env replaces it)"
        return
    fi
    local password=""
    [ ! -e .env ] || knob installer_regenerates_db_password >/dev/null || password=$(sed -n 's/^DB_PASSWORD=//p' .env)
    [ -n "$password" ] || password=$(openssl rand -hex 24)
    (umask 077 && env_file "$password" >.env.new)
    mv .env.new .env
    echo "    wrote .env"
}

env_file() {
    cat <<TEXT
# Written by scripts/install.sh. Never commit.
COMPOSE_PROFILES=${profiles// /,}
CHATALOT_REGISTRY=$registry
PUBLIC_URL=https://$domain
DB_PASSWORD=$1
ADMIN_USERNAME=$admin
REGISTRATION_MODE=$registration
TURN_EXTERNAL_IP=$turn_ip
CLOUDFLARE_TOKEN=$tunnel_token
OIDC_ISSUER=$oidc_issuer
OIDC_CLIENT_ID=$oidc_id
OIDC_CLIENT_SECRET=$oidc_secret
OIDC_DISABLE_PASSWORD_LOGIN=$oidc_only
TEXT
}

final_block() {
    cat <<TEXT

Install complete.
public_url=https://$domain
admin_username=$admin
registration_mode=$registration
turn_enabled=$turn
updater_enabled=$updater
compose_profiles=$profiles

Next:
  1. Configure DNS for $domain -> this host.
  2. Front with a reverse proxy (Caddy/traefik/nginx) terminating TLS at :443
     and forwarding to 127.0.0.1:8080. See docs/self-hosting/production.md.
  3. Open https://$domain and register the admin user '$admin'.
TEXT
    [ "$turn" = 0 ] || echo "  4. Open TURN ports on your firewall: UDP/TCP 3478 + 5349 to TURN_EXTERNAL_IP."
}
