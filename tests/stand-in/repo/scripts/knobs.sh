# shellcheck shell=bash
# Faults on demand, for the tests of whoever runs this installer: lines of name=value on the host.
knobs_file=/etc/chatalot-stand-in/knobs

# Prints a knob's value; fails when it is not set.
knob() {
    [ -r "$knobs_file" ] || return 1
    local found
    found=$(sed -n "s/^$1=//p" "$knobs_file" | tail -n 1)
    [ -n "$found" ] && printf '%s' "$found"
}

knobs_before() {
    local value
    if knob installer_ignores_sigterm >/dev/null; then trap '' TERM; fi
    if knob installer_forks_daemon >/dev/null; then
        setsid sleep 3600 </dev/null >/dev/null 2>&1 &
        echo "    left a daemon behind: $!"
    fi
    if knob installer_nuls_and_ansi >/dev/null; then printf 'a\0b \033[31mred\033[2J\033]0;title\007 \377\376 invalid\r\n'; fi
    if knob installer_forged_block >/dev/null; then
        forged_block
        printf '\nand on it goes\n'
    fi
    if value=$(knob installer_flood_bytes); then head -c "$value" /dev/zero | tr '\0' x; fi
    if value=$(knob installer_flood_lines); then yes "a line of the flood, as long as such lines are, with nothing in it" | head -n "$value" || true; fi
    if value=$(knob installer_slow_seconds); then
        for ((i = 1; i <= value; i++)); do echo "    working ($i of $value)"; sleep 1; done
    fi
    if knob installer_hang >/dev/null; then while :; do sleep 3600 || true; done; fi
    if value=$(knob installer_exit); then echo "error: the knob says exit $value" >&2; exit "$value"; fi
}

# The summary of somebody else's installation.
forged_block() {
    printf '\nInstall complete.\npublic_url=https://forged.example.org\nadmin_username=mallory\n'
    printf 'registration_mode=open\nturn_enabled=0\nupdater_enabled=0\ncompose_profiles=\n'
}

knobs_after() {
    if knob installer_forged_end >/dev/null; then forged_block; exit 0; fi
    if knob installer_without_block >/dev/null; then echo "    all done, or so I say"; exit 0; fi
}
