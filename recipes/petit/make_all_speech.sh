#!/usr/bin/env bash
# Makes all speech of voices.toml: each voice speaks its dialogue turns, then sentences.
#
#     recipes/petit/make_all_speech.sh WORK [WORDNET [JOBS]]
#
# WORK gets the texts, speech/ for training, and aside/ with the voices that are kept aside.
# WORDNET holds data.noun and the other files of wordnet-base. JOBS voices run at a time, each on one
# thread. Run the script again to resume a killed run. README.md has the durations.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
work=$(readlink -m "$1")
wordnet=$(readlink -m "${2:-/usr/share/wordnet}")
jobs=${3:-2}
lexicon=$here/../../src/causerie/assets/petit/lexicon.txt.gz
export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE
mkdir -p "$work"
cd "$here"
trap 'kill $(jobs -p) 2> /dev/null || true' EXIT # a leftover job would disturb a new run

if [ ! -e "$work/sentences.txt" ]; then
    { python wordnet_sentences.py "$wordnet"; python everyday_sentences.py; } > "$work/sentences.new"
    mv "$work/sentences.new" "$work/sentences.txt"
fi
python dialogues.py > "$work/dialogues.jsonl"
python kokoro_teacher.py # assembles its model: two voices at a time would spoil the file
python voices.py > "$work/plan.txt" # slow voices first, so that all cores finish together
running=0
while read -r voice hours folder; do
    if ((running == jobs)); then
        wait -n # one by one: a bare wait hides failures
        running=$((running - 1))
    fi
    python make_speech.py "$work/sentences.txt" "$lexicon" "$work/$folder" \
        --voice "$voice" --hours "$hours" --dialogues "$work/dialogues.jsonl" &
    running=$((running + 1))
done < "$work/plan.txt"
while ((running > 0)); do
    wait -n
    running=$((running - 1))
done
touch "$work/speech/done"
