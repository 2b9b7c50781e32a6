# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Shared by scripts/check, scripts/demo, scripts/fresh and scripts/bundle. Source it from the root of the tree:
#   lib_say TEXT...            a progress line with the script's name in front
#   lib_die TEXT...            the same on standard error, and exit 1
#   lib_as_root COMMAND...     run as root: directly, or through sudo, which asks for a password only on a terminal
#   lib_make_folder FOLDER     mkdir -p, or say that this tree cannot be written and exit
#   lib_install_packages GROUP...  install the Debian packages of these groups of scripts/packages that are missing
#   lib_archive_uri main|security  URI of the Debian archive this machine's apt uses; nothing if it knows none
#   lib_apt_proxies            apt's proxies as variables of the environment, one a line: debootstrap reads nothing else
# Set lib_name before use.
: "${lib_name:?}"

# Looked at now, because the scripts close their standard input afterwards; sudo asks on /dev/tty.
lib_terminal=no
[ ! -t 0 ] || lib_terminal=yes

lib_say() {
    printf '%s: %s\n' "$lib_name" "$*"
}

lib_die() {
    lib_say "$*" >&2
    exit 1
}

lib_make_folder() {
    mkdir -p "$1" 2>/dev/null || lib_die "cannot create $1 here ($PWD); use a copy of the tree that you may write to"
}

lib_as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif ! command -v sudo >/dev/null; then
        lib_say "root is needed for '$*', and there is no sudo: run that as root, then start again" >&2
        return 1
    elif [ $lib_terminal = yes ]; then
        sudo "$@"
    else
        sudo -n "$@" || {
            lib_say "root is needed for '$*', and sudo did not allow it without a password: run that as root, then start again" >&2
            return 1
        }
    fi
}

lib_install_packages() {
    local missing
    # Exit code 1 with names means some are missing; without names it has said what is wrong with this machine.
    missing=$(scripts/packages missing "$@") && return 0
    [ -n "$missing" ] || return 1
    lib_say "installing Debian packages: $(echo "$missing" | tr '\n' ' ')"
    lib_as_root scripts/packages install "$@"
}

lib_archive_uri() {
    # shellcheck disable=SC2016 # apt expands these
    apt-get indextargets --format '$(ORIGIN) $(RELEASE) $(REPO_URI)' 'Created-By: Packages' 'Component: main' |
        awk -v want="$1" '$1 == "Debian" && ($2 ~ /-security$/ ? "security" : $2 ~ /-/ ? "other" : "main") == want { print $3; exit }'
}

lib_apt_proxies() {
    apt-config dump | sed -n 's/^Acquire::\(https\{0,1\}\)::Proxy "\(.*\)";$/\1_proxy=\2/p' | grep -v '=DIRECT$' || true
}
