#!/usr/bin/env bash
# Make .venv from requirements.txt (`make setup`), with nothing but Python 3.11 or 3.12 and pip.
#
# .venv/requirements.txt is a copy of the lock, written last: it tells what is installed by content, so a touched lock
# installs nothing again, and a .venv without it is half made and is made anew.
set -euo pipefail
cd "$(dirname "$0")/../.."
stamp=.venv/requirements.txt

if cmp -s requirements.txt "$stamp" && .venv/bin/python -c '' 2>/dev/null; then
    exit 0
fi

# An activated .venv must not be the one to make itself.
PATH=${PATH//"$PWD/.venv/bin:"/}
unset PYTHONHOME VIRTUAL_ENV

usable() {
    "$1" -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null &&
        { "$1" -c 'import ensurepip' 2>/dev/null || "$1" -m pip --version >/dev/null 2>&1; }
}

candidates=(python3.12 python3.11 python3)
if [[ -n ${PYTHON:-} ]]; then
    candidates=("$PYTHON")
fi
python=
for candidate in "${candidates[@]}"; do
    if usable "$candidate"; then
        python=$candidate
        break
    fi
done
if [[ -z $python ]]; then
    echo "error: no Python 3.11 or 3.12 with pip among: ${candidates[*]};" \
        "install one, or name it: make PYTHON=/path/to/python3.12" >&2
    exit 1
fi

total=$(grep -c '^[A-Za-z0-9].*==' requirements.txt)
echo "Making .venv with $("$python" --version): $total packages, about 3 GB to download. This takes minutes, once."
rm -rf .venv
# Debian's python3 comes without ensurepip; its pip can install into an environment that has none.
if "$python" -m venv .venv >/dev/null 2>&1; then
    pip=(.venv/bin/python -m pip)
else
    rm -rf .venv
    "$python" -m venv --without-pip .venv
    pip=("$python" -m pip --python .venv/bin/python)
fi

install() {
    PYTHONUNBUFFERED=1 "${pip[@]}" install --disable-pip-version-check --no-input --root-user-action=ignore \
        --progress-bar off --use-pep517 --no-deps --require-hashes -r requirements.txt 2>.venv/pip.log
}
show_progress() {
    local fetched=0 word rest
    while read -r word rest; do
        case "$word $rest" in
            Collecting* | Processing*) ((++fetched % 20)) || echo "  $fetched of $total" ;;
            "Installing collected"*) echo "  all fetched, installing" ;;
        esac
    done
}
if ! install | show_progress; then
    grep -v '^ *WARNING' .venv/pip.log | tail -n 20 >&2
    echo "error: pip could not install requirements.txt (above, and .venv/pip.log); cure it and run make again" >&2
    exit 1
fi
cp requirements.txt "$stamp"
echo "Made .venv."
