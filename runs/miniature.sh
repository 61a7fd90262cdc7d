#!/usr/bin/env bash
# Build the embedded pack from nothing: train every model, choose the defaults, measure, write the card, install.
#
#   runs/miniature.sh                          all of it, with the budgets below
#   AUTOENCODER=5 UNET=10 runs/miniature.sh    smaller budgets, in minutes
#   INCONTEXT=2000 runs/miniature.sh           fewer grids for InstructGIE
#
# The same command goes on where it was broken off: a recipe whose budget is used up only exports again.
# Budgets are minutes of training time on whatever this runs on; on a GPU give WORKERS=8 and far fewer minutes.
# That of InstructGIE is grids, with its learning rate fallen to 0 at the end: runs/comparisons.sh trains what its tables
# compare it with on equal picture area (docs/protocol.md).
set -euo pipefail
cd "$(dirname "$0")/.."

export PACK=${PACK:-runs/miniature} VERSION=${VERSION:-13}
OUT=${OUT:-out/bench/miniature}
WORKERS=${WORKERS:-0}
INCONTEXT=${INCONTEXT:-10000} # grids of four pictures
PYTHON=${PYTHON:-python}

# Large tensors come and go in every step: keep their memory, in huge pages, instead of giving it back to the system
# each time (a fifth more pictures a second on a CPU).
export GLIBC_TUNABLES=${GLIBC_TUNABLES:-glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=100000000000:glibc.malloc.top_pad=268435456}

train() { # RECIPE OPTION...
    "$PYTHON" -m pentimento train "$1" --pack-dir "$PACK" --set "workers=$WORKERS" "${@:2}"
}
bench() { # TABLE
    "$PYTHON" -m pentimento bench "$1" --pack "$PACK" --output "$OUT"
}
finish() { # seal what is trained, with the defaults that were tuned and a card of the figures that were collected
    "$PYTHON" -c 'import os, pathlib; from pentimento.packs.miniature_pack import finish
finish(pathlib.Path(os.environ["PACK"]), pathlib.Path("runs"), os.environ["VERSION"])'
}
install() {
    "$PYTHON" -c 'import os, pathlib; from pentimento.packs.miniature_pack import install
install(pathlib.Path(os.environ["PACK"]), pathlib.Path("src/pentimento/packs/miniature"))'
}

mkdir -p "$PACK" # an empty folder: from nothing; without it a run would start from the installed weights

train autoencoder --minutes "${AUTOENCODER:-60}" # first: the painters work in its latents
train clip --minutes "${CLIP:-60}" # all of its images: places come late, and what they cost comes back after them
train reader                             # learns what the painters are read by
train text_to_image --minutes "${UNET:-150}" # starts from clip's text encoder
train instruct --minutes "${INSTRUCT:-60}"   # starts from text_to_image
train inpaint --minutes "${INPAINT:-45}"     # starts from text_to_image
train detector --minutes "${DETECTOR:-45}"
train segmenter --minutes "${SEGMENTER:-30}"
train panoptic --minutes "${PANOPTIC:-20}" # starts from the detector's encoders
train captioner --minutes "${CAPTIONER:-20}"
train language --minutes "${PLANNER:-20}"
train instructgie --set "images=$INCONTEXT" --set "areas=${AREAS:-panoptic}" # stands on all of the above
train judge --minutes "${JUDGE:-30}"
train perceptual --minutes "${PERCEPTUAL:-15}"

finish # only a sealed pack can be opened
bench tune
cp "$OUT/defaults.json" "$PACK/"
finish # now with those defaults
bench pack
bench instructedit
bench card
finish # now with those figures
install
echo "Installed the miniature, version $VERSION: src/pentimento/packs/miniature/CARD.md tells about it"
