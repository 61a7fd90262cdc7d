#!/usr/bin/env bash
# Train the four ablations of InstructGIE's Table 2, each on as many grids as the whole, beside a pack that has the rest.
#
#   runs/ablations.sh                          into out/ablations, on as many grids as WHOLE's report tells
#   IMAGES=8000 PACK=runs/pack runs/ablations.sh
#   WHOLE=runs/instructgie                     the run of the whole
#
# The same command goes on where it was broken off. Then:
#
#   pentimento bench instructgie-table2 --pack PACK --ablations out/ablations
set -euo pipefail
cd "$(dirname "$0")/.."

PACK=$(realpath "${PACK:-runs/miniature}")
OUT=${OUT:-out/ablations}
PYTHON=${PYTHON:-python}

# As in runs/miniature.sh.
export GLIBC_TUNABLES=${GLIBC_TUNABLES:-glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=100000000000:glibc.malloc.top_pad=268435456}

seen() { # RUN: the images that a run has seen, an error unless it was finished
    "$PYTHON" - "$1/report.json" <<'END'
import json, sys
report = json.load(open(sys.argv[1]))
if not report["finished"]:
    sys.exit(f"{sys.argv[1]} tells of a run that was broken off: go on with it by the same command")
print(report["images"])
END
}

IMAGES=${IMAGES:-$(seen "${WHOLE:-runs/instructgie}")}

ablate() { # NAME SETTING
    local beside="runs/$1-pack" component
    mkdir -p "$beside" "$OUT"
    for component in "$PACK"/*; do
        [ "$(basename "$component")" = incontext ] || ln -sfn "$component" "$beside/$(basename "$component")"
    done
    "$PYTHON" -m pentimento train instructgie --pack-dir "$beside" --run-dir "runs/$1" \
        --set "images=$IMAGES" --set "areas=${AREAS:-panoptic}" --set "workers=${WORKERS:-0}" --set "$2"
    seen "runs/$1" > /dev/null # asked to stop, the trainer exports and says that all is well
    rm -rf "${OUT:?}/$1" && cp -r "$beside/incontext" "$OUT/$1"
}

ablate without-rcldm rcldm=false
ablate without-esm shift=0
ablate without-liu unify=0
ablate without-sam area=0
