#!/bin/sh
# The smoke run for people who have the published weights, or want to fetch them: about 49 GB in all.
#
#   sh examples/sd15.sh                       # what is missing, with the commands that fetch it; else three edits and a mask
#   DEVICE=cuda sh examples/sd15.sh           # on a GPU; without one an edit takes minutes
#   PACK=/data/my-pack sh examples/sd15.sh    # any pack with the same roles
#
# Results, each beside its plan and mask, go to out/sd15. Roles that are not there only skip their edit.
set -eu
cd "$(dirname "$0")/.."
PACK=${PACK:-sd15}
DEVICE=${DEVICE:-auto}
OUT=${OUT:-out/sd15}
PENTIMENTO=${PENTIMENTO:-pentimento}
mkdir -p "$OUT"
failed=0

here() { # here ROLE...: whether these roles are on this machine; says what is not
    only=""
    for role in "$@"; do only="$only --only $role"; done
    # shellcheck disable=SC2086
    HF_HUB_OFFLINE=1 "$PENTIMENTO" packs check "$PACK" $only >"$OUT/check.txt" 2>&1 && return 0
    cat "$OUT/check.txt"
    failed=1
    return 1
}

edit() { # edit NAME PICTURE INSTRUCTION [OPTION...]
    name=$1 picture=$2 instruction=$3
    shift 3
    "$PENTIMENTO" edit "$picture" "$instruction" -o "$OUT/$name.png" --sheet "$OUT/$name-sheet.png" \
        --pack "$PACK" --device "$DEVICE" "$@" || failed=1
}

if here instruct; then
    edit instructpix2pix examples/beach.png "make it winter" --method instructpix2pix
fi

if here text_to_image detector segmenter; then # the plan is given: no language model is needed
    cat >"$OUT/plan.json" <<'JSON'
{"find": ["cat"], "which": "best", "before": "a photo of a cat and a dog", "after": "a photo of a tiger and a dog",
 "kind": "replace", "description": ""}
JSON
    edit instructedit-with-plan examples/cat-and-dog.png "change the cat to a tiger" --plan "$OUT/plan.json"
    "$PENTIMENTO" mask examples/two-cats.png cat --which left -o "$OUT/left-cat.png" \
        --pack "$PACK" --device "$DEVICE" || failed=1
fi

if here text_to_image detector segmenter captioner planner; then # the paper's whole way, words to picture
    "$PENTIMENTO" plan "change the horse to a zebra" --image examples/horse.png --pack "$PACK" --device "$DEVICE" ||
        failed=1
    edit instructedit examples/horse.png "change the horse to a zebra"
fi

[ "$failed" = 0 ] && echo "All of it ran: look at $OUT" || echo "Something is missing or failed: see above" >&2
exit "$failed"
