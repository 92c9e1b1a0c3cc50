#!/usr/bin/env bash
# Makes `petit` from nothing: text → speech → codec → codes → language model → model folder.
#
#     recipes/petit/run.sh WORK [WORDNET [START]]
#
# WORK gets all output (10 GB). WORDNET holds data.noun and the other files of Debian's package
# wordnet-base. With START, such as `petit`, training starts from that model's weights.
# Needs `pip install -e . --group recipe`. Run the script again to resume a killed run.
# README.md has the durations.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
work=$(readlink -m "$1")
wordnet=$(readlink -m "${2:-/usr/share/wordnet}")
assets=$here/../../src/causerie/assets/petit
# training allocates large tensors all the time: keep the memory instead of returning it
export MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=17179869184 MALLOC_ARENA_MAX=2
export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE
mkdir -p "$work"
cd "$here"
trap 'kill $(jobs -p) 2> /dev/null || true' EXIT # a leftover job would disturb a new run

python make_lexicon.py "$assets/lexicon.txt.gz"
python make_tokenizer.py "$assets/tokenizer.json"
[ -e "$work/speech/done" ] || ./make_all_speech.sh "$work" "$wordnet" 2
start=()
if [ -n "${3:-}" ]; then
    start=(--base "$3")
else
    python train.py encoder "$work/speech" "$work" &
    encoder=$!
fi
python train.py recognizer "$work/speech" "$work"
[ -z "${encoder:-}" ] || wait "$encoder"
python train.py codec "$work/speech" "$work" "${start[@]}"
first=$work/first # with the codec's first decoder: draws codes for the training of the second one
if [ ! -e "$first/lm" ]; then
    [ -e "$work/codes.npz" ] || python train.py encode "$work/speech" "$work" --threads 2
    python train.py lm "$work/speech" "$work" "${start[@]}"
    python train.py export "$work/speech" "$work" "$first" --first-decoder
    python decoder_targets.py "$first" "$work/speech" "$work/targets" --hours 0.5
    mv "$work/codes.npz" "$work/lm.log" "$work/lm" "$first/"
fi
python train.py decoder "$work/speech" "$work"
python train.py joint "$work/speech" "$work"
python train.py refine "$work/speech" "$work"
[ -e "$work/codes.npz" ] || python train.py encode "$work/speech" "$work" --threads 2
python train.py lm "$work/speech" "$work" --base "$first"
python train.py export "$work/speech" "$work" "$assets"
python plot.py "$work" "$assets/curves.png"
for gate in codec acoustics; do
    python gates.py "$assets" "$gate" "$work/$gate"
    python evaluate.py --from-wavs "$work/$gate" --json "$work/$gate.json"
done
python evaluate.py --model "$assets" --json "$work/evaluation.json"
