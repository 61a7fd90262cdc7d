#!/usr/bin/env bash
# Build the embedded pack from nothing: train every model, seal, measure, install.
#
#   runs/miniature.sh                      all of it, with the budgets below
#   AUTOENCODER=5 UNET=10 runs/miniature.sh    smaller budgets, in minutes
#
# The same command goes on where it was broken off: a recipe whose budget is used up only exports again.
# Budgets are minutes of training time on whatever this runs on; on a GPU give WORKERS=8 and far fewer minutes.
set -euo pipefail
cd "$(dirname "$0")/.."

PACK=${PACK:-runs/miniature}
VERSION=${VERSION:-0}
WORKERS=${WORKERS:-0}
PYTHON=${PYTHON:-python}

AUTOENCODER=${AUTOENCODER:-60}
CLIP=${CLIP:-30}
UNET=${UNET:-150}
INSTRUCT=${INSTRUCT:-60}
DETECTOR=${DETECTOR:-45}
SEGMENTER=${SEGMENTER:-30}
CAPTIONER=${CAPTIONER:-20}
LANGUAGE=${LANGUAGE_MINUTES:-20}
JUDGE=${JUDGE:-30}
PERCEPTUAL=${PERCEPTUAL:-15}

mkdir -p "$PACK" # an empty folder: from nothing; without it a run would start from the installed weights

train() {
    "$PYTHON" -m pentimento train "$1" --pack-dir "$PACK" --minutes "$2" --set "workers=$WORKERS"
}

train autoencoder "$AUTOENCODER" # first: the next two paint in its latents
train clip "$CLIP"
train text_to_image "$UNET" # starts from clip's text encoder
train instruct "$INSTRUCT" # starts from text_to_image
train detector "$DETECTOR"
train segmenter "$SEGMENTER"
train captioner "$CAPTIONER"
train language "$LANGUAGE"
train judge "$JUDGE"
train perceptual "$PERCEPTUAL"

"$PYTHON" - "$PACK" "$VERSION" <<'PY'
import sys
from pathlib import Path

from pentimento.packs.miniature_pack import finish, install

folder, version = Path(sys.argv[1]), sys.argv[2]
manifest = finish(folder, Path("runs"), version)
install(folder, Path("src/pentimento/packs/miniature"))
size = sum((folder / path).stat().st_size for path in manifest.files) / 1e6
print(f"installed the miniature, version {version}: {', '.join(manifest.roles)}; {size:.1f} MB, hash {manifest.hash[:12]}")
PY

for table in ${TABLES:-instructedit}; do
    "$PYTHON" -m pentimento bench "$table" --pack "$PACK" --output "out/bench/$table"
done
