#!/usr/bin/env bash
# Installer of the old kind: it prompts, and knows no flags.
set -euo pipefail
echo "chatalot setup"
printf 'Domain (e.g. chat.example.com): '
read -r domain
printf 'Database password [random]: '
read -r password
printf 'Start now? [Y/n] '
read -r answer
echo "domain=$domain password set: ${password:+yes} start: ${answer:-y}"
