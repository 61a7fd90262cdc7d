#!/usr/bin/env bash
# Train what InstructGIE's tables compare it with, and what the embedded pack has no room for: Prompt Diffusion,
# InstructPix2Pix on the same pairs (Table 1), the ablations (Table 2). Then make the pack that the tables read.
#
#   runs/comparisons.sh                        beside the embedded pack, on as many grids as its InstructGIE has seen
#   GRIDS=2000 PACK=runs/miniature runs/comparisons.sh
#
# Weights go to comparisons/; what lies there is not trained again, and refused if the models that it stands beside have
# changed. A run that was broken off goes on. Settings that were chosen, in comparisons/defaults.json, go into the pack:
#
#   pentimento bench tune --pack runs/comparisons/pack --only instructgie -o comparisons  # and the others; once more this
#   pentimento bench instructgie-table1 --seed 1 --pack runs/comparisons/pack -o DIR
#   pentimento bench instructgie-table2 --seed 1 --pack runs/comparisons/pack --ablations comparisons -o DIR
set -euo pipefail
cd "$(dirname "$0")/.."

PACK=${PACK:-src/pentimento/packs/miniature}
RUNS=runs/comparisons
KEPT=${KEPT:-comparisons}
PYTHON=${PYTHON:-python}

# As in runs/miniature.sh.
export GLIBC_TUNABLES=${GLIBC_TUNABLES:-glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=100000000000:glibc.malloc.top_pad=268435456}

seen() { # REPORT [RECIPE]: the images that a run has seen, of reports by recipe all of its runs; an error if broken off
    "$PYTHON" - "$@" <<'END'
import json, sys
report = json.load(open(sys.argv[1]))
runs = report[sys.argv[2]] if sys.argv[2:] else [report]
if not runs[-1]["finished"]:
    sys.exit(f"{sys.argv[1]} tells of a run that was broken off: go on with it by the same command")
print(sum(run["images"] for run in runs))
END
}

halved() { # FOLDER: its weights and those in the folders below it, in fp16 and in shards
    "$PYTHON" -c 'import sys, pathlib; from pentimento.packs.sealing import halve
for folder in {path.parent for path in pathlib.Path(sys.argv[1]).rglob("*.safetensors")}: halve(folder)' "$1"
}

GRIDS=${GRIDS:-$(seen "$PACK/reports.json" instructgie)} # of four pictures each

hash_of() { # ROLE...: of those models of the pack
    "$PYTHON" -c 'import sys, pathlib; from pentimento.packs.manifest import MANIFEST, read_manifest
print(read_manifest(pathlib.Path(sys.argv[1]) / MANIFEST).hash_of(*sys.argv[2:]))' "$PACK" "$@"
}
PAINTER=$(hash_of text_to_image) ALL=$(hash_of text_to_image clip panoptic planner)

train() { # NAME RECIPE COMPONENT IMAGES HASH OPTION...: beside a copy of the pack (its models' hash) without that component
    local run="$RUNS/$1-${5:0:12}" kept="$KEPT/.$1.partial"
    local beside="$run/pack"
    if [ -d "$KEPT/$1" ]; then
        [ "$(seen "$KEPT/$1/report.json")" = "$4" ] || { echo "$KEPT/$1 has seen other than $4 images: delete it" >&2; exit 1; }
        [ "$(cat "$KEPT/$1/beside")" = "$5" ] || { echo "$KEPT/$1 was trained beside other models: delete it" >&2; exit 1; }
    else
        if [ ! -d "$beside" ]; then
            rm -rf "$beside.partial" && mkdir -p "$beside.partial" && cp -r "$PACK"/* "$beside.partial"
            rm -rf "${beside:?}.partial/$3" && mv "$beside.partial" "$beside"
        fi
        "$PYTHON" -m pentimento train "$2" --pack-dir "$beside" --run-dir "$run/run" \
            --set "workers=${WORKERS:-0}" --set "images=$4" "${@:6}"
        seen "$run/run/report.json" > /dev/null # asked to stop, the trainer exports and says that all is well
        rm -rf "$kept" && mkdir -p "$KEPT" && cp -r "$beside/$3" "$kept"
        halved "$kept"
        echo "$5" > "$kept/beside"
        cp "$run/run/report.json" "$kept" && mv "$kept" "$KEPT/$1"
    fi
}
compare() { # RECIPE: painters of the answer alone, so on four times as many
    train "$1" "$1" "$1" $((4 * GRIDS)) "$PAINTER"
}
AREA=$("$PYTHON" -c 'import json, sys; print(json.load(open(sys.argv[1]))["instructgie"][-1]["settings"]["area"])' \
    "$PACK/reports.json") # the whole's own, whatever the recipe's is by now
ablate() { # NAME SETTING
    train "$1" instructgie incontext "$GRIDS" "$ALL" --set "areas=${AREAS:-panoptic}" --set "area=$AREA" --set "$2"
}

compare prompt_diffusion
compare instruct_in_context
ablate without-rcldm rcldm=false
ablate without-esm shift=0
ablate without-liu unify=0
ablate without-sam area=0

new="$RUNS/.pack.partial" old="$RUNS/.pack.old" # beside the pack, which a table may be reading
rm -rf "$new" "$old" && mkdir -p "$new"
cp -r "$PACK"/* "$KEPT"/prompt_diffusion "$KEPT"/instruct_in_context "$new"
[ ! -f "$KEPT/defaults.json" ] || cp "$KEPT/defaults.json" "$new"
"$PYTHON" -c 'import sys, pathlib; from pentimento.packs.miniature_pack import finish
finish(pathlib.Path(sys.argv[1]), pathlib.Path("runs/comparisons/none"), "comparisons")' "$new"
[ ! -d "$RUNS/pack" ] || mv "$RUNS/pack" "$old"
mv "$new" "$RUNS/pack" && rm -rf "$old"
echo "Made the pack $RUNS/pack"
