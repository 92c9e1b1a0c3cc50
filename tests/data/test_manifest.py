"""What there is to prepare, and what makes no sense."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from causerie.data.manifest import Found, Row, find
from causerie.errors import ConfigError


def fill(folder: Path, files: Mapping[str, str]) -> Path:
    for name, contents in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(contents, "utf-8")
    return folder


def rows(found: Found) -> list[Row]:
    return [row for recording in found.recordings for row in recording.rows]


def test_files_with_transcripts_beside_them(tmp_path: Path) -> None:
    folder = fill(
        tmp_path / "talks",
        {
            "b.wav": "", "b.txt": "\ufeffHello\n there. \n", "a.MP3": "", "ann/x/1.flac": "",
            "ann/x/1.txt": "Yes.", "lost.txt": "?", "notes.md": "", ".hidden.wav": "",
            ".git/c.wav": "", "out/00000.wav": "",
        },
    )  # fmt: skip
    found = find(folder, folder / "out")
    assert [(one.name, one.rows[0].text) for one in found.recordings] == [
        ("a.MP3", ""), ("b.wav", "Hello there."), ("ann/x/1.flac", "Yes."),
    ]  # fmt: skip
    assert [row.speaker for row in rows(found)] == ["talks", "talks", "ann"]
    assert [row.conversation for row in rows(found)] == ["a.MP3", "b.wav", "ann/x/1.flac"]
    assert found.left_out == [
        ("lost.txt", "no sound file of this name"), ("notes.md", "not a sound file or .txt"),
    ]  # fmt: skip


def test_a_text_in_another_encoding_is_a_problem_of_its_turn(tmp_path: Path) -> None:
    fill(tmp_path, {"a.wav": ""})
    (tmp_path / "a.txt").write_bytes("é".encode("latin-1"))
    assert rows(find(tmp_path))[0].problem.startswith("a.txt is not UTF-8 text")


CSV = """file_name,Transcription,speaker,conversation,start,end,mood
a.wav,"Hello, you.",ann,talk,0.5,2,glad
a.wav,Hi.,bob,talk,2.5,3,
b.wav,,,,,,
"""
JSONL = (
    """{"file_name": "a.wav", "transcription": "Hello, you.", "speaker": "ann",
""".replace("\n", "")
    + (
        ' "conversation": "talk", "start": 0.5, "end": 2, "mood": 1}\n'
        '{"file_name": "a.wav", "transcription": "Hi.", "speaker": "bob", "conversation": "talk", '
        '"start": 2.5, "end": 3}\n\n{"file_name": "b.wav", "transcription": null}\n'
    )
)


@pytest.mark.parametrize(
    ("name", "contents", "line"),
    [("m.csv", CSV, 4), ("m.tsv", CSV.replace(',"Hello, you."', ",Hello; you.").replace(",", "\t")
      .replace(";", ","), 4), ("m.jsonl", JSONL, 4)],
)  # fmt: skip
def test_a_manifest(tmp_path: Path, name: str, contents: str, line: int) -> None:
    fill(tmp_path, {name: contents, "a.wav": "", "b.wav": "", "c.wav": "", "a.txt": "no"})
    found = find(tmp_path)
    one, two, three = rows(found)
    assert (one.text, one.speaker, one.conversation) == ("Hello, you.", "ann", "talk")
    assert (one.start_s, one.end_s, one.place) == (0.5, 2, 0)
    assert (two.text, two.speaker, two.start_s, two.end_s) == ("Hi.", "bob", 2.5, 3)
    assert (three.text, three.speaker, three.conversation) == ("", "speaker", f"b.wav#{line}")
    assert (three.start_s, three.end_s) == (None, None)
    assert found.left_out == [("a.txt", f"not in {name}"), ("c.wav", f"not in {name}")]
    assert found.notes == [f"unused columns of {name}: mood"]


def test_paths_count_from_the_manifest(tmp_path: Path) -> None:
    fill(tmp_path, {"x/m.csv": "audio,text\n../y/a.wav,Hi.", "y/a.wav": "", "x/b.wav": ""})
    (one,) = find(tmp_path / "x").recordings
    assert one.path == tmp_path / "y" / "a.wav"
    assert one.name == one.path.as_posix()
    assert [one.name for one in find(tmp_path, None, tmp_path / "x" / "m.csv").recordings] == [
        "y/a.wav"
    ]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "has no sound files"),
        ({"a.txt": "x"}, "has no sound files"),
        ({"a.wav": "", "a.flac": "", "a.txt": "x"}, r"a\.flac and a\.wav .* have the same name"),
        ({"a.csv": "", "b.jsonl": ""}, r"several manifests \(a\.csv, b\.jsonl\): give one"),
        ({"m.csv": ""}, "has no rows"),
        ({"m.csv": "audio,text\n"}, "has no rows"),
        (
            {"m.csv": "audio,words\na.wav,x"},
            r"no column 'text' \(its columns: audio, words\); add",
        ),
        ({"m.csv": "sound,text\na.wav,x"}, "no column 'audio'"),
        ({"m.csv": "audio,path,text\na.wav,a.wav,x"}, "has audio and path: keep one column"),
        ({"m.csv": "audio,text\na.wav,x,y"}, "line 2: 2 columns expected; quote"),
        ({"m.csv": "audio,text\na.wav"}, "line 2: 2 columns expected"),
        ({"m.csv": 'audio,text\na.wav,"x'}, "after line 1: unexpected end of data"),
        ({"m.csv": "audio,text\n,x"}, "line 2: audio is empty"),
        ({"m.csv": "audio,text\nb.wav,x"}, r"none of its 1 sound files exists, such as .*b\.wav"),
        ({"m.csv": "audio,text,start,end\na.wav,x,2,1"}, r"line 2: end \(1\.0 s\) is not after"),
        ({"m.csv": "audio,text,start,end\na.wav,x,2,2"}, "is not after start"),
        ({"m.csv": "audio,text,end\na.wav,x,0"}, "is not after start"),
        (
            {"m.csv": "audio,text,start\na.wav,x,soon"},
            "start must be 0 or more seconds, not 'soon'",
        ),
        ({"m.csv": "audio,text,start\na.wav,x,-1"}, "start must be 0 or more seconds"),
        ({"m.csv": "audio,text,start\na.wav,x,nan"}, "start must be 0 or more seconds"),
        (
            {"m.csv": "audio,text\na.wav,x\na.wav,y"},
            "line 3 has the same interval of",
        ),
        ({"m.csv": "audio,text,conversation\na.wav,x,\nb.wav,x,a.wav#2"}, "is reserved"),
        ({"m.jsonl": '{"audio": "a.wav"'}, "line 1 is not JSON"),
        ({"m.jsonl": '["a.wav"]'}, "line 1 is not an object"),
        ({"m.jsonl": '{"audio": "a.wav", "text": ["x"]}'}, "text must be text"),
        ({"m.csv": "audio\0,text\n"}, "m.csv"),
    ],
)
def test_invalid_input_is_one_line(tmp_path: Path, files: dict[str, str], message: str) -> None:
    sound = (
        {} if any(name.endswith((".wav", ".txt")) for name in files) or not files else {"a.wav": ""}
    )
    fill(tmp_path, {**files, **sound})
    with pytest.raises(ConfigError, match=message) as caught:
        find(tmp_path)
    assert "\n" not in str(caught.value)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no folder"):
        find(tmp_path / "nowhere")
    fill(tmp_path, {"m.csv": "x"})
    with pytest.raises(ConfigError, match="cannot read"):
        find(tmp_path, None, tmp_path / "no.csv")
