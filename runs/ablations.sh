#!/usr/bin/env bash
# Train the four ablations of InstructGIE's Table 2, each on as many grids as the whole, beside a pack that has the rest.
#
#   runs/ablations.sh                          into out/ablations, on 40000 grids each
#   IMAGES=8000 PACK=runs/pack runs/ablations.sh
#
# The same command goes on where it was broken off. Then:
#
#   pentimento bench instructgie-table2 --pack PACK --ablations out/ablations
set -euo pipefail
cd "$(dirname "$0")/.."

PACK=$(realpath "${PACK:-runs/miniature}")
OUT=${OUT:-out/ablations}
PYTHON=${PYTHON:-python}

ablate() { # NAME SETTING
    local beside="runs/$1-pack" component
    mkdir -p "$beside" "$OUT"
    for component in "$PACK"/*; do
        [ "$(basename "$component")" = incontext ] || ln -sfn "$component" "$beside/$(basename "$component")"
    done
    "$PYTHON" -m pentimento train instructgie --pack-dir "$beside" --run-dir "runs/$1" \
        --set "images=${IMAGES:-40000}" --set "areas=${AREAS:-panoptic}" --set "workers=${WORKERS:-0}" --set "$2"
    rm -rf "${OUT:?}/$1" && cp -r "$beside/incontext" "$OUT/$1"
}

ablate without-rcldm rcldm=false
ablate without-esm shift=0
ablate without-liu unify=0
ablate without-sam area=0
