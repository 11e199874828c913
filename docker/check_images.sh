#!/usr/bin/env bash
# Builds the images of docker/Dockerfile without a Docker engine or an image registry, and looks inside them.
#
#   docker/check_images.sh [api] [ui] [worker]      default: all three
#
# The base image is made here from Debian packages (the same release and Python as the official image) and tagged
# with the official name. Needs root on Debian or Ubuntu; installs buildah and debootstrap if they are missing.
# VISE_IMAGES_FOLDER keeps the image storage between calls (default: a temporary folder, removed at the end).
set -euo pipefail
cd "$(dirname "$0")/.."

targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(api ui worker)
base=docker.io/library/python:3.11-slim-bookworm
python=${PYTHON:-.venv/bin/python}

die() { echo "images-check: $*" >&2; exit 1; }

[ "$(id -u)" = 0 ] || die "needs root (debootstrap and chroot builds do): sudo make images-check"
if ! command -v buildah >/dev/null || ! command -v debootstrap >/dev/null; then
    command -v apt-get >/dev/null || die "install buildah and debootstrap, then call this again"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends buildah debootstrap >/dev/null
fi

if [ -n "${VISE_IMAGES_FOLDER:-}" ]; then
    folder=$VISE_IMAGES_FOLDER
    mkdir -p "$folder"
else
    folder=$(mktemp -d)
fi
scratch=$(mktemp -d)
driver=vfs
cleanup() {
    store rm --all >/dev/null 2>&1 || true
    umount "$folder/root/overlay" 2>/dev/null || true
    rm -rf --one-file-system "$scratch"
    [ -n "${VISE_IMAGES_FOLDER:-}" ] || rm -rf --one-file-system "$folder"
}
trap cleanup EXIT

store() { buildah --root "$folder/root" --runroot "$folder/run" --storage-driver "$driver" "$@"; }

# vfs works everywhere but copies the whole file system for each layer; overlay does not, where the kernel lets us.
choose_driver() {
    mkdir -p "$scratch"/{lower,upper,work,merged}
    if mount -t overlay overlay -o "lowerdir=$scratch/lower,upperdir=$scratch/upper,workdir=$scratch/work" \
        "$scratch/merged" 2>/dev/null; then
        umount "$scratch/merged"
        driver=overlay
    fi
    echo "images-check: storage driver $driver"
}

make_base() {
    local container root mirror
    # The mirror that this machine uses; debootstrap's own default if there is none.
    mirror=$(apt-get indextargets --format '$(SITE)' 'Codename: bookworm' 2>/dev/null | head -n 1 || true)
    container=$(store from scratch)
    root=$(store mount "$container")
    echo "images-check: making the base image (debootstrap)"
    # shellcheck disable=SC2086  # no mirror must be no argument
    debootstrap --variant=minbase --include=python3,python3-venv,python3-pip,ca-certificates \
        bookworm "$root" $mirror >"$scratch/debootstrap.log" 2>&1 \
        || { tail -n 20 "$scratch/debootstrap.log" >&2; die "debootstrap failed"; }
    ln -s /usr/bin/python3 "$root/usr/local/bin/python"
    ln -s /usr/bin/pip3 "$root/usr/local/bin/pip"
    rm -rf "$root/var/lib/apt/lists" "$root/var/cache/apt"
    store umount "$container" >/dev/null
    store config --env PATH=/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin --cmd python3 "$container"
    store commit --quiet --rm "$container" "$base" >/dev/null
}

# This machine's pip settings (files and environment) become one pip.conf, handed to the build as a secret; the
# certificates and package folders that they name are mounted. Nothing of it ends in a layer.
pip_settings() {
    "$python" - "$scratch/pip.conf" "$scratch/volumes" <<'PY'
import os, re, subprocess, sys
from pathlib import Path

lines = subprocess.run([sys.executable, "-m", "pip", "config", "list"], check=True, capture_output=True, text=True).stdout
settings = {}
for line in lines.splitlines():
    name, _, value = line.partition("=")
    section, _, key = name.rpartition(".")
    if section == ":env:" or section == "global":
        settings[key] = value.strip("'\"")
certificates = settings.get("cert") or os.environ.get("SSL_CERT_FILE")
if certificates:
    settings["cert"] = certificates
words = [word.removeprefix("file://") for value in settings.values() for word in re.split(r"\s+|\\n", value)]
folders = {Path(word) for word in words if word.startswith("/") and Path(word).exists()}
# A "simple" index links to files beside it.
folders |= {path.parent for path in folders if path.name == "simple"}
outer = sorted(path for path in folders if not any(other in path.parents for other in folders))
config = "[global]\n" + "".join(
    "{} = {}\n".format(key, value.replace("\\n", " ")) for key, value in settings.items()
)
Path(sys.argv[1]).write_text(config)
Path(sys.argv[2]).write_text("".join(f"--volume={path}:{path}:ro\n" for path in outer))
PY
}

build() {
    local target=$1
    mapfile -t volumes <"$scratch/volumes"
    echo "images-check: building $target"
    store build --isolation chroot --pull-never --layers --format docker --file docker/Dockerfile --target "$target" \
        --secret "id=pip_conf,src=$scratch/pip.conf" "${volumes[@]}" \
        --build-arg "TORCH=${TORCH:-cpu}" --build-arg "TORCH_INDEX=${TORCH_INDEX:-}" \
        --tag "vise-studio-$target" . >"$scratch/$target.log" 2>&1 \
        || { tail -n 40 "$scratch/$target.log" >&2; die "$target does not build"; }
}

inside() {
    local target=$1 container status=0
    shift
    container=$(store from --pull-never "vise-studio-$target")
    store run --isolation chroot "$container" -- "$@" || status=$?
    store rm "$container" >/dev/null
    return $status
}

check() {
    local target=$1
    case $target in
        api)
            inside api python -c 'import backend, backend.api.app' || die "the API image cannot import backend"
            inside api python -c 'import importlib.util as u, sys; sys.exit(u.find_spec("torch") is not None)' \
                || die "torch is in the API image"
            inside api vise migrate --help >/dev/null || die "vise migrate is missing in the API image"
            inside api python -c 'from backend.store.database import MIGRATIONS as m; assert any(m.glob("versions/*.py"))' \
                || die "the API image has no migrations"
            ;;
        ui)
            inside ui python -c 'import frontend, streamlit, vise_client' || die "the UI image cannot import frontend"
            inside ui vise ui --help >/dev/null || die "vise ui is missing in the UI image"
            ;;
        worker)
            # The addresses are only read here; nothing connects.
            inside worker env VISE_DATABASE_URL=postgresql+psycopg://vise@db/vise VISE_BROKER_URL=redis://broker \
                VISE_STORAGE_URL=file:///data/storage \
                python -c 'import worker.app, torch, torchvision; print("torch", torch.__version__)' \
                || die "the worker image cannot import worker.app"
            ;;
    esac
    [ "$(inside "$target" id -u)" = 10001 ] || die "$target runs as root"
    inside "$target" sh -c '! test -s /etc/pip.conf && ! test -e /srv/vise/.env' \
        || die "$target holds pip settings or an .env file"
    if ! store inspect --type image --format '{{.Docker.Config.Healthcheck}}' "vise-studio-$target" | grep -q CMD; then
        die "$target has no health check"
    fi
    echo "images-check: $target is good"
}

for target in "${targets[@]}"; do
    case $target in api|ui|worker) ;; *) die "unknown image '$target': api, ui or worker" ;; esac
done
hadolint=$(dirname "$python")/hadolint
if [ -x "$hadolint" ]; then "$hadolint" docker/Dockerfile; else die "no hadolint: make dev first"; fi
choose_driver
store inspect --type image "$base" >/dev/null 2>&1 || make_base
pip_settings
for target in "${targets[@]}"; do
    build "$target"
    check "$target"
done
